"""The coach: few words, one thing at a time, the urgent one first, and no flicker."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from nexuslink.release import limits
from nexuslink.release.coach import CUES, Coach, Tone, advise
from nexuslink.release.hold import HoldState, Phase, StopReason
from nexuslink.release.plans import SITES, load_plan
from nexuslink.release.zones import AngleZone, ForceZone

from .samples import ILIACUS, INF, NAN, PSOAS

GOOD = HoldState(
    phase=Phase.IN_BAND,
    t_us=10_000_000,
    held_s=5.0,
    hold_s=60.0,
    force_zone=ForceZone.IN,
    angle_zone=AngleZone.IN,
    in_band_fraction=1.0,
    ramp_too_fast=False,
    stop_reason=None,
    stopped_at_us=None,
    contact_at_us=1_000_000,
)
OUT = replace(GOOD, phase=Phase.OUT_OF_BAND)
STOPPED = replace(GOOD, phase=Phase.STOPPED, stop_reason=StopReason.OVER_FORCE, stopped_at_us=9)


def key(state: HoldState, silent_s: float = 0.0) -> str:
    return advise(PSOAS, state, 20.0, 12.0, 0.0, silent_s).key


def test_every_cue_of_every_state_is_short_calm_and_safe_with_any_reading():
    readings = (0.0, 3.0, 20.0, 500.0, -30.0, NAN, INF, -INF)
    seen = set()
    for site, phase, force_zone, angle_zone, fast in itertools.product(
        SITES, Phase, ForceZone, AngleZone, (False, True)
    ):
        plan = load_plan(site)
        for reason in StopReason if phase is Phase.STOPPED else (None,):
            state = replace(
                GOOD, phase=phase, force_zone=force_zone, angle_zone=angle_zone, ramp_too_fast=fast, stop_reason=reason
            )
            for silent_s, reading in itertools.product((0.0, 3.0), readings):
                cue = advise(plan, state, reading, reading, reading, silent_s)
                seen.add(cue.key)
                assert 1 <= len(cue.sentence.split()) <= 5, cue
                assert cue.sentence.endswith(".")
                assert "!" not in cue.sentence + cue.detail
                assert cue.detail.isprintable()
                assert cue.detail
    assert seen == {row.key for row in CUES}  # no row is dead


def test_the_words_of_a_good_hold():
    cue = advise(PSOAS, GOOD, 20.0, 12.4, 10.0)
    assert (cue.sentence, cue.detail, cue.tone) == (
        "Good. Stay here.",
        "Tip 12° toward the midline · steady",
        Tone.GOOD,
    )


TIP = "Tip 12° toward the midline"
DIRECTION, UPRIGHT, FAR = ({"angle_zone": zone} for zone in (AngleZone.DIRECTION, AngleZone.LOW, AngleZone.HIGH))
WARN, HIGH, LOW, NONE = (
    {"force_zone": zone} for zone in (ForceZone.WARN, ForceZone.HIGH, ForceZone.LOW, ForceZone.NONE)
)
TOO_HARD = {"phase": Phase.STOPPED, "stop_reason": StopReason.OVER_FORCE}


@pytest.mark.parametrize(
    ("change", "force", "sentence", "detail", "tone"),
    [
        (WARN, 85.0, "Ease off now.", f"{TIP} · 50 N too much", Tone.WARN),
        (HIGH, 40.0, "Ease off.", f"{TIP} · 5 N too much", Tone.WARN),
        ({"ramp_too_fast": True}, 8.0, "Slow down.", "Loading faster than 10 N a second", Tone.WARN),
        (DIRECTION, 20.0, "Lean to the midline.", f"{TIP} · force is right", Tone.WARN),
        (UPRIGHT, 20.0, "Lean to the midline.", f"{TIP} · force is right", Tone.WARN),
        (FAR, 20.0, "Straighten up a little.", f"{TIP} · force is right", Tone.WARN),
        (LOW, 6.0, "Sink in slowly.", f"{TIP} · 4 N more", Tone.CALM),
        (LOW, NAN, "Sink in slowly.", f"{TIP} · no force reading", Tone.CALM),
        (NONE, 0.0, "Come back onto it.", f"{TIP} · no load", Tone.CALM),
        ({"phase": Phase.WAITING, **NONE}, 0.0, "Lower yourself onto it.", PSOAS.position, Tone.CALM),
        ({"angle_zone": AngleZone.UNKNOWN}, 20.0, "Keep still a moment.", f"{TIP} · force is right", Tone.CALM),
        ({"phase": Phase.DONE}, 20.0, "Done. Come off slowly.", "5 s held", Tone.GOOD),
        (TOO_HARD, 20.0, "Stopped: too hard.", "Roll off slowly and rest", Tone.STOP),
    ],
)
def test_the_words_for_what_is_wrong(change, force, sentence, detail, tone):
    cue = advise(PSOAS, replace(OUT, **change), force, 12.0, 0.0)
    assert (cue.sentence, cue.detail, cue.tone) == (sentence, detail, tone)


def test_urgent_things_come_first():
    """Add the faults one by one, mildest first: each new one takes over."""
    state, order = replace(OUT, phase=Phase.RAMP, force_zone=ForceZone.LOW), []
    steps = (
        {},
        {"angle_zone": AngleZone.HIGH},
        {"angle_zone": AngleZone.DIRECTION},
        {"ramp_too_fast": True},
        {"force_zone": ForceZone.HIGH},
        {"force_zone": ForceZone.WARN},
    )
    for step in steps:
        state = replace(state, **step)
        order.append(key(state))
    order.append(key(replace(state, phase=Phase.STOPPED, stop_reason=StopReason.OVER_FORCE)))
    assert order == ["too-soft", "too-far", "direction", "too-fast", "too-hard", "over-warn", "stopped-over-force"]
    ranks = [row.key for row in CUES]
    assert [ranks.index(k) for k in order] == sorted((ranks.index(k) for k in order), reverse=True)
    assert key(state, silent_s=2.0) == "silent"


def test_silence_is_a_fault_within_two_seconds_but_not_after_the_end():
    assert limits.SILENT_S < 2.0
    assert key(GOOD, silent_s=limits.SILENT_S) == "good"
    cue = advise(PSOAS, GOOD, 20.0, 12.0, 0.0, 1.6)
    assert (cue.sentence, cue.tone) == ("No data from tool.", Tone.FAULT)
    assert key(STOPPED, silent_s=60.0) == "stopped-over-force"


def test_the_iliacus_leans_to_the_hip_bone_and_away_from_it():
    low = replace(OUT, angle_zone=AngleZone.LOW)
    assert advise(ILIACUS, low, 10.0, 12.0, 0.0).sentence == "Lean to the hip bone."
    assert advise(ILIACUS, low, 10.0, 12.0, 170.0).detail.startswith("Tip 12° toward the midline")
    assert advise(ILIACUS, low, 10.0, 12.0, -90.0).detail.startswith("Tip 12° sideways")
    assert advise(ILIACUS, low, 10.0, 3.0, 170.0).detail.startswith("Tip upright")
    assert advise(ILIACUS, low, 10.0, NAN, NAN).detail.startswith("Tip angle unknown")
    assert advise(PSOAS, low, 20.0, 12.0, 170.0).detail.startswith("Tip 12° outward")
    turned = replace(ILIACUS, direction_deg=180.0)
    assert advise(turned, low, 10.0, 12.0, 0.0).sentence == "Lean to the midline."


def test_a_cue_stays_half_a_second_unless_a_more_urgent_one_comes():
    coach, soft = Coach(PSOAS), replace(OUT, force_zone=ForceZone.LOW)
    hard = replace(OUT, force_zone=ForceZone.HIGH)

    def at(ms: int, state: HoldState) -> str:
        return coach.advise(replace(state, t_us=ms * 1000), 20.0, 12.0, 0.0).key

    assert at(0, soft) == "too-soft"
    assert at(100, GOOD) == "too-soft"
    assert at(499, GOOD) == "too-soft"
    assert at(500, GOOD) == "good"
    assert at(510, hard) == "too-hard"  # more urgent: at once
    assert at(520, GOOD) == "too-hard"
    assert at(530, STOPPED) == "stopped-over-force"
    assert coach.advise(replace(GOOD, t_us=0), 20.0, 12.0, 0.0).key == "good"  # the clock began anew


def test_the_end_of_a_silent_hold_is_said_at_once_though_device_time_stands_still():
    coach = Coach(PSOAS)
    assert coach.advise(GOOD, 20.0, 12.0, 0.0, limits.SILENT_S + 1).key == "silent"
    assert coach.advise(GOOD, 20.0, 12.0, 0.0).key == "silent"  # the control: it stays for a while
    ended = replace(STOPPED, stop_reason=StopReason.USER)
    assert coach.advise(ended, 20.0, 12.0, 0.0, limits.SILENT_S + 2).sentence == "Stopped by you."


def test_flicker_is_at_most_two_changes_a_second():
    coach, shown, raw = Coach(PSOAS), [], []
    for k in range(1000):
        state = replace(GOOD if k % 2 else replace(OUT, force_zone=ForceZone.LOW), t_us=k * 10_000)
        shown.append(coach.advise(state, 20.0, 12.0, 0.0).key)
        raw.append(key(state))
    assert sum(a != b for a, b in itertools.pairwise(shown)) <= 40  # ten seconds, up and down
    assert sum(a != b for a, b in itertools.pairwise(raw)) == 999  # the control
