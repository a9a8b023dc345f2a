"""The simulated body behaves as bodies do, and depends on nothing but script, seed and time."""

import math

import numpy as np
import pytest
from nexus_simulator.body import (
    BLOCK_S,
    GRAVITY,
    HISTORY_S,
    STEP_S,
    TIP_AXES,
    TISSUES,
    Body,
    tip_angles,
)
from nexus_simulator.scripts import SCRIPTS, Frame, Script, Tip

RATE = 200.0


def times(start: float, end: float, rate: float = RATE) -> np.ndarray:
    return np.arange(start, end, 1.0 / rate)


def body_of(script: Script | str, seed: int = 1, until: float = 60.0) -> Body:
    body = Body(SCRIPTS[script] if isinstance(script, str) else script, seed)
    body.advance(until)
    return body


def smooth(force: np.ndarray, seconds: float = 0.5) -> np.ndarray:
    n = round(seconds * RATE)
    return np.convolve(force, np.ones(n) / n, "same")


def dominant_hz(x: np.ndarray, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft((x - x.mean()) * np.hanning(len(x)), 8 * len(x)))
    f = np.fft.rfftfreq(8 * len(x), 1.0 / RATE)
    inside = (f >= low) & (f <= high)
    return float(f[inside][spectrum[inside].argmax()])


def test_same_seed_same_body_other_seed_other_body() -> None:
    t = times(0.0, 20.0)
    first, second, other = (body_of("good-psoas", seed, 20.0) for seed in (1, 1, 2))
    assert np.array_equal(first.force(t), second.force(t))
    assert np.array_equal(first.motion(t).rate, second.motion(t).rate)
    assert not np.array_equal(first.force(t), other.force(t))


def test_how_time_is_cut_changes_nothing() -> None:
    t = times(0.0, 12.0)
    whole, parts = body_of("wobbling", until=12.0), Body(SCRIPTS["wobbling"], 1)
    for until in np.random.default_rng(0).uniform(0.0, 12.0, 200):
        parts.advance(float(until))
    parts.advance(12.0)
    assert np.array_equal(whole.force(t), parts.force(t))
    assert np.array_equal(whole.motion(t).specific_force, parts.motion(t).specific_force)


def test_any_rate_sees_the_same_body() -> None:
    body = body_of("good-psoas", until=10.0)
    slow, fast = times(0.0, 9.0, 100.0), times(0.0, 9.0, 1000.0)
    assert np.allclose(body.motion(slow).rate, body.motion(fast).rate[::10], atol=1e-9)
    assert np.allclose(body.force(slow), body.force(fast)[::10], atol=1e-9)


@pytest.mark.parametrize(("name", "low", "high", "ramp"), [("good-psoas", 10, 35, 10), ("good-iliacus", 5, 20, 5)])
@pytest.mark.parametrize("seed", range(4))
def test_good_holds_stay_in_band_and_ramp_gently(name: str, low: float, high: float, ramp: float, seed: int) -> None:
    body = body_of(name, seed, 100.0)
    tip = body.tip
    t = times(0.0, 100.0)
    force = body.force(t)
    assert (force[t < 2.0] == 0.0).all()
    hold = (t > 8.0) & (t < 100.0)
    assert low < force[hold, tip].min() and force[hold, tip].max() < high
    assert np.abs(np.gradient(smooth(force[:, tip]), 1.0 / RATE)[t < 8.0]).max() < ramp
    assert (force[:, 1 - tip] == 0.0).all()


def test_good_holds_lean_as_the_sites_ask() -> None:
    for name, middle in (("good-psoas", 12.0), ("good-iliacus", 40.0)):
        body = body_of(name, until=60.0)
        angle, direction = tip_angles(body.motion(times(10.0, 60.0)).up)
        assert np.abs(angle[:, body.tip] - middle).max() < 3.0
        assert np.abs(direction[:, body.tip]).max() < 20.0


def still(force_n: float, tip: Tip = Tip.PSOAS) -> Script:
    """Pressed at once, then held at the same *depth* as far as the person can: no breathing."""
    return Script("still", "", tip, (Frame(0.0, force_n),), breaths_per_min=0.0)


