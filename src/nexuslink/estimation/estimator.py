"""Joins the streams: force at the angle that the tip had at that very moment.

Force and IMU samples arrive in batches of their own. Force is held back until the IMU has reached its time (the
tool sends both in the same flush, so that is normally the same chunk), at most `MAX_WAIT_US` of device time: then
it goes out with an unknown angle. Pure: arrays in, arrays out; it must never know a message, a link or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.attitude import AttitudeTracker, TipGeometry, up_in_sensor
from nexuslink.estimation.calibration import ImuScale, ToolCalibration
from nexuslink.estimation.force import ForceModel

MAX_WAIT_US: Final = 200_000
"""Force waits this long for its angle [assumption]: six flush periods of the protocol."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """``n`` force samples on the device clock; columns are psoas, iliacus.

    ``t_us``: (n,) int64, device time, microseconds.
    ``force_n``: (n, 2) float64, newtons, compression positive, tip weight and tare taken out.
    ``pressure_kpa``: (n, 2) float64, NaN where no contact area is known.
    ``tip_angle_deg``: (n, 2) float64, from vertical, NaN where the IMU is silent.
    ``tip_direction_deg``: (n, 2) float64, 0 toward the mark, +90 counterclockwise seen from above.
    """

    t_us: NDArray[np.int64]
    force_n: NDArray[np.float64]
    pressure_kpa: NDArray[np.float64]
    tip_angle_deg: NDArray[np.float64]
    tip_direction_deg: NDArray[np.float64]


Stream = tuple[NDArray[np.int64], NDArray[np.signedinteger]]
"""Times (n,) in device microseconds and raw counts (n, channels)."""


class Estimator:
    """One tool, one session. The tare is taken at the angle of the latest IMU sample."""

    def __init__(self, calibration: ToolCalibration, imu: ImuScale) -> None:
        self._force = ForceModel(calibration)
        self._geometry = TipGeometry(calibration.axis)
        self._tracker = AttitudeTracker(imu, calibration.imu, calibration.axis, calibration.temperature_c)
        self._imu_t = np.empty(0, np.int64)
        self._imu_up = np.empty((0, 3))
        self._before = self._imu_t, self._imu_up
        """The last IMU sample before these, for what lies between."""
        self._waiting: list[Stream] = []

    @property
    def tare_n(self) -> NDArray[np.float64]:
        """(2,) newtons taken off by the latest tare."""
        return self._force.tare_n

    def tare(self, mean_counts: NDArray[np.float64]) -> bool:
        """Zero the force at the present angle. False before the first IMU sample."""
        if not len(self._imu_up):
            return False
        cosine, _, _ = self._geometry.angles(self._imu_up[-1:])
        self._force.tare(mean_counts, cosine[0])
        return True

    def update(self, force: Stream | None, imu: Stream | None) -> Estimates | None:
        """The streams' new samples, either of which may be missing -> what can be said now, or ``None``."""
        if imu is not None and len(imu[0]):
            self._take_imu(*imu)
        if force is not None and len(force[0]):
            self._waiting.append(force)
        if not self._waiting:
            return None
        t_us, raw = self._waiting[0]
        if len(self._waiting) > 1:
            t_us = np.concatenate([t for t, _ in self._waiting])
            raw = np.concatenate([r for _, r in self._waiting])
        due_us = int(t_us[-1]) - MAX_WAIT_US
        if len(self._imu_t):
            due_us = max(due_us, int(self._imu_t[-1]))
        if t_us[-1] <= due_us:  # the common case: all of it
            self._waiting = []
            return self._estimate(t_us, raw)
        ready = int(t_us.searchsorted(due_us, side="right"))
        self._waiting = [(t_us[ready:], raw[ready:])]
        return self._estimate(t_us[:ready], raw[:ready]) if ready else None

    def _take_imu(self, t_us: NDArray[np.int64], raw: NDArray[np.signedinteger]) -> None:
        self._tracker.update(t_us, raw)
        up = up_in_sensor(self._tracker.quaternions)
        if self._waiting:  # all that force may still need stays (bounded by MAX_WAIT_US)
            oldest = int(self._waiting[0][0][0])
            keep = max(int(self._imu_t.searchsorted(oldest)) - 1, 0)
            t_us = np.concatenate([self._imu_t[keep:], t_us])
            up = np.concatenate([self._imu_up[keep:], up])
        else:
            self._before = self._imu_t[-1:], self._imu_up[-1:]
        self._imu_t, self._imu_up = t_us, up

    def _up_at(self, t_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """``up`` (n, 3) at these times, linear between samples, NaN after the last one."""
        imu_t, up = self._imu_t, self._imu_up
        if not len(imu_t):
            return np.full((len(t_us), 3), np.nan)
        if t_us[0] >= imu_t[0]:
            if len(t_us) == len(imu_t) and (t_us == imu_t).all():
                return up  # one rate, one timer
            after = imu_t.searchsorted(t_us)
            # Clipped: the times are the tool's word, and need not be in order.
            if (imu_t.take(after, mode="clip") == t_us).all():
                return up.take(after, axis=0, mode="clip")  # two rates, one timer
        else:  # the first force sample lies between two batches of the IMU
            imu_t, up = np.concatenate([self._before[0], imu_t]), np.concatenate([self._before[1], up])
        columns = [np.interp(t_us, imu_t, up[:, axis], right=np.nan) for axis in range(3)]
        return np.stack(columns, axis=1)

    def _estimate(self, t_us: NDArray[np.int64], raw: NDArray[np.signedinteger]) -> Estimates:
        cosine, angle, direction = self._geometry.angles(self._up_at(t_us))
        if cosine[-1, 0] != cosine[-1, 0]:  # without an angle the tip counts as upright: the force is watched on
            cosine = np.where(np.isnan(cosine), 1.0, cosine)
        force = self._force.newtons(raw, cosine)
        return Estimates(t_us, force, self._force.kilopascals(force), angle, direction)
