"""Follows the zero of the load cells while nothing touches the tips, slowly, and never otherwise.

A cell's zero wanders with temperature and time. It may be followed only where the tool is *surely* unloaded: since a
tare both forces have been near zero for some seconds and quieter than a living hand or body can be, that is, at the
sensor's own noise. A light contact breathes and trembles; the empty cell does not. What is followed is bounded per
minute and in all, so that even a mistake stays small, and it is counted.

Plain floats, a few operations a batch. It must never know counts, angles or a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

NEAR_N: Final = 0.2
"""A zero that is followed does not get this far off [assumption]."""
WINDOW_S: Final = 3.0
LEAST_READINGS: Final = 20
"""In a window, or its spread says nothing."""
QUIET: Final = 1.5
"""A window is quiet while its spread is below this many times the sensor's noise."""
SHARE: Final = 0.5
"""Of what a window shows, this much is taken off."""
MOST_N_PER_MINUTE: Final = 0.1
MOST_N: Final = 0.5
"""In all, since the tare; beyond it the person should be asked for a new one."""


class ZeroTracker:
    """One tool since its latest tare."""

    def __init__(self, noise_n: float, settled: Callable[[], bool]) -> None:
        """``noise_n``: RMS of one sample. ``settled``: asked before the zero is moved, whether creep is over."""
        self._settled = settled
        self._limit_2 = (QUIET * noise_n) ** 2
        self.shifts = 0
        """How often the zero was moved."""
        self._total = [0.0, 0.0]
        self._begin()

    def restart(self) -> None:
        """A new tare was taken."""
        self._total = [0.0, 0.0]
        self._begin()

    def _begin(self) -> None:
        self._since_us: int | None = None
        self._count = 0
        self._sums = [0.0, 0.0]
        self._squares = [0.0, 0.0]

    def watch(self, t_us: int, first_n: float, second_n: float) -> tuple[float, float] | None:
        """One reading of both tips -> newtons to take off, or ``None``, nearly always."""
        if not (-NEAR_N < first_n < NEAR_N and -NEAR_N < second_n < NEAR_N):
            if self._count:
                self._begin()
            return None
        if self._since_us is None or t_us < self._since_us:
            self._begin()
            self._since_us = t_us
        self._count += 1
        sums, squares = self._sums, self._squares
        sums[0] += first_n
        sums[1] += second_n
        squares[0] += first_n * first_n
        squares[1] += second_n * second_n
        seconds = (t_us - self._since_us) * 1e-6
        if seconds < WINDOW_S:
            return None
        count, means = self._count, [s / self._count for s in sums]
        spreads_2 = [q / count - m * m for q, m in zip(squares, means, strict=True)]
        self._begin()
        if count < LEAST_READINGS or seconds > 2 * WINDOW_S or max(spreads_2) > self._limit_2:
            return None
        most = MOST_N_PER_MINUTE * WINDOW_S / 60.0
        shift = [math.copysign(min(SHARE * abs(m), most), m) for m in means]
        total = [a + b for a, b in zip(self._total, shift, strict=True)]
        if max(abs(t) for t in total) > MOST_N or not self._settled():
            return None
        self._total = total
        self.shifts += 1
        return shift[0], shift[1]
