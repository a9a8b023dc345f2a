"""Calibrate: what now? The sentence, what is read, how far the step is, how the tool lies, and what is captured.

The procedure behind it captures by itself as soon as the reading is at rest; the person only does what the sentence
says. Escape asks once more before readings are thrown away. Old data grey the instruments and are named where the
sentence stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QWidget

from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.instruments.base import Painted
from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.live_reading import SIZE as READING_SIZE
from nexuslink.app.instruments.live_reading import LiveReading
from nexuslink.app.instruments.plateaus import PlateauTrace
from nexuslink.app.instruments.residuals import Residuals
from nexuslink.app.instruments.sentence import SIZE as SENTENCE_SIZE
from nexuslink.app.instruments.sentence import Sentence
from nexuslink.app.instruments.text import Text
from nexuslink.app.instruments.turning_tool import TurningTool
from nexuslink.app.theme import MARGIN, Tokens, Type, faded, font
from nexuslink.app.views.base import View
from nexuslink.calibration.picture import Picture, Stage

if TYPE_CHECKING:
    from PySide6.QtGui import QHideEvent

WATCH_MS: Final = 1500  # nothing at all for this long: say so
SILENT: Final = ("No data. Hold still.", "Nothing arrives from the tool.")
BEGINNING: Final = ("Wait for the tool.", "The first samples are on their way.")
LOST: Final = ("Tool lost.", "Check its battery and cable, then start again.")
ENDED: Final = ("It was not finished.", "Start again when you are ready.")
SURE: Final = "Esc again throws away what is captured."
SHOWN: Final = {
    Stage.WAITING: ("calm", "Waiting for you."),
    Stage.SETTLING: ("calm", "Not at rest yet."),
    Stage.CAPTURING: ("good", "It is being read."),
    Stage.DONE: ("good", "All is captured."),
    Stage.REFUSED: ("warn", "All is captured, but it is not good enough."),
}
"""Stage -> tone, and the line under the sentence."""
KEEP: Final = "Good. Leave it so."
"""While a moment of rest is read: what was asked for has been done, and to say it again would have it done again."""
MOVING: Final = ("calm", "Every turn counts, and every rest.")


_OVER: Final = (Stage.DONE, Stage.REFUSED)
UNPARTED: Final = ("°/s",)
"""Units of what has no points: the tool's picture gets their room."""


