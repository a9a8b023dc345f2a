"""The accelerometer by gravity: the tool at rest on each of its six sides, in any order."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nexuslink.calibration.picture import CapturedPoint
from nexuslink.calibration.procedure import Procedure, Setting, gravity_as_json
from nexuslink.estimation.calibration import Array, ImuCalibration, TriaxialCalibration
from nexuslink.estimation.poses import FACES, AccelerometerFit, Pose, calibrate_accelerometer

Face = tuple[int, int]
"""Axis of the IMU frame that points up, and whether its positive end does."""
SIDE_COSINE: Final = math.cos(math.radians(25.0))
"""A side is up when it is within this of straight up."""
SHORT: Final[dict[Face, tuple[str, str]]] = {
    (2, 1): ("tips up", "Stand it on its base."),
    (0, 1): ("mark up", "Lay it down, mark on top."),
    (1, 1): ("left side up", "Lay it on its right side."),
    (2, -1): ("base up", "Turn it upside down."),
    (0, -1): ("mark down", "Lay it on its mark."),
    (1, -1): ("right side up", "Lay it on its left side."),
}
"""Face -> its name, and what to do: the long form is in `estimation.poses.FACES`. Each is a quarter turn on."""
GYRO_TOO: Final = "Now calibrate the gyroscope again: it belongs to the old axes."


class PoseProcedure(Procedure):
    """``result``: the `AccelerometerFit`."""

    title = "Six poses"
    unit = "m/s²"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.poses: dict[Face, Pose] = {}
        self.result: AccelerometerFit | None = None

    @property
    def step(self) -> tuple[int, int]:
        """Sides."""
        return len(self.poses), len(FACES)

    @property
    def missing(self) -> list[Face]:
        """Sides that were not up yet."""
        return [face for face in SHORT if face not in self.poses]

    @property
    def sentence(self) -> str:
        """The next side; any other that is missing is taken as well."""
        return SHORT[self.missing[0]][1] if self.missing else ""

    @property
    def reading(self) -> float:
        """Size of the specific force, calibrated as so far."""
        return float(np.linalg.norm(self._calibrated(self.still.accel_m_s2)))

    def _calibrated(self, accel: Array) -> Array:
        return self._calibrated_accel(accel)

    def _look(self) -> None:
        rest = self.still.rest
        if rest is None or math.isnan(self.celsius):
            return
        up = rest.accel_m_s2.mean(axis=0)
        up = up / np.linalg.norm(up)
        axis = int(np.abs(up).argmax())
        if abs(up[axis]) < SIDE_COSINE:
            self.hint = "Lay it flat on that side."
            return
        self.hint = ""
        face = axis, 1 if up[axis] > 0 else -1
        if face not in self.poses:
            nominal = np.zeros(3)
            nominal[axis] = face[1]
            self.poses[face] = Pose(rest.accel_m_s2, self.celsius, nominal)
        self.complete = not self.missing

    def undo(self) -> None:
        """The latest side."""
        if self.poses:
            self.poses.popitem()
        self.result = None
        self._reopen()

    def _conclude(self) -> None:
        before = self.setting.calibration
        sensor = before.imu.accelerometer
        fit = calibrate_accelerometer(
            list(self.poses.values()), self.setting.gravity.m_s2, sensor, temperature_c=before.temperature_c
        )
        self.result = fit
        self.accepted, self.reason = fit.accepted, fit.reason
        if fit.accepted:
            self.calibration = replace(before, imu=replace(before.imu, accelerometer=fit.calibration))
            made = fit.calibration
            u_deg = math.degrees(math.hypot(made.u_bias / self.setting.gravity.m_s2, made.u_matrix))
            self.verdict = f"Angle of a still tool: within {math.ceil(200 * u_deg) / 100:.2f}°."
            self.advice = GYRO_TOO if gyro_is_of_other_axes(before.imu, made) else ""

    @property
    def points(self) -> tuple[CapturedPoint, ...]:
        """Size of gravity on each side."""
        fit, gravity = self.result, self.setting.gravity.m_s2
        made = []
        for at, (face, pose) in enumerate(self.poses.items()):
            residual = float(fit.residual_m_s2[at]) if fit is not None and at < len(fit.residual_m_s2) else math.nan
            known = math.isfinite(residual)
            felt = gravity + residual if known else float(np.linalg.norm(self._calibrated(pose.accel_m_s2)))
            made.append(CapturedPoint(SHORT[face][0], felt, gravity, residual, math.nan))
        return tuple(made)

    def observations(self) -> dict[str, Any]:
        """Mean of each side."""
        fit = self.result
        return {
            "procedure": self.title, **gravity_as_json(self.setting.gravity),
            "poses": [
                {
                    "side_up": SHORT[face][0], "mean_accel_m_s2": pose.accel_m_s2.mean(axis=0),
                    "std_accel_m_s2": pose.accel_m_s2.std(axis=0), "samples": len(pose.accel_m_s2),
                    "temperature_c": pose.temperature_c,
                }
                for face, pose in self.poses.items()
            ],
            "residual_m_s2": None if fit is None else fit.residual_m_s2,
            "accepted": self.accepted, "reason": self.reason,
        }  # fmt: skip


def gyro_is_of_other_axes(before: ImuCalibration, made: TriaxialCalibration) -> bool:
    """The gyroscope's matrix leads into the frame of the accelerometer beside which it was calibrated: another one?

    So it is where the axes lie apart by more than the gyroscope's own are known. One never calibrated belongs to none.
    """
    gyro = before.gyro
    if not gyro.u_matrix > 0 and np.array_equal(gyro.matrix, np.eye(3)):
        return False
    moved = made.matrix @ np.linalg.inv(before.accelerometer.matrix)
    apart = moved / np.diag(moved)[:, None] - np.eye(3)  # rad, for small ones; each axis' scale is nobody else's affair
    return bool(np.abs(apart).max() > gyro.u_matrix)
