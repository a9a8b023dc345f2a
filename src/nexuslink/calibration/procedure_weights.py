"""Known weights on one tip, in the order that was said before; and the check with one weight.

Each still load is matched with the list: zero between the weights is recognised and kept too, the same load is not
taken twice, another weight than the next one is said at once. Forces are compared along the tip, whatever its angle.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import CapturedPoint
from nexuslink.calibration.procedure import Procedure, Setting, gravity_as_json, reading_as_json
from nexuslink.calibration.stillness import IN_A_HAND
from nexuslink.estimation.calibration import TIP_NAMES, Array
from nexuslink.estimation.check import Check, check_weight, u_rest_force_n
from nexuslink.estimation.plateau import WeightReading, along_axis_m_s2, felt_n
from nexuslink.estimation.refusals import UNITS
from nexuslink.estimation.weights import WeightFit, fit_weights
from nexuslink.protocol.messages import CalibrationMethod, CalibrationRecord

MATCH_SHARE, MATCH_N = 0.15, 0.5
"""A load that is off its weight by more is another one: a gain drifts by less [assumption]."""
NEAR_ZERO_N: Final = 0.6
"""Less than this is nothing on the tip [assumption]; a lighter weight cannot be used."""
LIGHTEST_KG, HEAVIEST_KG = 0.1, 20.0
UNLOADED_N: Final = 30.0
"""What the record's zero may be off, before something lies on the tip [assumption: a seventh of the range]."""
UNIT_WITHIN: Final = 0.06
SAME_N: Final = 0.3
"""A still load within this, and 2 %, of the one captured last is that one."""
MASSES_MOST: Final = 32
VALID_S: Final = 365 * 86_400
"""How long a calibration is taken to hold [assumption: once a year, as is usual for load cells]."""
POUND_KG: Final = 0.45359237
"""Exact, by definition of 1959."""
KG_PER: Final = {"kg": 1.0, "g": 1e-3, "lb": POUND_KG}


class _Loads(Procedure):
    """Recognises what is put on one tip."""

    def __init__(self, tip: int, setting: Setting) -> None:
        super().__init__(setting, IN_A_HAND)
        if tip not in (0, 1):
            raise ProcedureError(f"there is no tip {tip}: 0 is the psoas tip, 1 the iliacus tip")
        self.tip = tip
        self.readings: list[WeightReading] = []
        self._track: deque[tuple[int, float]] = deque(maxlen=6000)  # ten minutes of tenths of a second

    @property
    def tip_name(self) -> str:
        """Of the tip in use."""
        return TIP_NAMES[self.tip]

    @property
    def reading(self) -> float:
        """Force along the tip since the latest zero; since the record's where there is none."""
        return self._force(self.still.counts, self.still.accel_m_s2)

    @property
    def reading_u(self) -> float:
        """By the record in use, with the zero taken off."""
        zero, counts = self._zero(), self.still.counts
        if zero is None or not np.isfinite(counts).all():
            return math.nan
        now = zero._replace(mean_counts=counts, accel_m_s2=self._calibrated_accel(self.still.accel_m_s2))
        setting = self.setting
        return u_rest_force_n(self.tip, now, self.reading, setting.calibration, setting.gravity, zero)

    def _force(self, counts: Array, accel: Array) -> float:
        zero = self._zero()
        now = self._alone(counts, self._calibrated_accel(accel))
        return now if zero is None else now - self._alone(zero.mean_counts, zero.accel_m_s2)

    def _alone(self, counts: Array, accel: Array) -> float:
        """What the cell feels, without the tip's own weight."""
        calibration = self.setting.calibration
        celsius = self.celsius if math.isfinite(self.celsius) else calibration.temperature_c
        along = along_axis_m_s2(accel, calibration.axis, self.setting.gravity.m_s2)[..., self.tip]
        felt = felt_n(calibration, np.atleast_2d(counts), np.array([celsius]))[0, self.tip]
        return float(felt - calibration.tip_mass_kg[self.tip] * along)

    def _zero(self) -> WeightReading | None:
        return next((reading for reading in reversed(self.readings) if reading.mass_kg == 0), None)

    def _along(self) -> float:
        accel = self._calibrated_accel(self.still.accel_m_s2)
        axis = self.setting.calibration.axis
        return float(along_axis_m_s2(accel, axis, self.setting.gravity.m_s2)[..., self.tip])

    def _look(self) -> None:
        force = self.reading
        self._track.append((self.still.t_us, force))
        rest = self.still.rest
        if rest is None or math.isnan(self.celsius):
            return
        force = self._force(rest.mean_counts, rest.accel_m_s2)
        if self._zero() is None:
            self.hint = "Take everything off the tips." if abs(force) > UNLOADED_N else ""
            if not self.hint:
                self._keep(0.0, 0.0, math.inf)
            return
        latest = self.readings[-1]
        since = force - self._force_of(latest)
        if abs(since) <= SAME_N + 0.02 * abs(force):
            self.hint = ""
        else:
            self._recognise(force)

    @abstractmethod
    def _recognise(self, force: float) -> None:
        """A still load that is another than the one captured last."""

    def _force_of(self, reading: WeightReading) -> float:
        return self._force(reading.mean_counts, reading.accel_m_s2)

    def _keep(self, mass_kg: float, u_mass_kg: float, loaded_s: float | None = None) -> None:
        rest = self.still.rest
        assert rest is not None  # whoever calls has looked
        if loaded_s is None:
            loaded_s = (rest.t_us - self._changed_us(rest.mean_counts, rest.accel_m_s2)) * 1e-6
        self.readings.append(self._weighed(rest, mass_kg, u_mass_kg, loaded_s))
        self.hint = ""
        self._track.clear()

    def _changed_us(self, counts: Array, accel: Array) -> int:
        """When the load came to be what it is: its last way through the middle between the load before and it."""
        now, before = self._force(counts, accel), self._force_of(self.readings[-1])
        middle = (now + before) / 2.0
        off = [t_us for t_us, force in self._track if (force - middle) * (now - middle) < 0]
        return off[-1] if off else self._track[0][0]

    def _unit_hint(self, said_n: float, force: float) -> str:
        """Does the load look like the right number in another unit?"""
        ratio = said_n / force if force else math.inf
        for unit, number in UNITS.items():
            if abs(ratio / number - 1.0) <= UNIT_WITHIN:
                return f"The masses look like {unit}."
        return ""

    def observations(self) -> dict[str, Any]:
        """Readings and what they were compared with."""
        return {
            "procedure": self.title, "tip": self.tip_name, **gravity_as_json(self.setting.gravity),
            "readings": [reading_as_json(reading) for reading in self.readings],
            "accepted": self.accepted, "verdict": self.verdict, "reason": self.reason,
        }  # fmt: skip