class CalibrateView(View):
    """A calibration in progress. ``leave``: given up. ``again``: from the beginning, after it broke."""

    title = "Calibrate"
    leave = Signal()
    undo = Signal()
    again = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: Picture | None = None
        self._stale = self._broken = self._sure = self._unparted = False
        self._name = self.add(Text("", Type.MID, bold=True, parent=self))
        self._step = self.add(Text("", Type.MID, ink="mute", parent=self))
        self.tool = self.add(TurningTool(self))
        self.points = self.add(Residuals(self))
        self.sentence = self.add(Sentence(self))
        self.reading = self.add(LiveReading(self))
        self.trace = self.add(PlateauTrace(self))
        self._why = self.add(Text("", Type.SMALL, ink="warn", wrap=True, parent=self))
        self._hint = self.add(Text("? shows the keys", Type.SMALL, ink="mute", parent=self))
        self._again = self.add(Button("Start again", Weight.MAIN, key="Enter", parent=self))
        self._undo = self.add(Button("Undo last", Weight.QUIET, key="Backspace", parent=self))
        self._leave = self.add(Button("Give up", Weight.QUIET, key="Esc", parent=self))
        self._again.clicked.connect(self.again)
        self._undo.clicked.connect(self.undo)
        self._leave.clicked.connect(self._left)
        self._again.hide()
        self._why.hide()
        self._watch = QTimer(self)
        self._watch.setSingleShot(True)
        self._watch.setInterval(WATCH_MS)
        self._watch.timeout.connect(self._nothing_came)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Backspace takes the last reading back, Escape gives up, Return begins again after a break."""
        return {
            "Backspace": self._undo.click,
            "Escape": self._leave.click,
            "Return": self._again.click,
            "Enter": self._again.click,
        }

    @property
    def stale(self) -> bool:
        """Whether what is shown is old."""
        return self._stale

    @property
    def step_line(self) -> str:
        """How far it is."""
        return self._step.text

    # -- life of a calibration ------------------------------------------------------------------------------------

    def begin(self, name: str, simulated: bool) -> None:
        """A new one: forget the last."""
        self._picture = None
        self._broken = self._sure = False
        self._name.set_text(name)
        self._step.set_text("")
        self.sentence.feed(*BEGINNING, "calm")
        self.reading.feed(float("nan"), 0.0, "", 0.0, "")
        self.points.feed((), "", 0)
        self._alone(False)
        self.tool.feed(None)
        self.trace.feed(CaptureLog())
        self._again.hide()
        self._why.hide()
        self._hint.show()
        self._undo.setEnabled(False)
        self._undo.setVisible(not self._unparted)
        self._leave.set_word("Give up")
        self._set_stale(False)
        self.set_simulated(simulated)
        self.relayout()
        self._watch.start()

    def refresh(self, log: CaptureLog) -> None:
        """Something arrived."""
        picture = log.picture
        if picture is None or self._broken:
            return
        self._watch.start()
        self._set_stale(False)
        before, self._picture = self._picture, picture
        if before is None or before.title != picture.title:
            self._name.set_text(picture.title)
            self.relayout()
        tone, detail = SHOWN[picture.stage]
        if picture.unit in UNPARTED and picture.stage is Stage.CAPTURING:
            tone, detail = MOVING
        if picture.stage in _OVER:
            self._watch.stop()
        if self._sure and (not has_captured(picture) or before is None or picture.stage is not before.stage):
            self._set_sure(False)
        reads = picture.stage is Stage.CAPTURING and picture.unit not in UNPARTED
        self.sentence.feed(
            KEEP if reads else picture.sentence, SURE if self._sure else detail, "warn" if self._sure else tone
        )
        self._step.set_text(step_words(picture))
        done = picture.progress_of_step
        unparted = picture.unit in UNPARTED
        of = "what is needed" if unparted else "this reading"
        note = f"{100 * min(1.0, max(0.0, done)):.0f} % of {of}" if picture.stage is Stage.CAPTURING else ""
        share = 0.0 if picture.stage is Stage.WAITING else done
        self.reading.feed(picture.reading, picture.reading_u, picture.unit, share, note)
        left = max(0, picture.steps - picture.step)
        self.points.feed(picture.points, picture.unit, left if picture.stage not in _OVER else 0)
        self._alone(unparted)
        self.tool.feed(picture.up)
        self.trace.feed(log)
        working = 0 < picture.steps <= picture.step  # the sums are under way: too late to take anything back
        self._undo.setEnabled(bool(picture.points) and not working)
        self.set_simulated(picture.simulated)

    def fail(self, message: str, lost: bool) -> None:
        """The link is ``lost``, or it ended for another reason: say so, and offer both ways on."""
        self._broken = True
        self._watch.stop()
        self._set_stale(True)
        self.sentence.feed(*(LOST if lost else ENDED), "fault" if lost else "warn")
        self._why.set_text(f"▲ {message}")
        self._why.show()
        self._hint.hide()
        self._undo.hide()
        self._again.show()
        self._leave.set_word("Back")
        self.relayout()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Nobody looks: nothing is late."""
        self._watch.stop()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _left(self) -> None:
        """Out at once while nothing is captured, else on the second wish."""
        captured = self._picture is not None and has_captured(self._picture)
        if captured and not self._sure and not self._broken:
            self._set_sure(True)
            self.sentence.feed(self.sentence.said[0], SURE, "warn")
            return
        self._watch.stop()
        self.leave.emit()

    def _alone(self, unparted: bool) -> None:
        if unparted != self._unparted:
            self._unparted = unparted
            self.points.setVisible(not unparted)
            self._undo.setVisible(not unparted)
            self.relayout()

    def _set_sure(self, sure: bool) -> None:
        self._sure = sure
        self._leave.set_word("Throw away" if sure else "Give up")

    def _nothing_came(self) -> None:
        self._set_stale(True)
        self.sentence.feed(*SILENT, "fault")

    def _set_stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.redress()

    def tokens_for(self, part: Painted) -> Tokens:
        """Old data: the instruments lose their colours, words keep theirs."""
        if self._stale and part in (self.tool, self.points, self.reading, self.trace):
            return faded(self.tokens)
        return self.tokens

    def arrange(self) -> None:
        """Tool and points on the left; sentence and reading on the right; trace and foot across."""
        width, height = self.page_width, self.page_height
        title = min(640.0, QFontMetricsF(font(Type.MID, bold=True)).horizontalAdvance(self._name.text) + 4)
        self.place(self._name, MARGIN, 26, title, 34)
        self.place(self._step, MARGIN + title + 20, 26, 320, 34)
        foot = height - 96
        trace_top = foot - 120
        left = 520.0 + max(0.0, (width - 1280) * 0.3)
        top, room = 80.0, trace_top - 16 - 80
        picture = room if self._unparted else max(168.0, min(0.46 * room, 0.75 * left))
        self.place(self.tool, MARGIN, top, left, picture)
        self.place(self.points, MARGIN, top + picture + 8, left, room - picture - 8)
        right = MARGIN + left + 56
        spare = max(0.0, (room - SENTENCE_SIZE[1] - READING_SIZE[1]) / 2)
        self.place(self.sentence, right, top + 0.6 * spare, width - MARGIN - right, SENTENCE_SIZE[1])
        self.place(self.reading, right, top + SENTENCE_SIZE[1] + spare, min(700.0, width - MARGIN - right),
                   READING_SIZE[1])  # fmt: skip
        self.place(self.trace, MARGIN, trace_top, width - 2 * MARGIN, 104)
        self.place(self._leave, MARGIN, foot, 240, 72)
        self.place(self._undo, MARGIN + 256, foot, max(284.0, self._undo.breadth()), 72)
        self.place(self._again, width - MARGIN - 300, foot, 300, 72)
        self.place(self._why, MARGIN + 264, foot, width - 2 * MARGIN - 264 - 324, 72)
        hint = self._hint.breadth()
        self.place(self._hint, width - MARGIN - hint, foot, hint, 72)


def has_captured(picture: Picture) -> bool:
    """Whether leaving would throw something away."""
    return bool(picture.points) or picture.step > 0


def step_words(picture: Picture) -> str:
    """``reading 2 of 6``; while it is open, how many there are."""
    if not picture.steps:
        return f"{picture.step} captured" if picture.step else ""
    if picture.stage in _OVER:
        return f"{picture.steps} of {picture.steps}"
    return f"step {min(picture.step + 1, picture.steps)} of {picture.steps}"
