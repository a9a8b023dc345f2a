"""The captured points, one row each: what was read, and after the fit how far it is from what was expected.

The soft bar is the 95 % interval of the point, the dot its residual; a dot inside its bar is a circle, one outside is
a triangle in the warning colour. Points that are still to come are empty rows, so that the list says how far it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.instruments.plateaus import nice_step
from nexuslink.app.theme import RADIUS, Type, colour, fitted
from nexuslink.app.words import COVERAGE, amount, decimals, number

if TYPE_CHECKING:
    from nexuslink.calibration.picture import CapturedPoint

_ROW: Final = (20, 60)  # design pixels, least and most
_HEAD: Final = 32
_FOOT: Final = 28
_NAME: Final = 0.30  # share of the width
_READ: Final = 0.22
_NUMBER: Final = 0.16
_REACH: Final = {"N": 0.1, "m/s²": 0.02}  # never a wider picture of nothing than this
_EMPTY: Final = "Each reading appears here."


class Residuals(Instrument):
    """Rows of points; ``left`` of them are still to come, as far as is known."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Captured points", parent)
        self._points: tuple[CapturedPoint, ...] = ()
        self._unit_shown = ""
        self._left = 0

    @property
    def fitted(self) -> bool:
        """Whether there are residuals to show."""
        return any(not math.isnan(point.residual) for point in self._points)

    @property
    def _digits(self) -> int:
        """Decimals of what was read: the same in every row."""
        return min(2, max((decimals(p.u) for p in self._points if math.isfinite(p.u) and p.u > 0), default=2))

    @property
    def reach(self) -> float:
        """Residual at the right end of the lane, in the points' unit."""
        far = [abs(p.residual) for p in self._points if math.isfinite(p.residual)]
        far += [COVERAGE * p.u for p in self._points if math.isfinite(p.u)]
        return nice_step(max(1.05 * max(far, default=0.0), _REACH.get(self._unit_shown, 0.1)))

    def feed(self, points: tuple[CapturedPoint, ...], unit: str, left: int) -> None:
        """Show these points; nothing happens when they are the same."""
        if (unit, left) == (self._unit_shown, self._left) and _same(points, self._points):
            return
        self._points, self._unit_shown, self._left = points, unit, left
        self.say("; ".join(self._words(point) for point in points) or _EMPTY)
        self.update()

    def _words(self, point: CapturedPoint) -> str:
        read = f"{point.name}: {amount(point.measured, point.u, self._unit_shown)}"
        return read if math.isnan(point.residual) else f"{read}, off by {self._difference(point)}"

    def _difference(self, point: CapturedPoint) -> str:
        step = nice_step(self.reach / 40)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return number(point.residual, digits, signed=True)

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self, painter: QPainter) -> None:
        """Panel, head, rows."""
        tokens, unit = self.tokens, self.unit
        box = QRectF(self.rect())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(tokens.panel))
        painter.drawRoundedRect(box, self.px(RADIUS), self.px(RADIUS))
        inner = box.adjusted(16 * unit, 6 * unit, -16 * unit, -6 * unit)
        rows = len(self._points) + self._left
        self._write(painter, QRectF(inner.left(), inner.top(), inner.width(), _HEAD * unit), self._heading(), "mute")
        if rows == 0:
            self._write(painter, inner, _EMPTY, "mute", Qt.AlignmentFlag.AlignCenter)
            return
        lane = QRectF(
            inner.left() + (_NAME + _READ) * inner.width(), inner.top() + _HEAD * unit,
            (1 - _NAME - _READ - _NUMBER) * inner.width(), inner.height() - (_HEAD + _FOOT * self.fitted) * unit,
        )  # fmt: skip
        lane.adjust(20 * unit, 0, 0, 0)
        least, most = (side * unit for side in _ROW)
        high = min(most, max(least, lane.height() / rows))
        room = max(1, int(lane.height() / high + 1e-6))
        first = max(0, len(self._points) - room)  # the newest must be seen
        lane.setHeight(high * min(rows - first, room))
        if self.fitted:
            self._draw_lane(painter, lane)
        for at in range(first, min(rows, first + room)):
            top = lane.top() + (at - first) * high
            point = self._points[at] if at < len(self._points) else None
            self._draw_row(painter, inner, lane, top, high, point)

    def _heading(self) -> str:
        if not self.fitted:
            return f"Captured: {len(self._points)}"
        return "Difference from what is expected, and its 95 % interval"

    def _write(
        self, painter: QPainter, box: QRectF, text: str, ink: str,
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft, bold: bool = False,
    ) -> None:  # fmt: skip
        painter.setPen(colour(getattr(self.tokens, ink)))
        painter.setFont(fitted(text, min(self.type_px(Type.SMALL), max(1, int(box.height()))), int(box.width()), bold))
        painter.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, text)

    def _draw_lane(self, painter: QPainter, lane: QRectF) -> None:
        """Zero and both ends, with their numbers below."""
        unit, reach = self.unit, self.reach
        middle = lane.center().x()
        for share, token in ((-1.0, "raised"), (1.0, "raised"), (0.0, "mute")):
            x = middle + share * lane.width() / 2
            painter.setPen(QPen(colour(getattr(self.tokens, token)), max(1.0, 1.5 * unit)))
            painter.drawLine(QPointF(x, lane.top()), QPointF(x, lane.bottom() + 4 * unit))
            text = f"{share * reach:+g}".replace("-", "\N{MINUS SIGN}") if share else f"0 {self._unit_shown}"
            box = QRectF(x - 50 * unit, lane.bottom() + 4 * unit, 100 * unit, 24 * unit)
            self._write(painter, box, text, "mute", Qt.AlignmentFlag.AlignHCenter)

    def _draw_row(
        self, painter: QPainter, inner: QRectF, lane: QRectF, top: float, high: float, point: CapturedPoint | None
    ) -> None:
        unit, tokens = self.unit, self.tokens
        middle = QPointF(lane.center().x(), top + high / 2)
        share = _NAME if self.fitted else 1 - _READ - _NUMBER
        name = QRectF(inner.left() + 24 * unit, top, share * inner.width() - 24 * unit, high)
        mark = QPointF(inner.left() + 8 * unit, middle.y())
        if point is None:
            painter.setPen(QPen(colour(tokens.line), max(1.0, 1.5 * unit)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(mark, 5 * unit, 5 * unit)
            painter.drawLine(QPointF(name.left(), middle.y()), QPointF(name.left() + 64 * unit, middle.y()))
            return
        self._draw_tick(painter, mark)
        self._write(painter, name, point.name, "text", bold=True)
        read = QRectF(name.right(), top, _READ * inner.width(), high)
        if not self.fitted:
            read.setRight(inner.right())
        digits = self._digits
        self._write(painter, read, f"{number(point.measured, digits)} {self._unit_shown}", "mute",
                    Qt.AlignmentFlag.AlignRight)  # fmt: skip
        if math.isnan(point.residual):
            return
        half = lane.width() / 2 / self.reach
        spread = COVERAGE * point.u if math.isfinite(point.u) else 0.0
        if spread > 0:
            thick = min(14 * unit, 0.5 * high)
            bar = QRectF(middle.x() - spread * half, middle.y() - thick / 2, 2 * spread * half, thick)
            painter.setPen(QPen(colour(tokens.in_), max(1.0, 1.0 * unit)))
            painter.setBrush(colour(tokens.in_soft))
            painter.drawRoundedRect(bar, thick / 2, thick / 2)
        inside = abs(point.residual) <= spread or spread == 0
        far = min(1.0, max(-1.0, point.residual / self.reach)) * lane.width() / 2
        self._draw_dot(painter, QPointF(middle.x() + far, middle.y()), inside)
        beside = QRectF(lane.right() + 8 * unit, top, inner.right() - lane.right() - 8 * unit, high)
        self._write(painter, beside, self._difference(point), "text" if inside else "warn",
                    Qt.AlignmentFlag.AlignRight, bold=not inside)  # fmt: skip

    def _draw_tick(self, painter: QPainter, at: QPointF) -> None:
        unit = self.unit
        path = QPainterPath(QPointF(at.x() - 6 * unit, at.y()))
        path.lineTo(at.x() - 1 * unit, at.y() + 5 * unit)
        path.lineTo(at.x() + 7 * unit, at.y() - 6 * unit)
        painter.setPen(QPen(colour(self.tokens.in_), max(1.0, 2.5 * unit)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)

    def _draw_dot(self, painter: QPainter, at: QPointF, inside: bool) -> None:
        unit, tokens = self.unit, self.tokens
        painter.setPen(QPen(colour(tokens.panel), 2 * unit))
        if inside:
            painter.setBrush(colour(tokens.text))
            painter.drawEllipse(at, 6 * unit, 6 * unit)
            return
        path = QPainterPath(QPointF(at.x(), at.y() - 8 * unit))
        path.lineTo(at.x() + 8 * unit, at.y() + 6 * unit)
        path.lineTo(at.x() - 8 * unit, at.y() + 6 * unit)
        path.closeSubpath()
        painter.setBrush(colour(tokens.warn))
        painter.drawPath(path)


def _same(one: tuple[CapturedPoint, ...], other: tuple[CapturedPoint, ...]) -> bool:
    """Equal, NaN to NaN."""
    return repr(one) == repr(other)
