"""Creep found in a record of holds, and taken out of any record of that cell.

A load cell's own creep is seen where a load that does not change is read again and again. What loads were put on need
not be known: within a hold only the movement counts, and what a load leaves behind is seen in the holds after it.
Times need not be even. It must never know a tool, a tip or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from nexuslink.estimation.calibration import CREEP_TERMS
from nexuslink.estimation.creep_filter import LEAST_GAIN, Array, CreepFilter, lags_of, used_terms, without_creep
from nexuslink.estimation.errors import CalibrationError

__all__ = ["CreepFilter", "CreepFit", "fit_creep", "remove_creep"]

LEAST_SAMPLES: Final = 60
MOST_SAMPLES: Final = 20_000
"""Above this neighbours are averaged first: creep is slow."""
_STEP_WINDOW_S: Final = 1.5
_STEP_SHARE: Final = 0.03
"""The load counts as changing where it moves by more than this share of its range within `_STEP_WINDOW_S`."""
_LEAST_HOLD_S: Final = 10.0
_CANDIDATES: Final = 24
"""Time constants on the grid, in equal ratios from `_FASTEST_S` to three times the longest hold."""
_FASTEST_S: Final = 1.0
_PASSES: Final = 3
_RATIOS: Final = (1.6, 1.25, 1.1, 1.04)
"""Steps of the search for the best time constants, each until nothing gets better (at most `_MOST_TRIES` times)."""
_MOST_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class CreepFit:
    """What `fit_creep` found. ``share``, ``time_s``: (3,), a share of 0 is not used.

    ``u_share``: creep that is left within the holds, as a share of the load (1 standard deviation).
    ``drift_n``, ``left_n``: movement within the holds before and after, newtons RMS. ``holds``: how many were used.
    """

    share: Array
    time_s: Array
    u_share: float
    drift_n: float
    left_n: float
    holds: int


def remove_creep(t_s: ArrayLike, force_n: ArrayLike, fit: CreepFit) -> Array:
    """``force_n`` (n,) at the times ``t_s`` (n,), evenly spaced or not -> (n,) with the creep of ``fit`` taken out.

    Causal. The first sample counts as a load that has been there for ever. Raises `CalibrationError`.
    """
    times, force = _checked(t_s, force_n)
    share, time_s = used_terms(fit.share, fit.time_s)
    return without_creep(np.diff(times, prepend=times[0]), force, share, time_s)


def _checked(t_s: ArrayLike, force_n: ArrayLike) -> tuple[Array, Array]:
    times, force = np.asarray(t_s, np.float64), np.asarray(force_n, np.float64)
    if times.ndim != 1 or times.shape != force.shape or not len(times):
        raise CalibrationError(f"a creep record of times {times.shape} and forces {force.shape}: give two equal rows")
    if not (np.isfinite(times).all() and np.isfinite(force).all()):
        bad = int(np.flatnonzero(~(np.isfinite(times) & np.isfinite(force)))[0])
        raise CalibrationError(f"creep record, sample {bad}: not a number; cut it out")
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise CalibrationError(f"creep record, sample {int(back[0]) + 1}: time runs backwards; sort it or cut there")
    return times, force


def fit_creep(t_s: ArrayLike, force_n: ArrayLike) -> CreepFit:
    """Creep of a load cell from a record of holds: ``t_s`` (n,) seconds, ``force_n`` (n,) newtons.

    Some constant loads one after the other (load, unload, load, ...), each held much longer than it takes to put it
    on; how big they are need not be known, nor need the times be even. Holds are found by the steps between them;
    within each hold only movement counts. Time constants come from a grid by non-negative least squares (creep of
    one sign: all terms follow the load, or all go against it), are gathered into at most three and then refined. A
    slow straight drift of the zero over the whole record is allowed for. Raises `CalibrationError`.
    """
    times, force = _checked(t_s, force_n)
    if len(times) < LEAST_SAMPLES or times[-1] - times[0] < 4 * _LEAST_HOLD_S:
        raise CalibrationError(
            f"a creep record of {len(times)} samples, {times[-1] - times[0]:.0f} s: too short; record holds of minutes"
        )
    times, force = _averaged(times, force)
    holds = _holds(times, force)
    return _Search(times, force, holds).fit()


def _averaged(times: Array, force: Array) -> tuple[Array, Array]:
    group = -(-len(times) // MOST_SAMPLES)
    if group == 1:
        return times, force
    n = len(times) // group * group
    return times[:n].reshape(-1, group).mean(axis=1), force[:n].reshape(-1, group).mean(axis=1)


def _holds(times: Array, force: Array) -> list[slice]:
    """Stretches of constant load, the steps between them left out."""
    low, high = np.percentile(force, [0.5, 99.5])
    typical_s = float(np.median(np.diff(times)))
    noise = float(np.median(np.abs(np.diff(force)))) / 0.954  # a difference of two: sqrt(2) * 0.6745 of one's sigma
    within = max(1, round(_STEP_WINDOW_S / typical_s) // 2 if typical_s > 0 else 1)
    limit = max(_STEP_SHARE * (high - low), 6.0 * noise / np.sqrt(within))
    sums = np.concatenate([[0.0], np.cumsum(force)])
    at = np.arange(len(force))
    before, after = np.maximum(at - within, 0), np.minimum(at + within, len(force))
    mean_before = (sums[at + 1] - sums[before]) / (at + 1 - before)
    mean_after = (sums[after] - sums[at]) / (after - at)
    moving = np.abs(mean_after - mean_before) > limit
    gaps = np.flatnonzero(np.diff(times) > max(_LEAST_HOLD_S, 20 * typical_s))
    moving[gaps] = True
    near = np.cumsum(np.concatenate([[0], moving]))  # what a step still touches goes too
    moving = near[np.minimum(at + within + 1, len(at))] > near[np.maximum(at - within, 0)]
    edges = np.flatnonzero(np.diff(np.concatenate([[True], moving, [True]]).astype(np.int8)))
    holds = [
        slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)
        if times[b - 1] - times[a] >= _LEAST_HOLD_S and b - a >= 10
    ]  # fmt: skip
    levels = [float(np.median(force[h])) for h in holds]
    if len(holds) < 2 or max(levels) - min(levels) <= 20 * noise / np.sqrt(LEAST_SAMPLES):
        raise CalibrationError("a creep record without steps: put a load on, hold it for minutes, take it off, again")
    if len(holds) > 2 and levels[0] - min(levels) > 0.3 * (max(levels) - min(levels)):
        holds = holds[1:]  # it begins loaded: nobody knows since when
    return holds


class _Search:
    """Least squares on the movement within the holds; the holds' levels and a drift are free."""

    def __init__(self, times: Array, force: Array, holds: list[slice]) -> None:
        self._dt = np.diff(times, prepend=times[0])
        self._force, self._holds = force, holds
        self._longest = max(float(times[h][-1] - times[h][0]) for h in holds)
        self._load = force
        drift = self._within(times[:, None])
        self._drift = drift / np.linalg.norm(drift)
        self._moved = self._freed(force[:, None])[:, 0]

    def _within(self, columns: Array) -> Array:
        return np.concatenate([columns[h] - columns[h].mean(axis=0) for h in self._holds])

    def _freed(self, columns: Array) -> Array:
        """What of them neither the holds' levels nor a drift explains."""
        within = self._within(columns)
        return np.asarray(within - self._drift @ (self._drift.T @ within))

    def _columns(self, time_s: Array) -> Array:
        return self._freed(lags_of(self._dt, self._load, time_s))

    def _solve(self, columns: Array, sign: float) -> tuple[Array, float]:
        share = nonnegative(columns.T @ columns, sign * (columns.T @ self._moved))
        left = self._moved - sign * (columns @ share)
        return sign * share, float(left @ left)

    def fit(self) -> CreepFit:
        share, time_s = np.zeros(0), np.zeros(0)
        for _ in range(_PASSES):  # the lags are those of the load, which is known better each time
            share, time_s = self._best()
            if 1.0 + np.minimum(share, 0.0).sum() < LEAST_GAIN or share.sum() > 1.0 / LEAST_GAIN:
                raise CalibrationError("a creep record that moves more than its load: check what was loaded and when")
            used = share != 0
            self._load = without_creep(self._dt, self._force, share[used], time_s[used])
        padded = np.zeros((2, CREEP_TERMS))
        padded[:, : len(share)] = share, time_s
        size = max(abs(float(np.median(self._load[h]))) for h in self._holds)
        drift, left = self._movement(self._force), self._movement(self._load)
        return CreepFit(padded[0], padded[1], left / max(size, 1e-9), drift, left, len(self._holds))

    def _best(self) -> tuple[Array, Array]:
        grid = np.geomspace(_FASTEST_S, max(3.0 * self._longest, 4 * _FASTEST_S), _CANDIDATES)
        columns = self._columns(grid)
        share, _ = min((self._solve(columns, sign) for sign in (1.0, -1.0)), key=lambda found: found[1])
        sign = -1.0 if share.sum() < 0 else 1.0
        time_s = _gathered(grid, np.abs(share))
        if not len(time_s):
            return np.zeros(0), np.zeros(0)
        columns = self._columns(time_s)
        share, error = self._solve(columns, sign)
        for ratio in _RATIOS:
            for _ in range(_MOST_TRIES):
                before = error
                for term in range(len(time_s)):
                    for factor in (ratio, 1.0 / ratio):
                        tried = time_s.copy()
                        tried[term] = min(max(tried[term] * factor, _FASTEST_S), 10 * self._longest)
                        other = columns.copy()
                        other[:, [term]] = self._columns(tried[[term]])
                        found, less = self._solve(other, sign)
                        if less < error:
                            share, error, time_s, columns = found, less, tried, other
                if error > before * (1 - 1e-4):
                    break
        return share, time_s

    def _movement(self, force: Array) -> float:
        """RMS movement within the holds, newtons, its noise averaged away; the drift does not count."""
        moved, at, squares = self._freed(force[:, None])[:, 0], 0, []
        for hold in self._holds:
            n = hold.stop - hold.start
            means = [part.mean() for part in np.array_split(moved[at : at + n], 10)]
            squares.append(float(np.var(means)))
            at += n
        return float(np.sqrt(np.mean(squares)))


