"""Buttons: the one that matters on a page, the one that stops, and the quiet ones."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Pressable, blend
from nexuslink.app.theme import RADIUS, Type, colour, fitted, font

_PADDING = 20  # design pixels
_KEY_GAP = 16


class Weight(Enum):
    """How much a button asks for attention: (fill token, ink token)."""

    MAIN = ("in_fill", "on_fill")
    STOP = ("stop_fill", "on_fill")
    QUIET = ("panel", "text")


class Button(Pressable):
    """A word on a field, with the key that does the same in small letters beside it."""

    def __init__(
        self, word: str, weight: Weight, key: str = "", parent: QWidget | None = None, size: Type = Type.MID
    ) -> None:
        super().__init__(word, parent)
        self._weight = weight
        self._size = size
        self._key = ""
        self.set_key(key)

    def set_word(self, word: str) -> None:
        """Rename the button."""
        if word != self.text():
            self.setText(word)
            self.setAccessibleName(word)
            self.update()

    def set_key(self, key: str) -> None:
        """The key that does the same; empty: there is none."""
        if key != self._key:
            self._key = key
            self.setAccessibleDescription(f"Key: {key}" if key else "")
            self.update()

    def set_weight(self, weight: Weight) -> None:
        """Ask for more attention, or less."""
        if weight is not self._weight:
            self._weight = weight
            self.update()

    def breadth(self) -> float:
        """Design pixels that word and key need."""
        word = QFontMetricsF(font(self.type_px(self._size), bold=True)).horizontalAdvance(self.text())
        key = QFontMetricsF(font(self.type_px(Type.SMALL))).horizontalAdvance(self._key) if self._key else 0.0
        return (word + key) / self.unit + 2 * _PADDING + (_KEY_GAP if self._key else 0) + 4

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Return presses too, as Space does."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def draw(self, painter: QPainter) -> None:
        """The field, the word, the key."""
        fill_token, ink_token = self._weight.value
        fill = colour(getattr(self.tokens, fill_token))
        ink = colour(getattr(self.tokens, ink_token))
        if not self.isEnabled():
            fill, ink = colour(self.tokens.raised), colour(self.tokens.mute)
        elif self.isDown():
            fill = blend(getattr(self.tokens, fill_token), self.tokens.ground, 0.25)
        radius = self.px(RADIUS)
        box = QRectF(self.rect())
        quiet = self._weight is Weight.QUIET
        painter.setPen(QPen(colour(self.tokens.line), self.px(1.5)) if quiet else Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        edge = self.px(1.5) / 2 if quiet else 0.0
        painter.drawRoundedRect(box.adjusted(edge, edge, -edge, -edge), radius, radius)
        painter.setPen(ink)
        padding = _PADDING * self.unit
        inner = box.adjusted(padding, 0, -padding, 0)
        key_width = 0.0
        if self._key:
            painter.setFont(fitted(self._key, self.type_px(Type.SMALL), int(inner.width() / 2)))
            key_width = painter.fontMetrics().horizontalAdvance(self._key) + _KEY_GAP * self.unit
            painter.drawText(inner, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._key)
            inner.setRight(inner.right() - key_width)
        painter.setFont(fitted(self.text(), self.type_px(self._size), int(inner.width()), bold=True))
        word = painter.fontMetrics().horizontalAdvance(self.text())
        if (box.width() + word) / 2 <= inner.right():  # in the middle of the button, if the key leaves room
            inner = box
        painter.drawText(inner, Qt.AlignmentFlag.AlignCenter, self.text())
        if quiet:
            self.focus_frame(painter, radius)
        else:  # the usual ring would not be seen on a fill
            self.focus_frame(painter, radius, inset=self.px(5), ink=ink_token)


class Card(Pressable):
    """One choice among several: a title, a line about it, and a mark when it is the chosen one."""

    def __init__(self, title: str, detail: str, simulated: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.setCheckable(True)
        self.detail = detail
        self.simulated = simulated
        self.setAccessibleDescription(f"{'Simulated. ' if simulated else ''}{detail}")

    def draw(self, painter: QPainter) -> None:
        """Field, mark, title, detail, and the badge of a simulated tool."""
        from nexuslink.app.instruments.badge import BADGE_SIZE, paint_badge

        tokens, unit = self.tokens, self.unit
        chosen = self.isChecked()
        width = self.px(3 if chosen else 1.5)
        box = QRectF(self.rect()).adjusted(width / 2, width / 2, -width / 2, -width / 2)
        painter.setBrush(colour(tokens.panel))
        painter.setPen(QPen(colour(tokens.in_ if chosen else tokens.line), width))
        painter.drawRoundedRect(box, self.px(RADIUS), self.px(RADIUS))
        self._draw_mark(painter, chosen)
        right = box.right() - 20 * unit
        if self.simulated:
            badge_width, badge_height = (side * unit for side in BADGE_SIZE)
            top = (self.height() - badge_height) / 2
            paint_badge(painter, QRectF(right - badge_width, top, badge_width, badge_height), tokens, unit)
            right -= badge_width + 16 * unit
        left = 64 * unit
        room = int(right - left)
        half = self.height() / 2
        title = QRectF(left, 11 * unit, room, half - 5 * unit)
        detail = QRectF(left, half + 1 * unit, room, half - 11 * unit)
        if not self.detail:
            title = QRectF(left, 0, room, self.height())
        painter.setPen(colour(tokens.text))
        painter.setFont(fitted(self.text(), self.type_px(Type.MID), room, bold=True))
        painter.drawText(title, Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.setPen(colour(tokens.mute))
        painter.setFont(fitted(self.detail, self.type_px(Type.SMALL), room))
        painter.drawText(detail, Qt.AlignmentFlag.AlignVCenter, self.detail)
        self.focus_frame(painter, self.px(RADIUS), inset=self.px(6) if chosen else 0)

    def _draw_mark(self, painter: QPainter, chosen: bool) -> None:
        radius = 11 * self.unit
        x, y = 34 * self.unit, self.height() / 2
        painter.setPen(QPen(colour(self.tokens.in_ if chosen else self.tokens.mute), self.px(2)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QRectF(x - radius, y - radius, 2 * radius, 2 * radius))
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(self.tokens.in_))
            radius *= 0.55
            painter.drawEllipse(QRectF(x - radius, y - radius, 2 * radius, 2 * radius))
