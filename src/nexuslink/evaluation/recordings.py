"""Recordings of an inertial unit in ``.npz`` files, with or without an optical truth, and whose sensor made them.

The format is that of the BROAD subsets (Laidig et al., "BROAD - A Benchmark for Robust Inertial Orientation
Estimation", Data 6(7):72, 2021): ``gyr`` (n, 3) rad/s, ``acc`` (n, 3) m/s2, ``rate`` in Hz; for scoring also ``quat``
(n, 4), w first, sensor to earth, and ``movement`` (n,). Integers carry their unit in ``gyr_lsb``, ``acc_lsb`` and
``quat_lsb``. ``sync_s`` is how far the clock of the truth is ahead of the IMU's: the truth is read at t - sync_s.
Files are written by strangers: everything is checked here, nothing later. Must never know an estimator.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.evaluation.errors import EvaluationError

Array = NDArray[np.float64]

MOTION: Final = ("gyr", "acc", "rate")
TRUTH: Final = ("quat", "movement")
RATES_HZ: Final = (10.0, 10_000.0)
MAX_SAMPLES: Final = 20_000_000
MIN_SAMPLES: Final = 10
MAX_SYNC_S: Final = 1.0
NOTE: Final = "note"
"""The key of a list of sensors that is a remark."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. ``gyro_rad_s``, ``accel_m_s2``: (n, 3). ``rate_hz``: samples a second."""

    name: str
    gyro_rad_s: Array
    accel_m_s2: Array
    rate_hz: float
    truth: Array | None
    """(n, 4) unit quaternions at the IMU's times, w first, sensor to earth; NaN rows where the markers were lost.
    ``None``: loaded without."""
    movement: NDArray[np.bool_] | None
    """(n,) where the recording counts as movement."""


def load_recordings(folder: Path, with_truth: bool = True) -> list[Recording]:
    """Every ``.npz`` of ``folder``, by name. Raises `EvaluationError`."""
    if not folder.is_dir():
        raise EvaluationError(folder, "no such folder", "name one that holds recordings (.npz)")
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise EvaluationError(folder, "holds no recording", "name a folder with .npz files")
    return [load_recording(file, with_truth) for file in files]


def load_recording(path: Path, with_truth: bool = True) -> Recording:
    """One file, checked; ``with_truth``: the truth is wanted and has to be there. Raises `EvaluationError`."""
    wanted = (*MOTION, *TRUTH) if with_truth else MOTION
    fields = _fields(path, wanted)
    rate_hz = _number(path, fields, "rate", *RATES_HZ)
    gyro = _columns(path, fields, "gyr", 3)
    accel = _columns(path, fields, "acc", 3)
    n = len(gyro)
    if not MIN_SAMPLES <= n <= MAX_SAMPLES:
        raise EvaluationError(path, f"{n} samples", f"{MIN_SAMPLES} to {MAX_SAMPLES} can be used")
    for name, values in (("gyr", gyro), ("acc", accel)):
        if len(values) != n:
            raise EvaluationError(path, f"{name} has {len(values)} rows and gyr {n}", "write one row a sample")
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise EvaluationError(path, f"{name} is not a number in row {bad[0]}", "cut such samples out")
    if not with_truth:
        return Recording(path.stem, gyro, accel, rate_hz, None, None)
    truth = _columns(path, fields, "quat", 4)
    movement = fields["movement"]
    if len(truth) != n or movement.shape != (n,) or movement.dtype.kind not in "biu":
        raise EvaluationError(path, f"quat and movement do not have {n} rows as gyr has", "write one row a sample")
    truth = _unit(path, truth)
    truth = shifted(truth, rate_hz * _number(path, fields, "sync_s", -MAX_SYNC_S, MAX_SYNC_S, 0.0))
    moving = movement.astype(bool)
    if not (moving & np.isfinite(truth[:, 0])).any():
        raise EvaluationError(path, "no sample has both movement and a truth", "leave that file out")
    return Recording(path.stem, gyro, accel, rate_hz, truth, moving)


