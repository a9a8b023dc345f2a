"""What turns one tool's counts into units: plain arrays, whatever record they came from.

The model of one tip, from the truth to the counts (each step is undone in the opposite order by `force`):

    load     = contact force + tip mass * (axis . specific force at the tip's centre)         newtons
    crept    = load + sum_k creep_share_k * lag(load, creep_s_k)                               first-order lags
    felt     = crept + cross_talk * (crept of the other tip)
    felt     = x + quadratic * x^2 + cubic * x^3                                               solved for x
    measured = x * (1 + gain_per_k * (T - reference)) + zero_per_k * (T - reference)
    counts   = measured / gain + zero_counts

Fields that begin with ``u_`` are standard uncertainties of the field that they are named after; 0 = not known.
Every array has one row per tip, psoas first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

PSOAS, ILIACUS = 0, 1
"""Columns of everything that is per tip."""
TIP_NAMES: Final = ("psoas", "iliacus")
CREEP_TERMS: Final = 3
STANDARD_GRAVITY_M_S2: Final = 9.80665
"""CGPM 1901."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TriaxialCalibration:
    """One three-axis sensor: ``true = matrix @ (measured - bias - bias_per_k * (T - reference))``.

    ``matrix``: (3, 3), ``bias``: (3,) and ``bias_per_k``: (3,) in the sensor's unit (rad/s or m/s2) and per kelvin.
    ``u_matrix``: of the worst element. ``u_bias``: of the worst axis, in the sensor's unit.
    """

    matrix: Array = field(default_factory=lambda: np.eye(3))
    bias: Array = field(default_factory=lambda: np.zeros(3))
    bias_per_k: Array = field(default_factory=lambda: np.zeros(3))
    u_matrix: float = 0.0
    u_bias: float = 0.0

    def apply(self, measured: Array, warmth_k: float = 0.0) -> Array:
        """``measured`` (n, 3) -> (n, 3) calibrated, ``warmth_k`` kelvin above the reference temperature."""
        return np.asarray((measured - (self.bias + self.bias_per_k * warmth_k)) @ self.matrix.T)


@dataclass(frozen=True, slots=True)
class ImuCalibration:
    """Gyroscope and accelerometer of one tool. The default is the identity: the sensor as it is."""

    gyro: TriaxialCalibration = field(default_factory=TriaxialCalibration)
    accelerometer: TriaxialCalibration = field(default_factory=TriaxialCalibration)
    accepted: bool = True
    """False: what was measured was not good enough, and this is the identity."""
    quality: float = float("nan")
    """Worst standard deviation of an element of the gyroscope's matrix (1 = 100 %); NaN where none was estimated."""
    reason: str = ""
    """Why it was not accepted, and what to do, in one sentence."""


@dataclass(frozen=True, slots=True)
class ToolCalibration:
    """Load cells, tips and inertial unit of one tool.

    (2,) each: ``zero_counts``; ``gain_n_per_count``; ``quadratic_per_n`` 1/N; ``cubic_per_n2`` 1/N2;
    ``zero_n_per_k``; ``gain_per_k``; ``cross_talk``; ``tip_mass_kg``; ``contact_area_mm2``, the largest, NaN where
    unknown; ``contact_radius_mm`` of the rounded tip, NaN where flat or unknown.
    ``creep_share``, ``creep_s``: (2, 3), a share of 0 is not used. ``tip_centre_m``: (2, 3) of the tip's mass in
    the IMU frame. ``axis``: (2, 3) unit vectors out of the tips in the IMU frame.
    ``u_gain``, ``u_creep_share``, ``u_cross_talk`` and ``u_area`` are relative or shares, ``u_curve_n`` is newtons at
    worst (see `force.curve_share`), the others are in the unit of their field.
    """

    calibration_id: int
    temperature_c: float
    gravity_m_s2: float
    zero_counts: Array
    gain_n_per_count: Array
    quadratic_per_n: Array
    cubic_per_n2: Array
    zero_n_per_k: Array
    gain_per_k: Array
    cross_talk: Array
    creep_share: Array
    creep_s: Array
    tip_mass_kg: Array
    tip_centre_m: Array
    axis: Array
    contact_area_mm2: Array
    contact_radius_mm: Array
    u_zero_n: Array
    u_gain: Array
    u_curve_n: Array
    u_zero_n_per_k: Array
    u_gain_per_k: Array
    u_cross_talk: Array
    u_creep_share: Array
    u_tip_mass_kg: Array
    u_area: Array
    imu: ImuCalibration = field(default_factory=ImuCalibration)


@dataclass(frozen=True, slots=True)
class ImuScale:
    """Nominal IMU scaling: rad/s and m/s2 per count, samples a second, and where each sensor clips."""

    rate_hz: float
    gyro_rad_s: float
    accel_m_s2: float
    gyro_range_rad_s: float = float("inf")
    accel_range_m_s2: float = float("inf")
