"""A line or a few lines of text, painted."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, fitted, font

_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class Text(Instrument):
    """Text in one size and one colour token. One line shrinks to fit; with ``wrap`` it breaks instead."""

    def __init__(
        self,
        text: str = "",
        size: Type = Type.MID,
        ink: str = "text",
        bold: bool = False,
        wrap: bool = False,
        align: Qt.AlignmentFlag = _LEFT,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self.text = text
        self.ink = ink
        self._size, self._bold, self._wrap, self._align = size, bold, wrap, align

    def set_text(self, text: str, ink: str | None = None) -> None:
        """Show another text; nothing happens when it is the same."""
        if text != self.text or (ink is not None and ink != self.ink):
            self.text, self.ink = text, ink or self.ink
            self.setAccessibleName(text)
            self.update()

    def breadth(self) -> float:
        """Design pixels that the text needs in one line."""
        return QFontMetricsF(font(self.type_px(self._size), self._bold)).horizontalAdvance(self.text) / self.unit + 4

    def draw(self, painter: QPainter) -> None:
        """The text, in its box."""
        painter.setPen(colour(getattr(self.tokens, self.ink)))
        size = self.type_px(self._size)
        if self._wrap:
            painter.setFont(font(size, self._bold))
            painter.drawText(QRectF(self.rect()), self._align | Qt.TextFlag.TextWordWrap, self.text)
        else:
            painter.setFont(fitted(self.text, size, self.width(), self._bold))
            painter.drawText(QRectF(self.rect()), self._align, self.text)
