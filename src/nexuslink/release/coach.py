"""What to do now, in one sentence: the words of a hold, one thing at a time.

``CUES`` is the whole of it: rows in order of urgency, the first whose question is answered with yes speaks. A sentence
has at most five words and no exclamation; the detail may change with every sample. ``advise`` is pure; ``Coach`` adds
a short memory, on the tool's clock, so that a sentence can be read or heard to its end before a milder one follows.
This module must never know a device, a screen or the host's clock: how long the tool has been silent is told to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nexuslink.release import limits
from nexuslink.release.hold import ENDED, HoldState, Phase, StopReason
from nexuslink.release.plans import Plan
from nexuslink.release.zones import AngleZone, ForceZone


class Tone(StrEnum):
    """How a cue is meant; colour and sound follow it, never it alone."""

    CALM = "calm"
    GOOD = "good"
    WARN = "warn"
    STOP = "stop"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Cue:
    """One thing to do. ``key`` is stable, for sounds and tests; the words are for people."""

    key: str
    sentence: str
    detail: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class _Moment:
    """Everything a row may ask about."""

    plan: Plan
    state: HoldState
    force_n: float
    angle_deg: float
    direction_deg: float
    silent_s: float

    @property
    def loaded(self) -> bool:
        return self.state.force_zone is not ForceZone.NONE


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    tone: Tone
    when: Callable[[_Moment], bool]
    sentence: Callable[[_Moment], str]
    detail: Callable[[_Moment], str]

    def cue(self, moment: _Moment) -> Cue:
        return Cue(self.key, self.sentence(moment), self.detail(moment), self.tone)


_LEAN: Final[Mapping[str, str]] = {
    "midline": "Lean to the midline.",
    "ilium": "Lean to the hip bone.",
    "out": "Lean outward.",
}
_LEANING: Final[Mapping[str, str]] = {
    "midline": "toward the midline",
    "ilium": "toward the hip bone",
    "out": "outward",
}


def _say(sentence: str) -> Callable[[_Moment], str]:
    return lambda _moment: sentence


def _lean(moment: _Moment) -> str:
    """Where the plan wants the tip to lean, by the label that is nearer to its direction."""
    plan = moment.plan
    return _LEAN[plan.mark_toward if abs(plan.direction_deg) <= 90.0 else plan.away]


def _tip(moment: _Moment) -> str:
    plan, angle, direction = moment.plan, moment.angle_deg, moment.direction_deg
    if not math.isfinite(angle):
        return "Tip angle unknown"
    if angle < limits.LEAN_KNOWN_DEG:
        return "Tip upright"
    if not math.isfinite(direction):
        return f"Tip {angle:.0f}° from upright"
    off_mark = abs(math.remainder(direction, 360.0))
    where = _LEANING[plan.mark_toward] if off_mark <= 60 else _LEANING[plan.away] if off_mark >= 120 else "sideways"
    return f"Tip {angle:.0f}° {where}"


_LOAD: Final[Mapping[ForceZone, Callable[[_Moment], str]]] = {
    ForceZone.NONE: lambda m: "no load",
    ForceZone.LOW: lambda m: f"{max(1.0, m.plan.band_low_n - m.force_n):.0f} N more",
    ForceZone.IN: lambda m: "steady" if m.state.phase is Phase.IN_BAND else "force is right",
    ForceZone.HIGH: lambda m: f"{max(1.0, m.force_n - m.plan.band_high_n):.0f} N too much",
    ForceZone.WARN: lambda m: f"{max(1.0, m.force_n - m.plan.band_high_n):.0f} N too much",
    ForceZone.STOP: lambda m: "at the limit",
}


def _both(moment: _Moment) -> str:
    """How the tip stands, and how it is loaded."""
    load = "no force reading" if math.isnan(moment.force_n) else _LOAD[moment.state.force_zone](moment)
    return f"{_tip(moment)} · {load}"


_STOPS: Final[Mapping[StopReason, tuple[Tone, str, str]]] = {
    StopReason.OVER_FORCE: (Tone.STOP, "Stopped: too hard.", "Roll off slowly and rest"),
    StopReason.SENSOR: (Tone.FAULT, "Stopped: sensor fault.", "No believable force · roll off, check the tool"),
    StopReason.LINK_LOST: (Tone.FAULT, "Stopped: link lost.", "The tool no longer answers · roll off, reconnect"),
    StopReason.USER: (Tone.STOP, "Stopped by you.", "Roll off slowly and rest"),
    StopReason.RELEASED: (Tone.STOP, "Stopped: you let go.", "Rest, then begin again"),
    StopReason.NO_CONTACT: (Tone.STOP, "Stopped: no contact.", "Nothing touched the tip · begin again when ready"),
    StopReason.TIMEOUT: (Tone.STOP, "Stopped: time is up.", "The band was held too little · rest first"),
}


def _stop_row(reason: StopReason, tone: Tone, sentence: str, detail: str) -> _Row:
    def when(moment: _Moment) -> bool:
        return moment.state.phase is Phase.STOPPED and moment.state.stop_reason is reason

    return _Row(f"stopped-{reason}", tone, when, _say(sentence), _say(detail))


CUES: Final[tuple[_Row, ...]] = (
    _Row(
        "silent",
        Tone.FAULT,
        lambda m: m.silent_s > limits.SILENT_S and m.state.phase not in ENDED,  # after the end silence is no fault
        _say("No data from tool."),
        lambda m: f"Silent for {m.silent_s:.0f} s · roll off if unsure",
    ),
    *(_stop_row(reason, *words) for reason, words in _STOPS.items()),
    _Row(
        "done",
        Tone.GOOD,
        lambda m: m.state.phase is Phase.DONE,
        _say("Done. Come off slowly."),
        lambda m: f"{m.state.held_s:.0f} s held",
    ),
    _Row(
        "over-warn",
        Tone.WARN,
        lambda m: m.state.force_zone in (ForceZone.WARN, ForceZone.STOP),
        _say("Ease off now."),
        _both,
    ),
    _Row("too-hard", Tone.WARN, lambda m: m.state.force_zone is ForceZone.HIGH, _say("Ease off."), _both),
    _Row(
        "too-fast",
        Tone.WARN,
        lambda m: m.state.ramp_too_fast and m.loaded,
        _say("Slow down."),
        lambda m: f"Loading faster than {m.plan.ramp_n_per_s:g} N a second",
    ),
    _Row("direction", Tone.WARN, lambda m: m.loaded and m.state.angle_zone is AngleZone.DIRECTION, _lean, _both),
    _Row("too-upright", Tone.WARN, lambda m: m.loaded and m.state.angle_zone is AngleZone.LOW, _lean, _both),
    _Row(
        "too-far",
        Tone.WARN,
        lambda m: m.loaded and m.state.angle_zone is AngleZone.HIGH,
        _say("Straighten up a little."),
        _both,
    ),
    _Row("too-soft", Tone.CALM, lambda m: m.state.force_zone is ForceZone.LOW, _say("Sink in slowly."), _both),
    _Row(
        "let-go",
        Tone.CALM,
        lambda m: not m.loaded and m.state.phase is not Phase.WAITING,
        _say("Come back onto it."),
        _both,
    ),
    _Row("good", Tone.GOOD, lambda m: m.state.phase is Phase.IN_BAND, _say("Good. Stay here."), _both),
    _Row(
        "waiting",
        Tone.CALM,
        lambda m: m.state.phase is Phase.WAITING,
        _say("Lower yourself onto it."),
        lambda m: m.plan.position,
    ),
    _Row("unsure", Tone.CALM, lambda m: True, _say("Keep still a moment."), _both),
)
"""Most urgent first. The last row always speaks: force is right, but the angle or the force is not known."""


def _first(moment: _Moment) -> int:
    return next(rank for rank, row in enumerate(CUES) if row.when(moment))


def advise(
    plan: Plan, state: HoldState, force_n: float, angle_deg: float, direction_deg: float, silent_s: float = 0.0
) -> Cue:
    """The most urgent cue for this state. Newest force, angle and direction of the plan's tip, NaN for unknown."""
    moment = _Moment(plan, state, force_n, angle_deg, direction_deg, silent_s)
    return CUES[_first(moment)].cue(moment)


class Coach:
    """``advise`` with a memory: a cue stays half a second of device time unless a more urgent one comes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._shown: int | None = None
        self._shown_at_us = 0

    def advise(
        self, state: HoldState, force_n: float, angle_deg: float, direction_deg: float, silent_s: float = 0.0
    ) -> Cue:
        """The cue to show now; arguments as for the function of the same name."""
        moment = _Moment(self._plan, state, force_n, angle_deg, direction_deg, silent_s)
        rank = _first(moment)
        # While the tool is silent its time stands still: an end must not wait for it.
        young = state.phase not in ENDED and 0 <= state.t_us - self._shown_at_us < limits.CUE_MIN_US
        if self._shown is None or rank < self._shown or (rank > self._shown and not young):
            self._shown, self._shown_at_us = rank, state.t_us
        return CUES[self._shown].cue(moment)
