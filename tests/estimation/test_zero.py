"""The zero is followed when nothing touches the tips, and only then."""

from __future__ import annotations

import numpy as np
import pytest

from nexuslink.estimation.zero import MOST_N, MOST_N_PER_MINUTE, ZeroTracker

NOISE_N = 0.003
HZ = 30


def followed(forces: np.ndarray) -> tuple[float, int]:
    """Of a tip that would read ``forces`` (n,): newtons taken off in the end, and how often."""
    rng = np.random.default_rng(8)
    tracker, off = ZeroTracker(NOISE_N, lambda: True), 0.0
    for row, force in enumerate(forces):
        seen = force - off + NOISE_N * rng.standard_normal()
        shift = tracker.watch(row * 1_000_000 // HZ, seen, NOISE_N * rng.standard_normal())
        if shift is not None:
            off += shift[0]
    return off, tracker.shifts


def minutes(m: float) -> np.ndarray:
    """Times of the readings, seconds."""
    return np.arange(int(60 * m * HZ)) / HZ


def test_a_zero_that_wanders_is_followed() -> None:
    t = minutes(5)
    off, shifts = followed(0.2 * t / 300)  # 0.04 N a minute
    assert off == pytest.approx(0.2, abs=0.01)
    assert shifts > 50


@pytest.mark.parametrize("level_n", [0.5, 0.15, 0.08])
def test_a_light_hand_that_breathes_is_not_taken_for_zero(level_n: float) -> None:
    """Negative control: a steady contact that breathes by a tenth, 15 times a minute."""
    t = minutes(5)
    off, shifts = followed(level_n * (1 + 0.1 * np.sin(2 * np.pi * 0.25 * t)))
    assert (off, shifts) == (0.0, 0)


def test_a_steady_thing_of_half_a_newton_is_not_taken_for_zero() -> None:
    assert followed(np.full(len(minutes(5)), 0.5)) == (0.0, 0)


def test_it_is_slow_and_bounded() -> None:
    one = followed(np.full(len(minutes(1)), 0.15))[0]
    assert 0.5 * MOST_N_PER_MINUTE < one <= MOST_N_PER_MINUTE
    off = 0.0
    t = minutes(30)
    off, _ = followed(0.05 * t / 60)  # 1.5 N in all
    assert off <= MOST_N


def test_while_creep_may_be_left_it_waits() -> None:
    tracker = ZeroTracker(NOISE_N, lambda: False)
    assert all(tracker.watch(row * 33_333, 0.05, 0.0) is None for row in range(600))
    assert tracker.shifts == 0


def test_few_or_late_readings_say_nothing_and_a_clock_that_runs_back_begins_anew() -> None:
    tracker = ZeroTracker(NOISE_N, lambda: True)
    for second in range(0, 60, 2):
        assert tracker.watch(second * 1_000_000, 0.1, 0.0) is None
    for t_us in (2**62, 0, -(2**62), 5):
        assert tracker.watch(t_us, 0.1, 0.0) is None
    assert tracker.watch(10, float("nan"), 0.0) is None
    assert tracker.shifts == 0
