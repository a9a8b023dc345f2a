"""Zero and six sides: any order, no key, each side once, and what comes out is nearer to the truth."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from handled_tool import Person

from nexuslink.calibration.convert import tool_calibration
from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import Stage
from nexuslink.calibration.procedure_poses import GYRO_TOO, PoseProcedure, gyro_is_of_other_axes
from nexuslink.calibration.procedure_zero import ZeroProcedure
from nexuslink.estimation.calibration import ImuCalibration, TriaxialCalibration

SIDES = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 2, 0, 4, 1, 3)])
def test_six_sides_in_any_order(order: tuple[int, ...]) -> None:
    someone = Person(PoseProcedure, seed=4)
    procedure = someone.procedure
    someone.up = np.array(SIDES[order[0]])
    someone.wait(3.0)
    for side in order[1:]:
        someone.turn(SIDES[side], 3.0)
    assert procedure.complete and procedure.step == (6, 6)
    procedure.conclude()
    assert procedure.accepted, procedure.reason
    made = procedure.record(someone.record, 1_780_000_000)
    assert (made.reference, made.method) == (someone.record.reference, someone.record.method)
    assert (made.made_unix_s, made.valid_until_unix_s) == (1_780_000_000, someone.record.valid_until_unix_s)
    assert made.force == someone.record.force and made.gyro == someone.record.gyro
    before, after = (errors(someone, record) for record in (someone.record, made))
    assert after < 0.1 < before or after < before / 5
    assert all(len(sentence.split()) <= 8 for sentence in someone.sentences)
    assert {point.name for point in procedure.points} == {
        "tips up", "mark up", "left side up", "base up", "mark down", "right side up"
    }  # fmt: skip


def errors(someone: Person, record: object) -> float:
    """Worst error of the size of gravity in twenty poses, m/s2."""
    sensor = tool_calibration(record).imu.accelerometer  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    worst = 0.0
    for up in rng.standard_normal((20, 3)):
        felt = np.tile(9.80665 * up / np.linalg.norm(up), (500, 1))
        raw = someone.bench.imu_counts(np.zeros((500, 3)), felt, np.full(500, someone.celsius))
        mean = raw[:, 3:].mean(axis=0) * someone.bench.imu_scale.accel_m_s2
        size = float(np.linalg.norm(sensor.apply(mean[None], someone.celsius - 25.0)))
        worst = max(worst, abs(size - 9.80665))
    return worst


def test_a_gyroscope_of_other_axes_is_named() -> None:
    turned = np.array([[1.0, -0.004, 0.0], [0.004, 1.0, 0.0], [0.0, 0.0, 1.0]])
    known = TriaxialCalibration(matrix=np.diag([1.001, 0.999, 1.0]), u_matrix=0.001)
    for gyro, accelerometer, apart in (
        (known, TriaxialCalibration(matrix=turned), True),
        (known, TriaxialCalibration(matrix=np.diag([1.01, 1.0, 0.99])), False),  # longer axes, but the same
        (known, TriaxialCalibration(matrix=np.eye(3) + 0.1 * (turned - np.eye(3))), False),  # less than is known
        (TriaxialCalibration(), TriaxialCalibration(matrix=turned), False),  # as it came, and of no axes
    ):
        assert gyro_is_of_other_axes(ImuCalibration(gyro=gyro), accelerometer) is apart

    someone = Person(PoseProcedure, seed=4)
    for side in SIDES:
        someone.turn(side, 3.0)
    procedure = someone.procedure
    assert isinstance(procedure, PoseProcedure)
    procedure.conclude()
    imu = someone.setting.calibration.imu
    assert procedure.result is not None
    assert procedure.picture.advice == GYRO_TOO * gyro_is_of_other_axes(imu, procedure.result.calibration)
    rough = replace(imu.accelerometer, matrix=np.eye(3) + 0.03 * np.eye(3, k=1), u_matrix=0.05)  # hardly known axes
    before = replace(someone.setting.calibration, imu=replace(imu, gyro=known, accelerometer=rough))
    procedure.setting = replace(someone.setting, calibration=before)
    procedure.conclude()
    assert procedure.picture.advice == GYRO_TOO
    procedure.undo()
    assert procedure.picture.advice == ""


def test_a_side_is_taken_once_and_a_slanting_tool_is_not() -> None:
    someone = Person(PoseProcedure)
    procedure = someone.procedure
    someone.wait(5.0)
    assert procedure.step[0] == 1
    someone.turn((1.0, 0.0, 1.0))
    assert procedure.picture.sentence == "Lay it flat on that side."
    someone.turn((0.0, 0.05, 1.0))
    assert procedure.step[0] == 1
    someone.turn(SIDES[1])
    assert procedure.step[0] == 2
    procedure.undo()
    assert procedure.step[0] == 1
    someone.wait(2.0)
    assert procedure.step[0] == 2


def test_missing_sides_are_named() -> None:
    someone = Person(PoseProcedure)
    someone.wait(3.0)
    someone.procedure.finish()
    someone.procedure.conclude()
    assert someone.procedure.picture.stage is Stage.REFUSED
    assert "poses are not enough" in someone.procedure.reason


def test_the_zero_of_both_cells() -> None:
    shifts = []
    for seed in (1, 2, 3):
        someone = Person(ZeroProcedure, seed)
        someone.wait(3.0)
        procedure = someone.procedure
        assert procedure.complete
        procedure.conclude()
        assert procedure.accepted, procedure.reason
        assert procedure.picture.verdict.startswith("Zero moved: psoas ")
        made = procedure.record(someone.record, 0)
        shifts.append(abs(made.force[0].zero_counts - someone.record.force[0].zero_counts))
        again = Person(lambda _setting, p=procedure, s=someone: ZeroProcedure(after(s, p)), seed)
        again.wait(3.0)
        again.procedure.conclude()
        assert isinstance(again.procedure, ZeroProcedure) and again.procedure.result is not None
        assert np.abs(again.procedure.result.shift_n).max() < 0.05
    assert max(shifts) > 1000


def after(someone: Person, procedure: object) -> object:
    """The setting with the record that came out."""
    from dataclasses import replace

    made = procedure.record(someone.record, 0)  # type: ignore[attr-defined]
    return replace(someone.setting, calibration=tool_calibration(made))


def test_in_several_poses_the_tips_are_weighed_too() -> None:
    someone = Person(lambda setting: ZeroProcedure(setting, 6), seed=2)
    procedure = someone.procedure
    someone.wait(3.0)
    for side in SIDES[1:]:
        someone.turn(side, 3.0)
    assert procedure.complete
    procedure.conclude()
    assert isinstance(procedure, ZeroProcedure) and procedure.result is not None
    assert procedure.accepted and procedure.result.mass_known
    assert len(procedure.points) == 12
    assert all(math.isfinite(point.residual) for point in procedure.points)


def test_a_load_is_not_taken_for_a_zero() -> None:
    someone = Person(ZeroProcedure)
    someone.loads[1] = 6.0
    someone.wait(4.0)
    assert not someone.procedure.complete
    assert someone.procedure.picture.sentence == "Take everything off the tips."
    someone.put(0.0)
    assert someone.procedure.complete


@pytest.mark.parametrize("poses", [0, -1, 100])
def test_poses_that_cannot_be(poses: int) -> None:
    with pytest.raises(ProcedureError, match="poses: write 1"):
        Person(lambda setting: ZeroProcedure(setting, poses))


def test_the_picture_shows_how_it_lies() -> None:
    for side in itertools.islice(SIDES, 3):
        someone = Person(PoseProcedure)
        someone.up = np.array(side)
        someone.wait(0.5)
        up = someone.procedure.picture.up
        assert up is not None and np.dot(up, side) > 0.99
