"""Evaluation reports as pictures. Must never compute a figure: what is drawn is what the report holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage

from nexuslink.app.canvas import SMALL, TITLE, Axis, Shape, Sheet, save
from nexuslink.app.instruments.badge import paint_badge
from nexuslink.app.theme import LIGHT, colour
from nexuslink.evaluation.attitude import CALIBRATED, UNCALIBRATED, AttitudeReport
from nexuslink.evaluation.force import CLAIM_N, CLAIM_SHARE, ForceReport, by_force
from nexuslink.evaluation.histories import FORCES_N

__all__ = ["attitude_plot", "force_plot", "save"]

MARKS: Final = {
    CALIBRATED: (Shape.DISC, LIGHT.in_),
    UNCALIBRATED: (Shape.CIRCLE, LIGHT.in_),
    "vqf": (Shape.SQUARE, LIGHT.focus),
    "imufusion": (Shape.TRIANGLE, LIGHT.warn),
    "madgwick": (Shape.DIAMOND, LIGHT.stop),
}
"""Shape and colour of a filter; the best known last drawn."""
_ERRORS_N: Final = (1e-4, 3.0)
_TICKS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 180.0)


def attitude_plot(report: AttitudeReport) -> QImage:
    """A row a recording, a mark a filter, the error along a logarithmic axis; the means below."""
    columns = [column for column in report.columns if column.scores]
    values = [score.rmse_deg for column in columns for score in column.scores.values()]
    low = max((t for t in _TICKS if t <= min(values)), default=_TICKS[0])
    high = min((t for t in _TICKS if t >= max(values)), default=_TICKS[-1])
    row, top, left, width = 38, 128, 380, 1200
    rows = len(report.recordings) + 1
    sheet = Sheet(width, top + rows * row + 110)
    bottom = top + rows * row + 12
    x_of = Axis(low, max(high, low * 2), left + 12, width - 48, log=True)
    sheet.text(QRectF(40, 20, width - 80, 36), "Tip angle: error against an optical truth", TITLE, bold=True)
    names = [column.name for column in columns]
    sheet.legend(40, 82, [(name, *MARKS[name]) for name in names])
    for tick in _TICKS:
        if low <= tick <= high:
            sheet.pen(LIGHT.raised)
            sheet.line(x_of(tick), top, x_of(tick), bottom)
            sheet.text(QRectF(x_of(tick) - 30, bottom + 4, 60, 22), f"{tick:g}", SMALL, LIGHT.mute, "centre")
    label = "inclination error, root mean square over movement, degrees (logarithmic)"
    sheet.text(QRectF(left, bottom + 28, width - left - 36, 24), label, SMALL, LIGHT.mute, "centre")
    sheet.pen(LIGHT.line)
    sheet.line(left, bottom - row - 6, width - 36, bottom - row - 6)
    for at, name in enumerate((*report.recordings, "mean")):
        y = top + (at + 0.5) * row + (6 if name == "mean" else 0)
        sheet.text(QRectF(40, y - 14, left - 60, 28), _short(name), SMALL + 1, where="right", bold=name == "mean")
        points = [
            (column.name, column.mean("rmse_deg") if name == "mean" else column.scores[name].rmse_deg)
            for column in columns
        ]
        finite = [x_of(value) for _, value in points if math.isfinite(value)]
        sheet.pen(LIGHT.raised, 3.0)
        sheet.line(min(finite), y, max(finite), y)
        for which, value in sorted(points, key=lambda point: point[0] == CALIBRATED or -names.index(point[0])):
            sheet.mark(x_of(value), y, *MARKS[which])
    if any(column.uncalibrated for column in columns):
        count = max(len(column.uncalibrated) for column in columns)
        note = (
            f"{count} of {len(report.recordings)} recordings without an accepted calibration: scored as {UNCALIBRATED}"
        )
        sheet.text(QRectF(40, bottom + 60, width - 80, 24), note, SMALL, LIGHT.mute)
    return sheet.finished()


def force_plot(report: ForceReport) -> QImage:
    """Left: size of the error against the force, with the claim. Right: coverage of what is stated, by force."""
    sheet = Sheet(1280, 620)
    tools = "simulated tools" if report.simulated else "tools"
    title = f"{len(report.seeds)} {tools}: error of the force, and what the stated uncertainty is worth"
    sheet.text(QRectF(40, 20, 1200, 36), title, TITLE, bold=True)
    if report.simulated:
        paint_badge(sheet.painter, QRectF(1084, 22, 156, 34), LIGHT, 1.0)
    _errors(sheet, QRectF(100, 130, 500, 400), report)
    _coverage(sheet, QRectF(730, 130, 510, 400), report)
    return sheet.finished()


def _frame(sheet: Sheet, box: QRectF, x_label: str, y_label: str, y_ticks: Sequence[tuple[float, str]]) -> None:
    """Horizontal rules with their figures, and the axes' names."""
    for y, words in y_ticks:
        sheet.pen(LIGHT.raised)
        sheet.line(box.left(), y, box.right(), y)
        sheet.text(QRectF(box.left() - 70, y - 11, 60, 22), words, SMALL, LIGHT.mute, "right")
    sheet.text(QRectF(box.left(), box.bottom() + 32, box.width(), 24), x_label, SMALL, LIGHT.mute, "centre")
    sheet.upward(QRectF(box.left() - 92, box.top(), 24, box.height()), y_label)


