"""The trace of a calibration: what was read during the last moments, and the stretches that were captured.

Each column of pixels belongs to one fixed stretch of time, so the trace cannot shimmer. A captured stretch is shaded
and carries its name and a line at what was read; the one under way grows from its beginning. The scale follows what
is seen, opens at once and closes late.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import RADIUS, Type, colour, fitted, font

SPAN_S: Final = 30
GUTTER: Final = 96  # design pixels at the right, for the scale's numbers
_GAP_US: Final = 500_000  # without readings for longer than this, the line breaks
_HEAD: Final = 28  # design pixels at the top, for caption and names
_PAD: Final = 12
_CAPTIONS: Final = {"N": "Force", "m/s²": "Acceleration", "°/s": "Turning"}
_LEAST: Final = {"N": 2.0, "m/s²": 0.4, "°/s": 4.0}  # never a taller picture of noise than this


class PlateauTrace(Instrument):
    """Feed it the log; it reads what it shows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Trace", parent)
        self._log: CaptureLog | None = None
        self._unit_shown = "N"
        self._low, self._high = 0.0, 1.0
        self._seen = -1

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest value on the paper."""
        return self._low, self._high

    def feed(self, log: CaptureLog) -> None:
        """Show what the log holds; nothing happens when nothing is new."""
        anew = log is not self._log
        if not anew and log.ring.count == self._seen:
            return
        self._log, self._seen = log, log.ring.count
        picture = log.picture
        if picture is not None:
            self._unit_shown = picture.unit
        self._fit_scale(anew)
        caption = self._caption()
        if caption != self.accessibleName():
            self.setAccessibleName(caption)
        self.say(f"{len(log.marks)} captured")
        self.update()

    def _caption(self) -> str:
        return f"{_CAPTIONS.get(self._unit_shown, self._unit_shown)}, last {SPAN_S} s"

    def _shown(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (n,) and readings (n,) on the paper, unknown ones left out."""
        if self._log is None:
            return np.empty(0, np.int64), np.empty(0)
        _, t_us, rows = self._log.ring.since(0)
        if len(t_us) == 0:
            return t_us, rows[:, 0]
        begin = int(np.searchsorted(t_us, t_us[-1] - SPAN_S * 1_000_000))
        t_us, values = t_us[begin:], rows[begin:, 0]
        known = np.isfinite(values)
        return t_us[known], values[known]

    def _fit_scale(self, anew: bool) -> None:
        _, values = self._shown()
        if len(values) == 0:
            return
        low, high = float(values.min()), float(values.max())
        least = _LEAST.get(self._unit_shown, 1.0)
        if high - low < least:
            middle = (low + high) / 2
            low, high = middle - least / 2, middle + least / 2
        inside = self._low <= low and high <= self._high
        if not anew and inside and high - low > 0.4 * (self._high - self._low):
            return
        step = nice_step((high - low) / 4)
        # A little noise across a round number must not open the scale by a whole step.
        self._low, self._high = step * math.floor(low / step + 0.1), step * math.ceil(high / step - 0.1)

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self, painter: QPainter) -> None:
        """Paper, captured stretches, trace, newest point, numbers."""
        tokens, unit = self.tokens, self.unit
        paper = QRectF(0, 0, self.width() - GUTTER * unit, self.height())
        corners = QPainterPath()
        corners.addRoundedRect(paper, self.px(RADIUS), self.px(RADIUS))
        painter.fillPath(corners, colour(tokens.panel))
        self._draw_numbers(painter, paper)
        t_us, values = self._shown()
        painter.save()
        painter.setClipPath(corners)
        if len(t_us):
            column_us = max(1, round(SPAN_S * 1e6 / max(1.0, paper.width())))
            newest = int(t_us[-1]) // column_us
            self._draw_marks(painter, paper, newest, column_us)
            self._draw_trace(painter, paper, t_us // column_us - newest, values, _GAP_US // column_us)
        painter.restore()
        painter.setPen(colour(tokens.mute))
        painter.setFont(font(self.px(Type.SMALL)))
        painter.drawText(QRectF(16 * unit, 4 * unit, 400 * unit, 24 * unit), Qt.AlignmentFlag.AlignVCenter,
                         self._caption())  # fmt: skip
        if len(values):
            painter.setPen(QPen(colour(tokens.ground), 2 * unit))
            painter.setBrush(colour(tokens.text))
            painter.drawEllipse(QPointF(paper.right() - 2 * unit, self._y(float(values[-1]))), 6 * unit, 6 * unit)

    def _y(self, value: float) -> float:
        unit = self.unit
        top, bottom = _HEAD * unit, self.height() - _PAD * unit
        share = (value - self._low) / (self._high - self._low)
        return bottom - min(1.0, max(0.0, share)) * (bottom - top)

    def _draw_numbers(self, painter: QPainter, paper: QRectF) -> None:
        unit, tokens = self.unit, self.tokens
        painter.setFont(font(self.px(Type.SMALL)))
        digits = max(0, -math.floor(math.log10(nice_step((self._high - self._low) / 4)) + 1e-9))
        for value in (self._low, self._high):
            y = self._y(value)
            painter.setPen(QPen(colour(tokens.raised), max(1.0, unit)))
            painter.drawLine(QPointF(paper.left() + 1, y), QPointF(paper.right() - 1, y))
            painter.setPen(colour(tokens.mute))
            top = min(max(y - 12 * unit, 0.0), self.height() - 24 * unit)
            box = QRectF(paper.right() + 12 * unit, top, (GUTTER - 12) * unit, 24 * unit)
            text = f"{value:.{digits}f} {self._unit_shown}".replace("-", "\N{MINUS SIGN}")
            painter.setFont(fitted(text, self.px(Type.SMALL), int(box.width())))
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)

    def _draw_marks(self, painter: QPainter, paper: QRectF, newest: int, column_us: int) -> None:
        log, unit, tokens = self._log, self.unit, self.tokens
        if log is None:
            return

        def x(t_us: int) -> float:
            return paper.right() + (t_us // column_us - newest)

        free = paper.left() + 172 * unit  # where the caption ends
        for mark in log.marks:
            left, right = x(mark.begin_us), x(mark.end_us)
            if right < paper.left():
                continue
            right = max(right, left + 3 * unit)
            painter.fillRect(QRectF(left, 0, right - left, self.height()), colour(tokens.in_soft))
            painter.setPen(QPen(colour(tokens.in_), max(1.0, 2 * unit)))
            y = self._y(mark.value)
            painter.drawLine(QPointF(left, y), QPointF(right, y))
            letters = font(self.px(Type.SMALL), bold=True)
            painter.setFont(letters)
            wide = painter.fontMetrics().horizontalAdvance(mark.name) + 8 * unit
            at = max(left + 4 * unit, free)
            if at + wide <= paper.right() + 4 * unit and left >= paper.left() - 40 * unit:
                painter.setPen(colour(tokens.text))
                painter.drawText(QRectF(at, 4 * unit, wide, 24 * unit), Qt.AlignmentFlag.AlignVCenter, mark.name)
                free = at + wide + 8 * unit
        since = log.capturing_since_us
        if since is not None:
            left = x(since)
            painter.fillRect(QRectF(left, 0, paper.right() - left, self.height()), colour(tokens.raised))
            painter.setPen(QPen(colour(tokens.mute), max(1.0, 2 * unit)))
            painter.drawLine(QPointF(left, 0), QPointF(left, self.height()))

    def _draw_trace(
        self, painter: QPainter, paper: QRectF, columns: np.ndarray, values: np.ndarray, gap: int
    ) -> None:
        """``columns`` (n,) count back from the newest, 0; each shows the least and the most of its values (n,)."""
        starts = np.concatenate(([0], np.flatnonzero(columns[1:] != columns[:-1]) + 1))
        least = np.minimum.reduceat(values, starts).tolist()
        most = np.maximum.reduceat(values, starts).tolist()
        lines: list[list[QPointF]] = [[]]
        before = None
        for column, low, high in zip(columns[starts].tolist(), least, most, strict=True):
            if before is not None and column - before > max(gap, 1):
                lines.append([])
            before = column
            at = paper.right() + column - 2 * self.unit
            line = lines[-1]
            first, second = self._y(low), self._y(high)
            if line and abs(line[-1].y() - second) < abs(line[-1].y() - first):
                first, second = second, first
            line.append(QPointF(at, first))
            if abs(first - second) > 0.5:
                line.append(QPointF(at, second))
        pen = QPen(colour(self.tokens.text), max(1.0, 2.4 * self.unit))
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        for line in lines:
            painter.drawPolyline(QPolygonF(line if len(line) > 1 else [*line, *(p + QPointF(0.1, 0) for p in line)]))


def nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``rough``."""
    if not rough > 0 or math.isinf(rough):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= rough * (1 - 1e-9)), 10.0 * power)
