"""Six poses of random simulated accelerometers; and what is refused, in words that say what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from imu_samples import AXES, FACES, RATE_HZ, REFERENCE_C, RandomUnit, hold

from nexuslink.estimation.attitude import TipGeometry
from nexuslink.estimation.poses import AccelerometerFit, Pose, calibrate_accelerometer, find_still

G = 9.80665


def fit(unit: RandomUnit, poses: list[Pose], gravity: float = G) -> AccelerometerFit:
    return calibrate_accelerometer(poses, gravity, unit.record, 1.0, REFERENCE_C)


def angle_errors(seed: int, axes_known: bool, poses: int = 5) -> np.ndarray:
    """Degrees, of both tips of a still tool in random poses at 5 to 40 degC, by the mean of two seconds."""
    unit = RandomUnit(seed, axes_known)
    found = unit.fit()
    assert found.accepted, found.reason
    errors = []
    for _ in range(poses):
        up, celsius = unit.rng.standard_normal(3), unit.rng.uniform(5.0, 40.0)
        up = up / np.linalg.norm(up)
        mean = unit.pose(up, celsius).accel_m_s2.mean(axis=0)
        felt = found.calibration.apply(mean[None], celsius - REFERENCE_C)
        geometry = TipGeometry(AXES)
        errors.append(geometry.angles(felt / np.linalg.norm(felt))[1] - geometry.angles(up[None])[1])
    return np.abs(np.concatenate(errors))


def test_a_still_tool_is_right_to_a_fifth_of_a_degree_in_every_pose() -> None:
    errors = np.concatenate([angle_errors(seed, axes_known=True) for seed in range(200)])
    assert np.percentile(errors, 95) < 0.2
    uncalibrated = np.concatenate([angle_errors(seed, axes_known=False) for seed in range(40)])
    assert np.percentile(uncalibrated, 95) > 0.2  # six poses on a table cannot replace the factory's axes


def test_the_stated_uncertainty_is_that_of_bias_and_axes() -> None:
    bias, axes = [], []
    for seed in range(100):
        unit = RandomUnit(seed)
        found = unit.fit().calibration
        assert unit.record.u_bias > 5 * found.u_bias
        bias.append((found.bias - unit.accel_bias) / found.u_bias)
        matrix = (found.matrix - np.linalg.inv(unit.accel)) / found.u_matrix
        axes.append(matrix[~np.eye(3, dtype=bool)])
        assert np.abs(np.diag(matrix)).max() < 1.0  # scale is what gravity's size fixes
    assert 0.3 < np.std(bias) < 1.2
    assert 0.8 < np.std(axes) < 1.2


def test_more_poses_than_six_are_taken_and_need_no_nominal_direction() -> None:
    unit = RandomUnit(3)
    poses = [Pose(p.accel_m_s2, p.temperature_c) for p in (*unit.six_poses(), *unit.six_poses())]
    found = fit(unit, poses)
    assert found.accepted
    assert np.abs(found.residual_m_s2).max() < 0.01
    assert np.linalg.inv(found.calibration.matrix) == pytest.approx(unit.accel, abs=3e-3)


def changed(unit: RandomUnit, number: int, change) -> list[Pose]:  # type: ignore[no-untyped-def]
    poses = unit.six_poses()
    poses[number] = poses[number]._replace(accel_m_s2=change(poses[number].accel_m_s2.copy()))
    return poses


def every(unit: RandomUnit, change) -> list[Pose]:  # type: ignore[no-untyped-def]
    return [pose._replace(accel_m_s2=change(pose.accel_m_s2.copy())) for pose in unit.six_poses()]


def drifting(accel: np.ndarray) -> np.ndarray:
    return accel + np.linspace(0.0, 1.0, len(accel))[:, None]


def holed(accel: np.ndarray) -> np.ndarray:
    accel[3, 1] = np.nan
    return accel


def flat(accel: np.ndarray) -> np.ndarray:
    accel[:, 1] = 39.2
    return accel


WRONG = {
    "moved": (lambda unit: changed(unit, 2, drifting), "moved during pose 3"),
    "not a number": (lambda unit: changed(unit, 1, holed), "pose 2 holds samples that are not numbers"),
    "stuck": (lambda unit: changed(unit, 4, flat), "accelerometer y is clipped or stuck in pose 5"),
    "five poses": (lambda unit: unit.six_poses()[:5], "5 poses are not enough"),
    "short": (lambda unit: changed(unit, 0, lambda a: a[:5]), "pose 1 has too few samples"),
    "in g": (lambda unit: every(unit, lambda a: a / G), "in g, not in m/s2"),
    "in mg": (lambda unit: every(unit, lambda a: a / G * 1e3), "in mg, not in m/s2"),
    "swapped": (lambda unit: every(unit, lambda a: a[:, [1, 0, 2]]), "axes are swapped"),
    "inverted": (lambda unit: every(unit, lambda a: a * [1, -1, 1]), "accelerometer y has the wrong sign"),
    "scale": (lambda unit: every(unit, lambda a: a * [1, 1, 1.08]), "scale of accelerometer z would be off"),
    "bias": (lambda unit: every(unit, lambda a: a + np.array([1.2, 0, 0])), "accelerometer x would be off by 1.2"),
    "other scale": (lambda unit: every(unit, lambda a: a * 2), "check its scale"),
    "cold": (lambda unit: [p._replace(temperature_c=np.nan) for p in unit.six_poses()], "pose 1 has no temperature"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_and_the_record_stays(name: str) -> None:
    make, words = WRONG[name]
    unit = RandomUnit(5)
    found = fit(unit, make(unit))
    assert not found.accepted
    assert words in found.reason
    assert "\n" not in found.reason
    assert found.calibration is unit.record
    assert len(found.residual_m_s2) == len(make(unit))


def test_a_missing_face_is_asked_for() -> None:
    unit = RandomUnit(6)
    poses = unit.six_poses()
    poses[5] = unit.pose(FACES[4], 23.0)
    found = fit(unit, poses)
    assert found.reason == "poses 5 and 6 are the same; lay the tool on its left side (seen with the mark in front) too"
    poses[5] = poses[5]._replace(up=FACES[5])  # asked for, but not done
    assert "pose 6 is not the one that was asked for" in fit(unit, poses).reason


def test_a_gravity_that_is_not_of_the_ground_is_refused() -> None:
    unit = RandomUnit(7)
    assert "not on Earth's ground" in fit(unit, unit.six_poses(), 1.0).reason


def test_a_record_without_uncertainty_gets_wider_axes() -> None:
    unit = RandomUnit(8)
    known = fit(unit, unit.six_poses()).calibration
    unit.record = replace(unit.record, u_matrix=0.0)
    unknown = fit(unit, unit.six_poses()).calibration
    assert unknown.u_matrix > 4 * known.u_matrix


def test_still_stretches_are_found_between_movements() -> None:
    unit = RandomUnit(9)
    moving = hold(9, 10.0)
    second = round(RATE_HZ)
    parts = []
    for face in FACES[:3]:
        parts += [unit.counts(np.zeros((4 * second, 3)), np.tile(G * face, (4 * second, 1)), 25.0)]
        parts += [unit.counts(moving.rate * 30, moving.specific_force * [1, 1, 1.2], 25.0)[: 2 * second]]
    raw = np.concatenate(parts).astype(np.float64)
    found = find_still(raw[:, 3:] * 0.122e-3 * G, raw[:, :3] * np.radians(0.0175), RATE_HZ)
    assert len(found) == 3
    for number, stretch in enumerate(found):
        begin = number * 6 * second
        assert begin <= stretch.start
        assert stretch.stop <= begin + 4 * second
        assert stretch.stop - stretch.start > 3 * second
    assert find_still(raw[:10, 3:], raw[:10, :3], RATE_HZ) == []
