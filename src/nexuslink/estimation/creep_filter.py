"""Creep of a load cell, taken out of its reading by one linear recursion.

Under a constant load a bonded strain gauge goes on moving: the reading is the load plus a sum of first-order lags of
it, ``crept = load + sum_k share_k lag_k[load]``; as a transfer function ``1 + sum_k share_k / (1 + time_k p)``. Its
inverse has as many poles, so taking creep out is one linear recursion over the *measured* values, with the lags of
the load found so far as its state. Nothing is iterated and nothing looks ahead. In discrete time a sample counts as
the load since the sample before, which makes every step exact for a load of that shape:

    lag_k[n] = e_k lag_k[n-1] + (1 - e_k) load[n],   e_k = exp(-dt / time_k)
    load[n]  = (crept[n] - sum_k share_k e_k lag_k[n-1]) / (1 + sum_k share_k (1 - e_k))

Pure arrays; it must never know a tool, a tip or a clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nexuslink.estimation.errors import CalibrationError

Array = NDArray[np.float64]

BLOCK: Final = 64
"""Samples that one dense matrix takes at once; between blocks the state is found by doubling."""
CACHED: Final = 32
"""Up to this length a batch's one matrix is kept: live batches are short, and always of the same few lengths."""
LEAST_GAIN: Final = 0.2
"""Share of the load that must be left when all creep is there, or the inverse would amplify without bound."""


class CreepFilter:
    """Takes creep out of one channel at a constant rate. Batch boundaries change nothing beyond rounding."""

    def __init__(self, share: ArrayLike, time_s: ArrayLike, dt_s: float, watched_s: ArrayLike = ()) -> None:
        """``share``, ``time_s``: (k,), a share of 0 is not used. ``watched_s``: time constants of further lags that
        are followed and take nothing out. Raises `CalibrationError`."""
        share, time_s = used_terms(share, time_s)
        watched_s = np.asarray(watched_s, np.float64)
        self.share = np.concatenate([share, np.zeros(len(watched_s))])
        self.time_s = np.concatenate([time_s, watched_s])
        self.terms = len(self.share)
        keep = np.exp(-dt_s / self.time_s)
        gain = 1.0 + float(self.share @ (1.0 - keep))
        self._through = 1.0 / gain
        self._into = (1.0 - keep) / gain
        self._out = -self.share * keep / gain
        self._next = np.diag(keep) + np.outer(1.0 - keep, self._out)
        self.lags: Array = np.full(self.terms, np.nan)
        """(k,) lags of the load so far; NaN before the first sample, which counts as an old load."""
        powers = np.empty((BLOCK + 1, self.terms, self.terms))
        powers[0] = np.eye(self.terms)
        for row in range(BLOCK):
            powers[row + 1] = self._next @ powers[row]
        response = np.concatenate([[self._through], powers[: BLOCK - 1] @ self._into @ self._out])
        after = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
        self._direct = np.where(after >= 0, response[np.maximum(after, 0)], 0.0)
        self._from_lags = np.einsum("k,nkj->nj", self._out, powers[:BLOCK])
        self._to_lags = (powers[:BLOCK] @ self._into)[::-1].T.copy()
        self._over = powers

    def matrices(self, n: int) -> tuple[Array, Array, Array, Array]:
        """Of a batch of ``n`` up to `BLOCK`: load = a @ crept + b @ lags, new lags = c @ crept + d @ lags."""
        return self._direct[:n, :n], self._from_lags[:n], self._to_lags[:, BLOCK - n :], self._over[n]

    def settle(self, crept_n: float) -> None:
        """Begin as if this reading had been there for ever."""
        self.lags = np.full(self.terms, crept_n / (1.0 + float(self.share.sum())))

    def wait(self, gap_s: float, load_n: float) -> None:
        """Let time pass without samples: the load counts as ``load_n`` meanwhile."""
        self.lags = load_n + (self.lags - load_n) * np.exp(-max(gap_s, 0.0) / self.time_s)

    def remove(self, crept_n: Array) -> Array:
        """(n,) consecutive readings -> (n,) load."""
        if not self.terms or not len(crept_n):
            return crept_n
        if np.isnan(self.lags).any():
            self.settle(float(crept_n[0]))
        lags = self.lags
        blocks, rest = divmod(len(crept_n), BLOCK)
        load = np.empty(len(crept_n))
        if blocks:
            whole = crept_n[: blocks * BLOCK].reshape(blocks, BLOCK)
            direct, from_lags, to_lags, over = self.matrices(BLOCK)
            states = np.empty((blocks + 1, self.terms))
            states[0], states[1:] = lags, whole @ to_lags.T
            step = 1
            while step <= blocks:  # states[b] = over @ states[b - 1] + what block b adds, by doubling
                states[step:] = states[step:] + states[:-step] @ over.T
                over, step = over @ over, 2 * step
            load[: blocks * BLOCK] = (whole @ direct.T + states[:-1] @ from_lags.T).ravel()
            lags = states[-1]
        if rest:
            direct, from_lags, to_lags, over = self.matrices(rest)
            tail = crept_n[-rest:]
            load[-rest:] = direct @ tail + from_lags @ lags
            lags = to_lags @ tail + over @ lags
        self.lags = lags
        return load


