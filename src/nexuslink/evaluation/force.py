"""How good force, pressure and angle are, on tools of which a bench knows the truth.

For each seed: a tool as its factory made it and time changed it; calibrated by six poses and five weights; then used at
random through the estimator that is used live, a fresh one each time, its zero taken at the start of each use. What
the estimator says is compared with what was there. Everything follows from the seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.evaluation.bench import Bench, find_bench
from nexuslink.evaluation.bench_calibration import calibrate
from nexuslink.evaluation.histories import Drawer
from nexuslink.evaluation.motion import Array
from nexuslink.evaluation.usage import Look, UsedTool
from nexuslink.evaluation.workers import spread

ORDINARY: Final = 6
"""Uses of a tool that are sampled for error and coverage."""
LOOKS: Final = 8
"""Moments sampled of each."""
STILL_POSES: Final = 4
DRIFT_AFTER_S: Final = 1.0
"""A hold's drift counts from so long after its ramp."""
RETURN_S: Final = 2.0
CLAIM_SHARE, CLAIM_N = 0.01, 0.1
"""The claim: of the reading, and newtons."""
K95: Final = 1.96
BANDS_N: Final = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 110.1)
_DRAWN: Final = 77
"""Keeps the uses' random numbers apart from the tool's own."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One tool; signed errors, estimate minus truth."""

    seed: int
    refused: tuple[str, ...]
    """Parts of its calibration that were not accepted, and why."""
    looks: tuple[Look, ...]
    drift_n: float
    """From the beginning to the end of a long hold."""
    return_n: tuple[float, ...]
    """What is left `RETURN_S` after unloading, one a use with a hold."""
    sweep_n: float
    """Largest reading of the unloaded tool, turned through every pose."""
    still_deg: tuple[float, ...]
    """Tip angle of the still tool in random poses, both tips."""


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


class _OneSeed(NamedTuple):
    bench: str
    seed: int


def evaluate_force(
    bench: str, seeds: Sequence[int], processes: int = 1, on_done: Callable[[int], None] | None = None
) -> ForceReport:
    """Every seed, in order; ``on_done`` hears how many are. Raises `EvaluationError` where there is no such bench."""
    simulated = find_bench(bench)(seeds[0]).simulated
    results: list[SeedResult] = []
    for result in spread(_evaluate, [_OneSeed(bench, seed) for seed in seeds], processes):
        results.append(result)
        if on_done is not None:
            on_done(len(results))
    return ForceReport(bench, simulated, tuple(seeds), figures(results), tuple(results))


def _evaluate(one: _OneSeed) -> SeedResult:
    return evaluate_seed(find_bench(one.bench), one.seed)


def evaluate_seed(make: Callable[[int], Bench], seed: int) -> SeedResult:
    """One tool, from its making to the last use."""
    bench = make(seed)
    rng = np.random.default_rng((seed, _DRAWN))
    made = calibrate(bench, rng)
    drawer = Drawer(rng, bench.tip_axes, bench.imu_scale.rate_hz, made.gravity_m_s2)
    tool = UsedTool(seed, bench, made.calibration, rng, made.end_s)
    looks: list[Look] = []
    returns = []
    for _ in range(ORDINARY):
        use = drawer.ordinary()
        heard = tool.used(use, LOOKS, use.loaded_s)
        looks += heard.looks
        returns.append(heard.mean_error_n(use.tip, use.unloaded_s + RETURN_S))
    hold = drawer.long_hold()
    heard = tool.used(hold)
    returns.append(heard.mean_error_n(hold.tip, hold.unloaded_s + RETURN_S))
    load = hold.contact_n[:, hold.tip]
    begin_s, end_s = hold.t_s[np.flatnonzero(load == load.max())[[0, -1]]].tolist()
    drift = heard.mean_error_n(hold.tip, end_s) - heard.mean_error_n(hold.tip, begin_s + DRIFT_AFTER_S)
    swept = tool.used(drawer.sweep()).force_n
    still = [tool.used(drawer.still()).angle_error_deg for _ in range(STILL_POSES)]
    return SeedResult(
        seed, made.refused, tuple(looks), drift, tuple(returns), float(swept.flat[np.abs(swept).argmax()]),
        tuple(error for pair in still for error in pair),
    )  # fmt: skip


