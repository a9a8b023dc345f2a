"""What turns one tool's counts into units: plain arrays, whatever record they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PSOAS, ILIACUS = 0, 1
"""Columns of everything that is per tip."""


@dataclass(frozen=True, slots=True)
class ToolCalibration:
    """Load cells and tips; every array has one row per tip, psoas first.

    ``zero_counts``: (2,) float64, reading with nothing on the cell.
    ``gain_n_per_count``: (2,) float64.
    ``tip_mass_kg``: (2,) float64, mass that the cell carries with the tip upright.
    ``contact_area_mm2``: (2,) float64, NaN where unknown.
    ``axis``: (2, 3) float64, unit vectors out of the tips in the IMU frame.
    """

    calibration_id: int
    zero_counts: NDArray[np.float64]
    gain_n_per_count: NDArray[np.float64]
    tip_mass_kg: NDArray[np.float64]
    contact_area_mm2: NDArray[np.float64]
    axis: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImuScale:
    """Nominal IMU scaling: rad/s and m/s2 per count, samples a second."""

    rate_hz: float
    gyro_rad_s: float
    accel_m_s2: float
