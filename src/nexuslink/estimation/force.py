"""Counts of the load cells to newtons on the tips, and to pressure where the contact area is known."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ToolCalibration
from nexuslink.estimation.errors import CalibrationError

CURVE_KNEE_N: Final = 20.0


def curve_share(force_n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of ``u_curve_n`` that applies at these forces: none at zero, all of it from `CURVE_KNEE_N` on."""
    return np.minimum(np.abs(force_n) / CURVE_KNEE_N, 1.0)


class ForceModel:
    """force = gain * (counts - zero) - tare - (weight of the tip along its axis)."""

    def __init__(self, calibration: ToolCalibration) -> None:
        gain = calibration.gain_n_per_count
        if not np.isfinite(gain).all() or (gain == 0).any():
            raise CalibrationError(f"calibration {calibration.calibration_id}: a gain of {gain.tolist()} N/count")
        if not np.isfinite(calibration.tip_mass_kg).all() or not (np.abs(calibration.tip_mass_kg) < 10).all():
            raise CalibrationError(f"calibration {calibration.calibration_id}: tip masses {calibration.tip_mass_kg}")
        norm = np.linalg.norm(calibration.axis, axis=1)
        if not (np.abs(norm - 1.0) < 1e-3).all():
            raise CalibrationError(f"calibration {calibration.calibration_id}: a tip axis is not a unit vector")
        self._gain = gain
        self._zero = calibration.zero_counts
        self._tip_weight_n = calibration.tip_mass_kg * STANDARD_GRAVITY_M_S2
        with np.errstate(divide="ignore", invalid="ignore"):
            area_mm2 = np.where(calibration.contact_area_mm2 > 0, calibration.contact_area_mm2, np.nan)
            self._kpa_per_n = 1e3 / area_mm2  # 1 N/mm2 = 1000 kPa
        self._tare_n = np.zeros(2)
        self._offset_n = self._gain * self._zero

    @property
    def tare_n(self) -> NDArray[np.float64]:
        """(2,) newtons taken off since the last `tare`."""
        return self._tare_n

    def tare(self, mean_counts: NDArray[np.float64], cosine: NDArray[np.float64]) -> None:
        """Call the present load zero: ``mean_counts`` (2,) measured unloaded, at ``cosine`` (2,) of the angles."""
        self._tare_n = self._gain * (mean_counts - self._zero) - self._tip_weight_n * cosine
        self._offset_n = self._gain * self._zero + self._tare_n

    def newtons(self, raw: NDArray[np.signedinteger], cosine: NDArray[np.float64]) -> NDArray[np.float64]:
        """``raw`` (n, 2) counts, ``cosine`` (n, 2) of the angle from vertical -> (n, 2) contact force, newtons."""
        force = raw.astype(np.float64)
        force *= self._gain
        force -= self._tip_weight_n * cosine
        force -= self._offset_n
        return force

    def kilopascals(self, force_n: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean pressure (n, 2), kPa; NaN where the area is unknown, 0 without compression."""
        return np.maximum(force_n, 0.0) * self._kpa_per_n
