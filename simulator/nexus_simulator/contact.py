"""What presses where: the true pressure under a rounded tip on soft tissue.

Hertz's contact of a rigid sphere with an elastic half space gives a contact area that grows with force; the tip's own
face bounds it. Knows no cell, no record and no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nexus_simulator.body import Array

HERTZ_PEAK = 1.5
"""Peak to mean pressure of Hertz's contact."""
FACE_PEAK = 1.2
"""The same of a buried face whose edge is rounded [assumption]."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Both tips and what lies under them, psoas first; (2,) each.

    area_mm2: the tip's face, the largest contact area. radius_mm: of the rounding. modulus_pa: effective (plane
    strain) modulus of the tissue.
    """

    area_mm2: Array
    radius_mm: Array
    modulus_pa: Array

    def pressure_kpa(self, force_n: Array) -> tuple[Array, Array]:
        """Mean and peak pressure, kPa, (n, 2) each, under force_n (n, 2); 0 without compression.

        a^3 = 3 F R / (4 E*), A_h = pi a^2, A = (A_h^-2 + A_max^-2)^(-1/2). Each part has its own peak.
        """
        force = np.maximum(force_n, 0.0)
        a_m = np.cbrt(3.0 * force * (self.radius_mm * 1e-3) / (4.0 * self.modulus_pa))
        hertz = 1e-3 * np.divide(force, math.pi * a_m * a_m, out=np.zeros_like(force), where=force > 0.0)
        face = 1e3 * force / self.area_mm2
        return np.hypot(hertz, face), np.hypot(HERTZ_PEAK * hertz, FACE_PEAK * face)
