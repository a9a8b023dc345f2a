"""Hundreds of moments, on all processors, and what they came to as a table: cause by phase, for each level."""

from __future__ import annotations

import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, as_completed
from statistics import median
from typing import Final

from .plan import Phase, Told

CHUNK: Final = 10
"""Moments that a worker takes at once."""
SHARE: Final = {"air, kept": 1, "air, link": 1, "cable": 1, "process": 10}
"""One of so many seeds: processes take long to start."""


def on_the_air_kept(seeds: list[int]) -> list[Told]:
    from .air import kept

    return [kept(seed) for seed in seeds]


def on_the_air_linked(seeds: list[int]) -> list[Told]:
    from .air import linked

    return [linked(seed) for seed in seeds]


def on_cables(seeds: list[int]) -> list[Told]:
    from .cables import struck

    return struck(seeds)


def of_processes(seeds: list[int]) -> list[Told]:
    from .processes import struck

    return struck(seeds)


LEVELS: Final[dict[str, Callable[[list[int]], list[Told]]]] = {
    "air, kept": on_the_air_kept,
    "air, link": on_the_air_linked,
    "cable": on_cables,
    "process": of_processes,
}


def worker() -> None:
    """For a worker process: the keyboard's interrupt is the parent's business, bumble's log nobody's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("bumble").setLevel(logging.CRITICAL)


def all_of(seeds: list[int], workers: Executor, say: Callable[[str], None]) -> list[Told]:
    """Every level; a level that raises or hangs is a problem of its seeds."""
    waiting = {}
    for level, work in LEVELS.items():
        mine = seeds[:: SHARE[level]] if len(seeds) > SHARE[level] else seeds
        mine = list(range(len(mine))) if SHARE[level] > 1 else mine
        for first in range(0, len(mine), CHUNK):
            waiting[workers.submit(work, mine[first : first + CHUNK])] = (level, mine[first : first + CHUNK])
    told: list[Told] = []
    for done in as_completed(waiting):
        level, chunk = waiting[done]
        try:
            told += done.result()
        except Exception as error:  # a moment that hangs raises TimeoutError
            words = f"one of the seeds {chunk[0]} to {chunk[-1]}: {type(error).__name__}: {error}"
            told.append(Told(level, chunk[0], "?", Phase.SCAN, problems=[words]))
        for one in told[-len(chunk) :]:
            if one.problems:
                say(f"  {one}")
    return sorted(told, key=lambda one: (list(LEVELS).index(one.level), one.seed))


def table(told: Iterable[Told]) -> list[str]:
    """One line for each cause: how often in each phase, then how long it took to stream again."""
    rows: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for one in told:
        rows[one.level, one.cause].append(one)
    phases = list(Phase)
    heads = " ".join(f"{phase:>10}" for phase in phases)
    lines = [f"{'':10} {'cause':20} {heads} {'median':>8} {'slowest':>8} {'wrong':>6}"]
    for (level, cause), ones in rows.items():
        counts = " ".join(f"{sum(one.phase is phase for one in ones):10}" for phase in phases)
        times = [one.back_s for one in ones]
        lines.append(
            f"{level:10} {cause:20} {counts} {median(times):6.2f} s {max(times):6.2f} s "
            f"{sum(bool(one.problems) for one in ones):6}"
        )
    return lines


def left_over(told: Iterable[Told]) -> int:
    """Tasks, timers, threads and files."""
    return sum(words.split(" is left over")[0] in ("a task", "a timer", "a thread") or words.startswith("left open")
               for one in told for words in one.problems)  # fmt: skip
