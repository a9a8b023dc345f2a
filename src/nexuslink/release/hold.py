"""The hold engine. Rule 1: everything that decides what a guided hold is doing lives here, and here alone.

Theory of operation. A hold is in one ``Phase``. Each sample is reduced to one ``Input`` (unloaded, loaded, held, blind)
by way of the zones of ``zones.py``; the passing of time gives further inputs by way of ``TIMERS``; the host may stop.
``TRANSITIONS`` says the next phase for every pair of phase and input; there is no other way to change phase.

Time is the tool's own, in whole microseconds, and only samples move it. For one sample at time t, in this order:

1. the zones follow the sample, and timers whose condition it ends are cleared;
2. time advances to t: the interval since the sample before counts as held if the phase was IN_BAND and the interval
   has no gap; timers that fall due fire in the order of their moments, at those moments, not at the sample's;
3. the sample's input moves the phase, and timers whose condition has begun start at t.

So a timer with a condition fires only when a later sample confirms it: one spike can never stop a hold. As the input
of a repeated sample changes nothing (a test holds the table to that), a run of samples in the same cells needs
these steps once and then a single advance to its last sample. That makes the engine fast, and it makes the result the
same, to the bit, however the samples are cut into batches: all sums are of integers, and a cut only splits a run.

Loss and faults. A gap of more than ``MAX_GAP_US`` is never held. If time runs backwards the tool has started anew: the
elapsed time is taken as none, and everything measured so far is moved to the new time scale. NaN, infinite and
implausible readings never raise: force becomes BLIND (or over-force, above the stop), an angle becomes UNKNOWN.

This module must never know a device, a link, a screen or the host's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.release import limits
from nexuslink.release.plans import Plan
from nexuslink.release.ramp import RampWatch
from nexuslink.release.zones import FORCE_ZONES, STOP_ZONE, AngleZone, Cells, Floats, ForceZone, Zoning


class Phase(StrEnum):
    """What the hold is doing. RAMP: loaded, never yet in band. OUT_OF_BAND: was in band, now is not."""

    WAITING = "waiting"
    CONTACT = "contact"
    RAMP = "ramp"
    IN_BAND = "in-band"
    OUT_OF_BAND = "out-of-band"
    STOPPED = "stopped"
    DONE = "done"


class StopReason(StrEnum):
    """Why a hold ended before its time."""

    OVER_FORCE = "over-force"
    USER = "user"
    RELEASED = "released"
    LINK_LOST = "link-lost"
    NO_CONTACT = "no-contact"
    TIMEOUT = "timeout"
    SENSOR = "sensor"


class Input(StrEnum):
    """What can happen to a phase: a sample's meaning, a timer, or a stop."""

    UNLOADED = "unloaded"
    LOADED = "loaded"
    HELD = "held"
    """Force in band and lean in range."""
    BLIND = "blind"
    """No believable force."""
    SETTLED = "settled"
    COMPLETE = "complete"
    STOP = "stop"


_P, _I = Phase, Input
TRANSITIONS: Final[Mapping[Phase, Mapping[Input, Phase]]] = {
    _P.WAITING: {
        _I.UNLOADED: _P.WAITING,
        _I.LOADED: _P.CONTACT,
        _I.HELD: _P.IN_BAND,
        _I.BLIND: _P.WAITING,
        _I.SETTLED: _P.WAITING,
        _I.COMPLETE: _P.WAITING,
        _I.STOP: _P.STOPPED,
    },
    _P.CONTACT: {
        _I.UNLOADED: _P.WAITING,  # a bump
        _I.LOADED: _P.CONTACT,
        _I.HELD: _P.IN_BAND,
        _I.BLIND: _P.CONTACT,
        _I.SETTLED: _P.RAMP,
        _I.COMPLETE: _P.CONTACT,
        _I.STOP: _P.STOPPED,
    },
    _P.RAMP: {
        _I.UNLOADED: _P.RAMP,
        _I.LOADED: _P.RAMP,
        _I.HELD: _P.IN_BAND,
        _I.BLIND: _P.RAMP,
        _I.SETTLED: _P.RAMP,
        _I.COMPLETE: _P.RAMP,
        _I.STOP: _P.STOPPED,
    },
    _P.IN_BAND: {
        _I.UNLOADED: _P.OUT_OF_BAND,
        _I.LOADED: _P.OUT_OF_BAND,
        _I.HELD: _P.IN_BAND,
        _I.BLIND: _P.OUT_OF_BAND,
        _I.SETTLED: _P.IN_BAND,
        _I.COMPLETE: _P.DONE,
        _I.STOP: _P.STOPPED,
    },
    _P.OUT_OF_BAND: {
        _I.UNLOADED: _P.OUT_OF_BAND,
        _I.LOADED: _P.OUT_OF_BAND,
        _I.HELD: _P.IN_BAND,
        _I.BLIND: _P.OUT_OF_BAND,
        _I.SETTLED: _P.OUT_OF_BAND,
        _I.COMPLETE: _P.OUT_OF_BAND,
        _I.STOP: _P.STOPPED,
    },
    _P.STOPPED: dict.fromkeys(_I, _P.STOPPED),
    _P.DONE: dict.fromkeys(_I, _P.DONE),
}
ENDED: Final = frozenset({Phase.STOPPED, Phase.DONE})
ACTIVE: Final = frozenset(Phase) - ENDED
LOADING: Final = frozenset({Phase.CONTACT, Phase.RAMP, Phase.OUT_OF_BAND})
"""The phases in which the speed of loading is judged."""