def test_step_of_depth_relaxes_as_a_standard_linear_solid() -> None:
    body = Body(still(0.0), 1)
    tissue = TISSUES[0]
    x = 0.02
    # The surface jumps by more than the rest clearance at once and stays: a step test.
    surface = np.full(12_000, x + 0.008)
    force = np.array(body._press(np.zeros(12_000), np.ones(12_000), surface))
    elastic = tissue.linear_n_per_m * x + tissue.cubic_n_per_m3 * x**3
    t = STEP_S * np.arange(1, 12_001)
    rest = 1.0 - tissue.quick_fraction - tissue.slow_fraction
    expected = elastic * (
        rest
        + tissue.quick_fraction * np.exp(-(t - STEP_S) / tissue.quick_s)
        + tissue.slow_fraction * np.exp(-(t - STEP_S) / tissue.slow_s)
    )
    assert np.allclose(force, expected, rtol=1e-6)


def test_tissue_stiffens() -> None:
    soft = np.array(Body(still(0.0), 1)._press(np.zeros(2), np.ones(2), np.full(2, 0.018)))[0]
    hard = np.array(Body(still(0.0), 1)._press(np.zeros(2), np.ones(2), np.full(2, 0.028)))[0]
    assert hard > 2.5 * soft


@pytest.mark.parametrize("per_minute", [4.0, 6.0, 12.0, 20.0])
def test_breathing_shows_in_the_force_at_its_rate(per_minute: float) -> None:
    script = Script("b", "", Tip.PSOAS, (Frame(0.0, 22.0, 12.0),), breaths_per_min=per_minute)
    force = body_of(script, until=120.0).force(times(20.0, 120.0))[:, 0]
    assert abs(dominant_hz(force, 0.04, 0.5) * 60.0 - per_minute) < 0.5
    amplitude = (np.percentile(force, 95) - np.percentile(force, 5)) / 2.0
    assert 0.5 < amplitude < 5.0


def test_without_breathing_the_breathing_line_is_gone() -> None:
    def line(per_minute: float) -> float:
        script = Script("b", "", Tip.PSOAS, (Frame(0.0, 22.0, 12.0),), breaths_per_min=per_minute)
        force = body_of(script, until=120.0).force(times(20.0, 120.0))[:, 0]
        t = times(20.0, 120.0)
        return float(abs(np.mean(force * np.exp(-2j * np.pi * 0.1 * t))))

    assert line(6.0) > 5.0 * line(0.0)


def test_tremor_is_small_and_between_8_and_12_hz() -> None:
    force = body_of("good-psoas").force(times(20.0, 60.0))[:, 0]
    quick = (force - smooth(force, 0.25))[100:-100]
    assert 8.0 <= dominant_hz(quick, 3.0, 40.0) <= 12.0
    assert 0.03 < quick.std() < 0.3


def test_tremor_grows_with_force() -> None:
    force = body_of("too-hard").force(times(8.0, 45.0))[:, 0]
    quick = force - smooth(force, 0.25)
    assert quick[30 * 200 : 36 * 200].std() > 2.0 * quick[200 : 8 * 200].std()


def test_gyro_is_the_derivative_of_the_attitude() -> None:
    body = body_of("wobbling", until=30.0)
    h = 1e-5
    t = times(5.0, 29.0, 50.0)
    before, now, after = (body.motion(x) for x in (t - h, t, t + h))
    slope = (after.up - before.up) / (2.0 * h)
    assert np.allclose(slope, -np.cross(now.rate, now.up), atol=2e-5)
    assert np.allclose(np.linalg.norm(now.up, axis=1), 1.0, atol=1e-12)


def test_base_turns_under_load_and_settles() -> None:
    body = body_of("good-psoas", until=60.0)
    moved = body.motion(times(0.0, 60.0))
    turn = np.cumsum((moved.rate * moved.up).sum(axis=1)) / RATE
    assert abs(turn[-1]) > math.radians(10.0)
    assert abs(turn[-1] - turn[round(40 * RATE)]) < math.radians(1.0)
    assert abs(turn[round(2 * RATE)]) < math.radians(1.0)


