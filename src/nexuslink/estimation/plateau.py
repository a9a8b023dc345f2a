"""One still moment of a tool with a known weight on one tip, and what the model of `calibration` says of it at rest.

At rest the specific force is gravity alone: its size is known better from the place than from the accelerometer, its
direction comes from the accelerometer. Knows arrays only, no procedure, no link and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from nexuslink.estimation.calibration import CREEP_TERMS, Array, ToolCalibration
from nexuslink.estimation.force_uncertainty import SLOW_CREEP_S, TYPICAL, U_ACCEL_TYPICAL_M_S2

U_MASS_TYPICAL: Final = 0.01
"""Relative, of a weight that nobody vouches for [assumption: gym plates]."""
U_MASS_LEAST: Final = 1e-6
"""Relative: a weight of OIML R 111 class E2 is known no better."""
U_REPEAT_N: Final = 0.002
"""Of any plateau, whatever its noise [assumption]: temperature between two reports of it, the seat of the weight."""


class WeightReading(NamedTuple):
    """The mean over one plateau: a known weight on one tip, nothing on the other.

    ``mass_kg``: 0 = nothing on it. The same mass twice is taken for the same weight.
    ``mean_counts``, ``std_counts``: (2,) of both cells; ``samples``: how many they are of.
    ``accel_m_s2``: (3,) mean calibrated specific force, IMU frame: any angle will do. A weight stands on a tip that
    points up and hangs from one that points down: the pull then counts as negative.
    ``u_mass_kg``: standard uncertainty of the mass, 0 = not known (`U_MASS_TYPICAL`).
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


@dataclass(frozen=True, slots=True)
class Plateaus:
    """Readings as columns, k rows in the order of their times; fields as in `WeightReading`, (2,) there: (k, 2)."""

    mass: Array
    u_mass: Array
    counts: Array
    std: Array
    samples: Array
    accel: Array
    temperature: Array
    t: Array
    loaded: Array

    @classmethod
    def of(cls, readings: Sequence[WeightReading]) -> Plateaus:
        """Sorted by time, unknown ``u_mass`` filled in."""
        columns = [np.asarray(column, np.float64) for column in zip(*readings, strict=True)]
        mass, counts, std, samples, accel, temperature, u_mass, t, loaded = columns
        u_mass = np.where(u_mass > 0, np.maximum(u_mass, U_MASS_LEAST * mass), U_MASS_TYPICAL * mass)
        order = np.argsort(t, kind="stable")
        return cls(*(column[order] for column in (mass, u_mass, counts, std, samples, accel, temperature, t, loaded)))

    def lags(self, creep_s: Array) -> Array:
        """(terms, k, k): times a contact force (k,) = that force behind each first-order lag, in the plateaus' middle.

        A weight counts as being on from its ``loaded_s`` until the next one's: the few seconds between them do not
        matter beside time constants of minutes.
        """
        start = self.t - self.loaded
        end = np.append(start[1:], np.inf)
        with np.errstate(invalid="ignore"):
            since_start = np.maximum(self.t[:, None] - start, 0.0)
            since_end = np.clip(self.t[:, None] - end, 0.0, since_start)
        since_end[np.diag_indices_from(since_end)] = 0.0
        since_start, since_end = np.tril(since_start), np.tril(since_end)  # what comes later leaves no trace
        time_s = creep_s[:, None, None]
        return np.asarray(np.exp(-since_end / time_s) - np.exp(-since_start / time_s))


def u_or_typical(calibration: ToolCalibration, field: str, tip: int) -> float:
    """That uncertainty of the record, or what is typical where it is not known."""
    return float(getattr(calibration, field)[tip]) or TYPICAL[field]


def u_accel_m_s2(calibration: ToolCalibration, gravity_m_s2: float) -> float:
    """Of one axis of the mean specific force of a still tool."""
    accelerometer = calibration.imu.accelerometer
    return math.hypot(accelerometer.u_bias, accelerometer.u_matrix * gravity_m_s2) or U_ACCEL_TYPICAL_M_S2


def along_axis_m_s2(accel_m_s2: Array, axis: Array, gravity_m_s2: float) -> Array:
    """Gravity's specific force along axes (2, 3), positive where a tip points up: (k, 3) -> (k, 2)."""
    norm = np.sqrt((accel_m_s2 * accel_m_s2).sum(axis=-1, keepdims=True))
    return np.asarray(gravity_m_s2 * ((accel_m_s2 / norm) @ axis.T))


def felt_n(calibration: ToolCalibration, counts: Array, temperature_c: Array | float) -> Array:
    """What the cells feel, (k, 2), of ``counts`` (k, 2): temperature and curve undone."""
    warmth = (np.asarray(temperature_c) - calibration.temperature_c)[..., None]
    x = (counts - calibration.zero_counts) * calibration.gain_n_per_count - calibration.zero_n_per_k * warmth
    x = x / (1.0 + calibration.gain_per_k * warmth)
    return np.asarray(x * (1.0 + x * (calibration.quadratic_per_n + x * calibration.cubic_per_n2)))


def creep_terms(calibration: ToolCalibration, tip: int) -> tuple[Array, Array]:
    """Shares and time constants (terms,) of the exponentials in use and, last, of a slow one that no record holds."""
    share, time_s = calibration.creep_share[tip], calibration.creep_s[tip]
    used = (share != 0) & (time_s > 0)
    return np.append(share[used], 0.0), np.append(time_s[used], SLOW_CREEP_S)


def u_creep_term(calibration: ToolCalibration, tip: int) -> float:
    """Of one exponential's share: the record's one number is spread evenly over its terms and the slow one."""
    return u_or_typical(calibration, "u_creep_share", tip) / math.sqrt(1 + CREEP_TERMS)
