"""What makes a recording of an inertial unit unfit to calibrate from, seen from its samples alone.

Each flaw is a sentence that says what is wrong and what to do. It must never know what the recording is used for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2
from nexuslink.estimation.tracking import ImuRecording, measured_rows

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

RATES_HZ: Final = (50.0, 20_000.0)
SHORTEST_S: Final = 20.0
MISSING_SHARE: Final = 0.01
MISSING_S: Final = 0.1
"""Fewer missing samples than this share, and no gap longer than this: bridged by straight lines."""
REST_WINDOW_S: Final = 0.5
REST_RATE_HZ: Final = 100.0
REST_RATE_RAD_S: Final = np.radians(0.5)
REST_ACCEL_M_S2: Final = 0.15
"""At rest each axis, averaged down to about `REST_RATE_HZ`, scatters by less than this within a window: a hand does
more [assumption]."""
REST_DRIFT_RAD_S: Final = np.radians(0.3)
"""Windows whose mean differs by more from the rest of the rests turn steadily: they are not rests."""
SHORTEST_REST_S: Final = 2.0
GRAVITY_SHARE: Final = 0.1
STUCK_S: Final = 0.5
"""So long the same value, while the other axes move, no working sensor shows."""
TURNING_RAD_S: Final = np.radians(5.0)
CLIPPED_SAMPLES: Final = 5
"""As many at the ends of what an axis shows; movement gives one at each end, and three or four by chance."""

_AXES: Final = "xyz"
_SENSORS: Final = ("gyroscope", "accelerometer")


class Examined(NamedTuple):
    """A recording as it can be used, if it has no flaw."""

    flaw: str
    recording: ImuRecording
    """Missing rows replaced by a straight line between their neighbours."""
    rest: Mask
    """(n,): where the tool stands still."""


def examined(recording: ImuRecording) -> Examined:
    """With its first flaw, if any. Arrays have the right shape; what they hold may be anything."""
    for check in _BEFORE:
        flaw = check(recording)
        if flaw:
            return Examined(flaw, recording, np.zeros(len(recording.gyro_rad_s), dtype=np.bool_))
    whole = _without_gaps(recording)
    rest = at_rest(whole)
    return Examined(next(filter(None, (check(whole, rest) for check in _AFTER)), ""), whole, rest)


def at_rest(recording: ImuRecording) -> Mask:
    """(n,): where the tool stands still for at least three windows. The recording has no gaps."""
    together = max(1, int(recording.rate_hz / REST_RATE_HZ))
    blocks = max(2, round(REST_WINDOW_S * recording.rate_hz / together))
    size = blocks * together
    count = len(recording.gyro_rad_s) // size
    gyro, accel = (
        values[: count * size].reshape(count, blocks, together, 3).mean(axis=2) for values in recording[:2]
    )  # fmt: skip
    still = (gyro.std(axis=1).max(axis=1) < REST_RATE_RAD_S) & (accel.std(axis=1).max(axis=1) < REST_ACCEL_M_S2)
    if still.any():
        mean = gyro.mean(axis=1)
        still &= np.abs(mean - np.median(mean[still], axis=0)).max(axis=1) < REST_DRIFT_RAD_S
    still &= np.append(True, still[:-1]) & np.append(still[1:], True)  # its neighbours move, if only a little
    mask = np.zeros(len(recording.gyro_rad_s), dtype=np.bool_)
    mask[: count * size] = np.repeat(still, size)
    return mask


def _without_gaps(recording: ImuRecording) -> ImuRecording:
    at = np.arange(len(recording.gyro_rad_s))
    gyro, accel = (
        values if good.all() else np.stack([np.interp(at, at[good], column[good]) for column in values.T], axis=1)
        for values, good in zip(recording[:2], measured_rows(*recording[:2]), strict=True)
    )
    return ImuRecording(gyro, accel, recording.rate_hz)


def _wrong_rate(recording: ImuRecording) -> str:
    if RATES_HZ[0] <= recording.rate_hz <= RATES_HZ[1]:
        return ""
    return f"its rate of {recording.rate_hz:g} Hz is not between {RATES_HZ[0]:g} and {RATES_HZ[1]:g}: name the true one"


def _too_short(recording: ImuRecording) -> str:
    seconds = len(recording.gyro_rad_s) / recording.rate_hz
    if seconds >= SHORTEST_S:
        return ""
    return f"it is {seconds:.1f} s long: record at least {SHORTEST_S:g} s, better two minutes"


def _missing(recording: ImuRecording) -> str:
    for name, good in zip(_SENSORS, measured_rows(*recording[:2]), strict=True):
        share, longest = 1 - float(good.mean()), _longest(~good) / recording.rate_hz
        if share > MISSING_SHARE or longest > MISSING_S:
            return (
                f"{share:.1%} of the {name}'s samples are not numbers or beyond any range, {longest:.2f} s in a row: "
                "check the sensor and the link, and record it again"
            )
    return ""


def _clipped(recording: ImuRecording, rest: Mask) -> str:
    """Samples at an end of an axis, or at the same end of several axes, other than at rest."""
    for name, values, least in zip(_SENSORS, recording[:2], (TURNING_RAD_S, STANDARD_GRAVITY_M_S2 / 2), strict=True):
        size = np.abs(values)
        high, low = values.max(axis=0), values.min(axis=0)
        counted = ~rest[:, None] & (size > least) & (high > low)
        at_end = counted & ((values == high) | (values == low))
        at_most = counted & (size == size.max())
        times = np.maximum(at_end.sum(axis=0), np.where(at_most.any(axis=0), at_most.sum(), 0))
        axis = int(times.argmax())
        if times[axis] >= CLIPPED_SAMPLES:
            return (
                f"the {name}'s {_AXES[axis]} axis is cut off at the end of its range, {times[axis]} times: "
                "choose a wider range or move more gently, and record it again"
            )
    return ""


def _stuck(recording: ImuRecording, rest: Mask) -> str:
    moving = np.abs(recording.gyro_rad_s).max(axis=1) > TURNING_RAD_S
    for name, values in zip(_SENSORS, recording[:2], strict=True):
        for axis in range(3):
            same = np.append(False, values[1:, axis] == values[:-1, axis])
            if _longest(same & moving) >= STUCK_S * recording.rate_hz:
                return f"the {name}'s {_AXES[axis]} axis stands still while the tool moves: have the tool checked"
    return ""


def _never_at_rest(recording: ImuRecording, rest: Mask) -> str:
    seconds = float(rest.sum()) / recording.rate_hz
    if seconds >= SHORTEST_REST_S:
        return ""
    return (
        f"the tool lies still for {seconds:.1f} s: lay it down for {2 * SHORTEST_REST_S:g} s before and after moving it"
    )


def _no_gravity(recording: ImuRecording, rest: Mask) -> str:
    felt = float(np.median(np.linalg.norm(recording.accel_m_s2[rest], axis=1)))
    if abs(felt / STANDARD_GRAVITY_M_S2 - 1) <= GRAVITY_SHARE:
        return ""
    return f"at rest the accelerometer shows {felt:.2f} m/s2: check its unit and range, or have the tool checked"


_BEFORE: Final[tuple[Callable[[ImuRecording], str], ...]] = (_wrong_rate, _too_short, _missing)
_AFTER: Final[tuple[Callable[[ImuRecording, Mask], str], ...]] = (_clipped, _stuck, _never_at_rest, _no_gravity)


def _longest(mask: Mask) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
