"""Filters of whole messages. They do not look inside."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import ClassVar

from nexus_simulator.faults.chain import Timed
from nexus_simulator.faults.values import Between

COPY_LATER_NS = 20_000_000
"""A second copy comes up to this much later: at once, or behind messages that were sent after it."""
OVERTAKEN_NS = 50_000_000
"""A message that is overtaken is up to this much late."""


class Drop:
    """Loses messages, each with the same probability."""

    delays: ClassVar[bool] = False

    def __init__(self, probability: float, rng: random.Random) -> None:
        self._probability = probability
        self._rng = rng
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """Nothing, or the message."""
        if self._rng.random() >= self._probability:
            return (item,)
        self.struck += 1
        return ()


class Duplicate:
    """Delivers messages twice, each with the same probability."""

    delays: ClassVar[bool] = True

    def __init__(self, probability: float, rng: random.Random) -> None:
        self._probability = probability
        self._rng = rng
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The message, and perhaps its copy a little later."""
        if self._rng.random() >= self._probability:
            return (item,)
        self.struck += 1
        return (item, Timed(item.t_ns + self._rng.randint(0, COPY_LATER_NS), item.data))


class Reorder:
    """Lets messages be overtaken by those behind them, each with the same probability."""

    delays: ClassVar[bool] = True

    def __init__(self, probability: float, rng: random.Random) -> None:
        self._probability = probability
        self._rng = rng
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The message, now or late."""
        if self._rng.random() >= self._probability:
            return (item,)
        self.struck += 1
        return (Timed(item.t_ns + self._rng.randint(1, OVERTAKEN_NS), item.data),)


class Delay:
    """Holds every message back. Where the time varies the order stays: a queue, not a second way."""

    delays: ClassVar[bool] = True

    def __init__(self, span_ns: Between, rng: random.Random) -> None:
        self._span = span_ns
        self._rng = rng
        self._latest_ns = 0
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The message, later."""
        self.struck += 1
        self._latest_ns = max(self._latest_ns, item.t_ns + self._span.pick(self._rng))
        return (Timed(self._latest_ns, item.data),)
