"""One manufactured tool, by its seed: what its factory measured and recorded, and what it really is.

The factory's bench has its uncertainty, and tools age. Each recorded coefficient carries its standard uncertainty
``u_``, and the truth is drawn about the value as the record stores it: recorded value + u_ * standard normal. What
one ``u_`` says for several coefficients is told in `_load_cells` and `_accelerometer`. Axes, the tips' centres, the
roundings and the time constants of creep have no ``u_``: the record has them as they are. Every spread and
uncertainty here is an assumption, unless it says where it is from.

Knows the record's structures, and no stream, no clock, no body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import GRAVITY, TIP_AXES, Array
from nexus_simulator.cells import FORCE_FULL_SCALE_N, NOMINAL_N_PER_COUNT, CellTruth
from nexus_simulator.contact import Contact
from nexus_simulator.inertial import InertialTruth, TriaxialTruth
from nexuslink.protocol.messages import MAX_CREEP_TERMS, ForceCalibration, SensorCalibration

# ---- how units differ, standard deviations; the record knows ----------------------------------------------------
_GAIN_SPREAD = 0.03
_ZERO_SPREAD_N = 0.02 * FORCE_FULL_SCALE_N
_NONLINEARITY_N = 0.001 * FORCE_FULL_SCALE_N
"""Bow of the curve at mid-range, by its quadratic term, and the same by its cubic term [FX29 promises 1 % all in]."""
_ZERO_N_PER_K = 0.0002 * FORCE_FULL_SCALE_N
_GAIN_PER_K = 0.0001
_CROSS_TALK = 0.002
_TIP_MASS_KG = (0.065, 0.045)
_TIP_MASS_SPREAD = 0.02
_TIP_CENTRE_M = ((0.0, 0.0, 0.060), (0.035, 0.0, 0.050))
_TIP_AREA_MM2 = (1200.0, 320.0)
"""The tips' faces, broad and narrow: no maker's figure was found."""
_TIP_RADIUS_MM = (30.0, 12.0)
_CREEP = ((0.0006, 1.6, 2.4), (0.0010, 15.0, 40.0), (0.0014, 135.0, 165.0))
"""Share of the load after a long time, and the range of its time constant, seconds: bonded strain gauges creep some
tenths of a percent over seconds to minutes."""
_CREEP_SPREAD = 0.2
_SCALE = 0.004
"""Of one axis of the inertial unit; the bare part's typical sensitivity tolerance is +-1 %."""
_MISALIGNMENT = 0.003
"""Cross-axis terms, rad."""
_GYRO_BIAS = math.radians(0.5)
"""The bare part's typical zero-rate level is +-1 deg/s."""
_GYRO_BIAS_PER_K = math.radians(0.005)
_ACC_BIAS = 0.003 * GRAVITY
"""What trimming on the board leaves; the bare part's typical zero-g level is +-20 mg."""
_ACC_BIAS_PER_K = 0.0001 * GRAVITY

# ---- what the factory's bench achieves, and what time does to it: standard uncertainties ------------------------
_U_GAIN, _AGED_GAIN = 0.0005, 0.002
_U_ZERO_N, _AGED_ZERO_N = 0.02, 0.003 * FORCE_FULL_SCALE_N
"""Why a tare is needed."""
_U_CURVE_N = 0.05
_U_ZERO_N_PER_K = 0.002
_U_GAIN_PER_K = 1e-5
_U_CROSS_TALK = 2e-4
_U_CREEP_SHARE = 3e-4
_U_TIP_MASS_KG = 3e-4
_U_AREA = 0.03
_U_ACC_MATRIX = 5e-4
_U_ACC_BIAS, _AGED_ACC_BIAS = 0.0003 * GRAVITY, 0.004 * GRAVITY
_U_ACC_BIAS_PER_K = 0.00002 * GRAVITY
ACC_WARMTH_K = 15.0
"""So far from the reference temperature ``u_bias`` of the accelerometer covers its slope, which has none of its own."""
PROOF_LOAD_N = 200.0
"""The factory loads every cell this far."""
_UNRECORDED_CREEP_S = 600.0
"""A slow creep that three exponentials do not hold."""
THERMOMETER_K = 0.3

