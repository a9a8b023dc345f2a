"""What the electronics make of the truth: integer counts with the errors of real parts.

Load cells: TE Connectivity FX29, 50 lbf (222 N), 20 mV/V unamplified, read by a TI ADS131M02, 24 bits, gain 16
(1.2 V reference, so +-75 mV). Inertial unit: ST LSM6DSO at +-500 deg/s and +-4 g. Figures carry their source; what no
data sheet at hand gave is marked "assumption". Nothing here knows of bodies, messages or clocks: times are seconds
since START, values are SI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import GRAVITY, TIP_AXES, Array

# ---- load cells -------------------------------------------------------------------------------------------------
FORCE_FULL_SCALE_N = 222.4
"""50 lbf, FX29 standard range."""
_BRIDGE_V = 0.060
"""FX29: 20 mV/V, here at 3.0 V excitation."""
_CONVERTER_V = 0.075
"""ADS131M02: 1.2 V reference / gain 16."""
FORCE_MAX_COUNT = (1 << 23) - 1
NOMINAL_N_PER_COUNT = FORCE_FULL_SCALE_N * _CONVERTER_V / _BRIDGE_V / (1 << 23)
"""About 33 uN."""
FORCE_CLIP_N = NOMINAL_N_PER_COUNT * FORCE_MAX_COUNT
"""The converter saturates here, before the cell is damaged (FX29: 2.5 x rated)."""
_NOISE_V_AT = ((250.0, 0.64e-6), (500.0, 0.86e-6), (1000.0, 1.16e-6))
"""ADS131M0x data sheet, table 7-1, gain 16: input-referred RMS noise by data rate (1000 SPS by the table's trend)."""
_GAIN_SPREAD = 0.002
"""Standard deviation of the true gain about the calibration record's [assumption: a good factory calibration]."""
_UNIT_GAIN_SPREAD = 0.03
"""Standard deviation of one cell's gain about nominal [assumption]; the record knows it."""
_ZERO_SPREAD = 0.02
"""Standard deviation of the cell's zero, share of full scale [assumption]; the record knows it as it once was."""
_ZERO_DRIFT = 0.003
"""What has become of that zero since, share of full scale [assumption]: why a tare is needed."""
_ZERO_PER_K = 0.0002
"""Thermal zero shift, share of full scale per kelvin, standard deviation [assumption for a compensated micro cell]."""
_GAIN_PER_K = 0.0001
_NONLINEARITY = 0.001
"""Quadratic bow, share of full scale at mid-range, standard deviation [assumption; FX29 promises 1 % all in]."""
CREEP_SHARE = 0.002
CREEP_S = 120.0
"""Creep of 0.2 % of the load, reached with this time constant [assumption, typical of bonded strain gauges]."""
REFERENCE_C = 25.0
AMBIENT_C = 22.0
WARM_C = 29.0
WARMING_S = 400.0
"""The cells warm from the room toward the body that lies on them [assumption]."""

TIP_MASS_KG = (0.065, 0.045)
"""What each cell carries: the tip [assumption]."""
TIP_AREA_MM2 = (1200.0, 320.0)
"""Contact areas, broad and narrow [assumption: no maker's figure was found]."""

# ---- inertial unit: ST LSM6DSO ----------------------------------------------------------------------------------
# Ranges: data sheet DS12140 Rev 2. Noise, offsets and tolerances are what this class of part is known for
# [assumption: not compared with table 2 of that sheet].
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
GYRO_BIAS = math.radians(0.5)
"""Standard deviation; the bare part's typical zero-rate level is +-1 deg/s."""
ACC_BIAS = 0.004 * GRAVITY
"""Standard deviation after trimming on the board [assumption; the bare part's typical zero-g level is +-20 mg]."""
GYRO_WALK = math.radians(0.002)
"""Wandering of the gyro bias, rad/s per root second [assumption]."""
_SCALE_SPREAD = 0.004
"""Standard deviation of scale; the bare part's typical sensitivity tolerance is +-1 %."""
_MISALIGNMENT = 0.003
"""Standard deviation of the cross-axis terms, rad [assumption: mounting on the board]."""
I16_MAX = (1 << 15) - 1


def force_noise_n(rate_hz: float) -> float:
    """RMS noise of one load cell at that data rate, newtons (log-log through the data sheet's points)."""
    rates, volts = zip(*_NOISE_V_AT, strict=True)
    volt = math.exp(float(np.interp(math.log(rate_hz), np.log(rates), np.log(volts))))
    return volt / _BRIDGE_V * FORCE_FULL_SCALE_N


@dataclass(frozen=True, slots=True)
class CellRecord:
    """What the factory wrote into the tool about one tip; the truth differs a little."""

    zero_counts: int
    gain_n_per_count: float
    tip_mass_kg: float
    contact_area_mm2: float
    axis: tuple[float, float, float]


class LoadCells:
    """Both load cells of one tool. The unit's own errors depend on its seed, the noise also on the take."""

    def __init__(self, seed: int, take: int, rate_hz: float) -> None:
        unit = np.random.default_rng((seed, 2))
        self._gain = NOMINAL_N_PER_COUNT * (1.0 + _UNIT_GAIN_SPREAD * unit.standard_normal(2))
        recorded_gain = self._gain * (1.0 + _GAIN_SPREAD * unit.standard_normal(2))
        full_counts = FORCE_FULL_SCALE_N / NOMINAL_N_PER_COUNT
        recorded_zero = np.rint(full_counts * _ZERO_SPREAD * unit.standard_normal(2))
        self._zero = recorded_zero + full_counts * _ZERO_DRIFT * unit.standard_normal(2)
        self._zero_per_k = FORCE_FULL_SCALE_N * _ZERO_PER_K * unit.standard_normal(2)
        self._gain_per_k = _GAIN_PER_K * unit.standard_normal(2)
        self._bow = 4.0 * _NONLINEARITY / FORCE_FULL_SCALE_N * unit.standard_normal(2)
        self.records = tuple(
            CellRecord(
                int(recorded_zero[tip]),
                float(recorded_gain[tip]),
                TIP_MASS_KG[tip],
                TIP_AREA_MM2[tip],
                (float(TIP_AXES[tip, 0]), float(TIP_AXES[tip, 1]), float(TIP_AXES[tip, 2])),
            )
            for tip in range(2)
        )
        self._noise = force_noise_n(rate_hz)
        self._rate_hz = rate_hz
        self._rng = np.random.default_rng((seed, 3, take))
        self._creep = np.zeros(2)

    def temperature_c(self, t_s: Array) -> Array:
        """Temperature of the cells at times since START, degrees Celsius."""
        return AMBIENT_C + (WARM_C - AMBIENT_C) * (1.0 - np.exp(-t_s / WARMING_S))

    def counts(self, t_s: Array, contact_n: Array, specific_force: Array) -> npt.NDArray[np.int32]:
        """(n, 2) converter counts of consecutive samples.

        t_s: (n,) seconds since START. contact_n: (n, 2) true contact force. specific_force: (n, 3) m/s^2 in the
        sensor frame; its share along a tip's axis times the tip's mass is the tip's weight and inertia.
        """
        load = contact_n + np.array(TIP_MASS_KG) * (specific_force @ TIP_AXES.T)
        warmth = (self.temperature_c(t_s) - REFERENCE_C)[:, None]
        felt = load + self._crept(load)
        felt = felt * (1.0 + self._gain_per_k * warmth) + self._zero_per_k * warmth
        felt = felt + self._bow * load * (1.0 - load / FORCE_FULL_SCALE_N)
        felt = felt + self._noise * self._rng.standard_normal(load.shape)
        counts = np.rint(felt / self._gain + self._zero)
        return np.clip(counts, -FORCE_MAX_COUNT - 1, FORCE_MAX_COUNT).astype(np.int32)

    def _crept(self, load: Array) -> Array:
        """Creep: a first-order lag of the load, its recursion solved for the whole batch at once."""
        n = len(load)
        if n == 0:
            return load
        keep = math.exp(-1.0 / (self._rate_hz * CREEP_S))
        powers = keep ** np.arange(1, n + 1)[:, None]
        lagged = powers * (self._creep + (1.0 - keep) * np.cumsum(load / powers, axis=0))
        self._creep = lagged[-1]
        return CREEP_SHARE * lagged


class InertialUnit:
    """The gyroscope and accelerometer of one tool."""

    def __init__(
        self, seed: int, take: int, rate_hz: float, gyro_lsb: float = GYRO_LSB, acc_lsb: float = ACC_LSB
    ) -> None:
        self._gyro_lsb, self._acc_lsb = gyro_lsb, acc_lsb
        unit = np.random.default_rng((seed, 4))
        self.gyro_bias = GYRO_BIAS * unit.standard_normal(3)
        self.acc_bias = ACC_BIAS * unit.standard_normal(3)
        self.gyro_matrix = _imperfect(unit)
        self.acc_matrix = _imperfect(unit)
        self._rng = np.random.default_rng((seed, 5, take))
        bandwidth = math.sqrt(rate_hz / 2.0)
        self._gyro_noise, self._acc_noise = GYRO_NOISE * bandwidth, ACC_NOISE * bandwidth
        self._step = GYRO_WALK / math.sqrt(rate_hz)
        self._wander = np.zeros(3)

    def counts(self, rate: Array, specific_force: Array) -> npt.NDArray[np.int16]:
        """(n, 6) counts, gyro x y z then accelerometer x y z, from rad/s and m/s^2 of consecutive samples."""
        n = len(rate)
        white = self._rng.standard_normal((n, 9))
        wander = self._wander + self._step * np.cumsum(white[:, 6:], axis=0)
        if n:
            self._wander = wander[-1]
        gyro = rate @ self.gyro_matrix.T + self.gyro_bias + wander + self._gyro_noise * white[:, :3]
        acc = specific_force @ self.acc_matrix.T + self.acc_bias + self._acc_noise * white[:, 3:6]
        counts = np.rint(np.hstack([gyro / self._gyro_lsb, acc / self._acc_lsb]))
        return np.clip(counts, -I16_MAX - 1, I16_MAX).astype(np.int16)


def _imperfect(rng: np.random.Generator) -> Array:
    """(3, 3) near-identity: scale errors on the diagonal, misalignment beside it."""
    errors = _MISALIGNMENT * rng.standard_normal((3, 3))
    np.fill_diagonal(errors, _SCALE_SPREAD * rng.standard_normal(3))
    return np.asarray(np.eye(3) + errors)
