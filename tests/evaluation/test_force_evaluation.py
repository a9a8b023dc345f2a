"""The evaluation of force: the same from the same seeds, true to a perfect tool, and able to see a wrong one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nexuslink.evaluation.bench import find_bench
from nexuslink.evaluation.bench_calibration import calibrate
from nexuslink.evaluation.errors import EvaluationError
from nexuslink.evaluation.force import ORDINARY, Figure, SeedResult, by_force, evaluate_force, evaluate_seed, figures
from nexuslink.evaluation.histories import FORCES_N, STEEPEST_DEG, STILL_S, TEMPERATURES_C, Drawer
from nexuslink.evaluation.tables import force_lines
from nexuslink.evaluation.usage import Look, UsedTool

SEED = 3
G = 9.81


@pytest.fixture(scope="module")
def result() -> SeedResult:
    return evaluate_seed(find_bench("sim"), SEED)


def figure_of(results: list[SeedResult], name: str) -> Figure:
    return next(one for one in figures(results) if one.name == name)


def test_the_same_seed_gives_the_same_to_the_bit_in_another_process_too(result: SeedResult) -> None:
    report = evaluate_force("sim", [SEED, SEED + 1], processes=2)
    assert report.results[0] == result
    assert report.results[1] != result and report.simulated and report.seeds == (SEED, SEED + 1)
    assert "SIMULATED" in next(force_lines(report))


def test_what_is_looked_at_is_within_the_claim_and_varied(result: SeedResult) -> None:
    looks = result.looks
    assert len({look.use for look in looks}) == ORDINARY and {look.tip for look in looks} == {0, 1}
    assert all(FORCES_N[0] <= look.force_n <= FORCES_N[1] for look in looks)
    assert all(TEMPERATURES_C[0] <= look.temperature_c <= TEMPERATURES_C[1] for look in looks)
    numbers = np.array([[float(value) for value in look] for look in looks])
    assert np.isfinite(numbers).all()
    assert all(min(look.u_n, look.u_kpa, look.u_deg) > 0 for look in looks)


class _Perturbed:
    """A bench whose counts say more than was there: the control that shows that the evaluation can see it."""

    def __init__(self, bench: Any, gain: float) -> None:
        self._bench, self.gain = bench, gain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bench, name)

    def force_counts(self, t_s: Any, contact_n: Any, *rest: Any) -> NDArray[np.signedinteger]:
        counts: NDArray[np.signedinteger] = self._bench.force_counts(t_s, contact_n * self.gain, *rest)
        return counts


def test_a_tool_whose_gain_changed_after_calibration_is_seen() -> None:
    bench = _Perturbed(find_bench("sim")(SEED), 1.0)
    rng = np.random.default_rng(1)
    made = calibrate(bench, rng)
    drawer = Drawer(rng, bench.tip_axes, bench.imu_scale.rate_hz, made.gravity_m_s2)
    tool = UsedTool(SEED, bench, made.calibration, rng, made.end_s)
    worst = []
    for gain in (1.0, 1.05):
        bench.gain = gain
        use = drawer.ordinary()
        looks = tool.used(use, 8, use.loaded_s).looks
        worst.append(max(abs(look.error_n) / look.u_n for look in looks))
    assert worst[0] < 6 and worst[1] > 20


def look(**changed: Any) -> Look:
    plain = Look(1, 1, 0, 20.0, True, 50.0, 0.0, 0.1, 100.0, 0.0, 10.0, 30.0, 0.0, 0.1)
    return plain._replace(**changed)


def seed_result(looks: list[Look], **changed: Any) -> SeedResult:
    return replace(SeedResult(1, (), tuple(looks), 0.01, (0.01,), 0.01, (0.01,)), **changed)


def test_figures_count_what_they_say() -> None:
    looks = [look()] * 94 + [look(error_n=0.3, error_kpa=-25.0, error_deg=0.25)] * 6
    results = [seed_result(looks)]
    assert figure_of(results, "coverage_force").value == pytest.approx(94.0)
    assert figure_of(results, "coverage_pressure").value == pytest.approx(94.0)
    assert figure_of(results, "coverage_angle").value == pytest.approx(94.0)
    assert figure_of(results, "coverage_force").kept
    assert figure_of(results, "claim").value == 100.0  # 0.3 N of 50 N is within 1 % + 0.1 N
    assert all(one.kept for one in figures(results))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("drift", {"drift_n": -0.31}),
        ("return", {"return_n": (0.0, -0.21)}),
        ("sweep", {"sweep_n": -0.11}),
        ("still_angle", {"still_deg": (0.0, -0.3, 0.3)}),
    ],
)
def test_a_missed_limit_is_said(name: str, changed: dict[str, Any]) -> None:
    assert not figure_of([seed_result([look()], **changed)], name).kept


def test_coverage_can_be_missed_on_either_side() -> None:
    assert not figure_of([seed_result([look()] * 100)], "coverage_force").kept  # 100 %: it claims too little
    assert not figure_of([seed_result([look(error_n=1.0)] * 100)], "coverage_force").kept
    assert not figure_of([seed_result([look(error_n=1.0)] * 100)], "claim").kept
    assert not figure_of([seed_result([])], "claim").kept  # nothing was measured


def test_errors_are_sorted_by_force() -> None:
    bands = by_force([look(force_n=3.0, error_n=1.0), look(force_n=110.0), look(force_n=109.0, error_n=1.0)])
    assert (bands[0].cases, bands[0].force, bands[-1].cases, bands[-1].force) == (1, 0.0, 2, 50.0)
    assert sum(band.cases for band in bands) == 3 and np.isnan(bands[1].force)


def test_uses_stay_within_their_ranges_and_agree_with_physics() -> None:
    rng = np.random.default_rng(5)
    axes = np.array([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]])
    drawer = Drawer(rng, axes, 500.0, G)
    for _ in range(5):
        use = drawer.ordinary()
        assert use.contact_n.min() >= 0 and use.contact_n.max() <= FORCES_N[1]
        still = use.t_s < STILL_S
        assert not use.contact_n[still].any() and np.abs(use.rate_rad_s[still]).max() < 1e-9
        np.testing.assert_allclose(np.linalg.norm(use.specific_force[still], axis=1), G, rtol=1e-9)
        angle = np.degrees(np.arccos(use.up @ axes[use.tip]))
        assert angle[still].max() <= STEEPEST_DEG + 1e-6
        # What the gyroscope says carries the direction of up from sample to sample: d(up)/dt = up x rate.
        turned = use.up[:-1] + np.cross(use.up[:-1], use.rate_rad_s[1:]) / 500.0
        np.testing.assert_allclose(turned, use.up[1:], atol=3e-5)
    sweep = drawer.sweep()
    assert not sweep.contact_n.any()
    seen = {tuple(np.rint(up).astype(int)) for up in sweep.up[:: len(sweep.up) // 200] if np.abs(up).max() > 0.99}
    assert len(seen) == 6  # every face was up


def test_an_unknown_bench_is_one_line() -> None:
    with pytest.raises(EvaluationError, match="there is no 'rig'; there are: "):
        find_bench("rig")
