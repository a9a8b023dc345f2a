"""One still moment of a tool with a known weight on one tip, and what the model of `calibration` says of it at rest.

At rest the specific force is gravity alone: its size is known better from the place than from the accelerometer, its
direction comes from the accelerometer. Knows arrays only, no procedure, no link and no clock.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexuslink.estimation.calibration import Array


class WeightReading(NamedTuple):
    """The mean over one plateau: a known weight on one tip, nothing on the other.

    ``mass_kg``: 0 = nothing on it. The same mass twice is taken for the same weight.
    ``mean_counts``, ``std_counts``: (2,) of both cells; ``samples``: how many they are of.
    ``accel_m_s2``: (3,) mean calibrated specific force, IMU frame: any angle will do. A weight stands on a tip that
    points up and hangs from one that points down: the pull then counts as negative.
    ``u_mass_kg``: standard uncertainty of the mass, 0 = not known (see `weights.TYPICAL`).
    ``t_s``: middle of the plateau, device time. ``loaded_s``: how long the weight had been on (or nothing, for mass
    0) at that time; infinity = very long.
    """

    mass_kg: float
    mean_counts: Array
    std_counts: Array
    samples: int
    accel_m_s2: Array
    temperature_c: float
    u_mass_kg: float = 0.0
    t_s: float = 0.0
    loaded_s: float = math.inf


def along_axis_m_s2(reading: WeightReading, axis: Array, gravity_m_s2: float) -> Array:
    """Gravity's specific force along both tips, (2,): positive where a tip points up."""
    up = reading.accel_m_s2 / np.linalg.norm(reading.accel_m_s2)
    return np.asarray(gravity_m_s2 * (axis @ up))
