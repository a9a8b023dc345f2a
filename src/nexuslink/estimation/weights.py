"""Known weights on one tip: zero, gain and curve of its cell, and how far to trust them.

Maximum a posteriori by Gauss-Newton. The record before is the prior of what weights alone cannot tell (curve,
temperature, cross-talk, creep, tip mass); zero and gain, which change over the years, are nearly free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexuslink.estimation.calibration import Array, ToolCalibration
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import WeightReading


@dataclass(frozen=True, slots=True)
class WeightFit:
    """What the weights say of one tip.

    ``calibration``: the new one, its reference temperature that of the readings; `before` where not accepted.
    ``residual_n``, ``leave_one_out_n``: (k,) measured minus true force of each reading, newtons, with the final fit
    and with one that never saw that weight; empty where it came to no fit. ``u_leave_one_out_n``: (k,) standard
    uncertainty of the latter. ``claim_n`` 95 % up to ``up_to_n``. ``verdict``: "within 0.4 N up to 60 N".
    ``reason``: why not accepted, and what to do, in one sentence.
    """

    tip: int
    calibration: ToolCalibration
    force_n: Array
    residual_n: Array
    leave_one_out_n: Array
    u_leave_one_out_n: Array
    claim_n: float
    up_to_n: float
    verdict: str
    accepted: bool
    reason: str
    covariance: Array
    """(4, 4) of zero (N), gain (relative), quadratic (1/N) and cubic (1/N2)."""

    def u_of(self, force_n: Array) -> Array:
        """Standard uncertainty of the reading at these forces, newtons, reference temperature."""
        raise NotImplementedError


def fit_weights(
    tip: int, readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity = UNKNOWN_PLACE
) -> WeightFit:
    """``readings`` in any order, all of one tip (`calibration.PSOAS` or `ILIACUS`), zero among them, best twice."""
    raise NotImplementedError
