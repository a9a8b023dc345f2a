"""How good force, pressure and angle are, on tools of which a bench knows the truth.

For each seed: a tool as its factory made it and time changed it; calibrated by six poses and five weights; then used at
random through the estimator that is used live, a fresh one each time, its zero taken at the start of each use. What
the estimator says is compared with what was there. Everything follows from the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import ImuScale, ToolCalibration
from nexuslink.estimation.estimator import Estimates, Estimator
from nexuslink.evaluation.bench import Bench, find_bench
from nexuslink.evaluation.bench_calibration import calibrate
from nexuslink.evaluation.histories import FORCES_N, STILL_S, Drawer, Use
from nexuslink.evaluation.motion import Array
from nexuslink.evaluation.workers import spread

BATCH: Final = 25
"""Force samples that the estimator gets at once."""
TARE_S: Final = 1.0
"""Mean of the counts before the end of the still time."""
STATUS_S: Final = 1.0
"""The tool says its temperature this often."""
PAUSE_S: Final = (300.0, 3000.0)
"""Between two uses, unloaded."""
ORDINARY: Final = 6
"""Uses of a seed that are sampled for error and coverage."""
LOOKS: Final = 8
"""Moments sampled of each."""
STILL_POSES: Final = 4
DRIFT_AFTER_S: Final = 1.0
"""A hold's drift counts from so long after the ramp."""
RETURN_S: Final = 2.0
_MEAN_S: Final = 0.2


class Look(NamedTuple):
    """One moment of one tip (force, pressure) or of the pressed one (angle): what was said, and what was true."""

    seed: int
    use: int
    tip: int
    force_n: float
    """True."""
    error_n: float
    u_n: float
    pressure_kpa: float
    """True mean."""
    error_kpa: float
    u_kpa: float
    angle_deg: float
    """True."""
    error_deg: float
    u_deg: float
    temperature_c: float
    trusted: bool


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One tool."""

    seed: int
    refused: tuple[str, ...]
    """Parts of its calibration that were not accepted."""
    looks: tuple[Look, ...]
    drift_n: float
    """From the beginning to the end of a long hold; signed."""
    return_n: tuple[float, ...]
    """What is left so long after unloading; signed, one a use with a hold."""
    sweep_n: float
    """Largest reading of the unloaded tool, turned through every pose; signed."""
    still_deg: tuple[float, ...]
    """Tip angle of the still tool in random poses: error, signed, both tips."""


class _Heard(NamedTuple):
    """What the estimator said in one use: times in samples of the IMU's rate, forces, and batches to look at."""

    rows: NDArray[np.int64]
    force_n: Array
    looks: list[Look]
    angle_deg: tuple[float, float]
    """Errors of both tips at the end."""


