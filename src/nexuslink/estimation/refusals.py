"""Why readings with weights cannot be a calibration: the first fault found, in one sentence that says what to do.

Looks with the record before, whose gain is roughly right and whose zero need not be. Faults that only a fit can see
(an outlier, a curve that turns back) are in `weights`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import TIP_NAMES, Array, ToolCalibration
from nexuslink.estimation.gravity import Gravity
from nexuslink.estimation.plateau import Plateaus, WeightReading, along_axis_m_s2, felt_n

UNITS: Final = {
    "grams": 1000.0, "ounces": 35.274, "newtons": 9.80665, "pounds": 2.20462,
    "kilograms taken for pounds": 0.453592, "kilograms taken for newtons": 0.101972, "kilograms taken for grams": 1e-3,
}  # fmt: skip
"""The number that stands where kilograms should, for one kilogram."""
UNIT_WITHIN: Final = 0.08
GAIN_WITHIN: Final = 0.2
"""A gain that has changed by more is no drift: something is broken, or the masses are not what is said."""
ODD_WITHIN: Final = 0.5
"""One weight may be so far from what the others say before it is plain without a fit."""
LEAST_SPAN_N: Final = 10.0
"""Less than this says nothing about a hold [assumption]."""
FULL_COUNTS: Final = (1 << 23) - 1
"""The tool's converters have 24 bits."""
MOVING_N, MOVING_SHARE = 0.1, 0.01
"""Standard deviation of a plateau that is still at rest, and the share of the weight that may swing [assumption]."""
GRAVITY_WITHIN: Final = 0.05
"""The accelerometer's idea of gravity may be so far off before it is taken for movement or a wrong scale."""
COLDEST_C, WARMEST_C = -40.0, 85.0
"""Outside, that is no temperature of the cells: the record cannot name it either."""
TOUCHED_N, TOUCHED_SHARE = 0.5, 0.1
"""What the other cell may move by, over its cross-talk, before something touches it."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One set of readings, and what the record before makes of it."""

    tip: int
    plateaus: Plateaus
    felt_n: Array
    """(k, 2) of both cells, their zeros and the tips' own weights taken off."""
    contact_n: Array
    """(k,) that the weights put on by what is said of them."""
    gravity_m_s2: float
    before: ToolCalibration

    @property
    def name(self) -> str:
        return TIP_NAMES[self.tip]

    @property
    def other(self) -> str:
        return TIP_NAMES[1 - self.tip]

    def kg(self, row: int | np.intp) -> str:
        return f"{self.plateaus.mass[row]:g} kg"


def why_not(tip: int, readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity) -> str:
    """The first fault of these readings, in one sentence; empty where they can be fitted."""
    if tip not in (0, 1):
        return f"there is no tip {tip}: 0 is the psoas tip, 1 the iliacus tip"
    if not readings:
        return "there is no reading: take zero and at least two weights"
    fault = record_fault(before) or unreadable(readings)
    if fault:
        return fault
    plateaus = Plateaus.of(readings)
    unloaded = plateaus.mass == 0
    if not unloaded.any():
        return "the zero is missing: take a reading with nothing on either tip too"
    if len(np.unique(plateaus.mass)) < 3:
        return f"{len(np.unique(plateaus.mass))} different weights are too few: take zero and at least two others"
    along = along_axis_m_s2(plateaus.accel, before.axis, gravity.m_s2)
    felt = felt_n(before, plateaus.counts, plateaus.temperature) - before.tip_mass_kg * along
    felt -= felt[unloaded].mean(axis=0)
    case = _Case(tip, plateaus, felt, plateaus.mass * along[:, tip], gravity.m_s2, before)
    return next((fault for look in _LOOKS if (fault := look(case))), "")


