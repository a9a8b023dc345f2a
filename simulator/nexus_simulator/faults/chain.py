"""A row of filters that one direction's traffic goes through, in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple, Protocol

NEVER = 1 << 62
"""A time that does not come."""
HELD_MAX = 1 << 16
"""Most items on the way at once; what comes on top of that is lost and counted."""


class Timed(NamedTuple):
    """A message or some bytes, and when they are there."""

    t_ns: int
    data: bytes


class Filter(Protocol):
    """One thing that goes wrong. Called in the order of time; what it gives back is never earlier than what it got."""

    delays: ClassVar[bool]
    """May give back something later than what it got."""
    struck: int
    """How often it has done something."""

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """What becomes of one item."""


class Chain:
    """Filters one behind the other. Whatever the filters delay waits here, so that each sees time go forward."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = tuple(filters)
        delaying = [number for number, one in enumerate(self._filters) if one.delays]
        self._out: list[tuple[int, int, bytes]] = []
        self._waiting: dict[int, list[tuple[int, int, bytes]]] = {number: [] for number in delaying}
        """Behind each filter that delays, what it has delayed."""
        self._serial = 0
        self._held = 0
        self.due_ns = NEVER
        """When something happens in here next."""
        self.overflow = 0
        """Items lost because HELD_MAX were on the way."""

    def push(self, item: Timed) -> None:
        """Something enters; never earlier than what entered before."""
        self._go(0, item)

    def take(self, until_ns: int) -> list[Timed]:
        """Everything that has come out by then, in the order in which it did."""
        if self.due_ns > until_ns:
            return []
        for stage, waiting in self._waiting.items():
            while waiting and waiting[0][0] <= until_ns:
                self._go(stage + 1, self._pop(waiting))
        out: list[Timed] = []
        while self._out and self._out[0][0] <= until_ns:
            out.append(self._pop(self._out))
        self.due_ns = self._out[0][0] if self._out else NEVER
        for waiting in self._waiting.values():
            if waiting and waiting[0][0] < self.due_ns:
                self.due_ns = waiting[0][0]
        return out

    def clear(self) -> None:
        """Everything on the way is lost."""
        for waiting in (self._out, *self._waiting.values()):
            waiting.clear()
        self._held = 0
        self.due_ns = NEVER

    def _go(self, stage: int, item: Timed) -> None:
        """Through the filters from ``stage`` on, up to the next that delays."""
        items: Iterable[Timed] = (item,)
        for number in range(stage, len(self._filters)):
            one = self._filters[number]
            items = [out for each in items for out in one(each)]
            if one.delays:
                self._hold(self._waiting[number], items)
                return
        self._hold(self._out, items)

    def _hold(self, waiting: list[tuple[int, int, bytes]], items: Iterable[Timed]) -> None:
        for t_ns, data in items:
            if self._held >= HELD_MAX:
                self.overflow += 1
                continue
            self._serial += 1
            self._held += 1
            self.due_ns = min(self.due_ns, t_ns)
            heapq.heappush(waiting, (t_ns, self._serial, data))

    def _pop(self, waiting: list[tuple[int, int, bytes]]) -> Timed:
        t_ns, _, data = heapq.heappop(waiting)
        self._held -= 1
        return Timed(t_ns, data)
