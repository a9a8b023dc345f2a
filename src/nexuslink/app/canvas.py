"""A sheet to draw on without a display, and axes on it: what every plot that goes into a file shares.

Must never know what is drawn. Sizes are pixels of the finished picture.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter, QPen, QPolygonF

from nexuslink.app.theme import LIGHT, Tokens, colour, font

TITLE: Final = 22
TEXT: Final = 15
SMALL: Final = 13
MARK: Final = 6.0
"""Half the width of a mark."""

_kept: list[QGuiApplication] = []


def application() -> QGuiApplication:
    """The program's Qt; one of our own that needs no display where there is none yet."""
    there = QGuiApplication.instance()
    if isinstance(there, QGuiApplication):
        return there
    if sys.platform.startswith("linux"):  # elsewhere a display is always there, and offscreen has no fonts
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    _kept.append(QGuiApplication(["nexuslink"]))
    return _kept[0]


class Shape(Enum):
    """Marks, told apart without colour."""

    DISC = "disc"
    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    DIAMOND = "diamond"


class Axis:
    """Values to pixels, linear or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        self._log = log
        self._low, self._high = (math.log(low), math.log(high)) if log else (low, high)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        """Pixel of a value; beyond the ends it stays at the end."""
        number = math.log(max(value, 1e-300)) if self._log else value
        share = (number - self._low) / (self._high - self._low)
        return self._start + min(max(share, 0.0), 1.0) * (self._end - self._start)


class Sheet:
    """An image and a painter on it. Close it by `finished`."""

    def __init__(self, width: int, height: int, tokens: Tokens = LIGHT) -> None:
        application()
        self.width, self.height, self.tokens = width, height, tokens
        self._image = QImage(width, height, QImage.Format.Format_RGB32)
        self._image.fill(colour(tokens.panel))
        self.painter = QPainter(self._image)
        self.painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    def finished(self) -> QImage:
        """The picture; nothing can be drawn any more."""
        self.painter.end()
        return self._image

    def pen(self, token: str, width: float = 1.0, dashed: bool = False) -> None:
        """Draw with this colour from now on."""
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        self.painter.setPen(QPen(colour(token), width, style))

    def text(
        self,
        box: QRectF,
        words: str,
        size: int = TEXT,
        token: str | None = None,
        where: str = "left",
        bold: bool = False,
    ) -> None:
        """One line in ``box``, set ``left``, ``right`` or ``centre``."""
        sides = {
            "left": Qt.AlignmentFlag.AlignLeft, "right": Qt.AlignmentFlag.AlignRight,
            "centre": Qt.AlignmentFlag.AlignHCenter,
        }  # fmt: skip
        self.painter.setPen(colour(token or self.tokens.text))
        self.painter.setFont(font(size, bold))
        self.painter.drawText(box, sides[where] | Qt.AlignmentFlag.AlignVCenter, words)

    def upward(self, box: QRectF, words: str) -> None:
        """One line, turned to read upward, in the middle of ``box``."""
        self.painter.save()
        self.painter.translate(box.center())
        self.painter.rotate(-90)
        turned = QRectF(-box.height() / 2, -box.width() / 2, box.height(), box.width())
        self.text(turned, words, SMALL, self.tokens.mute, "centre")
        self.painter.restore()

    def line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A straight line."""
        self.painter.drawLine(QLineF(x0, y0, x1, y1))

    def mark(self, x: float, y: float, shape: Shape, token: str, half: float = MARK) -> None:
        """One mark; a filled one has no outline of its own."""
        painter = self.painter
        painter.setPen(QPen(colour(token), 2.0))
        painter.setBrush(colour(token) if shape is Shape.DISC else colour(self.tokens.panel))
        centre = QPointF(x, y)
        if shape in (Shape.DISC, Shape.CIRCLE):
            painter.drawEllipse(centre, half, half)
        elif shape is Shape.SQUARE:
            painter.drawRect(QRectF(x - half - 1, y - half - 1, 2 * half + 2, 2 * half + 2))
        else:
            corners = {
                Shape.TRIANGLE: ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
                Shape.DIAMOND: ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
            }[shape]
            painter.drawPolygon(QPolygonF([QPointF(x + dx * half, y + dy * half) for dx, dy in corners]))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def dots(self, points: Sequence[QPointF], token: str) -> None:
        """Many small marks, seen through where they lie on each other."""
        ink = QColor(token)
        ink.setAlpha(70)
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(ink)
        for point in points:
            self.painter.drawEllipse(point, 2.2, 2.2)
        self.painter.setBrush(Qt.BrushStyle.NoBrush)

    def curve(self, points: Sequence[QPointF], token: str, width: float = 1.5, dashed: bool = False) -> None:
        """A line through points."""
        self.pen(token, width, dashed)
        self.painter.drawPolyline(QPolygonF(list(points)))

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, Shape, str]]) -> None:
        """Marks with their names, from ``x`` to the right, centred on ``y``."""
        for name, shape, token in entries:
            self.mark(x + MARK, y, shape, token)
            self.painter.setFont(font(TEXT))
            advance = self.painter.fontMetrics().horizontalAdvance(name)
            self.text(QRectF(x + 20, y - 12, advance + 8, 24), name)
            x += 20 + advance + 28


def save(image: QImage, path: Path) -> bool:
    """Write a PNG; False where it cannot be written."""
    return bool(image.save(str(path)))
