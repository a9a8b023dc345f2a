"""The grammar of what a fault's name may be set to. One row of `table` says which of these forms a fault takes.

    probability   0.01   1e-4
    span          20ms   20ms..80ms          us, ms, s, min, h; a plain number is milliseconds
    count         7      1..7
    when          @10s   once, 10 s after the tool was switched on
                  /30s   every 30 s
                  ~30s   at random, 30 s apart on average
    planned       a span or a count, then when: 2s@10s   0.5s..2s~30s   100/1min

A range ``a..b`` is drawn from evenly, anew each time. Every parser raises ``ValueError`` for what it cannot use.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000}
NO_UNIT_NS = UNITS_NS["ms"]
LONGEST_NS = 24 * UNITS_NS["h"]
"""Latest time and longest period."""
SHORTEST_PERIOD_NS = UNITS_NS["ms"]


class Rhythm(StrEnum):
    """How something comes again."""

    ONCE = "@"
    EVERY = "/"
    ABOUT = "~"


@dataclass(frozen=True, slots=True)
class Between:
    """A whole number, or one drawn from a range, ends included."""

    low: int
    high: int

    def pick(self, rng: random.Random) -> int:
        """The number for this time."""
        return self.low if self.low == self.high else rng.randint(self.low, self.high)


@dataclass(frozen=True, slots=True)
class When:
    """Moments, nanoseconds since the tool was switched on."""

    rhythm: Rhythm
    time_ns: int

    def after(self, t_ns: int, rng: random.Random) -> int | None:
        """The next moment after ``t_ns``, itself such a moment (or 0 before the first); None: no more."""
        if self.rhythm is Rhythm.ONCE:
            return self.time_ns if not t_ns else None
        if self.rhythm is Rhythm.EVERY:
            return t_ns + self.time_ns
        return t_ns + max(SHORTEST_PERIOD_NS, round(rng.expovariate(1.0 / self.time_ns)))


@dataclass(frozen=True, slots=True)
class Planned:
    """How much, and when; ``value`` is absent where nothing is to be said but when, ``when`` where it always holds."""

    value: Between | None
    when: When | None


def probability(text: str) -> float:
    """0 to 1."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError(text)
    return value


def duration_ns(text: str) -> int:
    """A time with its unit, which may be negative."""
    matched = re.fullmatch(r"([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)(us|ms|s|min|h)?", text)
    if matched is None:
        raise ValueError(text)
    value = float(matched[1]) * (UNITS_NS[matched[2]] if matched[2] else NO_UNIT_NS)
    if not math.isfinite(value) or abs(value) > LONGEST_NS:
        raise ValueError(text)
    return round(value)


def span(low_ns: int, high_ns: int) -> Callable[[str], Between]:
    """A time, or a range of times, within these limits."""
    return _range(duration_ns, low_ns, high_ns)


def count(low: int, high: int) -> Callable[[str], Between]:
    """A whole number, or a range of them, within these limits."""
    return _range(int, low, high)


def _range(one: Callable[[str], int], least: int, most: int) -> Callable[[str], Between]:
    def parse(text: str) -> Between:
        low, dots, high = text.partition("..")
        between = Between(one(low), one(high if dots else low))
        if not least <= between.low <= between.high <= most:
            raise ValueError(text)
        return between

    return parse


def when(text: str) -> When:
    """``@time``, ``/period`` or ``~period``."""
    if not text or text[0] not in list(Rhythm):
        raise ValueError(text)
    rhythm, time_ns = Rhythm(text[0]), duration_ns(text[1:])
    if time_ns < (0 if rhythm is Rhythm.ONCE else SHORTEST_PERIOD_NS):
        raise ValueError(text)
    # Moments are after 0, where everything begins; so "@0" is the first of them.
    return When(rhythm, max(1, time_ns))


def planned(value: Callable[[str], Between] | None, always: bool = False) -> Callable[[str], Planned]:
    """``value`` (None: there is none), then when; ``always``: without a when it holds from the beginning."""

    def parse(text: str) -> Planned:
        at = re.search("[@/~]", text)
        if at is None and not always:
            raise ValueError(text)
        much, moments = (text[: at.start()], text[at.start() :]) if at else (text, "")
        if value is None and much:
            raise ValueError(text)
        return Planned(value(much) if value else None, when(moments) if moments else None)

    return parse
