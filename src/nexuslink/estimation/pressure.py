"""Force on a tip to pressure on the tissue, mean and peak, with its uncertainty.

A tip rounded to the radius R on soft tissue of reduced modulus E* touches it over a circle of radius a with
``a^3 = 3 F R / (4 E*)``, and presses hardest in the middle: 1.5 times the mean (K. L. Johnson, Contact Mechanics,
1985, chapter 4). Its area ``A_h = pi a^2`` grows with the force until the whole face of the tip, ``A_max``, is
buried; between the two the area is taken as ``(A_h^-2 + A_max^-2)^(-1/2)`` [assumption: a smooth limit]. So the mean
pressure is

    p = F / A = hypot(F / A_h, F / A_max)

and the peak is 1.5 times the first part and `FLAT_PEAK` times the second, joined alike. A flat tip, or one of unknown
radius, has the second part only. Where no area is known the pressure is NaN, "unknown".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import ToolCalibration

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tissue:
    """What lies under a tip. ``modulus_pa``: median of the reduced modulus E*; ``spread``: lognormal, 1 sigma."""

    modulus_pa: float
    spread: float


TISSUES: Final = (Tissue(30e3, 0.25), Tissue(60e3, 0.25))
"""Under the psoas tip, under the iliacus tip [assumption: relaxed muscle under skin and fat; there a thinner layer]."""
HERTZ_PEAK: Final = 1.5
FLAT_PEAK: Final = 1.2
"""Peak over mean of a buried face whose edge is rounded [assumption]."""
ASSUMED_U_AREA: Final = 0.1
"""Relative uncertainty of an area whose record gives none [assumption]."""
_MM = 1e-3


class ContactModel:
    """Pressure under both tips. Forces are (n, 2) newtons, pressures (n, 2) kilopascals; no compression is 0 kPa."""

    def __init__(self, calibration: ToolCalibration, tissues: tuple[Tissue, Tissue] = TISSUES) -> None:
        area_m2 = np.asarray(calibration.contact_area_mm2, np.float64) * _MM**2
        radius_m = np.asarray(calibration.contact_radius_mm, np.float64) * _MM
        modulus = np.array([tissue.modulus_pa for tissue in tissues])
        known = np.isfinite(area_m2) & (area_m2 > 0)
        self._flat = np.where(known, 1e-3 / np.where(known, area_m2, 1.0), math.nan)
        """kPa per newton over the whole face."""
        rounded = np.isfinite(radius_m) & (radius_m > 0)
        per_newton = np.where(rounded, 0.75 * np.where(rounded, radius_m, 1.0) / modulus, 1.0)
        self._hertz = np.where(rounded, 1e-3 / (math.pi * per_newton ** (2 / 3)), 0.0)
        """kPa per cube root of newtons."""
        self._rounded = bool(rounded.any())
        self._u_modulus = np.array([tissue.spread for tissue in tissues]) * 2 / 3
        """Relative, of the Hertz part: it goes with the modulus to the power 2/3."""
        self._u_area = np.where(calibration.u_area > 0, calibration.u_area, ASSUMED_U_AREA)

    def kilopascals(self, force_n: Array) -> Array:
        """Mean pressure."""
        return self._joined(force_n, 1.0, 1.0)

    def peak_kilopascals(self, force_n: Array) -> Array:
        """Pressure where it is highest."""
        return self._joined(force_n, HERTZ_PEAK, FLAT_PEAK)

    def u_kilopascals(self, force_n: Array, u_force_n: Array) -> Array:
        """Standard uncertainty of the mean pressure: of force, tissue and area together."""
        force = np.maximum(force_n, 0.0)
        flat, hertz = self._flat * force, self._hertz * np.cbrt(force)
        mean = np.hypot(flat, hertz)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(mean > 0, (hertz / mean) ** 2, 1.0 if self._rounded else 0.0)
            by_force = np.where(
                mean > 0, mean * ((1.0 - share) + share / 3.0) * u_force_n / force, self._flat * u_force_n
            )
        # Near zero the cube root is infinitely steep: there the pressure of the force's own uncertainty is the bound.
        by_force = np.minimum(by_force, self.kilopascals(u_force_n))
        return np.asarray(
            np.sqrt(by_force**2 + (mean * share * self._u_modulus) ** 2 + (mean * (1.0 - share) * self._u_area) ** 2)
        )

    def _joined(self, force_n: Array, hertz_peak: float, flat_peak: float) -> Array:
        force = np.maximum(force_n, 0.0)
        flat = force * (self._flat * flat_peak)
        if not self._rounded:
            return flat
        return np.hypot(flat, np.cbrt(force) * (self._hertz * hertz_peak))
