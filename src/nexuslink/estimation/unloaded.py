"""What a tool with nothing on it says: the zero of both cells, and from several poses the mass of both tips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexuslink.estimation.calibration import Array, ToolCalibration
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import WeightReading


@dataclass(frozen=True, slots=True)
class ZeroFit:
    """``calibration``: new zero (and tip mass where ``mass_known``), `before` where not accepted. ``shift_n``: (2,)
    how far the zero has moved. ``residual_n``: (k, 2)."""

    calibration: ToolCalibration
    shift_n: Array
    residual_n: Array
    mass_known: bool
    accepted: bool
    reason: str


def fit_zero(
    readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity = UNKNOWN_PLACE
) -> ZeroFit:
    """``readings``: one or more with mass 0; four or more poses that differ also determine the tips' masses.

    The centre of a tip's mass cannot be told at rest: it acts only while the tool turns.
    """
    raise NotImplementedError
