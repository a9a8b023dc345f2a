"""Hold: what now? The one view that must be read from the floor, two metres away.

In order of weight: the sentence, the time left, the force ring, the lean disc, the sweep; all else is small and grey.
Old data grey the instruments and are named where the sentence stands; a stop turns the whole ground.

The view is handed a snapshot and the ring of samples whenever something arrived (``refresh``). It asks for nothing;
its only timer is the one-shot that speaks up when nothing arrives any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QWidget

from nexuslink.app import link_words
from nexuslink.app.instruments.base import Painted
from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.countdown import SIZE as COUNTDOWN_SIZE
from nexuslink.app.instruments.countdown import Countdown
from nexuslink.app.instruments.doubted import NOT_SURE
from nexuslink.app.instruments.force_ring import CENTRE, ForceRing
from nexuslink.app.instruments.force_ring import SIZE as RING_SIZE
from nexuslink.app.instruments.lean_disc import DISC_SIZE, TAIL_POINTS, LeanDisc, LeanTarget
from nexuslink.app.instruments.scale import scale_of
from nexuslink.app.instruments.sentence import SIZE as SENTENCE_SIZE
from nexuslink.app.instruments.sentence import Sentence
from nexuslink.app.instruments.status_line import StatusLine, entries
from nexuslink.app.instruments.sweep import Sweep
from nexuslink.app.instruments.text import Text
from nexuslink.app.link_words import Figures, LinkWatch, is_away
from nexuslink.app.ring import Ring
from nexuslink.app.settle import Settle
from nexuslink.app.theme import DONE, MARGIN, STOPPED, Tokens, Type, faded, font
from nexuslink.app.views.base import View
from nexuslink.app.words import COVERAGE, amount, mark_on_right, side_word, spread
from nexuslink.release import limits
from nexuslink.release.coach import Tone
from nexuslink.release.hold import Phase
from nexuslink.release.zones import AngleZone, ForceZone

if TYPE_CHECKING:
    from nexuslink.device.progress import Progress
    from nexuslink.estimation.doubt import Doubt
    from nexuslink.live.pipeline import Snapshot
    from nexuslink.release.plans import Plan

FORCE, ANGLE, DIRECTION = range(3)  # columns of the ring

_MOST_N = 9_999.0
LOST_S = 0.4  # a link that is back sooner was hardly gone
WATCH_MS = 1500  # nothing at all from the loop for this long: the loop itself hangs
_DOUBT_US = 1_000_000  # a doubt stays for this long after it is gone, so that it can be read and does not blink
_STATUS_US = 500_000  # the small figures change no more often, to be readable
_TAIL_US = np.arange(TAIL_POINTS, 0, -1) * 125_000  # the tail's points, before now
_STEADY_N = 0.6  # a force that changes by more than this between two looks is not said to a tenth
_LOADED = (Phase.CONTACT, Phase.RAMP, Phase.IN_BAND, Phase.OUT_OF_BAND)
_ASTRAY = (ForceZone.LOW, ForceZone.HIGH, ForceZone.WARN, ForceZone.STOP)
_TILTED = (AngleZone.LOW, AngleZone.HIGH, AngleZone.DIRECTION)

_BOTH = ("force", "angle")
_ABOUT = {"IMU": ("angle",), "FORCE": ("force",), "TEMPERATURE": ("force",), "NOT": ("force",)}
"""First word of a doubt's name -> what it is about; the others are about both."""

SILENT = ("No data. Hold still.", "Nothing arrives from the tool.")
STOPPING = ("Stopping. Roll off.", "The tool is being told.")
BROKEN = "Roll off. It failed."