class WeightProcedure(_Loads):
    """Zero, each mass once in the given order, zero. ``result``: the `WeightFit`."""

    def __init__(self, tip: int, masses_kg: Sequence[float], setting: Setting, u_mass_share: float = 0.0) -> None:
        super().__init__(tip, setting)
        self.masses_kg = check_masses(masses_kg)
        self.u_mass_share = u_mass_share
        self.title = f"Weights on the {self.tip_name} tip"
        self.result: WeightFit | None = None

    @property
    def _next(self) -> int:
        return sum(reading.mass_kg > 0 for reading in self.readings)

    @property
    def step(self) -> tuple[int, int]:
        """The first zero, the weights, the last zero."""
        zero_first = bool(self.readings)
        return zero_first + self._next + self.complete, len(self.masses_kg) + 2

    @property
    def sentence(self) -> str:
        """What to put on, or take off."""
        if not self.readings:
            return "Leave both tips free and still."
        if self._next == len(self.masses_kg):
            return "Take it off, leave the tip free."
        return f"Put {self.masses_kg[self._next]:.4g} kg on the {self.tip_name} tip."

    def _recognise(self, force: float) -> None:
        if abs(force) < NEAR_ZERO_N:
            self._keep(0.0, 0.0)
            self.complete = self._next == len(self.masses_kg)
            return
        if self._next == len(self.masses_kg):
            return
        along = self._along()
        wanted = self.masses_kg[self._next]
        nearest = min(self.masses_kg, key=lambda mass: abs(force - mass * along))
        # A weight that was there already cannot be meant, however near it is.
        to_come = min(self.masses_kg[self._next :], key=lambda mass: abs(force - mass * along))
        if _matches(force, wanted * along) and to_come == wanted:
            self._keep(wanted, wanted * self.u_mass_share)
        elif _matches(force, nearest * along):
            self.hint = f"That is {nearest:.4g} kg: put {wanted:.4g} kg on."
        else:
            self.hint = self._unit_hint(wanted * along, force) or (
                f"That weighs {force / along:.3g} kg, not {wanted:.4g} kg."
                if along
                else "Let the tip point up or down."
            )

    def undo(self) -> None:
        """The latest reading; a zero between two weights goes with the weight before it."""
        if not self.readings:
            return
        removed = self.readings.pop()
        if removed.mass_kg == 0 and self.readings:
            self.readings.pop()
        self.result = None
        self._track.clear()
        self._reopen()

    def _conclude(self) -> None:
        if not self.readings:
            self._refuse("nothing was captured: begin with both tips free")
            return
        fit = fit_weights(self.tip, self.readings, self.setting.calibration, self.setting.gravity)
        self.result = fit
        self.accepted, self.reason, self.verdict = fit.accepted, fit.reason, fit.verdict
        self.calibration = fit.calibration if fit.accepted else None

    @property
    def points(self) -> tuple[CapturedPoint, ...]:
        """Zeros and weights in the order of time."""
        fit, gravity = self.result, self.setting.gravity.m_s2
        axis = self.setting.calibration.axis
        made = []
        fitted = fit is not None and len(fit.residual_n) == len(self.readings)
        for at, reading in enumerate(self.readings):
            expected = reading.mass_kg * float(along_axis_m_s2(reading.accel_m_s2, axis, gravity)[..., self.tip])
            name = f"{reading.mass_kg:.4g} kg" if reading.mass_kg else "zero"
            residual, u = math.nan, math.nan
            measured = self._force_of(reading)
            if fit is not None and fitted:
                residual = float(fit.residual_n[at])
                measured = expected + residual
                u = float(fit.u_of(np.array([expected]))[0])
            made.append(CapturedPoint(name, measured, expected, residual, u))
        return tuple(made)

    def record(self, before: CalibrationRecord, made_unix_s: int) -> CalibrationRecord:
        """``before`` with what came out, its method, reference and validity renewed."""
        masses = self.masses_kg
        return replace(
            super().record(before, made_unix_s),
            method=CalibrationMethod.WEIGHTS,
            reference=f"{len(masses)} weights, {min(masses):.3g} to {max(masses):.3g} kg",
            valid_until_unix_s=made_unix_s + VALID_S if made_unix_s else 0,
        )

    def observations(self) -> dict[str, Any]:
        """With what the fit left over."""
        fit = self.result
        fitted = {} if fit is None else {
            "force_n": fit.force_n, "residual_n": fit.residual_n, "leave_one_out_n": fit.leave_one_out_n,
            "u_leave_one_out_n": fit.u_leave_one_out_n,
        }  # fmt: skip
        return {**super().observations(), "masses_kg": list(self.masses_kg), "u_mass_share": self.u_mass_share,
                "fit": fitted}  # fmt: skip