class _Tool:
    """One tool from use to use."""

    def __init__(self, bench: Bench, calibration: ToolCalibration, rng: np.random.Generator, start_s: float) -> None:
        self._bench, self._calibration, self._rng, self._now_s = bench, calibration, rng, start_s
        scale = bench.imu_scale
        self._scale = ImuScale(
            scale.rate_hz, scale.gyro_rad_s, scale.accel_m_s2, scale.gyro_range_rad_s, scale.accel_range_m_s2
        )
        self._step = round(scale.rate_hz / bench.force_rate_hz)

    def used(self, use: Use, number: int, looks_from_s: float = math.inf) -> _Heard:
        """Through a fresh estimator; looks are drawn from ``looks_from_s`` on."""
        bench, rng, step = self._bench, self._rng, self._step
        self._now_s += rng.uniform(*PAUSE_S)
        t_s = self._now_s + use.t_s
        self._now_s = float(t_s[-1])
        imu = bench.imu_counts(use.rate_rad_s, use.specific_force, use.temperature_c)
        rows = np.arange(0, len(t_s), step)
        force = bench.force_counts(
            t_s[rows], use.contact_n[rows], use.specific_force[rows], use.rate_rad_s[rows], use.temperature_c[rows]
        )
        t_us = np.rint(1e6 * use.t_s).astype(np.int64)
        estimator = Estimator(self._calibration, self._scale, bench.force_rate_hz)
        first = math.ceil(looks_from_s * bench.force_rate_hz / BATCH) if math.isfinite(looks_from_s) else 0
        batches = len(rows) // BATCH
        chosen: set[int] = set()
        if math.isfinite(looks_from_s):
            chosen = set(rng.choice(np.arange(first, batches), LOOKS, replace=False).tolist())
        tare_at = round(STILL_S * bench.force_rate_hz / BATCH)
        status_every = round(STATUS_S * bench.force_rate_hz / BATCH)
        said, heard, looks = [], [], []
        angle = (math.nan, math.nan)
        for batch in range(batches):
            here = slice(batch * BATCH, (batch + 1) * BATCH)
            wide = slice(here.start * step, here.stop * step)
            if batch % status_every == 0:
                celsius = bench.temperature_reading(float(use.temperature_c[wide.start]))
                estimator.set_temperature(int(t_us[wide.start]), celsius)
            if batch == tare_at:
                before = slice(here.start - round(TARE_S * bench.force_rate_hz), here.start)
                estimator.tare(force[before].mean(axis=0))
            made = estimator.update((t_us[rows[here]], force[here]), (t_us[wide], imu[wide]))
            if made is None:
                continue
            at = np.searchsorted(t_us, made.t_us)
            if batch >= tare_at:
                said.append(made.force_n)
                heard.append(at)
            if batch in chosen or batch == batches - 1:
                row = int(np.searchsorted(t_us, made.attitude.t_us))
                true = np.degrees(np.arccos(np.clip(bench.tip_axes @ use.up[row], -1.0, 1.0)))
                angle = (made.attitude.tip_angle_deg[0] - true[0], made.attitude.tip_angle_deg[1] - true[1])
                if batch in chosen:
                    looks += self._look(made, at, use, number, true, angle)
        return _Heard(np.concatenate(heard), np.concatenate(said), looks, (float(angle[0]), float(angle[1])))

    def _look(
        self, made: Estimates, at: NDArray[np.int64], use: Use, number: int, true_deg: Array, angle: tuple[float, float]
    ) -> list[Look]:
        """One sample of the batch, at random: of each loaded tip."""
        one = int(self._rng.integers(len(at)))
        true_n = use.contact_n[at[one]]
        true_kpa = self._bench.true_pressure_kpa(true_n[None])[0][0]
        celsius = float(use.temperature_c[at[one]])
        looks = []
        for tip in (0, 1):
            if not FORCES_N[0] <= true_n[tip] <= FORCES_N[1]:
                continue
            looks.append(Look(
                0, number, tip,
                float(true_n[tip]), float(made.force_n[one, tip] - true_n[tip]), float(made.u_force_n[one, tip]),
                float(true_kpa[tip]), float(made.pressure_kpa[one, tip] - true_kpa[tip]),
                float(made.u_pressure_kpa[one, tip]),
                float(true_deg[tip]), float(angle[tip]), float(made.attitude.u_tip_angle_deg[tip]),
                celsius, made.trusted,
            ))  # fmt: skip
        return looks


def evaluate_seed(make: Callable[[int], Bench], seed: int) -> SeedResult:
    """One tool, from its making to the last use."""
    bench = make(seed)
    rng = np.random.default_rng((seed, 77))
    made = calibrate(bench, rng)
    drawer = Drawer(rng, bench.tip_axes, bench.imu_scale.rate_hz, made.gravity_m_s2)
    tool = _Tool(bench, made.calibration, rng, made.end_s)
    looks, returns = [], []
    for number in range(ORDINARY):
        use = drawer.ordinary()
        heard = tool.used(use, number, STILL_S + 3.0)
        looks += [look._replace(seed=seed) for look in heard.looks]
        returns.append(_mean(heard, use, use.unloaded_s + RETURN_S, use.tip))
    hold = drawer.long_hold()
    heard = tool.used(hold, ORDINARY)
    returns.append(_mean(heard, hold, hold.unloaded_s + RETURN_S, hold.tip))
    begin_s, end_s = _held(hold)
    drift = _mean(heard, hold, end_s, hold.tip) - _mean(heard, hold, begin_s + DRIFT_AFTER_S, hold.tip)
    swept = tool.used(drawer.sweep(), ORDINARY + 1).force_n
    still = [tool.used(drawer.still(), ORDINARY + 2).angle_deg for _ in range(STILL_POSES)]
    return SeedResult(
        seed, made.refused, tuple(looks), drift, tuple(returns), float(swept.flat[np.abs(swept).argmax()]),
        tuple(error for pair in still for error in pair),
    )  # fmt: skip


def _held(use: Use) -> tuple[float, float]:
    """When the highest load began and ended, seconds."""
    load = use.contact_n[:, use.tip]
    rows = np.flatnonzero(load == load.max())
    return float(use.t_s[rows[0]]), float(use.t_s[rows[-1]])


