"""The device's clock seen from the host's: offset and skew from exchanges of four time stamps.

As in NTP (RFC 5905, section 8): a request leaves at t1 (host), arrives at t2 (device), the answer leaves at t3
(device) and arrives at t4 (host). Queues only ever *add* delay, so the exchanges with the shortest round trip are
the truest; the line is fitted through those. A constant difference between the two directions cannot be seen
from such stamps: it stays within the stated uncertainty of half the shortest round trip.
Pure: no clock is read here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

WINDOW: Final = 128
"""Exchanges remembered."""
SKEW_SPAN_S: Final = 5.0
"""Below this span of device time only the offset is fitted: the noise of the stamps would pass for skew."""
MAX_SKEW: Final = 1e-3
"""A crystal is within 100 ppm; more than ten times that is not a crystal but a mistake."""


@dataclass(frozen=True, slots=True)
class ClockFit:
    """host_ns = origin_host_ns + (t_us - origin_us) * 1000 * (1 + skew)."""

    origin_us: int
    origin_host_ns: float
    skew: float
    """Host time per device time, minus one."""
    uncertainty_ns: float
    """Half the shortest round trip: what a one-sided delay can hide."""

    def host_ns(self, t_us: float) -> float:
        """Host time of a device time, nanoseconds."""
        return self.origin_host_ns + (t_us - self.origin_us) * 1000.0 * (1.0 + self.skew)


class DeviceClock:
    """Collects exchanges, offers the latest fit. One per boot of the tool."""

    def __init__(self) -> None:
        self._exchanges: deque[tuple[float, int, float]] = deque(maxlen=WINDOW)  # round trip ns, device us, host ns
        self.fit: ClockFit | None = None

    def add(self, t1_ns: int, t2_us: int, t3_us: int, t4_ns: int) -> bool:
        """One exchange. False (and ignored) where the stamps contradict each other."""
        round_trip = (t4_ns - t1_ns) - (t3_us - t2_us) * 1000
        if t4_ns < t1_ns or t3_us < t2_us or round_trip < 0:
            return False
        self._exchanges.append((float(round_trip), (t2_us + t3_us) // 2, (t1_ns + t4_ns) / 2))
        self.fit = self._fitted()
        return True

    def _fitted(self) -> ClockFit:
        table = np.array(self._exchanges)
        shortest = float(table[:, 0].min())
        good = table[table[:, 0] <= 1.5 * shortest + 100_000.0]
        origin_us, origin_ns = int(good[-1, 1]), float(good[-1, 2])
        device_us, host_ns = good[:, 1] - origin_us, good[:, 2] - origin_ns
        skew = 0.0
        if device_us[-1] - device_us[0] >= SKEW_SPAN_S * 1e6:
            # The slope in closed form: a general solver wakes the linear algebra library's threads for 15 ms.
            along = device_us * 1000.0 - np.mean(device_us * 1000.0)
            slope = float((along * (host_ns - np.mean(host_ns))).sum() / (along * along).sum())
            skew = slope - 1.0 if abs(slope - 1.0) <= MAX_SKEW else 0.0
        offset = float(np.median(host_ns - device_us * 1000.0 * (1.0 + skew)))
        return ClockFit(origin_us, origin_ns + offset, skew, shortest / 2)
