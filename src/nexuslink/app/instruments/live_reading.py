"""What a calibration reads right now, large, with its uncertainty, and how far the present step is."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, fitted, font
from nexuslink.app.words import decimals, number, spread

SIZE: Final = (580, 236)  # design pixels
_DIGITS: Final = 160
_UNIT: Final = 150  # room for the unit and the uncertainty beside the digits
_BAR: Final = (174, 14)  # top and height
_NOTE: Final = (198, 30)
_DECIMALS: Final = {"°/s": 0}  # where no uncertainty is known; 2 for the others
_MOST: Final = 99_999.0
_SURELY_ABOVE: Final = 1.0  # from here on no room is kept for a minus


class LiveReading(Instrument):
    """A number in a unit; the bar below is the step."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Reading", parent)
        self._number, self._unit_shown, self._spread, self._note = "–", "", "", ""
        self._share = 0.0
        self._widest = ""

    @property
    def text(self) -> str:
        """Number, unit and uncertainty in one line."""
        return " ".join(filter(None, (self._number, self._unit_shown, self._spread)))

    @property
    def note(self) -> str:
        """What stands under the bar."""
        return self._note

    def feed(self, reading: float, u: float, unit: str, share: float, note: str) -> None:
        """Show a reading, NaN for none; ``share`` of the step is done."""
        text = "–"
        if math.isfinite(reading):
            digits = min(2, decimals(u)) if 0 < u < math.inf else _DECIMALS.get(unit, 2)
            text = number(min(_MOST, max(-_MOST, reading)), digits)
        said = spread(u, "", 2).strip() if math.isfinite(reading) else ""
        share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
        if text == "–" or unit != self._unit_shown:
            self._widest = ""
        if reading > _SURELY_ABOVE:
            self._widest = self._widest.lstrip("\N{MINUS SIGN}")
        if len(text) > len(self._widest):  # the unit stays where the longest number so far put it
            self._widest = "".join("0" if letter.isdigit() else letter for letter in text)
        shown = (text, unit, said, note)
        if shown != (self._number, self._unit_shown, self._spread, self._note):
            self._number, self._unit_shown, self._spread, self._note = shown
            self.say(f"{self.text}, {note}")
            self.update()
        if round(share * self.width()) != round(self._share * self.width()):
            self.update()
        self._share = share

    def draw(self, painter: QPainter) -> None:
        """Digits, unit, uncertainty, bar, note."""
        tokens, unit = self.tokens, self.unit
        room = self.width() - _UNIT * unit
        widest = self._widest or self._number
        digits = fitted(widest, self.type_px(Type.HUGE * 0.8), int(room), bold=True)
        painter.setFont(digits)
        painter.setPen(colour(tokens.mute if self._number == "–" else tokens.text))
        height = -QFontMetricsF(digits).tightBoundingRect("0").top()
        base = _DIGITS * unit / 2 + height / 2
        metrics = QFontMetricsF(digits)
        shorter = metrics.horizontalAdvance(widest) - metrics.horizontalAdvance(self._number)
        painter.drawText(round(max(0.0, shorter)), round(base), self._number)
        left = metrics.horizontalAdvance(widest) + 18 * unit
        letters = font(self.type_px(Type.MID), bold=True)
        painter.setFont(letters)
        painter.drawText(round(left), round(base), self._unit_shown)
        painter.setPen(colour(tokens.mute))
        painter.setFont(fitted(self._spread, self.type_px(Type.MID), max(1, int(self.width() - left))))
        painter.drawText(round(left), round(base - 36 * unit), self._spread)
        self._draw_bar(painter)
        painter.setPen(colour(tokens.mute))
        painter.setFont(fitted(self._note, self.type_px(Type.SMALL), self.width()))
        row = QRectF(0, _NOTE[0] * unit, self.width(), _NOTE[1] * unit)
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, self._note)

    def _draw_bar(self, painter: QPainter) -> None:
        unit = self.unit
        bar = QRectF(0, _BAR[0] * unit, self.width(), _BAR[1] * unit)
        track = QPainterPath()
        track.addRoundedRect(bar, bar.height() / 2, bar.height() / 2)
        painter.fillPath(track, colour(self.tokens.raised))
        if self._share > 0:
            painter.save()
            painter.setClipPath(track)
            bar.setWidth(bar.width() * self._share)
            painter.fillRect(bar, colour(self.tokens.in_))
            painter.restore()
