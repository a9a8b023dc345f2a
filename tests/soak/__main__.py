"""``./run soak``: many seeds, an hour of device time each, then hundreds of moments at which a tool is struck, on all
processors. Exit status 1 where anything is wrong."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from .host import Outcome, heed_no_interrupt, soak

sys.path.insert(0, str(Path(__file__).parents[1]))
from moments.table import all_of, left_over, table, worker

SHOWN = 10
"""Problems of one seed that are printed."""
INTERRUPTED = 130


def seeds_of(text: str) -> list[int]:
    """``1-20``, ``3`` or ``1,5,9``."""
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or int(high or low) < int(low):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds: write 1-20, 3 or 1,5,9")
        seeds += range(int(low), int(high or low) + 1)
    return seeds


def minutes_of(text: str) -> float:
    """Device time."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0.05 <= minutes <= 1440.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: 0.05 to 1440 minutes")
    return minutes


def workers_of(text: str) -> int:
    """Processes at once."""
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: 1 to 256")
    return int(text)


def moments_of(text: str) -> int:
    """Moments of each level."""
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of moments: 1 to 100000")
    return int(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"soak: {message}; try --help\n")


def line_of(outcome: Outcome) -> str:
    """What one seed came to."""
    counts = outcome.counts
    memory = f", {outcome.memory_mb[-1] - outcome.memory_mb[0]:+.1f} MB" if len(outcome.memory_mb) > 1 else ""
    return (
        f"seed {outcome.seed}: {outcome.device_s / 60:.1f} min, {counts['connections']} connections, "
        f"{counts['sessions']} sessions ({counts['broken']} broken, {counts['wrapped']} wrapped); messages: "
        f"{counts['received']} received + {counts['lost']} lost + {counts['overrun']} overrun = {counts['produced']}; "
        f"samples: {counts['samples_received']} + {counts['samples_lost']} + {counts['samples_overrun']} = "
        f"{counts['samples_produced']}{memory}: {f'{len(outcome.problems)} PROBLEMS' if outcome.problems else 'ok'}"
    )


def plain(outcome: Outcome) -> dict[str, object]:
    """For JSON."""
    return {field.name: getattr(outcome, field.name) for field in fields(outcome)}


def main(argv: list[str] | None = None) -> int:
    """Run them all; the exit status."""
    parser = _Parser(prog="./run soak", description="The real host on a simulated tool with every fault at once.")
    parser.add_argument("--minutes", type=minutes_of, default=60.0, help="device time of each seed (default 60)")
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-20"), help="default 1-20")
    parser.add_argument("--workers", type=workers_of, default=os.cpu_count() or 1, help="default: one a processor")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--moments", type=moments_of, default=200, help="of each level (default 200)")
    parser.add_argument("--only", choices=("hours", "moments"), help="one of the two")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    document: dict[str, Any] = {}
    status = 0
    for name, part in (("hours", hours), ("moments", moments)):
        if args.only in (None, name):
            status = max(status, part(args, document))
        if status == INTERRUPTED:
            return status
    if args.json:
        sys.stdout.write(json.dumps({"ok": status == 0, **document}, indent=1) + "\n")
    return status


def hours(args: argparse.Namespace, document: dict[str, Any]) -> int:
    """Every fault at once, for hours of device time."""
    began = time.monotonic()
    outcomes: list[Outcome] = []
    # A process to a seed, and never a second one in it: memory is judged.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, context, heed_no_interrupt, max_tasks_per_child=1) as pool:
        try:
            for done in as_completed([pool.submit(soak, seed, args.minutes) for seed in args.seeds]):
                outcomes.append(done.result())
                _say(line_of(outcomes[-1]))
                for problem in outcomes[-1].problems[:SHOWN]:
                    _say(f"  {problem}")
        except BrokenProcessPool:
            done_seeds = {outcome.seed for outcome in outcomes}
            left = [str(seed) for seed in args.seeds if seed not in done_seeds]
            _say(f"a process was killed from outside (memory?); not done: {','.join(left)}")
            return 1
        except KeyboardInterrupt:
            return _interrupted(pool, f"{len(outcomes)} seeds were done")
    outcomes.sort(key=lambda outcome: outcome.seed)
    bad = [outcome.seed for outcome in outcomes if outcome.problems]
    struck: Counter[str] = Counter()
    for outcome in outcomes:
        struck.update(outcome.faults)
    _say("faults struck: " + ", ".join(f"{name} {n}" for name, n in struck.items()))
    verdict = f"problems with seeds {', '.join(map(str, bad))}" if bad else f"all {len(outcomes)} seeds exact"
    _say(f"{verdict}; {time.monotonic() - began:.0f} s")
    document |= {"minutes": args.minutes, "faults": struck, "seeds": [plain(o) for o in outcomes]}
    return 1 if bad else 0


def moments(args: argparse.Namespace, document: dict[str, Any]) -> int:
    """A tool or its host struck in every phase by every cause."""
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, context, worker) as pool:
        try:
            told = all_of(list(range(args.moments)), pool, _say)
        except KeyboardInterrupt:
            return _interrupted(pool, "no table")
    for line in table(told):
        _say(line)
    bad = [one for one in told if one.problems]
    verdict = f"{len(bad)} went wrong" if bad else "always streaming again in time"
    _say(f"{len(told)} moments: {verdict}, {left_over(told)} leftovers; {time.monotonic() - began:.0f} s")
    document |= {"moments": [asdict(one) for one in told]}
    return 1 if bad else 0


def _interrupted(pool: ProcessPoolExecutor, words: str) -> int:
    pool.shutdown(wait=False, cancel_futures=True)
    for child in multiprocessing.active_children():
        child.terminate()
    _say(f"interrupted; {words}")
    return INTERRUPTED


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
