"""Connect: which tool?

States: looking, a list that keeps itself up to date, nothing near, Bluetooth that cannot be used, connecting, failed
with a next step, and the two small questions about a remembered tool: its name, and whether to forget it. Where its
parts are is the page's. This module is on the path to the first window: it imports Qt and nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.button import Weight
from nexuslink.app.views.connect_page import ConnectPage

if TYPE_CHECKING:
    from nexuslink.app.instruments.guide import Guidance
    from nexuslink.app.instruments.tool_card import ToolCard
    from nexuslink.app.near_list import Near, NearTool
    from nexuslink.device.next_steps import NextStep

LOOKING = "Looking for tools."
PICK = "Pick one, then connect."
NONE_NEAR = "Still looking."
_LONGEST = 40
SIMULATED_TOOL = "the simulated tool"


class Mood(Enum):
    """What the page is about just now."""

    CHOOSING = auto()
    CONNECTING = auto()
    FAILED = auto()
    RENAMING = auto()
    FORGETTING = auto()


_ASKING = (Mood.RENAMING, Mood.FORGETTING)


class ConnectView(ConnectPage):
    """``picked`` carries the URL of the tool to connect to, ``calibrate`` that of one to be calibrated.

    ``stopped``: connect no longer. ``renamed`` (serial number, name), ``forgotten`` (serial number).
    """

    picked = Signal(str)
    calibrate = Signal(str)
    stopped = Signal()
    renamed = Signal(str, str)
    forgotten = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._near: Near | None = None
        self._mood = Mood.CHOOSING
        self._touched = False  # a person has chosen: from then on the choice is left alone
        self._tried = ""
        self._to_calibrate = False  # what trying again means
        self._stage: tuple[str, NextStep | None] | None = None
        self._failure: Guidance | None = None
        self.touched_list.connect(self._touch)
        self.changed_list.connect(self._refresh)
        self._connect.clicked.connect(self._act)
        self._calibrate.clicked.connect(self._pick_to_calibrate)
        self._cancel.clicked.connect(self._back)
        self._rename.clicked.connect(lambda: self._ask(Mood.RENAMING))
        self._forget.clicked.connect(lambda: self._ask(Mood.FORGETTING))
        self._refresh()

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Return presses the main button from anywhere on the page; arrows choose."""
        return {
            "Return": self._connect.click,
            "Enter": self._connect.click,
            "C": self._calibrate.click,
            "Up": lambda: self._move(-1),
            "Down": lambda: self._move(1),
            "F2": self._rename.click,
            "Delete": self._forget.click,
            "Escape": self._cancel.click,
        }

    # -- states ---------------------------------------------------------------------------------------------------

    def show_looking(self) -> None:
        """The search begins, and goes on until a tool is connected."""
        self._mood, self._touched, self._tried = Mood.CHOOSING, False, ""
        if self._near is not None:  # what was near is what is most likely near still
            self._near = replace(self._near, radio=None, settled=False)
        self._refresh()

    def show_near(self, near: Near) -> None:
        """What is near now. The choice stays where it was if that tool is still there."""
        before = self.chosen
        self._near = near
        moved = self._shelf.feed(near.tools)
        if before is not None and self.chosen is None and self._mood in _ASKING:
            self._mood = Mood.CHOOSING  # whom it was about is gone
        self._choose()
        self._refresh()
        if moved:
            self.order()
            self.relayout()

    def show_connecting(self, url: str) -> None:
        """A connection to this address is being made."""
        self._mood, self._tried, self._stage = Mood.CONNECTING, url, None
        for card in self._cards:
            if card.tool.url == url:
                self._shelf.choose(card)
        self._refresh()

    def show_progress(self, stage: str, trouble: NextStep | None = None) -> None:
        """How far the connection is, as the supervisor spells it; ``trouble``: what the last attempt came to."""
        self._stage = stage, trouble
        self._refresh()

    def show_failed(self, message: str, step: NextStep | None = None) -> None:
        """It did not work: one line of the error, and what it means to a person."""
        self._mood = Mood.FAILED
        from nexuslink.app.views import guidance

        self._failure = guidance.failed(message, step, tell=self._tried not in {t.url for t in self._tools})
        self._refresh()

    @property
    def listed(self) -> int:
        """Tools on the list."""
        return len(self._cards)

    @property
    def note(self) -> str:
        """What is said beside and under the list."""
        said = self._guide.accessibleDescription() if self._has("_guide") else ""
        return " ".join(part for part in (said, self._note.text) if part)

    @property
    def lead(self) -> str:
        """What stands under the title."""
        return self._lead.text

    @property
    def mood(self) -> Mood:
        """What the page is about just now."""
        return self._mood

    @property
    def touched(self) -> bool:
        """A person has pointed at a tool."""
        return self._touched

    @property
    def chosen(self) -> NearTool | None:
        """The tool that would be connected to."""
        return self._shelf.chosen if self._has("_shelf") else None

    # -- choosing -------------------------------------------------------------------------------------------------

    @property
    def _cards(self) -> list[ToolCard]:
        return self._shelf.cards if self._has("_shelf") else []

    @property
    def _tools(self) -> tuple[NearTool, ...]:
        return self._near.tools if self._near is not None else ()

    def _choose(self) -> None:
        """The likeliest tool, until a person has chosen one that is still there."""
        if not self._cards or (self.chosen is not None and (self._touched or self._mood is not Mood.CHOOSING)):
            return
        self._shelf.choose(min(self._cards, key=lambda card: _unlikely(card.tool)))

    def _touch(self) -> None:
        self._touched = True
        if self._mood is not Mood.CONNECTING:
            self._mood = Mood.CHOOSING
        self._refresh()

    def _move(self, by: int) -> None:
        """To the card above or below."""
        if self._cards and self._mood in (Mood.CHOOSING, Mood.FAILED):
            self._shelf.move_choice(by)

    # -- acting ---------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """The main button."""
        tool = self.chosen
        if self._mood is Mood.FAILED and self._tried:
            (self.calibrate if self._to_calibrate else self.picked).emit(self._tried)
        elif self._mood in (Mood.CHOOSING, Mood.FAILED) and tool is not None:
            self._to_calibrate = False
            self.picked.emit(tool.url)
        elif self._mood in _ASKING and tool is not None and tool.serial_number:
            mood, self._mood = self._mood, Mood.CHOOSING
            self.setFocus()
            if mood is Mood.FORGETTING:
                self.forgotten.emit(tool.serial_number)
            else:
                self.renamed.emit(tool.serial_number, " ".join(self._name.text.split()))
            self._refresh()

    def _pick_to_calibrate(self) -> None:
        tool = self.chosen
        if tool is not None:
            self._to_calibrate = True
            self.calibrate.emit(tool.url)

    def _ask(self, mood: Mood) -> None:
        tool = self.chosen
        if tool is None or not tool.remembered or self._mood is Mood.CONNECTING:
            return
        self._mood, self._touched = mood, True
        self._refresh()
        if mood is Mood.RENAMING:
            self._name.set_text(tool.title)
            self._name.line.selectAll()
            self._name.line.setFocus()

    def _back(self) -> None:
        """Escape: whatever was begun is not done."""
        was, self._mood = self._mood, Mood.CHOOSING
        self.setFocus()
        self._refresh()
        if was is Mood.CONNECTING:
            self.stopped.emit()

    # -- what is shown --------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Words and buttons for the present state."""
        mood, tool = self._mood, self.chosen
        asking = mood in _ASKING
        self._lead.set_text(self._leading())
        said = self._said()
        if said is not None:
            self._guide.feed(said)
            self._guide.show()
        elif self._has("_guide"):
            self._guide.say("")
            self._guide.hide()
        self._picture.setVisible(said is None)
        if mood is Mood.RENAMING or self._has("_name"):
            self._name.setVisible(mood is Mood.RENAMING)
        self._note.set_text(self._aside(), ink="warn")
        self._note.setVisible(bool(self._note.text))
        words = {Mood.FAILED: "Try again", Mood.RENAMING: "Keep this name", Mood.FORGETTING: "Forget"}
        words[Mood.CONNECTING] = "Connecting"
        self._connect.set_word(words.get(mood, "Connect"))
        self._connect.set_weight(Weight.STOP if mood is Mood.FORGETTING else Weight.MAIN)
        self._connect.setEnabled(mood is not Mood.CONNECTING and (tool is not None or bool(self._tried)))
        self._calibrate.setVisible(not asking)
        self._calibrate.setEnabled(mood in (Mood.CHOOSING, Mood.FAILED) and tool is not None)
        known = tool is not None and tool.remembered and mood in (Mood.CHOOSING, Mood.FAILED)
        self._rename.setVisible(known)
        self._forget.setVisible(known)
        self._cancel.setVisible(asking or mood is Mood.CONNECTING)
        if self._has("_shelf"):
            self._shelf.set_open(not asking and mood is not Mood.CONNECTING)
        simulated = tool is not None and tool.simulated
        if mood in (Mood.CONNECTING, Mood.FAILED) and self._tried:
            simulated = _is_simulated(self._tried) or any(t.simulated for t in self._tools if t.url == self._tried)
        self.set_simulated(simulated)
        self.arrange()

    def _leading(self) -> str:
        if self._mood is Mood.CONNECTING:
            return f"Connecting to {self._called()}."
        if self._mood is Mood.FAILED and self._tried:
            return f"Not connected to {self._called()}."
        if any(tool.present and (tool.carriers or not tool.simulated) for tool in self._tools):
            return PICK
        return NONE_NEAR if self._near is not None and self._near.settled else LOOKING

    def _called(self) -> str:
        """The tool that was tried, as the list calls it."""
        named = next((tool.title for tool in self._tools if tool.url == self._tried), "")
        if _is_simulated(self._tried):
            return SIMULATED_TOOL
        return named or _shortened(self._tried.removeprefix("tool:"))

    def _said(self) -> Guidance | None:
        """What stands beside the list; without anything to say, the picture of the tool."""
        mood, tool = self._mood, self.chosen
        if mood is Mood.FAILED:
            return self._failure
        if mood is Mood.CONNECTING and (self._stage is None or _is_simulated(self._tried)):
            return None  # nothing is known yet, or it is there in the next moment
        if mood is Mood.CHOOSING and self._near is None:
            return None
        from nexuslink.app.views import guidance

        if mood is Mood.CONNECTING and self._stage is not None:
            return guidance.connecting(self._stage[0], self._pairs(), self._stage[1])
        if mood is not Mood.CHOOSING and tool is not None:
            return guidance.renaming(tool) if mood is Mood.RENAMING else guidance.forgetting(tool)
        return guidance.absence(self._near) if self._near is not None else None

    def _aside(self) -> str:
        """Under the list: Bluetooth cannot be used, while there are tools to choose from without it."""
        near = self._near
        if self._mood is not Mood.CHOOSING or near is None or near.radio is None or self._picture.isHidden():
            return ""
        return f"▲ {near.radio.line}"

    def _pairs(self) -> bool:
        """This computer may have to be let in by the tool's button first."""
        tool = next((tool for tool in self._tools if tool.url == self._tried), None)
        return tool is not None and tool.carriers == ("Bluetooth",) and not tool.bonded and not tool.remembered


def _shortened(address: str) -> str:
    """An address that somebody wrote, by its beginning and its end; the small print has all of it."""
    return address if len(address) <= _LONGEST else f"{address[: _LONGEST // 2]}…{address[-_LONGEST // 2 :]}"


def _unlikely(tool: NearTool) -> int:
    """How unlikely it is that this one is meant."""
    if tool.simulated:
        return 3 if tool.carriers else 4
    return (0 if tool.remembered else 1) if tool.present else 2


def _is_simulated(url: str) -> bool:
    """As far as a URL can tell; the tool itself says it once it is connected."""
    return url.partition(":")[0] == "sim"