class Since(StrEnum):
    """What a timer counts from: the first sample of an unbroken condition, or a moment of the hold."""

    OVER = "over"
    BLIND = "blind"
    UNLOADED = "unloaded"
    TOUCHING = "touching"
    START = "start"
    CONTACT = "contact"
    HOLDING = "holding"
    """The moment at which the hold would have begun, had it never been interrupted."""


@dataclass(frozen=True, slots=True)
class Timer:
    """After ``after_us`` counted from ``since``, while in one of ``phases``, ``gives`` happens for ``reason``."""

    since: Since
    after_us: int
    phases: frozenset[Phase]
    gives: Input
    reason: StopReason | None = None


def timers(hold_us: int) -> tuple[Timer, ...]:
    """The timers of a hold of this length; the first wins where two fall due at the same microsecond."""
    stop, tried = Input.STOP, frozenset({Phase.RAMP, Phase.OUT_OF_BAND})
    timeout_us, begun = limits.TIMEOUT_HOLDS * hold_us, tried | {Phase.IN_BAND}
    return (
        Timer(Since.OVER, limits.OVER_FORCE_US, ACTIVE, stop, StopReason.OVER_FORCE),
        Timer(Since.BLIND, limits.SENSOR_US, ACTIVE, stop, StopReason.SENSOR),
        Timer(Since.HOLDING, hold_us, frozenset({Phase.IN_BAND}), Input.COMPLETE),
        Timer(Since.UNLOADED, limits.RELEASED_US, tried, stop, StopReason.RELEASED),
        Timer(Since.TOUCHING, limits.SETTLE_US, frozenset({Phase.CONTACT}), Input.SETTLED),
        Timer(Since.CONTACT, timeout_us, begun, stop, StopReason.TIMEOUT),
        Timer(Since.START, limits.NO_CONTACT_US, frozenset({Phase.WAITING}), stop, StopReason.NO_CONTACT),
    )


@dataclass(frozen=True, slots=True)
class HoldState:
    """A picture of the engine at ``t_us``: its newest sample, or its end."""

    phase: Phase
    t_us: int
    held_s: float
    hold_s: float
    force_zone: ForceZone
    angle_zone: AngleZone
    in_band_fraction: float
    """Time held over time since the band was first reached, 0 to 1."""
    ramp_too_fast: bool
    stop_reason: StopReason | None
    stopped_at_us: int | None
    contact_at_us: int | None


@dataclass(frozen=True, slots=True)
class HoldEvent:
    """The phase changed at ``t_us``."""

    t_us: int
    phase_from: Phase
    phase_to: Phase
    reason: StopReason | None


