"""The tabulated zones against a scalar trigger written the plain way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.release import limits
from nexuslink.release.plans import SITES, load_plan
from nexuslink.release.zones import FORCE_ZONES, AngleZone, Zoning, force_margin_n

from .samples import ANGLES, DIRECTIONS, FORCES, PSOAS

forces = st.lists(st.sampled_from(FORCES) | st.floats(-30, 150), min_size=1, max_size=30)


def walk(scale, values, zone=0):
    cells = scale.edges.searchsorted(np.array(values), "right")
    path = []
    for cell in cells:
        zone = scale.table[zone][cell]
        path.append(zone)
    return path


@given(forces)
def test_force_zones_follow_five_plain_triggers(values):
    plan, margin = PSOAS, force_margin_n(PSOAS)
    edges = (
        (plan.contact_n - margin, plan.contact_n),
        (plan.band_low_n - margin, plan.band_low_n),
        (plan.band_high_n, plan.band_high_n + margin),
        (plan.warn_n - margin, plan.warn_n),
        (plan.stop_n - margin, plan.stop_n),
    )
    above, expected = [False] * 5, []
    for value in values:
        if value >= limits.PLAUSIBLE_FORCE_MIN_N:  # not so for NaN
            above = [value >= on or (was and value >= off) for was, (off, on) in zip(above, edges, strict=True)]
        expected.append(sum(above))
    assert walk(Zoning(plan).force, values) == expected


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(DIRECTIONS) | st.floats(-180, 180), max_size=20), st.floats(-180, 180), st.floats(10, 180)
)
def test_directions_are_judged_on_a_circle(values, target, half_width):
    plan = replace(PSOAS, direction_deg=target, direction_half_width_deg=half_width)
    inside, path = False, walk(Zoning(plan).direction, values)
    for value, zone in zip(values, path, strict=True):
        if -180 <= value <= 180:
            off = abs(math.remainder(value - target, 360))
            margin = limits.DIRECTION_HYSTERESIS_DEG
            if min(abs(off - half_width), abs(off - half_width - margin)) < 1e-9:
                return  # exactly on an edge rounding decides
            inside = off <= half_width or (inside and off <= half_width + margin)
        assert bool(zone) == inside


@given(st.lists(st.sampled_from(ANGLES) | st.floats(0, 60), max_size=20))
def test_angles_carry_two_memories(values):
    path = walk(Zoning(PSOAS).angle, values)
    over = known = reached = False
    for value, zone in zip(values, path, strict=True):
        if 0 <= value <= 180:
            over = value >= 21 or (over and value >= 20)
            known = value >= 8 or (known and value >= 7)
            reached = True
        assert (zone >= 3) == known
        assert zone % 3 == reached + over


@pytest.mark.parametrize("site", SITES)
def test_edges_rise_and_every_table_is_whole(site):
    zoning = Zoning(load_plan(site))
    for scale, zones in ((zoning.force, 6), (zoning.other, 2), (zoning.angle, 6), (zoning.direction, 2)):
        assert np.all(np.diff(scale.edges[:-1]) > 0)
        assert math.isnan(scale.edges[-1])
        assert len(scale.table) == zones
        for row in scale.table:
            assert len(row) == len(scale.valid) == len(scale.edges) + 1
            assert all(0 <= zone < zones for zone in row)
        assert not scale.valid[0]
        assert not scale.valid[-1]


def test_the_margin_fits_between_the_narrowest_edges_a_plan_may_have():
    plan = replace(PSOAS, contact_n=0.5, band_low_n=1.0, band_high_n=1.5, warn_n=2.0, stop_n=2.5)
    zoning = Zoning(plan)
    assert 0 < force_margin_n(plan) < 0.1
    assert walk(zoning.force, [0.0, 0.7, 1.2, 1.7, 2.2, 2.7]) == [0, 1, 2, 3, 4, 5]
    assert len(FORCE_ZONES) == 6


def test_changes_sees_every_channel():
    zoning = Zoning(PSOAS)
    base = [np.full((3, 2), value) for value in (20.0, 12.0, 0.0)]
    assert not zoning.changes(zoning.cells(*base)).any()
    for channel, column in ((0, 0), (0, 1), (1, 0), (2, 0)):
        other = [array.copy() for array in base]
        other[channel][1, column] = 170.0
        assert zoning.changes(zoning.cells(*other)).tolist() == [True, True]


def test_an_unknown_angle_is_unknown_before_anything_else():
    zoning = Zoning(PSOAS)
    force, angle, direction = zoning.cells(*(np.array([[v, 0.0]]) for v in (20.0, math.nan, 170.0)))
    assert zoning.lean(4, int(angle[0]), 0, int(direction[0])) is AngleZone.UNKNOWN
    assert force.shape == (1, 2)