def _errors(sheet: Sheet, box: QRectF, report: ForceReport) -> None:
    x_of = Axis(0.0, FORCES_N[1], box.left(), box.right())
    y_of = Axis(*_ERRORS_N, box.bottom(), box.top(), log=True)
    ticks = [(y_of(value), f"{value:g}") for value in (0.0001, 0.001, 0.01, 0.1, 1.0)]
    _frame(sheet, box, "true contact force, N", "size of the error, N (logarithmic)", ticks)
    for force in range(0, 111, 20):
        sheet.text(QRectF(x_of(force) - 30, box.bottom() + 6, 60, 22), str(force), SMALL, LIGHT.mute, "centre")
    sheet.dots([QPointF(x_of(look.force_n), y_of(abs(look.error_n))) for look in report.looks], LIGHT.in_)
    steps = [FORCES_N[0] + i for i in range(109)]
    claim = [QPointF(x_of(force), y_of(CLAIM_SHARE * force + CLAIM_N)) for force in steps]
    sheet.curve(claim, LIGHT.stop, 2.5)
    bands = [band for band in by_force(report.looks) if band.cases]
    middles = [x_of((band.low_n + band.high_n) / 2) for band in bands]
    sheet.curve(
        [QPointF(x, y_of(b.stated_n)) for x, b in zip(middles, bands, strict=True)], LIGHT.text, 2.0, dashed=True
    )
    for x, band in zip(middles, bands, strict=True):
        sheet.mark(x, y_of(band.p95_error_n), Shape.DIAMOND, LIGHT.focus)
    y = box.top() - 34
    sheet.pen(LIGHT.stop, 2.5)
    sheet.line(box.left(), y, box.left() + 24, y)
    sheet.text(QRectF(box.left() + 30, y - 12, 150, 24), "claim: 1 % + 0.1 N", SMALL)
    sheet.pen(LIGHT.text, 2.0, dashed=True)
    sheet.line(box.left() + 170, y, box.left() + 196, y)
    sheet.text(QRectF(box.left() + 202, y - 12, 150, 24), "stated 95 %, median", SMALL)
    sheet.mark(box.left() + 362, y, Shape.DIAMOND, LIGHT.focus)
    sheet.text(QRectF(box.left() + 377, y - 12, 150, 24), "95 % of errors below", SMALL)


def _coverage(sheet: Sheet, box: QRectF, report: ForceReport) -> None:
    bands = [band for band in by_force(report.looks) if band.cases]
    values = [value for band in bands for value in (band.force, band.pressure, band.angle)]
    low = 10.0 * math.floor(min([*values, 85.0]) / 10.0)
    y_of = Axis(low, 100.0, box.bottom(), box.top())
    step = 5 if low >= 70 else 10
    ticks = [(y_of(value), f"{value}") for value in range(int(low), 101, step)]
    must = QRectF(box.left(), y_of(97.0), box.width(), y_of(93.0) - y_of(97.0))
    sheet.painter.fillRect(must, colour(LIGHT.in_soft))
    _frame(sheet, box, "true contact force, N", "truth within the stated 95 % interval, % of cases", ticks)
    width = box.width() / max(1, len(bands))
    series = (
        ("force", Shape.DISC, LIGHT.in_),
        ("pressure", Shape.SQUARE, LIGHT.focus),
        ("angle", Shape.DIAMOND, LIGHT.warn),
    )
    for at, band in enumerate(bands):
        x = box.left() + (at + 0.5) * width
        label = f"{band.low_n:g} to {band.high_n:.0f}"
        sheet.text(QRectF(x - width / 2, box.bottom() + 6, width, 22), label, SMALL, LIGHT.mute, "centre")
        for shift, (name, shape, token) in enumerate(series):
            sheet.mark(x + 16 * (shift - 1), y_of(getattr(band, name)), shape, token)
    names = {"pressure": "mean pressure", "angle": "tip angle"}
    entries = [(names.get(name, name), shape, token) for name, shape, token in series]
    sheet.legend(box.left(), box.top() - 34, entries)
    sheet.painter.fillRect(QRectF(box.left() + 350, box.top() - 43, 24, 18), colour(LIGHT.in_soft))
    sheet.text(QRectF(box.left() + 380, box.top() - 46, 130, 24), "must be: 93 to 97", SMALL)


def _short(name: str, longest: int = 44) -> str:
    words = name.replace("_", " ")
    return words if len(words) <= longest else words[: longest - 1] + "…"