def shifted(quaternions: Array, samples: float) -> Array:
    """(n, 4) ``quaternions`` read ``samples`` earlier: linear between neighbours, NaN where either is missing."""
    if samples == 0.0:
        return quaternions
    at = np.arange(len(quaternions)) - samples
    before = np.floor(at).astype(np.int64)
    share = (at - before)[:, None]
    there = (before >= 0) & (before + 1 < len(quaternions))
    first, second = quaternions[before[there]], quaternions[before[there] + 1]
    second = np.where((first * second).sum(axis=1, keepdims=True) < 0, -second, second)
    between = (1.0 - share[there]) * first + share[there] * second
    read = np.full_like(quaternions, np.nan)
    read[there] = between / np.linalg.norm(between, axis=1, keepdims=True)
    return read


def load_sensors(path: Path) -> dict[str, tuple[str, ...]]:
    """Sensor -> names of the recordings that it made, from JSON. Raises `EvaluationError`."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise EvaluationError(path, f"cannot be read ({reason})", "name a list of sensors (.json)") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise EvaluationError(path, f"is not JSON ({error})", "mend that line") from None
    if not isinstance(table, dict):
        raise EvaluationError(path, "is not an object", 'write {"sensor": ["recording", ...]}')
    sensors: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for sensor, names in table.items():
        if sensor == NOTE:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise EvaluationError(path, f"{sensor[:60]!r} is not a list of names", 'write {"sensor": ["recording"]}')
        sensors[sensor] = tuple(name.removesuffix(".npz") for name in names)
        for name in sensors[sensor]:
            if owner.setdefault(name, sensor) != sensor:
                what = f"{name[:80]!r} belongs to {owner[name][:60]!r} and to {sensor[:60]!r}"
                raise EvaluationError(path, what, "one sensor made it: name it once")
    return sensors


def _fields(path: Path, wanted: tuple[str, ...]) -> Mapping[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in wanted if name not in file.files]
            if missing:
                what = f"has no {' and no '.join(missing)}"
                raise EvaluationError(path, what, f"write {', '.join(wanted)}")
            return {name: file[name] for name in file.files}
    except EvaluationError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        what = f"cannot be read ({str(error)[:120]})"
        raise EvaluationError(path, what, "write it with numpy.savez") from None


def _number(
    path: Path, fields: Mapping[str, NDArray[Any]], name: str, low: float, high: float, default: float | None = None
) -> float:
    """A field that is one number from ``low`` to ``high``; ``default`` where it may be missing."""
    if name not in fields and default is not None:
        return default
    value = fields[name]
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise EvaluationError(path, f"{name} is not a number", f"write one from {low:g} to {high:g}")
    number = float(value.ravel()[0])
    if not low <= number <= high:
        raise EvaluationError(path, f"{name} is {number:g}", f"write one from {low:g} to {high:g}")
    return number


def _columns(path: Path, fields: Mapping[str, NDArray[Any]], name: str, columns: int) -> Array:
    """A field of ``columns`` columns in its unit."""
    values = fields[name]
    if values.ndim != 2 or values.shape[1] != columns or values.dtype.kind not in "fiu":
        raise EvaluationError(path, f"{name} has the shape {values.shape}", f"write numbers in {columns} columns")
    lsb = _number(path, fields, f"{name}_lsb", 1e-12, 1e6, 1.0)
    return np.ascontiguousarray(np.asarray(values, np.float64) * lsb)


def _unit(path: Path, truth: Array) -> Array:
    """NaN where the truth is all zeros or not finite; anything else has to be a unit quaternion."""
    truth = np.where(((truth == 0).all(axis=1) | ~np.isfinite(truth).all(axis=1))[:, None], np.nan, truth)
    length = np.linalg.norm(truth, axis=1)
    bad = np.flatnonzero(np.abs(length - 1.0) > 0.01)
    if len(bad):
        what = f"quat in row {bad[0]} has the length {length[bad[0]]:.3g}"
        raise EvaluationError(path, what, "write unit quaternions, w first, and zeros or NaN where there is no truth")
    return truth
