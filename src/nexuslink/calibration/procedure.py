"""A calibration as a state machine without link and clock: samples in, a picture of what to do now out.

Driven by what is measured: a load or a pose that has come to rest is captured by itself, because whoever does this
has both hands full. ``update`` is cheap; ``conclude`` does the sums, which may take a second, once ``complete``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nexuslink.calibration.convert import with_calibration
from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import CapturedPoint, Picture, Stage
from nexuslink.calibration.stillness import ON_A_TABLE, Allowed, Rest, Samples, Stillness
from nexuslink.estimation.calibration import Array, ImuScale, ToolCalibration
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import WeightReading
from nexuslink.protocol.messages import CalibrationRecord


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known before it begins."""

    calibration: ToolCalibration
    """Of the record in use."""
    imu: ImuScale
    force_rate_hz: float
    gravity: Gravity = UNKNOWN_PLACE
    simulated: bool = False


class Procedure(ABC):
    """What the five have in common. A subclass says what to do with a still moment, and what comes out in the end."""

    title = ""
    unit = "N"
    changes = True
    """Does a record come out, or only a verdict?"""

    def __init__(self, setting: Setting, allowed: Allowed = ON_A_TABLE) -> None:
        self.setting = setting
        self.complete = False
        """Everything is captured: `conclude` may be called."""
        self.accepted: bool | None = None
        """None until `conclude`."""
        self.reason = ""
        """Why it was not accepted, and what to do."""
        self.verdict = ""
        self.advice = ""
        """What else has to be calibrated now, because of what came out."""
        self.calibration: ToolCalibration | None = None
        """What came out, if it was accepted."""
        self.celsius = math.nan
        self.still = Stillness(setting.calibration, setting.imu, setting.force_rate_hz, allowed)
        self.hint = ""
        """What was wrong with the latest still moment; shown in place of the sentence."""

    # -- in -------------------------------------------------------------------------------------------------------

    def set_temperature(self, celsius: float) -> None:
        """Of the load cells, by the tool's latest word."""
        self.celsius = celsius

    def update(self, force: Samples | None, imu: Samples | None) -> bool:
        """New samples by device time; either may be missing. True where there is another picture."""
        if self.complete or not self.still.update(force, imu):
            return False
        self._look()
        return True

    @abstractmethod
    def _look(self) -> None:
        """A tenth of a second more is known: perhaps something can be captured."""

    @abstractmethod
    def undo(self) -> None:
        """Take the latest captured point back, and go on from there."""

    def finish(self) -> None:
        """Enough: go on to the sums with what is there."""
        self.complete = True

    def conclude(self) -> None:
        """Do the sums: `accepted`, `reason`, `verdict`, `calibration`. Raises `ProcedureError` before `complete`."""
        if not self.complete:
            raise ProcedureError(f"{self.title}: not everything is captured yet")
        self._conclude()

    @abstractmethod
    def _conclude(self) -> None: ...

    def _refuse(self, reason: str) -> None:
        self.accepted, self.reason, self.calibration = False, reason, None

    def _reopen(self) -> None:
        """After an undo."""
        self.complete, self.accepted, self.calibration = False, None, None
        self.reason = self.verdict = self.advice = ""
        self.still.forget()

    # -- out ------------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def step(self) -> tuple[int, int]:
        """Steps done, and steps in all (0: open)."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What to do now."""

    @property
    @abstractmethod
    def points(self) -> tuple[CapturedPoint, ...]:
        """What is captured."""

    @abstractmethod
    def observations(self) -> dict[str, Any]:
        """What was measured with what, for the archive: JSON's own types and arrays."""

    @property
    def reading(self) -> float:
        """Live, in `unit`."""
        return math.nan

    @property
    def reading_u(self) -> float:
        """Standard uncertainty of `reading`; NaN where none is said."""
        return math.nan

    @property
    def settling(self) -> bool:
        """Something has changed and has not come to rest yet."""
        return self.still.progress == 0.0

    @property
    def picture(self) -> Picture:
        """What to show now."""
        done, total = self.step
        return Picture(
            title=self.title, stage=self._stage(), sentence=self._words(), step=done, steps=total,
            progress_of_step=self.still.progress, reading=self.reading, reading_u=self.reading_u, unit=self.unit,
            up=self._up(), points=self.points, verdict=self.verdict, simulated=self.setting.simulated,
            advice=self.advice,
        )  # fmt: skip

    def record(self, before: CalibrationRecord, made_unix_s: int) -> CalibrationRecord:
        """``before`` with what came out. Raises `ProcedureError` where nothing was accepted.

        Method, reference and validity are of the force, which most depends on them: only weights renew those.
        """
        if self.calibration is None:
            raise ProcedureError(f"{self.title}: nothing was accepted{': ' if self.reason else ''}{self.reason}")
        return replace(with_calibration(before, self.calibration), made_unix_s=made_unix_s)

    def _stage(self) -> Stage:
        if self.accepted is not None:
            return Stage.DONE if self.accepted else Stage.REFUSED
        if self.complete or self.still.progress >= 1.0:
            return Stage.WAITING
        return Stage.SETTLING if self.settling else Stage.CAPTURING

    def _words(self) -> str:
        if self.accepted is not None:
            return self.verdict if self.accepted and self.verdict else self.reason or "Done."
        return "Wait: working it out." if self.complete else self.hint or self.sentence

    def _up(self) -> tuple[float, float, float] | None:
        felt = self.still.accel_m_s2
        norm = float(np.linalg.norm(felt))
        return None if not norm > 0 else (float(felt[0] / norm), float(felt[1] / norm), float(felt[2] / norm))

    # -- for those that weigh -------------------------------------------------------------------------------------

    def _calibrated_accel(self, accel: Array) -> Array:
        """(3,) mean of raw scaled samples (n, 3) or (3,), calibrated."""
        sensor = self.setting.calibration.imu.accelerometer
        mean = np.atleast_2d(accel).mean(axis=0)
        warmth = self.celsius - self.setting.calibration.temperature_c
        return np.asarray(sensor.apply(mean[None], warmth if math.isfinite(warmth) else 0.0)[0])

    def _weighed(self, rest: Rest, mass_kg: float, u_mass_kg: float, loaded_s: float) -> WeightReading:
        return WeightReading(
            mass_kg, rest.mean_counts, rest.std_counts, rest.samples, self._calibrated_accel(rest.accel_m_s2),
            self.celsius, u_mass_kg, rest.t_us * 1e-6, loaded_s,
        )  # fmt: skip


def reading_as_json(reading: WeightReading) -> dict[str, Any]:
    """For the archive."""
    return {
        "mass_kg": reading.mass_kg, "u_mass_kg": reading.u_mass_kg, "mean_counts": reading.mean_counts,
        "std_counts": reading.std_counts, "samples": reading.samples, "accel_m_s2": reading.accel_m_s2,
        "temperature_c": reading.temperature_c, "device_s": reading.t_s,
        "loaded_s": reading.loaded_s if math.isfinite(reading.loaded_s) else None,
    }  # fmt: skip


def gravity_as_json(gravity: Gravity) -> dict[str, Any]:
    """For the archive."""
    return {"gravity_m_s2": gravity.m_s2, "u_gravity_m_s2": gravity.u_m_s2, "source": gravity.source}
