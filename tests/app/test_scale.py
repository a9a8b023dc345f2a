"""Newtons to the dial."""

import itertools
import math

import pytest

from nexuslink.app.instruments.scale import DIAL_DEG, ForceScale, scale_of
from nexuslink.release.plans import SITES, load_plan


@pytest.fixture(params=SITES)
def scale(request) -> ForceScale:
    return scale_of(load_plan(request.param))


def test_the_middle_of_every_band_is_straight_up(scale):
    assert scale.degrees((scale.low + scale.high) / 2) == pytest.approx(0.0)


def test_limits_stand_at_the_same_places_in_every_plan(scale):
    assert [scale.degrees(force) for force in scale.stations] == pytest.approx(list(DIAL_DEG))


def test_more_force_is_always_further(scale):
    forces = [0.25 * step for step in range(1, int(scale.stop * 4))]
    turns = [scale.degrees(force) for force in forces]
    assert all(b > a for a, b in itertools.pairwise(turns))


def test_ends_are_pinned(scale):
    assert scale.degrees(-5) == DIAL_DEG[0]
    assert scale.degrees(math.nan) == DIAL_DEG[0]
    assert scale.degrees(1e9) == scale.degrees(math.inf) == DIAL_DEG[-1]


def test_paper_grows_with_the_peak(scale):
    calm, hard, worst = (scale.sweep_top(peak) for peak in (scale.high, scale.warn - 1, scale.stop * 2))
    assert scale.high < calm < hard < worst
    assert hard > scale.warn
    assert worst > scale.stop
