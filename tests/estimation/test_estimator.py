"""The join of two streams that come in pieces of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from test_attitude import IMU, still
from tool_samples import tool

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ToolCalibration
from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.estimator import MAX_WAIT_US, Estimates, Estimator

CALIBRATION = tool()
N_IMU, N_FORCE = 500, 250
IMU_T = np.arange(N_IMU, dtype=np.int64) * 2000
FORCE_T = np.arange(N_FORCE, dtype=np.int64) * 4000
IMU_RAW = still(N_IMU, 30.0)
FORCE_RAW = np.tile(np.array([100_000, 50_000], np.int32), (N_FORCE, 1))


class Rows(NamedTuple):
    """What is recorded of estimates."""

    t_us: np.ndarray
    force_n: np.ndarray
    tip_angle_deg: np.ndarray
    tip_direction_deg: np.ndarray


def joined(parts: list[Estimates | None]) -> Rows:
    """All rows that came out."""
    made = [p for p in parts if p is not None]
    return Rows(*(np.concatenate([getattr(p, name) for p in made]) for name in Rows._fields))


def run(cuts_us: list[int], imu_lag_us: int = 0) -> Rows:
    """Both streams cut at the same device times, the IMU's pieces coming ``imu_lag_us`` later."""
    estimator, parts, before = Estimator(CALIBRATION, IMU, 250.0), [], 0
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
    estimator = Estimator(CALIBRATION, IMU, 250.0)
    odd = FORCE_T + 1000  # never on an IMU tick
    rows = estimator.update((odd[:200], FORCE_RAW[:200]), (IMU_T, IMU_RAW))
    assert rows is not None
    assert rows.tip_angle_deg[-1, 0] == pytest.approx(30.0, abs=0.1)


def test_a_silent_imu_does_not_hold_the_force_back_for_ever() -> None:
    estimator = Estimator(CALIBRATION, IMU, 250.0)
    assert estimator.update((FORCE_T[:50], FORCE_RAW[:50]), None) is None  # 196 ms: may still come
    rows = estimator.update((FORCE_T[50:], FORCE_RAW[50:]), None)
    assert rows is not None
    assert rows.t_us[-1] == FORCE_T[-1] - MAX_WAIT_US
    assert np.isnan(rows.tip_angle_deg).all()
    upright = FORCE_RAW[0] * CALIBRATION.gain_n_per_count
    weight = CALIBRATION.tip_mass_kg * CALIBRATION.axis[:, 2] * STANDARD_GRAVITY_M_S2
    upright = upright - CALIBRATION.zero_counts * CALIBRATION.gain_n_per_count - weight
    assert rows.force_n[0] == pytest.approx(upright)  # watched on, as if the tool stood upright


def test_tare_needs_an_angle() -> None:
    estimator = Estimator(CALIBRATION, IMU, 250.0)
    assert not estimator.tare(np.zeros(2))
    estimator.update(None, (IMU_T, IMU_RAW))
    assert estimator.tare(FORCE_RAW[0].astype(float))
    rows = estimator.update((FORCE_T, FORCE_RAW), None)
    assert rows is not None
    assert np.abs(rows.force_n).max() < 1e-5  # the angle still settles by microdegrees


def test_nothing_in_nothing_out() -> None:
    assert Estimator(CALIBRATION, IMU, 250.0).update(None, None) is None


def test_times_in_disorder_never_raise() -> None:
    """The times are the tool's word: backwards, repeated, at the ends of what 64 bits hold."""
    rng = np.random.default_rng(9)
    estimator = Estimator(CALIBRATION, IMU, 250.0)
    ends = np.array([0, 1, 2**62, 2**63 - 1, -(2**63)])
    for _ in range(300):
        t = rng.choice(np.r_[IMU_T[:40], ends], size=(2, 12))
        rows = estimator.update((t[0], FORCE_RAW[:12]), (t[1], IMU_RAW[:12]))
        assert rows is None or len(rows.t_us) == len(rows.force_n)


