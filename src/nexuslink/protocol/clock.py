"""The device's clock seen from the host's: offset and skew from exchanges of four stamps, and how sure they are.

As in NTP (RFC 5905, section 8) a request leaves at t1 (host), arrives at t2 (device), the answer leaves at t3
(device) and arrives at t4 (host). Nothing arrives before it has left, so with H(t) the host's time of a device
time, every exchange proves H(t2) >= t1 and H(t3) <= t4, whatever the queues did. The lines that obey all exchanges
form a convex polygon in the plane of offset and skew (Moon, Skelly and Towsley, INFOCOM 1999, bound one way like
this). Its corners are the uncertainty: no delay, one-sided, constant or in bursts, can put the truth outside.

The line inside it: the skew under which the delays of the two directions, taken as exponential with unknown least
and mean values, are most probable; only slopes of the two hulls' edges can be it. The offset is the middle between
the two bounds, because a constant difference between the directions cannot be seen from such stamps.
Pure: no clock is read here, and no general solver is called (it would wake the linear algebra library's threads).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 128
"""Exchanges remembered."""
MAX_SKEW: Final = 1e-3
"""A crystal is within 100 ppm; ten times that is not a crystal but a mistake."""
USUAL_SKEW: Final = 1e-4
"""Standard deviation that is expected of a skew before anything is known; few exchanges do not outweigh it."""
WANDER: Final = 2e-8
"""How much the skew may change in a second: a crystal of 1 ppm/K that warms by a kelvin in 50 s, in a hand."""
RESOLUTION_NS: Final = 1000.0
"""A stamp of the device is a whole microsecond."""
MAX_STAMP_US: Final = 1 << 63
"""Later device times (292,000 years) are nonsense."""
JUMP_AFTER: Final = 3
"""This many exchanges that contradict all earlier ones and not each other: the clock has jumped."""

_Exchange = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ClockFit:
    """host_ns = origin_host_ns + (t_us - origin_us) * 1000 * (1 + skew)."""

    origin_us: int
    """Device time of the latest exchange."""
    origin_host_ns: float
    skew: float
    """Host time per device time, minus one."""
    skew_uncertainty: float
    """The true skew is within this of ``skew``."""
    span_us: int
    """Device time from the earliest exchange to the latest."""
    round_trip_ns: float
    """The shortest one, without the time in the tool."""
    corners: tuple[tuple[float, float], ...]
    """What is possible: skew, and nanoseconds at the origin, each minus that of the fit."""

    @property
    def uncertainty_ns(self) -> float:
        """`uncertainty_ns_at` the latest exchange."""
        return self.uncertainty_ns_at(self.origin_us)

    def host_ns(self, t_us: float) -> float:
        """Host time of a device time, nanoseconds."""
        return self.origin_host_ns + (t_us - self.origin_us) * 1000.0 * (1.0 + self.skew)

    def uncertainty_ns_at(self, t_us: float) -> float:
        """The true host time is within this of `host_ns`, nanoseconds; grows with the distance from the exchanges."""
        along_ns = (t_us - self.origin_us) * 1000.0
        outside_s = max(along_ns, -along_ns - self.span_us * 1000.0, 0.0) / 1e9
        apart = max(abs(offset + skew * along_ns) for skew, offset in self.corners)
        return apart + WANDER / 2 * outside_s * outside_s * 1e9


class DeviceClock:
    """Collects exchanges, offers the latest fit. One per boot of the tool."""

    def __init__(self) -> None:
        self.fit: ClockFit | None = None
        self.refused = 0
        """Exchanges that cannot have happened: stamps that contradict each other."""
        self.doubted = 0
        """Exchanges that contradicted the earlier ones."""
        self.jumps = 0
        """How often the doubted ones were right after all."""
        self._exchanges: deque[_Exchange] = deque(maxlen=WINDOW)
        self._doubts: deque[_Exchange] = deque(maxlen=JUMP_AFTER)

    def add(self, t1_ns: int, t2_us: int, t3_us: int, t4_ns: int) -> bool:
        """One exchange. False, ignored and counted, where it cannot be."""
        held_ns = (t3_us - t2_us) * 1000
        least_ns = -RESOLUTION_NS - MAX_SKEW * held_ns
        if not 0 <= t2_us <= t3_us < MAX_STAMP_US or t4_ns < t1_ns or t4_ns - t1_ns - held_ns < least_ns:
            self.refused += 1
            return False
        exchange = (t1_ns, t2_us, t3_us, t4_ns)
        fit = _fitted([*self._exchanges, exchange][-WINDOW:])
        if fit is None:
            return self._doubt(exchange)
        self._doubts.clear()
        self._exchanges.append(exchange)
        self.fit = fit
        return True

    def _doubt(self, exchange: _Exchange) -> bool:
        self.doubted += 1
        self._doubts.append(exchange)
        fit = _fitted(list(self._doubts))
        if fit is None:
            self._doubts.clear()
            self._doubts.append(exchange)
        elif len(self._doubts) == JUMP_AFTER:
            self.jumps += 1
            self._exchanges = deque(self._doubts, WINDOW)
            self._doubts.clear()
            self.fit = fit
            return True
        return False


class _Bound:
    """One direction's points and their convex hull: which line of a given slope touches it, in a few steps.

    ``side`` is 1 where lines must stay under all points, -1 where they must stay over them; the points of the
    latter are kept upside down.
    """

    def __init__(self, points: list[tuple[float, float]], side: int) -> None:
        self._side = side
        self._hull: list[tuple[float, float]] = []
        self._rising: list[float] = []
        self._mean_x = sum([x for x, _ in points]) / len(points)
        self._mean_y = sum([y for _, y in points]) / len(points)
        hull, rising = self._hull, self._rising
        last_x, last_y = -math.inf, 0.0
        for x, y in sorted(points if side == 1 else [(x, -y) for x, y in points]):
            if x == last_x:  # the same device time again: the nearer point came first
                continue
            while rising and y - last_y <= rising[-1] * (x - last_x):
                hull.pop()
                rising.pop()
                last_x, last_y = hull[-1]
            if hull:
                rising.append((y - last_y) / (x - last_x))
            hull.append((x, y))
            last_x, last_y = x, y
        self.slopes = [side * slope for slope in rising]
        """Of the hull's edges, as lines have them."""

    def at(self, slope: float) -> float:
        """Height at x = 0 of the line that touches the hull."""
        x, y = self._hull[bisect_left(self._rising, self._side * slope)]
        return self._side * y - slope * x

    def slack(self, slope: float, height: float) -> float:
        """Mean distance of the points from the line of this slope and `at` height."""
        return self._side * (self._mean_y - slope * self._mean_x - height)