def record_fault(before: ToolCalibration) -> str:
    """What makes a record useless as a prior."""
    for field in before.__dataclass_fields__:
        value = getattr(before, field)
        if isinstance(value, np.ndarray) and not field.startswith("contact_") and not np.isfinite(value).all():
            return f"the record before has no number as {field}: load a sound record first"
    if (before.gain_n_per_count == 0).any():
        return "the record before has a gain of 0, which divides by zero: load a sound record first"
    if (np.abs(np.linalg.norm(before.axis, axis=1) - 1.0) > 1e-2).any():
        return "the record before has a tip axis that is no unit vector: load a sound record first"
    return ""


def unreadable(readings: Sequence[WeightReading]) -> str:
    """What is wrong with a reading in itself, whatever the tool."""
    for number, reading in enumerate(readings, 1):
        if [np.shape(value) for value in reading] != _SHAPES:
            return f"reading {number} does not have two cells and three axes: take it again"
        mass_kg, temperature_c, u_mass_kg, loaded_s = (
            reading.mass_kg, reading.temperature_c, reading.u_mass_kg, reading.loaded_s
        )  # fmt: skip
        measured = [*reading.mean_counts, *reading.std_counts, *reading.accel_m_s2, temperature_c, reading.t_s]
        faults = {
            f"reading {number} has a mass of {mass_kg:g} kg: give kilograms, 0 for nothing on the tip": (
                not 0 <= mass_kg < math.inf
            ),
            f"reading {number} holds values that are no numbers: take it again": not np.isfinite(measured).all(),
            f"{mass_kg:g} kg with an uncertainty of {u_mass_kg:g} kg is no known weight": (
                not 0 <= u_mass_kg < (mass_kg or math.inf)
            ),
            f"reading {number} was taken at {temperature_c:g} degC: let the tool report its temperature": (
                not COLDEST_C <= temperature_c <= WARMEST_C
            ),
            f"reading {number} has {reading.samples} samples after {loaded_s:g} s: take it again": (
                not (reading.samples >= 1 and loaded_s >= 0)
            ),
        }
        fault = next((says for says, wrong in faults.items() if wrong), "")
        if fault:
            return fault
    return ""


_SHAPES: Final = [(), (2,), (2,), (), (3,), (), (), (), ()]


def _saturated(case: _Case) -> str:
    rows, tips = np.nonzero(np.abs(case.plateaus.counts) >= 0.999 * FULL_COUNTS)
    if len(rows):
        return f"the {TIP_NAMES[tips[0]]} cell is beyond its range at {case.kg(rows[0])}: use less weight"
    return ""


def _stuck(case: _Case) -> str:
    counts, std = case.plateaus.counts[:, case.tip], case.plateaus.std[:, case.tip]
    if np.ptp(counts) == 0 or ((std == 0) & (case.plateaus.samples >= 10)).any():
        return f"the {case.name} cell reads the same value all the time: restart the tool, then have it checked"
    return ""


def _moving(case: _Case) -> str:
    std_n = case.plateaus.std[:, case.tip] * abs(case.before.gain_n_per_count[case.tip])
    allowed_n = MOVING_N + MOVING_SHARE * np.abs(case.contact_n)
    rows = np.flatnonzero(std_n > allowed_n)
    if len(rows):
        return f"{case.kg(rows[0])} was not at rest, {std_n[rows[0]]:.1f} N to and fro: let it hang still, read again"
    norm = np.linalg.norm(case.plateaus.accel, axis=1)
    rows = np.flatnonzero(np.abs(norm / case.gravity_m_s2 - 1.0) > GRAVITY_WITHIN)
    if len(rows):
        return (
            f"at {case.kg(rows[0])} the accelerometer reads {norm[rows[0]]:.2f} m/s2 where gravity is "
            f"{case.gravity_m_s2:.2f}: keep the tool still, or calibrate the accelerometer first"
        )
    return ""


