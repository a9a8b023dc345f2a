"""``evaluate``: how good the numbers are, against a truth that estimation does not see."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Final

from nexuslink.cli.errors import UsageError
from nexuslink.cli.output import print_json, say
from nexuslink.evaluation.attitude import (
    AGAINST,
    CALIBRATED,
    UNCALIBRATED,
    AttitudeReport,
    Sensors,
    evaluate_attitude,
    sort_by_sensor,
)
from nexuslink.evaluation.force import ForceReport, by_force, evaluate_force
from nexuslink.evaluation.peers import NOT_INSTALLED, PEERS
from nexuslink.evaluation.recordings import Recording, load_recordings, load_sensors
from nexuslink.evaluation.tables import attitude_lines, force_lines
from nexuslink.evaluation.workers import processors

MOST_SEEDS: Final = 100_000
SENSORS_FILE: Final = "sensors.json"
"""Read from the folders where none is named."""


def attitude(args: argparse.Namespace) -> int:
    """Filters on recordings with an optical truth."""
    draw = _plots(args.plot)
    peers = _peers(args.peers)
    if args.sensors is not None and args.calibrate_from is None:
        raise UsageError("--sensors says whose recordings calibrate: name their folder with --calibrate-from")
    folder = Path(args.folder)
    recordings = load_recordings(folder)
    sensors = None
    if args.calibrate_from is not None:
        sensors = _sensors(folder, recordings, Path(args.calibrate_from), args.sensors)
    report = evaluate_attitude(recordings, peers, sensors, _processes(args.processes))
    if draw is not None:
        _save(draw, draw.attitude_plot(report), args.plot)
    if args.json:
        print_json(attitude_values(report, folder))
        return 0
    for line in attitude_lines(report):
        say(line)
    return 0


def force(args: argparse.Namespace) -> int:
    """Force, pressure and angle on benches that know the truth. A report, not a test: the exit status says nothing."""
    draw = _plots(args.plot)
    if not 1 <= args.seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds {args.seeds}: write how many tools, 1 to {MOST_SEEDS}")
    if args.first_seed < 0:
        raise UsageError(f"--first-seed {args.first_seed}: write 0 or more")
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    begin_s = time.monotonic()

    def progress(done: int) -> None:
        left_s = (time.monotonic() - begin_s) / done * (len(seeds) - done)
        sys.stderr.write(f"\r{done} of {len(seeds)} tools, {left_s:.0f} s left " + "\n" * (done == len(seeds)))
        sys.stderr.flush()

    report = evaluate_force(args.bench, seeds, _processes(args.processes), progress if sys.stderr.isatty() else None)
    if draw is not None:
        _save(draw, draw.force_plot(report), args.plot)
    if args.json:
        print_json(force_values(report))
        return 0
    for line in force_lines(report):
        say(line)
    return 0


def _sensors(folder: Path, recordings: Sequence[Recording], calibrate_from: Path, named: str | None) -> Sensors:
    """Sort the recordings by the list that is named, or by the lists that lie in the two folders."""
    calibrating = load_recordings(calibrate_from, with_truth=False)
    lists = [Path(named)] if named is not None else []
    if named is None:
        lists = [file for where in {folder: 0, calibrate_from: 0} if (file := where / SENSORS_FILE).is_file()]
    if not lists:
        raise UsageError(f"{calibrate_from}: no {SENSORS_FILE} says which sensor made what; name one with --sensors")
    merged: dict[str, tuple[str, ...]] = {}
    for file in lists:
        for sensor, names in load_sensors(file).items():
            merged[sensor] = (*merged.get(sensor, ()), *names)
    return sort_by_sensor(recordings, calibrating, merged)


def _peers(names: str) -> tuple[str, ...]:
    peers = tuple(name for name in names.split(",") if name)
    for name in peers:
        if name not in PEERS:
            raise UsageError(f"--peers {name!r}: there are {','.join(PEERS)}")
    return peers


def _processes(named: int | None) -> int:
    if named is not None and named < 1:
        raise UsageError(f"--processes {named}: write 1 or more")
    return named or processors()


def _plots(path: str | None) -> ModuleType | None:
    """The room that draws, if a plot is wanted; whatever would spoil the plot is found before the long work."""
    if path is None:
        return None
    file = Path(path)
    if file.suffix.lower() != ".png":
        raise UsageError(f"--plot {path}: plots are PNG; write a name that ends in .png")
    if not file.parent.is_dir():
        raise UsageError(f"--plot {path}: no such folder; make it first")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError(f"--plot {path}: cannot be written; name another file")
    try:
        from nexuslink.app import plots
    except ImportError as error:
        raise UsageError(f"--plot: this machine cannot draw ({error}); nexuslink doctor says why") from None
    return plots


def _save(draw: ModuleType, image: object, path: str) -> None:
    if not draw.save(image, Path(path)):
        raise UsageError(f"--plot {path}: the picture cannot be written; is the disk full?")


def force_values(report: ForceReport) -> dict[str, object]:
    """Everything about the report, for programs."""
    return {
        "bench": report.bench, "simulated": report.simulated, "seeds": report.seeds,
        "figures": {
            one.name: {
                "value": one.value, "unit": one.unit, "low": one.low, "high": one.high, "kept": one.kept,
                "cases": one.cases, "what": one.what,
            }
            for one in report.figures
        },
        "untrusted": sum(not look.trusted for look in report.looks),
        "tools": [
            {
                "seed": result.seed, "refused": result.refused, "drift_n": result.drift_n,
                "return_n": result.return_n, "sweep_n": result.sweep_n, "still_deg": result.still_deg,
            }
            for result in report.results
        ],
        "by_force": [asdict(band) for band in by_force(report.looks)],
    }  # fmt: skip


def attitude_values(report: AttitudeReport, folder: Path) -> dict[str, object]:
    """Everything about the report, for programs."""
    return {
        "folder": folder,
        "recordings": report.recordings,
        "sensor_of": dict(report.sensor_of),
        "estimators": [
            {
                "name": column.name,
                "installed": bool(column.scores),
                "hint": "" if column.scores else NOT_INSTALLED,
                "mean": {
                    name: column.mean(name)
                    for name in ("rmse_deg", "tip_rmse_deg", "p95_deg", "max_deg", "rest_rmse_deg", "ns_per_sample")
                },
                "worst_rmse_deg": column.worst_rmse_deg,
                "causal": column.causal if column.scores else None,
                "uncalibrated": column.uncalibrated,
                "recordings": {name: asdict(score) for name, score in column.scores.items()},
            }
            for column in report.columns
        ],
        "calibrations": [
            {
                "sensor": fit.sensor,
                "recordings": fit.recordings,
                "accepted": fit.calibration.accepted,
                "quality": fit.calibration.quality,
                "reason": fit.calibration.reason,
                "gyro_matrix": fit.calibration.gyro.matrix.tolist(),
            }
            for fit in report.fits
        ],
        "unknown_names": report.unknown,
        "less_vqf": {
            name: {
                "mean_deg": ran.mean("rmse_deg") - vqf.mean("rmse_deg"),
                "worst_deg": report.worst_excess_deg(name, AGAINST),
            }
            for name in (UNCALIBRATED, CALIBRATED)
            if (ran := report.column(name)) and (vqf := report.column(AGAINST))
        },
    }
