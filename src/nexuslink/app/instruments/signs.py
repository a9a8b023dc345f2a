"""Small drawings that say a state by shape: signal bars, a plug, waves, waves crossed out, a warning, a lock.

Each is drawn into an area in one ink; none says anything by colour alone.
"""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

BARS = 4


class Sign(Enum):
    """What a `paint_sign` draws."""

    WAVES = "looking"
    NO_WAVES = "the radio is off"
    WARNING = "something is wrong"
    LOCK = "pairing"
    PLUG = "on a cable"


def paint_bars(painter: QPainter, area: QRectF, bars: int, ink: QColor, rest: QColor) -> None:
    """Four steps from left to right, ``bars`` of them full, the rest as outlines."""
    gap = area.width() / (BARS * 3 - 1)
    width = 2 * gap
    for at in range(BARS):
        height = area.height() * (at + 1) / BARS
        box = QRectF(area.left() + at * (width + gap), area.bottom() - height, width, height)
        if at < bars:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink)
            painter.drawRoundedRect(box, gap / 2, gap / 2)
        else:
            pen = max(1.0, gap / 3)
            painter.setPen(QPen(rest, pen))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(pen / 2, pen / 2, -pen / 2, -pen / 2), gap / 2, gap / 2)


def paint_sign(painter: QPainter, area: QRectF, sign: Sign, ink: QColor) -> None:
    """One sign, in a square."""
    painter.save()
    painter.translate(area.topLeft())
    painter.scale(area.width() / 48, area.height() / 48)
    pen = QPen(ink, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if sign in (Sign.WAVES, Sign.NO_WAVES):
        _waves(painter, ink)
        if sign is Sign.NO_WAVES:
            painter.drawLine(QLineF(6, 6, 42, 42))
    elif sign is Sign.WARNING:
        path = QPainterPath(QPointF(24, 5))
        path.lineTo(44, 42)
        path.lineTo(4, 42)
        path.closeSubpath()
        painter.drawPath(path)
        painter.drawLine(QLineF(24, 18, 24, 28))
        painter.drawPoint(QPointF(24, 35))
    elif sign is Sign.LOCK:
        painter.drawRoundedRect(QRectF(8, 21, 32, 23), 5, 5)
        path = QPainterPath(QPointF(15, 21))
        path.lineTo(15, 14)
        path.arcTo(QRectF(15, 5, 18, 18), 180, -180)
        path.lineTo(33, 21)
        painter.drawPath(path)
        painter.drawLine(QLineF(24, 30, 24, 35))
    else:
        painter.drawRoundedRect(QRectF(12, 18, 24, 16), 4, 4)
        painter.drawLine(QLineF(18, 18, 18, 8))
        painter.drawLine(QLineF(30, 18, 30, 8))
        painter.drawLine(QLineF(24, 34, 24, 44))
    painter.restore()


def _waves(painter: QPainter, ink: QColor) -> None:
    """A point that sends to both sides."""
    for radius in (11, 20):
        box = QRectF(24 - radius, 24 - radius, 2 * radius, 2 * radius)
        for middle in (0, 180):
            painter.drawArc(box, (middle - 42) * 16, 84 * 16)
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    painter.drawEllipse(QPointF(24, 24), 4, 4)
    painter.restore()