# ---- how sure, and why not --------------------------------------------------------------------------------------
SURE = tool(u_gain=np.full(2, 0.002), u_zero_n=np.full(2, 0.3))
NOISY_RAW = FORCE_RAW + np.random.default_rng(1).integers(-90, 90, FORCE_RAW.shape).astype(np.int32)
NOISY_IMU = IMU_RAW + np.random.default_rng(2).integers(-9, 9, IMU_RAW.shape).astype(np.int16)


def told(calibration: ToolCalibration = SURE, celsius: float | None = 25.0, full_scale: float = 2.0**23) -> Estimator:
    estimator = Estimator(calibration, IMU, 250.0, full_scale)
    if celsius is not None:
        estimator.set_temperature(0, celsius)
    return estimator


def doubt_of(estimator: Estimator, raw: np.ndarray = NOISY_RAW, imu: np.ndarray | None = NOISY_IMU) -> Doubt | None:
    """After a second, in live batches."""
    doubts = [None]
    for at in range(0, N_FORCE, 5):
        rows = estimator.update(
            (FORCE_T[at : at + 5], raw[at : at + 5]),
            None if imu is None else (IMU_T[2 * at : 2 * at + 10], imu[2 * at : 2 * at + 10]),
        )
        if rows is not None:
            doubts.append(rows.doubt)
            assert rows.trusted is (rows.doubt is None)
    return doubts[-1]


def test_a_tool_in_order_is_trusted() -> None:
    assert doubt_of(told()) is None


@pytest.mark.parametrize(
    ("estimator", "doubt"),
    [
        (told(celsius=None), Doubt.TEMPERATURE_UNKNOWN),
        (told(celsius=float("nan")), Doubt.TEMPERATURE_UNKNOWN),
        (told(celsius=-1.0), Doubt.TEMPERATURE_OUTSIDE),
        (told(celsius=46.0), Doubt.TEMPERATURE_OUTSIDE),
        (told(CALIBRATION), Doubt.NOT_CALIBRATED),
        (told(full_scale=100_000.0), Doubt.FORCE_SATURATED),
    ],
)
def test_what_is_wrong_is_said(estimator: Estimator, doubt: Doubt) -> None:
    assert doubt_of(estimator) is doubt


def test_a_silent_imu_is_said_and_makes_the_force_less_sure() -> None:
    assert doubt_of(told(), imu=None) is Doubt.IMU_SILENT
    seen, blind = told(), told()
    with_imu = seen.update((FORCE_T, NOISY_RAW), (IMU_T, NOISY_IMU))
    without = blind.update((FORCE_T, NOISY_RAW), None)
    assert with_imu is not None
    assert without is not None
    assert (without.u_force_n > with_imu.u_force_n[: len(without.t_us)]).all()


