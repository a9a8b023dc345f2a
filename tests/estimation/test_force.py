"""Counts to newtons against the model of a tip run forward, sample by sample; and how sure the newtons are."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from force_truth import UPRIGHT, counts
from tool_samples import tool

from nexuslink.estimation.calibration import ToolCalibration
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.force import ForceModel, curve_share
from nexuslink.estimation.force_uncertainty import CURVE_RANGE_N, noise_n

RATE_HZ = 250.0
FULL = tool(
    quadratic_per_n=np.array([2e-5, -1e-5]), cubic_per_n2=np.array([1e-8, 3e-8]),
    zero_n_per_k=np.array([0.05, -0.02]), gain_per_k=np.array([2e-4, -1e-4]), cross_talk=np.array([0.003, -0.002]),
    creep_share=np.array([[0.001, 0.002, 0.001], [0.002, 0.0, 0.0]]),
    creep_s=np.array([[3.0, 30.0, 200.0], [60.0, 0.0, 0.0]]),
    tip_centre_m=np.array([[0.0, 0.01, 0.06], [0.035, 0.0, 0.05]]),
)  # fmt: skip
N = 3000
T_S = np.arange(N) / RATE_HZ
T_US = np.rint(T_S * 1e6).astype(np.int64)
TURNING = 9.8 * np.stack([np.sin(T_S), 0 * T_S, np.cos(T_S)], axis=1)
STILL = np.tile(UPRIGHT, (N, 1))


def pressed(seed: int = 3) -> np.ndarray:
    """Some force on both tips, from nothing."""
    rng = np.random.default_rng(seed)
    return np.abs(np.cumsum(rng.standard_normal((N, 2)), axis=0)) * np.minimum(T_S, 1.0)[:, None]


def run(model: ForceModel, raw: np.ndarray, pull: np.ndarray, cuts: list[int], gyro: np.ndarray | None = None):
    """In pieces."""
    return np.concatenate([
        model.newtons(T_US[a:b], raw[a:b], pull[a:b], None if gyro is None else gyro[a:b]) for a, b in pairwise(cuts)
    ])  # fmt: skip


@pytest.mark.parametrize("cuts", [[0, N], [*range(0, N, 10), N], [0, 1, 2, 35, 36, 100, 1000, 1033, N]])
def test_every_step_of_the_model_is_undone_however_the_samples_are_cut(cuts: list[int]) -> None:
    contact = pressed()
    raw = counts(FULL, T_S, contact, TURNING, 31.0)
    model = ForceModel(FULL, RATE_HZ)
    model.set_temperature(31.0)
    assert np.abs(run(model, raw, TURNING, cuts) - contact).max() < 2e-5


STEPS = {
    "quadratic_per_n": np.zeros(2), "cubic_per_n2": np.zeros(2), "zero_n_per_k": np.zeros(2),
    "gain_per_k": np.zeros(2), "cross_talk": np.zeros(2), "creep_share": np.zeros((2, 3)), "tip_mass_kg": np.zeros(2),
}  # fmt: skip


@pytest.mark.parametrize("forgotten", STEPS)
def test_each_coefficient_matters(forgotten: str) -> None:
    """The negative control of the test above: without any one of them the force is wrong."""
    contact = pressed()
    raw = counts(FULL, T_S, contact, TURNING, 31.0)
    model = ForceModel(replace(FULL, **{forgotten: STEPS[forgotten]}), RATE_HZ)
    model.set_temperature(31.0)
    assert np.abs(run(model, raw, TURNING, [0, N]) - contact).max() > 3e-3


def test_a_tip_that_is_swung_about_does_not_read_its_own_inertia() -> None:
    gyro = np.stack([2 * np.sin(9 * T_S), 3 * np.sin(7 * T_S), 0.5 * np.sin(5 * T_S)], axis=1)
    raw = counts(FULL, T_S, np.zeros((N, 2)), TURNING, 25.0, gyro)
    for cuts in ([0, N], [*range(0, N, 7), N]):
        assert np.abs(run(ForceModel(FULL, RATE_HZ), raw, TURNING, cuts, gyro)).max() < 3e-4
    assert np.abs(run(ForceModel(FULL, RATE_HZ), raw, TURNING, [0, N])).max() > 0.02  # negative control


def test_creep_goes_on_through_a_gap() -> None:
    """40 s of a hold of 60 N are missing: what creeps meanwhile is known."""
    t_s = np.arange(0, 100, 1 / RATE_HZ)
    contact = np.where(t_s > 1.0, 60.0, 0.0)[:, None] * np.ones(2)
    pull = np.tile(UPRIGHT, (len(t_s), 1))
    raw = counts(FULL, t_s, contact, pull)
    t_us = np.rint(t_s * 1e6).astype(np.int64)
    kept = np.flatnonzero((t_s < 20) | (t_s > 60))
    for batches in (np.array_split(kept, 2), np.array_split(kept, 300)):
        model = ForceModel(FULL, RATE_HZ)
        made = np.concatenate([model.newtons(t_us[b], raw[b], pull[b]) for b in batches])
        assert np.abs(made - contact[kept]).max() < 1e-4
    model = ForceModel(FULL, RATE_HZ)
    closed_up = model.newtons(T_US[0] + np.arange(len(kept)) * 4000, raw[kept], pull[kept])
    assert np.abs(closed_up - contact[kept]).max() > 0.01  # negative control


def test_times_that_leap_at_every_sample_do_not_raise() -> None:
    rng = np.random.default_rng(2)
    model = ForceModel(FULL, RATE_HZ)
    raw = counts(FULL, T_S, pressed(), STILL)
    for _ in range(50):
        t_us = rng.choice(np.array([0, 5, 2**62, 2**63 - 1, -(2**63)]), 80)
        assert np.isfinite(model.newtons(t_us, raw[:80], STILL[:80])).all()


@pytest.mark.parametrize("pull", [UPRIGHT, 9.8 * np.array([0.6, 0.0, -0.8])])
def test_tare_takes_the_zero_and_leaves_weight_and_creep(pull: np.ndarray) -> None:
    """Tared a moment after a hold of 80 N: the creep that is still there is no part of the zero."""
    drift = np.array([3000.0, -2000.0])
    contact = np.where((T_S > 1) & (T_S < 9), 80.0, 0.0)[:, None] * np.ones(2)
    pulls = np.tile(pull, (N, 1))
    raw = counts(FULL, T_S, contact, pulls) + drift
    model = ForceModel(FULL, RATE_HZ)
    at = int(9.5 * RATE_HZ)
    run(model, raw, pulls, [0, at])
    model.tare(raw[at - 1], pull)
    assert model.tare_n == pytest.approx(drift * FULL.gain_n_per_count, abs=3e-3)
    later = model.newtons(T_US[at:], raw[at:], pulls[at:])
    assert np.abs(later).max() < 3e-3
    elsewhere = counts(FULL, T_S, np.full((N, 2), 25.0), TURNING) + drift
    fresh = ForceModel(FULL, RATE_HZ)
    fresh.newtons(T_US[:1], raw[:1], pulls[:1])
    fresh.tare(raw[0], pull)
    assert np.abs(fresh.newtons(T_US[1:], elsewhere[1:], TURNING[1:]) - 25.0).max() < 0.01


def test_the_zero_can_be_followed() -> None:
    model = ForceModel(FULL, RATE_HZ)
    raw = counts(FULL, T_S, np.zeros((N, 2)), STILL) + np.array([500.0, 0.0])
    before = model.newtons(T_US[:50], raw[:50], STILL[:50])
    model.shift_zero(np.array([0.05, 0.0]))
    after = model.newtons(T_US[50:100], raw[50:100], STILL[50:100])
    assert before[-1, 0] - after[0, 0] == pytest.approx(0.05, abs=1e-3)
    assert model.zero_shift_n.tolist() == [0.05, 0.0]


# ---- uncertainty ------------------------------------------------------------------------------------------------
U = tool(
    u_zero_n=np.full(2, 0.3), u_gain=np.full(2, 0.002), u_curve_n=np.full(2, 0.05),
    u_zero_n_per_k=np.full(2, 0.01), u_gain_per_k=np.full(2, 2e-5), u_cross_talk=np.full(2, 5e-4),
    u_creep_share=np.full(2, 1e-3), u_tip_mass_kg=np.full(2, 1e-3),
    creep_share=np.tile([0.001, 0.001, 0.002], (2, 1)), creep_s=np.tile([2.0, 30.0, 150.0], (2, 1)),
    zero_n_per_k=np.full(2, 0.03), gain_per_k=np.full(2, 1e-4), cross_talk=np.full(2, 2e-3),
)  # fmt: skip


def drawn(rng: np.random.Generator) -> ToolCalibration:
    """A tool that the record ``U`` may be of."""
    bend = U.u_curve_n * rng.standard_normal(2) * 6.75 / CURVE_RANGE_N**2
    share = U.creep_share + 0.5 * U.u_creep_share[:, None] * rng.standard_normal((2, 3))
    return replace(
        U, zero_counts=U.zero_counts + U.u_zero_n / U.gain_n_per_count * rng.standard_normal(2),
        gain_n_per_count=U.gain_n_per_count * (1 + U.u_gain * rng.standard_normal(2)),
        quadratic_per_n=U.quadratic_per_n + bend, cubic_per_n2=U.cubic_per_n2 - bend / CURVE_RANGE_N,
        zero_n_per_k=U.zero_n_per_k + U.u_zero_n_per_k * rng.standard_normal(2),
        gain_per_k=U.gain_per_k + U.u_gain_per_k * rng.standard_normal(2),
        cross_talk=U.cross_talk + U.u_cross_talk * rng.standard_normal(2), creep_share=share,
        tip_mass_kg=U.tip_mass_kg + U.u_tip_mass_kg * rng.standard_normal(2),
    )  # fmt: skip


@pytest.mark.parametrize("tare", [True, False])
def test_the_stated_interval_holds_the_truth(tare: bool) -> None:
    """95 % within 1.96 u, over tools that the record may be of, forces, temperatures and poses."""
    t_s = np.arange(0, 30, 0.1)
    t_us = np.rint(t_s * 1e6).astype(np.int64)
    rng = np.random.default_rng(11)
    within, half = [], []
    for _ in range(400):
        true, force = drawn(rng), 10 ** rng.uniform(0, 2, 2)
        pull = np.tile(rng.standard_normal(3), (len(t_s), 1))
        pull *= 9.80665 / np.linalg.norm(pull, axis=1, keepdims=True)
        celsius = rng.uniform(5, 40)
        contact = np.where(t_s > 2, 1.0, 0.0)[:, None] * force
        raw = counts(true, t_s, contact, pull, celsius) + noise_n(10.0) / U.gain_n_per_count * rng.standard_normal(
            (300, 2)
        )
        model = ForceModel(U, 10.0)
        model.set_temperature(celsius + 0.3 * rng.standard_normal())
        model.newtons(t_us[:15], raw[:15], pull[:15])
        if tare:
            model.tare(raw[5:15].mean(axis=0), pull[0])
        made = model.newtons(t_us[15:], raw[15:], pull[15:])
        u = model.uncertainty.of(made, pull[15:], model.lags_n)
        error = np.abs(made[-1] - force)
        within.append(error < 1.96 * u[-1])
        half.append(error < 0.98 * u[-1])
    assert 0.93 <= np.mean(within) <= 0.97
    assert np.mean(half) < 0.75  # negative control: half of it would not do (67 % of a normal distribution)


def test_the_uncertainty_grows_with_what_is_not_known() -> None:
    def u(model: ForceModel, force: float) -> float:
        return float(model.uncertainty.of(np.array([[force, 0.0]]), STILL[:1], np.zeros((2, 4)))[0, 0])

    told, untold = ForceModel(U, RATE_HZ), ForceModel(U, RATE_HZ)
    told.set_temperature(25.0)
    assert u(untold, 60.0) > u(told, 60.0)
    before = u(told, 10.0)
    told.newtons(T_US[:10], np.tile(U.zero_counts, (10, 1)), STILL[:10])
    told.tare(U.zero_counts, UPRIGHT)
    assert u(told, 10.0) < before
    told.set_temperature(35.0)
    assert u(told, 10.0) > 0.1  # ten kelvin away from the tare, at 0.01 N/K
    assert noise_n(RATE_HZ) == pytest.approx(0.0024)
    unknown = ForceModel(tool(), RATE_HZ)
    unknown.set_temperature(25.0)
    assert u(unknown, 100.0) > 1.0  # a record without uncertainties is no certain record


def test_the_curve_is_worst_at_two_thirds_of_the_range() -> None:
    force = np.linspace(-20, 222, 2000)
    share = curve_share(force)
    assert share.max() == pytest.approx(1.0, abs=1e-5)
    assert force[share.argmax()] == pytest.approx(CURVE_RANGE_N * 2 / 3, abs=0.2)
    assert (share >= 0).all()
    assert curve_share(np.array(0.0)) == 0.0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("gain_n_per_count", np.array([0.0, 1e-4]), "gain"),
        ("gain_n_per_count", np.array([np.nan, 1e-4]), "gain"),
        ("gain_n_per_count", np.array([1e-4, -1e-4]), "gain"),
        ("tip_mass_kg", np.array([np.inf, 0.0]), "tip masses"),
        ("tip_mass_kg", np.array([500.0, 0.0]), "tip masses"),
        ("axis", np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 1.0]]), "unit vector"),
        ("axis", np.array([[0.0, 0.0, np.nan], [0.0, 0.0, 1.0]]), "unit vector"),
        ("quadratic_per_n", np.array([-0.01, 0.0]), "turns back"),
        ("cubic_per_n2", np.array([0.0, np.nan]), "cubic_per_n2 of the iliacus tip"),
        ("gain_per_k", np.array([-0.1, 0.0]), "vanishes"),
        ("cross_talk", np.array([0.9, 0.0]), "cross-talk"),
        ("creep_s", np.full((2, 3), -1.0), "time constants"),
        ("creep_share", np.full((2, 3), -0.5), "more creep than load"),
    ],
)
def test_a_record_that_would_give_nonsense_is_refused_by_name(field: str, value: np.ndarray, words: str) -> None:
    with pytest.raises(CalibrationError, match=words) as caught:
        ForceModel(replace(FULL, **{field: value}), RATE_HZ)
    assert "calibration 7" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate_hz", [0.0, -5.0, float("nan"), float("inf")])
def test_a_rate_of_nonsense_is_refused(rate_hz: float) -> None:
    with pytest.raises(CalibrationError, match="samples a second"):
        ForceModel(FULL, rate_hz)
