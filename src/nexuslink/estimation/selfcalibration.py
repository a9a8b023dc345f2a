"""A gyroscope's scale and misalignment from ordinary recordings of one tool, and whether they are good enough to use.

`batchfit` says what each recording knows of the nine elements of the matrix; here that is added up over recordings of
the same sensor, on top of what is known of such sensors beforehand, and judged. A calibration that does not pass is
the identity and says why: an unfit one makes angles worse than none. No truth is used, so a recording that is to be
tracked may be part of its own calibration. It must never know a message, a link or a record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.batchfit import MatrixInformation, matrix_information
from nexuslink.estimation.calibration import ImuCalibration, TriaxialCalibration
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.recordingflaws import Examined, at_rest, examined
from nexuslink.estimation.tracking import ImuRecording, checked

Array = NDArray[np.float64]

PRIOR: Final = 0.003
"""Standard deviation of an element before any recording: parts of this class are off by 0.1 to 0.4 %."""
OPEN_PRIOR: Final = 0.02
"""Only to see what the recordings say by themselves: so far off is no part that works."""
ENOUGH: Final = 0.0027
"""`ImuCalibration.quality` from here on is no better than what was known before."""
ENOUGH_OF_AXIS: Final = 0.007
"""Standard deviation of one axis' scale by the recordings alone; above it the tool was not turned about that axis."""
IMPLAUSIBLE: Final = 0.01
"""An element surely (by four standard deviations) so far off is not the sensor's: rate, unit or axes are wrong."""
SAME_SENSOR_RAD_S: Final = np.radians(0.15)
"""Biases at rest of one sensor differ by less (0.08 deg/s seen), those of two sensors by more (0.22 and up)."""
MISFIT: Final = 0.5
"""Mean square of what the batch fit leaves; real recordings have 0.001 to 0.02."""
CONTRADICTION: Final = 4.0
"""Squared distance of one recording from the others, by element and in standard deviations."""
FIT_RATE_HZ: Final = 100.0
"""Faster recordings are averaged down to no less than this: nothing of a hand's turning is lost."""


def self_calibrate_imu(recordings: Sequence[ImuRecording | tuple[object, object, float]]) -> ImuCalibration:
    """Gyroscope matrix of one sensor from ordinary recordings of it; the identity, with a reason, if they are unfit.

    ``recordings``: `ImuRecording` or (gyro (n, 3) rad/s, accelerometer (n, 3) m/s2, rate in Hz), all of the same
    sensor, each with some seconds of rest. The result is the most likely matrix; ``quality`` and ``gyro.u_matrix`` are
    the standard deviation of its worst element. Bias and accelerometer stay as they are: the filter follows the bias,
    and correcting the accelerometer from movement gains nothing.

    The matrix takes the gyroscope into the frame of the accelerometer as it is in the recordings. Where that has been
    calibrated in poses, apply its calibration to the recordings first, and use both together.

    Numbers that make no sense are a ``reason``; an array of the wrong shape raises `CalibrationError`.
    """
    given = [_recording(number, recording) for number, recording in enumerate(recordings, start=1)]
    if not given:
        return _refused("there is no recording: record two minutes of turning the tool in all directions")
    seen = [examined(recording) for recording in given]
    for number, one in enumerate(seen, start=1):
        if one.flaw:
            return _refused(f"recording {number}: {one.flaw}")
    reason = _another_sensor(seen)
    if reason:
        return _refused(reason)
    known = [_known(one.recording) for one in seen]
    reason = _contradiction(known)
    return _refused(reason) if reason else _judged(_sum(known))


def _recording(number: int, recording: ImuRecording | tuple[object, object, float]) -> ImuRecording:
    try:
        gyro, accel, rate = recording
        rate_hz = float(rate)
    except (TypeError, ValueError):
        raise CalibrationError(
            f"recording {number} must be gyroscope (n, 3), accelerometer (n, 3) and samples a second"
        ) from None
    return ImuRecording(*checked(gyro, accel, f"recording {number}: "), rate_hz)  # type: ignore[arg-type]


def _refused(reason: str, quality: float = math.nan) -> ImuCalibration:
    return ImuCalibration(accepted=False, quality=quality, reason=reason)


