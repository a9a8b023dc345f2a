"""One result on a panel: a caption, a large value, and what it is measured against."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import RADIUS, Type, colour, fitted

SIZE = (285, 168)  # design pixels


class Figure(Instrument):
    """A value with its caption above and a note below; with ``share`` a bar as well."""

    def __init__(self, caption: str, parent: QWidget | None = None) -> None:
        super().__init__(caption, parent)
        self._caption = caption
        self._value, self._note = "–", ""
        self._share: float | None = None

    def feed(self, value: str, note: str, share: float | None = None) -> None:
        """Show a value, a note and, from 0 to 1, how much of the whole it is."""
        self._value, self._note, self._share = value, note, share
        self.say(f"{value}, {note}")
        self.update()

    def draw(self, painter: QPainter) -> None:
        """Panel, caption, value, note, bar."""
        tokens, unit = self.tokens, self.unit
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(tokens.panel))
        painter.drawRoundedRect(QRectF(self.rect()), self.px(RADIUS), self.px(RADIUS))
        pad = 24 * unit
        inner = QRectF(pad, 0, self.width() - 2 * pad, self.height())
        rows = (
            (self._caption, 18, 24, Type.SMALL, "mute", False),
            (self._value, 46, 64, Type.BIG, "text", True),
            (self._note, 114, 26, Type.SMALL, "mute", False),
        )
        for text, top, height, size, token, bold in rows:
            painter.setPen(colour(getattr(tokens, token)))
            painter.setFont(fitted(text, self.type_px(size), int(inner.width()), bold))
            row = QRectF(inner.left(), top * unit, inner.width(), height * unit)
            painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, text)
        if self._share is not None:
            bar = QRectF(inner.left(), 148 * unit, inner.width(), 6 * unit)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(tokens.raised))
            painter.drawRoundedRect(bar, 3 * unit, 3 * unit)
            bar.setWidth(bar.width() * min(1.0, max(0.0, self._share)))
            painter.setBrush(colour(tokens.in_))
            painter.drawRoundedRect(bar, 3 * unit, 3 * unit)
