"""Verdict: is it good enough, and should the tool have it?

States: good and to be written, the code asked for, writing, written, not written with the reason; a check, which
changes nothing; refused, with what to do. Nothing is written without the code from inside the tool's base.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QWidget

from nexuslink.app.asked import CODE_EXAMPLE, FormError, code_text, unlock_code
from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.changes import Change
from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.changes import Changes
from nexuslink.app.instruments.field import HEIGHT as FIELD_HEIGHT
from nexuslink.app.instruments.field import Field
from nexuslink.app.instruments.plateaus import PlateauTrace
from nexuslink.app.instruments.residuals import Residuals
from nexuslink.app.instruments.sentence import SIZE as SENTENCE_SIZE
from nexuslink.app.instruments.sentence import Sentence
from nexuslink.app.instruments.text import Text
from nexuslink.app.theme import MARGIN, Type, font
from nexuslink.app.views.base import View
from nexuslink.calibration.picture import Picture, Stage


class State(Enum):
    """What the page is about: (main button, quiet button). Empty: there is none."""

    OFFERED = ("Write to the tool", "Do not write")
    ASKING = ("Write now", "Do not write")
    WRITING = ("Writing", "")
    WRITTEN = ("Done", "")
    FAILED = ("Try again", "Do not write")
    CHECKED = ("Done", "Check again")
    REFUSED = ("Start again", "Back")


GOOD: Final = "Good enough."
BAD: Final = "Not good enough."
CHECK_GOOD: Final = "Within its claim."
CHECK_BAD: Final = "Outside its claim."
READY: Final = "It may go into the tool."
SHORT: Final = 44
"""A longer verdict stands under a headline."""
TRACED: Final = 6
"""With more points than this the list gets the trace's room."""
KEPT: Final = "The tool keeps its old calibration until you write the new one."
ASK: Final = "It stands inside the tool's base."
SIMULATED_CODE: Final = "Simulated tool: its code is {}."
WRITTEN: Final = ("Written. The tool has it.", "Read back, and the same.")
SIMULATED_FORGETS: Final = "Read back, and the same. A simulated tool forgets it with the connection."


