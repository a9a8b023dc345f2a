"""The force scale: newtons to an angle on the ring and back to a place on the sweep.

The ring's scale is in four straight pieces, so that every plan gives the same picture: *straight up is the middle of
the band*, left is too little, right is too much, and warn and stop stand always at the same place. The notches (every
5 N) show where a newton is wide and where it is narrow. Knows a plan's numbers and nothing of painting.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexuslink.release.plans import Plan

# Degrees clockwise from straight up at 0, band low, band high, warn, stop.
DIAL_DEG = (-135.0, -54.0, 54.0, 104.0, 135.0)


@dataclass(frozen=True, slots=True)
class ForceScale:
    """Where the limits of one plan are, in newtons."""

    low: float
    high: float
    warn: float
    stop: float

    @property
    def stations(self) -> tuple[float, float, float, float, float]:
        """The newtons that stand at ``DIAL_DEG``."""
        return (0.0, self.low, self.high, self.warn, self.stop)

    def degrees(self, force_n: float) -> float:
        """Place on the dial, degrees clockwise from straight up; pinned at both ends, NaN stands at zero."""
        stations = self.stations
        if not force_n > 0.0:
            return DIAL_DEG[0]
        if force_n >= self.stop:
            return DIAL_DEG[-1]
        piece = bisect_right(stations, force_n) - 1
        share = (force_n - stations[piece]) / (stations[piece + 1] - stations[piece])
        return DIAL_DEG[piece] + share * (DIAL_DEG[piece + 1] - DIAL_DEG[piece])

    def notches(self, step_n: float = 5.0) -> list[float]:
        """Whole multiples of ``step_n`` strictly between zero and stop."""
        return [step_n * count for count in range(1, int(self.stop / step_n) + 1) if step_n * count < self.stop]

    def sweep_top(self, peak_n: float) -> float:
        """Top of the sweep, newtons: near the band as long as the force stays there, else up to warn or stop."""
        for top in (1.5 * self.high, 1.05 * self.warn):
            if peak_n < top:
                return top
        return 1.08 * self.stop


def scale_of(plan: Plan) -> ForceScale:
    """The limits of a plan."""
    return ForceScale(plan.band_low_n, plan.band_high_n, plan.warn_n, plan.stop_n)