def _gathered(time_s: Array, share: Array) -> Array:
    """At most three time constants for those that were found: neighbours are joined, the closest first."""
    groups = [[(float(t), float(s))] for t, s in zip(time_s, share, strict=True) if s > 1e-6 * share.sum()]

    def centre(group: list[tuple[float, float]]) -> float:
        weights = [s for _, s in group]
        return float(np.average([np.log(t) for t, _ in group], weights=weights))

    while len(groups) > CREEP_TERMS:
        distance = [centre(b) - centre(a) for a, b in pairwise(groups)]
        nearest = int(np.argmin(distance))
        groups[nearest : nearest + 2] = [groups[nearest] + groups[nearest + 1]]
    return np.exp([centre(group) for group in groups])


def nonnegative(gram: Array, target: Array) -> Array:
    """x >= 0 that makes x' gram x / 2 - target' x least (Lawson and Hanson, Solving Least Squares Problems, 1974)."""
    n = len(target)
    x, free = np.zeros(n), np.zeros(n, bool)
    scale = 1e-12 * max(float(np.abs(target).max(initial=0.0)), 1e-300)
    for _ in range(10 * n):
        gradient = target - gram @ x
        gradient[free] = -np.inf
        best = int(gradient.argmax())
        if gradient[best] <= scale:
            break
        free[best] = True
        while free.any():
            trial = np.zeros(n)
            trial[free] = np.linalg.lstsq(gram[np.ix_(free, free)], target[free], rcond=1e-13)[0]
            if (trial[free] > 0).all():
                x = trial
                break
            down = free & (trial <= 0)
            step = float((x[down] / np.maximum(x[down] - trial[down], 1e-300)).min())
            x = x + step * (trial - x)
            free &= x > 1e-15 * max(float(x.max()), 1e-300)
            x[~free] = 0.0
    return x
