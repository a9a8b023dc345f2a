"""The gyroscope from ordinary movement: turned about by hand now, recorded before, or both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import CapturedPoint, Stage
from nexuslink.calibration.procedure import Procedure, Setting
from nexuslink.calibration.stillness import IN_A_HAND, Samples
from nexuslink.estimation import ImuRecording, self_calibrate_imu
from nexuslink.estimation.calibration import ImuCalibration, ImuScale

MOVING_RAD_S: Final = math.radians(15.0)
MOVED_S: Final = 60.0
"""So long the tool should really be turning, besides its rests: then about two minutes have passed."""
LEAST_MOVED_S: Final = 20.0
"""Laid down for good before that, it was only a longer rest."""
REST_S: Final = 2.0
"""A rest that counts: the filter finds the gyroscope's bias in it."""
TURNS_S: Final = 15.0
"""After so much turning a rest is due."""
LAID_DOWN_S: Final = 6.0
"""A rest this long ends it."""
GAP_S: Final = 0.5
"""More than this between two looks was not seen."""
LONGEST_S: Final = 1200.0
"""What one recording holds at most; later samples are not taken."""


class GyroProcedure(Procedure):
    """``recordings``: earlier ones of the same tool. ``result``: the `ImuCalibration`, with its own gate."""

    title = "Turning"
    unit = "°/s"

    def __init__(self, setting: Setting, recordings: Sequence[ImuRecording] = ()) -> None:
        super().__init__(setting, IN_A_HAND)
        self.recordings = list(recordings)
        self.result: ImuCalibration | None = None
        self.moved_s = 0.0
        self.resting_s = 0.0
        """Of the present rest."""
        self._since_rest_s = math.inf
        self._looked_us = 0
        self._samples: list[Samples] = []

    @property
    def step(self) -> tuple[int, int]:
        """Tenths of what is needed."""
        return round(10 * self._progress), 10

    @property
    def _progress(self) -> float:
        return min(1.0, self.moved_s / MOVED_S)

    @property
    def sentence(self) -> str:
        """Turn, and rest now and then."""
        if self.moved_s >= MOVED_S:
            return "Lay it down, leave it."
        return "Let it rest a moment." if self._since_rest_s > TURNS_S else "Turn it about, in all directions."

    @property
    def reading(self) -> float:
        """Speed of turning."""
        return math.degrees(self.still.rate_rad_s)

    def update(self, force: Samples | None, imu: Samples | None) -> bool:
        """Every sample counts here."""
        if not self.complete and imu is not None and len(imu[0]) and self._room(int(imu[0][0])):
            self._samples.append(imu)
        return super().update(force, imu)

    def _room(self, t_us: int) -> bool:
        return not self._samples or t_us - int(self._samples[0][0][0]) < LONGEST_S * 1e6

    def _look(self) -> None:
        passed_s = min((self.still.t_us - self._looked_us) * 1e-6, GAP_S)
        self._looked_us = self.still.t_us
        moved_s = passed_s * (self.still.rate_rad_s > MOVING_RAD_S)
        self.moved_s += moved_s
        self._since_rest_s += moved_s
        self.resting_s = self.resting_s + passed_s if self.still.progress > 0 else 0.0
        if self.resting_s >= REST_S:
            self._since_rest_s = 0.0
        self.complete = self.moved_s >= LEAST_MOVED_S and self.resting_s >= LAID_DOWN_S

    def undo(self) -> None:
        """All of this recording: it has no parts."""
        self._samples.clear()
        self.moved_s = self.resting_s = 0.0
        self._since_rest_s = math.inf
        self.result = None
        self._reopen()

    def recording(self) -> ImuRecording | None:
        """What was recorded by this procedure; None where nothing was."""
        if not self._samples:
            return None
        t_us = np.concatenate([t for t, _ in self._samples])
        raw = np.concatenate([rows for _, rows in self._samples])
        return imu_recording(t_us, raw, self.setting.imu)

    def _conclude(self) -> None:
        now = self.recording()
        # The gyroscope's matrix leads into the accelerometer's frame: so that has to be the calibrated one's.
        straight = self.setting.calibration.imu.accelerometer.apply
        recordings = [
            one._replace(accel_m_s2=straight(one.accel_m_s2))
            for one in [*self.recordings, *([] if now is None else [now])]
        ]
        made = self_calibrate_imu(recordings)
        self.result = made
        self.accepted, self.reason = made.accepted, made.reason
        if made.accepted:
            before = self.setting.calibration
            gyro = replace(before.imu.gyro, matrix=made.gyro.matrix, u_matrix=made.gyro.u_matrix)
            self.calibration = replace(before, imu=replace(before.imu, gyro=gyro))
            self.verdict = f"Gyroscope known within {2 * made.quality:.1%}."

    def _stage(self) -> Stage:
        stage = super()._stage()
        return stage if self.accepted is not None or self.complete else Stage.CAPTURING

    @property
    def picture(self) -> Any:
        """Progress is that of the whole: it has one step."""
        return replace(super().picture, progress_of_step=self._progress)

    @property
    def points(self) -> tuple[CapturedPoint, ...]:
        """None: there is only one long recording."""
        return ()

    def observations(self) -> dict[str, Any]:
        """How long, and what came out."""
        made = self.result
        return {
            "procedure": self.title, "moved_s": self.moved_s,
            "recordings_s": [len(one.gyro_rad_s) / one.rate_hz for one in self.recordings],
            "quality": None if made is None else made.quality, "accepted": self.accepted, "reason": self.reason,
        }  # fmt: skip


def imu_recording(t_us: np.ndarray[Any, Any], raw: np.ndarray[Any, Any], scale: ImuScale) -> ImuRecording:
    """Samples (n,) and (n, 6) on the grid of their rate; what is missing between them is NaN.

    Raises `ProcedureError` where the times do not fit the rate.
    """
    at = np.rint((t_us - t_us[0]) * (scale.rate_hz * 1e-6)).astype(np.int64)
    if not len(at) or at.min() < 0 or at[-1] > LONGEST_S * 2 * scale.rate_hz or (np.diff(at) < 0).any():
        raise ProcedureError("the samples of the inertial unit are not in order: record again")
    values = np.full((int(at[-1]) + 1, 6), np.nan)
    values[at] = raw * np.repeat([scale.gyro_rad_s, scale.accel_m_s2], 3)
    return ImuRecording(values[:, :3], values[:, 3:], scale.rate_hz)