# ---- tissue under the tip: not of the tool, and in no record ----------------------------------------------------
_MODULUS_PA = (30e3, 60e3)
_MODULUS_SPREAD = 0.25
"""Of the logarithm."""

_NONE = (0.0, 0.0, 0.0)
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Unit:
    """One tool: the sensors' part of its record as it left the factory, and the truth today."""

    force: tuple[ForceCalibration, ...]
    gyro: SensorCalibration
    accelerometer: SensorCalibration
    cells: CellTruth
    inertial: InertialTruth
    contact: Contact
    thermometer_error_k: float

    def temperature_reading(self, celsius: float) -> float:
        """What the tool's thermometer says, degrees Celsius."""
        return celsius + self.thermometer_error_k


def make_unit(seed: int) -> Unit:
    """The tool of that seed: always the same."""
    force, cells, area_mm2 = _load_cells(np.random.default_rng((seed, 2)))
    rng = np.random.default_rng((seed, 4))
    gyro = TriaxialTruth(
        _imperfect(rng), _GYRO_BIAS * rng.standard_normal(3), _GYRO_BIAS_PER_K * rng.standard_normal(3)
    )
    accelerometer, acc = _accelerometer(rng)
    other = np.random.default_rng((seed, 8))
    modulus = np.array(_MODULUS_PA) * np.exp(_MODULUS_SPREAD * other.standard_normal(2))
    return Unit(
        force=force,
        gyro=SensorCalibration(_IDENTITY, _NONE, _NONE, 0.0, 0.0),
        accelerometer=accelerometer,
        cells=cells,
        inertial=InertialTruth(gyro, acc),
        contact=Contact(area_mm2, np.array(_TIP_RADIUS_MM), modulus),
        thermometer_error_k=THERMOMETER_K * float(other.standard_normal()),
    )


def _load_cells(rng: np.random.Generator) -> tuple[tuple[ForceCalibration, ...], CellTruth, Array]:
    """Records and truth of both tips, and the true area of their faces, mm2.

    ``u_curve_n`` is one number for two terms. The factory's gain is that of the line through both ends, so its curve is
    wrong in between, by u_curve_n * standard normal * 27/4 s^2 (1 - s), s being the share of full scale: most at 2/3.
    ``u_creep_share`` is one number for all of creep: each of the three shares and that of a slow creep which the
    record does not hold is wrong by half of it, so that in sum it is what remains after a long time.
    """

    def normal(shape: tuple[int, ...] = (2,)) -> Array:
        return rng.standard_normal(shape)

    gain = NOMINAL_N_PER_COUNT * (1.0 + _GAIN_SPREAD * normal())
    zero = np.rint(_ZERO_SPREAD_N / NOMINAL_N_PER_COUNT * normal())
    u_zero, u_gain = _stored(math.hypot(_U_ZERO_N, _AGED_ZERO_N)), _stored(math.hypot(_U_GAIN, _AGED_GAIN))
    bow = 4.0 * _NONLINEARITY_N / FORCE_FULL_SCALE_N**2
    quadratic = _stored(bow * normal())
    cubic = _stored(bow / FORCE_FULL_SCALE_N * normal())
    zero_per_k = _stored(_ZERO_N_PER_K * normal())
    gain_per_k = _stored(_GAIN_PER_K * normal())
    cross_talk = _stored(_CROSS_TALK * normal())
    mass = _stored(np.array(_TIP_MASS_KG) * (1.0 + _TIP_MASS_SPREAD * normal()))
    share, shortest, longest = np.array(_CREEP).T
    creep_share = _stored(share * (1.0 + _CREEP_SPREAD * normal((2, MAX_CREEP_TERMS))))
    creep_s = _stored(rng.uniform(shortest, longest, (2, MAX_CREEP_TERMS)))
    centre = _stored(np.array(_TIP_CENTRE_M))
    area, radius = _stored(np.array(_TIP_AREA_MM2)), _stored(np.array(_TIP_RADIUS_MM))
    u_curve = _stored(_U_CURVE_N) * 6.75 / FORCE_FULL_SCALE_N**2 * normal()
    creep_error = 0.5 * _stored(_U_CREEP_SHARE) * normal((2, MAX_CREEP_TERMS + 1))
    truth = CellTruth(
        gain_n_per_count=gain * (1.0 + u_gain * normal()),
        zero_counts=zero + u_zero / gain * normal(),
        quadratic_per_n=quadratic + u_curve,
        cubic_per_n2=cubic - u_curve / FORCE_FULL_SCALE_N,
        zero_n_per_k=zero_per_k + _stored(_U_ZERO_N_PER_K) * normal(),
        gain_per_k=gain_per_k + _stored(_U_GAIN_PER_K) * normal(),
        cross_talk=cross_talk + _stored(_U_CROSS_TALK) * normal(),
        creep_share=np.hstack([creep_share, np.zeros((2, 1))]) + creep_error,
        creep_s=np.hstack([creep_s, np.full((2, 1), _UNRECORDED_CREEP_S)]),
        tip_mass_kg=mass + _stored(_U_TIP_MASS_KG) * normal(),
        tip_centre_m=centre,
        axis=TIP_AXES,
    )
    area_mm2 = area * (1.0 + _stored(_U_AREA) * normal())
    records = tuple(
        ForceCalibration(
            zero_counts=int(zero[tip]),
            gain_n_per_count=float(gain[tip]),
            quadratic_per_n=float(quadratic[tip]),
            cubic_per_n2=float(cubic[tip]),
            zero_n_per_k=float(zero_per_k[tip]),
            gain_per_k=float(gain_per_k[tip]),
            cross_talk=float(cross_talk[tip]),
            creep_share=tuple(creep_share[tip].tolist()),
            creep_s=tuple(creep_s[tip].tolist()),
            tip_mass_kg=float(mass[tip]),
            tip_centre_m=tuple(centre[tip].tolist()),
            axis=tuple(_stored(TIP_AXES[tip]).tolist()),
            contact_area_mm2=float(area[tip]),
            contact_radius_mm=float(radius[tip]),
            overload_peak_n=PROOF_LOAD_N,
            overload_count=0,
            u_zero_n=float(u_zero),
            u_gain=float(u_gain),
            u_curve_n=float(_stored(_U_CURVE_N)),
            u_zero_n_per_k=float(_stored(_U_ZERO_N_PER_K)),
            u_gain_per_k=float(_stored(_U_GAIN_PER_K)),
            u_cross_talk=float(_stored(_U_CROSS_TALK)),
            u_creep_share=float(_stored(_U_CREEP_SHARE)),
            u_tip_mass_kg=float(_stored(_U_TIP_MASS_KG)),
            u_area=float(_stored(_U_AREA)),
        )
        for tip in range(2)
    )
    return records, truth, area_mm2