class HoldView(View):
    """A hold in progress, and its last picture after it has ended."""

    title = "Hold"
    stop = Signal()
    leave = Signal()  # after the end: to the result
    back = Signal()  # after a session that broke: there is no result

    def __init__(self, parent: QWidget | None = None, still: bool = False) -> None:
        super().__init__(parent)
        self._plan: Plan | None = None
        self._snapshot: Snapshot | None = None
        self._base: Tokens = self.tokens
        self._stale = False
        self._stopping = False
        self._broken = False
        self._result_ready = False
        self._sound = "sound off"
        self._recording = False
        self._status_at = -1
        self._exact_n = math.nan  # what stands, to a tenth, under the number
        self._doubt: Doubt | None = None
        self._doubt_until = 0
        self._still = still
        self._link = LinkWatch()
        self._figures: Figures | None = None
        self._away: Progress | None = None
        self._expert = False
        self._force, self._x, self._y = (Settle(still) for _ in range(3))
        self._site = self.add(Text("", Type.MID, bold=True, parent=self))
        self._about = self.add(Text("", Type.MID, ink="mute", parent=self))
        self.ring = self.add(ForceRing(self))
        self.disc = self.add(LeanDisc(self))
        self.sentence = self.add(Sentence(self))
        self.countdown = self.add(Countdown(self))
        self.sweep = self.add(Sweep(self))
        self.status = self.add(StatusLine(self))
        self.button = self.add(Button("Stop", Weight.STOP, key="Space", parent=self))
        self.button.clicked.connect(self.press)
        self._watch = QTimer(self)
        self._watch.setSingleShot(True)
        self._watch.setInterval(WATCH_MS)
        self._watch.timeout.connect(self._nothing_came)

    # -- keys -----------------------------------------------------------------------------------------------------

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Space and Escape stop; after the end they go on to the result. R turns the page, L tells of the link."""
        return {
            "Space": self.press,
            "Escape": self.press,
            "Return": self._go_on,
            "Enter": self._go_on,
            "R": self.turn,
            "L": self.toggle_expert,
        }

    def press(self) -> None:
        """Stop the hold, or leave it when it has ended or broken."""
        if self.ended or self._broken:
            self._go_on()
        elif not self._stopping:
            self._stopping = True
            self.button.set_word("Stopping")
            self.sentence.feed(*STOPPING, Tone.STOP.value)
            self.stop.emit()

    def _go_on(self) -> None:
        if self._broken:
            self.back.emit()
        elif self.ended and self._result_ready:
            self.leave.emit()

    def turn(self) -> None:
        """The other way up."""
        self.turned = not self.turned
        self.relayout()

    def toggle_expert(self) -> None:
        """More about the link, or less."""
        self._expert = not self._expert
        self._status_at = -1
        if self._snapshot is not None:
            self._tell_status(self._snapshot)

    # -- life of a hold -------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the hold is over."""
        snapshot = self._snapshot
        return snapshot is not None and snapshot.hold.phase in (Phase.STOPPED, Phase.DONE)

    @property
    def stale(self) -> bool:
        """Whether what is shown is old."""
        return self._stale

    def begin(self, plan: Plan, simulated: bool, recording: bool) -> None:
        """A new hold of ``plan``: forget the last one."""
        self._plan, self._snapshot = plan, None
        self._stale = self._stopping = self._broken = self._result_ready = False
        self._recording = recording
        self._status_at = -1
        self._doubt = None
        self._exact_n = math.nan
        self.ring.feed_exact("", False)
        self.disc.feed_aside("", False)
        self.disc.feed_turn(math.nan, math.nan)
        self._force, self._x, self._y = (Settle(self._still) for _ in range(3))
        scale = scale_of(plan)
        self.ring.set_scale(scale)
        self.sweep.set_scale(scale)
        self.disc.set_target(
            LeanTarget(
                plan.angle_low_deg,
                plan.angle_high_deg,
                plan.direction_deg,
                plan.direction_half_width_deg,
                limits.LEAN_KNOWN_DEG,
                side_word(plan.mark_toward),
                side_word(plan.away),
                mark_on_right(plan),
            )
        )
        self._site.set_text(plan.title)
        self._about.set_text(f"{plan.tip_name}, level {plan.level}")
        self.button.set_word("Stop")
        self.sentence.feed("Wait for the tool.", "The first samples are on their way.", Tone.CALM.value)
        self.countdown.feed(0.0, plan.hold_s, False)
        self.set_simulated(simulated)
        self.relayout()
        self._watch.start()

    def result_ready(self) -> None:
        """The recording is closed: leaving is possible."""
        self._result_ready, self._broken = True, False
        if self.ended:
            self.button.set_word("See result")
        self._watch.stop()

    def fail(self, message: str) -> None:
        """The session broke: say so; the picture greys, and there is a way out."""
        self._watch.stop()
        self._broken = True
        self._set_stale(True)
        self.sentence.feed(BROKEN, message, Tone.FAULT.value)
        self.button.set_word("Back")

    def hear(self, progress: Progress) -> None:
        """How the connection fares: while the tool is away that is the news, and its figures are behind a key."""
        self._figures = self._link.hear(progress)
        away = progress if is_away(progress) else None
        changed = (away is None) is not (self._away is None)
        self._away = away
        if changed and self._snapshot is not None and not self.ended and not self._broken:
            self._judge(self._snapshot)
            self._tell_status(self._snapshot)

    def set_sound(self, status: str) -> None:
        """What the status line says about sound."""
        if status != self._sound:
            self._sound = status
            self._status_at = -1

    # -- refreshing -----------------------------------------------------------------------------------------------

    def refresh(self, snapshot: Snapshot, ring: Ring) -> None:
        """Something arrived: settle the values and repaint what has changed."""
        before, self._snapshot = self._snapshot, snapshot
        if self._broken and not self.ended:
            return
        hold = snapshot.hold
        if self.ended:
            self._watch.stop()
            if before is None or before.hold.phase is not hold.phase:
                self.button.set_word("See result" if self._result_ready else "Saving")
                self.redress()  # the whole ground turns
        else:
            self._watch.start()
        self._judge(snapshot)
        step_s = (snapshot.t_us - before.t_us) * 1e-6 if before is not None else 0.0
        self._move(snapshot, ring, step_s)
        self.countdown.feed(hold.held_s, hold.hold_s, hold.phase is Phase.IN_BAND)
        self.sweep.feed(ring)
        now = snapshot.t_us + int(snapshot.link.silent_s * 1e6)
        self._weigh(snapshot, now)
        if abs(self._force.value - self._exact_n) > _STEADY_N:
            self._say_how_sure(snapshot, look=False)
        if self._status_at < 0 or now - self._status_at >= _STATUS_US or self.ended:
            self._status_at = now
            self._tell_status(snapshot)
            self._say_how_sure(snapshot)

    def _judge(self, snapshot: Snapshot) -> None:
        """Old data are a fault that cannot be overlooked; what is being done about it stands in the sentence."""
        cue, silent_s = snapshot.cue, snapshot.link.silent_s
        lost = not self.ended and self._away is not None and silent_s > LOST_S
        self._set_stale(not self.ended and (lost or silent_s > limits.SILENT_S or cue.tone is Tone.FAULT))
        if self._stopping and not self.ended:
            return
        if lost and self._away is not None:
            self.sentence.feed(*link_words.lost(self._away), Tone.FAULT.value)
        else:
            self.sentence.feed(cue.sentence, cue.detail, cue.tone.value)

    def _tell_status(self, snapshot: Snapshot) -> None:
        doubt = "" if self._doubt is None else f"Not sure: {self._doubt.value}."
        link, recorded_s, away = snapshot.link, snapshot.recording_s, self._away is not None and not self.ended
        self.status.feed(
            entries(link, recorded_s, self._recording, self._sound, doubt, self._figures, self._expert, away)
        )

    def _weigh(self, snapshot: Snapshot, now_us: int) -> None:
        """Take up a doubt at once, let go of it late."""
        doubt = snapshot.certainty.doubt
        if doubt is not None:
            if doubt is not self._doubt:
                self._status_at = -1
            self._doubt, self._doubt_until = doubt, now_us + _DOUBT_US
        elif self._doubt is not None and now_us >= self._doubt_until:
            self._doubt = None
            self._status_at = -1

    def _say_how_sure(self, snapshot: Snapshot, look: bool = True) -> None:
        """The small lines under both numbers, and the turn of the base. ``look``: the force is compared with this."""
        about = _ABOUT.get(self._doubt.name.partition("_")[0], _BOTH) if self._doubt is not None else ()
        sure = snapshot.certainty
        known = sure.u_force_n > 0 and math.isfinite(snapshot.force_n)
        force, before = self._force.value, self._exact_n
        if look:
            self._exact_n = force
        if not known:
            exact = ""
        elif abs(force - before) > _STEADY_N:  # it would be wrong by the time it is read
            exact = spread(sure.u_force_n, "N", 1)
        else:
            exact = amount(force, sure.u_force_n, "N", 1)
        self.ring.feed_exact(*((NOT_SURE, True) if "force" in about else (exact, False)))
        tilted = math.isfinite(snapshot.tip_angle_deg)
        spread_deg = spread(sure.u_tip_angle_deg, "°", 1) if tilted else ""
        self.disc.feed_aside(*((NOT_SURE, True) if "angle" in about else (spread_deg, False)))
        self.disc.feed_turn(sure.turn_deg, COVERAGE * sure.u_turn_deg)

    def _move(self, snapshot: Snapshot, ring: Ring, step_s: float) -> None:
        """Needle and dot."""
        hold = snapshot.hold
        live = hold.phase in _LOADED
        force = min(max(snapshot.force_n, -_MOST_N), _MOST_N)  # a sensor at its limit may read infinity; NaN stays
        force = self._force.toward(force, step_s)
        self.ring.feed(force, live and hold.force_zone in _ASTRAY)
        x, y = self.disc.split(snapshot.tip_angle_deg, snapshot.tip_direction_deg)
        if snapshot.tip_angle_deg < 0.05:
            x = y = 0.0  # straight up: whatever the direction says
        guided = live and hold.angle_zone in _TILTED
        self.disc.feed(self._x.toward(x, step_s), self._y.toward(y, step_s), lambda: self._tail(ring), guided)

    def _tail(self, ring: Ring) -> list[tuple[float, float]]:
        """Where the tip leaned during the last moments, oldest first."""
        _, t_us, rows = ring.since(max(0, ring.count - ring.readable))
        if self._still or len(t_us) < 2:
            return []
        wanted = t_us[-1] - _TAIL_US
        at = np.searchsorted(t_us, wanted[wanted >= t_us[0]])
        points = [self.disc.split(*pair) for pair in rows[at][:, (ANGLE, DIRECTION)].tolist()]
        return [point for point in points if not math.isnan(point[0])]

    def _nothing_came(self) -> None:
        """The loop's thread itself has gone silent."""
        if not self.ended and not self._broken:
            self._set_stale(True)
            self.sentence.feed(*SILENT, Tone.FAULT.value)

    def _set_stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.redress()

    # -- looks ----------------------------------------------------------------------------------------------------

    def dress(self, tokens: Tokens) -> None:
        """The theme; the state of the hold may lay another ground over it."""
        self._base = tokens
        self.redress()

    def redress(self) -> None:
        """Choose the ground for the state of the hold."""
        phase = self._snapshot.hold.phase if self._snapshot is not None else None
        grounds = {Phase.STOPPED: STOPPED, Phase.DONE: DONE}
        self.tokens = grounds.get(phase, self._base) if phase is not None else self._base
        super().redress()

    def tokens_for(self, part: Painted) -> Tokens:
        """Old data: the instruments lose their colours, words keep theirs."""
        if self._stale and part in (self.ring, self.disc, self.sweep, self.countdown):
            return faded(self.tokens)
        return self.tokens

    def arrange(self) -> None:
        """Ring and disc on the left; sentence and time on the right; sweep and foot across."""
        width, height = self.page_width, self.page_height
        title = min(600.0, QFontMetricsF(font(Type.MID, bold=True)).horizontalAdvance(self._site.text) + 4)
        self.place(self._site, MARGIN, 26, title, 34)
        self.place(self._about, MARGIN + title + 20, 26, 400, 34)
        foot = height - 96
        sweep_top = foot - 92
        ring_width, ring_height = RING_SIZE
        spare = max(0.0, sweep_top - 64 - ring_height)
        left = MARGIN - 10 + max(0.0, (width - 1280) * 0.2)
        top = 64 + spare / 2
        self.place(self.ring, left, top, ring_width, ring_height)
        disc_left = left + CENTRE[0] - DISC_SIZE / 2
        self.place(self.disc, disc_left, top + CENTRE[1] - DISC_SIZE / 2, DISC_SIZE, DISC_SIZE)
        self.disc.raise_()
        right = left + ring_width + 50
        room = width - MARGIN - right
        self.place(self.sentence, right, top + 14, room, SENTENCE_SIZE[1])
        self.place(self.countdown, right, top + 196, min(room, 700.0), COUNTDOWN_SIZE[1])
        self.place(self.sweep, MARGIN, sweep_top, width - 2 * MARGIN, 76)
        self.place(self.button, width - MARGIN - 300, foot, 300, 72)
        self.place(self.status, MARGIN, foot, width - 2 * MARGIN - 324, 72)
