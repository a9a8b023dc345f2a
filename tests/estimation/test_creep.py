"""Creep found in records of holds, and taken out of cycles that were not used to find it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from nexuslink.estimation.creep import fit_creep, nonnegative, remove_creep
from nexuslink.estimation.creep_filter import BLOCK, CreepFilter
from nexuslink.estimation.errors import CalibrationError

HOLD_S, RAMP_S, CYCLES = 200.0, 2.0, 6
OWN = np.array([[0.4, 0.3, 0.5], [8.0, 60.0, 250.0]])
"""Shares of the creep and time constants: of the model's own family."""
POWER = np.stack([np.full(14, 1 / 6), np.geomspace(0.3, 3000, 14)])
"""A creep that grows with the logarithm of time: no three exponentials."""


class Record(NamedTuple):
    t_s: np.ndarray
    force_n: np.ndarray
    load_n: np.ndarray
    holds: list[tuple[float, float]]


def record(kind: np.ndarray, size: float, seed: int = 0, noise_n: float = 0.02, drift_n_per_h: float = 0.1) -> Record:
    """Load, unload, load, ... by unknown weights, 9 uneven samples a second, ramps, noise and a drift of the zero."""
    rng = np.random.default_rng(seed)
    fine = np.arange(0, (2 * CYCLES + 0.25) * HOLD_S, 0.05)
    at, newtons, holds, now = [0.0], [0.0], [], 0.25 * HOLD_S
    for _ in range(CYCLES):
        load = rng.uniform(30, 100)
        for before, after in ((0.0, load), (load, 0.0)):
            at += [now, now + RAMP_S]
            newtons += [before, after]
            holds.append((now + RAMP_S, now + HOLD_S))
            now += HOLD_S
    true = np.interp(fine, at, newtons)
    share = size * kind[0] * (1 + 0.3 * rng.standard_normal(len(kind[0])))
    keep, lag, crept = np.exp(-0.05 / kind[1]), np.zeros(len(kind[0])), np.empty(len(fine))
    for row, force in enumerate(true):
        lag = keep * lag + (1 - keep) * force
        crept[row] = force + share @ lag
    t_s = np.arange(0, fine[-1], 1 / 9.0)
    t_s = np.sort(t_s + rng.uniform(-0.03, 0.03, len(t_s)))
    seen = np.interp(t_s, fine, crept) + noise_n * rng.standard_normal(len(t_s)) + drift_n_per_h * t_s / 3600
    return Record(t_s, seen, np.interp(t_s, fine, true), holds)


def movement(t_s: np.ndarray, force_n: np.ndarray, holds: list[tuple[float, float]]) -> float:
    """RMS of how far the holds drift from their first sixteen seconds to their last."""
    drifts = []
    for begin, end in holds:
        inside = force_n[(t_s > begin + 1) & (t_s < end)]
        parts = [part.mean() for part in np.array_split(inside, 12)]
        drifts.append(parts[-1] - parts[0])
    return float(np.sqrt(np.mean(np.square(drifts))))


@pytest.mark.parametrize("size", [0.003, 0.01, 0.1, -0.01])
@pytest.mark.parametrize("kind", [OWN, POWER], ids=["own", "power law"])
def test_cycles_that_were_not_used_drift_a_third_or_less(kind: np.ndarray, size: float) -> None:
    made = record(kind, size, seed=round(1000 * abs(size)))
    used = made.t_s < made.holds[6][0] - RAMP_S - 1
    fit = fit_creep(made.t_s[used], made.force_n[used])
    after = remove_creep(made.t_s, made.force_n, fit)
    before_n, after_n = movement(made.t_s, made.force_n, made.holds[6:]), movement(made.t_s, after, made.holds[6:])
    assert after_n < before_n / 3
    assert np.sign(fit.share.sum()) == np.sign(size)
    assert fit.left_n < fit.drift_n / 3
    assert 0 < fit.u_share < 1e-3
    assert fit.share.shape == fit.time_s.shape == (3,)


def test_a_record_without_creep_gives_next_to_none() -> None:
    made = record(OWN, 0.0, seed=4)
    fit = fit_creep(made.t_s, made.force_n)
    assert np.abs(fit.share).sum() < 1e-3
    assert np.abs(remove_creep(made.t_s, made.force_n, fit) - made.force_n).max() < 0.1


def test_the_filter_undoes_creep_exactly_at_a_constant_rate_however_it_is_cut() -> None:
    rng = np.random.default_rng(1)
    load, dt = np.cumsum(rng.standard_normal(700)), 0.01
    share, time_s = np.array([0.02, 0.0, 0.05]), np.array([0.3, 0.0, 5.0])
    lag, crept = np.full(2, load[0]), np.empty(700)
    keep = np.exp(-dt / time_s[[0, 2]])
    for row in range(700):
        lag = keep * lag + (1 - keep) * load[row]
        crept[row] = load[row] + share[[0, 2]] @ lag
    for cuts in ([700], [1, BLOCK, 3 * BLOCK, 700], list(range(10, 701, 10))):
        creep, parts, begin = CreepFilter(share, time_s, dt), [], 0
        for end in cuts:
            parts.append(creep.remove(crept[begin:end]))
            begin = end
        assert np.abs(np.concatenate(parts) - load).max() < 1e-9
    fit = fit_creep(record(OWN, 0.01).t_s, record(OWN, 0.01).force_n)
    even = type(fit)(share, np.array([0.3, 1.0, 5.0]), 0.0, 0.0, 0.0, 0)
    assert np.abs(remove_creep(np.arange(700) * dt, crept, even) - load).max() < 1e-9
    assert np.abs(crept - load).max() > 0.1  # negative control


def test_nonnegative_least_squares() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        a, b = rng.standard_normal((30, 6)), rng.standard_normal(30)
        x = nonnegative(a.T @ a, a.T @ b)
        gradient = a.T @ (b - a @ x)
        assert (x >= 0).all()
        assert (gradient[x == 0] < 1e-9).all()  # nothing is gained by moving away from the bound
        assert np.abs(gradient[x > 0]).max(initial=0.0) < 1e-9


GOOD_T = np.arange(0, 400, 0.1)
GOOD_F = np.where((GOOD_T // 100) % 2 == 1, 50.0, 0.0)


@pytest.mark.parametrize(
    ("t_s", "force_n", "words"),
    [
        (GOOD_T, np.where(GOOD_T[70] == GOOD_T, np.nan, GOOD_F), "sample 70: not a number"),
        (GOOD_T[:50], GOOD_F[:50], "too short"),
        (GOOD_T[::100] * 0.01, GOOD_F[::100], "too short"),
        (GOOD_T, 0.001 * np.random.default_rng(0).standard_normal(4000), "without steps"),
        (GOOD_T, np.zeros(4000), "without steps"),
        (np.where(GOOD_T[9] == GOOD_T, 0.0, GOOD_T), GOOD_F, "sample 9: time runs backwards"),
        (GOOD_T[:-1], GOOD_F, "two equal rows"),
        (GOOD_T.reshape(2, -1), GOOD_F.reshape(2, -1), "two equal rows"),
        (np.empty(0), np.empty(0), "two equal rows"),
    ],
)
def test_a_record_that_says_nothing_is_refused_in_one_line(t_s: np.ndarray, force_n: np.ndarray, words: str) -> None:
    with pytest.raises(CalibrationError, match=words) as caught:
        fit_creep(t_s, force_n)
    assert "\n" not in str(caught.value)
