"""The gyroscope's matrix from ordinary recordings: true to what it claims, better on real ones, refused when unfit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import trial_samples
from motion_samples import recording, sensor
from trial_samples import Trial
from vqf import VQF

from nexuslink.estimation import ImuRecording, self_calibrate_imu, selfcalibration, track_attitude
from nexuslink.estimation.calibration import ImuCalibration, TriaxialCalibration
from nexuslink.estimation.errors import CalibrationError

TRANSLATIONS = ("10", "15")
"""Trials in which the sensor was moved but hardly turned."""
Set = list[ImuRecording]


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    return trial_samples.trials()


@pytest.fixture(scope="module")
def sensors() -> dict[str, list[str]]:
    return trial_samples.sensors()


@pytest.fixture(scope="module")
def default(trials) -> dict[str, float]:
    return {
        name: trial.rmse_deg(VQF(1 / trial.recording.rate_hz).updateBatch(*trial.recording[:2])["quat6D"])
        for name, trial in trials.items()
    }


@pytest.fixture(scope="module")
def known(trials) -> dict[str, selfcalibration.MatrixInformation]:
    """What each trial says by itself, before any judgement."""
    names = ("04", "06", "10", "15", "24", "26")
    return {name: selfcalibration._known(trials[name].recording) for name in names}


def with_matrix(known, prior: float) -> ImuCalibration:
    """What would be used if there were no gate."""
    off, _ = selfcalibration._estimate(known, prior)
    return ImuCalibration(gyro=TriaxialCalibration(matrix=np.eye(3) + off.reshape(3, 3)), quality=0.0)


def rmse_deg(trial: Trial, calibration: ImuCalibration | None = None) -> float:
    return trial.rmse_deg(track_attitude(*trial.recording, calibration=calibration))


# ---- real recordings --------------------------------------------------------------------------------------------


def test_calibrated_by_sensor_real_recordings_are_tracked_better_than_by_the_published_filter(trials, sensors, default):
    found: dict[str, float] = {}
    for names in sensors.values():
        calibration = self_calibrate_imu([trials[name].recording for name in names])
        assert calibration.accepted is (names != ["10"])
        found |= {name: rmse_deg(trials[name], calibration) for name in names}
    assert np.mean(list(default.values())) == pytest.approx(0.505, abs=0.001)  # the figure to beat is the same one
    assert np.mean(list(found.values())) <= 0.42
    assert max(found[name] - default[name] for name in found) <= 0.05


def test_uncalibrated_it_is_no_worse_than_the_published_filter(trials, default):
    assert all(rmse_deg(trial) <= default[name] + 0.01 for name, trial in trials.items())


def test_a_calibration_serves_recordings_it_has_not_seen(trials, default, known):
    gained = []
    for seen, unseen in (("04", "06"), ("04", "15"), ("06", "04"), ("06", "15"), ("24", "26"), ("26", "24")):
        calibration = selfcalibration._judged(known[seen])
        assert calibration.accepted
        gained.append(default[unseen] - rmse_deg(trials[unseen], calibration))
    assert min(gained) > -0.05
    assert np.mean(gained) > 0


def test_without_gate_and_prior_a_translation_makes_another_recording_worse(trials, default, known):
    calibration = with_matrix(known["10"], prior=1e3)
    assert rmse_deg(trials["06"], calibration) > default["06"] + 0.5
    assert not selfcalibration._judged(known["10"]).accepted


def test_another_sensors_matrix_makes_a_recording_worse(trials, sensors, default, known):
    foreign = selfcalibration._sum([known[name] for name in sensors["D1"]])
    assert rmse_deg(trials["30"], with_matrix(foreign, selfcalibration.PRIOR)) > default["30"] + 0.5


# ---- unfit sets, drawn at random --------------------------------------------------------------------------------


def part(rng: np.random.Generator, recording: ImuRecording, least: float, most: float = 1.0) -> ImuRecording:
    """A random stretch of it, with noise on top."""
    count = int(len(recording.gyro_rad_s) * rng.uniform(least, most))
    start = int(rng.integers(0, len(recording.gyro_rad_s) - count + 1))
    gyro, accel = (values[start : start + count] for values in recording[:2])
    return ImuRecording(
        gyro + rng.uniform(0, np.radians(0.1)) * rng.standard_normal(gyro.shape),
        accel + rng.uniform(0, 0.05) * rng.standard_normal(accel.shape), recording.rate_hz,
    )  # fmt: skip


def translation(rng, trials, sensors) -> Set:
    return [part(rng, trials[rng.choice(TRANSLATIONS)].recording, least=0.4)]


def short_translation(rng, trials, sensors) -> Set:
    return [part(rng, trials[rng.choice(TRANSLATIONS)].recording, least=0.2, most=0.4)]


def another_sensor(rng, trials, sensors) -> Set:
    own, foreign = (sensors[name] for name in rng.choice(list(sensors), 2, replace=False))
    names = [*rng.permutation(own)[: rng.integers(1, len(own) + 1)], rng.choice(foreign)]
    return [part(rng, trials[name].recording, least=0.4) for name in rng.permutation(names)]


def clipped(rng, trials, sensors) -> Set:
    """One of a sensor's recordings was taken in a range that one sample in ten to a thousand goes beyond."""
    names = rng.permutation(sensors[rng.choice(list(sensors))])
    recordings = [part(rng, trials[name].recording, least=0.4) for name in names]
    column = int(rng.integers(2))
    values = recordings[0][column]
    end = np.quantile(np.abs(values).max(axis=1), 1 - 10 ** rng.uniform(-3, -1))
    recordings[0] = recordings[0]._replace(**{ImuRecording._fields[column]: np.clip(values, -end, end)})
    return recordings


