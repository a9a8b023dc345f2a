"""What every view shares: a page of 1280 x 720 design pixels, scaled with the window, and its painted parts.

A view asks one question and answers with signals; it never touches a tool, a loop or a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.badge import BADGE_SIZE, Badge
from nexuslink.app.instruments.base import Painted
from nexuslink.app.theme import DARK, DESIGN_HEIGHT, DESIGN_WIDTH, MARGIN, Tokens, colour

Part = TypeVar("Part", bound=Painted)


class View(QWidget):
    """A page. Subclasses add parts and say in ``arrange`` where each one goes."""

    title = ""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tokens: Tokens = DARK
        self.unit = 1.0
        self.turned = False
        self._parts: list[Painted] = []
        self.setAccessibleName(self.title)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAutoFillBackground(True)
        self.badge = self.add(Badge(self))
        self.badge.hide()

    # -- parts ----------------------------------------------------------------------------------------------------

    def add(self, part: Part) -> Part:
        """Take a part into the page; it wears what the page wears."""
        self._parts.append(part)
        return part

    def set_simulated(self, simulated: bool) -> None:
        """Say, or cease to say, that the tool is simulated."""
        self.badge.setVisible(simulated)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Keys of this page: key sequence to what it does."""
        return {}

    # -- looks ----------------------------------------------------------------------------------------------------

    def dress(self, tokens: Tokens) -> None:
        """Wear these colours."""
        self.tokens = tokens
        self.redress()

    def redress(self) -> None:
        """Hand colours, unit and orientation to ground and parts."""
        clothes = self.palette()
        clothes.setColor(QPalette.ColorRole.Window, colour(self.tokens.ground))
        self.setPalette(clothes)
        for part in self._parts:
            part.dress(self.tokens_for(part), self.unit, self.turned)

    def tokens_for(self, part: Painted) -> Tokens:
        """What one part wears; a view may let some of them fade."""
        return self.tokens

    def refresh_layers(self) -> None:
        """Throw away what the parts have drawn in advance."""
        for part in self._parts:
            part.dressed()
            part.update()

    # -- places ---------------------------------------------------------------------------------------------------

    @property
    def page_width(self) -> float:
        """Width of the page in design pixels: at least 1280, more in a wide window."""
        return self.width() / self.unit

    @property
    def page_height(self) -> float:
        """Height of the page in design pixels: at least 720, more in a tall window."""
        return self.height() / self.unit

    def place(self, part: QWidget, x: float, y: float, width: float, height: float) -> None:
        """Put a part at design coordinates from the page's upper left corner, wherever that is now."""
        unit = self.unit
        left, top = round(x * unit), round(y * unit)
        box = QRect(left, top, round((x + width) * unit) - left, round((y + height) * unit) - top)
        if self.turned:
            box.moveTo(self.width() - box.x() - box.width(), self.height() - box.y() - box.height())
        part.setGeometry(box)

    def arrange(self) -> None:
        """Place every part; called when the size has changed."""

    def relayout(self) -> None:
        """Unit and places for the present size."""
        self.unit = max(0.2, min(self.width() / DESIGN_WIDTH, self.height() / DESIGN_HEIGHT))
        width, height = BADGE_SIZE
        self.place(self.badge, self.page_width - MARGIN - width, 26, width, height)
        self.redress()  # first: what a part needs depends on its type
        self.arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Lay the page out again."""
        self.relayout()
