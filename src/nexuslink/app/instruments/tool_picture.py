"""The tool from the side: which tip is broad, which is narrow, and where the mark on the base is."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, font

SIZE = (440, 400)  # design pixels


class ToolPicture(Instrument):
    """A drawing with three labels."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("The tool: broad tip, narrow tip tilted toward the mark, base", parent)

    def draw(self, painter: QPainter) -> None:
        """Tips, base, turning foot, labels."""
        tokens, unit = self.tokens, self.unit
        painter.save()
        painter.scale(unit, unit)
        painter.setPen(QPen(colour(tokens.mute), 2))
        painter.setBrush(colour(tokens.panel))
        painter.drawPath(_narrow_tip())
        painter.drawPath(_broad_tip())
        painter.drawPath(_base())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(tokens.raised))
        painter.drawRoundedRect(QRectF(72, 336, 296, 12), 6, 6)
        mark = QPainterPath(QPointF(388, 302))
        mark.lineTo(364, 288)
        mark.lineTo(364, 316)
        mark.closeSubpath()
        painter.fillPath(mark, colour(tokens.in_))
        painter.restore()
        painter.setFont(font(self.type_px(Type.SMALL)))
        painter.setPen(colour(tokens.mute))
        labels = (
            (QRectF(60, 50, 180, 24), Qt.AlignmentFlag.AlignCenter, "broad tip"),
            (QRectF(246, 74, 180, 24), Qt.AlignmentFlag.AlignCenter, "narrow tip"),
            (QRectF(300, 290, 56, 24), Qt.AlignmentFlag.AlignRight, "mark"),
            (QRectF(72, 356, 296, 24), Qt.AlignmentFlag.AlignCenter, "base, turns by itself"),
        )
        for box, side, text in labels:
            area = QRectF(box.x() * unit, box.y() * unit, box.width() * unit, box.height() * unit)
            painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, text)


def _broad_tip() -> QPainterPath:
    path = QPainterPath(QPointF(98, 250))
    path.cubicTo(100, 214, 96, 186, 96, 150)
    path.cubicTo(96, 112, 122, 92, 150, 92)
    path.cubicTo(178, 92, 204, 112, 204, 150)
    path.cubicTo(204, 186, 200, 214, 202, 250)
    path.closeSubpath()
    return path


def _narrow_tip() -> QPainterPath:
    path = QPainterPath(QPointF(226, 250))
    path.cubicTo(250, 206, 284, 172, 318, 122)
    path.cubicTo(326, 110, 338, 108, 346, 114)
    path.cubicTo(354, 120, 356, 131, 349, 143)
    path.cubicTo(320, 194, 304, 214, 300, 250)
    path.closeSubpath()
    return path


def _base() -> QPainterPath:
    path = QPainterPath(QPointF(40, 328))
    path.cubicTo(40, 282, 62, 248, 112, 248)
    path.lineTo(328, 248)
    path.cubicTo(378, 248, 400, 282, 400, 328)
    path.closeSubpath()
    return path
