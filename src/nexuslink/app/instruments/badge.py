"""The badge that says a tool is simulated. In every view, so that no picture passes for a real hold."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Tokens, Type, colour, fitted, type_px

WORD = "SIMULATED"
BADGE_SIZE = (156, 34)  # design pixels


def paint_badge(painter: QPainter, area: QRectF, tokens: Tokens, unit: float) -> None:
    """The word in its outline, inside ``area``."""
    width = max(1.0, 2 * unit)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour(tokens.warn), width))
    box = area.adjusted(width, width, -width, -width)
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
    painter.setFont(fitted(WORD, type_px(Type.SMALL, unit), int(box.width() - 12 * unit), bold=True))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, WORD)


class Badge(Instrument):
    """Shown by a view while its tool is simulated."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Simulated tool", parent)

    def draw(self, painter: QPainter) -> None:
        """The word in its outline."""
        paint_badge(painter, QRectF(self.rect()), self.tokens, self.unit)
