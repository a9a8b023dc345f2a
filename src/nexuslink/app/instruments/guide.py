"""What is going on, or went wrong, and what to do next: a sign, a sentence, steps, and small print.

Handed words, it paints them; it knows no tool and no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.instruments.signs import Sign, paint_sign
from nexuslink.app.theme import RADIUS, Type, colour, fitted, font

_PADDING = 32  # design pixels
_SIGN = 48
_STEP = 40
_WRAP = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
SMALL_MAX = 180
"""Characters of small print that are painted; a screen reader finds all of them."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """``ink``: token of sign and head. ``done``: steps that are behind; the next one is being done, -1: none."""

    head: str
    sign: Sign | None = None
    ink: str = "text"
    steps: tuple[str, ...] = ()
    done: int = -1
    body: str = ""
    small: str = ""


class Guide(Instrument):
    """A panel beside the list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("What to do", parent)
        self.guidance = Guidance("")

    def feed(self, guidance: Guidance) -> None:
        """Say this."""
        if guidance != self.guidance:
            self.guidance = guidance
            parts = (guidance.head, *guidance.steps, guidance.body, guidance.small)
            self.say(" ".join(part for part in parts if part))
            self.update()

    def height_for(self, width: float) -> float:
        """What all that is to be said needs, logical pixels, in a panel of this width."""
        return self._lay(None, width)

    def draw(self, painter: QPainter) -> None:
        """The panel and what it says."""
        painter.setPen(QPen(colour(self.tokens.line), self.px(1.5)))
        painter.setBrush(colour(self.tokens.panel))
        edge = self.px(1.5) / 2
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(edge, edge, -edge, -edge), self.px(RADIUS), self.px(RADIUS)
        )
        self._lay(painter, self.width())

    def _lay(self, painter: QPainter | None, breadth: float) -> float:
        """Paint everything, or only measure it."""
        said, unit = self.guidance, self.unit
        y = _PADDING * unit
        if said.sign is not None:
            if painter is not None:
                area = QRectF(_PADDING * unit, y, _SIGN * unit, _SIGN * unit)
                paint_sign(painter, area, said.sign, colour(getattr(self.tokens, said.ink)))
            y += (_SIGN + 16) * unit
        y = self._text(painter, y, breadth, said.head, font(self.type_px(Type.MID), bold=True), "text")
        if said.steps:
            y += 16 * unit
            for at, step in enumerate(said.steps):
                self._step(painter, y, step, at)
                y += _STEP * unit
        if said.body:
            y = self._text(painter, y + 12 * unit, breadth, said.body, font(self.type_px(Type.MID)), "text")
        if said.small:
            small = said.small if len(said.small) <= SMALL_MAX else said.small[: SMALL_MAX - 1] + "…"
            y = self._text(painter, y + 16 * unit, breadth, small, font(self.type_px(Type.SMALL)), "mute")
        return y + _PADDING * unit

    def _text(self, painter: QPainter | None, y: float, breadth: float, text: str, letters: QFont, ink: str) -> float:
        width = breadth - 2 * _PADDING * self.unit
        room = QRectF(_PADDING * self.unit, y, width, 10_000)
        height = QFontMetricsF(letters).boundingRect(room, _WRAP, text).height()
        if painter is not None:
            painter.setFont(letters)
            painter.setPen(colour(getattr(self.tokens, ink)))
            painter.drawText(QRectF(room.left(), y, width, height + 1), _WRAP, text)
        return y + height

    def _step(self, painter: QPainter | None, y: float, step: str, at: int) -> None:
        """A mark and a few words: a tick behind, a disc now, a ring before; without progress, plain discs."""
        if painter is None:
            return
        tokens, unit, done = self.tokens, self.unit, self.guidance.done
        middle = QPointF((_PADDING + 11) * unit, y + _STEP * unit / 2)
        radius = 9 * unit
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if done < 0:
            _disc(painter, middle, 4 * unit, tokens.mute)
        elif at < done:
            _tick(painter, middle, radius, tokens.in_)
        elif at == done:
            _ringed(painter, middle, radius, tokens.in_)
        else:
            _ring(painter, middle, radius, tokens.mute)
        now = at == done
        left = (_PADDING + 36) * unit
        area = QRectF(left, y, self.width() - left - _PADDING * unit, _STEP * unit)
        painter.setFont(fitted(step, self.type_px(Type.MID), int(area.width()), bold=now))
        painter.setPen(colour(tokens.text if now or done < 0 else tokens.mute))
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, step)


def _disc(painter: QPainter, middle: QPointF, radius: float, ink: str) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour(ink))
    painter.drawEllipse(middle, radius, radius)


def _ring(painter: QPainter, middle: QPointF, radius: float, ink: str) -> None:
    painter.setPen(QPen(colour(ink), radius / 4))
    painter.drawEllipse(middle, radius, radius)


def _ringed(painter: QPainter, middle: QPointF, radius: float, ink: str) -> None:
    _ring(painter, middle, radius, ink)
    _disc(painter, middle, radius * 0.55, ink)


def _tick(painter: QPainter, middle: QPointF, radius: float, ink: str) -> None:
    pen = QPen(colour(ink), radius / 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    x, y = middle.x(), middle.y()
    corners = [QPointF(x - radius * 0.8, y), QPointF(x - radius * 0.2, y + radius * 0.65)]
    painter.drawPolyline(QPolygonF([*corners, QPointF(x + radius * 0.9, y - radius * 0.65)]))
