"""The zero of both load cells: the tool at rest with nothing on it, in one pose or in several."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import CapturedPoint
from nexuslink.calibration.procedure import Procedure, Setting, gravity_as_json, reading_as_json
from nexuslink.estimation.calibration import TIP_NAMES
from nexuslink.estimation.plateau import WeightReading, felt_n
from nexuslink.estimation.unloaded import ZeroFit, fit_zero

POSES_MOST: Final = 12
OTHER_POSE_COSINE: Final = 0.94
"""Another pose is at least 20 degrees away from every pose before."""
UNLOADED_N: Final = 30.0
"""A zero that has moved by more is a load [assumption: a seventh of the range]."""


class ZeroProcedure(Procedure):
    """One pose gives the zeros; four or more that differ also give the tips' masses. ``result``: the `ZeroFit`."""

    title = "Zero"

    def __init__(self, setting: Setting, poses: int = 1) -> None:
        super().__init__(setting)
        if not 1 <= poses <= POSES_MOST:
            raise ProcedureError(f"{poses} poses: write 1, or 4 to {POSES_MOST} to weigh the tips as well")
        self.poses = poses
        self.readings: list[WeightReading] = []
        self.result: ZeroFit | None = None

    @property
    def step(self) -> tuple[int, int]:
        """Poses."""
        return len(self.readings), self.poses

    @property
    def sentence(self) -> str:
        """What to do."""
        return "Turn it to another side." if self.readings else "Lay it down, touch nothing."

    @property
    def reading(self) -> float:
        """The larger of both cells' offsets, with the tips' own weight in it."""
        off = self._off(self.still.counts)
        return float(off[np.abs(off).argmax()]) if np.isfinite(off).all() else math.nan

    def _off(self, counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        calibration = self.setting.calibration
        celsius = self.celsius if math.isfinite(self.celsius) else calibration.temperature_c
        return np.asarray(felt_n(calibration, np.atleast_2d(counts), np.array([celsius]))[0])

    def _look(self) -> None:
        rest = self.still.rest
        if rest is None or math.isnan(self.celsius):
            return
        if np.abs(self._off(rest.mean_counts)).max() > UNLOADED_N:
            self.hint = "Take everything off the tips."
            return
        reading = self._weighed(rest, 0.0, 0.0, math.inf)
        up = _direction(reading)
        if any(float(up @ _direction(one)) > OTHER_POSE_COSINE for one in self.readings):
            self.hint = ""
            return
        self.readings.append(reading)
        self.hint = ""
        self.complete = len(self.readings) == self.poses

    def undo(self) -> None:
        """The latest pose."""
        if self.readings:
            self.readings.pop()
        self.result = None
        self._reopen()

    def _conclude(self) -> None:
        if not self.readings:
            self._refuse("nothing was captured: lay the tool down, touch nothing")
            return
        fit = fit_zero(self.readings, self.setting.calibration, self.setting.gravity)
        self.result = fit
        self.accepted, self.reason = fit.accepted, fit.reason
        if fit.accepted:
            self.calibration = fit.calibration
            moved = " and ".join(f"{name} {shift:+.2f} N" for name, shift in zip(TIP_NAMES, fit.shift_n, strict=True))
            self.verdict = f"Zero moved: {moved}."

    @property
    def points(self) -> tuple[CapturedPoint, ...]:
        """Both cells in every pose."""
        fit = self.result
        fitted = fit is not None and len(fit.residual_n) == len(self.readings)
        made = []
        for at, reading in enumerate(self.readings):
            off = self._off(reading.mean_counts)
            for tip, name in enumerate(TIP_NAMES):
                residual = float(fit.residual_n[at, tip]) if fit is not None and fitted else math.nan
                made.append(CapturedPoint(f"{name}, pose {at + 1}", float(off[tip]), math.nan, residual, math.nan))
        return tuple(made)

    def observations(self) -> dict[str, Any]:
        """Readings and shifts."""
        fit = self.result
        return {
            "procedure": self.title, **gravity_as_json(self.setting.gravity),
            "readings": [reading_as_json(reading) for reading in self.readings],
            "shift_n": None if fit is None else fit.shift_n, "residual_n": None if fit is None else fit.residual_n,
            "accepted": self.accepted, "reason": self.reason,
        }  # fmt: skip


def _direction(reading: WeightReading) -> np.ndarray[Any, Any]:
    return np.asarray(reading.accel_m_s2 / np.linalg.norm(reading.accel_m_s2))
