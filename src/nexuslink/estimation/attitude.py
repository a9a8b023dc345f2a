"""Gyroscope and accelerometer to the direction of up, then to each tip's angle and lean.

Frames. Sensor frame: right-handed, z out of the base toward the tips, x toward the mark on the base. ``up`` is the
vertical seen from there. The filter is VQF (Laidig and Seel, "VQF: Highly accurate IMU orientation estimation with
bias estimation and magnetic disturbance rejection", Information Fusion 91, 2023), fed in batches.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from vqf import VQF

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ImuCalibration, ImuScale
from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.imu_checks import STEP_S, AgreementCheck, RateCheck, StuckCheck
from nexuslink.estimation.moment import Attitude, Moment, heading
from nexuslink.estimation.squares import sum_of_squares
from nexuslink.estimation.tilt_uncertainty import (
    CLIPPED_SHARE,
    NOTHING_KNOWN,
    NOTHING_KNOWN_RAD,
    TiltUncertainty,
    Vector,
)
from nexuslink.estimation.tracking import filter_settings

# up = (2(xz - wy), 2(yz + wx), ww - xx - yy + zz) for a quaternion sensor -> earth, w first: linear in the sixteen
# products q_i q_j, so one broadcast product and one matrix give it. For a live batch that costs a third of column by
# column; for a replayed one it is the other way round.
_PRODUCTS_TO_UP: Final = np.zeros((4, 4, 3))
_PRODUCTS_TO_UP[1, 3, 0], _PRODUCTS_TO_UP[0, 2, 0] = 2, -2
_PRODUCTS_TO_UP[2, 3, 1], _PRODUCTS_TO_UP[0, 1, 1] = 2, 2
_PRODUCTS_TO_UP[range(4), range(4), 2] = 1, -1, -1, 1
_FLAT_PRODUCTS_TO_UP: Final = _PRODUCTS_TO_UP.reshape(16, 3)
SMALL: Final = 256
"""Up to here few numpy calls win, above it few products do (measured)."""
_DEGREES: Final = 180.0 / np.pi
_INSIDE: Final = 1.0 - 1e-14
"""Keeps a rounded cosine within -1 to 1, at the cost of 8e-6 degrees near the vertical: cheaper than clipping."""

BLIND_RAD_S: Final = math.radians(0.5)
"""What the filter may drift while its accelerometer is clipped [assumption: zero rate of an uncalibrated gyroscope]."""
_AT_LIMIT: Final = 1.0 - 1e-3
"""A count this close to the range is at the range: data sheets round (4 g at 0.122 mg are 32787 counts of 16 bits)."""
GRAVITY: Final = STANDARD_GRAVITY_M_S2

Array = NDArray[np.float64]
Counts = NDArray[np.signedinteger]


def up_in_sensor(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction of up in the sensor frame, (n, 3), of unit quaternions sensor -> earth, (n, 4), w first."""
    if len(quaternions) <= SMALL:
        products = quaternions[:, :, None] * quaternions[:, None, :]
        return products.reshape(-1, 16) @ _FLAT_PRODUCTS_TO_UP
    w, x, y, z = quaternions.T
    up = np.empty((len(quaternions), 3))
    up[:, 0] = 2 * (x * z - w * y)
    up[:, 1] = 2 * (y * z + w * x)
    up[:, 2] = w * w - x * x - y * y + z * z
    return up


