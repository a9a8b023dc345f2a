"""How warm the sensors are: the room, and the body that lies on them. Times are seconds since START."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexus_simulator.body import Array

BODY_C = 36.0
BODY_SHARE = 0.5
"""How far from the room's to the body's temperature the cells come in the end [assumption]."""
WARMING_S = 400.0
"""Time constant of that [assumption]."""


@dataclass(frozen=True, slots=True)
class Climate:
    """The room's temperature, degrees Celsius, and whether somebody lies on the tool."""

    ambient_c: float
    occupied: bool = True

    def celsius(self, t_s: Array) -> Array:
        """Temperature of load cells and inertial unit at times t_s (n,), degrees Celsius, (n,)."""
        if not self.occupied:
            return np.full(len(t_s), self.ambient_c)
        rise = BODY_SHARE * (BODY_C - self.ambient_c)
        return np.asarray(self.ambient_c + rise * (1.0 - np.exp(-t_s / WARMING_S)))
