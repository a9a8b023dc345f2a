"""Evaluation reports as pictures. Must never compute a figure: what is drawn is what the report holds."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage

from nexuslink.app.canvas import SMALL, TITLE, Axis, Shape, Sheet, save
from nexuslink.app.theme import LIGHT
from nexuslink.evaluation.attitude import CALIBRATED, UNCALIBRATED, AttitudeReport

__all__ = ["attitude_plot", "save"]

MARKS: Final = {
    CALIBRATED: (Shape.DISC, LIGHT.in_),
    UNCALIBRATED: (Shape.CIRCLE, LIGHT.in_),
    "vqf": (Shape.SQUARE, LIGHT.focus),
    "imufusion": (Shape.TRIANGLE, LIGHT.warn),
    "madgwick": (Shape.DIAMOND, LIGHT.stop),
}
"""Shape and colour of a filter; the best known last drawn."""
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


def _short(name: str, longest: int = 44) -> str:
    words = name.replace("_", " ")
    return words if len(words) <= longest else words[: longest - 1] + "…"