def _another_sensor(seen: list[Examined]) -> str:
    biases = [one.recording.gyro_rad_s[one.rest].mean(axis=0) for one in seen]
    for second in range(len(biases)):
        for first in range(second):
            apart = float(np.linalg.norm(biases[second] - biases[first]))
            if apart > SAME_SENSOR_RAD_S:
                return (
                    f"recordings {first + 1} and {second + 1} are not of the same sensor: at rest they differ by "
                    f"{math.degrees(apart):.2f} deg/s; use recordings of one tool only"
                )
    return ""


def _known(recording: ImuRecording) -> MatrixInformation:
    """What one recording says by itself."""
    averaged = max(1, int(recording.rate_hz / FIT_RATE_HZ))
    count = len(recording.gyro_rad_s) // averaged
    gyro, accel = (
        values[: count * averaged].reshape(count, averaged, 3).mean(axis=1) for values in recording[:2]
    )  # fmt: skip
    slower = ImuRecording(gyro, accel, recording.rate_hz / averaged)
    return matrix_information(*slower, at_rest(slower))


def _sum(known: Sequence[MatrixInformation]) -> MatrixInformation:
    return MatrixInformation(
        np.sum([one.information for one in known], axis=0), np.sum([one.vector for one in known], axis=0),
        max(one.misfit for one in known),
    )  # fmt: skip


def _estimate(known: MatrixInformation, prior: float) -> tuple[Array, Array]:
    """(9,) deviation of the matrix from the identity, and its covariance (9, 9)."""
    covariance = np.asarray(np.linalg.inv(known.information + np.eye(9) / prior**2))
    return covariance @ known.vector, covariance


def _contradiction(known: list[MatrixInformation]) -> str:
    """A recording whose sensors do not fit each other, or that does not fit the other recordings."""
    for number, one in enumerate(known, start=1):
        if one.misfit > MISFIT:
            return (
                f"recording {number}: gyroscope and accelerometer do not fit each other, as with swapped axes or a "
                "wrong rate: check how it was recorded, or leave it out"
            )
        off, covariance = _estimate(one, OPEN_PRIOR)
        surely = np.abs(off) - 4 * np.sqrt(np.diag(covariance))
        if surely.max() > IMPLAUSIBLE:
            return (
                f"recording {number}: its gyroscope would be off by {abs(off[surely.argmax()]):.1%}, as none is: "
                "check its rate and units, or leave it out"
            )
    if len(known) < 2:
        return ""
    far = [_distance(one, _sum([*known[:index], *known[index + 1 :]])) for index, one in enumerate(known)]
    worst_index = int(np.argmax(far))
    if far[worst_index] > CONTRADICTION:
        return (
            f"recording {worst_index + 1} contradicts the others: leave it out if it is of another tool, "
            "else record it again"
        )
    return ""


def _distance(one: MatrixInformation, other: MatrixInformation) -> float:
    """Mean square, by element, of the difference of two independent estimates in its standard deviations."""
    (first, first_covariance), (second, second_covariance) = (_estimate(each, OPEN_PRIOR) for each in (one, other))
    difference = first - second
    return float(difference @ np.linalg.solve(first_covariance + second_covariance, difference)) / 9


def _judged(known: MatrixInformation) -> ImuCalibration:
    off, covariance = _estimate(known, PRIOR)
    quality = math.sqrt(float(np.diag(covariance).max()))
    alone = np.sqrt(np.diag(_estimate(known, OPEN_PRIOR)[1]))[[0, 4, 8]]
    axis = int(np.argmax(alone))
    if alone[axis] > ENOUGH_OF_AXIS:
        return _refused(
            f"the tool was hardly turned about its {'xyz'[axis]} axis, whose scale is known to {alone[axis]:.1%} only: "
            "record two minutes more of turning it to and fro in all directions, the base level and on edge",
            quality,
        )
    if quality > ENOUGH:
        return _refused(
            f"the gyroscope is known to {quality:.2%} only: record two minutes more of varied turning, with rests",
            quality,
        )
    matrix = np.eye(3) + off.reshape(3, 3)
    return ImuCalibration(gyro=TriaxialCalibration(matrix=matrix, u_matrix=quality), quality=quality)
