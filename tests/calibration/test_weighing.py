"""Weights on a tip without a key: captured when at rest, matched with the list, wrong ones said at once."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from handled_tool import Person

from nexuslink.calibration.archive import plain
from nexuslink.calibration.convert import tool_calibration
from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import Stage
from nexuslink.calibration.procedure_weights import CheckProcedure, WeightProcedure
from nexuslink.protocol.messages import CalibrationMethod

MASSES = (0.5, 1.5, 3.0, 6.0, 11.0)


def weighing(seed: int = 1, tip: int = 0, masses: Sequence[float] = MASSES, u: float = 0.0005) -> Person:
    """Somebody who is about to begin."""
    return Person(lambda setting: WeightProcedure(tip, masses, setting, u), seed)


def pose(tip: int) -> tuple[float, float, float]:
    """With that tip up."""
    return ((0.0, 0.0, 1.0), (math.sin(math.radians(35)), 0.0, math.cos(math.radians(35))))[tip]


def done(someone: Person, tip: int = 0, masses: Sequence[float] = MASSES, between: bool = True) -> WeightProcedure:
    """All of it, in order."""
    procedure = someone.procedure
    assert isinstance(procedure, WeightProcedure)
    someone.up = np.array(pose(tip))
    someone.wait(3.0)
    for kg in masses:
        someone.put(kg, tip)
        if between:
            someone.put(0.0, tip, 3.0)
    if not between:
        someone.put(0.0, tip, 3.0)
    return procedure


@pytest.mark.parametrize(("tip", "between"), list(itertools.product((0, 1), (True, False))))
def test_five_weights_without_a_key(tip: int, between: bool) -> None:
    someone = weighing(seed=3 + tip, tip=tip)
    procedure = done(someone, tip, between=between)
    assert procedure.complete and procedure.picture.sentence == "Wait: working it out."
    assert [r.mass_kg for r in procedure.readings if r.mass_kg] == list(MASSES)
    assert procedure.readings[0].mass_kg == procedure.readings[-1].mass_kg == 0
    procedure.conclude()
    picture = procedure.picture
    assert (picture.stage, picture.step, picture.steps) == (Stage.DONE, 7, 7), procedure.reason
    assert picture.verdict.startswith("within ") and picture.sentence == picture.verdict
    assert len(picture.points) == len(procedure.readings)
    assert all(abs(point.residual) < 0.1 and point.u > 0 for point in picture.points)
    made = procedure.record(someone.record, 1_780_000_000)
    assert made.method == CalibrationMethod.WEIGHTS
    assert made.reference == "5 weights, 0.5 to 11 kg"
    assert made.valid_until_unix_s - made.made_unix_s == 365 * 86400
    assert made.force[tip].gain_n_per_count != someone.record.force[tip].gain_n_per_count
    assert made.force[tip].u_gain < someone.record.force[tip].u_gain
    assert "residual_n" in json.dumps(plain(procedure.observations()), allow_nan=False)


@pytest.mark.parametrize("up", [(0.0, 0.0, -1.0), (0.5, 0.2, 0.8), (-0.3, 0.4, -0.8)])
def test_hung_or_placed_at_any_angle(up: tuple[float, float, float]) -> None:
    """A weight that hangs from a tip that points down pulls: its force is below zero."""
    someone = weighing(seed=6, masses=(1.0, 4.0, 9.0))
    someone.up = np.array(up) / np.linalg.norm(up)
    someone.wait(3.0)
    for kg in (1.0, 4.0, 9.0):
        someone.put(kg)
        someone.put(0.0)
    procedure = someone.procedure
    assert procedure.complete
    procedure.conclude()
    assert procedure.accepted, procedure.reason
    along = 9.80665 * someone.up[2]
    assert [point.expected / along for point in procedure.points if point.name != "zero"] == [
        pytest.approx(kg, abs=0.05) for kg in (1.0, 4.0, 9.0)
    ]  # fmt: skip


def test_every_sentence_is_short() -> None:
    someone = weighing()
    done(someone, between=False).conclude()
    assert someone.sentences[0] == "Leave both tips free and still."
    assert "Put 0.5 kg on the psoas tip." in someone.sentences
    assert "Take it off, leave the tip free." in someone.sentences
    assert all(len(sentence.split()) <= 8 for sentence in someone.sentences)


def test_how_long_a_weight_has_been_on_is_known() -> None:
    someone = weighing(masses=(2.0, 5.0))
    someone.wait(3.0)
    someone.loads[0] = 2.0
    someone.wait(20.0, tremor_n=2.0)  # it cannot be taken yet
    someone.wait(4.0)
    procedure = someone.procedure
    assert isinstance(procedure, WeightProcedure)
    zero, loaded = procedure.readings
    assert math.isinf(zero.loaded_s)
    assert 19.0 < loaded.loaded_s < 23.0


def test_the_wrong_order_is_said_at_once_and_nothing_is_taken() -> None:
    someone = weighing()
    someone.wait(3.0)
    someone.put(3.0)
    procedure = someone.procedure
    assert procedure.picture.sentence == "That is 3 kg: put 0.5 kg on."
    assert procedure.step[0] == 1
    someone.put(0.5)
    assert procedure.picture.sentence == "Put 1.5 kg on the psoas tip."
    someone.put(0.5)
    assert procedure.step[0] == 2, "the same load is not taken twice"


@pytest.mark.parametrize(
    ("said", "real", "words"),
    [
        ((11.0, 3.0), 11.0 * 0.45359237, "The masses look like pounds."),
        ((1.0, 3.0), 2.0, "That weighs 1.99 kg, not 1 kg."),
        ((5.0, 8.0), 0.0, "Put 5 kg on the psoas tip."),
    ],
)
def test_what_is_not_in_the_list_is_said(said: tuple[float, ...], real: float, words: str) -> None:
    someone = weighing(masses=said)
    someone.wait(3.0)
    someone.put(real)
    assert someone.procedure.picture.sentence == words
    assert someone.procedure.step[0] == 1


def test_something_on_the_tip_from_the_beginning_is_no_zero() -> None:
    someone = weighing()
    someone.loads[0] = 6.0
    someone.wait(4.0)
    assert someone.procedure.picture.sentence == "Take everything off the tips."
    assert someone.procedure.step[0] == 0
    someone.put(0.0)
    assert someone.procedure.step[0] == 1


def test_without_a_temperature_nothing_is_taken() -> None:
    someone = weighing()
    someone.procedure.celsius = math.nan
    someone.wait(4.0)
    assert someone.procedure.step[0] == 0
    someone.procedure.set_temperature(24.0)
    someone.wait(0.5)
    assert someone.procedure.step[0] == 1


def test_undo_takes_back_one_weight_and_goes_on_from_there() -> None:
    someone = weighing(masses=(1.0, 4.0))
    procedure = someone.procedure
    someone.wait(3.0)
    someone.put(1.0)
    someone.put(0.0)
    assert procedure.step[0] == 2
    procedure.undo()
    assert (procedure.step[0], procedure.picture.sentence) == (1, "Put 1 kg on the psoas tip.")
    for kg in (1.0, 4.0, 0.0):
        someone.put(kg)
    assert procedure.complete
    procedure.conclude()
    assert procedure.accepted
    procedure.undo()
    assert (procedure.complete, procedure.accepted, procedure.calibration) == (False, None, None)
    someone.put(4.0)
    someone.put(0.0)
    procedure.conclude()
    assert procedure.accepted
    for _ in range(9):
        procedure.undo()
    assert procedure.step[0] == 0


def test_finished_too_early_it_is_refused_with_a_reason() -> None:
    someone = weighing()
    someone.wait(3.0)
    someone.put(0.5)
    with pytest.raises(ProcedureError, match="not everything is captured"):
        someone.procedure.conclude()
    someone.procedure.finish()
    someone.procedure.conclude()
    assert someone.procedure.picture.stage is Stage.REFUSED
    assert "too few" in someone.procedure.picture.sentence
    with pytest.raises(ProcedureError, match=r"nothing was accepted: .*too few"):
        someone.procedure.record(someone.record, 0)


def test_a_weight_that_is_not_what_it_says_is_refused() -> None:
    someone = weighing()
    someone.wait(3.0)
    for kg in (0.5, 1.5, 3.2, 6.0, 11.0, 0.0):  # the third has 0.2 kg more
        someone.put(kg, seconds=3.0)
    procedure = someone.procedure
    assert procedure.complete
    procedure.conclude()
    assert not procedure.accepted and "3 kg" in procedure.reason
    assert procedure.picture.stage is Stage.REFUSED


@pytest.mark.parametrize(
    ("masses", "words"),
    [((), "0 weights"), ((0.0,), "a weight of 0 kg"), ((-1.0,), "-1 kg"), ((math.nan,), "nan kg"),
     ((1e6,), "0.1 to 20 kg"), ((1.0, 1.0), "twice"), (tuple(range(1, 50)), "name 1 to 32")],
)  # fmt: skip
def test_masses_that_cannot_be(masses: tuple[float, ...], words: str) -> None:
    with pytest.raises(ProcedureError, match=words):
        weighing(masses=masses)
    with pytest.raises(ProcedureError, match="no tip 2"):
        weighing(tip=2)


def test_hostile_channels_are_refused_or_never_taken() -> None:
    def stuck(counts: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full_like(counts, 5000), raw

    def saturated(counts: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full_like(counts, (1 << 23) - 1), raw

    def swapped(counts: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return counts[:, ::-1], raw

    for spoil in (stuck, saturated, swapped):
        someone = weighing(masses=(3.0, 9.0))
        someone.spoil = spoil
        procedure = done(someone, masses=(3.0, 9.0), between=False)
        procedure.finish()
        procedure.conclude()
        assert procedure.accepted is False and procedure.reason, spoil.__name__
        assert "\n" not in procedure.reason


# -- the check of a minute --------------------------------------------------------------------------------------------


def checking(mass: float, seed: int = 1) -> Person:
    """Somebody with one weight."""
    return Person(lambda setting: CheckProcedure(0, mass, setting, 0.0005), seed)


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_a_tool_as_it_left_the_factory_is_within_its_claim(seed: int) -> None:
    someone = checking(5.0, seed)
    someone.wait(3.0)
    assert someone.procedure.picture.sentence == "Put 5 kg on the psoas tip."
    someone.put(5.0)
    procedure = someone.procedure
    assert procedure.complete
    procedure.conclude()
    assert procedure.accepted, procedure.verdict
    (point,) = procedure.points
    assert point.expected == pytest.approx(49.0, abs=0.5)
    assert abs(point.residual) < 2 * point.u
    with pytest.raises(ProcedureError):
        procedure.record(someone.record, 0)


def test_a_tool_whose_gain_has_changed_is_found_out() -> None:
    someone = checking(5.0)
    procedure = someone.procedure
    wrong = replace(someone.setting.calibration, gain_n_per_count=someone.setting.calibration.gain_n_per_count * 1.05)
    procedure.setting = replace(someone.setting, calibration=wrong)
    someone.wait(3.0)
    someone.put(5.0)
    procedure.conclude()
    assert procedure.accepted is False
    assert procedure.picture.stage is Stage.REFUSED and "outside its claim" in procedure.picture.sentence


def test_a_check_after_the_calibration_has_a_smaller_claim() -> None:
    someone = weighing(seed=3)
    made = done(someone)
    made.conclude()
    record = made.record(someone.record, 0)
    u = {}
    for name, used in (("before", someone.record), ("after", record)):
        check = CheckProcedure(0, 6.0, replace(someone.setting, calibration=tool_calibration(used)), 0.0005)
        someone.procedure = check
        check.set_temperature(someone.bench.temperature_reading(someone.celsius))
        someone.put(0.0)
        someone.put(6.0)
        check.conclude()
        assert check.accepted, check.verdict
        u[name] = check.points[0].u
    assert u["after"] < u["before"] / 2