@pytest.mark.parametrize("cell", [0, 1])
def test_a_cell_that_reads_the_same_for_seconds_is_stuck(cell: int) -> None:
    stuck, estimator, doubts = NOISY_RAW.copy(), told(), []
    stuck[:, cell] = 5
    for second in range(4):
        for at in range(0, N_FORCE, 5):
            shift = second * 1_000_000
            force = FORCE_T[at : at + 5] + shift, stuck[at : at + 5]
            rows = estimator.update(force, (IMU_T[2 * at : 2 * at + 10] + shift, NOISY_IMU[2 * at : 2 * at + 10]))
            doubts.append(None if rows is None else rows.doubt)
    assert doubts[: N_FORCE // 5] == [None] * (N_FORCE // 5)
    assert doubts[-1] is Doubt.FORCE_STUCK


def test_everything_that_can_be_asked_for_is_worked_out_once_and_has_its_shape() -> None:
    rows = told().update((FORCE_T, NOISY_RAW), (IMU_T, NOISY_IMU))
    assert rows is not None
    for name in ("force_n", "u_force_n", "pressure_kpa", "u_pressure_kpa", "peak_pressure_kpa", "tip_angle_deg",
                 "tip_direction_deg"):  # fmt: skip
        assert getattr(rows, name).shape == (N_FORCE, 2), name
        assert getattr(rows, name) is getattr(rows, name), name
    assert rows.attitude is rows.attitude
    assert rows.attitude.tip_angle_deg == pytest.approx(tuple(rows.tip_angle_deg[-1]), abs=1e-2)
    assert (rows.u_force_n > 0).all()


def test_an_attitude_asked_for_late_is_still_that_of_its_batch() -> None:
    estimator, kept = told(), []
    turning = np.array([still(1, angle)[0] for angle in np.linspace(0, 40, N_IMU)])
    for at in range(0, N_FORCE, 5):
        few, many = slice(at, at + 5), slice(2 * at, 2 * at + 10)
        kept.append(estimator.update((FORCE_T[few], NOISY_RAW[few]), (IMU_T[many], turning[many])))
    for rows in kept:
        assert rows is not None
        assert rows.attitude.tip_angle_deg == pytest.approx(tuple(rows.tip_angle_deg[-1]), abs=0.2)
    assert kept[5].attitude.t_us < kept[40].attitude.t_us


def test_the_turn_begins_with_the_contact() -> None:
    estimator = told()
    idle = np.tile(CALIBRATION.zero_counts.astype(np.int32), (N_FORCE, 1))
    before = estimator.update((FORCE_T, idle), (IMU_T, NOISY_IMU))
    estimator.update((FORCE_T + 1_000_000, NOISY_RAW), (IMU_T + 1_000_000, NOISY_IMU))
    after = estimator.update((FORCE_T + 2_000_000, NOISY_RAW), (IMU_T + 2_000_000, NOISY_IMU))
    assert before is not None
    assert after is not None
    assert np.isnan(before.attitude.turn_deg)
    assert abs(after.attitude.turn_deg) < 1.0
    assert after.attitude.u_turn_deg > 0


def test_equal_ends_do_not_pass_for_equal_times() -> None:
    """Same first and last time, same length, another rate between: each force sample gets its own angle."""
    angles = np.r_[np.full(250, 10.0), np.full(250, 50.0)]
    raw = np.array([still(1, angle)[0] for angle in angles])
    bent = IMU_T.copy()
    bent[1:-1] -= 1
    straight, other = told(), told()
    same = straight.update((IMU_T, np.tile(NOISY_RAW, (2, 1))), (IMU_T, raw))
    moved = other.update((bent, np.tile(NOISY_RAW, (2, 1))), (IMU_T, raw))
    assert same is not None
    assert moved is not None
    assert same.tip_angle_deg[250:260] != pytest.approx(moved.tip_angle_deg[250:260], abs=1e-9)
    assert same.tip_angle_deg == pytest.approx(moved.tip_angle_deg, abs=1.0)


def idle_minutes(force_n: float, breath: float) -> Estimator:
    """Two minutes on a tared tool that reads ``force_n``, breathing by that share."""
    estimator = told()
    rng = np.random.default_rng(3)
    estimator.update(None, (IMU_T[:10], NOISY_IMU[:10]))
    weight = CALIBRATION.tip_mass_kg * 9.81 * np.cos(np.radians(30.0))
    zero = CALIBRATION.zero_counts + np.array([weight[0], 0.0]) / CALIBRATION.gain_n_per_count
    estimator.tare(zero)
    for row in range(3750):
        t_us = 20_000 + row * 32_000 + np.arange(8, dtype=np.int64) * 4000
        newtons = force_n * (1 + breath * np.sin(2 * np.pi * 0.25 * t_us * 1e-6))[:, None] * np.array([1.0, 0.0])
        newtons = newtons + 0.0024 * rng.standard_normal((8, 2))
        raw = np.rint(zero + newtons / CALIBRATION.gain_n_per_count).astype(np.int32)
        estimator.update((t_us, raw), (t_us, NOISY_IMU[:8]))
    return estimator


def test_the_zero_is_followed_and_that_is_counted() -> None:
    followed = idle_minutes(0.06, 0.0)
    assert followed.zero_shifts > 10
    assert followed.zero_shift_n[0] == pytest.approx(0.06, abs=0.01)
    hand = idle_minutes(0.5, 0.1)  # negative control: half a newton of a person who breathes
    assert hand.zero_shifts == 0
    assert hand.zero_shift_n.tolist() == [0.0, 0.0]
