"""The lean disc: the tip seen from above, its target shaded, a dot with a short tail.

The disc lies as the person lies: seen from above, head up. The mark on the tool's base points to the side where the
midline (or the hip bone) is on the screen, so a lean to the left of the screen is a lean to the left. Out of the
target, an arrow leads from the dot to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPixmap, QRegion
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.instruments.doubted import draw_aside
from nexuslink.app.theme import Type, colour, font

DISC_SIZE = 284  # design pixels
TAIL_POINTS = 12
_DOT = 14
_WORDS = 0.56  # height of the words for both sides, in shares of the radius
_MOVED = 0.3  # logical pixels


@dataclass(frozen=True, slots=True)
class LeanTarget:
    """Where the tip should lean: degrees from vertical, direction about the mark, words for both sides."""

    angle_low: float
    angle_high: float
    direction: float
    half_width: float
    counts_above: float  # below this angle the direction does not count
    toward: str  # what the mark points to
    away: str
    mark_on_right: bool  # whether that is on the right of the screen

    @property
    def rim(self) -> float:
        """Angle at the edge of the disc."""
        return 10.0 * math.ceil((self.angle_high + 12.0) / 10.0)

    @property
    def step(self) -> float:
        """Degrees between the rings of the disc."""
        return 10.0 if self.rim <= 40 else 20.0

    def screen_deg(self, direction: float) -> float:
        """A direction on the screen, counterclockwise from its right."""
        return direction if self.mark_on_right else direction + 180.0


class LeanDisc(Instrument):
    """The tip's lean as a dot; angle and direction in degrees."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Lean of the tip", parent)
        self._target = LeanTarget(0, 20, 0, 60, 8, "midline", "out", True)
        self._lean = (math.nan, math.nan)  # degrees along screen right and screen up
        self._behind: list[tuple[float, float]] = []  # the same, where it was
        self._dot: QPointF | None = None
        self._tail: list[QPointF] = []
        self._guided = False
        self._number = ""
        self._aside = ""
        self._doubted = False
        self._turned_by: tuple[int, int] | None = None
        self._back: QPixmap | None = None
        self._written: dict[tuple[str, str], QPixmap] = {}  # whole degrees that were shown, in two inks: at most 362
        self._pens: list[QPen] = []
        self.dressed()

    def set_target(self, target: LeanTarget) -> None:
        """Another plan's target."""
        if target != self._target:
            self._target = target
            self.dressed()
            self.update()

    @property
    def dot(self) -> QPointF | None:
        """Where the dot is, own coordinates; None while the lean is unknown."""
        return self._dot

    def feed(self, x_deg: float, y_deg: float, tail: Callable[[], list[tuple[float, float]]], guided: bool) -> None:
        """The settled lean, and who knows where it was: degrees along screen right and screen up (see ``split``)."""
        known = not (math.isnan(x_deg) or math.isnan(y_deg))
        dot = self._at(x_deg, y_deg) if known else None
        number = f"{math.hypot(x_deg, y_deg):.0f}°" if known else ""
        moved = (
            (dot is None) != (self._dot is None)
            or guided != self._guided
            or (dot is not None and self._dot is not None and (dot - self._dot).manhattanLength() >= _MOVED)
        )
        self._lean = (x_deg, y_deg) if known else (math.nan, math.nan)
        if moved or number != self._number:
            self._guided, self._number = guided, number
            self._behind = tail()
            self._put()
            self.update()
            self.say(f"{number} from vertical" if known else "unknown")

    @property
    def aside(self) -> str:
        """The small line under the number."""
        return self._aside

    @property
    def turned_by(self) -> tuple[int, int] | None:
        """Turn of the base since contact and how far it may be off, whole degrees."""
        return self._turned_by

    def feed_aside(self, text: str, doubted: bool) -> None:
        """The small line under the number: its uncertainty, or the word that says that it is not trusted."""
        if (text, doubted) != (self._aside, self._doubted):
            self._aside, self._doubted = text, doubted
            self.update()

    def feed_turn(self, turn_deg: float, spread_deg: float) -> None:
        """How far the base has turned since contact, degrees counterclockwise from above, and its 95 % interval."""
        known = math.isfinite(turn_deg)
        turn = (round(turn_deg), math.ceil(spread_deg) if math.isfinite(spread_deg) else 0) if known else None
        if turn != self._turned_by:
            self._turned_by = turn
            self.update()

    def split(self, angle_deg: float, direction_deg: float) -> tuple[float, float]:
        """A lean as degrees along screen right and along screen up."""
        turn = math.radians(self._target.screen_deg(direction_deg))
        return angle_deg * math.cos(turn), angle_deg * math.sin(turn)

    def dressed(self) -> None:
        """The face is drawn again, dot and tail put where they belong now."""
        self._back = None
        self._put()
        self._written.clear()
        self._pens = [self._tail_pen((at + 1) / (TAIL_POINTS + 1)) for at in range(TAIL_POINTS)]

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """Face, dot and tail for the new size; what lies outside the face belongs to the ring."""
        self._back = None
        self._put()
        self.setMask(QRegion(self.rect(), QRegion.RegionType.Ellipse))

    def draw(self, painter: QPainter) -> None:
        """Face from the cache, then tail, arrow and dot."""
        if self._back is None:
            self._back = self.layer(self._draw_face)
        self.blit(painter, self._back)
        unit = self.unit
        if self._number:
            ink = "mute" if self._doubted else "text"
            written = self._written.get((self._number, ink))
            if written is None:
                written = self.sticker(self._number, font(self.type_px(Type.MID), bold=True), ink, "panel")
                self._written[self._number, ink] = written
            size = written.deviceIndependentSize()
            left, top = (self.width() - size.width()) / 2, self.height() - 46 * unit - size.height() / 2
            painter.drawPixmap(QPointF(round(left), round(top)), written)
        if self._turned_by is not None:
            self._draw_turn(painter, *self._turned_by)
        if self._aside:
            box = QRectF(0, self.height() - 33 * unit, self.width(), 22 * unit)
            draw_aside(painter, box, self._aside, self._doubted, self.tokens, self.type_px(Type.SMALL))
        if self._dot is None:
            return
        self._draw_tail(painter)
        if self._guided:
            self._draw_arrow(painter, self._dot)
        painter.setPen(QPen(colour(self.tokens.ground), 3 * unit))
        painter.setBrush(colour(self.tokens.text))
        painter.drawEllipse(self._dot, _DOT * unit, _DOT * unit)

    # -- geometry -------------------------------------------------------------------------------------------------

    def _reach(self) -> float:
        """Radius of the rim in logical pixels."""
        return self.width() / 2 - 2 * self.unit

    def _at(self, x_deg: float, y_deg: float) -> QPointF:
        """Own coordinates of a lean; one beyond the rim stays on it."""
        reach = self._reach() - (_DOT + 2) * self.unit
        scale = self._reach() / self._target.rim
        x, y = x_deg * scale, -y_deg * scale
        far = math.hypot(x, y)
        if far > reach:
            x, y = x * reach / far, y * reach / far
        return QPointF(self.width() / 2 + x, self.height() / 2 + y)

    def _put(self) -> None:
        """Dot and tail to where they belong at this size: an ended hold is never fed again."""
        self._dot = None if math.isnan(self._lean[0]) else self._at(*self._lean)
        self._tail = [self._at(x, y) for x, y in self._behind]

    def _aim(self) -> QPointF:
        """The middle of the target."""
        target = self._target
        angle = (max(target.angle_low, target.counts_above) + target.angle_high) / 2
        return self._at(*self.split(angle, target.direction))

    def _sector(self) -> QPainterPath:
        """The target's area: a piece of a ring, and all of the middle where the direction does not count."""
        target = self._target
        middle = QPointF(self.width() / 2, self.height() / 2)
        scale = self._reach() / target.rim

        def box(angle: float) -> QRectF:
            r = angle * scale
            return QRectF(middle.x() - r, middle.y() - r, 2 * r, 2 * r)

        start = target.screen_deg(target.direction) - target.half_width
        sector = QPainterPath(middle)
        sector.arcTo(box(target.angle_high), start, 2 * target.half_width)
        sector.closeSubpath()
        if target.angle_low < target.counts_above:
            free = QPainterPath()
            free.addEllipse(box(target.counts_above))
            return sector.united(free).simplified()
        hole = QPainterPath()
        hole.addEllipse(box(target.angle_low))
        return sector.subtracted(hole)

    # -- drawing --------------------------------------------------------------------------------------------------

    def _draw_face(self, painter: QPainter) -> None:
        target, tokens, unit = self._target, self.tokens, self.unit
        middle = QPointF(self.width() / 2, self.height() / 2)
        reach = self._reach()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(tokens.panel))
        painter.drawEllipse(middle, reach, reach)
        painter.setPen(QPen(colour(tokens.in_), max(1.0, 2 * unit)))
        painter.setBrush(colour(tokens.in_soft))
        painter.drawPath(self._sector())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour(tokens.line), max(1.0, 1.25 * unit)))
        ring = target.step
        while ring <= target.rim:
            radius = ring / target.rim * reach
            painter.drawEllipse(middle, radius, radius)
            ring += target.step
        painter.setFont(font(self.type_px(Type.SMALL)))
        painter.setPen(colour(tokens.mute))
        for angle in (2 * target.step, target.rim):
            top = middle.y() - angle / target.rim * reach
            if angle <= target.rim - target.step or angle == target.rim:
                box = QRectF(middle.x() - 40 * unit, top + 2 * unit, 80 * unit, 22 * unit)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"{angle:g}°")
        right, left = (target.toward, target.away) if target.mark_on_right else (target.away, target.toward)
        edge = Qt.AlignmentFlag.AlignVCenter
        above = _WORDS * reach  # beside the target, where the dot seldom is
        chord = math.sqrt(reach**2 - (above + 12 * unit) ** 2) - 4 * unit
        box = QRectF(middle.x() - chord, middle.y() - above - 12 * unit, 2 * chord, 24 * unit)
        sides = ((Qt.AlignmentFlag.AlignRight, right), (Qt.AlignmentFlag.AlignLeft, left))
        metrics = painter.fontMetrics()
        for side, word in sides:
            ink = colour(tokens.text if word == target.toward else tokens.mute)
            place = QRectF(metrics.boundingRect(box.toRect(), int((side | edge).value), word))
            letters = QPainterPath()
            letters.addText(place.left(), place.top() + metrics.ascent(), painter.font(), word)
            painter.strokePath(letters, QPen(colour(tokens.panel), 6 * unit, j=Qt.PenJoinStyle.RoundJoin))
            painter.setPen(ink)
            painter.drawText(box, side | edge, word)

    def _draw_tail(self, painter: QPainter) -> None:
        """Where the dot came from: thin and pale is long ago."""
        if self._dot is None:
            return
        pens = self._pens[len(self._pens) - len(self._tail) :]  # a short tail is a young one
        for pen, (point, after) in zip(pens, pairwise([*self._tail, self._dot]), strict=True):
            if (after - point).manhattanLength() > _MOVED:
                painter.setPen(pen)
                painter.drawLine(point, after)

    def _tail_pen(self, share: float) -> QPen:
        pale = QColor(self.tokens.text)
        pale.setAlphaF(0.75 * share)
        width = max(1.0, (2 + 12 * share) * self.unit)
        return QPen(pale, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)

    def _draw_turn(self, painter: QPainter, turn: int, spread: int) -> None:
        """A tick on the rim where the mark of the base has got to, and the arc in which it may be."""
        middle, reach, unit = QPointF(self.width() / 2, self.height() / 2), self._reach(), self.unit
        at = self._target.screen_deg(float(turn))
        if spread:
            r = reach - 5 * unit
            box = QRectF(middle.x() - r, middle.y() - r, 2 * r, 2 * r)
            painter.setPen(
                QPen(colour(self.tokens.line), max(1.0, 6 * unit), Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)
            )
            painter.drawArc(box, round(16 * (at - spread)), round(32 * min(spread, 180)))
        way = math.radians(at)
        ux, uy = math.cos(way), -math.sin(way)
        painter.setPen(
            QPen(colour(self.tokens.mute), max(1.0, 4 * unit), Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)
        )
        inner, outer = reach - 12 * unit, reach - 1 * unit
        painter.drawLine(
            QPointF(middle.x() + inner * ux, middle.y() + inner * uy),
            QPointF(middle.x() + outer * ux, middle.y() + outer * uy),
        )

    def _draw_arrow(self, painter: QPainter, dot: QPointF) -> None:
        """From the dot to the middle of the target, as far as there is room for it."""
        aim = self._aim()
        dx, dy = aim.x() - dot.x(), aim.y() - dot.y()
        length = math.hypot(dx, dy)
        unit = self.unit
        if length < (_DOT + 22) * unit:
            return
        ux, uy = dx / length, dy / length
        tail = QPointF(dot.x() + ux * (_DOT + 5) * unit, dot.y() + uy * (_DOT + 5) * unit)
        neck = QPointF(aim.x() - ux * 12 * unit, aim.y() - uy * 12 * unit)
        ink = colour(self.tokens.text)
        painter.setPen(QPen(ink, max(1.0, 4 * unit), Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawLine(tail, neck)
        head = QPainterPath(aim)
        side = 9 * unit
        head.lineTo(neck.x() - uy * side, neck.y() + ux * side)
        head.lineTo(neck.x() + uy * side, neck.y() - ux * side)
        head.closeSubpath()
        painter.fillPath(head, ink)
