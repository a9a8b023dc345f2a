"""The calibration as it was found and as it is left; what changed by more than both were sure of is marked."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.changes import Change
from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import RADIUS, Type, colour, fitted

_ROW: Final = (22, 48)  # design pixels, least and most
_HEAD: Final = 32
_NAME: Final = 0.52  # shares of the width: name, then two values
NOTHING: Final = "Nothing changes."


class Changes(Instrument):
    """A table of few lines; what has no room is counted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("As found and as left", parent)
        self._rows: tuple[Change, ...] = ()

    def feed(self, rows: tuple[Change, ...]) -> None:
        """Show these."""
        if rows != self._rows:
            self._rows = rows
            self.say("; ".join(f"{row.name}: found {row.found}, left {row.left}" for row in rows) or NOTHING)
            self.update()

    def draw(self, painter: QPainter) -> None:
        """Panel, head, lines."""
        tokens, unit = self.tokens, self.unit
        box = QRectF(self.rect())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(tokens.panel))
        painter.drawRoundedRect(box, self.px(RADIUS), self.px(RADIUS))
        inner = box.adjusted(16 * unit, 6 * unit, -16 * unit, -10 * unit)
        if not self._rows:
            self._write(painter, inner, NOTHING, "mute", Qt.AlignmentFlag.AlignCenter)
            return
        head = QRectF(inner.left(), inner.top(), inner.width(), _HEAD * unit)
        self._line(painter, head, "", "as found", "as left", "mute", "mute")
        painter.setPen(QPen(colour(tokens.line), max(1.0, unit)))
        painter.drawLine(head.bottomLeft(), head.bottomRight())
        least, most = (side * unit for side in _ROW)
        room = inner.height() - head.height()
        high = min(most, max(least, room / len(self._rows)))
        fits = max(1, int(room / high + 1e-6))
        shown = self._rows if len(self._rows) <= fits else self._rows[: fits - 1]
        for at, row in enumerate(shown):
            line = QRectF(inner.left(), head.bottom() + at * high, inner.width(), high)
            name = f"▲ {row.name}" if row.beyond else row.name
            self._line(painter, line, name, row.found, row.left, "warn" if row.beyond else "text", "text")
        left_out = len(self._rows) - len(shown)
        if left_out:
            line = QRectF(inner.left(), head.bottom() + len(shown) * high, inner.width(), high)
            self._line(painter, line, f"and {left_out} more", "", "", "mute", "mute")

    def _line(
        self, painter: QPainter, line: QRectF, name: str, found: str, left: str, name_ink: str, left_ink: str
    ) -> None:
        wide = line.width()
        value = (1 - _NAME) / 2 * wide
        gap = 8 * self.unit
        right = Qt.AlignmentFlag.AlignRight
        first = QRectF(line.left(), line.top(), _NAME * wide - gap, line.height())
        self._write(painter, first, name, name_ink, Qt.AlignmentFlag.AlignLeft)
        second = QRectF(line.left() + _NAME * wide, line.top(), value - gap, line.height())
        self._write(painter, second, found, "mute", right)
        third = QRectF(line.left() + _NAME * wide + value, line.top(), value, line.height())
        self._write(painter, third, left, left_ink, right, bold=left_ink == "text")

    def _write(
        self, painter: QPainter, box: QRectF, text: str, ink: str, align: Qt.AlignmentFlag, bold: bool = False
    ) -> None:
        painter.setPen(colour(getattr(self.tokens, ink)))
        painter.setFont(fitted(text, self.type_px(Type.SMALL), int(box.width()), bold))
        painter.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, text)
