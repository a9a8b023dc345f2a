"""A whole recording of one inertial unit to its attitude: arrays in, quaternions out, nothing looked at ahead.

Live batches are `attitude`; here a caller has everything at once, as evaluation and review do. The filter is VQF
(Laidig and Seel, Information Fusion 91, 2023). It must never know a message, a link or a record.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from vqf import VQF

from nexuslink.estimation.calibration import ImuCalibration
from nexuslink.estimation.errors import CalibrationError

Array = NDArray[np.float64]

TAU_ACC_CALIBRATED_S: Final = 4.0
"""How long a calibrated gyroscope is believed before the accelerometer wins; VQF's own 3 s suits one that is 0.3 % off.
The better the gyroscope, the longer, and so the less of the hand's acceleration is taken for gravity."""
HELD_S: Final = 0.1
"""How long a missing turning rate is taken to go on as it was [assumption]: a hand changes its mind after that."""
MAX_RATE_RAD_S: Final = 200.0
MAX_ACCEL_M_S2: Final = 1e4
"""Beyond these nothing was measured: no inertial unit of a hand tool has such a range."""


class ImuRecording(NamedTuple):
    """One recording of one sensor, in its own frame, as scaled by its data sheet."""

    gyro_rad_s: Array
    """(n, 3)."""
    accel_m_s2: Array
    """(n, 3) specific force: +g upward at rest."""
    rate_hz: float


def checked(gyro_rad_s: ArrayLike, accel_m_s2: ArrayLike, where: str = "") -> tuple[Array, Array]:
    """Both as (n, 3) of floats; raises `CalibrationError` for any other shape."""
    try:
        gyro, accel = (np.ascontiguousarray(given, dtype=np.float64) for given in (gyro_rad_s, accel_m_s2))
    except (TypeError, ValueError):
        raise CalibrationError(f"{where}gyroscope and accelerometer must be numbers, (n, 3) each") from None
    if gyro.ndim != 2 or gyro.shape[1] != 3 or gyro.shape != accel.shape:
        raise CalibrationError(
            f"{where}gyroscope {gyro.shape} and accelerometer {accel.shape} must both be (n, 3), a row a sample"
        )
    return gyro, accel


def measured_rows(gyro: Array, accel: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows were measured, (n,) for the gyroscope and (n,) for the accelerometer: finite, and within any range."""
    # A NaN is not less than anything.
    return np.all(np.abs(gyro) < MAX_RATE_RAD_S, axis=1), np.all(np.abs(accel) < MAX_ACCEL_M_S2, axis=1)


def filter_settings(calibration: ImuCalibration | None) -> dict[str, float]:
    """VQF parameters for that calibration: its defaults, unless the gyroscope's matrix is known to be good."""
    if calibration is None or not calibration.accepted or not np.isfinite(calibration.quality):
        return {}
    return {"tauAcc": TAU_ACC_CALIBRATED_S}


def track_attitude(
    gyro_rad_s: ArrayLike, accel_m_s2: ArrayLike, rate_hz: float,
    calibration: ImuCalibration | None = None,
) -> Array:  # fmt: skip
    """Attitude of each sample, (n, 4) unit quaternions sensor to earth, w first, earth z up, any heading.

    ``gyro_rad_s``, ``accel_m_s2``: (n, 3) in the sensor frame, ``rate_hz`` samples a second. Causal: row i depends on
    rows up to i only. Without an accepted calibration it is VQF as published.

    A row that was not measured (not finite, or beyond any range) is bridged: the turning rate goes on as it was for
    at most `HELD_S`, then counts as zero; the accelerometer has no say in it. Nothing of it stays in the filter.
    Raises `CalibrationError` for a shape or a rate that makes no sense.
    """
    gyro, accel = checked(gyro_rad_s, accel_m_s2)
    if not 0 < rate_hz < float("inf"):
        raise CalibrationError(f"a rate of {rate_hz} Hz makes no sense: give samples a second")
    if len(gyro) == 0:
        return np.empty((0, 4))
    gyro_good, accel_good = measured_rows(gyro, accel)
    if not gyro_good.all():
        gyro = _held(gyro, gyro_good, rate_hz)
    if not accel_good.all():
        accel = np.where(accel_good[:, None], accel, 0.0)
    if calibration is not None and calibration.accepted:
        gyro, accel = calibration.gyro.apply(gyro), calibration.accelerometer.apply(accel)
        accel = np.where(accel_good[:, None], accel, 0.0)  # zero is what VQF passes over, a zero with its bias is not
    quaternions = VQF(1.0 / rate_hz, **filter_settings(calibration)).updateBatch(
        np.ascontiguousarray(gyro), np.ascontiguousarray(accel)
    )["quat6D"]
    return np.asarray(quaternions)


def _held(gyro: Array, good: NDArray[np.bool_], rate_hz: float) -> Array:
    """The last good row for up to `HELD_S`, then zeros."""
    at = np.arange(len(gyro))
    last = np.maximum.accumulate(np.where(good, at, -1))
    held = (last >= 0) & (at - last <= HELD_S * rate_hz)
    return np.where(held[:, None], gyro[np.maximum(last, 0)], 0.0)
