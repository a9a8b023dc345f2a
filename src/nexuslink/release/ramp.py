"""How fast the force is being laid on, judged on samples picked at a fixed pace of device time.

Which samples are picked depends on their times alone, so the verdict does not depend on batches. This module must
never know a phase: the hold engine says when the verdict matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nexuslink.release import limits
from nexuslink.release.zones import Floats


class RampWatch:
    """Compares every picked sample with the one two picks before."""

    def __init__(self, limit_n_per_s: float) -> None:
        self.too_fast = False
        self._limit = limit_n_per_s
        self._picks: tuple[tuple[int, float], ...] = ()
        self._next_us: int | None = None

    def forget(self) -> None:
        """What came before can no longer be compared with: time was lost or has begun anew."""
        self.too_fast, self._picks, self._next_us = False, (), None

    def follow(self, t_us: NDArray[np.int64], force_n: Floats, tip: int, first: int, last: int) -> None:
        """Take the samples ``first`` to ``last`` of a batch, (n,) and (n, 2), times in order and without a gap."""
        if self._next_us is not None and t_us.item(last) < self._next_us:
            return
        at = first
        while at <= last:
            t = t_us.item(at)
            if self._next_us is None or t >= self._next_us:
                self._pick(t, force_n.item(at, tip))
                self._next_us = t + limits.RAMP_PICK_US
            at += int(t_us[at : last + 1].searchsorted(self._next_us))

    def _pick(self, t: int, force_n: float) -> None:
        if self._picks:
            t_before, force_before = self._picks[0]
            rate = (force_n - force_before) * 1e6 / (t - t_before)
            self.too_fast = rate > self._limit * (1.0 - limits.RAMP_HYSTERESIS_SHARE * self.too_fast)
        self._picks = (*self._picks[-1:], (t, force_n))
