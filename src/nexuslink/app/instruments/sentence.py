"""The sentence: what to do now, in at most five words, with a shape for its tone and one line of detail."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, fitted, font

SIZE = (580, 160)  # design pixels
_DETAIL = 36
_SMALLEST = 0.8  # a sentence shrinks to this share of its size before it breaks into two lines

# Tone (its value) -> (colour token, shape). The shapes say the tone without the colour.
TONES = {
    "calm": ("mute", "ring"),
    "good": ("in_", "tick"),
    "warn": ("warn", "triangle"),
    "stop": ("stop", "square"),
    "fault": ("warn", "cross"),
}


class Sentence(Instrument):
    """What the coach says now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._said = ("", "", "calm")

    @property
    def said(self) -> tuple[str, str, str]:
        """Sentence, detail, tone."""
        return self._said

    def feed(self, sentence: str, detail: str, tone: str) -> None:
        """Say something else; nothing happens when it is the same."""
        if (sentence, detail, tone) == self._said:
            return
        self._said = (sentence, detail, tone)
        self.setAccessibleName(sentence)
        self.say(detail)
        self.update()

    def _detail_box(self) -> QRectF:
        height = _DETAIL * self.unit
        return QRectF(0, self.height() - height, self.width(), height)

    def draw(self, painter: QPainter) -> None:
        """Sentence in one line or two, standing on the detail."""
        sentence, detail, tone = self._said
        token, shape = TONES.get(tone, TONES["calm"])
        box = QRectF(self.rect())
        box.setBottom(box.bottom() - (_DETAIL + 6) * self.unit)
        lines, letters = self._broken(sentence)
        painter.setFont(letters)
        painter.setPen(colour(self.tokens.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, lines)
        row = self._detail_box()
        side = 22 * self.unit
        ink = colour(getattr(self.tokens, token))
        self._draw_shape(painter, shape, QRectF(1, row.center().y() - side / 2, side, side), QPen(ink, self.px(3.5)))
        row.setLeft(side + 14 * self.unit)
        painter.setPen(colour(self.tokens.mute))
        letters = fitted(detail, self.type_px(Type.MID), int(row.width()))
        if letters.pixelSize() < _SMALLEST * self.type_px(Type.MID):  # a reason is read, in two small lines if need be
            painter.setFont(font(self.type_px(Type.SMALL)))
            row.setTop(row.bottom() - 2.5 * self.type_px(Type.SMALL))
            painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap, detail)
            return
        painter.setFont(letters)
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, detail)

    def _broken(self, sentence: str) -> tuple[str, QFont]:
        """The sentence, broken in two near its middle where one line would be too small, and its font."""
        size, width = self.type_px(Type.BIG), self.width()
        needed = QFontMetricsF(font(size, True)).horizontalAdvance(sentence)
        words = sentence.split()
        if needed * _SMALLEST <= width or len(words) < 2:
            return sentence, fitted(sentence, size, width, bold=True)
        cuts = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]
        first, second = min(cuts, key=lambda cut: abs(len(cut[0]) - len(cut[1])))
        longer = max((first, second), key=len)
        return f"{first}\n{second}", fitted(longer, round(0.88 * size), width, bold=True)

    @staticmethod
    def _draw_shape(painter: QPainter, shape: str, box: QRectF, pen: QPen) -> None:
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        half = pen.widthF() / 2
        inner = box.adjusted(half, half, -half, -half)
        if shape == "ring":
            painter.drawEllipse(inner)
        elif shape == "square":
            painter.fillRect(box, pen.color())
        else:
            painter.drawPath(_strokes(shape, inner))


def _strokes(shape: str, box: QRectF) -> QPainterPath:
    """Open strokes of a shape inside ``box``, from a table of corners in shares of its side."""
    corners: dict[str, list[tuple[tuple[float, float], ...]]] = {
        "tick": [((0.0, 0.55), (0.36, 0.92), (1.0, 0.12))],
        "triangle": [((0.5, 0.02), (1.0, 0.95), (0.0, 0.95), (0.5, 0.02))],
        "cross": [((0.05, 0.05), (0.95, 0.95)), ((0.95, 0.05), (0.05, 0.95))],
    }
    path = QPainterPath()
    for stroke in corners[shape]:
        points = [QPointF(box.left() + x * box.width(), box.top() + y * box.height()) for x, y in stroke]
        path.moveTo(points[0])
        for point in points[1:]:
            path.lineTo(point)
    return path
