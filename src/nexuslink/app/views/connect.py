"""Connect: which tool?

States: looking, a list (the simulated tool is always on it), connecting, failed with a next step. This module is on
the path to the first window: it imports Qt and nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QButtonGroup, QFrame, QScrollArea, QWidget

from nexuslink.app.instruments.button import Button, Card, Weight
from nexuslink.app.instruments.text import Text
from nexuslink.app.instruments.tool_picture import SIZE as PICTURE_SIZE
from nexuslink.app.instruments.tool_picture import ToolPicture
from nexuslink.app.theme import MARGIN, Type, colour
from nexuslink.app.views.base import View

if TYPE_CHECKING:
    from nexuslink.app.nearby import NearTool

_LIST = (40, 186, 660, 336)  # design pixels
_CARD_HEIGHT = 84
_CARD_STEP = 96

LOOKING = "Looking for tools."
PICK = "Pick one, then connect."
ONLY_SIMULATED = "No tool found. Switch it on, plug it in, search again. The simulated one is always here."


class ConnectView(View):
    """Lists tools; ``picked`` carries the URL of the one to connect to, ``calibrate`` that of one to be calibrated."""

    title = "Which tool?"
    picked = Signal(str)
    calibrate = Signal(str)
    search = Signal()
    stopped = Signal()  # Escape: do not connect

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._head = self.add(Text(self.title, Type.BIG, bold=True, parent=self))
        self._lead = self.add(Text(LOOKING, Type.MID, ink="mute", parent=self))
        self._note = self.add(Text("", Type.SMALL, ink="mute", wrap=True, parent=self, align=Qt.AlignmentFlag.AlignTop))
        self._picture = self.add(ToolPicture(self))
        self._hint = self.add(Text("? shows the keys", Type.SMALL, ink="mute", parent=self))
        self._again = self.add(Button("Search again", Weight.QUIET, parent=self))
        self._calibrate = self.add(Button("Calibrate", Weight.QUIET, key="C", parent=self))
        self._connect = self.add(Button("Connect", Weight.MAIN, key="Enter", parent=self))
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._shelf = QWidget()
        self._scroll.setWidget(self._shelf)
        self._group = QButtonGroup(self)
        self._cards: list[Card] = []
        self._tools: list[NearTool] = []
        self._broken = False
        self._again.clicked.connect(self.search)
        self._connect.clicked.connect(self._pick)
        self._calibrate.clicked.connect(self._pick_to_calibrate)
        self._calibrate.setEnabled(False)
        self._group.idToggled.connect(self._changed)
        self._connect.setEnabled(False)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Return connects from anywhere on the page, C connects to calibrate, Escape ceases to connect."""
        return {
            "Return": self._connect.click,
            "Enter": self._connect.click,
            "C": self._calibrate.click,
            "Escape": self.stopped.emit,
        }

    # -- states ---------------------------------------------------------------------------------------------------

    def show_looking(self) -> None:
        """The search runs."""
        self._broken = False
        self._lead.set_text(LOOKING)
        self._note.set_text("")
        self._again.setEnabled(False)

    def show_tools(self, tools: Sequence[NearTool]) -> None:
        """A finished search. The choice stays where it was if that tool is still there."""
        kept = self._chosen_url()
        for card in self._cards:
            self._group.removeButton(card)
            self._parts.remove(card)
            card.deleteLater()
        self._tools = list(tools)
        self._cards = []
        for at, tool in enumerate(self._tools):
            detail = " · ".join(tool.carriers)
            card = self.add(Card(tool.title, detail, tool.simulated, self._shelf))
            self._group.addButton(card, at)
            self._cards.append(card)
            card.show()
        urls = [tool.url for tool in self._tools]
        if urls:
            self._cards[urls.index(kept) if kept in urls else 0].setChecked(True)
        real = any(not tool.simulated for tool in self._tools)
        if not self._broken:  # else what went wrong is still the news
            self._lead.set_text(PICK)
            self._note.set_text("" if real else ONLY_SIMULATED, ink="mute")
        self._again.setEnabled(True)
        self._connect.setEnabled(bool(urls))
        self._calibrate.setEnabled(bool(urls))
        self._connect.set_word("Connect")
        self.relayout()

    def show_connecting(self, name: str) -> None:
        """A connection is being made."""
        self._broken = False
        self._lead.set_text(f"Connecting to {name}.")
        self._note.set_text("Esc to choose another.", ink="mute")
        self._connect.set_word("Connecting")
        self._connect.setEnabled(False)
        self._calibrate.setEnabled(False)
        self._again.setEnabled(False)

    def show_step(self, lead: str, note: str) -> None:
        """How far connecting is, and what can be done about it."""
        self._lead.set_text(lead)
        self._note.set_text(note, ink="mute")

    def show_failed(self, message: str) -> None:
        """It did not work: one line that says what, where and what to do."""
        self._broken = True
        self._lead.set_text("That did not work.")
        self._note.set_text(f"▲ {message}", ink="warn")
        self._connect.set_word("Connect")
        self._connect.setEnabled(bool(self._tools))
        self._calibrate.setEnabled(bool(self._tools))
        self._again.setEnabled(True)

    @property
    def listed(self) -> int:
        """Tools on the list."""
        return len(self._tools)

    @property
    def note(self) -> str:
        """What stands under the list."""
        return self._note.text

    @property
    def lead(self) -> str:
        """What stands under the title."""
        return self._lead.text

    # -- inside ---------------------------------------------------------------------------------------------------

    def _chosen_url(self) -> str | None:
        at = self._group.checkedId()
        return self._tools[at].url if 0 <= at < len(self._tools) else None

    def _changed(self, at: int, checked: bool) -> None:
        if checked and at < len(self._tools):
            self.set_simulated(self._tools[at].simulated)

    def _pick(self) -> None:
        url = self._chosen_url()
        if url is not None:
            self.picked.emit(url)

    def _pick_to_calibrate(self) -> None:
        url = self._chosen_url()
        if url is not None:
            self.calibrate.emit(url)

    def redress(self) -> None:
        """The list's own ground, too."""
        super().redress()
        clothes = self._shelf.palette()
        clothes.setColor(QPalette.ColorRole.Window, colour(self.tokens.ground))
        self._shelf.setPalette(clothes)
        self._scroll.setPalette(clothes)

    def arrange(self) -> None:
        """Title and list on the left, the tool's picture on the right, buttons at the foot."""
        width, height = self.page_width, self.page_height
        x, y, list_width, _ = _LIST
        self.place(self._head, MARGIN, 64, 700, 66)
        self.place(self._lead, MARGIN, 130, 700, 34)
        foot = height - 100
        list_height = max(_CARD_STEP, min(foot - y - 96, _CARD_STEP * max(1, len(self._cards))))
        self.place(self._scroll, x, y, list_width, list_height)
        self.place(self._note, x + 4, y + list_height + 8, list_width - 8, 76)
        unit = self.unit
        room = self._scroll.width() - (round(16 * unit) if len(self._cards) * _CARD_STEP > list_height + 1 else 0)
        self._shelf.setFixedSize(room, round(_CARD_STEP * unit * max(1, len(self._cards))))
        for at, card in enumerate(self._cards):
            card.setGeometry(0, round(at * _CARD_STEP * unit), room, round(_CARD_HEIGHT * unit))
        picture_width, picture_height = PICTURE_SIZE
        middle = (x + list_width + width - MARGIN) / 2
        self.place(self._picture, middle - picture_width / 2 + 12, (height - picture_height) / 2 - 24, *PICTURE_SIZE)
        self.place(self._connect, width - MARGIN - 300, foot, 300, 72)
        self.place(self._again, MARGIN, foot, 220, 72)
        self.place(self._calibrate, width - MARGIN - 300 - 256, foot, 240, 72)
        self.place(self._hint, MARGIN + 244, foot, 200, 72)
