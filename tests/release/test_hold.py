"""The hold engine: its table, its timers at exact device times, and what must never happen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nexuslink.release import limits
from nexuslink.release.hold import ENDED, TRANSITIONS, HoldEngine, Input, Phase, Since, StopReason, timers
from nexuslink.release.zones import AngleZone, ForceZone

from .samples import ILIACUS, INF, NAN, PSOAS, SHORT, Samples, feed, feed_cut, of_plan, sequences, steady

SAMPLE_INPUTS = (Input.UNLOADED, Input.LOADED, Input.HELD, Input.BLIND)
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# The table


def test_every_phase_answers_every_input():
    assert set(TRANSITIONS) == set(Phase)
    for row in TRANSITIONS.values():
        assert set(row) == set(Input)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("given_input", SAMPLE_INPUTS)
def test_a_repeated_sample_changes_nothing(phase, given_input):
    """What lets a run of equal samples be stepped once."""
    once = TRANSITIONS[phase][given_input]
    assert TRANSITIONS[once][given_input] is once


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("given_input", SAMPLE_INPUTS)
def test_a_timer_never_leads_to_where_the_lasting_input_leads_away(phase, given_input):
    """What lets a timer fire inside a run without asking the sample again."""
    if TRANSITIONS[phase][given_input] is phase:
        for timer in timers(1):
            if phase in timer.phases and not (timer.since is Since.TOUCHING and given_input is Input.UNLOADED):
                after = TRANSITIONS[phase][timer.gives]
                assert TRANSITIONS[after][given_input] is after


def test_the_ends_are_final_and_only_a_complete_hold_is_done():
    for end in ENDED:
        assert set(TRANSITIONS[end].values()) == {end}
    into_done = {(p, i) for p, row in TRANSITIONS.items() for i, q in row.items() if q is Phase.DONE and p is not q}
    assert into_done == {(Phase.IN_BAND, Input.COMPLETE)}
    assert {i for p, row in TRANSITIONS.items() for i, q in row.items() if q is Phase.IN_BAND and p is not q} == {
        Input.HELD
    }


# A hold as it should go


def test_a_good_hold_goes_through_its_phases_and_counts_to_the_microsecond():
    engine = HoldEngine(PSOAS)
    parts = steady(PSOAS, 2, 0.0), steady(PSOAS, 3, 6.0, 2_000_000), steady(PSOAS, 70, 20.0, 5_000_000)
    events = feed(engine, *parts)
    assert [(e.t_us, e.phase_to) for e in events] == [
        (2_000_000, Phase.CONTACT),
        (2_250_000, Phase.RAMP),
        (5_000_000, Phase.IN_BAND),
        (65_000_000, Phase.DONE),
    ]
    state = engine.state
    assert engine.ended
    assert (state.phase, state.t_us, state.held_s, state.hold_s) == (Phase.DONE, 65_000_000, 60.0, 60.0)
    assert (state.in_band_fraction, state.contact_at_us) == (1.0, 2_000_000)
    assert state.stop_reason is state.stopped_at_us is None


def test_done_falls_between_two_samples_at_its_exact_time():
    plan = replace(PSOAS, hold_s=1.0005)
    engine = HoldEngine(plan)
    events = feed(engine, steady(plan, 2, 20.0))
    assert events[-1].t_us == 1_000_500
    assert engine.state.held_s == 1.0005


def test_time_out_of_band_is_not_held_and_lowers_the_fraction():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 3, 20.0), steady(PSOAS, 1, 40.0, 3_000_000))
    state = engine.state
    assert (state.phase, state.force_zone, state.held_s) == (Phase.OUT_OF_BAND, ForceZone.HIGH, 3.0)
    assert state.in_band_fraction == pytest.approx(3.0 / 3.999)


def test_the_fraction_counts_from_the_first_time_in_band():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 1, 20.0), steady(PSOAS, 2, 40.0, 1_000_000), steady(PSOAS, 1.001, 20.0, 3_000_000))
    assert engine.state.in_band_fraction == 0.5


@pytest.mark.parametrize(
    ("angle", "direction", "zone"),
    [
        (30.0, 0.0, AngleZone.HIGH),
        (15.0, 100.0, AngleZone.DIRECTION),
        (15.0, -100.0, AngleZone.DIRECTION),
        (15.0, 180.0, AngleZone.DIRECTION),
        (NAN, 0.0, AngleZone.UNKNOWN),
        (15.0, NAN, AngleZone.UNKNOWN),
        (INF, 0.0, AngleZone.UNKNOWN),
    ],
)
def test_the_right_force_at_a_wrong_angle_counts_nothing(angle, direction, zone):
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 5, 20.0, angle=angle, direction=direction))
    assert (engine.state.held_s, engine.state.angle_zone, engine.state.phase) == (0.0, zone, Phase.RAMP)
    control = HoldEngine(PSOAS)
    feed(control, steady(PSOAS, 5, 20.0, angle=15.0, direction=0.0))
    assert control.state.held_s == pytest.approx(4.999)


def test_near_upright_the_direction_does_not_matter_and_need_not_be_known():
    for direction in (0.0, 150.0, NAN):
        engine = HoldEngine(PSOAS)
        feed(engine, steady(PSOAS, 1, 20.0, angle=5.0, direction=direction))
        assert engine.state.angle_zone is AngleZone.IN


def test_a_too_upright_iliacus_tip_is_named():
    engine = HoldEngine(ILIACUS)
    feed(engine, steady(ILIACUS, 1, 10.0, angle=15.0))
    assert engine.state.angle_zone is AngleZone.LOW


def test_a_bump_is_not_a_contact():
    engine = HoldEngine(PSOAS)
    events = feed(engine, steady(PSOAS, 0.2, 5.0), steady(PSOAS, 10, 0.0, 200_000))
    assert [e.phase_to for e in events] == [Phase.CONTACT, Phase.WAITING]
    assert engine.state.contact_at_us is None


def test_noise_at_an_edge_does_not_flicker():
    rng = np.random.default_rng(1)
    engine = HoldEngine(PSOAS)
    t = np.arange(20_000) * 1000
    force = 10.0 + rng.uniform(-0.45, 0.45, len(t))
    events = feed(engine, of_plan(PSOAS, t, force, 10.0, 0.0))
    assert len(events) <= 2
    crossings = np.count_nonzero(np.diff(force >= 10.0))
    assert crossings > 1000  # the control: without a margin it would


# Stops


@pytest.mark.parametrize("tip", [0, 1])
@pytest.mark.parametrize("plan", [PSOAS, ILIACUS])
def test_sustained_over_force_on_either_tip_stops_after_20_ms(plan, tip):
    force = np.zeros((1000, 2))
    stop = min(plan.stop_n, limits.BUILT_IN_STOP_N[tip])
    force[300:, tip] = stop
    still = np.zeros_like(force)
    engine = HoldEngine(plan)
    engine.update(np.arange(1000, dtype=np.int64) * 1000, force, still, still)
    state = engine.state
    assert (state.phase, state.stop_reason, state.stopped_at_us) == (Phase.STOPPED, StopReason.OVER_FORCE, 320_000)
    assert state.force_zone is ForceZone.STOP
    control = HoldEngine(plan)
    control.update(np.arange(1000, dtype=np.int64) * 1000, force * 0.99, still, still)
    assert not control.ended


@pytest.mark.parametrize("peak", [110.0, 500.0, INF])
@pytest.mark.parametrize("rate_hz", [25, 250, 1000])
def test_a_spike_of_one_sample_never_stops(peak, rate_hz):
    samples = steady(PSOAS, 2, 20.0, rate_hz=rate_hz)
    samples.force_n[rate_hz, PSOAS.tip] = peak
    engine = HoldEngine(PSOAS)
    feed(engine, samples)
    assert not engine.ended
    samples.force_n[rate_hz : rate_hz + 1 + max(1, rate_hz // 50), PSOAS.tip] = peak  # the control
    control = HoldEngine(PSOAS)
    feed(control, samples)
    assert control.state.stop_reason is StopReason.OVER_FORCE


def test_a_lost_reading_does_not_clear_an_over_force():
    samples = steady(PSOAS, 1, 120.0)
    samples.force_n[1::2, PSOAS.tip] = NAN
    engine = HoldEngine(PSOAS)
    feed(engine, samples)
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.OVER_FORCE, 20_000)


@pytest.mark.parametrize("broken", [NAN, -50.0, -INF])
@pytest.mark.parametrize("tip", [0, 1])
def test_no_believable_force_for_a_quarter_second_stops(broken, tip):
    samples = steady(PSOAS, 3, 20.0)
    samples.force_n[1000:, tip] = broken
    engine = HoldEngine(PSOAS)
    feed(engine, samples)
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.SENSOR, 1_250_000)
    assert engine.state.held_s == 1.0
    samples.force_n[1249:, tip] = 20.0 if tip == PSOAS.tip else 0.0  # the control: back in time
    control = HoldEngine(PSOAS)
    feed(control, samples)
    assert not control.ended


def test_letting_go_for_five_seconds_ends_the_hold():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 2, 20.0), steady(PSOAS, 10, 0.5, 2_000_000))
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.RELEASED, 7_000_000)
    control = HoldEngine(PSOAS)
    feed(control, steady(PSOAS, 2, 20.0), steady(PSOAS, 4.9, 0.5, 2_000_000), steady(PSOAS, 2, 20.0, 6_900_000))
    assert control.state.phase is Phase.IN_BAND


def test_nobody_for_two_minutes_ends_the_wait():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 130, 0.0, start_us=5_000_000, rate_hz=100))
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.NO_CONTACT, 125_000_000)
    assert engine.state.contact_at_us is None


def test_a_bump_does_not_prolong_the_wait():
    engine = HoldEngine(PSOAS)
    parts = steady(PSOAS, 119.9, 0.0, rate_hz=100), steady(PSOAS, 0.2, 5.0, 119_900_000)
    feed(engine, *parts, steady(PSOAS, 0.001, 0.0, 120_100_000))  # at its very first sample
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.NO_CONTACT, 120_100_000)


def test_of_two_stops_at_the_same_moment_the_over_force_is_named():
    engine = HoldEngine(SHORT)
    feed(engine, steady(SHORT, 4.98, 50.0), steady(SHORT, 1, 150.0, 4_980_000))
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.OVER_FORCE, 5_000_000)


def test_while_the_other_tip_is_over_its_stop_nothing_is_held():
    engine, samples = HoldEngine(PSOAS), steady(PSOAS, 1.001, 20.0)
    samples.force_n[500:510, 1 - PSOAS.tip] = 90.0
    feed(engine, samples)
    assert (engine.state.phase, engine.state.held_s) == (Phase.IN_BAND, 0.99)


def test_five_times_the_hold_is_enough():
    engine = HoldEngine(SHORT)
    feed(engine, steady(SHORT, 1, 0.0), steady(SHORT, 20, 50.0, 1_000_000))
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.TIMEOUT, 6_000_000)


def test_a_stop_from_outside_is_final_and_never_before_the_newest_sample():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 2, 20.0))
    (event,) = engine.stop(5, StopReason.USER)
    assert (event.t_us, event.phase_from, event.phase_to, event.reason) == (
        1_999_000, Phase.IN_BAND, Phase.STOPPED, StopReason.USER,
    )  # fmt: skip
    frozen = engine.state
    assert engine.stop(9_000_000, StopReason.LINK_LOST) == ()
    assert engine.update(*steady(PSOAS, 2, 500.0, 2_000_000).arrays) == ()
    assert engine.state == frozen
    untouched = HoldEngine(PSOAS)
    assert untouched.stop(7, StopReason.LINK_LOST)[0].t_us == untouched.state.t_us == 7


# Loss, and a clock that begins anew


@pytest.mark.parametrize(("gap_us", "held_s"), [(100_000, 2.1), (100_001, 2.0), (30_000_000, 2.0)])
def test_what_is_lost_is_never_held(gap_us, held_s):
    engine = HoldEngine(PSOAS)
    first = steady(PSOAS, 1.001, 20.0)
    second = steady(PSOAS, 1.001, 20.0, int(first.t_us[-1]) + gap_us)
    joined = Samples(*(np.concatenate(pair) for pair in zip(first.arrays, second.arrays, strict=True)))
    feed(engine, joined)
    assert engine.state.held_s == held_s


def test_a_hold_is_not_completed_within_a_gap_but_a_timeout_is_reached():
    engine = HoldEngine(SHORT)
    feed(engine, steady(SHORT, 0.9, 20.0), steady(SHORT, 0.05, 20.0, 3_000_000))
    assert engine.state.phase is Phase.IN_BAND
    feed(engine, steady(SHORT, 0.05, 20.0, 8_000_000))
    assert (engine.state.stop_reason, engine.state.stopped_at_us) == (StopReason.TIMEOUT, 5_000_000)


def test_a_restarted_clock_neither_raises_nor_credits_and_the_hold_goes_on():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 10, 20.0, 50_000_000), steady(PSOAS, 5, 20.0, 0))
    state = engine.state
    assert (state.phase, state.t_us) == (Phase.IN_BAND, 4_999_000)
    assert state.held_s == pytest.approx(9.999 + 4.999)
    assert state.in_band_fraction == 1.0
    assert state.t_us - state.contact_at_us == 9_999_000 + 4_999_000
    events = feed(engine, steady(PSOAS, 60, 20.0, 5_000_000))
    assert events[-1].phase_to is Phase.DONE


def test_a_step_back_within_a_small_batch_is_seen():
    samples = steady(PSOAS, 0.08, 20.0)
    samples.t_us[40:] -= 20_000  # the last is still later than the first
    engine = HoldEngine(PSOAS)
    feed(engine, samples)
    assert engine.state.held_s == 0.078


def test_timers_survive_a_restarted_clock():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 1, 20.0, 50_000_000), steady(PSOAS, 3, 0.0, 51_000_000), steady(PSOAS, 3, 0.0, 0))
    assert engine.state.stop_reason is StopReason.RELEASED
    assert engine.state.stopped_at_us == 2_001_000  # 2.999 s before, the rest after


# The ramp


def ramp(rate_n_per_s: float) -> Samples:
    t = np.arange(2000) * 1000
    return of_plan(PSOAS, t, np.minimum(t * 1e-6 * rate_n_per_s, 9.0), 10.0, 0.0)


def test_loading_too_fast_is_seen_and_a_slow_ramp_is_not():
    fast, slow = HoldEngine(PSOAS), HoldEngine(PSOAS)
    seen = []
    for engine, rate in ((fast, 30.0), (slow, 8.0)):
        flags = []
        for k in range(0, 2000, 10):
            feed(engine, ramp(rate).cut(k, k + 10))
            flags.append(engine.state.ramp_too_fast)
        seen.append(flags)
    assert any(seen[0])
    assert not seen[0][-1]  # it settles again
    assert not any(seen[1])


@pytest.mark.parametrize(("lost_us", "fast"), [(0, True), (150_000, False)])
def test_a_rise_over_a_gap_is_not_a_ramp(lost_us, fast):
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 0.25, 0.0), steady(PSOAS, 0.05, 9.0, 250_000 + lost_us))
    assert engine.state.ramp_too_fast is fast


def test_a_broken_reading_is_not_the_foot_of_a_ramp():
    engine = HoldEngine(PSOAS)
    feed(engine, steady(PSOAS, 1, 7.0), steady(PSOAS, 0.2, -50.0, 1_000_000), steady(PSOAS, 0.35, 7.0, 1_200_000))
    assert not engine.state.ramp_too_fast
    assert not engine.ended


# What must hold for any samples


@many
@given(sequences(), st.lists(st.integers(0, 500), max_size=30))
@example(steady(SHORT, 2, 20.0), list(range(0, 2000, 7)))
def test_batches_do_not_matter(samples, cuts):
    whole, cut, single = HoldEngine(SHORT), HoldEngine(SHORT), HoldEngine(SHORT)
    events = feed(whole, samples)
    assert feed_cut(cut, samples, cuts) == events
    assert feed_cut(single, samples, range(len(samples))) == events
    assert repr(whole.state) == repr(cut.state) == repr(single.state)


@pytest.mark.parametrize(("channel", "column", "value"), [(1, 0, 40.0), (1, 1, 100.0), (2, 0, 30.0), (3, 0, 100.0)])
def test_a_change_of_any_channel_within_a_small_batch_is_seen(channel, column, value):
    samples = steady(PSOAS, 0.015, 20.0)
    samples.arrays[channel][6:, column] = value
    whole, single = HoldEngine(PSOAS), HoldEngine(PSOAS)
    assert feed(whole, samples) == feed_cut(single, samples, range(15))
    assert whole.state == single.state
    assert (whole.state.phase, whole.state.held_s) == (Phase.OUT_OF_BAND, 0.006)


def test_the_control_of_the_batch_test_finds_an_engine_that_forgets():
    class Forgetful(HoldEngine):
        def update(self, *arrays):
            self._cells, self._zones = (-1, -1, -1, -1), (0, 0, 0, 0)
            return super().update(*arrays)

    samples = steady(SHORT, 0.5, 20.0)
    samples.force_n[100:, SHORT.tip] = 9.5  # within the margin: in band only for who remembers
    whole, cut = Forgetful(SHORT), Forgetful(SHORT)
    assert feed(whole, samples) != feed_cut(cut, samples, range(0, 500, 10))


@many
@given(sequences())
def test_held_time_is_never_more_than_the_time_that_passed(samples):
    engine, last, passed = HoldEngine(SHORT), None, 0
    for k, t in enumerate(samples.t_us.tolist()):
        feed(engine, samples.cut(k, k + 1))
        if last is not None and 0 <= t - last <= limits.MAX_GAP_US:
            passed += t - last
        last = t
        state = engine.state
        assert 0.0 <= state.held_s <= min(passed / 1e6, SHORT.hold_s)
        assert 0.0 <= state.in_band_fraction <= 1.0


@many
@given(
    sequences(resets=False), st.sampled_from((110.0, 110.5, 400.0, INF)), st.sampled_from((1000, 2000, 4000, 10_000))
)
def test_a_sustained_crossing_always_stops_within_100_ms(before, force, step_us):
    engine = HoldEngine(SHORT)
    feed(engine, before)
    if engine.ended:
        return
    crossed = int(before.t_us[-1]) + step_us
    t = crossed + np.arange(0, 100_001, step_us)
    feed(engine, of_plan(SHORT, t, force, 12.0, 0.0))
    assert engine.state.phase is Phase.STOPPED
    assert engine.state.stopped_at_us - crossed <= 100_000


any_floats = hnp.arrays(np.float64, (25, 6), elements=st.floats(allow_nan=True, allow_infinity=True))


@many
@given(hnp.arrays(np.int64, 25), any_floats, st.lists(st.integers(0, 25), max_size=5))
def test_no_reading_and_no_time_raises(t_us, values, cuts):
    samples = Samples(t_us, values[:, 0:2], values[:, 2:4], values[:, 4:6])
    for plan in (SHORT, ILIACUS):
        engine = HoldEngine(plan)
        feed_cut(engine, samples, cuts)
        assert 0.0 <= engine.state.held_s <= plan.hold_s


@many
@given(sequences(resets=False))
def test_events_are_a_chain_in_time(samples):
    engine = HoldEngine(SHORT)
    events = feed(engine, samples)
    phase, t = Phase.WAITING, -1
    for event in events:
        assert event.phase_from is phase
        assert event.t_us >= t
        assert (event.reason is not None) == (event.phase_to is Phase.STOPPED)
        phase, t = event.phase_to, event.t_us
    assert phase is engine.state.phase


def test_an_empty_batch_is_nothing():
    engine = HoldEngine(PSOAS)
    assert engine.update(*steady(PSOAS, 0, 0.0).arrays) == ()
    assert engine.state.phase is Phase.WAITING
