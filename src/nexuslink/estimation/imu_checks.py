"""What may be wrong with an inertial unit, from a few numbers now and then: rate, stuck channels, disagreement.

Each check is told one step (`STEP_S` of samples) at a time, in plain floats, and answers whether it is in doubt. None
of them ever decides about an estimate, and none knows a clock: the times are the tool's own.
"""

from __future__ import annotations

import math
from typing import Final

Vector = tuple[float, float, float]

STEP_S: Final = 0.1
"""How often the two sensors are compared. Every other step it is said what came of it, of both comparisons, of stuck
channels and of the uncertainty: an answer that needs seconds of movement anyway is at most this much later for it."""

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
        self._rows: list[list[int]] = []
        self._stuck: tuple[int, ...] = ()

    @property
    def doubted(self) -> bool:
        """A channel stands still."""
        return bool(self._stuck)

    def step(self, row: list[int]) -> None:
        """``row``: the six counts of this step's last sample."""
        self._rows.append(row)
        if len(self._rows) * 2.0 * STEP_S > STUCK_S:
            spans = [max(counts) - min(counts) for counts in zip(*self._rows, strict=True)]
            self._stuck = tuple(
                channel
                for channel, span in enumerate(spans)
                if span == 0 and max(spans[channel // 3 * 3 : channel // 3 * 3 + 3]) >= _MOVES_COUNTS
            )
            self._rows = []


_AGREE_LOW_PASS_S: Final = 1.0
"""Movement's own acceleration mostly goes to and fro faster than this."""
_AGREE_MEMORY_S: Final = 20.0
_AGREE_LEAST_RAD_S: Final = math.radians(2.0)
"""Nothing is said before the gyroscope has turned the (low-passed) direction at this rate, RMS over the memory..."""
_AGREE_SEEN_RAD_S: Final = math.radians(4.0)
"""...or the accelerometer at this one..."""
_AGREE_DEAD: Final = 0.03
"""...and the gyroscope at less than this share of it: no hand moves a tool so far without turning it [assumption]."""
_AGREE_LENGTH: Final = 0.1
"""The mean of what the accelerometer feels may be off from gravity by this share, and by its standard deviation
[assumption]."""
_AGREE_FASTEST: Final = math.radians(100.0)
_AGREE_SLOPE: Final = 0.25
"""The accelerometer's share of what the gyroscope says may be off from 1 by this [assumption]..."""
_AGREE_DEVIATIONS: Final = 4.0
"""...and by so many of its standard deviations."""
_AGREE_STEPS: Final = 10
"""So many steps in a row."""
_LEAK: Final = STEP_S / _AGREE_LOW_PASS_S
_KEEP: Final = 1.0 - STEP_S / _AGREE_MEMORY_S
_LEAST_2: Final = _AGREE_MEMORY_S / STEP_S * _AGREE_LEAST_RAD_S**2
_SEEN_2: Final = _AGREE_MEMORY_S / STEP_S * _AGREE_SEEN_RAD_S**2
_ALIVE: Final = _AGREE_DEAD**-2


class AgreementCheck:
    """Does gravity, seen by the accelerometer, turn as the gyroscope says?

    Both say how the direction has changed since the last step, and both go through the same low pass; the slope of
    what is seen on what is said is 1. Swapped axes, a wrong sign and a wrong scale move it; movement's own
    acceleration only spreads it.
    """

    def __init__(self) -> None:
        self._rate: Vector | None = None
        """Of the step before; ``None``: there was none, or it was so fast that two samples do not tell the turn."""
        self._felt: Vector = (0.0, 0.0, 0.0)
        self._low = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self._count = self._said = self._both = self._seen = 0.0
        self._off = self._off_2 = 0.0
        self._row = 0
        self.doubted = False

    def step(self, rate: Vector, felt: Vector) -> None:
        """``rate``: rad/s; ``felt``: accelerometer over gravity; of this step's last sample.

        Runs ten times a second, each time out of a cold cache: every operation counts.
        """
        before, (ax, ay, az) = self._rate, self._felt
        bx, by, bz = rate
        self._felt, most = felt, _AGREE_FASTEST
        if not (-most < bx < most and -most < by < most and -most < bz < most):
            self._rate = None
            return
        self._rate = rate
        if before is None:
            return
        wx, wy, wz = before
        wx, wy, wz = wx + bx, wy + by, wz + bz
        bx, by, bz = felt
        x, y, z = ax + bx, ay + by, az + bz
        px, py, pz, qx, qy, qz = self._low
        px += _LEAK * (0.25 * (y * wz - z * wy) - px)  # up as the tool sees it turns by felt x rate
        py += _LEAK * (0.25 * (z * wx - x * wz) - py)
        pz += _LEAK * (0.25 * (x * wy - y * wx) - pz)
        qx += _LEAK * ((bx - ax) / STEP_S - qx)
        qy += _LEAK * ((by - ay) / STEP_S - qy)
        qz += _LEAK * ((bz - az) / STEP_S - qz)
        self._low = px, py, pz, qx, qy, qz
        self._count = self._count * _KEEP + 1.0
        off = 0.5 * math.sqrt(x * x + y * y + z * z) - 1.0
        self._off += (1.0 - _KEEP) * (off - self._off)
        self._off_2 += (1.0 - _KEEP) * (off * off - self._off_2)
        self._said = said = self._said * _KEEP + px * px + py * py + pz * pz
        self._both = self._both * _KEEP + px * qx + py * qy + pz * qz
        self._seen = seen = self._seen * _KEEP + qx * qx + qy * qy + qz * qz
        if said < _LEAST_2 and seen < _SEEN_2 and -_AGREE_LENGTH < self._off < _AGREE_LENGTH:
            self._row, self.doubted = 0, False  # still, and as heavy as gravity: nothing can disagree
            return
        self._row = self._row + 1 if self._disagree() else 0
        self.doubted = self._row >= _AGREE_STEPS

    def _disagree(self) -> bool:
        if abs(self._off) > _AGREE_LENGTH + math.sqrt(max(self._off_2 - self._off**2, 0.0)):
            return True
        if self._seen > max(_SEEN_2, _ALIVE * self._said):
            return True
        if self._said < _LEAST_2:
            return False
        slope = self._both / self._said
        rest = max(self._seen - slope * self._both, 0.0)
        independent = self._count * STEP_S / _AGREE_LOW_PASS_S
        deviation = math.sqrt(rest / self._said / independent)
        return abs(slope - 1.0) > _AGREE_SLOPE + _AGREE_DEVIATIONS * deviation
