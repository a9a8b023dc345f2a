"""Sets of recordings that are unfit for calibrating the gyroscope, drawn at random: every one is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import trial_samples
from trial_samples import Trial

from nexuslink.estimation import ImuRecording, self_calibrate_imu
from nexuslink.estimation.calibration import ImuCalibration

TRANSLATIONS = ("10", "15")
"""Trials in which the sensor was moved but hardly turned."""
Set = list[ImuRecording]


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    return trial_samples.trials()


@pytest.fixture(scope="module")
def sensors() -> dict[str, list[str]]:
    return trial_samples.sensors()


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
