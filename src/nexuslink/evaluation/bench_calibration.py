"""Calibrating a tool on a bench as a person would: six poses on a table, then five weights on each tip.

The person's tools have their errors too, and those are drawn here: what the weights really weigh, how the tool lies,
what gravity really is. Estimation is told the nominal values and their uncertainties, nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.calibration.convert import tool_calibration
from nexuslink.estimation.calibration import TIP_NAMES, ToolCalibration
from nexuslink.estimation.gravity import local_gravity
from nexuslink.estimation.plateau import WeightReading
from nexuslink.estimation.poses import FACES, PLACEMENT_DEG, Pose, calibrate_accelerometer
from nexuslink.estimation.weights import fit_weights
from nexuslink.evaluation.bench import Bench
from nexuslink.evaluation.motion import Array

WEIGHTS_KG: Final = (0.5, 1.5, 3.0, 6.0, 11.0)
U_WEIGHT: Final = 5e-4
"""Relative, standard: a weight of class M2, or one that was weighed on a fair scale."""
ROOM_C: Final = (18.0, 26.0)
LATITUDES_DEG: Final = (-55.0, 65.0)
POSE_S: Final = 3.0
SETTLING_S: Final = 20.0
"""A weight has been on for so long before it is read."""
READING_S: Final = 2.0
CHANGING_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class BenchCalibration:
    """``refused``: what was not accepted and why; the record before was kept for that part."""

    calibration: ToolCalibration
    gravity_m_s2: float
    """The true one, here."""
    end_s: float
    """Time on the bench so far."""
    refused: tuple[str, ...] = ()


def calibrate(bench: Bench, rng: np.random.Generator) -> BenchCalibration:
    """As the record is now -> with the accelerometer, zero, gain and curve of both tips of today."""
    place = local_gravity(float(rng.uniform(*LATITUDES_DEG)), float(rng.uniform(0.0, 1000.0)))
    true_m_s2 = place.m_s2 + place.u_m_s2 * float(rng.standard_normal())
    room_c = float(rng.uniform(*ROOM_C))
    refused = []
    calibration = tool_calibration(bench.record)
    found = calibrate_accelerometer(
        _poses(bench, rng, true_m_s2, room_c), place.m_s2, calibration.imu.accelerometer,
        temperature_c=calibration.temperature_c,
    )  # fmt: skip
    if not found.accepted:
        refused.append(f"poses: {found.reason}")
    calibration = replace(calibration, imu=replace(calibration.imu, accelerometer=found.calibration))
    masses = np.array(WEIGHTS_KG) * (1.0 + U_WEIGHT * rng.standard_normal(len(WEIGHTS_KG)))
    now_s = 0.0
    for tip, name in enumerate(TIP_NAMES):
        readings, now_s = _weigh(bench, rng, calibration, tip, masses, true_m_s2, room_c, now_s)
        fit = fit_weights(tip, readings, calibration, place)
        if not fit.accepted:
            refused.append(f"weights on the {name} tip: {fit.reason}")
        calibration = fit.calibration
    return BenchCalibration(calibration, true_m_s2, now_s, tuple(refused))


def _tilted(up: Array, rng: np.random.Generator) -> Array:
    """A direction (3,) off by `PLACEMENT_DEG` each way."""
    off = up + math.radians(PLACEMENT_DEG) * np.cross(up, rng.standard_normal(3))
    return np.asarray(off / np.linalg.norm(off))


def _poses(bench: Bench, rng: np.random.Generator, gravity_m_s2: float, room_c: float) -> list[Pose]:
    poses = []
    for axis, sign in FACES:
        nominal = np.zeros(3)
        nominal[axis] = sign
        accel = _at_rest(bench, gravity_m_s2 * _tilted(nominal, rng), room_c, POSE_S)
        poses.append(Pose(accel, bench.temperature_reading(room_c), nominal))
    return poses


def _at_rest(bench: Bench, specific_force: Array, celsius: float, seconds: float) -> Array:
    """(n, 3) m/s2 of a still tool, as its data sheet scales the counts."""
    n = round(seconds * bench.imu_scale.rate_hz)
    counts = bench.imu_counts(np.zeros((n, 3)), np.tile(specific_force, (n, 1)), np.full(n, celsius))
    return np.asarray(counts[:, 3:] * bench.imu_scale.accel_m_s2, np.float64)


def _weigh(
    bench: Bench, rng: np.random.Generator, calibration: ToolCalibration, tip: int, masses: Array,
    gravity_m_s2: float, room_c: float, now_s: float,
) -> tuple[list[WeightReading], float]:  # fmt: skip
    """Nothing, each weight from light to heavy, nothing again: on a tip that points up as well as it was put."""
    up = _tilted(bench.tip_axes[tip], rng)
    felt = gravity_m_s2 * up
    celsius = bench.temperature_reading(room_c)
    readings = []
    for nominal, mass in ((0.0, 0.0), *zip(WEIGHTS_KG, masses.tolist(), strict=True), (0.0, 0.0)):
        _load(bench, now_s + np.arange(0.5, CHANGING_S, 0.5), 0.0, tip, felt, room_c)
        on_s = now_s + CHANGING_S
        pull_n = mass * float(bench.tip_axes[tip] @ felt)
        _load(bench, on_s + np.arange(0.02, SETTLING_S, 0.25), pull_n, tip, felt, room_c)
        first_s = on_s + SETTLING_S
        t_s = first_s + np.arange(round(READING_S * bench.force_rate_hz)) / bench.force_rate_hz
        counts = _load(bench, t_s, pull_n, tip, felt, room_c)
        accel = _at_rest(bench, felt, room_c, READING_S).mean(axis=0)
        middle_s = first_s + READING_S / 2
        readings.append(WeightReading(
            mass_kg=nominal, mean_counts=counts.mean(axis=0), std_counts=counts.std(axis=0), samples=len(counts),
            accel_m_s2=calibration.imu.accelerometer.apply(accel, celsius - calibration.temperature_c),
            temperature_c=celsius, u_mass_kg=U_WEIGHT * nominal, t_s=middle_s, loaded_s=middle_s - on_s,
        ))  # fmt: skip
        now_s = first_s + READING_S
    return readings, now_s


def _load(
    bench: Bench, t_s: Array, force_n: float, tip: int, specific_force: Array, celsius: float
) -> NDArray[np.signedinteger]:
    """Counts at these times with a constant load on one tip."""
    n = len(t_s)
    contact = np.zeros((n, 2))
    contact[:, tip] = force_n
    still = np.zeros((n, 3))
    return bench.force_counts(t_s, contact, np.tile(specific_force, (n, 1)), still, np.full(n, celsius))