class TipGeometry:
    """Angles of both tips from the vertical."""

    def __init__(self, axis: NDArray[np.float64]) -> None:
        """``axis``: (2, 3) unit vectors out of the tips, sensor frame."""
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)  # a record's float32 is off by more than rounding
        # One product gives, per tip: cos(angle) = a.up, and the sideways part a_y up_z - a_z up_y.
        sideways = np.stack([np.zeros(2), -axis[:, 2], axis[:, 1]])
        self._columns = np.ascontiguousarray(np.hstack([axis.T * _INSIDE, sideways]))
        self._axis_x = axis[:, 0]

    def angles(self, up: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """``up`` (n, 3) -> cosine of the angle from vertical, that angle, and the lean's direction; each (n, 2).

        Angle in degrees, 0 to 180. Direction in degrees in the tool's level frame: 0 toward the mark, +90
        counterclockwise seen from above, -180 to 180.
        """
        both = up @ self._columns
        cosine = both[:, :2]
        both_deg = np.empty_like(both)
        np.arccos(cosine, out=both_deg[:, :2])
        np.arctan2(both[:, 2:], self._axis_x - up[:, :1] * cosine, out=both_deg[:, 2:])
        both_deg *= _DEGREES
        return cosine, both_deg[:, :2], both_deg[:, 2:]


class _Work:
    """Buffers for batches of one length: counts as floats, with a column of ones for the bias."""

    __slots__ = ("counts", "dot", "flat", "flat_dot")

    def __init__(self, n: int) -> None:
        rows = np.ones((n, 7))
        self.counts = rows[:, :6]
        self.flat = rows.reshape(-1)
        self.dot = rows.dot
        self.flat_dot = self.flat.dot if n <= SMALL else sum_of_squares


class AttitudeTracker:
    """Batches of raw IMU counts to attitude. Causal; batch boundaries do not change the result.

    After `update`: ``t_us`` (n,), ``quaternions`` (n, 4) sensor to earth, w first, ``gyro`` (n, 3) rad/s and ``accel``
    (n, 3) m/s2, both calibrated, of that batch. Arrays of earlier batches stay what they were.
    """

    # Above thirty attributes an object needs a dict to find them: slots save 3 % of the whole estimator.
    __slots__ = (
        "_agreement", "_axes", "_bias", "_calibration", "_filter", "_first", "_heading_at_contact", "_last_raw",
        "_last_us", "_limits", "_lost_by", "_per_us", "_period_s", "_rate", "_reference_c", "_rows", "_said", "_scale",
        "_step_q", "_step_rows", "_step_s", "_stuck", "_surely_within", "_timed_rows", "_timed_us", "_to_accel",
        "_to_gyro", "_touching", "_uncertainty", "_unsuspicious", "_update_filter", "_work", "accel", "gyro",
        "quaternions", "resting", "t_us",
    )  # fmt: skip

    def __init__(self, scale: ImuScale, calibration: ImuCalibration, axis: Array, reference_c: float = 25.0) -> None:
        """``axis``: (2, 3) unit vectors out of the tips. ``reference_c``: the temperature of the calibration."""
        self._scale, self._calibration, self._reference_c = scale, calibration, reference_c
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        self._axes: list[list[float]] = axis.tolist()
        self._period_s = 1.0 / scale.rate_hz
        self._per_us = scale.rate_hz * 1e-6
        self._filter = VQF(self._period_s, **filter_settings(calibration))
        self._update_filter = self._filter.updateBatch
        self._work: dict[int, _Work] = {}
        limits = scale.gyro_range_rad_s / scale.gyro_rad_s, scale.accel_range_m_s2 / scale.accel_m_s2
        self._limits = limits[0] * _AT_LIMIT, limits[1] * _AT_LIMIT
        self._unsuspicious = min(self._limits) ** 2
        self._surely_within = (
            (0.8 * scale.gyro_range_rad_s) ** 2,
            (0.8 * scale.accel_range_m_s2) ** 2,
        )  # any calibration
        self._to_gyro, self._to_accel = np.zeros((7, 3)), np.zeros((7, 3))
        self._to_gyro[:3] = calibration.gyro.matrix.T * scale.gyro_rad_s
        self._to_accel[3:6] = calibration.accelerometer.matrix.T * scale.accel_m_s2
        self._uncertainty = TiltUncertainty(calibration, self._filter.params)
        self._warm(0.0)

        self.t_us: NDArray[np.int64] = np.empty(0, np.int64)
        self.quaternions: Array = np.empty((0, 4))
        self.gyro: Array = np.empty((0, 3))
        self.accel: Array = np.empty((0, 3))
        self.resting = False
        """The filter has seen the tool at rest for a while."""

        self._last_us: int | None = None
        """``None`` before the first sample."""
        self._timed_us = self._timed_rows = 0
        """Up to when the rate's check has counted, and how many rows came since, without a gap."""
        self._last_raw: Counts = np.zeros((1, 6), np.int64)
        self._step_rows = max(1, round(STEP_S * scale.rate_hz))
        self._step_s = self._step_rows * self._period_s
        self._rows = 0
        """Since the last step."""
        self._step_q: list[float] | None = None
        self._bias: Vector = (0.0, 0.0, 0.0)
        self._first: tuple[Array, Array, int] | None = None
        """Rates, accelerations and row of a step that is the first of two. Agreement of both, uncertainty and stuck
        channels come after the second, in one go: rare code starts from a cold cache, which costs more than itself."""
        self._heading_at_contact: float | None = None
        self._touching = False
        self._lost_by = Doubt.IMU_GAP
        self._said: Moment | None = None
        """Until the next step, loss, contact or temperature."""
        self._rate, self._stuck, self._agreement = RateCheck(scale.rate_hz), StuckCheck(), AgreementCheck()

    def set_temperature(self, celsius: float) -> None:
        """Of the inertial unit, from now on."""
        if math.isfinite(celsius):
            warmth = celsius - self._reference_c
            self._warm(warmth)
            self._uncertainty.set_warmth(warmth)
            self._said = None

    def contact(self, t_us: int, touching: bool) -> None:
        """The turn counts from the moment of contact, and is unknown without."""
        if touching and not self._touching:
            self._heading_at_contact = None
            if len(self.t_us):
                at = max(int(self.t_us.searchsorted(t_us, side="right")) - 1, 0)
                self._heading_at_contact = heading(self.quaternions[at].tolist())
            self._uncertainty.begin_turn()
        self._touching = touching
        self._said = None

    def update(self, t_us: NDArray[np.int64], raw: Counts) -> None:
        """``t_us`` (n,) device time, ``raw`` (n, 6) counts, gyro then accelerometer. Never raises for what is in it."""
        n = len(t_us)
        if not n:
            return
        until = t_us.item(-1)
        if self._last_us is None:
            self._last_us = self._timed_us = t_us.item(0) - round(1e6 * self._period_s)
            self._last_raw = raw[:1]
            self._said = None
        if -0.5 < (until - self._last_us) * self._per_us - n < 0.5:
            self._timed_rows += n
            self._last_us = until
            self._run(raw, None)
        else:
            self._count_time()
            self._update_with_gaps(t_us, raw)
            self._last_us = self._timed_us = until
        self.t_us, self._last_raw = t_us, raw

    def moment(self) -> Moment:
        """What makes attitudes of the quaternions, as of the last sample. The same object as long as nothing of it
        changes; later batches do not change it."""
        said = self._said
        if said is None:
            touching = self._touching and self._heading_at_contact is not None
            said = self._said = Moment(
                self._axes,
                self._uncertainty.tilt if len(self.quaternions) else NOTHING_KNOWN,
                self._heading_at_contact if touching else None,
                self._uncertainty.turn_2 if touching else 0.0,
                self.doubt,
            )
        return said

    def state(self) -> Attitude:
        """As of the last sample. Before the first one: an upright tool of which nothing is known."""
        return self.moment().attitude(self.t_us, self.quaternions)

    @property
    def doubt(self) -> Doubt | None:
        """Why the attitude is not to be trusted, the first that applies."""
        if self._last_us is None:
            return Doubt.IMU_SILENT
        if self._uncertainty.doubted:
            return self._lost_by
        if self._stuck.doubted:
            return Doubt.IMU_STUCK
        if self._agreement.doubted:
            return Doubt.IMU_DISAGREES
        return Doubt.RATE_MISMATCH if self._rate.doubted else None

    def _warm(self, warmth_k: float) -> None:
        gyro, accelerometer = self._calibration.gyro, self._calibration.accelerometer
        self._to_gyro[6] = -gyro.matrix @ (gyro.bias + gyro.bias_per_k * warmth_k)
        self._to_accel[6] = -accelerometer.matrix @ (accelerometer.bias + accelerometer.bias_per_k * warmth_k)

    def _run(self, raw: Counts | Array, filled: NDArray[np.bool_] | None) -> None:
        """``raw`` (n, 6) at the filter's own rate."""
        n = len(raw)
        work = self._work.get(n)
        if work is None:
            work = _Work(n)
            if n <= SMALL:  # which also bounds how many are kept
                self._work[n] = work
        work.counts[...] = raw
        self.gyro = gyro = work.dot(self._to_gyro)
        self.accel = felt = work.dot(self._to_accel)
        if work.flat_dot(work.flat) > self._unsuspicious or filled is not None:
            felt = self._without_blind(work, gyro, felt, filled)
        found = self._update_filter(gyro, felt)
        self.quaternions = found["quat6D"]
        if self._rows + n < self._step_rows:
            self._rows += n
        else:
            self._steps(raw, gyro, felt, found)

    def _count_time(self) -> None:
        if self._timed_rows:
            assert self._last_us is not None
            self._rate.add(self._timed_rows, self._last_us - self._timed_us)
            self._timed_rows, self._timed_us = 0, self._last_us

    def _without_blind(self, work: _Work, gyro: Array, accel: Array, filled: NDArray[np.bool_] | None) -> Array:
        """The filter takes an accelerometer of zeros for none at all: so it gets where one clipped or was filled in."""
        gyro_limit, accel_limit = self._limits
        if filled is None:  # most suspicions end here
            if len(gyro) > SMALL:  # where sums of squares say nothing
                least = min(self._limits)
                if -least < work.flat.min() and work.flat.max() < least:
                    return accel
            else:  # one sensor's sum of squares may still be below its own range
                turning_2, pulling_2 = self._surely_within
                if sum_of_squares(gyro) < turning_2 and sum_of_squares(accel) < pulling_2:
                    return accel
        rows = np.abs(work.counts)
        clipped = (rows[:, :3] >= gyro_limit).any(axis=1)
        blind = np.asarray((rows[:, 3:] >= accel_limit).any(axis=1))
        if clipped.any():
            hidden_s = int(clipped.sum()) * self._period_s * CLIPPED_SHARE
            self._lose(hidden_s * self._scale.gyro_range_rad_s, Doubt.IMU_CLIPPED)
        if blind.any():
            self._lose(int(blind.sum()) * self._period_s * BLIND_RAD_S, Doubt.IMU_CLIPPED)
        if filled is not None:
            blind |= filled
        return np.where(blind[:, None], 0.0, accel) if blind.any() else accel

    def _lose(self, radians: float, doubt: Doubt) -> None:
        self._uncertainty.lose(radians)
        self._said = None
        self._lost_by = doubt

    def _steps(self, raw: Counts | Array, gyro: Array, felt: Array, found: dict[str, Array]) -> None:
        """Uncertainty and checks, at fixed counts of samples, wherever batches begin and end."""
        ends = range(self._step_rows - self._rows - 1, len(raw), self._step_rows)
        self._rows = len(raw) - 1 - ends[-1]
        for end in ends:
            if self._first is None:
                self._first = gyro, felt, end
            else:
                self._agree(*self._first)
                self._first = None
                self._step(raw, gyro, felt, end, found)

    def _agree(self, gyro: Array, felt: Array, row: int) -> tuple[float, float, float]:
        ax, ay, az = felt[row].tolist()
        if ax or ay or az:
            wx, wy, wz = gyro[row].tolist()
            bx, by, bz = self._bias
            self._agreement.step((wx - bx, wy - by, wz - bz), (ax / GRAVITY, ay / GRAVITY, az / GRAVITY))
        return ax, ay, az

    def _step(self, raw: Counts | Array, gyro: Array, felt: Array, end: int, found: dict[str, Array]) -> None:
        """What every other step brings."""
        self._count_time()
        ax, ay, az = self._agree(gyro, felt, end)
        w, x, y, z = q = found["quat6D"][end].tolist()
        up = 2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z
        turned = (0.0, 0.0, 0.0) if self._step_q is None else _turned(self._step_q, q)
        self._step_q = q
        residual_2 = 0.0
        if ax or ay or az:
            rx, ry, rz = ax - GRAVITY * up[0], ay - GRAVITY * up[1], az - GRAVITY * up[2]
            residual_2 = rx * rx + ry * ry + rz * rz
        self.resting = bool(found["restDetected"].item(end))
        bx, by, bz = found["bias"][end].tolist()
        self._bias = bx, by, bz
        self._uncertainty.step(2.0 * self._step_s, turned, up, residual_2, self._bias, self.resting)
        self._stuck.step(raw[end].tolist())
        self._said = None

    def _update_with_gaps(self, t_us: NDArray[np.int64], raw: Counts) -> None:
        """Rows filled in on straight lines, so that the filter's constant rate holds.

        The filled rows turn on; they have no accelerometer, which would only pull the angle away.
        """
        assert self._last_us is not None
        times = [self._last_us, *t_us.tolist()]  # python's integers: differences of hostile times do not overflow
        steps_us = [b - a for a, b in itertools.pairwise(times)]
        most = max(1, int(self._uncertainty.bridged_s * self._scale.rate_hz))
        wanted = [max(1, round(us * self._per_us)) for us in steps_us]
        steps = [min(step, most) for step in wanted]
        for step, us in zip(wanted, steps_us, strict=True):
            self._rate.add(1, us, apart=step > 1)
        if sum(steps) > most + len(steps):  # gap upon gap: that clock is not to be believed, and would fill the memory
            self._lose(NOTHING_KNOWN_RAD, Doubt.IMU_GAP)
            self._run(raw, None)
            return
        for step, asked in zip(steps, wanted, strict=True):
            if asked > 1:
                whole_gap = step == asked
                hidden = self._uncertainty.hidden_by_gap(asked * self._period_s) if whole_gap else NOTHING_KNOWN_RAD
                self._lose(hidden, Doubt.IMU_GAP)
        real = np.cumsum(steps)
        known = np.concatenate([self._last_raw[-1:], raw]).astype(np.float64)
        at, grid = np.concatenate([[0], real]), np.arange(1, real[-1] + 1)
        rows = np.stack([np.interp(grid, at, column) for column in known.T], axis=1)
        filled = np.ones(len(rows), np.bool_)
        filled[real - 1] = False
        self._run(rows, filled)
        last = real - 1
        self.gyro, self.accel, self.quaternions = self.gyro[last], self.accel[last], self.quaternions[last]


def _turned(before: list[float], after: list[float]) -> tuple[float, float, float]:
    """Rotation vector between two attitudes, in the sensor frame, radians."""
    a, b, c, d = before
    w, x, y, z = after
    # conjugate(before) * after
    scalar = a * w + b * x + c * y + d * z
    i = a * x - b * w - c * z + d * y
    j = a * y + b * z - c * w - d * x
    k = a * z - b * y + c * x - d * w
    sine = math.sqrt(i * i + j * j + k * k)
    factor = 2.0 * math.atan2(sine, abs(scalar)) / sine if sine > 1e-12 else 2.0
    factor = math.copysign(factor, scalar)
    return i * factor, j * factor, k * factor
