"""Reports as lines for people. Must never compute a figure: what is printed is what the report holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from nexuslink.evaluation.attitude import AGAINST, CALIBRATED, UNCALIBRATED, AttitudeReport, Column, SensorFit
from nexuslink.evaluation.force import ForceReport
from nexuslink.evaluation.peers import NOT_INSTALLED

NOT_WORSE_DEG: Final = 0.01
"""Uncalibrated, mean, above default VQF."""
NO_TRIAL_WORSE_DEG: Final = 0.05
"""On any recording, above default VQF."""
MOST_REFUSALS: Final = 10
_FIGURES: Final = (
    ("mean", "rmse_deg", "{:.3f}"), ("mean of a sensor axis", "tip_rmse_deg", "{:.3f}"),
    ("mean 95 % below", "p95_deg", "{:.3f}"), ("mean largest", "max_deg", "{:.2f}"),
    ("mean at rest", "rest_rmse_deg", "{:.3f}"),
)  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first column to the left, the others to the right, two spaces between."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def figure(value: float, form: str = "{:.3f}") -> str:
    """A number, or a dash where there is none."""
    return form.format(value) if math.isfinite(value) else "-"


def kept(value: float, limit: float) -> str:
    """Whether a figure is within its limit, so that a miss is seen."""
    return "kept" if value <= limit else "MISSED"


def attitude_lines(report: AttitudeReport) -> Iterator[str]:
    """The whole report."""
    columns = [column for column in report.columns if column.scores]
    yield "Direction of up against the optical truth: root mean square over movement, degrees"
    yield ""
    rows = [["recording", *(column.name for column in columns)]]
    rows += [[name, *(_cell(column, name) for column in columns)] for name in report.recordings]
    rows += [[label, *(figure(c.mean(name), form) for c in columns)] for label, name, form in _FIGURES]
    rows.append(["worst recording", *(figure(column.worst_rmse_deg) for column in columns)])
    rows.append(["no look-ahead", *("yes" if column.causal else "LOOKS AHEAD" for column in columns)])
    rows.append(["ns a sample", *(figure(column.mean("ns_per_sample"), "{:.0f}") for column in columns)])
    lines = table(rows)
    rule = "-" * max(map(len, lines))
    yield from (lines[0], rule, *lines[1 : 1 + len(report.recordings)], rule, *lines[1 + len(report.recordings) :])
    for column in report.columns:
        if not column.scores:
            yield f"{column.name}: {NOT_INSTALLED}"
        elif column.uncalibrated:
            yield f"*  without an accepted calibration of its sensor: scored as {UNCALIBRATED}"
    yield from _against(report)
    if report.fits:
        yield ""
        yield "Self-calibration, from gyroscope and accelerometer alone:"
        yield from (_fit_line(fit) for fit in report.fits)
        yield from _left_out(report)


def _cell(column: Column, recording: str) -> str:
    mark = "*" if recording in column.uncalibrated else " " * bool(column.uncalibrated)
    return figure(column.scores[recording].rmse_deg) + mark


def _against(report: AttitudeReport) -> Iterator[str]:
    other = report.column(AGAINST)
    if other is None:
        return
    yield ""
    for name in (UNCALIBRATED, CALIBRATED):
        column = report.column(name)
        if column is None:
            continue
        mean = column.mean("rmse_deg") - other.mean("rmse_deg")
        worst = report.worst_excess_deg(name, AGAINST)
        limit = f" (limit +{NOT_WORSE_DEG:g}: {kept(mean, NOT_WORSE_DEG)})" if name == UNCALIBRATED else ""
        yield (
            f"{name} less {AGAINST}: mean {mean:+.3f} deg{limit}, on the worst recording {worst:+.3f} deg "
            f"(limit +{NO_TRIAL_WORSE_DEG:g}: {kept(worst, NO_TRIAL_WORSE_DEG)})"
        )


def _fit_line(fit: SensorFit) -> str:
    n, calibration = len(fit.recordings), fit.calibration
    said = f"{n} recording{'s' if n != 1 else ''}"
    quality = figure(100 * calibration.quality, "{:.3f} %")
    if calibration.accepted:
        return f"  {fit.sensor}  {said}, accepted: standard deviation of the gyroscope's matrix at worst {quality}"
    return f"  {fit.sensor}  {said}, refused: {calibration.reason}"


def _left_out(report: AttitudeReport) -> Iterator[str]:
    tried = {fit.sensor for fit in report.fits}
    for name in report.recordings:
        sensor = report.sensor_of.get(name)
        if sensor is None:
            yield f"  {name}: the list of sensors does not name it"
        elif sensor not in tried:
            yield f"  {name}: no recording of its sensor {sensor} to calibrate from"
    if report.unknown:
        n = len(report.unknown)
        yield f"  {n} of the list's names found in neither folder: {', '.join(report.unknown[:5])}{', ...' * (n > 5)}"


def force_lines(report: ForceReport) -> Iterator[str]:
    """The whole report."""
    n, first, last = len(report.seeds), report.seeds[0], report.seeds[-1]
    tools = "SIMULATED tools (no real one was measured)" if report.simulated else "tools"
    yield f"{n} {tools}, bench {report.bench!r}, seeds {first} to {last}"
    yield "Each calibrated by six poses and five weights, then used at random."
    yield ""
    rows = [["what", "cases", "found", "must be", ""]]
    for one in report.figures:
        limits = f"{one.low:g} to {one.high:g}" if one.low > 0 else f"<= {one.high:g}"
        found = figure(one.value, "{:.1f}" if one.unit == "%" else "{:.3f}")
        verdict = "kept" if one.kept else "MISSED"
        rows.append([one.what, str(one.cases), f"{found} {one.unit}", f"{limits} {one.unit}", verdict])
    lines = table(rows)
    yield from (lines[0], "-" * max(map(len, lines)), *lines[1:])
    yield ""
    untrusted = sum(not look.trusted for look in report.looks)
    yield f"{untrusted} of {len(report.looks)} moments were said not to be trusted; all of them are counted above."
    refused = [(result.seed, reason) for result in report.results for reason in result.refused]
    yield f"{len(refused)} calibrations were refused, and the record before was used" + (":" if refused else ".")
    yield from (f"  seed {seed}: {reason}" for seed, reason in refused[:MOST_REFUSALS])
    if len(refused) > MOST_REFUSALS:
        yield f"  and {len(refused) - MOST_REFUSALS} more"
