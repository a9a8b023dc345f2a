"""The real recordings with optical truth, as tests of whole recordings need them."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from motion_samples import inclination_deg
from numpy.typing import NDArray
from real_data import attitude_files

from nexuslink.estimation import ImuRecording

Array = NDArray[np.float64]


class Trial(NamedTuple):
    recording: ImuRecording
    truth: Array
    """(n, 4), at the sensor's time; NaN where there is none."""
    moving: NDArray[np.bool_]

    def rmse_deg(self, quaternions: Array) -> float:
        """Inclination error over movement, as the recordings' authors define it."""
        counted = self.moving & np.isfinite(self.truth).all(axis=1)
        return float(np.sqrt(np.mean(inclination_deg(quaternions[counted], self.truth[counted]) ** 2)))


def trials() -> dict[str, Trial]:
    """By the number that begins the file's name."""
    return {path.name[:2]: _trial(np.load(path)) for path in attitude_files()}


def sensors() -> dict[str, list[str]]:
    """Which trials are of the same sensor."""
    named = json.loads((attitude_files()[0].parent / "sensors.json").read_text(encoding="utf-8"))
    return {sensor: [trial[:2] for trial in list_] for sensor, list_ in named.items() if sensor != "note"}


def _trial(file: dict[str, Array]) -> Trial:
    rate_hz = float(file["rate"])
    counts = file["quat"].astype(np.float64)
    counts[(counts == 0).all(axis=1)] = np.nan
    early = float(file["sync_s"]) * rate_hz  # the optical clock is ahead by that many samples, less than one
    truth = np.full_like(counts, np.nan)
    earlier, later = counts[:-1], counts[1:]
    later = later * np.where((earlier * later).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    truth[1:] = early * earlier + (1 - early) * later
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    gyro, accel = (np.ascontiguousarray(file[name] * float(file[name + "_lsb"])) for name in ("gyr", "acc"))
    return Trial(ImuRecording(gyro, accel, rate_hz), truth, file["movement"].astype(bool))