def figures(results: Sequence[SeedResult]) -> tuple[Figure, ...]:
    """What is promised, in its order."""
    looks = [look for result in results for look in result.looks]
    column = {name: np.array([getattr(look, name) for look in looks], np.float64) for name in Look._fields}
    claim = CLAIM_SHARE * np.abs(column["force_n"] + column["error_n"]) + CLAIM_N
    still = _sizes([error for result in results for error in result.still_deg])
    returns = _sizes([error for result in results for error in result.return_n])
    drifts = _sizes([result.drift_n for result in results])
    sweeps = _sizes([result.sweep_n for result in results])

    def covered(error: str, u: str) -> float:
        return _percent(np.abs(column[error]) <= K95 * column[u])

    claimed = "force within 1 % of the reading + 0.1 N: 2 to 110 N, 5 to 40 degC, 0 to 80 deg"
    interval = "the stated 95 % interval holds the truth:"
    return (
        Figure("claim", _percent(np.abs(column["error_n"]) <= claim), "%", 95.0, 100.0, claimed, len(looks)),
        Figure("coverage_force", covered("error_n", "u_n"), "%", 93.0, 97.0, f"{interval} force", len(looks)),
        Figure(
            "coverage_pressure", covered("error_kpa", "u_kpa"), "%", 93.0, 97.0, f"{interval} mean pressure", len(looks)
        ),
        Figure("coverage_angle", covered("error_deg", "u_deg"), "%", 93.0, 97.0, f"{interval} tip angle", len(looks)),
        Figure("drift_95", _p95(drifts), "N", 0.0, 0.3, "90 s at 60 N: drift by creep, 95 % of tools", len(drifts)),
        Figure("drift", _largest(drifts), "N", 0.0, 0.3, "the same, worst tool", len(drifts)),
        Figure("return_95", _p95(returns), "N", 0.0, 0.2, "2 s after unloading: what is left, 95 %", len(returns)),
        Figure("return", _largest(returns), "N", 0.0, 0.2, "the same, worst", len(returns)),
        Figure("sweep_95", _p95(sweeps), "N", 0.0, 0.1, "turned unloaded through any pose, 95 %", len(sweeps)),
        Figure("sweep", _largest(sweeps), "N", 0.0, 0.1, "the same, worst tool", len(sweeps)),
        Figure("still_angle", _p95(still), "deg", 0.0, 0.2, "still in any pose: tip angle, 95 %", len(still)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Band:
    """The moments of one range of true force. Coverage in percent, NaN without a moment."""

    low_n: float
    high_n: float
    cases: int
    force: float
    pressure: float
    angle: float
    p95_error_n: float
    """95 % of the errors are below."""
    stated_n: float
    """Half the stated 95 % interval, median."""


def by_force(looks: Sequence[Look]) -> tuple[Band, ...]:
    """Coverage and error, range by range."""
    column = {name: np.array([getattr(look, name) for look in looks], np.float64) for name in Look._fields}
    bands = []
    for low, high in itertools.pairwise(BANDS_N):
        here = (column["force_n"] >= low) & (column["force_n"] < high)

        def covered(error: str, u: str, here: NDArray[np.bool_] = here) -> float:
            return _percent(np.abs(column[error][here]) <= K95 * column[u][here])

        u_n = column["u_n"][here]
        bands.append(Band(
            low, high, int(here.sum()), covered("error_n", "u_n"), covered("error_kpa", "u_kpa"),
            covered("error_deg", "u_deg"), _p95(np.abs(column["error_n"][here])),
            K95 * float(np.median(u_n)) if len(u_n) else math.nan,
        ))  # fmt: skip
    return tuple(bands)


def _sizes(values: Sequence[float]) -> Array:
    return np.abs(np.asarray(values, np.float64))


def _percent(true: NDArray[np.bool_]) -> float:
    return 100.0 * float(true.mean()) if len(true) else math.nan


def _largest(values: Array) -> float:
    return float(values.max()) if len(values) else math.nan


def _p95(values: Array) -> float:
    return float(np.percentile(values, 95)) if len(values) else math.nan