def test_gravity_is_what_an_unloaded_tool_feels() -> None:
    moved = body_of("idle", until=10.0).motion(times(0.0, 10.0))
    assert abs(np.linalg.norm(moved.specific_force, axis=1).mean() - GRAVITY) < 0.01


def test_direction_follows_the_frame_convention() -> None:
    def up(lean_deg: float, toward_deg: float) -> np.ndarray:
        lean, toward = math.radians(lean_deg), math.radians(toward_deg)
        s = math.sin(lean)
        return np.array([[-s * math.cos(toward), -s * math.sin(toward), math.cos(lean)]])

    for toward in (0.0, 90.0, -90.0, 135.0):
        vertical = up(12.0, toward)
        angle, direction = tip_angles(vertical)
        # Level frame: the mark's direction projected to the horizontal, and 90 degrees counterclockwise of it.
        mark = np.array([1.0, 0.0, 0.0]) - vertical[0, 0] * vertical[0]
        aside = np.cross(vertical[0], mark)
        expected = math.degrees(math.atan2(TIP_AXES[0] @ aside, TIP_AXES[0] @ mark))
        assert angle[0, 0] == pytest.approx(12.0) and direction[0, 0] == pytest.approx(expected, abs=1e-9)
        assert direction[0, 0] == pytest.approx(toward, abs=1.0)
    angle, direction = tip_angles(up(5.0, 0.0))
    assert angle[0, 1] == pytest.approx(40.0) and direction[0, 1] == pytest.approx(0.0, abs=1e-9)
    assert np.allclose(np.linalg.norm(TIP_AXES, axis=1), 1.0)


def test_too_hard_passes_the_stop_at_about_8_newtons_a_second() -> None:
    body = body_of("too-hard", until=45.0)
    t = times(0.0, 45.0)
    force = smooth(body.force(t)[:, 0])
    crossing = t[np.argmax(force >= 110.0)]
    assert 20.0 < crossing < 40.0
    slope = (force[round((crossing + 0.5) * RATE)] - force[round((crossing - 3.0) * RATE)]) / 3.5
    assert 5.0 < slope < 12.0


def test_contraction_is_a_clear_rise_that_stays_in_band() -> None:
    force = body_of("contract-relax", until=62.0).force(times(0.0, 62.0))[:, 0]
    t = times(0.0, 62.0)
    for cycle in range(3):
        begin = 14.0 + 16.0 * cycle
        before = force[(t > begin - 2.0) & (t < begin)].mean()
        during = smooth(force)[(t > begin + 0.5) & (t < begin + 5.5)]
        assert (during > 1.15 * before).sum() > RATE
    assert force[(t > 8.0)].min() > 10.0 and force.max() < 35.0


def test_wrong_angle_is_wrong_in_both_ways() -> None:
    body = body_of("wrong-angle", until=60.0)
    angle, direction = tip_angles(body.motion(times(0.0, 60.0)).up)
    assert (angle[round(15 * RATE) : round(25 * RATE), 0] > 25.0).all()
    assert (np.abs(direction[round(40 * RATE) : round(50 * RATE), 0]) > 120.0).all()


def test_wobbling_leaves_the_angle_again_and_again() -> None:
    angle, _ = tip_angles(body_of("wobbling").motion(times(10.0, 60.0)).up)
    outside = angle[:, 0] > 20.0
    assert 8 < np.diff(outside.astype(int)).clip(0).sum() < 40


def test_letting_go_lets_go() -> None:
    force = body_of("letting-go").force(np.array([25.0, 40.0]))[:, 0]
    assert force[0] > 15.0 and force[1] == 0.0


def test_history_is_bounded_and_the_unknown_is_nan() -> None:
    body = Body(SCRIPTS["idle"], 1)
    body.advance(HISTORY_S + 30.0)
    known = body.force(np.array([-1.0, 1.0, HISTORY_S, HISTORY_S + 29.0, HISTORY_S + 40.0]))[:, 0]
    assert np.isnan(known[[0, 1, 4]]).all() and (known[[2, 3]] == 0.0).all()
    assert np.isnan(body.motion(np.array([-1.0])).up).all()
    assert body.known_s <= HISTORY_S + 30.0 + BLOCK_S