def _other_tip(case: _Case) -> str:
    own, moved = case.felt_n[:, case.tip], case.felt_n[:, 1 - case.tip]
    heaviest = int(np.abs(case.contact_n).argmax())
    if abs(moved[heaviest]) > 2.0 * abs(own[heaviest]) + TOUCHED_N:
        return f"the weights are on the {case.other} tip, not on the {case.name} tip: move them, or choose that tip"
    share = case.before.cross_talk[1 - case.tip]
    rows = np.flatnonzero(np.abs(moved - share * own) > TOUCHED_N + TOUCHED_SHARE * np.abs(own))
    if len(rows):
        return (
            f"at {case.kg(rows[0])} the {case.other} tip read {moved[rows[0]]:.1f} N: "
            f"only the {case.name} tip may be touched"
        )
    return ""


def _wrong_unit(case: _Case) -> str:
    rows, ratio = _ratios(case)
    off = np.abs(ratio - 1.0) > UNIT_WITHIN
    if not off.any():
        return ""
    for unit, number in UNITS.items():
        if (np.abs(ratio[off] / number - 1.0) <= UNIT_WITHIN).all():
            which = "the masses look" if off.all() else f"{case.kg(rows[off][0])} looks"
            return f"{which} like {unit}: give kilograms"
    return ""


def _wrong_order(case: _Case) -> str:
    order = np.argsort(case.contact_n, kind="stable")
    contact, felt = case.contact_n[order], case.felt_n[order, case.tip]
    swings = np.abs(contact).max()
    if felt @ contact < 0:
        side = "down, so that the weight pulls" if case.contact_n.sum() < 0 else "up, so that the weight presses"
        return (
            f"the {case.name} cell reads the other way round: by the accelerometer that tip points {side}; "
            "turn it over, or have the cell's wires checked"
        )
    falls = np.flatnonzero((np.diff(contact) > 0.01 * swings) & (np.diff(felt) < 0))
    if len(falls):
        pair = sorted(case.plateaus.mass[order[falls[0] : falls[0] + 2]])
        return (
            f"the reading falls from {pair[0]:g} kg to {pair[1]:g} kg: "
            "these two were mixed up, or one is not what it says"
        )
    return ""


def _gain(case: _Case) -> str:
    rows, ratio = _ratios(case)
    if not len(ratio):
        return f"the {case.name} cell hardly moved with the weights: look whether they were on that tip"
    typical = float(np.median(ratio))
    odd = np.flatnonzero(np.abs(ratio / typical - 1.0) > ODD_WITHIN)
    if len(odd):
        like = case.plateaus.mass[rows[odd[0]]] / ratio[odd[0]] * typical
        return f"{case.kg(rows[odd[0]])} reads like {like:.2g} kg: check its mass, then read it again"
    if abs(1.0 / typical - 1.0) > GAIN_WITHIN:
        return (
            f"the {case.name} cell reads {abs(1 / typical - 1):.0%} {'less' if typical > 1 else 'more'} than the "
            "weights should make it: check the masses, then have the cell checked"
        )
    return ""


def _span(case: _Case) -> str:
    span = float(np.ptp(case.contact_n))
    if span < LEAST_SPAN_N:
        return f"the weights span only {span:.1f} N along the tip, too little for a claim: span {LEAST_SPAN_N:.0f} N"
    return ""


def _ratios(case: _Case) -> tuple[NDArray[np.intp], Array]:
    """Rows of the weights that press or pull enough to tell, and what is said of them over what they read as."""
    rows = np.flatnonzero((case.plateaus.mass > 0) & (np.abs(case.felt_n[:, case.tip]) > 1.0))
    return rows, case.contact_n[rows] / case.felt_n[rows, case.tip]


_LOOKS: Final[tuple[Callable[[_Case], str], ...]] = (
    _saturated, _stuck, _moving, _other_tip, _wrong_unit, _wrong_order, _span, _gain,
)  # fmt: skip
"""In this order: what spoils the reading itself, then what was put where, then what was said of it."""