class VerdictView(View):
    """``write`` carries the code; ``again`` begins the same anew; ``leave`` goes back to the choice."""

    title = "Good enough?"
    write = Signal(int)
    again = Signal()
    leave = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = State.REFUSED
        self._simulated_code: int | None = None
        self._advice = ""
        self._rows = 0
        self._name = self.add(Text("", Type.MID, bold=True, parent=self))
        self._step = self.add(Text("", Type.MID, ink="mute", parent=self))
        self.sentence = self.add(Sentence(self))
        self.points = self.add(Residuals(self))
        self.changes = self.add(Changes(self))
        self.trace = self.add(PlateauTrace(self))
        self.code = self.add(Field("Code inside the tool's base", CODE_EXAMPLE, self))
        self._note = self.add(Text("", Type.SMALL, ink="mute", wrap=True, parent=self))
        self._why = self.add(Text("", Type.MID, ink="warn", wrap=True, parent=self))
        self._main = self.add(Button("Done", Weight.MAIN, key="Enter", parent=self))
        self._quiet = self.add(Button("Back", Weight.QUIET, key="Esc", parent=self))
        self._main.clicked.connect(self._go)
        self._quiet.clicked.connect(self._back)
        self.code.edited.connect(lambda _: self._hint())

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Return does what the main button says, Escape what the quiet one says."""
        return {"Return": self._main.click, "Enter": self._main.click, "Escape": self._escape}

    @property
    def state(self) -> State:
        """What the page is about."""
        return self._state

    @property
    def note(self) -> str:
        """The small line by the code."""
        return self._note.text

    # -- states ---------------------------------------------------------------------------------------------------

    def show_end(
        self,
        log: CaptureLog,
        picture: Picture,
        changes: tuple[Change, ...],
        checked: bool,
        simulated_code: int | None,
    ) -> None:
        """A finished calibration and its last picture. ``checked``: it was a check, there is nothing to write."""
        self.trace.feed(log)
        self._simulated_code = simulated_code
        self._advice = picture.advice
        self._name.set_text(picture.title)
        self._step.set_text(f"{len(picture.points)} captured" if picture.points else "")
        self.points.feed(picture.points, picture.unit, 0)
        self._rows = len(picture.points)
        self.changes.feed(changes)
        self.code.set_text("")
        self.set_simulated(picture.simulated)
        good = picture.stage is Stage.DONE
        said = sentence_of(picture.verdict or picture.sentence)
        tone = "good" if good else "warn"
        if checked:
            self.sentence.feed(CHECK_GOOD if good else CHECK_BAD, said, tone)
            self._enter(State.CHECKED)
        elif good:
            self.sentence.feed(*((said, READY) if len(said) <= SHORT else (GOOD, said)), tone)
            self._enter(State.OFFERED)
        else:
            said = sentence_of(picture.sentence)
            self.sentence.feed(*((said, "") if len(said) <= SHORT else (BAD, said)), tone)
            self._enter(State.REFUSED)

    def show_written(self) -> None:
        """The tool has it, and it was read back."""
        detail = WRITTEN[1] if self._simulated_code is None else SIMULATED_FORGETS
        self.sentence.feed(WRITTEN[0], detail, "good")
        self._enter(State.WRITTEN)

    def show_failed(self, message: str) -> None:
        """It was not written: the reason as one line."""
        self.sentence.feed("That did not work.", "The reason stands below.", "warn")
        self._why.set_text(f"▲ {message}")
        self._enter(State.FAILED)

    def _enter(self, state: State) -> None:
        self._state = state
        main, quiet = state.value
        self._main.set_word(main)
        self._main.setEnabled(state is not State.WRITING)
        self._quiet.setVisible(bool(quiet))
        self._quiet.set_word(quiet or "Back")
        self._quiet.set_key("" if state is State.CHECKED else "Esc")  # Escape leads out, as it does everywhere
        asking = state in (State.ASKING, State.FAILED)
        self.code.setVisible(asking)
        self._note.setVisible(asking or state is State.OFFERED or (state is State.WRITTEN and bool(self._advice)))
        self._why.setVisible(state is State.FAILED)
        self._hint()
        self.relayout()
        (self.code.line if asking else self).setFocus()

    def _hint(self) -> None:
        self.code.set_bad(False)
        if self._state is State.OFFERED:
            self._note.set_text(KEPT, ink="mute")
            return
        if self._state is State.WRITTEN:
            self._note.set_text(self._advice, ink="ink")
            return
        hint = ASK if self._simulated_code is None else SIMULATED_CODE.format(code_text(self._simulated_code))
        self._note.set_text(hint, ink="mute")

    # -- wishes ---------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        if self._state is State.OFFERED:
            self._enter(State.ASKING)
        elif self._state in (State.ASKING, State.FAILED):
            try:
                code = unlock_code(self.code.text)
            except FormError as error:
                self.code.set_bad(True)
                self._note.set_text(f"▲ {error}", ink="warn")
                return
            self.sentence.feed("Wait: writing.", "Do not switch the tool off.", "calm")
            self._enter(State.WRITING)
            self.write.emit(code)
        elif self._state is State.REFUSED:
            self.again.emit()
        elif self._state in (State.WRITTEN, State.CHECKED):
            self.leave.emit()

    def _back(self) -> None:
        if self._state is State.CHECKED:
            self.again.emit()
        elif self._state is not State.WRITING:
            self.leave.emit()

    def _escape(self) -> None:
        """Escape always leads out, but for while the tool is being written to."""
        if self._state is not State.WRITING:
            self.leave.emit()

    # -- looks ----------------------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """Verdict across the top; points left, as found and as left on the right; code and buttons at the foot."""
        width, height = self.page_width, self.page_height
        title = min(640.0, QFontMetricsF(font(Type.MID, bold=True)).horizontalAdvance(self._name.text) + 4)
        self.place(self._name, MARGIN, 26, title, 34)
        self.place(self._step, MARGIN + title + 20, 26, 320, 34)
        self.place(self.sentence, MARGIN, 72, width - 2 * MARGIN, SENTENCE_SIZE[1])
        foot = height - 100
        failed = self._state is State.FAILED
        self.trace.setVisible(not failed and self._rows <= TRACED)
        below = 120 if failed or self._rows <= TRACED else 0
        top, bottom = 72 + SENTENCE_SIZE[1] + 16, foot - 24 - below
        self.place(self.trace, MARGIN, bottom + 16, width - 2 * MARGIN, 104)
        half = 0.54 * (width - 2 * MARGIN - 24)
        both = self.changes_shown and self._rows > 0
        self.changes.setVisible(self.changes_shown)
        self.points.setVisible(self._rows > 0)
        full = width - 2 * MARGIN
        self.place(self.points, MARGIN, top, half if both else full, bottom - top)
        right = MARGIN + half + 24 if both else MARGIN
        self.place(self.changes, right, top, width - MARGIN - right, bottom - top)
        self.place(self._why, MARGIN, bottom + 16, width - 2 * MARGIN, 104)
        main = max(300.0, self._main.breadth())
        self.place(self._main, width - MARGIN - main, foot, main, 72)
        self.place(self._quiet, MARGIN, foot, 260, 72)
        self.place(self.code, MARGIN + 284, foot - 4, 280, FIELD_HEIGHT)
        beside = MARGIN + (284 if self._state in (State.OFFERED, State.WRITTEN) else 588)
        self.place(self._note, beside, foot - 2, width - MARGIN - beside - main - 24, 80)

    @property
    def changes_shown(self) -> bool:
        """A check and a refused calibration leave nothing behind."""
        return self._state not in (State.CHECKED, State.REFUSED)


def sentence_of(verdict: str) -> str:
    """As a sentence: a capital first, a full stop last."""
    text = verdict.strip()
    return text if not text else text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")