def _fitted(exchanges: list[_Exchange]) -> ClockFit | None:
    """The best line through the bounds of all exchanges; ``None`` where no line obeys them all."""
    t1s, t2s, t3s, t4s = zip(*exchanges, strict=True)
    origin_us, origin_ns = (t2s[-1] + t3s[-1]) // 2, (t1s[-1] + t4s[-1]) // 2
    span_us = max(t3s) - min(t2s)
    host_s = (max(t4s) - min(t1s)) / 1e9
    loose = RESOLUTION_NS + WANDER / 8 * host_s * host_s * 1e9  # how far a wandering clock leaves its chord
    low, high = (
        _Bound([(1000.0 * (t - origin_us), (host - origin_ns) - 1000 * (t - origin_us) + side * loose)
                for t, host in zip(times, hosts, strict=True)], side)
        for times, hosts, side in ((t2s, t1s, -1), (t3s, t4s, 1))
    )  # fmt: skip

    edges = {0.0, -MAX_SKEW, MAX_SKEW, *low.slopes, *high.slopes}
    skews = sorted(s for s in edges if abs(s) <= MAX_SKEW)
    rooms = [high.at(s) - low.at(s) for s in skews]
    possible = [s for s, room in zip(skews, rooms, strict=True) if room >= 0]
    if not possible:
        return None
    first, last = skews.index(possible[0]), skews.index(possible[-1])
    if first > 0:  # between two neighbours both bounds are straight, and so is the room between them
        possible.insert(0, _root(skews, rooms, first - 1, first))
    if last < len(skews) - 1:
        possible.append(_root(skews, rooms, last + 1, last))

    def improbable(skew: float) -> float:
        delays = (low.slack(skew, low.at(skew)), high.slack(skew, high.at(skew)))
        prior = (skew / USUAL_SKEW) ** 2 / 2
        return prior + len(exchanges) * sum(math.log(max(delay, 0.0) + RESOLUTION_NS) for delay in delays)

    skew = min(possible, key=improbable)
    offset = (low.at(skew) + high.at(skew)) / 2
    corners = tuple((s - skew, height - offset) for s in possible for height in (low.at(s), high.at(s)))
    round_trip = min(t4 - t1 - (t3 - t2) * 1000 for t1, t2, t3, t4 in exchanges)
    return ClockFit(
        origin_us, origin_ns + offset, skew, max(skew - possible[0], possible[-1] - skew), span_us,
        max(0.0, float(round_trip)), corners,
    )  # fmt: skip


def _root(skews: list[float], rooms: list[float], outside: int, inside: int) -> float:
    """The skew between two neighbours at which the room for a line ends."""
    share = rooms[inside] / (rooms[inside] - rooms[outside])
    return skews[inside] + share * (skews[outside] - skews[inside])