def used_terms(share: ArrayLike, time_s: ArrayLike) -> tuple[Array, Array]:
    """Those of (k,) whose share is not 0. Raises `CalibrationError` for what no cell does."""
    share, time_s = np.asarray(share, np.float64).ravel(), np.asarray(time_s, np.float64).ravel()
    used = share != 0
    if share.shape != time_s.shape or not np.isfinite(share).all() or not np.isfinite(time_s[used]).all():
        raise CalibrationError(f"creep shares {share.tolist()} with time constants {time_s.tolist()} s: not numbers")
    if (time_s[used] <= 0).any():
        raise CalibrationError(f"creep time constants {time_s[used].tolist()} s: each must be above 0")
    if 1.0 + np.minimum(share, 0.0).sum() < LEAST_GAIN or share.sum() > 1.0 / LEAST_GAIN:
        raise CalibrationError(f"creep shares {share.tolist()}: more creep than load")
    return share[used], time_s[used]


def without_creep(dt_s: Array, crept: Array, share: Array, time_s: Array) -> Array:
    """The recursion of `CreepFilter` with a step of its own at every sample: affine maps, composed by doubling."""
    if not len(share):
        return crept.copy()
    load = np.empty(len(crept))
    lags = np.full(len(share), crept[0] / (1.0 + share.sum()))
    for begin in range(0, len(crept), 4096):  # bounds the memory
        part = slice(begin, begin + 4096)
        keep = np.exp(-dt_s[part, None] / time_s)
        gain = 1.0 + (1.0 - keep) @ share
        out = -share * keep / gain[:, None]
        maps = (1.0 - keep)[:, :, None] * out[:, None, :]
        maps[:, range(len(share)), range(len(share))] += keep
        states = (1.0 - keep) * (crept[part] / gain)[:, None]
        states[0] += maps[0] @ lags
        step = 1
        while step < len(states):
            states[step:] = states[step:] + (maps[step:] @ states[:-step, :, None])[:, :, 0]
            maps[step:] = maps[step:] @ maps[:-step]
            step *= 2
        before = np.concatenate([lags[None], states[:-1]])
        load[part] = crept[part] / gain + (out * before).sum(axis=1)
        lags = states[-1]
    return load


def lags_of(dt_s: Array, load: Array, time_s: Array) -> Array:
    """(n, k) first-order lags of ``load`` (n,), settled at its first value."""
    keep = np.exp(-dt_s[:, None] / time_s)
    lags = (1.0 - keep) * load[:, None]
    lags[0], keep[0] = load[0], 0.0
    step = 1
    while step < len(load):
        lags[step:] += keep[step:] * lags[:-step]
        keep[step:] *= keep[:-step]
        step *= 2
    return lags
