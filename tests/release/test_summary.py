"""The summary: right figures, whatever the batches, and ready for JSON."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.release.hold import HoldEngine, Phase, StopReason
from nexuslink.release.summary import HoldSummary, SummaryBuilder

from .samples import PSOAS, SHORT, Samples, sequences, steady


def summarise(plan, samples: Samples, bounds) -> HoldSummary:
    engine, builder = HoldEngine(plan), SummaryBuilder(plan)
    for a, b in bounds:
        part = samples.cut(a, b)
        engine.update(*part.arrays)
        builder.update(*part.arrays, engine.state)
    return builder.finish(engine.state)


def test_a_good_hold():
    rising = np.concatenate([np.zeros(1000), np.full(1000, 15.0), np.full(2000, 25.0)])
    samples = steady(SHORT, 4, rising)
    summary = summarise(SHORT, samples, [(0, 4000)])
    assert (summary.site, summary.phase, summary.stop_reason) == ("psoas-left", Phase.DONE, None)
    assert (summary.held_s, summary.hold_s, summary.in_band_fraction, summary.duration_s) == (1.0, 1.0, 1.0, 1.0)
    assert summary.peak_force_n == 25.0  # the sample at the very end still counts
    assert summary.mean_force_n == pytest.approx((1000 * 15 + 25) / 1001, abs=1e-6)


def test_what_comes_after_the_end_is_left_out():
    samples = steady(SHORT, 3, 20.0)
    samples.force_n[1500:] = 90.0
    assert summarise(SHORT, samples, [(0, 3000)]).peak_force_n == 20.0
    assert summarise(SHORT, samples, [(0, 1400), (1400, 3000)]).peak_force_n == 20.0


def test_after_the_end_not_even_a_restarted_clock_adds_anything():
    first, second = steady(SHORT, 3, 20.0), steady(SHORT, 0.5, 90.0)
    joined = Samples(*(np.concatenate(pair) for pair in zip(first.arrays, second.arrays, strict=True)))
    assert summarise(SHORT, joined, [(0, 3000), (3000, 3500)]).peak_force_n == 20.0


def test_a_hold_that_never_began():
    engine = HoldEngine(PSOAS)
    engine.stop(5, StopReason.USER)
    record = SummaryBuilder(PSOAS).finish(engine.state).as_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == {
        "site": "psoas-left", "phase": "stopped", "stop_reason": "user", "held_s": 0.0, "hold_s": 60.0,
        "in_band_fraction": 0.0, "peak_force_n": 0.0, "mean_force_n": 0.0, "duration_s": 0.0,
    }  # fmt: skip
    assert type(record["phase"]) is str


@settings(deadline=None)
@given(sequences(resets=False), st.lists(st.integers(0, 400), max_size=20))
def test_batches_do_not_matter_and_the_figures_are_finite(samples, cuts):
    n = len(samples)
    edges = [0, *sorted(cut % (n + 1) for cut in cuts), n]
    whole = summarise(SHORT, samples, [(0, n)])
    cut = summarise(SHORT, samples, pairwise(edges))
    assert repr(whole) == repr(cut)
    json.dumps(whole.as_dict(), allow_nan=False)
    assert math.isfinite(whole.mean_force_n)
    assert whole.mean_force_n <= whole.peak_force_n + 1e-9
