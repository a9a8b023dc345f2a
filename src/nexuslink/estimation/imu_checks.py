"""What may be wrong with an inertial unit, from a few numbers now and then: rate, stuck channels, disagreement.

Each check is told one step (`STEP_S` of samples) at a time, in plain floats, and answers whether it is in doubt. None
of them ever decides about an estimate, and none knows a clock: the times are the tool's own.
"""

from __future__ import annotations

import math
from typing import Final

STEP_S: Final = 0.1
"""How often the checks and the uncertainty are brought up to date."""

RATE_OFF: Final = 0.02
_RATE_WINDOW_S: Final = 1.0


class RateCheck:
    """Do the samples' times fit the rate that the tool names?"""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._samples = self._us = 0
        self._apart_samples = self._apart_us = 0
        self.doubted = False

    def add(self, samples: int, microseconds: int, apart: bool = False) -> None:
        """So many samples took so long by their times. ``apart``: as if others were missing between them."""
        if apart:
            self._apart_samples += samples
            self._apart_us += microseconds
        else:
            self._samples += samples
            self._us += microseconds
        count, took_us = self._samples, self._us
        if self._apart_samples > count:  # the rule, not the exception: it is the rate that is wrong
            count, took_us = count + self._apart_samples, took_us + self._apart_us
        named_s, said_s = count / self._rate_hz, took_us * 1e-6
        if (named_s if named_s > said_s else said_s) >= _RATE_WINDOW_S and count > 2:
            self.doubted = not abs(said_s - named_s) <= RATE_OFF * named_s
            self._samples = self._us = self._apart_samples = self._apart_us = 0


STUCK_S: Final = 2.0
_MOVES_COUNTS: Final = 16
"""Another channel of the same sensor spans this much: not a quiet sensor with coarse counts [assumption]."""


class StuckCheck:
    """Does one channel read the same all the time, while another of its sensor moves?"""

    def __init__(self) -> None:
        self._steps = 0
        self._low: list[int] = []
        self._high: list[int] = []
        self._stuck: tuple[int, ...] = ()

    @property
    def doubted(self) -> bool:
        """A channel stands still."""
        return bool(self._stuck)

    def step(self, row: list[int]) -> None:
        """``row``: the six counts of this step's last sample."""
        if not self._steps:
            self._low, self._high = list(row), list(row)
        else:
            for channel, count in enumerate(row):
                if count < self._low[channel]:
                    self._low[channel] = count
                elif count > self._high[channel]:
                    self._high[channel] = count
        self._steps += 1
        if self._steps * STEP_S > STUCK_S:
            spans = [high - low for low, high in zip(self._low, self._high, strict=True)]
            self._stuck = tuple(
                channel
                for channel, span in enumerate(spans)
                if span == 0 and max(spans[channel // 3 * 3 : channel // 3 * 3 + 3]) >= _MOVES_COUNTS
            )
            self._steps = 0


_AGREE_LOW_PASS_S: Final = 0.5
"""Movement's own acceleration mostly goes to and fro faster than this."""
_AGREE_MEMORY_S: Final = 20.0
_AGREE_LEAST: Final = math.radians(10.0)
"""Nothing is said before the direction has changed as it does in one swing of this size and half a second."""
_AGREE_SLOPE: Final = 0.25
"""The accelerometer's share of what the gyroscope says may be off from 1 by this [assumption]..."""
_AGREE_DEVIATIONS: Final = 4.0
"""...and by so many of its standard deviations."""


class AgreementCheck:
    """Does gravity, seen by the accelerometer, turn as the gyroscope says?

    Both directions' changes since the last step go through the same low pass; the slope of the one on the other is 1.
    Swapped axes, a wrong sign and a wrong scale move it; movement's own acceleration only spreads it.
    """

    def __init__(self) -> None:
        self._before: tuple[float, ...] | None = None
        self._low = [0.0] * 6
        self._said = self._both = self._seen = 0.0
        self.doubted = False

    def step(self, up: tuple[float, float, float], seen: tuple[float, float, float]) -> None:
        """``up``: by the filter, which within a step is the gyroscope; ``seen``: accelerometer over gravity."""
        now = (*up, *seen)
        before, self._before = self._before, now
        if before is None:
            return
        share = STEP_S / _AGREE_LOW_PASS_S
        low = self._low = [kept + share * (a - b - kept) for kept, a, b in zip(self._low, now, before, strict=True)]
        keep = 1.0 - STEP_S / _AGREE_MEMORY_S
        self._said = self._said * keep + low[0] * low[0] + low[1] * low[1] + low[2] * low[2]
        self._both = self._both * keep + low[0] * low[3] + low[1] * low[4] + low[2] * low[5]
        self._seen = self._seen * keep + low[3] * low[3] + low[4] * low[4] + low[5] * low[5]
        if self._said < _AGREE_LEAST**2 / 25.0:
            self.doubted = False
            return
        slope = self._both / self._said
        rest = max(self._seen - slope * self._both, 0.0)
        independent = _AGREE_MEMORY_S / (2.0 * _AGREE_LOW_PASS_S)
        deviation = math.sqrt(rest / self._said / independent)
        self.doubted = abs(slope - 1.0) > _AGREE_SLOPE + _AGREE_DEVIATIONS * deviation
