"""Time left, the largest thing on the page, with the share that is done and the words for both."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, fitted, font
from nexuslink.app.words import clock

SIZE = (580, 236)  # design pixels
_DIGITS = 160  # height of the digits' box
_BAR = (174, 14)  # top and height of the bar
_NOTE = (198, 30)


class Countdown(Instrument):
    """Seconds still to hold in band and in angle; ``running`` says whether they are counting now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Time left", parent)
        self._clock = "–:––"
        self._share = 0.0
        self._note = ""
        self._running = False

    @property
    def clock(self) -> str:
        """The time shown."""
        return self._clock

    def feed(self, held_s: float, hold_s: float, running: bool) -> None:
        """Seconds held and asked for."""
        left = clock(max(0.0, hold_s - held_s), up=True)
        note = f"{math.floor(held_s)} s held in band and angle, {hold_s:g} s asked"
        if (left, note, running) != (self._clock, self._note, self._running):
            self._clock, self._note, self._running = left, note, running
            self.say(f"{left} left, {note}")
            self.update()
        share = min(1.0, held_s / hold_s) if hold_s > 0 else 0.0
        ratio = self.devicePixelRatioF()
        before, self._share = self._share, share
        if int(share * self.width() * ratio) != int(before * self.width() * ratio):
            self.touch(self._bar())

    def _bar(self) -> QRectF:
        return QRectF(0, _BAR[0] * self.unit, self.width(), _BAR[1] * self.unit)

    def draw(self, painter: QPainter) -> None:
        """Digits, bar, words, each only where it is out of date."""
        if self.dirty.top() < self._bar().top():
            self._draw_digits(painter)
        if self.dirty.intersects(self._bar()):
            self._draw_bar(painter)
        if self.dirty.bottom() > _NOTE[0] * self.unit:
            self._draw_note(painter)

    def _draw_digits(self, painter: QPainter) -> None:
        """Digits that are not counting stand back."""
        tokens, unit = self.tokens, self.unit
        painter.setPen(colour(tokens.text if self._running else tokens.mute))
        digits = fitted(self._clock, self.type_px(Type.HUGE), self.width(), bold=True)
        painter.setFont(digits)
        # The digits fill their box exactly: the line's own head and foot room would waste a third of it.
        top = painter.fontMetrics().tightBoundingRect("0").top()
        painter.drawText(int(-6 * unit), round(_DIGITS * unit / 2 - top / 2), self._clock)

    def _draw_bar(self, painter: QPainter) -> None:
        tokens, bar = self.tokens, self._bar()
        radius = bar.height() / 2
        track = QPainterPath()
        track.addRoundedRect(bar, radius, radius)
        painter.fillPath(track, colour(tokens.raised))
        if self._share > 0:
            painter.save()
            painter.setClipPath(track)
            done = QRectF(bar)
            done.setWidth(bar.width() * self._share)
            painter.fillRect(done, colour(tokens.in_))
            painter.restore()

    def _draw_note(self, painter: QPainter) -> None:
        unit = self.unit
        painter.setPen(colour(self.tokens.mute))
        painter.setFont(font(self.type_px(Type.SMALL)))
        painter.drawText(
            QRectF(0, _NOTE[0] * unit, self.width(), _NOTE[1] * unit), Qt.AlignmentFlag.AlignVCenter, self._note
        )
