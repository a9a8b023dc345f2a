"""The cards of all tools, one below the other, scrolled where they are too many. A card stays as long as its tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QButtonGroup, QFrame, QScrollArea, QWidget

from nexuslink.app.instruments.base import one_tab_stop
from nexuslink.app.instruments.tool_card import ToolCard
from nexuslink.app.theme import Tokens, colour

if TYPE_CHECKING:
    from nexuslink.app.near_list import NearTool

CARD_HEIGHT: Final = 84  # design pixels
CARD_STEP: Final = 96
_BAR = 16


class ToolShelf(QScrollArea):
    """``adopt`` and ``drop``: told of each card that comes and goes; who owns the page dresses it.

    ``touched``: a person has chosen a card. ``changed``: another one is chosen, by whomever.
    """

    touched = Signal()
    changed = Signal()

    def __init__(
        self, adopt: Callable[[ToolCard], object], drop: Callable[[ToolCard], object], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._adopt, self._drop = adopt, drop
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._board = QWidget()
        self.setWidget(self._board)
        self._group = QButtonGroup(self)
        self._group.buttonToggled.connect(self._toggled)
        self.cards: list[ToolCard] = []

    @property
    def chosen(self) -> NearTool | None:
        """The tool of the chosen card."""
        card = self._group.checkedButton()
        return card.tool if isinstance(card, ToolCard) and card in self.cards else None

    def feed(self, tools: Sequence[NearTool]) -> bool:
        """Show these tools; whether cards have come, gone or changed places."""
        before = {card.tool.key: card for card in self.cards}
        order = list(before)
        keys = [tool.key for tool in tools]
        for key in before.keys() - set(keys):
            card = before.pop(key)
            self._group.removeButton(card)
            self._drop(card)
            card.deleteLater()
        self.cards = []
        for tool in tools:
            found = before.get(tool.key)
            if found is None:
                found = ToolCard(tool, self._board)
                self._adopt(found)
                found.clicked.connect(self.touched)
                self._group.addButton(found)
                found.show()
            found.feed(tool)
            self.cards.append(found)
        one_tab_stop(self._group)
        return keys != order

    def choose(self, card: ToolCard) -> None:
        """Choose one, without a person's doing."""
        card.setChecked(True)

    def move_choice(self, by: int) -> None:
        """To the card above or below, as a person's wish."""
        at = next((at for at, card in enumerate(self.cards) if card.isChecked()), None)
        if at is not None:
            card = self.cards[max(0, min(len(self.cards) - 1, at + by))]
            card.click()
            self.ensureWidgetVisible(card, 0, 0)

    def set_open(self, is_open: bool) -> None:
        """Whether another card can be chosen now."""
        for card in self.cards:
            card.setEnabled(is_open)

    def height_for(self, room: float) -> float:
        """As high as the cards need, at most ``room``; design pixels."""
        return max(CARD_STEP, min(room, CARD_STEP * max(1, len(self.cards))))

    def lay(self, unit: float) -> None:
        """Place the cards, at this size of a design pixel."""
        whole = round(CARD_STEP * unit * max(1, len(self.cards)))
        room = self.width() - (round(_BAR * unit) if whole > self.height() + 1 else 0)
        self._board.setFixedSize(room, whole)
        for at, card in enumerate(self.cards):
            card.setGeometry(0, round(at * CARD_STEP * unit), room, round(CARD_HEIGHT * unit))

    def dress(self, tokens: Tokens, unit: float) -> None:
        """The ground and the scroll bar; the cards are the page's to dress."""
        clothes = self._board.palette()
        clothes.setColor(QPalette.ColorRole.Window, colour(tokens.ground))
        self._board.setPalette(clothes)
        self.setPalette(clothes)
        self.verticalScrollBar().setStyleSheet(
            f"QScrollBar {{ background: {tokens.ground}; width: {round(8 * unit)}px; border: none }}"
            f"QScrollBar::handle {{ background: {tokens.line}; border-radius: {round(4 * unit)}px }}"
            "QScrollBar::add-line, QScrollBar::sub-line { height: 0 }"
            "QScrollBar::add-page, QScrollBar::sub-page { background: none }"
        )

    def _toggled(self, _card: object, checked: bool) -> None:
        if checked:
            self.changed.emit()
