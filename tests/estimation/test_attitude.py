"""Directions and angles against plain geometry, written here a second time the slow way."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslink.estimation.attitude import SMALL, AttitudeTracker, TipGeometry, up_in_sensor
from nexuslink.estimation.calibration import ImuCalibration, ImuScale
from nexuslink.estimation.tilt_uncertainty import MOST_BRIDGED_S

NARROW = np.array([math.sin(math.radians(35)), 0.0, math.cos(math.radians(35))])
AXES = np.array([[0.0, 0.0, 1.0], NARROW])
IMU = ImuScale(500.0, 1e-3, 9.81 / 2048)

unit4 = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: math.hypot(*q) > 0.1)


def rotation(q: np.ndarray) -> np.ndarray:
    """Sensor to earth, from the textbook."""
    w, x, y, z = q / np.linalg.norm(q)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def tilted(angle_deg: float, toward_deg: float) -> np.ndarray:
    """``up`` in the frame of a tool whose own z leans by ``angle_deg`` toward ``toward_deg`` of its level frame."""
    angle, toward = math.radians(angle_deg), math.radians(toward_deg)
    # Turning about the level axis that lies 90 degrees ahead of the lean; up then moves the other way in the tool.
    return np.array([
        -math.sin(angle) * math.cos(toward), -math.sin(angle) * math.sin(toward), math.cos(angle),
    ])  # fmt: skip


@given(unit4)
def test_up_is_the_third_row_of_the_rotation(q: list[float]) -> None:
    unit = np.array(q) / np.linalg.norm(q)
    assert np.allclose(up_in_sensor(unit[None]), rotation(unit)[2], atol=1e-12)
    assert np.allclose(up_in_sensor(np.tile(unit, (SMALL + 1, 1))), rotation(unit)[2], atol=1e-12)


@pytest.mark.parametrize("toward", [0.0, 45.0, 90.0, -90.0, 179.0])
@pytest.mark.parametrize("angle", [1.0, 12.0, 40.0, 80.0])
def test_the_broad_tip_leans_where_the_tool_leans(angle: float, toward: float) -> None:
    _, angles, directions = TipGeometry(AXES).angles(tilted(angle, toward)[None])
    assert angles[0, 0] == pytest.approx(angle, abs=1e-5)
    leaning = math.remainder(directions[0, 0] - toward, 360)
    # The level frame's mark is the level part of x; for large lean it turns a little against the tool's own x.
    assert abs(leaning) < 1e-6 if toward in (0.0, 90.0, -90.0) else abs(leaning) < 45


def test_an_upright_tool_holds_the_narrow_tip_at_its_own_angle_toward_the_mark() -> None:
    _, angles, directions = TipGeometry(AXES).angles(np.array([[0.0, 0.0, 1.0]]))
    assert angles[0, 1] == pytest.approx(35.0)
    assert directions[0, 1] == pytest.approx(0.0)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: math.hypot(*v) > 0.1))
def test_angles_are_what_the_dot_product_says_in_every_pose(v: list[float]) -> None:
    up = np.array(v) / np.linalg.norm(v)
    cosine, angles, directions = TipGeometry(AXES).angles(up[None])
    for tip, axis in enumerate(AXES):
        assert cosine[0, tip] == pytest.approx(axis @ up)
        assert angles[0, tip] == pytest.approx(math.degrees(math.acos(max(-1, min(1, axis @ up)))), abs=1e-5)
    assert (np.abs(directions) <= 180).all()


def test_a_tip_that_points_straight_up_has_an_angle_even_if_its_record_is_float32() -> None:
    for degrees in range(0, 90):
        axis = np.array([math.sin(math.radians(degrees)), 0.0, math.cos(math.radians(degrees))])
        recorded = np.float32([axis, axis]).astype(np.float64)
        _, angles, _ = TipGeometry(recorded).angles(np.array([axis, -axis]))
        assert angles[0] == pytest.approx(0.0, abs=1e-5)
        assert angles[1] == pytest.approx(180.0, abs=1e-5)


def tracker(scale: ImuScale = IMU, calibration: ImuCalibration | None = None) -> AttitudeTracker:
    return AttitudeTracker(scale, calibration or ImuCalibration(), AXES)


def ups(tracked: AttitudeTracker, t_us: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """One update; up of its rows."""
    tracked.update(t_us, raw)
    return up_in_sensor(tracked.quaternions)


def test_a_clock_that_leaps_at_every_sample_does_not_fill_the_memory() -> None:
    tracked, times = tracker(), (1 + np.arange(200, dtype=np.int64)) * 10**12
    fed: list[int] = []
    run = tracked._update_filter
    tracked._update_filter = lambda gyro, accel: fed.append(len(gyro)) or run(gyro, accel)
    tracked.update(times, still(200, 5.0))
    assert len(tracked.quaternions) == 200
    assert fed == [200]
    tracked.update(times[-1] + np.arange(200, dtype=np.int64) * 2000 + 10**12, still(200, 5.0))
    assert len(tracked.quaternions) == 200
    assert fed[1] <= MOST_BRIDGED_S * IMU.rate_hz + 200


def still(n: int, angle_deg: float) -> np.ndarray:
    """Counts of a tool at rest."""
    accel = tilted(angle_deg, 0.0) * 2048
    return np.tile(np.r_[0, 0, 0, np.rint(accel)].astype(np.int16), (n, 1))


def test_however_the_samples_are_cut_the_angle_is_the_same() -> None:
    rng = np.random.default_rng(4)
    raw = still(1000, 20.0) + rng.integers(-300, 300, (1000, 6)).astype(np.int16)
    t_us = np.arange(1000, dtype=np.int64) * 2000
    once, often = tracker(), tracker()
    whole = ups(once, t_us, raw)
    cuts = [0, 1, 2, 20, 333, 334, 999, 1000]
    parts = [ups(often, t_us[a:b], raw[a:b]) for a, b in pairwise(cuts)]
    assert np.allclose(np.concatenate(parts), whole, atol=1e-12)
    for one, other in zip(once.state()[1:5], often.state()[1:5], strict=True):
        assert other == pytest.approx(one, abs=1e-9)


def test_a_gap_is_bridged_so_that_a_turn_across_it_is_not_lost() -> None:
    """100 deg/s for a second, 60 ms of it missing: without bridging 6 degrees would be."""
    rate, n = math.radians(100), 500
    turning = np.zeros((n, 6), np.int16)
    turning[:, 1] = round(rate / IMU.gyro_rad_s)
    angles = np.arange(n) * rate / IMU.rate_hz
    turning[:, 3] = np.rint(-np.sin(angles) * 2048)
    turning[:, 5] = np.rint(np.cos(angles) * 2048)
    t_us = np.arange(n, dtype=np.int64) * 2000
    kept = np.r_[0:200, 230:n]
    full = ups(tracker(), t_us, turning)[kept]
    bridging = tracker()
    first = ups(bridging, t_us[:200], turning[:200])
    gapped = np.concatenate([first, ups(bridging, t_us[230:], turning[230:])])
    assert np.degrees(np.arccos(np.clip((gapped * full).sum(1), -1, 1))).max() < 0.1
    unaware = tracker()
    closed_up = np.concatenate([
        ups(unaware, t_us[:200], turning[:200]), ups(unaware, t_us[200 : n - 30], turning[230:]),
    ])  # fmt: skip
    assert np.degrees(np.arccos(np.clip((closed_up * full).sum(1), -1, 1))).max() > 3  # negative control
