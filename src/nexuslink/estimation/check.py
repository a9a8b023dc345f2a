"""The check anyone can do in a minute: a known weight on a tip, is the tool still within its claim?"""

from __future__ import annotations

from dataclasses import dataclass

from nexuslink.estimation.calibration import ToolCalibration
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import WeightReading


@dataclass(frozen=True, slots=True)
class Check:
    """``error = measured_n - expected_n`` against ``u_n``, the standard uncertainty of both together."""

    measured_n: float
    expected_n: float
    u_n: float
    within: bool
    sentence: str


def check_weight(
    tip: int,
    reading: WeightReading,
    calibration: ToolCalibration,
    gravity: Gravity = UNKNOWN_PLACE,
    zero: WeightReading | None = None,
) -> Check:
    """``zero``: a reading with nothing on it at the same place, taken off as a tare is; without it the zero of the
    record counts, with its uncertainty. Raises nothing: a reading that cannot be judged is not within."""
    raise NotImplementedError
