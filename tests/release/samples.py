"""Sample sequences for the tests of this room: built by hand, or by Hypothesis from the values that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from nexuslink.release.hold import HoldEngine, HoldEvent
from nexuslink.release.plans import Plan, load_plan

PSOAS = load_plan("psoas-left")
ILIACUS = load_plan("iliacus-right")
SHORT = replace(PSOAS, hold_s=1.0)  # reaches every end within a test
NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Samples:
    t_us: NDArray[np.int64]
    force_n: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    direction_deg: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.t_us)

    def cut(self, first: int, last: int) -> Samples:
        part = slice(first, last)
        return Samples(self.t_us[part], self.force_n[part], self.angle_deg[part], self.direction_deg[part])

    @property
    def arrays(self):
        return self.t_us, self.force_n, self.angle_deg, self.direction_deg


def of_plan(plan: Plan, t_us, force, angle, direction, *, other=0.0) -> Samples:
    """Samples in which the plan's tip reads the given values, and the other tip ``other`` and an idle angle."""
    t_us = np.asarray(t_us, dtype=np.int64)

    def columns(own, idle):
        both = np.empty((len(t_us), 2))
        both[:, plan.tip], both[:, 1 - plan.tip] = own, idle
        return both

    return Samples(t_us, columns(force, other), columns(angle, 0.0), columns(direction, 0.0))


def steady(plan: Plan, seconds: float, force, start_us: int = 0, *, angle=None, direction=0.0, rate_hz=1000, other=0.0):
    """A constant load; angle in the middle of the plan's range unless said otherwise."""
    t_us = start_us + np.arange(round(seconds * rate_hz), dtype=np.int64) * (1_000_000 // rate_hz)
    middle = (plan.angle_low_deg + plan.angle_high_deg) / 2
    return of_plan(plan, t_us, force, middle if angle is None else angle, direction, other=other)


def feed(engine: HoldEngine, *parts: Samples) -> list[HoldEvent]:
    return [event for part in parts for event in engine.update(*part.arrays)]


def feed_cut(engine: HoldEngine, samples: Samples, cuts: Sequence[int]) -> list[HoldEvent]:
    bounds = [0, *sorted(cut % (len(samples) + 1) for cut in cuts), len(samples)]
    return [event for a, b in pairwise(bounds) for event in engine.update(*samples.cut(a, b).arrays)]


FORCES = (
    0.0,
    1.9,
    2.0,
    2.5,
    3.0,
    8.9,
    9.5,
    10.0,
    22.0,
    35.0,
    35.5,
    36.0,
    79.5,
    80.0,
    109.5,
    110.0,
    300.0,
    -25.0,
    NAN,
    INF,
)
ANGLES = (0.0, 6.0, 7.5, 8.0, 12.0, 20.0, 20.5, 21.5, 90.0, 180.0, -1.0, 200.0, NAN, INF)
DIRECTIONS = (0.0, 59.0, 60.0, 62.0, -62.0, 66.0, -90.0, 180.0, -180.0, 400.0, NAN, -INF)
STEPS_US = (1_000, 4_000, 0, 1, 19_999, 20_000, 100_000, 100_001, 250_000, 6_000_000)
JUMPS_US = (0, 99_000, 100_001, 3_000_000, -3_000, -10_000_000, 130_000_000)

# A sequence of hostile segments ends soon, so most are tame: around the band, at the paces of real tools.
_tame = st.tuples(
    st.integers(1, 40),
    st.sampled_from((0.0, 2.5, 6.0, 9.5, 20.0, 20.0, 34.0, 35.5, 37.0)),
    st.sampled_from((0.0, 0.0, 0.0, 79.5)),
    st.sampled_from((12.0, 12.0, 7.5, 20.5, 21.5)),
    st.sampled_from((0.0, 0.0, 62.0, -90.0)),
    st.sampled_from((1_000, 1_000, 4_000, 20_000)),
    st.just(0),
)
_hostile = st.tuples(
    st.integers(1, 10),
    st.sampled_from(FORCES) | st.floats(0.0, 60.0),
    st.sampled_from((0.0, 0.0, 0.0, 79.5, 80.0, NAN)),
    st.sampled_from(ANGLES),
    st.sampled_from(DIRECTIONS),
    st.sampled_from(STEPS_US),
    st.sampled_from(JUMPS_US),
)


@st.composite
def sequences(draw: st.DrawFn, resets: bool = True) -> Samples:
    """Segments of constant readings, at edges and beyond them, with gaps and (if wanted) a clock that goes back."""
    segments = draw(st.lists(_tame | _tame | _tame | _hostile, min_size=1, max_size=12))
    t, times, rows = draw(st.sampled_from((0, 5_000_000, 2**40))), [], []
    for count, force, other, angle, direction, step, jump in segments:
        t += jump if resets or jump >= 0 else 0
        for _ in range(count):
            times.append(t)
            rows.append((force, angle, direction, other))
            t += step
    force, angle, direction, other = np.array(rows).T
    return of_plan(SHORT, times, force, angle, direction, other=other)
