"""Six still poses to the accelerometer's scale, axes and bias.

Gravity is the reference: known in size to a few parts in 100,000, but in direction only as well as a person lays a tool
on its faces. So the size fixes bias and scale, and what no face fixes better, the directions of the axes, stays what
the record before said: maximum a posteriori, Gauss-Newton. Knows no tool, no message and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import TriaxialCalibration
from nexuslink.estimation.tilt_uncertainty import TYPICAL

Array = NDArray[np.float64]

PLACEMENT_DEG: Final = 1.0
"""Standard deviation of each direction that a tool is laid in [assumption: an ordinary table, faces of a moulding]."""
FACES: Final = {
    (2, 1): "stand the tool on its base, tips up",
    (2, -1): "stand the tool upside down, base up",
    (0, 1): "lay the tool down with the mark on top",
    (0, -1): "lay the tool down on its mark",
    (1, 1): "lay the tool on its right side (seen with the mark in front)",
    (1, -1): "lay the tool on its left side (seen with the mark in front)",
}
"""(axis, sign) that points up -> what to do, sensor frame: z out of the base, x toward the mark, y to the left."""
_AXES: Final = "xyz"

_LEAST_SAMPLES: Final = 20
_FACE_COSINE: Final = math.cos(math.radians(35.0))
_SHAKING_M_S2: Final = 0.2
_CREEPING_M_S2: Final = 0.05
_FLOOR_M_S2: Final = 0.0015
"""Of a pose's mean, at best: what table and nonlinearity leave [assumption: 0.15 mg]."""
_GRAVITY_M_S2: Final = (9.75, 9.84)
"""On the ground: equator, 4000 m, to the poles."""
_PLAUSIBLE_SCALE: Final = 0.05
_PLAUSIBLE_BIAS_M_S2: Final = 0.8
_PLACED_DEVIATIONS: Final = 5.0
_FIT_ROUNDS: Final = 12


class Pose(NamedTuple):
    """One still pose: ``accel_m_s2`` (n, 3) raw but scaled, its temperature, and where up should be, (3,), if known."""

    accel_m_s2: Array
    temperature_c: float
    up: Array | None = None


class AccelerometerFit(NamedTuple):
    """What six poses said. ``residual_m_s2``: (k,) length of each pose's calibrated mean minus gravity.

    Not accepted: ``calibration`` is the record before, ``reason`` says why and what to do.
    """

    calibration: TriaxialCalibration
    residual_m_s2: Array
    accepted: bool
    reason: str


def find_still(accel_m_s2: Array, gyro_rad_s: Array, rate_hz: float, least_s: float = 1.0) -> list[slice]:
    """Stretches of at least ``least_s`` in which nothing moves: both (n, 3), any calibration or none."""
    size = max(2, round(0.2 * rate_hz))
    blocks = len(accel_m_s2) // size
    if blocks < 3:
        return []

    def quiet(values: Array, shaking: float, creeping: float) -> NDArray[np.bool_]:
        cut = np.asarray(values[: blocks * size], np.float64).reshape(blocks, size, 3)
        mean, spread = cut.mean(axis=1), cut.std(axis=1).max(axis=1)
        calm = spread < shaking
        calm[1:] &= np.abs(np.diff(mean, axis=0)).max(axis=1) < creeping
        return np.asarray(calm)

    calm = quiet(accel_m_s2, _SHAKING_M_S2, _CREEPING_M_S2) & quiet(gyro_rad_s, math.radians(1.5), math.radians(0.7))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], calm.astype(np.int8), [0]])))
    # The first and the last block may hold the end of a movement.
    stretches = [slice((a + 1) * size, (b - 1) * size) for a, b in edges.reshape(-1, 2).tolist() if b - a > 2]
    return [s for s in stretches if s.stop - s.start >= least_s * rate_hz]


def calibrate_accelerometer(
    poses: Sequence[Pose], gravity_m_s2: float, before: TriaxialCalibration, placement_deg: float = PLACEMENT_DEG,
    temperature_c: float = 25.0,
) -> AccelerometerFit:  # fmt: skip
    """Scale, axes and bias from at least six still poses, each face of the tool up once.

    ``temperature_c``: the reference temperature of the record. ``before``: the record so far; its axes are trusted to
    its ``u_matrix``, its scale and bias may have drifted by what a typical part is off.
    """
    fault = _fault(poses, gravity_m_s2, temperature_c)
    if not fault:
        means = np.array([pose.accel_m_s2.mean(axis=0) for pose in poses])
        warmth = np.array([pose.temperature_c - temperature_c for pose in poses])
        measured = means - np.multiply.outer(warmth, before.bias_per_k)
        fault = _wrong_scale(measured, gravity_m_s2) or _wrong_axes(poses, measured, gravity_m_s2, before)
    fault = fault or _missing_face(measured, before)
    if fault:
        return AccelerometerFit(before, np.full(len(poses), np.nan), False, fault)
    noise = np.array([_noise_of_mean(pose.accel_m_s2) for pose in poses])
    up = np.array([np.full(3, np.nan) if p.up is None else p.up / np.linalg.norm(p.up) for p in poses])
    matrix, bias, covariance = _fit(measured, up, noise, gravity_m_s2, before, math.radians(placement_deg))
    true = (measured - bias) @ matrix.T
    residual = np.linalg.norm(true, axis=1) - gravity_m_s2
    fault = _implausible(matrix, bias) or _misfit(true, residual, up, noise, placement_deg)
    if fault:
        return AccelerometerFit(before, residual, False, fault)
    u = np.sqrt(np.diag(covariance))
    u_slope = TYPICAL.u_accel_slope_m_s2_k if before.bias_per_k.any() else TYPICAL.accel_slope_m_s2_k
    u_bias = math.hypot(float(u[9:].max()), u_slope * float(np.abs(warmth.mean())))
    fitted = TriaxialCalibration(matrix, bias, before.bias_per_k, float(u[:9].max()), u_bias)
    return AccelerometerFit(fitted, residual, True, "")


