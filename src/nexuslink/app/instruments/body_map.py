"""Where a tip goes: spine and pelvis from above, the muscle of the chosen site, the tip's place, the mark's way.

Drawn as the person lies, face down and head up, so that left on the picture is the person's left, here and on the
lean disc. Schematic: it shows which of four places is meant; the words beside it say how to find it.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, font

# Outlines of the person's right half, x to the right, y down, in shares of half the picture's height; the left half
# is their mirror image. ("M", x, y) starts, ("C", ...) is a cubic curve through two handles, ("Z",) closes.
_WING = (
    ("M", 0.13, 0.02),
    ("C", 0.20, -0.16, 0.36, -0.30, 0.52, -0.27),
    ("C", 0.68, -0.24, 0.76, -0.06, 0.72, 0.12),
    ("C", 0.70, 0.24, 0.60, 0.28, 0.60, 0.40),
    ("C", 0.60, 0.56, 0.44, 0.60, 0.30, 0.62),
    ("C", 0.20, 0.64, 0.12, 0.74, 0.05, 0.70),
    ("C", 0.02, 0.64, 0.10, 0.56, 0.20, 0.52),
    ("C", 0.32, 0.46, 0.30, 0.34, 0.20, 0.28),
    ("C", 0.14, 0.22, 0.10, 0.12, 0.13, 0.02),
    ("Z",),
)
_FEMUR = (
    ("M", 0.50, 0.40),
    ("C", 0.58, 0.36, 0.74, 0.42, 0.78, 0.54),
    ("C", 0.80, 0.66, 0.72, 0.74, 0.69, 0.98),
    ("C", 0.66, 1.00, 0.60, 1.00, 0.57, 0.98),
    ("C", 0.60, 0.80, 0.62, 0.70, 0.56, 0.62),
    ("C", 0.52, 0.56, 0.44, 0.50, 0.50, 0.40),
    ("Z",),
)
_PSOAS = (
    ("M", 0.11, -0.88),
    ("C", 0.20, -0.70, 0.30, -0.40, 0.33, -0.10),
    ("C", 0.38, 0.16, 0.50, 0.36, 0.62, 0.62),
    ("C", 0.61, 0.66, 0.58, 0.67, 0.56, 0.65),
    ("C", 0.40, 0.46, 0.24, 0.26, 0.18, 0.02),
    ("C", 0.13, -0.20, 0.11, -0.50, 0.11, -0.88),
    ("Z",),
)
_ILIACUS = (
    ("M", 0.24, -0.08),
    ("C", 0.34, -0.24, 0.56, -0.24, 0.66, -0.06),
    ("C", 0.70, 0.10, 0.58, 0.22, 0.60, 0.36),
    ("C", 0.62, 0.48, 0.64, 0.56, 0.62, 0.62),
    ("C", 0.61, 0.66, 0.58, 0.67, 0.56, 0.65),
    ("C", 0.44, 0.50, 0.28, 0.24, 0.24, -0.08),
    ("Z",),
)
_SACRUM = (
    ("M", -0.12, 0.03),
    ("C", -0.04, 0.00, 0.04, 0.00, 0.12, 0.03),
    ("C", 0.12, 0.18, 0.08, 0.34, 0.02, 0.46),
    ("C", 0.01, 0.48, -0.01, 0.48, -0.02, 0.46),
    ("C", -0.08, 0.34, -0.12, 0.18, -0.12, 0.03),
    ("Z",),
)
_MUSCLES = {"psoas": _PSOAS, "iliacus": _ILIACUS}
_SPOTS = {"psoas": (0.31, -0.06), "iliacus": (0.52, 0.02)}
_VERTEBRAE = ((-0.92, 0.17), (-0.73, 0.18), (-0.54, 0.19), (-0.35, 0.20), (-0.16, 0.21))  # top, width
_ARROW = 0.21  # length of the mark's arrow


@dataclass(frozen=True, slots=True)
class Place:
    """One site on the map."""

    muscle: str  # "psoas" | "iliacus"
    on_left: bool
    mark_on_right: bool


class BodyMap(Instrument):
    """Shows one place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Where the tip goes", parent)
        self._place: Place | None = None

    def show_place(self, place: Place, words: str) -> None:
        """Mark another place; ``words`` are for the screen reader."""
        if place != self._place:
            self._place = place
            self.say(words)
            self.update()

    def draw(self, painter: QPainter) -> None:
        """Bones in outline, the muscle filled, the tip as a dot with the mark's arrow."""
        tokens, unit = self.tokens, self.unit
        caption = 30 * unit
        half = min(self.width() / 1.72, (self.height() - 2 * caption) / 2)
        painter.save()
        painter.translate(self.width() / 2, self.height() / 2)
        bone = QPen(colour(tokens.mute), 2 * unit)
        for side in (1.0, -1.0):
            painter.setPen(bone)
            painter.setBrush(colour(tokens.panel))
            painter.drawPath(_outline(_FEMUR, half, side))
            painter.drawPath(_outline(_WING, half, side))
        painter.drawPath(_outline(_SACRUM, half, 1.0))
        for top, width in _VERTEBRAE:
            box = QRectF(-width / 2 * half, top * half, width * half, 0.15 * half)
            painter.drawRoundedRect(box, 0.04 * half, 0.04 * half)
        place = self._place
        if place is not None:
            side = -1.0 if place.on_left else 1.0
            painter.setPen(QPen(colour(tokens.in_), 2 * unit))
            fill = type(colour(tokens.in_))(colour(tokens.in_))
            fill.setAlphaF(0.34)
            painter.setBrush(fill)
            painter.drawPath(_outline(_MUSCLES[place.muscle], half, side))
            x, y = _SPOTS[place.muscle]
            self._draw_spot(painter, QPointF(side * x * half, y * half), half, 1.0 if place.mark_on_right else -1.0)
        painter.restore()
        painter.setFont(font(self.type_px(Type.SMALL)))
        painter.setPen(colour(tokens.mute))
        row = QRectF(0, 0, self.width(), caption)
        painter.drawText(row, Qt.AlignmentFlag.AlignCenter, "head")
        row.moveBottom(self.height())
        painter.drawText(row, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, "your left")
        painter.drawText(row, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, "your right")

    def _draw_spot(self, painter: QPainter, spot: QPointF, half: float, way: float) -> None:
        tokens, unit = self.tokens, self.unit
        ink = colour(tokens.text)
        radius = 0.058 * half
        end = QPointF(spot.x() + way * (_ARROW * half + radius), spot.y())
        for token, extra in (("ground", 4.0), ("text", 0.0)):
            painter.setPen(QPen(colour(getattr(tokens, token)), (4 + extra) * unit))
            painter.drawLine(spot, QPointF(end.x() - way * 8 * unit, end.y()))
        head = QPainterPath(end)
        head.lineTo(end.x() - way * 14 * unit, end.y() - 9 * unit)
        head.lineTo(end.x() - way * 14 * unit, end.y() + 9 * unit)
        head.closeSubpath()
        painter.fillPath(head, ink)
        painter.setPen(QPen(colour(tokens.ground), 3 * unit))
        painter.setBrush(ink)
        painter.drawEllipse(spot, radius, radius)


def _outline(steps: tuple[tuple[object, ...], ...], half: float, side: float) -> QPainterPath:
    """An outline in logical pixels about the middle; ``side`` -1 mirrors it."""
    path = QPainterPath()
    for step in steps:
        values = [float(value) * half for value in step[1:]]  # type: ignore[arg-type]
        points = [QPointF(side * x, y) for x, y in zip(values[::2], values[1::2], strict=True)]
        if step[0] == "M":
            path.moveTo(points[0])
        elif step[0] == "C":
            path.cubicTo(*points)
        else:
            path.closeSubpath()
    return path
