"""What is wrong with the samples is said, and only that; and what passes, passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from imu_samples import AXES, RATE_HZ, REFERENCE_C, SCALE, RandomUnit, calibration, hold
from real_data import attitude_files

from nexuslink.estimation.attitude import AttitudeTracker
from nexuslink.estimation.calibration import ImuCalibration, ImuScale, TriaxialCalibration
from nexuslink.estimation.doubt import Doubt

BATCH = 25
SECONDS = 60.0
PERIOD_US = round(1e6 / RATE_HZ)


def recording(seed: int = 2, seconds: float = SECONDS) -> np.ndarray:
    motion = hold(seed, seconds)
    return RandomUnit(seed).counts(motion.rate, motion.specific_force, REFERENCE_C)


def times(n: int, period_us: float = PERIOD_US) -> np.ndarray:
    return np.rint(np.arange(n) * period_us).astype(np.int64)


def tracker(scale: ImuScale = SCALE, imu: ImuCalibration | None = None) -> AttitudeTracker:
    return AttitudeTracker(scale, imu or ImuCalibration(), AXES, REFERENCE_C)


def doubts(raw: np.ndarray, t_us: np.ndarray, tracked: AttitudeTracker | None = None) -> list[Doubt | None]:
    """After each batch."""
    tracked = tracked or tracker()
    said = []
    for begin in range(0, len(raw), BATCH):
        tracked.update(t_us[begin : begin + BATCH], raw[begin : begin + BATCH])
        said.append(tracked.state().doubt)
    return said


def test_nothing_is_doubted_without_reason() -> None:
    for seed in range(5):
        raw = recording(seed)
        assert set(doubts(raw, times(len(raw)))) == {None}
    assert tracker().state().doubt is Doubt.IMU_SILENT


def swapped(*columns: int) -> Callable[[np.ndarray], np.ndarray]:
    order = list(range(6))
    order[columns[0]], order[columns[1]] = columns[1], columns[0]
    return lambda raw: raw[:, order]


def times_(column: int | slice, factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(raw: np.ndarray) -> np.ndarray:
        raw = raw.astype(np.float64)
        raw[:, column] *= factor
        return np.clip(raw, -32768, 32767).astype(np.int16)

    return change


GYRO, ACCEL = slice(0, 3), slice(3, 6)


@pytest.mark.parametrize(
    "change",
    [
        swapped(0, 1), swapped(4, 5), times_(GYRO, -1), times_(GYRO, 2), times_(GYRO, 0.5), times_(GYRO, 0),
        times_(1, -1), times_(3, -1), times_(ACCEL, 1.5),
    ],
    ids=[
        "gyro x y swapped", "accel y z swapped", "gyro inverted", "gyro doubled", "gyro halved", "gyro dead",
        "gyro y inverted", "accel x inverted", "accel too large",
    ],
)  # fmt: skip
def test_a_gyroscope_and_an_accelerometer_that_disagree_are_named(change: Callable[[np.ndarray], np.ndarray]) -> None:
    raw = change(recording())
    assert Doubt.IMU_DISAGREES in doubts(raw, times(len(raw)))


@pytest.mark.parametrize("channel", range(6))
def test_a_stuck_channel_is_named(channel: int) -> None:
    raw = recording()
    raw[:, channel] = raw[0, channel]
    said = doubts(raw, times(len(raw)))
    assert said[-1] is Doubt.IMU_STUCK
    assert said.index(Doubt.IMU_STUCK) < 5.0 * RATE_HZ / BATCH


def test_a_quiet_sensor_with_coarse_counts_is_not_stuck() -> None:
    raw = np.tile(np.array([0, 0, 0, 0, 0, 8192], np.int16), (2000, 1))
    raw[:, 4] += np.random.default_rng(0).integers(-3, 4, 2000).astype(np.int16)
    assert set(doubts(raw, times(2000))) == {None}


@pytest.mark.parametrize(("period", "wrong"), [(1.0, False), (1.01, False), (1.03, True), (0.95, True), (2.0, True)])
def test_times_that_do_not_fit_the_rate_are_named(period: float, wrong: bool) -> None:
    raw = recording(seconds=10.0)
    said = doubts(raw, times(len(raw), period * PERIOD_US))
    assert (Doubt.RATE_MISMATCH in said) is wrong or (wrong and period >= 2 and Doubt.IMU_GAP in said)
    assert (said[-1] is not None) is wrong


def test_lost_samples_are_no_wrong_rate() -> None:
    raw = recording(seconds=20.0)
    kept = np.random.default_rng(1).random(len(raw)) > 0.03
    assert Doubt.RATE_MISMATCH not in doubts(raw[kept], times(len(raw))[kept])


def gapped(seconds: float) -> list[Doubt | None]:
    raw, t_us = recording(), times(round(SECONDS * RATE_HZ))
    begin, end = round(30 * RATE_HZ), round((30 + seconds) * RATE_HZ)
    kept = np.r_[0:begin, end : len(raw)]
    return doubts(raw[kept], t_us[kept])


def test_a_short_gap_passes_and_a_long_one_is_said_until_the_attitude_is_back() -> None:
    assert set(gapped(0.04)) == {None}
    for seconds in (1.0, 5.0, 15.0):
        said = gapped(seconds)
        assert said[round(30 * RATE_HZ) // BATCH + 1] is Doubt.IMU_GAP
        assert said[-1] is None
        assert said.count(Doubt.IMU_GAP) > RATE_HZ / BATCH


def test_the_uncertainty_holds_the_truth_after_a_gap() -> None:
    raw, motion = recording(), hold(2, SECONDS)
    t_us = times(len(raw))
    tracked, begin, end = tracker(imu=calibration(RandomUnit(2))), 7500, 8000
    tracked.update(t_us[:begin], raw[:begin])
    before = tracked.state()
    tracked.update(t_us[end : end + 10], raw[end : end + 10])
    after = tracked.state()
    assert after.u_tip_angle_deg[0] > 3 * before.u_tip_angle_deg[0]
    true_deg = math.degrees(math.acos(motion.up[end + 9, 2]))
    assert abs(after.tip_angle_deg[0] - true_deg) < 3 * after.u_tip_angle_deg[0]


def test_clipping_is_said_and_an_accelerometer_that_clips_does_not_pull() -> None:
    raw, t_us = recording(), times(round(SECONDS * RATE_HZ))
    hit = raw.copy()
    hit[7500:7510, 3] = 32767  # a blow of 40 ms
    plain, struck = tracker(), tracker()
    plain.update(t_us, raw)
    struck.update(t_us, hit)
    moved = np.abs(np.asarray(plain.quaternions) - struck.quaternions).max()
    assert moved < math.radians(0.05)
    unaware = tracker(replace(SCALE, accel_range_m_s2=math.inf))
    unaware.update(t_us, hit)
    assert np.abs(plain.quaternions - unaware.quaternions).max() > 3 * moved  # negative control
    fast = raw.copy()
    fast[7500:7525, 1] = 32767  # beyond the range for a tenth of a second
    said = doubts(fast, t_us)
    assert Doubt.IMU_CLIPPED in said
    assert said[-1] is None


def test_a_saturated_accelerometer_is_doubted_for_as_long_as_it_lasts() -> None:
    raw = recording()
    raw[5000:, 5] = 32767
    assert doubts(raw, times(len(raw)))[-1] is Doubt.IMU_CLIPPED


def test_hostile_times_never_raise() -> None:
    rng, raw = np.random.default_rng(3), recording(seconds=2.0)
    ends = np.array([0, 1, 2**62, 2**63 - 1, -(2**63)])
    tracked = tracker()
    for _ in range(200):
        tracked.update(rng.choice(np.r_[times(40), ends], size=12), raw[:12])
        state = tracked.state()
        assert len(tracked.quaternions) == 12
        assert math.isfinite(state.tip_angle_deg[0])
        assert math.isfinite(state.u_tip_angle_deg[0])
    assert state.doubt is not None


def test_the_turn_counts_from_contact_and_is_unknown_without() -> None:
    unit, motion = RandomUnit(4), hold(4, 20.0)
    raw, t_us = unit.counts(motion.rate, motion.specific_force, REFERENCE_C), times(5000)
    tracked = tracker()
    tracked.update(t_us[:1000], raw[:1000])
    assert math.isnan(tracked.state().turn_deg)
    tracked.contact(int(t_us[900]), True)
    tracked.contact(int(t_us[999]), True)  # still the same contact
    tracked.update(t_us[1000:], raw[1000:])
    state = tracked.state()
    turned = math.degrees(motion.turn[-1] - motion.turn[900])
    assert abs(state.turn_deg - turned) < 3 * state.u_turn_deg
    assert state.u_turn_deg > 1.0  # nobody knows this gyroscope's bias
    tracked.contact(int(t_us[-1]), False)
    assert math.isnan(tracked.state().u_turn_deg)


def test_the_calibration_and_its_temperature_slopes_are_applied() -> None:
    rng = np.random.default_rng(5)
    sensors = [
        TriaxialCalibration(np.eye(3) + 0.01 * rng.standard_normal((3, 3)), size * rng.standard_normal(3),
                            0.1 * size * rng.standard_normal(3), 1e-3, size)
        for size in (0.01, 0.1)
    ]  # fmt: skip
    tracked = tracker(imu=ImuCalibration(*sensors))
    raw = recording(seconds=1.0)
    tracked.set_temperature(REFERENCE_C + 8.0)
    tracked.set_temperature(math.nan)  # no news
    tracked.update(times(len(raw)), raw)
    assert np.allclose(tracked.gyro, sensors[0].apply(raw[:, :3] * SCALE.gyro_rad_s, 8.0))
    assert np.allclose(tracked.accel, sensors[1].apply(raw[:, 3:] * SCALE.accel_m_s2, 8.0))
    assert not np.allclose(tracked.accel, sensors[1].apply(raw[:, 3:] * SCALE.accel_m_s2, 0.0))


def test_arrays_of_an_earlier_batch_stay_what_they_were() -> None:
    raw, t_us, tracked = recording(seconds=1.0), times(250), tracker()
    tracked.update(t_us[:10], raw[:10])
    kept = tracked.gyro, tracked.accel, tracked.quaternions
    copies = [array.copy() for array in kept]
    tracked.update(t_us[10:20], raw[10:20])
    assert all((a == b).all() for a, b in zip(kept, copies, strict=True))


def test_real_recordings_with_sound_sensors_are_hardly_ever_doubted() -> None:
    """Shaken and thrown about as no tool in use is."""
    path = next(p for p in attitude_files() if "fast_rotation" in p.name)
    data = np.load(path)
    raw = np.hstack([data["gyr"], data["acc"]]).astype(np.int32)
    scale = ImuScale(float(data["rate"]), float(data["gyr_lsb"]), float(data["acc_lsb"]))
    t_us = np.rint(np.arange(len(raw)) * 1e6 / scale.rate_hz).astype(np.int64)
    said = doubts(raw, t_us, tracker(scale))
    assert sum(doubt is not None for doubt in said) < 0.01 * len(said)
    inverted = doubts(raw * np.array([-1, -1, -1, 1, 1, 1], np.int32), t_us, tracker(scale))
    assert sum(doubt is Doubt.IMU_DISAGREES for doubt in inverted) > 0.5 * len(said)  # negative control