def _fault(poses: Sequence[Pose], gravity_m_s2: float, temperature_c: float) -> str:
    """What is wrong with the samples themselves."""
    low, high = _GRAVITY_M_S2
    if not low <= gravity_m_s2 <= high:
        return f"a local gravity of {gravity_m_s2:g} m/s2 is not on Earth's ground: check latitude and altitude"
    if not math.isfinite(temperature_c):
        return "the record's reference temperature is not a number"
    if len(poses) < len(FACES):
        return f"{len(poses)} poses are not enough: take six, each face of the tool up once"
    faults = (_pose_fault(number, pose) for number, pose in enumerate(poses, 1))
    return next((fault for fault in faults if fault), "")


def _pose_fault(number: int, pose: Pose) -> str:
    """What is wrong with one pose's samples."""
    accel = pose.accel_m_s2
    if accel.ndim != 2 or accel.shape[1] != 3 or len(accel) < _LEAST_SAMPLES:
        return f"pose {number} has too few samples: keep the tool still for longer"
    if not np.isfinite(accel).all():
        return f"pose {number} holds samples that are not numbers: take it again"
    if not math.isfinite(pose.temperature_c):
        return f"pose {number} has no temperature: let the tool report its status"
    return _wrong_unit(accel) or _unstill(number, accel)


def _wrong_unit(accel: Array) -> str:
    length = float(np.linalg.norm(accel.mean(axis=0)))
    for unit, one_g in (("g", 1.0), ("mg", 1000.0)):
        if 0.9 < length / one_g < 1.1:
            return f"the accelerations are in {unit}, not in m/s2: multiply by {9.80665 / one_g:g}"
    return ""


def _unstill(number: int, accel: Array) -> str:
    half = len(accel) // 2
    creeping = float(np.abs(accel[:half].mean(axis=0) - accel[half:].mean(axis=0)).max())
    if float(accel.std(axis=0).max()) > _SHAKING_M_S2 or creeping > _CREEPING_M_S2:
        return f"the tool moved during pose {number}: lay it down, take the hands off and take that pose again"
    flat = np.ptp(accel, axis=0) == 0.0
    if flat.any() and not flat.all():
        channel = _AXES[int(flat.argmax())]
        return f"accelerometer {channel} is clipped or stuck in pose {number}: have the tool checked"
    return ""


def _wrong_scale(measured: Array, gravity_m_s2: float) -> str:
    length = float(np.median(np.linalg.norm(measured, axis=1)))
    spans = np.ptp(measured, axis=0)
    if len(measured) >= len(FACES) and spans.min() < 0.2 * spans.max():
        stuck = int(spans.argmin())
        if spans[stuck] < 0.05 * gravity_m_s2 and np.linalg.norm(np.delete(measured, stuck, 1), axis=1).min() < 5.0:
            return f"accelerometer {_AXES[stuck]} reads the same in every pose: have the tool checked"
    if not 0.9 < length / gravity_m_s2 < 1.1:
        return f"the accelerometer reads {length:.3g} m/s2 at rest, not {gravity_m_s2:.3g}: check its scale"
    return ""


def _wrong_axes(poses: Sequence[Pose], measured: Array, gravity_m_s2: float, before: TriaxialCalibration) -> str:
    """Swapped or inverted axes, or a pose that is not the one asked for: only where it was said where up should be."""
    said = [(i, pose.up) for i, pose in enumerate(poses) if pose.up is not None]
    if len(said) < len(FACES):
        return ""
    felt = (measured - before.bias) @ before.matrix.T
    want = np.array([up / np.linalg.norm(up) for _, up in said])
    got = felt[[i for i, _ in said]]
    columns = np.hstack([got, np.full((len(got), 1), gravity_m_s2)])
    solved = np.linalg.lstsq(columns, want * gravity_m_s2, rcond=None)[0]
    rest = want * gravity_m_s2 - columns @ solved
    matrix = solved[:3].T
    if np.abs(rest).max() < 0.2 * gravity_m_s2:  # some matrix explains every pose
        for i in range(3):
            for j in range(3):
                if i != j and abs(matrix[i, j]) > 0.5:
                    return (
                        f"accelerometer {_AXES[j]} reads what belongs to {_AXES[i]}: axes are swapped; update the tool"
                    )
            if matrix[i, i] < 0.0:
                return f"accelerometer {_AXES[i]} has the wrong sign: update the tool or have it checked"
    cosine = (got * want).sum(axis=1) / np.linalg.norm(got, axis=1)
    if cosine.min() < _FACE_COSINE:
        number = said[int(cosine.argmin())][0] + 1
        return f"pose {number} is not the one that was asked for: {_words(want[int(cosine.argmin())])}"
    return ""