def _accelerometer(rng: np.random.Generator) -> tuple[SensorCalibration, TriaxialTruth]:
    """Record and truth. ``u_matrix`` is of every element, ``u_bias`` of every axis up to ACC_WARMTH_K."""
    matrix = _stored(np.linalg.inv(_imperfect(rng)))
    bias = _stored(_ACC_BIAS * rng.standard_normal(3))
    bias_per_k = _stored(_ACC_BIAS_PER_K * rng.standard_normal(3))
    u_matrix = float(_stored(_U_ACC_MATRIX))
    aged = math.hypot(_U_ACC_BIAS, _AGED_ACC_BIAS)
    u_bias = float(_stored(math.hypot(aged, ACC_WARMTH_K * _U_ACC_BIAS_PER_K)))
    truth = TriaxialTruth(
        np.asarray(np.linalg.inv(matrix + u_matrix * rng.standard_normal((3, 3))), np.float64),
        bias + aged * rng.standard_normal(3),
        bias_per_k + _U_ACC_BIAS_PER_K * rng.standard_normal(3),
    )
    recorded = SensorCalibration(
        tuple(matrix.ravel().tolist()), tuple(bias.tolist()), tuple(bias_per_k.tolist()), u_matrix, u_bias
    )
    return recorded, truth


def _imperfect(rng: np.random.Generator) -> Array:
    """(3, 3) near-identity: scale errors on the diagonal, misalignment beside it."""
    errors = _MISALIGNMENT * rng.standard_normal((3, 3))
    np.fill_diagonal(errors, _SCALE * rng.standard_normal(3))
    return np.asarray(np.eye(3) + errors)


def _stored(value: npt.ArrayLike) -> Array:
    """The value as the record has it: rounded to 32 bits."""
    return np.asarray(np.asarray(value, np.float32), np.float64)