class CheckProcedure(_Loads):
    """Nothing on the tip, then one known weight: is the tool still within its claim? ``result``: the `Check`."""

    changes = False

    def __init__(self, tip: int, mass_kg: float, setting: Setting, u_mass_share: float = 0.0) -> None:
        super().__init__(tip, setting)
        (self.mass_kg,) = check_masses([mass_kg])
        self.u_mass_share = u_mass_share
        self.title = f"Check of the {self.tip_name} tip"
        self.result: Check | None = None

    @property
    def step(self) -> tuple[int, int]:
        """Zero and weight."""
        return len(self.readings), 2

    @property
    def sentence(self) -> str:
        """What to put on."""
        if not self.readings:
            return "Leave both tips free and still."
        return f"Put {self.mass_kg:.4g} kg on the {self.tip_name} tip."

    def _recognise(self, force: float) -> None:
        along = self._along()
        expected = self.mass_kg * along
        if abs(force) < 0.3 * abs(expected):
            self.hint = "" if abs(force) < NEAR_ZERO_N else f"That weighs {abs(force / along):.2g} kg."
            return
        self.hint = self._unit_hint(expected, force)
        if not self.hint:
            self._keep(self.mass_kg, self.mass_kg * self.u_mass_share)
            self.complete = True

    def undo(self) -> None:
        """The latest of the two."""
        if self.readings:
            self.readings.pop()
        self.result = None
        self._track.clear()
        self._reopen()

    def _conclude(self) -> None:
        zero, loaded = self._zero(), self.readings[-1] if self.readings else None
        if zero is None or loaded is None or loaded.mass_kg == 0:
            self._refuse("the weight was not put on: nothing was checked")
            return
        check = check_weight(self.tip, loaded, self.setting.calibration, self.setting.gravity, zero)
        self.result = check
        self.accepted, self.verdict = check.within, check.sentence
        self.reason = "" if check.within else check.sentence

    @property
    def points(self) -> tuple[CapturedPoint, ...]:
        """The weight, once it is there."""
        check, loaded = self.result, self.readings[-1] if self.readings else None
        if loaded is None or loaded.mass_kg == 0:
            return ()
        if check is None:
            return (CapturedPoint(f"{self.mass_kg:.4g} kg", self._force_of(loaded), math.nan, math.nan, math.nan),)
        off = check.measured_n - check.expected_n
        return (CapturedPoint(f"{self.mass_kg:.4g} kg", check.measured_n, check.expected_n, off, check.u_n),)


def check_masses(masses_kg: Sequence[float]) -> tuple[float, ...]:
    """The masses, if they can be. Raises `ProcedureError`."""
    masses = tuple(float(mass) for mass in masses_kg)
    if not 1 <= len(masses) <= MASSES_MOST:
        raise ProcedureError(f"{len(masses)} weights: name 1 to {MASSES_MOST}")
    for mass in masses:
        if not LIGHTEST_KG <= mass <= HEAVIEST_KG:
            raise ProcedureError(
                f"a weight of {mass:g} kg: it must be {LIGHTEST_KG:g} to {HEAVIEST_KG:g} kg; is the unit right?"
            )
    if len(set(masses)) < len(masses):
        raise ProcedureError("a weight stands there twice: the same load is only recognised once")
    return masses


def _matches(force: float, expected: float) -> bool:
    return abs(force - expected) <= MATCH_SHARE * abs(expected) + MATCH_N