def _missing_face(measured: Array, before: TriaxialCalibration) -> str:
    felt = (measured - before.bias) @ before.matrix.T
    shown: dict[tuple[int, int], int] = {}
    twice = ""
    for number, direction in enumerate(felt / np.linalg.norm(felt, axis=1, keepdims=True), 1):
        axis = int(np.abs(direction).argmax())
        if abs(direction[axis]) < _FACE_COSINE:
            continue
        face = axis, 1 if direction[axis] > 0 else -1
        if face in shown and not twice:
            twice = f"poses {shown[face]} and {number} are the same; "
        shown.setdefault(face, number)
    missing = [words for face, words in FACES.items() if face not in shown]
    return f"{twice}{' and '.join(missing)} too" if missing else ""


def _words(up: Array) -> str:
    axis = int(np.abs(up).argmax())
    return FACES[axis, 1 if up[axis] > 0 else -1]


def _noise_of_mean(accel: Array) -> float:
    return math.hypot(float(accel.std(axis=0).max()) / math.sqrt(len(accel)), _FLOOR_M_S2)


def _fit(
    measured: Array, up: Array, noise: Array, gravity: float, before: TriaxialCalibration, placement: float
) -> tuple[Array, Array, Array]:
    """Matrix, bias and the covariance of (matrix row by row, bias).

    A pose's unknown true direction is eliminated: along the measured direction only noise counts, across it the
    placement about the nominal direction too.
    """
    start = np.concatenate([before.matrix.ravel(), before.bias])
    # Axes keep their directions over the years; scale and bias are what drifts, and what gravity's size measures.
    axes = before.u_matrix or TYPICAL.accel_matrix
    prior = np.full(12, axes)
    prior[[0, 4, 8]] = max(axes, TYPICAL.accel_matrix)
    prior[9:] = max(before.u_bias, TYPICAL.accel_bias_m_s2)
    x = start.copy()
    normal = np.zeros((12, 12))
    for _ in range(_FIT_ROUNDS):
        matrix, bias = x[:9].reshape(3, 3), x[9:]
        normal = np.diag(prior**-2.0)
        right = normal @ (start - x)
        for y, nominal, sigma in zip(measured - bias, up, noise, strict=True):
            true = matrix @ y
            length = float(np.linalg.norm(true))
            along = true / length
            slope = np.hstack([np.kron(np.eye(3), y), -matrix])  # of `true`, (3, 12)
            row = along @ slope
            normal += np.outer(row, row) / sigma**2
            right += row * (gravity - length) / sigma**2
            if not np.isnan(nominal[0]):
                across = np.eye(3) - np.outer(along, along)
                weight = 1.0 / (sigma**2 + (gravity * placement) ** 2)
                rows = across @ slope
                normal += weight * rows.T @ rows
                right += weight * rows.T @ (across @ (gravity * nominal))
        change = np.linalg.solve(normal, right)
        x = x + change
        if float(np.abs(change).max()) < 1e-10:
            break
    return x[:9].reshape(3, 3), x[9:], np.asarray(np.linalg.inv(normal))


def _implausible(matrix: Array, bias: Array) -> str:
    off = np.abs(matrix - np.eye(3))
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    if off[i, j] > _PLAUSIBLE_SCALE:
        what = f"scale of accelerometer {_AXES[i]}" if i == j else f"angle between {_AXES[i]} and {_AXES[j]}"
        return f"the {what} would be off by {100 * off[i, j]:.1f} %, more than a sound part: have the tool checked"
    axis = int(np.abs(bias).argmax())
    if abs(bias[axis]) > _PLAUSIBLE_BIAS_M_S2:
        return f"accelerometer {_AXES[axis]} would be off by {bias[axis]:.2f} m/s2 at zero: have the tool checked"
    return ""


def _misfit(true: Array, residual: Array, up: Array, noise: Array, placement_deg: float) -> str:
    worst = int((np.abs(residual) / noise).argmax())
    if abs(residual[worst]) > _PLACED_DEVIATIONS * noise[worst]:
        return f"pose {worst + 1} does not fit the others by {residual[worst]:.3f} m/s2: take it again, on a firm table"
    cosine = np.nan_to_num((true * up).sum(axis=1) / np.linalg.norm(true, axis=1), nan=1.0)
    tilted = int(cosine.argmin())
    angle = math.degrees(math.acos(max(-1.0, min(1.0, float(cosine[tilted])))))
    if angle > _PLACED_DEVIATIONS * placement_deg:
        return f"in pose {tilted + 1} the tool lay {angle:.0f} degrees off: {_words(up[tilted])}"
    return ""