def draws(make: Callable[..., Set], count: int, trials, sensors) -> list[ImuCalibration]:
    return [self_calibrate_imu(make(np.random.default_rng(seed), trials, sensors)) for seed in range(count)]


TRANSLATION_REASONS = ("hardly turned", "lies still")
UNFIT = [
    (another_sensor, ("not of the same sensor", "lies still")),
    (clipped, ("cut off", "lies still", "stands still")),
]


def refused_each(make, reasons, count, trials, sensors):
    for calibration in draws(make, count, trials, sensors):
        assert not calibration.accepted
        assert np.array_equal(calibration.gyro.matrix, np.eye(3))
        assert any(reason in calibration.reason for reason in reasons), calibration.reason


@pytest.mark.parametrize(("make", "reasons"), [*UNFIT, (short_translation, TRANSLATION_REASONS)])
def test_an_unfit_set_is_refused(make, reasons, trials, sensors):
    refused_each(make, reasons, 20, trials, sensors)


@pytest.mark.thorough
@pytest.mark.parametrize(("make", "reasons"), [*UNFIT, (translation, TRANSLATION_REASONS)])
def test_an_unfit_set_is_refused_in_every_one_of_100_draws(make, reasons, trials, sensors):
    refused_each(make, reasons, 100, trials, sensors)


@pytest.mark.thorough
def test_fit_sets_are_accepted(trials, sensors):
    """The negative control of the draws: the same stretches and noise, of whole groups, pass."""

    def fit(rng, trials, sensors) -> Set:
        names = sensors[rng.choice([sensor for sensor, of in sensors.items() if of != ["10"]])]
        return [part(rng, trials[name].recording, least=0.7) for name in names]

    assert all(calibration.accepted for calibration in draws(fit, 20, trials, sensors))


# ---- simulated recordings: the truth is known -------------------------------------------------------------------


