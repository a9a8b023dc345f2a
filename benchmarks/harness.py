"""How things are measured against each other. Knows nothing of what it measures.

Rates: the works take turns, in an order that is reversed every round; each turn counts process CPU time (all threads);
a ratio is taken within each round and the median over the rounds is the result. So what disturbs the machine for a
while disturbs both sides of a ratio, and what disturbs one turn only is voted down.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

SLACK = 0.25
"""A limit counts as missed when it is missed by more than this share: other programs use the machine too."""
ROUNDS = 15
TURN_S = 0.04
"""CPU time that a turn should take at least."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is done again and again. ``units``: how much one call of ``run`` does."""

    name: str
    run: Callable[[], object]
    units: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One result. ``limit`` None: shown, not judged."""

    key: str
    value: float
    limit: float | None = None
    at_least: bool = True
    unit: str = "x"
    note: str = ""

    @property
    def met(self) -> bool:
        """The limit itself is kept."""
        return self._kept(0.0)

    @property
    def passed(self) -> bool:
        """The limit is kept but for the slack. A value that could not be measured (NaN) has missed it."""
        return self._kept(SLACK)

    def _kept(self, slack: float) -> bool:
        if self.limit is None:
            return True
        if self.at_least:
            return self.value >= self.limit * (1 - slack)
        return self.value <= self.limit * (1 + slack)

    @property
    def verdict(self) -> str:
        """``ok``, ``within slack`` or ``MISSED``; empty where nothing is judged."""
        if self.limit is None:
            return ""
        return "ok" if self.met else "within slack" if self.passed else "MISSED"

    def as_dict(self) -> dict[str, object]:
        """For another process."""
        return asdict(self)


Rates = dict[str, list[float]]
"""Name of the work -> units per CPU second, one for each round."""


def take_turns(works: Sequence[Work], rounds: int = ROUNDS, turn_s: float = TURN_S) -> Rates:
    """Measure every work in every round."""
    repeats = {work.name: _repeats(work, turn_s) for work in works}
    rates: Rates = {work.name: [] for work in works}
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is not swept again and again on the product's account
    for number in range(rounds):
        for work in works if number % 2 == 0 else reversed(works):
            start = time.process_time()
            for _ in range(repeats[work.name]):
                work.run()
            spent = time.process_time() - start
            rates[work.name].append(work.units * repeats[work.name] / spent)
    gc.unfreeze()
    return rates


def _repeats(work: Work, turn_s: float) -> int:
    """Calls in one turn. The first call is not counted: it warms up."""
    work.run()
    start = time.process_time()
    work.run()
    once = max(time.process_time() - start, 1e-7)
    return max(1, round(turn_s / once))


def ratio(rates: Rates, one: str, other: str) -> float:
    """Median of the per-round ratios."""
    return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def typical(rates: Rates, name: str) -> float:
    """Median rate, for people."""
    return statistics.median(rates[name])


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which ``share`` of all lie; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
