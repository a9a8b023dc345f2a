"""The trace of a calibration: what was read during the last moments, and the stretches that were captured.

Each column of pixels belongs to one fixed stretch of time, so the trace cannot shimmer; it is drawn once into a strip
that is pushed along. A captured stretch is shaded and carries its name and a line at what was read; the one under way
grows from its beginning. The scale follows what is seen, opens at once and closes late.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QWidget

from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import RADIUS, Type, colour, fitted, font
from nexuslink.app.words import number

SPAN_S: Final = 30
GUTTER: Final = 108  # design pixels at the right, for the scale's numbers
_GAP_US: Final = 500_000  # without readings for longer than this, the line breaks
_HEAD: Final = 28  # design pixels at the top, for caption and names
_PAD: Final = 12
_PEN: Final = 2.4
_SPILL: Final = 4  # columns that a stroke may reach beyond its own
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
        self._strip: QPixmap | None = None
        self._drawn: tuple[object, ...] = ()  # what the strip was drawn for
        self._newest = 0  # column at its right edge
        self._wide, self._tall, self._column_us = 1, 1, 1  # device pixels, and time

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
        self._push()
        caption = self._caption()
        if caption != self.accessibleName():
            self.setAccessibleName(caption)
        self.say(f"{len(log.marks)} captured")
        self.update()

    def _caption(self) -> str:
        return f"{_CAPTIONS.get(self._unit_shown, self._unit_shown)}, last {SPAN_S} s"

    def _shown(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
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

    # -- the strip ------------------------------------------------------------------------------------------------

    def dressed(self) -> None:
        """Drawn again at the next paint."""
        self._strip = None

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """Drawn again at the next paint."""
        self._strip = None

    def _meant(self) -> tuple[object, ...]:
        log = self._log
        return (self._low, self._high, log, log.marks if log else (), self._since_us)

    @property
    def _since_us(self) -> int | None:
        """When the capture began that is to be seen growing; turning is one long capture."""
        return self._log.capturing_since_us if self._log is not None and self._unit_shown != "°/s" else None

    def _push(self) -> None:
        """Move the strip on and draw what is new; whatever else is new needs all of it."""
        strip = self._strip
        if strip is None or self._meant() != self._drawn:
            self._strip = None
            return
        t_us, values = self._shown()
        if len(t_us) == 0:
            return
        newest = int(t_us[-1]) // self._column_us
        steps = newest - self._newest
        if not 0 <= steps <= self._wide // 2:
            self._strip = None
            return
        self._newest = newest
        if steps:
            strip.scroll(-steps, 0, strip.rect())
        self._draw_columns(strip, t_us, values, self._wide - steps - _SPILL)

    def _redraw(self) -> QPixmap:
        """All of the strip."""
        ratio = self.devicePixelRatioF()
        self._wide = max(8, int((self.width() - GUTTER * self.unit) * ratio))
        self._tall = max(8, round(self.height() * ratio))
        self._column_us = max(1, SPAN_S * 1_000_000 // self._wide)
        self._drawn = self._meant()
        strip = self._strip = QPixmap(self._wide, self._tall)
        strip.fill(colour(self.tokens.panel))
        t_us, values = self._shown()
        self._newest = int(t_us[-1]) // self._column_us if len(t_us) else 0
        self._draw_columns(strip, t_us, values, 0)
        return strip

    def _draw_columns(self, strip: QPixmap, t_us: NDArray[np.int64], values: NDArray[np.float64], left: int) -> None:
        """The strip's columns from ``left`` on, in device pixels."""
        ratio, unit, tokens = self.devicePixelRatioF(), self.unit, self.tokens
        painter = QPainter(strip)
        area = QRect(left, 0, self._wide - left, self._tall)
        painter.setClipRect(area)
        painter.fillRect(area, colour(tokens.panel))
        thin = max(1, round(unit * ratio))
        for value in (self._low, self._high):
            painter.fillRect(left, round(self._y(value) * ratio), self._wide, thin, colour(tokens.raised))
        log = self._log
        for mark in log.marks if log else ():
            begin, end = self._x(mark.begin_us), self._x(mark.end_us)
            if end >= left:
                wide = max(end - begin, round(3 * unit * ratio))
                painter.fillRect(begin, 0, wide, self._tall, colour(tokens.in_soft))
                painter.fillRect(begin, round(self._y(mark.value) * ratio), wide, 2 * thin, colour(tokens.in_))
        since_us = self._since_us
        if since_us is not None:
            begin = self._x(since_us)
            painter.fillRect(begin, 0, self._wide - begin, self._tall, colour(tokens.raised))
            painter.fillRect(begin, 0, 2 * thin, self._tall, colour(tokens.mute))
        first = int(np.searchsorted(t_us, (self._newest - self._wide + left - 2 * _SPILL) * self._column_us))
        if first < len(t_us):
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            pen = QPen(colour(tokens.text), max(1.0, _PEN * unit * ratio))
            pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            painter.setPen(pen)
            for line in self._lines(t_us[max(0, first - 1) :], values[max(0, first - 1) :], ratio):
                painter.drawPolyline(line)
        painter.end()

    def _x(self, t_us: int) -> int:
        """Column of the strip."""
        return self._wide - 1 + (t_us // self._column_us - self._newest)

    def _lines(self, t_us: NDArray[np.int64], values: NDArray[np.float64], ratio: float) -> list[QPolygonF]:
        """Strokes of readings (n,); each column shows the least and the most of its own."""
        columns = t_us // self._column_us
        starts = np.concatenate(([0], np.flatnonzero(columns[1:] != columns[:-1]) + 1))
        least = np.minimum.reduceat(values, starts).tolist()
        most = np.maximum.reduceat(values, starts).tolist()
        gap = max(1, _GAP_US // self._column_us)
        lines: list[list[QPointF]] = [[]]
        before = None
        for column, low, high in zip(columns[starts].tolist(), least, most, strict=True):
            if before is not None and column - before > gap:
                lines.append([])
            before = column
            at = self._wide - 0.5 + (column - self._newest) - 2
            line = lines[-1]
            first, second = self._y(low) * ratio, self._y(high) * ratio
            if line and abs(line[-1].y() - second) < abs(line[-1].y() - first):
                first, second = second, first
            line.append(QPointF(at, first))
            if abs(first - second) > 0.5:
                line.append(QPointF(at, second))
        return [QPolygonF(line if len(line) > 1 else [line[0], line[0] + QPointF(0.1, 0)]) for line in lines if line]

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self, painter: QPainter) -> None:
        """The strip, rounded, with caption, names, numbers and the newest point."""
        tokens, unit = self.tokens, self.unit
        strip = self._strip or self._redraw()
        ratio = self.devicePixelRatioF()
        paper = QRectF(0, 0, self._wide / ratio, self.height())
        painter.drawPixmap(paper, strip, QRectF(strip.rect()))
        corners = QPainterPath()
        corners.addRect(paper.adjusted(-1, -1, 1, 1))
        corners.addRoundedRect(paper, self.px(RADIUS), self.px(RADIUS))
        painter.fillPath(corners, colour(tokens.ground))
        self._draw_numbers(painter, paper)
        self._draw_names(painter, paper, ratio)
        painter.setPen(colour(tokens.mute))
        painter.setFont(font(self.type_px(Type.SMALL)))
        box = QRectF(16 * unit, 4 * unit, 400 * unit, 24 * unit)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, self._caption())
        _, values = self._shown()
        if len(values):
            painter.setPen(QPen(colour(tokens.ground), 2 * unit))
            painter.setBrush(colour(tokens.text))
            painter.drawEllipse(QPointF(paper.right() - 2 * unit, self._y(float(values[-1]))), 6 * unit, 6 * unit)

    def _y(self, value: float) -> float:
        """Logical pixels from the top."""
        unit = self.unit
        top, bottom = _HEAD * unit, self.height() - _PAD * unit
        share = (value - self._low) / (self._high - self._low)
        return bottom - min(1.0, max(0.0, share)) * (bottom - top)

    def _draw_numbers(self, painter: QPainter, paper: QRectF) -> None:
        unit = self.unit
        digits = max(0, -math.floor(math.log10(nice_step((self._high - self._low) / 4)) + 1e-9))
        painter.setPen(colour(self.tokens.mute))
        for value in (self._low, self._high):
            top = min(max(self._y(value) - 12 * unit, 0.0), self.height() - 24 * unit)
            box = QRectF(paper.right() + 12 * unit, top, (GUTTER - 12) * unit, 24 * unit)
            text = f"{number(value, digits)} {self._unit_shown}"
            painter.setFont(fitted(text, self.type_px(Type.SMALL), int(box.width())))
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)

    def _draw_names(self, painter: QPainter, paper: QRectF, ratio: float) -> None:
        """Each captured stretch's name, where there is room for it."""
        unit = self.unit
        free = QFontMetricsF(font(self.type_px(Type.SMALL))).horizontalAdvance(self._caption()) + 28 * unit
        painter.setFont(font(self.type_px(Type.SMALL), bold=True))
        painter.setPen(colour(self.tokens.text))
        for mark in self._log.marks if self._log else ():
            left = self._x(mark.begin_us) / ratio
            wide = painter.fontMetrics().horizontalAdvance(mark.name) + 8 * unit
            at = left + 4 * unit
            if at >= free and at + wide <= paper.right() + 4 * unit:
                box = QRectF(at, 4 * unit, wide, 24 * unit)
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, mark.name)
                free = at + wide + 8 * unit


def nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``rough``."""
    if not rough > 0 or math.isinf(rough):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= rough * (1 - 1e-9)), 10.0 * power)
