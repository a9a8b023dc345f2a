"""When a link takes messages at all: gates that stand still for a while, or open seldom.

Two views of the same gate. Who owns the tool asks `Gates.room`, so that the tool's own queue fills and drops, as it
does where a real link stands still. Everything else on the way (responses, requests, a proxy's traffic) goes through
`Hold`, which keeps it until the gate opens.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

from nexus_simulator.faults.chain import NEVER, Timed
from nexus_simulator.faults.values import Between, Planned, When

PER_INTERVAL = 6
"""Messages that one connection event carries. Stacks do 4 to 7 [assumption]."""
REMEMBERED = 4
"""Standstills kept: those on both sides of every time that is still asked about."""


class Gate(Protocol):
    """Something that lets through, or does not. Times are asked in no strict order, but not far back."""

    struck: int

    def room(self, t_ns: int) -> int | None:
        """How many messages may pass right at this moment; None: no limit."""

    def next_change(self, t_ns: int) -> int:
        """The first moment after ``t_ns`` at which `room` is another; NEVER: none."""

    def opens(self, t_ns: int) -> int:
        """The first moment from ``t_ns`` on at which something passes."""


class Stall:
    """Nothing passes for a while."""

    def __init__(self, plan: Planned, rng: random.Random) -> None:
        assert plan.value is not None and plan.when is not None
        self._length: Between = plan.value
        self._when: When = plan.when
        self._rng = rng
        self._next = plan.when.after(0, rng)
        self._windows: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self.struck = 0

    def room(self, t_ns: int) -> int | None:
        """Nothing, or no limit."""
        return 0 if self.opens(t_ns) > t_ns else None

    def next_change(self, t_ns: int) -> int:
        """The next beginning or end."""
        self._know(t_ns)
        edges = [edge for window in self._windows for edge in window if edge > t_ns]
        return min(edges, default=NEVER if self._next is None else self._next)

    def opens(self, t_ns: int) -> int:
        """The end of the standstill that this moment is in."""
        self._know(t_ns)
        for begin, end in self._windows:
            if begin <= t_ns < end:
                return end
        return t_ns

    def _know(self, t_ns: int) -> None:
        """Draw all standstills that begin by now; one never begins inside another."""
        while self._next is not None and self._next <= t_ns:
            end = self._next + self._length.pick(self._rng)
            self._windows.append((self._next, end))
            self.struck += 1
            following = self._when.after(self._next, self._rng)
            self._next = None if following is None else max(following, end + 1)


class Interval:
    """Messages pass only at the connection's events, a few at each."""

    def __init__(self, plan: Planned, rng: random.Random) -> None:
        assert plan.value is not None
        self._period: Between = plan.value
        self._when: When | None = plan.when
        self._rng = rng
        self._from = 0
        self._ns = 0 if plan.when else plan.value.pick(rng)
        self._before = (0, 0)
        self._next = plan.when.after(0, rng) if plan.when else None
        self.struck = 0 if plan.when else 1

    def room(self, t_ns: int) -> int | None:
        """A few at an event, nothing between; no limit before the first interval is set."""
        begin, period = self._at(t_ns)
        if not period:
            return None
        return PER_INTERVAL if t_ns > begin and (t_ns - begin) % period == 0 else 0

    def next_change(self, t_ns: int) -> int:
        """The next event, the moment after one, or the next change of the interval."""
        begin, period = self._at(t_ns)
        change = NEVER if self._next is None else self._next
        if not period:
            return change
        since = (t_ns - begin) % period
        return min(change, t_ns + 1 if not since and t_ns > begin else t_ns + period - since)

    def opens(self, t_ns: int) -> int:
        """The next event."""
        begin, period = self._at(t_ns)
        if not period or (t_ns > begin and (t_ns - begin) % period == 0):
            return t_ns
        return t_ns + period - (t_ns - begin) % period

    def _at(self, t_ns: int) -> tuple[int, int]:
        """Since when, and how long, the interval is."""
        while self._next is not None and self._next <= t_ns:
            self._before = (self._from, self._ns)
            self._from, self._ns = self._next, self._period.pick(self._rng)
            self.struck += 1
            assert self._when is not None
            self._next = self._when.after(self._next, self._rng)
        return (self._from, self._ns) if t_ns >= self._from else self._before


class Gates:
    """Several gates in a row: the narrowest counts. Asked in the order of time."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = tuple(gates)
        self._room: int | None = None
        self._until_ns = 0 if self._gates else NEVER

    def state(self, t_ns: int) -> tuple[int | None, int]:
        """How many messages may pass right at this moment (None: no limit), and until when that is so."""
        if t_ns >= self._until_ns:  # most steps change nothing, and each gate takes a while to ask
            rooms = [room for gate in self._gates if (room := gate.room(t_ns)) is not None]
            self._room = min(rooms, default=None)
            self._until_ns = min(gate.next_change(t_ns) for gate in self._gates)
        return self._room, self._until_ns


class Hold:
    """The filter that keeps what comes to a closed gate until it opens. The gate counts, not this."""

    delays: ClassVar[bool] = True

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The item, when the gate is open."""
        t_ns = self._gate.opens(item.t_ns)
        self.struck += t_ns > item.t_ns
        return (Timed(t_ns, item.data),)
