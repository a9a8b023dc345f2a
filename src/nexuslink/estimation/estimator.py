"""Joins the streams: force with the weight and the angle that the tip had at that very moment.

Force and IMU samples arrive in batches of their own. Force is held back until the IMU has reached its time (the
tool sends both in the same flush, so that is normally the same chunk), at most `MAX_WAIT_US` of device time: then
it goes out with an unknown angle, and with the tip's weight at the last attitude that is known. Pure: arrays in,
arrays out; it must never know a message, a link or a clock.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.attitude import AttitudeTracker, up_in_sensor
from nexuslink.estimation.calibration import ImuScale, ToolCalibration
from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.estimates import Circumstances, Estimates, Inertial, Poses, Tool
from nexuslink.estimation.force import COLDEST_C, WARMEST_C, ForceModel
from nexuslink.estimation.force_uncertainty import calibrated, noise_n
from nexuslink.estimation.zero import ZeroTracker

__all__ = ["MAX_WAIT_US", "Estimates", "Estimator", "Stream"]

MAX_WAIT_US: Final = 200_000
"""Force waits this long for its angle [assumption]: six flush periods of the protocol."""
CONTACT_N, RELEASE_N = 3.0, 1.5
"""A tip touches from the one on and until the other: the turn is counted from there [assumption]."""
STUCK_US: Final = 2_000_000
"""24 bits of a bridge never stand still this long."""
CLIPPED: Final = 0.98
"""From this share of its range on the accelerometer is not believed."""
WATCH_HZ: Final = 30.0
"""The force is looked at this often for contact, zero and stuck cells."""
_IMU_CLIPPED: Final = Doubt.IMU_CLIPPED
MOST_CREEP_N: Final = 0.02
"""While more creep than this may be left, the zero is not followed [assumption]."""

Array = NDArray[np.float64]
Stream = tuple[NDArray[np.int64], NDArray[np.signedinteger]]
"""Times (n,) in device microseconds and raw counts (n, channels)."""


class Estimator:
    """One tool, one session. The tare is taken at the angle of the latest IMU sample."""

    def __init__(
        self, calibration: ToolCalibration, imu: ImuScale, force_rate_hz: float,
        full_scale_counts: float = math.inf,
    ) -> None:  # fmt: skip
        """``full_scale_counts``: where a load cell's reading ends. Raises `CalibrationError`."""
        self._force = ForceModel(calibration, force_rate_hz)
        self._tool = Tool(calibration, full_scale_counts)
        self._tracker = AttitudeTracker(imu, calibration.imu, calibration.axis, calibration.temperature_c)
        self._zero = ZeroTracker(noise_n(force_rate_hz), self._creep_is_over)
        self._gravity = calibration.gravity_m_s2
        self._accel_limit = CLIPPED * imu.accel_range_m_s2
        self._calibrated = calibrated(calibration)
        self._standing = self._standing_doubt()
        self._imu: Inertial = np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 4))
        """The latest samples, all that force may still need."""
        self._before = self._imu
        """Those before, for what lies between."""
        self._waiting: list[Stream] = []
        self._touching = False
        self._same = 0, 0, 0, 0
        """The newest count of each cell, and since when each reads that."""
        self._stuck = False
        self._circumstances = Circumstances(
            self._tool, self._tracker.moment(), self._force.uncertainty, self._stuck, self._standing
        )
        self._watch_step = max(1, round(force_rate_hz / WATCH_HZ))
        self._watch_us = round(0.9e6 / WATCH_HZ)
        self._watched_us, self._watch_again_us = 0, self._watch_us

    # -- what changes now and then --------------------------------------------------------------------------------

    @property
    def tare_n(self) -> Array:
        """(2,) newtons taken off by the latest tare."""
        return self._force.tare_n

    @property
    def zero_shift_n(self) -> Array:
        """(2,) newtons that the zero has been followed by since the latest tare."""
        return self._force.zero_shift_n

    @property
    def zero_shifts(self) -> int:
        """How often the zero has been followed in this session."""
        return self._zero.shifts

    def tare(self, mean_counts: Array) -> bool:
        """Zero the force at the present angle. False before the first IMU sample."""
        accel = self._imu[1]
        if not len(accel):
            return False
        self._force.tare(np.asarray(mean_counts, np.float64), accel.mean(axis=0))
        self._zero.restart()
        return True

    def set_temperature(self, t_us: int, celsius: float) -> None:
        """Of the load cells and the inertial unit, as the tool reported it at ``t_us``."""
        self._force.set_temperature(celsius)
        self._tracker.set_temperature(celsius)
        self._standing = self._standing_doubt()

    def _standing_doubt(self) -> Doubt | None:
        celsius = self._force.temperature_c
        if not math.isfinite(celsius):
            return Doubt.TEMPERATURE_UNKNOWN
        if not COLDEST_C <= celsius <= WARMEST_C:
            return Doubt.TEMPERATURE_OUTSIDE
        return None if self._calibrated else Doubt.NOT_CALIBRATED

    # -- every batch ----------------------------------------------------------------------------------------------

    def update(self, force: Stream | None, imu: Stream | None) -> Estimates | None:
        """The streams' new samples, either of which may be missing -> what can be said now, or ``None``."""
        if imu is not None and len(imu[0]):
            self._take_imu(*imu)
        if not self._waiting:
            if force is None or not len(force[0]):
                return None
            t_us, raw = force
            # One rate, one timer, the common case. To the byte: a tenth of what comparing such short arrays costs.
            if t_us.tobytes() == self._imu[0].tobytes():
                return self._estimate(t_us, raw, self._imu[1], self._imu[2])
        else:
            if force is not None and len(force[0]):
                self._waiting.append(force)
            t_us, raw = self._waiting[0]
            if len(self._waiting) > 1:
                t_us = np.concatenate([t for t, _ in self._waiting])
                raw = np.concatenate([r for _, r in self._waiting])
        until_us = t_us.item(-1)
        due_us = until_us - MAX_WAIT_US
        imu_t = self._imu[0]
        if len(imu_t):
            due_us = max(due_us, imu_t.item(-1))
        if until_us <= due_us:
            self._waiting = []
            return self._estimate(t_us, raw, *self._at(t_us))
        ready = int(t_us.searchsorted(due_us, side="right"))
        self._waiting = [(t_us[ready:], raw[ready:])]
        return self._estimate(t_us[:ready], raw[:ready], *self._at(t_us[:ready])) if ready else None

    def _take_imu(self, t_us: NDArray[np.int64], raw: NDArray[np.signedinteger]) -> None:
        tracker = self._tracker
        tracker.update(t_us, raw)
        new: Inertial = t_us, tracker.accel, tracker.gyro, tracker.quaternions
        if self._waiting:  # all that force may still need stays (bounded by MAX_WAIT_US)
            imu_t, accel, gyro, quaternions = self._imu
            keep = max(int(imu_t.searchsorted(self._waiting[0][0].item(0))) - 1, 0)
            new = (
                np.concatenate([imu_t[keep:], new[0]]), np.concatenate([accel[keep:], new[1]]),
                np.concatenate([gyro[keep:], new[2]]), np.concatenate([quaternions[keep:], new[3]]),
            )  # fmt: skip
        else:
            self._before = self._imu
        self._imu = new

    def _estimate(
        self, t_us: NDArray[np.int64], raw: NDArray[np.signedinteger], accel: Array, gyro: Array,
        poses: Poses | None = None,
    ) -> Estimates:  # fmt: skip
        moment = self._tracker.moment()
        if moment.doubt is _IMU_CLIPPED:
            accel = self._unclipped(accel)
        model = self._force
        force = model.newtons(t_us, raw, accel, gyro)
        if not self._watched_us < model.last_us < self._watch_again_us:
            self._watch(t_us, force, raw)
        now = self._circumstances  # a new standing doubt comes with a new uncertainty
        if now.moment is not moment or now.uncertainty is not model.uncertainty or now.stuck is not self._stuck:
            now = self._circumstances = Circumstances(
                self._tool, moment, model.uncertainty, self._stuck, self._standing
            )
        return Estimates(now, t_us, force, raw, accel, model.lags, self._imu, poses)

    def _at(self, t_us: NDArray[np.int64]) -> tuple[Array, Array, Poses]:
        """Specific force and rate (n, 3) at these times, linear between samples; where the angles are to be had.

        Beyond the IMU's last sample the tool counts as standing still as it last stood, before the first as upright.
        """
        imu_t, accel, gyro, quaternions = self._imu
        if not len(imu_t):
            still = np.tile([0.0, 0.0, self._gravity], (len(t_us), 1))
            return still, np.zeros_like(still), Poses(quaternions, imu_t, t_us, silent=True)
        if t_us.item(0) >= imu_t.item(0):
            after = imu_t.searchsorted(t_us)
            # Clipped: the times are the tool's word, and need not be in order.
            if (imu_t.take(after, mode="clip") == t_us).all():  # two rates, one timer
                accel, gyro = accel.take(after, axis=0, mode="clip"), gyro.take(after, axis=0, mode="clip")
                return accel, gyro, Poses(quaternions.take(after, axis=0, mode="clip"), None, None)
        else:  # the first force sample lies between two batches of the IMU
            before = [column[-1:] for column in self._before]
            imu_t = np.concatenate([before[0], imu_t])
            accel, gyro = np.concatenate([before[1], accel]), np.concatenate([before[2], gyro])
            quaternions = np.concatenate([before[3], quaternions])
        beyond = t_us > imu_t[-1]
        rows = [np.stack([np.interp(t_us, imu_t, column) for column in columns.T], axis=1) for columns in (accel, gyro)]
        silent = bool(beyond.any())
        if silent:
            rows[0][beyond] = up_in_sensor(quaternions[-1:]) * self._gravity
            rows[1][beyond] = 0.0
        return rows[0], rows[1], Poses(quaternions, imu_t, t_us, silent)

    def _unclipped(self, accel: Array) -> Array:
        """Where the accelerometer is at its end, gravity alone at the attitude of the moment."""
        clipped = (np.abs(accel) >= self._accel_limit).any(axis=1)
        if not clipped.any():
            return accel
        accel = accel.copy()
        accel[clipped] = up_in_sensor(self._imu[3][-1:]) * self._gravity
        return accel

    def _watch(self, t_us: NDArray[np.int64], force: Array, raw: NDArray[np.signedinteger]) -> None:
        """Contact, zero and stuck channels, `WATCH_HZ` times a second, newest sample last."""
        last = len(t_us) - 1
        if last >= self._watch_step:
            rows = slice(last % self._watch_step, last, self._watch_step)
            columns = (t_us[rows], *force[rows].T, *raw[rows].T)
            for row in zip(*(column.tolist() for column in columns), strict=True):
                self._watch_at(*row)
        self._watched_us = last_us = t_us.item(-1)
        self._watch_again_us = last_us + self._watch_us
        self._watch_at(last_us, force.item(-2), force.item(-1), raw.item(-2), raw.item(-1))

    def _creep_is_over(self) -> bool:
        return self._force.creep_left_n < MOST_CREEP_N

    def _watch_at(self, t_us: int, first_n: float, second_n: float, first: int, second: int) -> None:
        most = first_n if first_n > second_n else second_n
        if (most < RELEASE_N) if self._touching else (most > CONTACT_N):
            self._touching = not self._touching
            self._tracker.contact(t_us, self._touching)
        was_first, was_second, since_first, since_second = self._same
        if first != was_first:
            since_first = t_us
        if second != was_second:
            since_second = t_us
        self._same = first, second, since_first, since_second
        self._stuck = t_us - since_first > STUCK_US or t_us - since_second > STUCK_US
        if most < RELEASE_N and self._force.tared:
            shift = self._zero.watch(t_us, first_n, second_n)
            if shift is not None:
                self._force.shift_zero(np.array(shift))
