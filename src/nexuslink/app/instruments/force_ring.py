"""The force ring: how hard the tip presses, against its band, warn and stop on one scale.

Straight up is the middle of the band (see ``scale``). The band is a thick arc, warn a thin line, stop a block: three
shapes, so that no colour is needed to tell them. Out of band, an arc runs from the needle to the band and says which
way to go before the number says how far.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.instruments.doubted import draw_aside
from nexuslink.app.instruments.scale import DIAL_DEG, ForceScale
from nexuslink.app.theme import Type, colour, fitted, font

SIZE = (560, 464)  # design pixels
CENTRE = (280, 228)
RADIUS = 208  # outer edge of the track
TRACK = 28
GUIDE_RADIUS = 162
DISC_RADIUS = 142  # room left for the lean disc
_DIGITS = 90  # the number: read from the floor, two metres away
_NEEDLE = (RADIUS - TRACK - 14, RADIUS + 12)
_MOVED_DEG = 0.12  # under half a design pixel at the rim


class ForceRing(Instrument):
    """Needle, band, warn, stop and the number, for the force of one tip in newtons."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Force", parent)
        self._scale = ForceScale(10, 35, 80, 110)
        self._force = math.nan
        self._degrees = DIAL_DEG[0]
        self._number = "–"
        self._exact = ""
        self._doubted = False
        self._guided = False
        self._back: QPixmap | None = None

    def set_scale(self, scale: ForceScale) -> None:
        """Another plan's limits."""
        if scale != self._scale:
            self._scale = scale
            self.dressed()
            self.update()

    @property
    def degrees(self) -> float:
        """Where the needle stands, clockwise from straight up."""
        return self._degrees

    def feed(self, force_n: float, guided: bool) -> None:
        """The settled force; ``guided`` shows the way back to the band. Repaints what has moved."""
        degrees = self._scale.degrees(force_n)
        if abs(degrees - self._degrees) >= _MOVED_DEG or guided != self._guided:
            before = self._moving_area()
            self._degrees, self._guided = degrees, guided
            self.touch(before.united(self._moving_area()))
        number = self._rounded(force_n)
        if number != self._number:
            self._number = number
            self.touch(self._number_box())
            self.say(f"{number} newtons, band {self._scale.low:g} to {self._scale.high:g}")
        self._force = force_n

    @property
    def exact(self) -> str:
        """The small line under the number."""
        return self._exact

    def feed_exact(self, text: str, doubted: bool) -> None:
        """The small line under the number: value and uncertainty, or the word that says that it is not trusted."""
        if (text, doubted) != (self._exact, self._doubted):
            self._exact, self._doubted = text, doubted
            self.touch(self._exact_box().united(self._number_box()))

    def dressed(self) -> None:
        """The scale is drawn again."""
        self._back = None

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """The scale is drawn again."""
        self._back = None

    def at(self, degrees: float, radius: float) -> QPointF:
        """Own coordinates of a place on the dial; ``radius`` in design pixels."""
        angle = math.radians(degrees)
        x = CENTRE[0] + radius * math.sin(angle)
        y = CENTRE[1] - radius * math.cos(angle)
        return QPointF(x * self.unit, y * self.unit)

    def draw(self, painter: QPainter) -> None:
        """Scale from the cache, then needle, guide and number."""
        if self._back is None:
            self._back = self.layer(self._draw_scale)
        self.blit(painter, self._back)
        self._draw_guide(painter)
        self._draw_needle(painter)
        if self.dirty.intersects(self._number_box()):
            self._draw_number(painter)
        if self._exact and self.dirty.intersects(self._exact_box()):
            draw_aside(painter, self._exact_box(), self._exact, self._doubted, self.tokens, self.type_px(Type.SMALL))

    def _rounded(self, force_n: float) -> str:
        """Whole newtons; the number shown stays until the value is clearly nearer to another."""
        if math.isnan(force_n):
            return "–"
        shown = round(max(0.0, force_n))
        if self._number != "–" and abs(force_n - int(self._number)) < 0.65:
            return self._number
        return str(shown)

    # -- areas ----------------------------------------------------------------------------------------------------

    def _edge(self) -> float | None:
        """The band's edge that the guide leads to, in dial degrees."""
        if not self._guided:
            return None
        if self._degrees < DIAL_DEG[1]:
            return DIAL_DEG[1]
        return DIAL_DEG[2] if self._degrees > DIAL_DEG[2] else None

    def _moving_area(self) -> QRectF:
        inner, outer = self.at(self._degrees, _NEEDLE[0]), self.at(self._degrees, _NEEDLE[1])
        pad = 10 * self.unit
        area = QRectF(inner, outer).normalized().adjusted(-pad, -pad, pad, pad)
        edge = self._edge()
        if edge is not None:
            low, high = sorted((self._degrees, edge))
            steps = max(2, int((high - low) / 8) + 2)
            for step in range(steps):
                point = self.at(low + (high - low) * step / (steps - 1), GUIDE_RADIUS)
                area = area.united(QRectF(point.x() - pad, point.y() - pad, 2 * pad, 2 * pad))
        return area

    def _number_box(self) -> QRectF:
        unit = self.unit
        return QRectF((CENTRE[0] - 118) * unit, (CENTRE[1] + 142) * unit, 236 * unit, 70 * unit)

    def _exact_box(self) -> QRectF:
        unit = self.unit
        return QRectF((CENTRE[0] - 118) * unit, (CENTRE[1] + 212) * unit, 236 * unit, 24 * unit)

    # -- drawing --------------------------------------------------------------------------------------------------

    def _arc(self, painter: QPainter, start: float, stop: float, radius: float, pen: QPen) -> None:
        """An arc between two dial angles; ``radius`` is that of its middle line, design pixels."""
        r, unit = radius * self.unit, self.unit
        box = QRectF(CENTRE[0] * unit - r, CENTRE[1] * unit - r, 2 * r, 2 * r)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawArc(box, round((90 - start) * 16), round((start - stop) * 16))

    def _pen(self, token: str, width: float, cap: Qt.PenCapStyle = Qt.PenCapStyle.FlatCap) -> QPen:
        return QPen(colour(getattr(self.tokens, token)), max(1.0, width * self.unit), Qt.PenStyle.SolidLine, cap)

    def _draw_scale(self, painter: QPainter) -> None:
        middle = RADIUS - TRACK / 2
        first, low, high, warn, last = DIAL_DEG
        self._arc(painter, first, last, middle, self._pen("raised", TRACK, Qt.PenCapStyle.RoundCap))
        # Notches first, so that band, warn and stop lie over them unbroken.
        for force in self._scale.notches():
            degrees = self._scale.degrees(force)
            painter.setPen(self._pen("ground", 1.5))
            painter.drawLine(self.at(degrees, RADIUS - TRACK), self.at(degrees, RADIUS - TRACK + 9))
        self._arc(painter, low, high, middle, self._pen("in_", TRACK + 8))
        self._arc(painter, warn, last, RADIUS - 4, self._pen("warn", 8))
        self._arc(painter, last - 5, last + 5, middle, self._pen("stop", TRACK + 8))
        labels = (
            (first, "0", "mute", False),
            (low, f"{self._scale.low:g}", "text", True),
            (high, f"{self._scale.high:g}", "text", True),
            (warn, f"{self._scale.warn:g}", "mute", False),
            (last, f"{self._scale.stop:g} stop", "mute", False),
        )
        for degrees, text, token, bold in labels:
            painter.setFont(font(self.type_px(Type.MID if bold else Type.SMALL), bold))
            painter.setPen(colour(getattr(self.tokens, token)))
            spot = self.at(degrees, RADIUS + (34 if bold else 30))
            shift = 26 * self.unit if "stop" in text else 0.0
            box = QRectF(spot.x() - 60 * self.unit + shift, spot.y() - 16 * self.unit, 120 * self.unit, 32 * self.unit)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_guide(self, painter: QPainter) -> None:
        edge = self._edge()
        if edge is None or abs(edge - self._degrees) < 3:
            return
        token = "warn" if self._degrees > edge else "text"
        way = 1.0 if edge > self._degrees else -1.0
        tip = edge
        start, stop = sorted((self._degrees, tip - 3 * way))
        self._arc(painter, start, stop, GUIDE_RADIUS, self._pen(token, 4))
        head = QPainterPath(self.at(tip, GUIDE_RADIUS))
        head.lineTo(self.at(tip - 5 * way, GUIDE_RADIUS + 9))
        head.lineTo(self.at(tip - 5 * way, GUIDE_RADIUS - 9))
        head.closeSubpath()
        painter.fillPath(head, colour(getattr(self.tokens, token)))

    def _draw_needle(self, painter: QPainter) -> None:
        inner, outer = self.at(self._degrees, _NEEDLE[0]), self.at(self._degrees, _NEEDLE[1])
        for token, width in (("ground", 16), ("text", 9)):
            painter.setPen(self._pen(token, width, Qt.PenCapStyle.RoundCap))
            painter.drawLine(inner, outer)

    def _draw_number(self, painter: QPainter) -> None:
        """Digits and a small unit on one line; a number that is not trusted stands back."""
        box, unit = self._number_box(), self.unit
        small = font(self.type_px(Type.MID), bold=True)
        beside = QFontMetricsF(small).horizontalAdvance("N") + 8 * unit
        digits = fitted(self._number, self.type_px(_DIGITS), int(box.width() - 2 * beside), bold=True)
        metrics = QFontMetricsF(digits)
        wide, high = metrics.horizontalAdvance(self._number), -metrics.tightBoundingRect("0").top()
        left, base = box.center().x() - wide / 2, box.center().y() + high / 2 - 4 * unit
        painter.setPen(colour(self.tokens.mute if self._doubted else self.tokens.text))
        painter.setFont(digits)
        painter.drawText(QPointF(left, base), self._number)
        painter.setFont(small)
        painter.drawText(QPointF(left + wide + 8 * unit, base), "N")
