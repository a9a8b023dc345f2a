"""The sweep: the force of the last moments against its band, newest at the right.

Drawn like a paper recorder: each column of pixels belongs to one fixed stretch of device time (so the trace cannot
shimmer), is drawn once into a pixmap that goes round, and is copied from then on. A column shows the least and the
most of its samples, so that a short peak is never averaged away. A silence is a hole in the paper, and no line across.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.instruments.scale import ForceScale
from nexuslink.app.ring import Ring
from nexuslink.app.theme import RADIUS, Type, colour, font

SPAN_S = 30
GAP_US = 300_000  # without samples for longer than this, the line breaks
GUTTER = 72  # design pixels at the right, for the band's numbers
_SPILL = 3  # columns that an antialiased stroke may reach beyond its own
_PEN = 2.4  # design pixels
_PAD = 8  # design pixels above and below the scale


class Column(NamedTuple):
    """One column: its number since the tool's boot, least and most force in newtons."""

    number: int
    least: float
    most: float


class Sweep(Instrument):
    """The trace of the last ``span_s`` seconds. Feed it the ring; it reads what is new."""

    def __init__(self, parent: QWidget | None = None, span_s: int = SPAN_S) -> None:
        super().__init__("", parent)
        self.set_span(span_s)
        self._scale = ForceScale(10, 35, 80, 110)
        self._top = self._scale.sweep_top(0.0)
        self._ring: Ring | None = None
        self._next = 0
        self._columns: deque[Column] = deque(maxlen=8)
        self._peaks: deque[tuple[int, float]] = deque()  # falling maxima over the span: (column, newtons)
        self._strip: QPixmap | None = None
        self._wide, self._around, self._high = 8, 8 + 2 * _SPILL, 4  # device pixels
        self._column_us = 1
        self._pen = QPen()
        self._rows: list[tuple[int, int, QColor]] = []  # the blank paper's bands, from the top: y, height, colour
        self._stickers: list[tuple[QPointF, QPixmap]] = []  # texts, drawn once: setting type is what costs
        self._corners = QPainterPath()
        self._pad = self._floor = 0.0
        self._slope = 1.0  # device pixels to one newton

    def set_scale(self, scale: ForceScale) -> None:
        """Another plan's limits."""
        if scale != self._scale:
            self._scale = scale
            self._top = scale.sweep_top(0.0)
            self.dressed()
            self.update()

    def set_span(self, span_s: int) -> None:
        """Another width of the paper, in seconds."""
        self._span_us = span_s * 1_000_000
        self._caption = f"Force, last {span_s} s"
        self.setAccessibleName(self._caption)
        self.dressed()
        self.update()

    @property
    def top_n(self) -> float:
        """Newtons at the top edge."""
        return self._top

    def feed(self, ring: Ring) -> None:
        """Draw the samples that came since the last time; repaints only when a pixel changed."""
        if ring is not self._ring:
            self._ring, self._next = ring, 0
            self.dressed()
        if self._strip is None:
            self.update()
            return
        asked = self._next
        first, t_us, rows = ring.since(asked)
        if len(t_us) == 0:
            return
        self._next = first + len(t_us)
        fresh = self._binned(t_us, rows[:, 0])
        if not fresh:
            return
        newest = self._columns[-1].number if self._columns else None
        steps = fresh[-1].number - newest if newest is not None else -1
        if first != asked or not 0 <= steps <= self._wide // 2 or fresh[0].number < (newest or 0):
            self.dressed()
            self.update()
            return
        last = self._columns[-1]
        if fresh[0].number == last.number:
            fresh[0] = Column(last.number, min(last.least, fresh[0].least), max(last.most, fresh[0].most))
            self._columns.pop()
        if self._track_peak(fresh):
            self.dressed()
        else:
            self._extend(fresh)
        self.update()

    def dressed(self) -> None:
        """Drawn again from the ring at the next paint."""
        self._strip = None

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """Drawn again from the ring at the next paint."""
        self._strip = None

    def draw(self, painter: QPainter) -> None:
        """Copy the strip, round its corners, add the numbers and the newest point."""
        if self._strip is None:
            self._redraw()
        strip = self._strip
        if strip is None:
            return
        ratio = self.devicePixelRatioF()
        width, around = self._wide, self._around
        newest = self._columns[-1].number if self._columns else 0
        begin = (newest - width + 1) % around
        ahead = min(width, around - begin)
        height = strip.height()
        for at, source, length in ((0, begin, ahead), (ahead, 0, width - ahead)):
            if length > 0:
                target = QRectF(at / ratio, 0, length / ratio, height / ratio)
                painter.drawPixmap(target, strip, QRectF(source, 0, length, height))
        self._draw_frame(painter)

    # -- columns --------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Size of the paper in device pixels, and of a column in time."""
        ratio = self.devicePixelRatioF()
        self._wide = max(8, int((self.width() - GUTTER * self.unit) * ratio))
        self._around = self._wide + 2 * _SPILL  # what a stroke spills over the newest must not show at the oldest
        self._high = max(4, round(self.height() * ratio))
        self._column_us = max(1, self._span_us // self._wide)
        self._pen = QPen(colour(self.tokens.text), max(1.0, _PEN * self.unit * ratio))
        self._pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        self._pen.setCapStyle(Qt.PenCapStyle.RoundCap)

    def _binned(self, t_us: NDArray[np.int64], force_n: NDArray[np.float64]) -> list[Column]:
        """Samples (n,) to columns, in order; unknown forces are left out."""
        known = ~np.isnan(force_n)
        if not known.all():
            t_us, force_n = t_us[known], force_n[known]
        if len(t_us) == 0:
            return []
        numbers = t_us // self._column_us
        if numbers[0] == numbers[-1]:  # the usual case while live
            return [Column(int(numbers[0]), float(force_n.min()), float(force_n.max()))]
        starts = np.concatenate(([0], np.flatnonzero(numbers[1:] != numbers[:-1]) + 1))
        least = np.minimum.reduceat(force_n, starts).tolist()
        most = np.maximum.reduceat(force_n, starts).tolist()
        return [Column(*one) for one in zip(numbers[starts].tolist(), least, most, strict=True)]

    def _track_peak(self, fresh: list[Column]) -> bool:
        """Follow the highest force of the span; True when the paper needs another height."""
        peaks = self._peaks
        for column in fresh:
            while peaks and peaks[-1][1] <= column.most:
                peaks.pop()
            peaks.append((column.number, column.most))
        while peaks and peaks[0][0] <= fresh[-1].number - self._wide:
            peaks.popleft()
        top = self._scale.sweep_top(peaks[0][1] if peaks else 0.0)
        changed, self._top = top != self._top, top
        return changed

    def _redraw(self) -> None:
        """The whole strip again, from the ring."""
        self._measure()
        strip = QPixmap(self._around, self._high)
        strip.fill(colour(self.tokens.panel))
        self._strip = strip
        self._columns.clear()
        self._peaks.clear()
        columns: list[Column] = []
        if self._ring is not None:
            first, t_us, rows = self._ring.since(0)
            self._next = first + len(t_us)
            anew = np.flatnonzero(t_us[1:] < t_us[:-1])  # a tool that was switched off begins its time again
            begin = int(anew[-1]) + 1 if len(anew) else 0
            t_us, rows = t_us[begin:], rows[begin:]
            recent = int(np.searchsorted(t_us, t_us[-1] - self._span_us + self._column_us)) if len(t_us) else 0
            columns = self._binned(t_us[recent:], rows[recent:, 0])
        if columns:
            self._track_peak(columns)
        self._prepare()
        painter = QPainter(strip)
        self._clear(painter, 0, strip.width())
        painter.end()
        if columns:
            self._extend(columns)

    def _extend(self, fresh: list[Column]) -> None:
        """Draw ``fresh`` after what is there; the strokes next to them are drawn again, clipped to what was cleared."""
        strip = self._strip
        if strip is None:
            return
        before = list(self._columns)
        start = fresh[0].number - _SPILL
        if before and before[-1].number < fresh[0].number:
            start = max(before[-1].number, fresh[-1].number - self._wide) - _SPILL
        stop = fresh[-1].number + _SPILL
        around = self._around
        start = max(start, stop - around + 1)
        drawn = before[-4:] + fresh
        lines, holes = self._lines(drawn), self._holes(drawn)
        self._columns.extend(fresh)
        painter = QPainter(strip)
        begin, length = start % around, stop - start + 1
        ahead = min(length, around - begin)
        for at, first, width in ((begin, start, ahead), (0, start + ahead, length - ahead)):
            if width <= 0:
                continue
            painter.save()
            painter.setClipRect(QRect(at, 0, width, strip.height()))
            self._clear(painter, at, width)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(self._pen)
            painter.translate(at - first, 0)
            for hole in holes:
                painter.fillRect(hole, colour(self.tokens.ground))
            for line in lines:
                painter.drawPolyline(line)
            painter.restore()
        painter.end()

    @property
    def _widest(self) -> float:
        """Columns from one to the next above which something is missing."""
        return max(GAP_US / self._column_us, 1.0)

    def _holes(self, columns: list[Column]) -> list[QRect]:
        """Where nothing came."""
        return [
            QRect(before.number + 1, 0, column.number - before.number - 1, self._high)
            for before, column in pairwise(columns)
            if column.number - before.number > self._widest
        ]

    def _lines(self, columns: list[Column]) -> list[QPolygonF]:
        """Columns to strokes; x is the column's own number, so that one translation serves them all."""
        lines: list[list[QPointF]] = [[]]
        for before, column in pairwise([columns[0], *columns]):
            if column.number - before.number > self._widest:
                lines.append([])
            x = column.number + 0.5
            least, most = self._y(column.least), self._y(column.most)
            line = lines[-1]
            if abs(least - most) < 1.0:
                line.append(QPointF(x, (least + most) / 2))
            else:
                near_first = not line or abs(line[-1].y() - least) <= abs(line[-1].y() - most)
                pair = (least, most) if near_first else (most, least)
                line.extend(QPointF(x, y) for y in pair)
        return [QPolygonF(line if len(line) > 1 else [line[0], line[0] + QPointF(0.1, 0)]) for line in lines if line]

    # -- paper ----------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """All that depends on size, colours and scale only: bands, stickers, corners."""
        ratio, unit, tokens, scale = self.devicePixelRatioF(), self.unit, self.tokens, self._scale
        height = self._high
        self._pad = _PAD * unit * ratio
        self._floor = height - self._pad
        self._slope = (height - 2 * self._pad) / self._top
        thick = max(1, round(1.5 * unit * ratio))
        high, low = round(self._y(scale.high)), round(self._y(scale.low))
        self._rows = [(0, height, colour(tokens.panel)), (high, low - high, colour(tokens.in_soft))]
        lines = (
            (scale.high, tokens.in_),
            (scale.low, tokens.in_),
            (scale.warn, tokens.warn),
            (scale.stop, tokens.stop),
        )
        self._rows += [(round(self._y(force)), thick, colour(ink)) for force, ink in lines if force < self._top]
        width = self._wide / ratio
        self._corners = QPainterPath()
        self._corners.addRect(QRectF(-1, -1, width + 2, self.height() + 2))
        self._corners.addRoundedRect(QRectF(0, 0, width, self.height()), RADIUS * unit, RADIUS * unit)
        caption = self.sticker(self._caption, font(self.type_px(Type.SMALL)), "mute", "panel")
        self._stickers = [(QPointF(round(14 * unit), round(5 * unit)), caption)]
        lowest = self.height() - 10 * unit
        for force in (scale.low, scale.high, scale.stop):
            if force < self._top:
                y = min(max(self._y(force) / ratio, 10 * unit), lowest)
                lowest = y - 19 * unit  # the next number stands clear of this one
                number = self.sticker(f"{force:g} N", font(self.type_px(Type.SMALL)), "mute", "ground")
                top = round(y - number.deviceIndependentSize().height() / 2)
                self._stickers.append((QPointF(round(width + 12 * unit), top), number))

    def _y(self, force_n: float) -> float:
        """Device pixels from the top for a force."""
        return self._floor - min(self._top, max(0.0, force_n)) * self._slope

    def _clear(self, painter: QPainter, at: int, width: int) -> None:
        """Blank paper with band, warn and stop, ``width`` columns from ``at``."""
        for y, height, ink in self._rows:
            painter.fillRect(at, y, width, height, ink)

    def _draw_frame(self, painter: QPainter) -> None:
        """What lies over the paper: rounded corners, caption, numbers, newest point."""
        ratio, unit, tokens = self.devicePixelRatioF(), self.unit, self.tokens
        painter.fillPath(self._corners, colour(tokens.ground))
        for place, sticker in self._stickers:
            painter.drawPixmap(place, sticker)
        if self._columns:
            newest = self._columns[-1]
            y = self._y((newest.least + newest.most) / 2) / ratio
            painter.setPen(QPen(colour(tokens.ground), 2 * unit))
            painter.setBrush(colour(tokens.text))
            painter.drawEllipse(QPointF(self._wide / ratio - 2 * unit, y), 6 * unit, 6 * unit)
