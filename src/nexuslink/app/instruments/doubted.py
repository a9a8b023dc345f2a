"""How a value says aside how sure it is: its uncertainty in small grey, or a mark and a word for a doubt."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen, QPolygonF

from nexuslink.app.theme import Tokens, colour, fitted

NOT_SURE: Final = "not sure"


def draw_aside(painter: QPainter, box: QRectF, text: str, doubted: bool, tokens: Tokens, size: int) -> None:
    """``text`` in the middle of ``box``; a doubted one behind an open triangle, both in the warning colour."""
    letters = fitted(text, size, int(box.width() - 2 * size), bold=doubted)
    painter.setFont(letters)
    painter.setPen(colour(tokens.warn if doubted else tokens.mute))
    if doubted:
        width = QFontMetricsF(letters).horizontalAdvance(text)
        side = 0.5 * size
        x, y = box.center().x() - width / 2 - 0.25 * size, box.center().y()
        corners = [QPointF(x, y - side), QPointF(x + side, y + 0.8 * side), QPointF(x - side, y + 0.8 * side)]
        painter.setPen(QPen(colour(tokens.warn), max(1.0, size / 8)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolygon(QPolygonF(corners))
        box = box.translated(0.6 * size, 0)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
