"""A simulated inertial unit moved by a simulated hand: the true attitude and the true errors are known.

The errors that the batch fit assumes on top of white noise are drawn here as it assumes them [assumption].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation import ImuRecording
from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2

Array = NDArray[np.float64]
EVERY_AXIS = (1.0, 1.0, 1.0)


class Sensor(NamedTuple):
    """``measured = inverse of the true matrix @ true + bias``."""

    gyro_matrix: Array
    accel_matrix: Array
    gyro_bias: Array
    accel_bias: Array


def sensor(rng: np.random.Generator, spread: float = 0.003) -> Sensor:
    accel = spread * rng.standard_normal((3, 3))
    return Sensor(
        np.eye(3) + spread * rng.standard_normal((3, 3)), np.eye(3) + (accel + accel.T) / 2,
        np.radians(0.3) * rng.standard_normal(3), 0.05 * rng.standard_normal(3),
    )  # fmt: skip


def recording(
    rng: np.random.Generator, unit: Sensor, seconds: float = 60.0, rate_hz: float = 100.0,
    turning_deg_s: float = 100.0, about: tuple[float, float, float] = EVERY_AXIS, reach_m: float = 0.2,
    noise: float = 1.0,
) -> tuple[ImuRecording, Array]:  # fmt: skip
    """What the unit measures of a hand's movement with rests in it, and the true attitude, (n, 4).

    ``turning_deg_s``: rms about each axis, times ``about``. ``noise``: share of the errors that the batch fit assumes.
    """
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    moving = _moving(t, seconds)
    rate = np.radians(turning_deg_s) * np.array(about) * _wandering(rng, t, 0.1, 1.2) * moving
    place = reach_m * _wandering(rng, t, 0.2, 1.2) * moving
    attitude = _turned(rate, rate_hz, _first_attitude(rng))
    accel = np.gradient(np.gradient(place, 1 / rate_hz, axis=0), 1 / rate_hz, axis=0)
    accel[:, 2] += STANDARD_GRAVITY_M_S2
    felt = _rotate_back(attitude, accel)
    swing = 5e-3 * np.sqrt(np.convolve((felt - felt.mean(axis=0)).var(axis=1) * 3, np.ones(25) / 25, "same"))
    white = noise * np.sqrt(rate_hz)
    rate_noise = np.hypot(np.radians(0.03), 5e-4 * np.linalg.norm(rate, axis=1))[:, None]
    accel_noise = np.hypot(0.05, swing)[:, None] * np.where(moving > 0, 1.0, 0.1)
    rate_noise = rate_noise * np.where(moving > 0, 1.0, 0.3)
    gyro = rate @ np.linalg.inv(unit.gyro_matrix).T + unit.gyro_bias
    gyro += white * rate_noise * rng.standard_normal(gyro.shape)
    gyro += np.radians(0.002) * noise / np.sqrt(rate_hz) * np.cumsum(rng.standard_normal(gyro.shape), axis=0)
    felt = felt @ np.linalg.inv(unit.accel_matrix).T + unit.accel_bias
    felt += white * accel_noise * rng.standard_normal(felt.shape)
    return ImuRecording(gyro, felt, rate_hz), attitude


def _moving(t: Array, seconds: float) -> Array:
    """(n, 1): 0 at rest, 1 in movement, smooth between; rests at both ends and in the middle, 6 s each."""
    from_rest = np.minimum(np.minimum(t, np.abs(t - seconds / 2)), seconds - t) - 3.0
    x = np.clip(from_rest / 2.0, 0.0, 1.0)
    return (x**3 * (10 - 15 * x + 6 * x * x))[:, None]


def _wandering(rng: np.random.Generator, t: Array, low_hz: float, high_hz: float) -> Array:
    """(n, 3) of unit rms: eight sines an axis."""
    frequency = rng.uniform(low_hz, high_hz, (8, 1, 3))
    return 0.5 * np.sin(2 * np.pi * (frequency * t[:, None] + rng.uniform(size=(8, 1, 3)))).sum(axis=0)


def _first_attitude(rng: np.random.Generator) -> Array:
    first = rng.standard_normal(4)
    return np.asarray(first / np.linalg.norm(first))


def product(a: Array, b: Array) -> Array:
    """Hamilton product of quaternions, (..., 4), w first."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [aw * bw - ax * bx - ay * by - az * bz, aw * bx + ax * bw + ay * bz - az * by,
         aw * by - ax * bz + ay * bw + az * bx, aw * bz + ax * by - ay * bx + az * bw], axis=-1,
    )  # fmt: skip


def _turned(rate: Array, rate_hz: float, first: Array) -> Array:
    """Attitude after each sample: a running product, by doubling."""
    half = (rate[1:] + rate[:-1]) / (4 * rate_hz)
    angle = np.linalg.norm(half, axis=1, keepdims=True)
    steps = np.concatenate([np.cos(angle), half * np.sinc(angle / np.pi)], axis=1)
    chain = np.concatenate([first[None], steps])
    reach = 1
    while reach < len(chain):
        chain[reach:] = product(chain[:-reach], chain[reach:])
        reach *= 2
    return np.asarray(chain / np.linalg.norm(chain, axis=1, keepdims=True))


def _rotate_back(attitude: Array, vectors: Array) -> Array:
    inverse = attitude * np.array([1.0, -1.0, -1.0, -1.0])
    padded = np.concatenate([np.zeros((len(vectors), 1)), vectors], axis=1)
    return product(product(inverse, padded), attitude)[:, 1:]


def inclination_deg(attitude: Array, truth: Array) -> Array:
    """Angle between the two directions of up, (n,), degrees."""
    error = product(attitude, truth * np.array([1.0, -1.0, -1.0, -1.0]))
    return np.degrees(2 * np.arccos(np.minimum(1.0, np.hypot(error[:, 0], error[:, 3]))))