def _mean(heard: _Heard, use: Use, at_s: float, tip: int) -> float:
    """Error of one tip's force, newtons: mean over the `_MEAN_S` before a moment."""
    until = int(np.searchsorted(use.t_s[heard.rows], at_s))
    since = int(np.searchsorted(use.t_s[heard.rows], at_s - _MEAN_S))
    error = heard.force_n[since:until, tip] - use.contact_n[heard.rows[since:until], tip]
    return float(error.mean())


# ---- all of them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the report and what it must be."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    what: str
    cases: int

    @property
    def kept(self) -> bool:
        """Within its limits; NaN never is."""
        return self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True)
class ForceReport:
    """All tools."""

    bench: str
    simulated: bool
    seeds: tuple[int, ...]
    figures: tuple[Figure, ...]
    results: tuple[SeedResult, ...]

    @property
    def looks(self) -> tuple[Look, ...]:
        """Of all tools."""
        return tuple(look for result in self.results for look in result.looks)


CLAIM_SHARE, CLAIM_N = 0.01, 0.1
"""Of the reading, and newtons."""
K95: Final = 1.96


class _OneSeed(NamedTuple):
    bench: str
    seed: int


def _evaluate(one: _OneSeed) -> SeedResult:
    return evaluate_seed(find_bench(one.bench), one.seed)


def evaluate_force(
    bench: str, seeds: Sequence[int], processes: int = 1, on_done: Callable[[int], None] | None = None
) -> ForceReport:
    """Every seed, in order; ``on_done`` hears how many are. Raises `EvaluationError` where there is no such bench."""
    simulated = find_bench(bench)(seeds[0]).simulated
    results = []
    for result in spread(_evaluate, [_OneSeed(bench, seed) for seed in seeds], processes):
        results.append(result)
        if on_done is not None:
            on_done(len(results))
    return ForceReport(bench, simulated, tuple(seeds), figures(results), tuple(results))


def figures(results: Sequence[SeedResult]) -> tuple[Figure, ...]:
    """What is promised, in its order."""
    looks = [look for result in results for look in result.looks]
    column = {name: np.array([getattr(look, name) for look in looks]) for name in Look._fields}
    claim = CLAIM_SHARE * np.abs(column["force_n"] + column["error_n"]) + CLAIM_N
    within = np.abs(column["error_n"]) <= claim
    still = np.abs([error for result in results for error in result.still_deg])
    returns = np.abs([error for result in results for error in result.return_n])
    drifts = np.abs([result.drift_n for result in results])
    sweeps = np.abs([result.sweep_n for result in results])

    def covered(error: str, u: str) -> float:
        known = np.isfinite(column[error])
        return 100.0 * _share(np.abs(column[error][known]) <= K95 * column[u][known])

    n = len(looks)
    claimed = "force within 1 % of the reading + 0.1 N, from 2 to 110 N, 5 to 40 degC, 0 to 80 deg"
    interval = "the stated 95 % interval holds the truth:"
    return (
        Figure("claim", 100.0 * _share(within), "%", 95.0, 100.0, claimed, n),
        Figure("coverage_force", covered("error_n", "u_n"), "%", 93.0, 97.0, f"{interval} force", n),
        Figure("coverage_pressure", covered("error_kpa", "u_kpa"), "%", 93.0, 97.0, f"{interval} mean pressure", n),
        Figure("coverage_angle", covered("error_deg", "u_deg"), "%", 93.0, 97.0, f"{interval} tip angle", n),
        Figure("drift", _largest(drifts), "N", 0.0, 0.3, "90 s at 60 N: drift by creep, largest", len(drifts)),
        Figure("drift_95", _p95(drifts), "N", 0.0, 0.3, "the same, 95 % of tools below", len(drifts)),
        Figure("return", _largest(returns), "N", 0.0, 0.2, "2 s after unloading: what is left, largest", len(returns)),
        Figure("return_95", _p95(returns), "N", 0.0, 0.2, "the same, 95 % below", len(returns)),
        Figure("sweep", _largest(sweeps), "N", 0.0, 0.1, "turned unloaded through every pose: largest reading", len(sweeps)),
        Figure("sweep_95", _p95(sweeps), "N", 0.0, 0.1, "the same, 95 % of tools below", len(sweeps)),
        Figure("still_angle_95", _p95(still), "deg", 0.0, 0.2, "still in any pose after six poses: tip angle, 95 % below", len(still)),
    )  # fmt: skip


def _share(true: NDArray[np.bool_]) -> float:
    return float(true.mean()) if len(true) else math.nan


def _largest(values: Array) -> float:
    return float(values.max()) if len(values) else math.nan


def _p95(values: Array) -> float:
    return float(np.percentile(values, 95)) if len(values) else math.nan
