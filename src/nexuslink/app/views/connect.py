"""Connect: which tool?

States: looking, a list that keeps itself up to date, nothing near, Bluetooth that cannot be used, connecting, failed
with a next step, and the two small questions about a remembered tool: its name, and whether to forget it. This module
is on the path to the first window: it imports Qt and nothing heavy, and makes the parts that come later when they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.text import Text
from nexuslink.app.instruments.tool_picture import SIZE as PICTURE_SIZE
from nexuslink.app.instruments.tool_picture import ToolPicture
from nexuslink.app.theme import MARGIN, Type
from nexuslink.app.views.base import Part, View

if TYPE_CHECKING:
    from nexuslink.app.instruments.field import Field
    from nexuslink.app.instruments.guide import Guidance, Guide
    from nexuslink.app.instruments.tool_card import ToolCard
    from nexuslink.app.instruments.tool_shelf import ToolShelf
    from nexuslink.app.near_list import Near, NearTool
    from nexuslink.device.next_steps import NextStep

_LIST = (40, 186, 660)  # design pixels
_GUIDE = 500
_FIELD = 76
_FOOT = 100
_ASIDE = 48

LOOKING = "Looking for tools."
PICK = "Pick one, then connect."
NONE_NEAR = "Still looking."
SIMULATED_TOOL = "the simulated tool"


class Mood(Enum):
    """What the page is about just now."""

    CHOOSING = auto()
    CONNECTING = auto()
    FAILED = auto()
    RENAMING = auto()
    FORGETTING = auto()


_ASKING = (Mood.RENAMING, Mood.FORGETTING)


class ConnectView(View):
    """``picked`` carries the URL of the tool to connect to, ``calibrate`` that of one to be calibrated.

    ``stopped``: connect no longer. ``renamed`` (serial number, name), ``forgotten`` (serial number).
    """

    title = "Which tool?"
    picked = Signal(str)
    calibrate = Signal(str)
    stopped = Signal()
    renamed = Signal(str, str)
    forgotten = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._head = self.add(Text(self.title, Type.BIG, bold=True, parent=self))
        self._lead = self.add(Text(LOOKING, Type.MID, ink="mute", parent=self))
        self._note = self.add(Text("", Type.SMALL, ink="mute", wrap=True, parent=self, align=Qt.AlignmentFlag.AlignTop))
        self._picture = self.add(ToolPicture(self))
        self._hint = self.add(Text("? shows the keys", Type.SMALL, ink="mute", parent=self))
        self._cancel = self.add(Button("Cancel", Weight.QUIET, key="Esc", parent=self))
        self._rename = self.add(Button("Rename", Weight.QUIET, key="F2", parent=self, size=Type.SMALL))
        self._forget = self.add(Button("Forget", Weight.QUIET, key="Del", parent=self, size=Type.SMALL))
        self._calibrate = self.add(Button("Calibrate", Weight.QUIET, key="C", parent=self))
        self._connect = self.add(Button("Connect", Weight.MAIN, key="Enter", parent=self))
        self._near: Near | None = None
        self._mood = Mood.CHOOSING
        self._touched = False  # a person has chosen: from then on the choice is left alone
        self._tried = ""
        self._to_calibrate = False  # what trying again means
        self._stage: tuple[str, NextStep | None] | None = None
        self._failure: Guidance | None = None
        self._connect.clicked.connect(self._act)
        self._calibrate.clicked.connect(self._pick_to_calibrate)
        self._cancel.clicked.connect(self._back)
        self._rename.clicked.connect(lambda: self._ask(Mood.RENAMING))
        self._forget.clicked.connect(lambda: self._ask(Mood.FORGETTING))
        self._refresh()

    # -- parts that not every window needs ------------------------------------------------------------------------

    @cached_property
    def _shelf(self) -> ToolShelf:
        from nexuslink.app.instruments.tool_shelf import ToolShelf

        shelf = ToolShelf(self.add, self._parts.remove, self)
        shelf.touched.connect(self._touch)
        shelf.changed.connect(self._refresh)
        shelf.show()
        return shelf

    @cached_property
    def _guide(self) -> Guide:
        from nexuslink.app.instruments.guide import Guide

        return self._late(Guide(self))

    @cached_property
    def _name(self) -> Field:
        from nexuslink.app.instruments.field import Field

        return self._late(Field("Name", "", self))

    def _late(self, part: Part) -> Part:
        part.hide()
        part.dress(self.tokens, self.unit, self.turned)
        return self.add(part)

    def _has(self, part: str) -> bool:
        """That part has been made."""
        return part in self.__dict__

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
        return named or self._tried.removeprefix("tool:")

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

    def redress(self) -> None:
        """The list's own ground, too."""
        super().redress()
        if self._has("_shelf"):
            self._shelf.dress(self.tokens, self.unit)

    # -- places ---------------------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """Title and list on the left, the tool's picture or what to do on the right, buttons at the foot."""
        x, _, list_width = _LIST
        width, height = PICTURE_SIZE
        self.place(self._head, MARGIN, 64, 700, 66)
        self.place(self._lead, MARGIN, 130, list_width, 34)
        middle = (x + list_width + self.page_width - MARGIN) / 2 + 12
        self.place(self._picture, middle - width / 2, (self.page_height - height) / 2 - 24, width, height)
        if self._has("_shelf"):
            self._place_shelf()
        if self._has("_guide"):
            self._place_guide()
        self._place_foot()

    def _place_shelf(self) -> None:
        """The list, and under it what else is to be said."""
        x, y, width = _LIST
        aside = _ASIDE if self._note.isVisibleTo(self) else 0
        height = self._shelf.height_for(self.page_height - _FOOT - 32 - y - aside)
        self.place(self._shelf, x, y, width, height)
        self.place(self._note, x + 4, y + height, width - 8, _ASIDE)
        self._shelf.lay(self.unit)

    def _place_guide(self) -> None:
        x, y, list_width = _LIST
        left = max(x + list_width + 40, (x + list_width + self.page_width - MARGIN - _GUIDE) / 2)
        asks = self._mood is Mood.RENAMING
        room = self.page_height - _FOOT - 24 - y - (_FIELD + 16 if asks else 0)
        self._guide.dress(self.tokens, self.unit, self.turned)
        height = min(room, self._guide.height_for(_GUIDE * self.unit) / self.unit)
        self.place(self._guide, left, y, _GUIDE, height)
        if asks:
            self.place(self._name, left, y + height + 16, _GUIDE, _FIELD)

    def _place_foot(self) -> None:
        """The quiet buttons stand at the left, as many as there are."""
        width, foot = self.page_width, self.page_height - _FOOT
        self.place(self._connect, width - MARGIN - 300, foot, 300, 72)
        self.place(self._calibrate, width - MARGIN - 300 - 256, foot, 240, 72)
        left = float(MARGIN)
        for button, breadth, tall in ((self._cancel, 176, 72), (self._rename, 152, 44), (self._forget, 152, 44)):
            if button.isVisibleTo(self):
                self.place(button, left, foot + (72 - tall) / 2, breadth, tall)
                left += breadth + 16
        self.place(self._hint, left + 4, foot, 160, 72)


def _unlikely(tool: NearTool) -> int:
    """How unlikely it is that this one is meant."""
    if tool.simulated:
        return 3 if tool.carriers else 4
    return (0 if tool.remembered else 1) if tool.present else 2


def _is_simulated(url: str) -> bool:
    """As far as a URL can tell; the tool itself says it once it is connected."""
    return url.partition(":")[0] == "sim"
