"""The inertial unit of one tool: from the true motion to counts, with the errors of real parts.

ST LSM6DSO at +-500 deg/s and +-4 g. Ranges: data sheet DS12140 Rev 2. Noise, offsets and tolerances are what this
class of part is known for [assumption: not compared with table 2 of that sheet]. The errors of one unit are drawn
elsewhere. Nothing here knows of bodies, records, messages or clocks: values are SI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import GRAVITY, Array
from nexus_simulator.cells import REFERENCE_C

GYRO_LSB = math.radians(0.0175)
"""17.5 mdps/LSB at +-500 deg/s; rad/s."""
GYRO_FULL_SCALE = math.radians(500.0)
ACC_LSB = 0.122e-3 * GRAVITY
"""0.122 mg/LSB at +-4 g; m/s^2."""
ACC_FULL_SCALE = 4.0 * GRAVITY
GYRO_RANGES = {GYRO_FULL_SCALE * factor: GYRO_LSB * factor for factor in (0.25, 0.5, 1.0, 2.0, 4.0)}
"""125 to 2000 deg/s; full scale -> value of one count, rad/s."""
ACC_RANGES = {ACC_FULL_SCALE * factor: ACC_LSB * factor for factor in (0.5, 1.0, 2.0, 4.0)}
"""2 to 16 g; full scale -> value of one count, m/s^2."""
GYRO_NOISE = math.radians(0.0038)
"""3.8 mdps/sqrt(Hz), rad/s/sqrt(Hz)."""
ACC_NOISE = 75e-6 * GRAVITY
"""75 ug/sqrt(Hz) at +-4 g, m/s^2/sqrt(Hz)."""
GYRO_WALK = math.radians(0.002)
"""Wandering of the gyro bias, rad/s per root second [assumption]."""
I16_MAX = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class TriaxialTruth:
    """What one three-axis sensor really does: ``measured = matrix @ true + bias + bias_per_k * th``, then noise.

    matrix: (3, 3). bias: (3,) and bias_per_k: (3,) in the sensor's unit, and per kelvin. th: kelvin above REFERENCE_C.
    """

    matrix: Array
    bias: Array
    bias_per_k: Array

    def measured(self, true: Array, warmth_k: Array) -> Array:
        """(n, 3) from the true values (n, 3), without noise."""
        return np.asarray(true @ self.matrix.T + self.bias + warmth_k[:, None] * self.bias_per_k)


@dataclass(frozen=True, slots=True)
class InertialTruth:
    """Gyroscope, rad/s, and accelerometer, m/s^2, of one tool."""

    gyro: TriaxialTruth
    accelerometer: TriaxialTruth


class InertialUnit:
    """The gyroscope and accelerometer as they read. What they are is given, the noise depends on the seed."""

    def __init__(
        self, truth: InertialTruth, noise_seed: tuple[int, ...], rate_hz: float,
        gyro_lsb: float = GYRO_LSB, acc_lsb: float = ACC_LSB,
    ) -> None:  # fmt: skip
        self._truth = truth
        self._gyro_lsb, self._acc_lsb = gyro_lsb, acc_lsb
        self._rng = np.random.default_rng(noise_seed)
        bandwidth = math.sqrt(rate_hz / 2.0)
        self._gyro_noise, self._acc_noise = GYRO_NOISE * bandwidth, ACC_NOISE * bandwidth
        self._step = GYRO_WALK / math.sqrt(rate_hz)
        self._wander = np.zeros(3)

    def counts(self, rate: Array, specific_force: Array, temperature_c: Array) -> npt.NDArray[np.int16]:
        """(n, 6) counts, gyro x y z then accelerometer x y z, of consecutive samples.

        rate: (n, 3) rad/s. specific_force: (n, 3) m/s^2. temperature_c: (n,).
        """
        n = len(rate)
        white = self._rng.standard_normal((n, 9))
        wander = self._wander + self._step * np.cumsum(white[:, 6:], axis=0)
        if n:
            self._wander = wander[-1]
        warmth = temperature_c - REFERENCE_C
        gyro = self._truth.gyro.measured(rate, warmth) + wander + self._gyro_noise * white[:, :3]
        acc = self._truth.accelerometer.measured(specific_force, warmth) + self._acc_noise * white[:, 3:6]
        counts = np.rint(np.hstack([gyro / self._gyro_lsb, acc / self._acc_lsb]))
        return np.clip(counts, -I16_MAX - 1, I16_MAX).astype(np.int16)
