"""The join of two streams that come in pieces of their own."""

from __future__ import annotations

import numpy as np
import pytest
from test_attitude import IMU, still
from test_force import CALIBRATION, WEIGHT_N

from nexuslink.estimation.estimator import MAX_WAIT_US, Estimates, Estimator

N_IMU, N_FORCE = 500, 250
IMU_T = np.arange(N_IMU, dtype=np.int64) * 2000
FORCE_T = np.arange(N_FORCE, dtype=np.int64) * 4000
IMU_RAW = still(N_IMU, 30.0)
FORCE_RAW = np.tile(np.array([100_000, 50_000], np.int32), (N_FORCE, 1))


def joined(parts: list[Estimates | None]) -> Estimates:
    """All rows that came out."""
    made = [p for p in parts if p is not None]
    return Estimates(*(np.concatenate([getattr(p, name) for p in made]) for name in Estimates.__slots__))


def run(cuts_us: list[int], imu_lag_us: int = 0) -> Estimates:
    """Both streams cut at the same device times, the IMU's pieces coming ``imu_lag_us`` later."""
    estimator, parts, before = Estimator(CALIBRATION, IMU), [], 0
    for cut in [*cuts_us, 2_000_000]:
        f = (before <= FORCE_T) & (cut > FORCE_T)
        i = (before - imu_lag_us <= IMU_T) & (cut - imu_lag_us > IMU_T)
        parts.append(estimator.update((FORCE_T[f], FORCE_RAW[f]), (IMU_T[i], IMU_RAW[i])))
        before = cut
    return joined(parts)


@pytest.mark.parametrize("lag_us", [0, 5000, 60_000])
def test_however_the_streams_are_cut_every_row_comes_once_and_the_same(lag_us: int) -> None:
    whole = run([])
    cut = run(list(range(30_000, 1_000_000, 30_000)), lag_us)
    assert (cut.t_us == whole.t_us).all()
    assert (cut.t_us == FORCE_T).all()
    for name in ("force_n", "tip_angle_deg", "tip_direction_deg"):
        assert np.allclose(getattr(cut, name), getattr(whole, name), atol=1e-9), name


def test_force_between_two_imu_samples_gets_the_angle_between_them() -> None:
    estimator = Estimator(CALIBRATION, IMU)
    odd = FORCE_T + 1000  # never on an IMU tick
    rows = estimator.update((odd[:200], FORCE_RAW[:200]), (IMU_T, IMU_RAW))
    assert rows is not None
    assert rows.tip_angle_deg[-1, 0] == pytest.approx(30.0, abs=0.1)


def test_a_silent_imu_does_not_hold_the_force_back_for_ever() -> None:
    estimator = Estimator(CALIBRATION, IMU)
    assert estimator.update((FORCE_T[:50], FORCE_RAW[:50]), None) is None  # 196 ms: may still come
    rows = estimator.update((FORCE_T[50:], FORCE_RAW[50:]), None)
    assert rows is not None
    assert rows.t_us[-1] == FORCE_T[-1] - MAX_WAIT_US
    assert np.isnan(rows.tip_angle_deg).all()
    upright = FORCE_RAW[0] * CALIBRATION.gain_n_per_count
    upright = upright - CALIBRATION.zero_counts * CALIBRATION.gain_n_per_count - WEIGHT_N
    assert rows.force_n[0] == pytest.approx(upright)  # watched on, as if the tip stood upright


def test_tare_needs_an_angle() -> None:
    estimator = Estimator(CALIBRATION, IMU)
    assert not estimator.tare(np.zeros(2))
    estimator.update(None, (IMU_T, IMU_RAW))
    assert estimator.tare(FORCE_RAW[0].astype(float))
    rows = estimator.update((FORCE_T, FORCE_RAW), None)
    assert rows is not None
    assert np.abs(rows.force_n).max() < 1e-5  # the angle still settles by microdegrees


def test_nothing_in_nothing_out() -> None:
    assert Estimator(CALIBRATION, IMU).update(None, None) is None


def test_times_in_disorder_never_raise() -> None:
    """The times are the tool's word: backwards, repeated, at the ends of what 64 bits hold."""
    rng = np.random.default_rng(9)
    estimator = Estimator(CALIBRATION, IMU)
    ends = np.array([0, 1, 2**62, 2**63 - 1, -(2**63)])
    for _ in range(300):
        t = rng.choice(np.r_[IMU_T[:40], ends], size=(2, 12))
        rows = estimator.update((t[0], FORCE_RAW[:12]), (t[1], IMU_RAW[:12]))
        assert rows is None or len(rows.t_us) == len(rows.force_n)
