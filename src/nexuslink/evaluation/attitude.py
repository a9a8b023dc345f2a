"""How well an attitude filter knows where up is, on recordings with an optical truth.

The error is the angle between the true and the estimated direction of up, seen from the sensor: that is BROAD's
inclination error 2 acos(sqrt(w2 + z2)) of the error quaternion, with no alignment fitted. The figure of a recording is
its root mean square over movement with a truth; the figure of a filter is the mean over recordings. A filter sees
copies of gyroscope and accelerometer only. No look-ahead: a filter run on the beginning of a recording must say what it
said in the whole one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from nexuslink.estimation.calibration import ImuCalibration
from nexuslink.estimation.selfcalibration import self_calibrate_imu
from nexuslink.estimation.tracking import ImuRecording, track_attitude
from nexuslink.evaluation.errors import EvaluationError
from nexuslink.evaluation.peers import PEERS, Array, Filter
from nexuslink.evaluation.recordings import Recording
from nexuslink.evaluation.workers import spread

UNCALIBRATED: Final = "nexuslink"
CALIBRATED: Final = "nexuslink calibrated"
AGAINST: Final = "vqf"
"""The peer that must not be done worse than."""
CUTS: Final = (0.23, 0.51, 0.83)
"""Where a recording is cut to see whether a filter looked ahead, as a share of its length."""
PEER_CUTS: Final = (0.05,)
"""Peers are only looked at briefly: one of them takes a hundred times as long as the others."""
SAME_RAD: Final = 1e-6
LOST_DEG: Final = 180.0
"""A missing estimate counts as the worst there is."""


@dataclass(frozen=True, slots=True)
class Score:
    """One filter on one recording, degrees. NaN: there was nothing to judge."""

    rmse_deg: float
    tip_rmse_deg: float
    """Of the angle between a sensor axis and vertical, as a tool shows it; mean of the three axes."""
    p95_deg: float
    max_deg: float
    rest_rmse_deg: float
    """Outside movement."""
    causal: bool
    ns_per_sample: float


@dataclass(frozen=True, slots=True)
class SensorFit:
    """Self-calibration of one sensor, and from which recordings."""

    sensor: str
    recordings: tuple[str, ...]
    calibration: ImuCalibration


@dataclass(frozen=True, slots=True)
class Column:
    """One filter on all recordings."""

    name: str
    scores: Mapping[str, Score]
    """By recording; empty where the filter is not installed."""
    uncalibrated: tuple[str, ...] = ()
    """Recordings for which there was no accepted calibration: the filter ran as without."""

    def mean(self, figure: str) -> float:
        """Mean over the recordings of one figure of `Score`; recordings without one are left out, NaN without any."""
        values = [value for score in self.scores.values() if math.isfinite(value := getattr(score, figure))]
        return sum(values) / len(values) if values else math.nan

    @property
    def worst_rmse_deg(self) -> float:
        """Of the worst recording."""
        return max((score.rmse_deg for score in self.scores.values()), default=math.nan)

    @property
    def causal(self) -> bool:
        """On every recording."""
        return all(score.causal for score in self.scores.values())


@dataclass(frozen=True, slots=True)
class AttitudeReport:
    """All filters on all recordings."""

    recordings: tuple[str, ...]
    sensor_of: Mapping[str, str]
    columns: tuple[Column, ...]
    fits: tuple[SensorFit, ...] = ()
    unknown: tuple[str, ...] = ()
    """Names in the list of sensors that neither folder holds."""

    def column(self, name: str) -> Column | None:
        """By name, where it has scores."""
        return next((column for column in self.columns if column.name == name and column.scores), None)

    def worst_excess_deg(self, name: str, than: str) -> float:
        """Largest RMSE of ``name`` above that of ``than`` on the same recording; NaN where one of them did not run."""
        one, other = self.column(name), self.column(than)
        if one is None or other is None:
            return math.nan
        return max(one.scores[r].rmse_deg - other.scores[r].rmse_deg for r in self.recordings)


@dataclass(frozen=True, slots=True)
class _Job:
    recording: Recording
    peers: tuple[str, ...]
    calibration: ImuCalibration | None
    """``None``: no calibrated column is wanted."""


@dataclass(slots=True)
class Sensors:
    """Whose recordings are whose. ``calibrating``: the recordings that calibrate, by sensor."""

    sensor_of: dict[str, str]
    calibrating: dict[str, list[Recording]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def sort_by_sensor(
    evaluated: Sequence[Recording], calibrating: Sequence[Recording], sensors: Mapping[str, Sequence[str]]
) -> Sensors:
    """Find for each sensor the recordings that are here. Raises `EvaluationError` where none of them calibrates."""
    of = {name: sensor for sensor, names in sensors.items() for name in names}
    here = {r.name for r in evaluated} | {r.name for r in calibrating}
    found = Sensors({r.name: of[r.name] for r in evaluated if r.name in of})
    found.unknown = tuple(sorted(set(of) - here))
    for recording in calibrating:
        if recording.name in of:
            found.calibrating.setdefault(of[recording.name], []).append(recording)
    if not found.calibrating:
        names = ", ".join(list(of)[:3]) or "nothing"
        what = f"names no recording of the calibrating folder (it names {names[:120]})"
        raise EvaluationError("list of sensors", what, "write the names of its files without .npz")
    return found


def evaluate_attitude(
    recordings: Sequence[Recording],
    peers: Sequence[str] = tuple(PEERS),
    sensors: Sensors | None = None,
    processes: int = 1,
) -> AttitudeReport:
    """Every filter on every recording; with ``sensors`` a column with each sensor's self-calibration too.

    Peers that are not installed get an empty column.
    """
    fits = tuple(spread(_fit, sorted(sensors.calibrating.items()), processes)) if sensors is not None else ()
    accepted = {fit.sensor: fit.calibration for fit in fits if fit.calibration.accepted}
    there = tuple(peer for peer in peers if PEERS[peer].installed)
    sensor_of = sensors.sensor_of if sensors is not None else {}
    jobs = []
    for recording in recordings:
        own = accepted.get(sensor_of.get(recording.name, ""), ImuCalibration())
        jobs.append(_Job(recording, there, own if sensors is not None else None))
    scores: dict[str, dict[str, Score]] = {}
    for job, row in zip(jobs, spread(_run, jobs, processes), strict=True):
        for name, score in row.items():
            scores.setdefault(name, {})[job.recording.name] = score
    names = (UNCALIBRATED, *((CALIBRATED,) if sensors is not None else ()), *peers)
    without = tuple(r.name for r in recordings if sensor_of.get(r.name) not in accepted)
    return AttitudeReport(
        recordings=tuple(r.name for r in recordings),
        sensor_of=sensor_of,
        columns=tuple(Column(name, scores.get(name, {}), without if name == CALIBRATED else ()) for name in names),
        fits=fits,
        unknown=sensors.unknown if sensors is not None else (),
    )


def _fit(group: tuple[str, list[Recording]]) -> SensorFit:
    sensor, recordings = group
    motion = [ImuRecording(r.gyro_rad_s.copy(), r.accel_m_s2.copy(), r.rate_hz) for r in recordings]
    return SensorFit(sensor, tuple(r.name for r in recordings), self_calibrate_imu(motion))


def _filters(job: _Job) -> Iterator[tuple[str, Filter, tuple[float, ...]]]:
    """Name, filter, where it is cut."""
    yield UNCALIBRATED, track_attitude, CUTS
    if job.calibration is not None:
        yield CALIBRATED, partial(track_attitude, calibration=job.calibration), CUTS
    for peer in job.peers:
        yield peer, PEERS[peer].run, PEER_CUTS


def _run(job: _Job) -> dict[str, Score]:
    return {name: score(job.recording, filter_, cuts) for name, filter_, cuts in _filters(job)}


def score(recording: Recording, filter_: Filter, cuts: Sequence[float] = CUTS) -> Score:
    """Run ``filter_`` on the recording, and again on its beginnings."""
    n = len(recording.gyro_rad_s)
    begin_ns = time.perf_counter_ns()
    up = _up(recording, filter_, n)
    taken_ns = time.perf_counter_ns() - begin_ns
    causal = all(_agrees(_up(recording, filter_, cut), up[:cut]) for cut in (int(n * share) for share in cuts))
    if recording.truth is None or recording.movement is None:
        raise EvaluationError(recording.name, "was loaded without its truth", "load it with the truth")
    truth = up_of(recording.truth)
    known = np.isfinite(truth[:, 0])
    moving, resting = recording.movement & known, ~recording.movement & known
    lost = ~np.isfinite(up).all(axis=1)
    error = np.where(lost, LOST_DEG, np.degrees(angle_between(up, truth)))
    with np.errstate(invalid="ignore"):
        tilt = np.degrees(np.arccos(np.clip(up, -1.0, 1.0)) - np.arccos(np.clip(truth, -1.0, 1.0)))
    tilt = np.where(np.isfinite(up), tilt, LOST_DEG)
    return Score(
        rmse_deg=_rms(error[moving]),
        tip_rmse_deg=float(np.mean([_rms(tilt[moving, axis]) for axis in range(3)])),
        p95_deg=float(np.percentile(error[moving], 95)),
        max_deg=float(error[moving].max()),
        rest_rmse_deg=_rms(error[resting]),
        causal=causal,
        ns_per_sample=taken_ns / n,
    )


def up_of(quaternions: Array) -> Array:
    """(n, 4) sensor to earth -> (n, 3): the direction of up in the sensor's frame (third row of the matrix)."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    return np.column_stack([2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z])


def angle_between(one: Array, other: Array) -> Array:
    """(n,) radians between unit vectors (n, 3), exact for small angles too."""
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(one, other), axis=1), (one * other).sum(axis=1)))


def _up(recording: Recording, filter_: Filter, n: int) -> Array:
    quaternions = filter_(recording.gyro_rad_s[:n].copy(), recording.accel_m_s2[:n].copy(), recording.rate_hz)
    return up_of(np.asarray(quaternions, np.float64))


def _agrees(part: Array, whole: Array) -> bool:
    """The same directions; rows that are missing in both agree."""
    there = np.isfinite(whole).all(axis=1)
    if not np.array_equal(there, np.isfinite(part).all(axis=1)):
        return False
    return bool((angle_between(part[there], whole[there]) < SAME_RAD).all())


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values * values))) if len(values) else math.nan
