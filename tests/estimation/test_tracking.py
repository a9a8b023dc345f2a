"""Whole recordings to attitude: as good as the published filter, causal, and not broken by what was not measured."""

from __future__ import annotations

import numpy as np
import pytest
from motion_samples import inclination_deg, recording, sensor
from vqf import VQF

from nexuslink.estimation import filter_settings, track_attitude
from nexuslink.estimation.calibration import ImuCalibration, TriaxialCalibration
from nexuslink.estimation.errors import CalibrationError

RATE_HZ = 100.0


@pytest.fixture(scope="module")
def moved():
    rng = np.random.default_rng(5)
    unit = sensor(rng, spread=0.01)
    return unit, *recording(rng, unit, seconds=60.0, rate_hz=RATE_HZ, noise=0.2)


def rms_deg(quaternions, truth, after=500):
    return float(np.sqrt(np.mean(inclination_deg(quaternions, truth)[after:] ** 2)))


def test_without_calibration_it_is_the_published_filter(moved):
    _, measured, _ = moved
    quaternions = track_attitude(*measured)
    expected = VQF(1 / RATE_HZ).updateBatch(measured.gyro_rad_s, measured.accel_m_s2)["quat6D"]
    assert np.array_equal(quaternions, expected)
    assert np.allclose(np.linalg.norm(quaternions, axis=1), 1.0)


def test_a_calibration_of_the_gyroscope_is_used(moved):
    unit, measured, truth = moved
    known = ImuCalibration(gyro=TriaxialCalibration(matrix=unit.gyro_matrix, u_matrix=1e-4), quality=1e-4)
    wrong = ImuCalibration(gyro=TriaxialCalibration(matrix=2 * np.eye(3) - unit.gyro_matrix), quality=1e-4)
    before = rms_deg(track_attitude(*measured), truth)
    assert rms_deg(track_attitude(*measured, calibration=known), truth) < 0.8 * before
    assert rms_deg(track_attitude(*measured, calibration=wrong), truth) > before  # the negative control


def test_a_refused_calibration_changes_nothing(moved):
    _, measured, _ = moved
    refused = ImuCalibration(gyro=TriaxialCalibration(matrix=2 * np.eye(3)), accepted=False, quality=1e-4)
    assert np.array_equal(track_attitude(*measured, calibration=refused), track_attitude(*measured))


def test_the_accelerometer_is_calibrated_too(moved):
    _, measured, _ = moved
    offset = np.array([0.5, -0.2, 0.1])
    shifted = measured._replace(accel_m_s2=measured.accel_m_s2 + offset)
    calibration = ImuCalibration(accelerometer=TriaxialCalibration(bias=offset))
    expected = track_attitude(*measured)
    assert np.abs(track_attitude(*shifted, calibration=calibration) - expected).max() < 1e-9
    assert np.abs(track_attitude(*shifted) - expected).max() > 1e-3


def test_only_a_known_good_gyroscope_is_believed_longer():
    assert filter_settings(None) == filter_settings(ImuCalibration()) == {}
    assert filter_settings(ImuCalibration(accepted=False, quality=1e-3)) == {}
    assert filter_settings(ImuCalibration(quality=1e-3)) == {"tauAcc": 4.0}


@pytest.mark.parametrize("cut", [1, 2, 1999, 2001, 4321])
def test_no_row_knows_what_comes_after_it(moved, cut):
    _, measured, _ = moved
    gyro, accel = measured.gyro_rad_s.copy(), measured.accel_m_s2.copy()
    gyro[2000:2050], accel[1990:2010] = np.nan, np.nan
    calibration = ImuCalibration(gyro=TriaxialCalibration(matrix=1.01 * np.eye(3)), quality=1e-3)
    for given in (None, calibration):
        whole = track_attitude(gyro, accel, RATE_HZ, given)
        assert np.array_equal(track_attitude(gyro[:cut], accel[:cut], RATE_HZ, given), whole[:cut])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, 1e12])
def test_rows_that_were_not_measured_are_bridged_and_leave_nothing_behind(moved, value):
    _, measured, truth = moved
    clean = inclination_deg(track_attitude(*measured), truth)
    for columns in ((0,), (3,), (1, 4), tuple(range(6))):
        both = np.hstack([measured.gyro_rad_s, measured.accel_m_s2])
        for start in range(600, 5600, 500):
            both[start : start + 5, columns] = value
        quaternions = track_attitude(both[:, :3], both[:, 3:], RATE_HZ)
        assert np.isfinite(quaternions).all()
        assert (inclination_deg(quaternions, truth) - clean).max() < 2.5
        assert (inclination_deg(quaternions, truth) - clean)[-100:].max() < 0.2  # at rest again


def test_a_calibrated_bias_does_not_make_a_missing_accelerometer_speak(moved):
    _, measured, truth = moved
    accel = measured.accel_m_s2.copy()
    accel[1000:1100] = np.nan
    calibration = ImuCalibration(accelerometer=TriaxialCalibration(bias=np.array([0.01, 0.0, 0.0])))
    error = inclination_deg(track_attitude(measured.gyro_rad_s, accel, RATE_HZ, calibration), truth)
    assert error[1000:1200].max() < 4.0


def test_clipped_samples_pass(moved):
    _, measured, truth = moved
    gyro = measured.gyro_rad_s.copy()
    gyro[1000:1030] = np.clip(gyro[1000:1030], -1.0, 1.0)
    error = inclination_deg(track_attitude(gyro, measured.accel_m_s2, RATE_HZ), truth)
    assert np.isfinite(error).all()
    assert error[-100:].max() < 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_nothing_measured_at_all_is_no_error(value):
    assert np.isfinite(track_attitude(np.full((50, 3), value), np.full((50, 3), value), RATE_HZ)).all()


def test_no_samples_are_no_attitudes():
    assert track_attitude(np.empty((0, 3)), np.empty((0, 3)), RATE_HZ).shape == (0, 4)


@pytest.mark.parametrize(
    ("gyro", "accel", "rate_hz"),
    [
        (np.zeros((5, 3)), np.zeros((4, 3)), 100.0),
        (np.zeros((5, 4)), np.zeros((5, 4)), 100.0),
        (np.zeros(3), np.zeros(3), 100.0),
        ("abc", np.zeros((5, 3)), 100.0),
        (np.zeros((5, 3)), [[1, 2], [3]], 100.0),
        *((np.zeros((5, 3)), np.zeros((5, 3)), rate_hz) for rate_hz in (0.0, -1.0, np.nan, np.inf)),
    ],
)
def test_shapes_and_rates_that_make_no_sense_are_one_line(gyro, accel, rate_hz):
    with pytest.raises(CalibrationError) as refused:
        track_attitude(gyro, accel, rate_hz)
    assert "\n" not in str(refused.value)