def normalized_errors(seeds: range) -> np.ndarray:
    """Of the nine elements, in the standard deviations that are claimed, (seeds, 9)."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        unit = sensor(rng)
        known = selfcalibration._known(recording(rng, unit, seconds=60.0)[0])
        off, covariance = selfcalibration._estimate(known, selfcalibration.PRIOR)
        found.append((off - (unit.gyro_matrix - np.eye(3)).ravel()) / np.sqrt(np.diag(covariance)))
    return np.array(found)


def test_the_errors_are_as_large_as_claimed():
    errors = normalized_errors(range(12))
    assert 0.8 < np.sqrt(np.mean(errors**2)) < 1.2
    assert np.mean(np.abs(errors) < 1.96 / 2) < 0.85  # half of what is claimed would not do


@pytest.mark.thorough
def test_the_errors_are_as_large_as_claimed_over_many_sensors():
    errors = normalized_errors(range(100, 200))
    assert 0.9 < np.sqrt(np.mean(errors**2)) < 1.1
    assert 0.93 < np.mean(np.abs(errors) < 1.96) < 0.98


def simulated(seed: int, count: int = 1, **how) -> Set:
    rng = np.random.default_rng(seed)
    unit = sensor(rng)
    return [recording(rng, unit, **how)[0] for _ in range(count)]


def test_recordings_of_one_sensor_add_up():
    one = self_calibrate_imu(simulated(3, 1, seconds=50.0))
    three = self_calibrate_imu(simulated(3, 3, seconds=50.0))
    assert one.accepted and three.accepted
    assert three.quality < 0.9 * one.quality
    truth = sensor(np.random.default_rng(3)).gyro_matrix
    assert np.abs(three.gyro.matrix - truth).max() < 4 * three.quality < 0.01
    assert three.gyro.u_matrix == three.quality
    assert np.array_equal(three.accelerometer.matrix, np.eye(3)) and not three.gyro.bias.any()


def test_the_frame_is_the_accelerometers():
    rng = np.random.default_rng(3)
    unit = sensor(rng)
    angle = np.radians(0.6)
    turned = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(angle), -np.sin(angle)], [0.0, np.sin(angle), np.cos(angle)]])
    said = []
    for _ in range(3):
        measured, _ = recording(rng, unit, seconds=120.0)
        said.append(selfcalibration._known(measured._replace(accel_m_s2=measured.accel_m_s2 @ turned.T)))
    off, covariance = selfcalibration._estimate(selfcalibration._sum(said), selfcalibration.OPEN_PRIOR)
    claimed = np.sqrt(np.diag(covariance))
    assert np.abs((off - (turned @ unit.gyro_matrix - np.eye(3)).ravel()) / claimed).max() < 3.5
    assert np.abs((off - (unit.gyro_matrix - np.eye(3)).ravel()) / claimed).max() > 4.5  # not its own


def test_a_plain_tuple_and_a_fast_rate_will_do():
    (measured,) = simulated(4, seconds=60.0, rate_hz=1000.0)
    calibration = self_calibrate_imu([tuple(measured)])
    assert calibration.accepted, calibration.reason
    assert np.abs(calibration.gyro.matrix - sensor(np.random.default_rng(4)).gyro_matrix).max() < 0.01


def test_few_missing_samples_are_bridged():
    (measured,) = simulated(3, seconds=50.0)
    whole = self_calibrate_imu([measured])
    gyro = measured.gyro_rad_s.copy()
    gyro[1000:1003], gyro[2000] = np.nan, np.inf
    holed = self_calibrate_imu([measured._replace(gyro_rad_s=gyro)])
    assert holed.accepted
    assert np.abs(holed.gyro.matrix - whole.gyro.matrix).max() < 0.2 * whole.quality


def test_two_sensors_with_the_same_bias_contradict_each_other():
    rng = np.random.default_rng(8)
    first, second = sensor(rng), sensor(rng)
    second = second._replace(gyro_bias=first.gyro_bias, gyro_matrix=first.gyro_matrix * 0.99)
    both = [recording(rng, unit, seconds=50.0)[0] for unit in (first, first, second)]
    assert self_calibrate_imu(both[:2]).accepted
    calibration = self_calibrate_imu(both)
    assert not calibration.accepted
    assert "contradicts the others" in calibration.reason


# ---- bad input --------------------------------------------------------------------------------------------------


def changed(measured: ImuRecording, column: int, rows, axes, value) -> ImuRecording:
    values = measured[column].copy()
    values[rows, axes] = value(values[rows, axes]) if callable(value) else value
    return measured._replace(**{ImuRecording._fields[column]: values})


GYRO, ACCEL = 0, 1
EVERYWHERE = slice(None)
SWAP_XY, CYCLE = [1, 0, 2], [1, 2, 0]
BAD: dict[str, tuple[Callable[[ImuRecording], ImuRecording], str]] = {
    "nan": (lambda r: changed(r, GYRO, EVERYWHERE, 1, np.nan), "not numbers"),
    "nan for a while": (lambda r: changed(r, ACCEL, slice(900, 920), 2, np.nan), "not numbers"),
    "infinite": (lambda r: changed(r, ACCEL, slice(0, None, 7), 0, np.inf), "not numbers"),
    "absurd": (lambda r: changed(r, GYRO, slice(0, None, 7), 0, 1e200), "beyond any range"),
    "nothing": (lambda r: changed(r, GYRO, EVERYWHERE, EVERYWHERE, np.nan), "100.0%"),
    "zeros": (lambda r: changed(r, ACCEL, EVERYWHERE, EVERYWHERE, 0.0), "accelerometer's x axis stands still"),
    "no gyro": (lambda r: changed(r, GYRO, EVERYWHERE, EVERYWHERE, 0.0), ""),
    "stuck": (lambda r: changed(r, GYRO, slice(800, None), 2, 0.7), "gyroscope's z axis stands still"),
    "clipped": (lambda r: changed(r, GYRO, EVERYWHERE, EVERYWHERE, lambda v: np.clip(v, -2, 2)), "cut off"),
    "swapped": (lambda r: r._replace(gyro_rad_s=r.gyro_rad_s[:, SWAP_XY]), "do not fit each other"),
    "cycled": (lambda r: r._replace(accel_m_s2=r.accel_m_s2[:, CYCLE]), "do not fit each other"),
    "mirrored": (lambda r: changed(r, GYRO, EVERYWHERE, 0, np.negative), "do not fit each other"),
    "degrees": (lambda r: r._replace(gyro_rad_s=np.degrees(r.gyro_rad_s)), ""),
    "in g": (lambda r: r._replace(accel_m_s2=r.accel_m_s2 / 9.8), "check its unit"),
    "twice the rate": (lambda r: r._replace(rate_hz=2 * r.rate_hz), "do not fit each other"),
    "a rate 5 % off": (lambda r: r._replace(rate_hz=1.05 * r.rate_hz), "off by"),
    "no rate": (lambda r: r._replace(rate_hz=0.0), "rate of 0 Hz"),
    "nan rate": (lambda r: r._replace(rate_hz=float("nan")), "rate of nan Hz"),
    "negative rate": (lambda r: r._replace(rate_hz=-100.0), "rate of -100 Hz"),
    "short": (lambda r: ImuRecording(r.gyro_rad_s[:500], r.accel_m_s2[:500], r.rate_hz), "5.0 s long"),
    "empty": (lambda r: ImuRecording(r.gyro_rad_s[:0], r.accel_m_s2[:0], r.rate_hz), "0.0 s long"),
    "never at rest": (lambda r: ImuRecording(r.gyro_rad_s[500:2500], r.accel_m_s2[500:2500], r.rate_hz), "lies still"),
}


@pytest.fixture(scope="module")
def good() -> Set:
    return simulated(6, 2, seconds=60.0)


def test_what_the_bad_ones_are_made_of_is_good(good):
    calibration = self_calibrate_imu(good)
    assert calibration.accepted and calibration.reason == ""


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_refused_by_number(name, good):
    spoil, expected = BAD[name]
    alone = self_calibrate_imu([spoil(good[1])])
    beside = self_calibrate_imu([good[0], spoil(good[1])])
    for calibration in (alone, beside):
        assert not calibration.accepted
        assert np.array_equal(calibration.gyro.matrix, np.eye(3))
        assert "\n" not in calibration.reason
    assert expected in alone.reason
    assert "recording 1" in alone.reason
    assert "recording 2" in beside.reason or "recordings 1 and 2" in beside.reason


@pytest.mark.parametrize("still", [{"turning_deg_s": 0.5, "reach_m": 0.0}, {"about": (0.0, 0.0, 1.0)}])
def test_a_set_without_varied_movement_is_refused(still):
    calibration = self_calibrate_imu(simulated(7, 2, seconds=40.0, **still))
    assert not calibration.accepted
    assert "hardly turned about its" in calibration.reason


def test_no_recording_is_refused():
    assert "no recording" in self_calibrate_imu([]).reason


@pytest.mark.parametrize(
    "bad",
    [
        (np.zeros((9, 3)), np.zeros((8, 3)), 100.0),
        (np.zeros((9, 2)), np.zeros((9, 2)), 100.0),
        (np.zeros((9, 3)), np.zeros((9, 3))),
        (np.zeros((9, 3)), np.zeros((9, 3)), "fast"),
        ("gyro", "accel", 100.0),
        None,
    ],
)
def test_a_wrong_shape_is_one_line(bad, good):
    with pytest.raises(CalibrationError, match="recording 2") as refused:
        self_calibrate_imu([good[0], bad])
    assert "\n" not in str(refused.value)