class HoldEngine:
    """One hold by one plan, fed with samples in the order they were taken."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._zoning = Zoning(plan)
        self._hold_us = round(plan.hold_s * 1e6)
        self._timers = timers(self._hold_us)
        self._events: list[HoldEvent] = []
        # Cells and zones of the newest sample (force, other tip's force, angle, direction), and their meaning together.
        self._cells: tuple[int, int, int, int] | None = None
        self._zones = (0, 0, 0, 0)
        self._lean = AngleZone.UNKNOWN
        self._input = Input.BLIND
        # Moments, all on the tool's clock. ``_now`` is the newest sample's time.
        self._phase = Phase.WAITING
        self._now = 0
        self._since: dict[Since, int | None] = dict.fromkeys(Since)
        self._due: tuple[int, Timer] | None = None
        self._band_at: int | None = None
        self._held_us = 0
        self._holding = True
        self._ended_at: int | None = None
        self._reason: StopReason | None = None
        self._ramp = RampWatch(plan.ramp_n_per_s)

    @property
    def ended(self) -> bool:
        """True once stopped or done; samples then change nothing."""
        return self._phase in ENDED

    @property
    def state(self) -> HoldState:
        """The hold now."""
        since_band = 0 if self._band_at is None else self._now - self._band_at
        return HoldState(
            phase=self._phase,
            t_us=self._now if self._ended_at is None else self._ended_at,
            held_s=self._held_us / 1e6,
            hold_s=self.plan.hold_s,
            force_zone=FORCE_ZONES[STOP_ZONE if self._zones[1] else self._zones[0]],
            angle_zone=self._lean,
            in_band_fraction=self._held_us / since_band if since_band > 0 else 0.0,
            ramp_too_fast=self._ramp.too_fast and self._phase in LOADING,
            stop_reason=self._reason,
            stopped_at_us=self._ended_at if self._phase is Phase.STOPPED else None,
            contact_at_us=self._since[Since.CONTACT],
        )

    def update(
        self, t_us: NDArray[np.int64], force_n: Floats, angle_deg: Floats, direction_deg: Floats
    ) -> tuple[HoldEvent, ...]:
        """Take a batch: ``t_us`` (n,), the rest (n, 2) in newtons and degrees, NaN for unknown. n may be 0."""
        if not len(t_us) or self._phase in ENDED:
            return ()
        cells = self._zoning.cells(force_n, angle_deg, direction_deg)
        tip = self.plan.tip
        force, angle, direction = cells
        for first, last in self._runs(t_us, cells):
            start, end = t_us.item(first), t_us.item(last)
            here = (force.item(first, tip), force.item(first, 1 - tip), angle.item(first), direction.item(first))
            self._sample(start, here)
            self._advance(end)  # even if that is the start: a timer may be overdue in a phase just entered
            if self._phase in ENDED:
                break
            if self._input is not Input.BLIND:
                self._ramp.follow(t_us, force_n, tip, first, last)
        events, self._events = tuple(self._events), []
        return events

    def stop(self, t_us: int, reason: StopReason) -> tuple[HoldEvent, ...]:
        """End the hold from outside; after the end it does nothing. Not before the newest sample, whatever ``t_us``."""
        if self._phase in ENDED:
            return ()
        self._move(Input.STOP, t_us if self._cells is None else max(t_us, self._now), reason)
        events, self._events = tuple(self._events), []
        return events

    def _runs(self, t_us: NDArray[np.int64], cells: Cells) -> Iterable[tuple[int, int]]:
        """First and last index of each run of samples in the same cells without a gap or a step back in time."""
        last = len(t_us) - 1
        if 0 <= t_us.item(last) - t_us.item(0) <= limits.MAX_GAP_US:
            # The usual small, quiet batch: comparing bytes is several times cheaper than looking for changes.
            times = t_us.tolist()
            force, angle, direction = cells
            if times == sorted(times) and _uniform(force) and _uniform(angle) and _uniform(direction):
                return ((0, last),)
        steps = (t_us[1:] - t_us[:-1]).view(np.uint64)  # a step back reads as a huge step forward
        cuts: list[int] = (self._zoning.changes(cells) | (steps > limits.MAX_GAP_US)).nonzero()[0].tolist()
        return zip([0, *(cut + 1 for cut in cuts)], [*cuts, last], strict=True)

    def _sample(self, t: int, cells: tuple[int, int, int, int]) -> None:
        """The three steps of the head comment for one sample."""
        if self._cells is None:
            self._now = self._since[Since.START] = t
        elapsed = t - self._now
        gap = not 0 <= elapsed <= limits.MAX_GAP_US
        news = cells != self._cells and self._follow(cells)
        if not (gap or news):
            self._advance(t)
            return
        if elapsed < 0:
            self._start_anew(t)
        if gap:
            self._ramp.forget()
        self._plan_due(holding=not gap)
        self._advance(t)
        if self._phase in ENDED:
            return
        for since, holds in self._conditions():
            if holds and self._since[since] is None:
                self._since[since] = t
        self._move(self._input, t, None)
        self._plan_due()

    def _start_anew(self, t: int) -> None:
        """The tool's clock went back to ``t``: move every moment along, so that no time seems to pass."""
        back, self._now = t - self._now, t
        self._since = {since: None if at is None else at + back for since, at in self._since.items()}
        self._band_at = None if self._band_at is None else self._band_at + back

    def _follow(self, cells: tuple[int, int, int, int]) -> bool:
        """Step 1: zones and their meaning in these cells, broken conditions forgotten. False if nothing is new."""
        zoning, first = self._zoning, self._cells is None
        self._cells = cells
        force, other, angle, direction = cells
        before = (self._zones, self._lean, self._input)
        self._zones = zones = (
            zoning.force.table[self._zones[0]][force],
            zoning.other.table[self._zones[1]][other],
            zoning.angle.table[self._zones[2]][angle],
            zoning.direction.table[self._zones[3]][direction],
        )
        self._lean = zoning.lean(zones[2], angle, zones[3], direction)
        zone = FORCE_ZONES[zones[0]]
        if not (zoning.force.valid[force] and zoning.other.valid[other]):
            self._input = Input.BLIND
        elif zone is ForceZone.NONE:
            self._input = Input.UNLOADED
        elif zone is ForceZone.IN and self._lean is AngleZone.IN and not zones[1]:
            self._input = Input.HELD
        else:
            self._input = Input.LOADED
        if before == (zones, self._lean, self._input) and not first:
            return False
        for since, holds in self._conditions():
            if not holds:
                self._since[since] = None
        return True

    def _conditions(self) -> tuple[tuple[Since, bool], ...]:
        force, other, _angle, _direction = self._zones
        return (
            (Since.OVER, force == STOP_ZONE or other != 0),
            (Since.BLIND, self._input is Input.BLIND),
            (Since.UNLOADED, force == 0),
            (Since.TOUCHING, force != 0),
        )

    def _advance(self, t: int) -> None:
        """Step 2: let time pass until ``t``, firing what falls due on the way."""
        while self._due is not None and self._due[0] <= t:
            due, timer = self._due
            self._pass(due)
            self._move(timer.gives, self._now, timer.reason)
            self._plan_due(self._holding)
        if self._phase not in ENDED:
            self._pass(t)

    def _pass(self, t: int) -> None:
        """Let time pass until ``t`` in one phase. An overdue moment lies in the past: then none passes."""
        if t > self._now:
            if self._phase is Phase.IN_BAND and self._holding:
                self._held_us += t - self._now
            self._now = t

    def _plan_due(self, holding: bool = True) -> None:
        """Find what falls due next in this phase. Without ``holding``, as in a gap, time passes but none is held."""
        self._holding = holding
        self._since[Since.HOLDING] = self._now - self._held_us if holding else None
        self._due = None
        for timer in self._timers:
            since = self._since[timer.since]
            if since is None or self._phase not in timer.phases:
                continue
            due = since + timer.after_us
            if self._due is None or due < self._due[0]:
                self._due = (due, timer)

    def _move(self, given: Input, t: int, reason: StopReason | None) -> None:
        """Step 3, and the only place where the phase changes."""
        before, after = self._phase, TRANSITIONS[self._phase][given]
        if after is before:
            return
        self._phase = after
        self._events.append(HoldEvent(t, before, after, reason))
        if after in ENDED:
            self._ended_at, self._reason = t, reason
        elif after is Phase.WAITING:
            self._since[Since.CONTACT] = None
        elif before is Phase.WAITING:
            self._since[Since.CONTACT] = t
        if after is Phase.IN_BAND and self._band_at is None:
            self._band_at = t


def _uniform(column: NDArray[np.intp]) -> bool:
    """Whether all rows are equal."""
    data = column.tobytes()
    return data == data[: len(data) // len(column)] * len(column)
