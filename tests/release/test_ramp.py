"""The speed of loading, judged at a fixed pace of device time."""

from __future__ import annotations

import numpy as np
import pytest

from nexuslink.release.ramp import RampWatch


def watch(rate_n_per_s: float, step: int, seconds: float = 2.0, noise_n: float = 0.0) -> list[bool]:
    t = np.arange(round(seconds * 1000), dtype=np.int64) * 1000
    force = np.zeros((len(t), 2))
    force[:, 1] = t * 1e-6 * rate_n_per_s + np.random.default_rng(1).normal(0, noise_n, len(t))
    ramp, verdicts = RampWatch(10.0), []
    for first in range(0, len(t), step):
        ramp.follow(t, force, 1, first, min(first + step, len(t)) - 1)
        verdicts.append(ramp.too_fast)
    return verdicts


@pytest.mark.parametrize(("rate", "verdict"), [(10.5, True), (9.5, False), (-40.0, False), (0.0, False)])
def test_the_limit_divides(rate, verdict):
    assert watch(rate, 10)[-1] is verdict


def test_once_too_fast_it_must_be_clearly_slower():
    t = np.arange(4000, dtype=np.int64) * 1000
    for second_rate, verdict in ((9.0, True), (7.0, False)):
        force = np.where(t < 2_000_000, t * 12e-6, 24.0 + (t - 2_000_000) * second_rate * 1e-6)
        ramp = RampWatch(10.0)
        ramp.follow(t, force[:, np.newaxis], 0, 0, len(t) - 1)
        assert ramp.too_fast is verdict


def test_it_is_said_within_half_a_second():
    assert True in watch(20.0, 10, seconds=0.5)


def test_the_verdict_does_not_depend_on_batches():
    ends = {step: watch(10.0, step, noise_n=0.5)[-1] for step in (1, 7, 10, 400, 2000)}
    assert len(set(ends.values())) == 1
    fine, coarse = watch(10.0, 1, noise_n=0.5), watch(10.0, 50, noise_n=0.5)
    assert fine[49::50] == coarse


def test_what_lies_before_a_gap_is_not_compared_with():
    t, force = np.array([0, 300_000], dtype=np.int64), np.array([[0.0, 0.0], [30.0, 0.0]])
    ramp, control = RampWatch(10.0), RampWatch(10.0)
    for one in (ramp, control):
        one.follow(t, force, 0, 0, 0)
    ramp.forget()
    for one in (ramp, control):
        one.follow(t, force, 0, 1, 1)
    assert (ramp.too_fast, control.too_fast) == (False, True)
