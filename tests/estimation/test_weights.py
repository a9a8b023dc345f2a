"""Known weights: what the fit finds, how sure it is, what it refuses; the check and the zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from weighing_samples import GRAVITY, NOISE_N, Scale, five_weights, recorded, tilted, true_one

from nexuslink.estimation import weights
from nexuslink.estimation.calibration import Array, ToolCalibration
from nexuslink.estimation.check import check_weight
from nexuslink.estimation.force_uncertainty import curve_share
from nexuslink.estimation.gravity import UNKNOWN_PLACE
from nexuslink.estimation.plateau import WeightReading, felt_n
from nexuslink.estimation.reference import at_temperature
from nexuslink.estimation.unloaded import fit_zero
from nexuslink.estimation.weights import fit_weights

Readings = list[WeightReading]


class Bench(NamedTuple):
    record: ToolCalibration
    truth: ToolCalibration
    scale: Scale
    rng: np.random.Generator
    tip: int


def bench(seed: int, tip: int = 0) -> Bench:
    rng = np.random.default_rng((seed, 41))
    record = recorded(rng)
    truth = true_one(rng, record)
    return Bench(record, truth, Scale(truth, tip, rng), rng, tip)


def weighed(b: Bench) -> Readings:
    return five_weights(b.scale, b.rng, b.record.axis[b.tip])


def error_n(calibration: ToolCalibration, b: Bench, force_n: Array) -> Array:
    """What the cell of the true tool reads with that calibration, minus the force that it feels: no creep, no tip."""
    truth, tip = b.truth, b.tip
    x = force_n.copy()
    for _ in range(6):
        q, c = truth.quadratic_per_n[tip], truth.cubic_per_n2[tip]
        x -= (x * (1.0 + x * (q + x * c)) - force_n) / (1.0 + x * (2.0 * q + 3.0 * c * x))
    warmth = calibration.temperature_c - truth.temperature_c
    measured = x * (1.0 + truth.gain_per_k[tip] * warmth) + truth.zero_n_per_k[tip] * warmth
    counts = np.zeros((len(force_n), 2))
    counts[:, tip] = measured / truth.gain_n_per_count[tip] + truth.zero_counts[tip]
    return np.asarray(felt_n(calibration, counts, calibration.temperature_c)[:, tip] - force_n)


def recorded_u(calibration: ToolCalibration, tip: int, force_n: Array) -> Array:
    return np.asarray(np.sqrt(
        calibration.u_zero_n[tip] ** 2 + (calibration.u_gain[tip] * force_n) ** 2
        + (calibration.u_curve_n[tip] * curve_share(force_n)) ** 2
    ))  # fmt: skip


# ---- what the fit finds, and how sure it is ---------------------------------------------------------------------


class Trials(NamedTuple):
    off: Array
    """Error over stated uncertainty."""
    bound: float
    """Share of errors within 1 % + 0.1 N."""
    accepted: float


def over_random_tools(seeds: int, share_of_u: float = 1.0) -> Trials:
    off, within, accepted = [], [], 0
    for seed in range(seeds):
        b = bench(seed, seed % 2)
        fit = fit_weights(b.tip, weighed(b), b.record, GRAVITY)
        accepted += fit.accepted
        if fit.accepted:
            force = b.rng.uniform(2.0, 110.0, 20)
            error = error_n(fit.calibration, b, force)
            off.append(error / (share_of_u * recorded_u(fit.calibration, b.tip, force)))
            within.append(np.abs(error) <= 0.01 * force + 0.1)
    return Trials(np.concatenate(off), float(np.mean(within)), accepted / seeds)


def covered(trials: Trials) -> float:
    return float(np.mean(np.abs(trials.off) <= 1.96))


def test_the_stated_uncertainty_is_that_of_the_errors() -> None:
    """Few tools: the root mean square of error over uncertainty, which says more than a count of those outside."""
    trials = over_random_tools(24)
    assert trials.accepted >= 0.95 and trials.bound >= 0.95
    assert 0.75 < math.sqrt(float(np.mean(trials.off**2))) < 1.3
    halved = over_random_tools(24, share_of_u=0.5)
    assert not math.sqrt(float(np.mean(halved.off**2))) < 1.3


@pytest.mark.thorough
def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    trials = over_random_tools(200)
    assert trials.accepted >= 0.98 and trials.bound >= 0.95
    assert 0.93 <= covered(trials) <= 0.97
    assert not 0.93 <= covered(Trials(trials.off * 2.0, 1.0, 1.0)) <= 0.97  # with half the uncertainty


def test_the_three_figures_of_the_record_stand_for_the_whole_covariance() -> None:
    force = np.linspace(0.0, 110.0, 56)
    for seed in range(6):
        b = bench(seed, seed % 2)
        fit = fit_weights(b.tip, weighed(b), b.record, GRAVITY)
        ratio = recorded_u(fit.calibration, b.tip, force) / fit.u_of(force)
        assert ratio.min() >= 0.9 and ratio.max() < 1.1


def test_a_zero_and_a_gain_that_years_have_moved_are_found() -> None:
    b = bench(3)
    moved = replace(b.record, zero_counts=b.record.zero_counts + 6e5, gain_n_per_count=b.record.gain_n_per_count * 1.08)
    fit = fit_weights(0, weighed(b), moved, GRAVITY)
    force = np.array([5.0, 50.0, 100.0])
    assert fit.accepted, fit.reason
    assert np.abs(error_n(moved, b, force)).min() > 3.0
    assert np.abs(error_n(fit.calibration, b, force)).max() < 4.0 * fit.u_of(force).max() < 0.25


def test_only_that_tip_and_the_others_cross_talk_change() -> None:
    b = bench(5)
    true_share = np.array([0.002, 0.05])  # the record knows nothing of the 5 % that the iliacus cell reads along
    b = b._replace(truth=replace(b.truth, cross_talk=true_share))
    scale = Scale(b.truth, 0, b.rng)
    before = replace(b.record, cross_talk=np.array([0.002, 0.0]), u_cross_talk=np.array([2e-4, 0.02]))
    readings = five_weights(scale, b.rng, before.axis[0])
    after = fit_weights(0, readings, before, GRAVITY).calibration
    assert after.cross_talk[1] == pytest.approx(0.05, abs=4.0 * after.u_cross_talk[1])
    assert 0 < after.u_cross_talk[1] < 0.002
    at_once = at_temperature(before, after.temperature_c)
    for field in ("zero_counts", "gain_n_per_count", "quadratic_per_n", "cubic_per_n2", "u_zero_n", "u_gain"):
        assert getattr(after, field)[1] == getattr(at_once, field)[1]
        assert getattr(after, field)[0] != getattr(at_once, field)[0]
    assert after.gravity_m_s2 == GRAVITY.m_s2


@pytest.mark.parametrize("seed", range(4))
def test_a_tip_that_was_weighed_a_minute_ago_and_creeps_back_is_not_taken_for_cross_talk(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    record = recorded(rng)
    truth = true_one(rng, record)
    scale = Scale(truth, 0, rng)
    five_weights(scale, rng, record.axis[0], 5.0)
    scale.tip = 1  # the iliacus tip, right after the psoas tip
    readings = five_weights(scale, rng, record.axis[1], 5.0)

    def off_in_u() -> float:
        after = fit_weights(1, readings, record, GRAVITY).calibration
        return float(abs(after.cross_talk[0] - truth.cross_talk[0]) / after.u_cross_talk[0])

    assert off_in_u() < 3.0
    monkeypatch.setattr(weights, "LOADED_BEFORE_N", 1e-6)
    assert off_in_u() > 3.0  # the control: as if it had borne nothing


def test_a_weight_may_hang_and_the_order_does_not_matter() -> None:
    b = bench(8, 1)
    axis = b.record.axis[1]
    readings = [b.scale.read(mass, tilted(b.rng, axis, 40.0, down=True)) for mass in (0.0, 1.0, 2.0, 5.0, 0.0)]
    fit = fit_weights(1, readings, b.record, GRAVITY)
    assert fit.accepted and fit.force_n.min() < -35.0
    assert "of pull" in fit.verdict
    again = fit_weights(1, readings[::-1], b.record, GRAVITY)
    assert again.calibration.zero_counts == pytest.approx(fit.calibration.zero_counts, abs=0.5)
    assert again.residual_n == pytest.approx(fit.residual_n, abs=1e-6)  # both in the order of time
    # What was only pulled is less sure when pressed, and says so.
    assert fit.u_of(np.array([100.0]))[0] > 2.0 * fit.u_of(np.array([-40.0]))[0]


def test_leaving_out_is_really_leaving_out() -> None:
    """The error of a weight that the fit never saw does not depend on what is said of its mass, but one to one."""
    b = bench(11)
    readings = weighed(b)
    heavier = [r._replace(mass_kg=3.005) if r.mass_kg == 3.0 else r for r in readings]
    one, two = (fit_weights(0, r, b.record, GRAVITY) for r in (readings, heavier))
    row = [r.mass_kg for r in readings].index(3.0)
    added = 0.005 * GRAVITY.m_s2 * one.force_n[row] / (3.0 * GRAVITY.m_s2)
    assert two.leave_one_out_n[row] == pytest.approx(one.leave_one_out_n[row] - added, abs=2e-4)
    assert abs(two.residual_n[row]) != pytest.approx(abs(one.residual_n[row] - added), abs=2e-4)


def test_the_verdict_follows_the_weights() -> None:
    b = bench(13)
    good = fit_weights(0, weighed(b), b.record, GRAVITY)
    assert good.verdict == f"within {good.claim_n:.1f} N up to {good.up_to_n:.0f} N" and good.claim_n <= 0.2
    assert 90 < good.up_to_n < 110
    rough = bench(13)
    readings = [
        rough.scale.read(mass, tilted(rough.rng, rough.record.axis[0], 10.0), u_mass=0.01)
        for mass in (0.0, 1.0, 2.0, 4.0, 0.0)
    ]
    poor = fit_weights(0, readings, rough.record, UNKNOWN_PLACE)
    assert poor.accepted and poor.up_to_n <= 40
    assert poor.claim_n > good.claim_n
    unknown = fit_weights(0, [r._replace(u_mass_kg=0.0) for r in readings], rough.record, UNKNOWN_PLACE)
    assert unknown.claim_n == pytest.approx(poor.claim_n)  # 1 % is what an unknown weight counts as
    worst = max(np.abs(poor.residual_n).max(), 1.96 * poor.u_of(np.linspace(0.0, poor.up_to_n, 20)).max())
    assert poor.claim_n >= worst


# ---- what it refuses ----------------------------------------------------------------------------------------------


def every(**changed: object) -> Callable[[Readings], Readings]:
    return lambda readings: [r._replace(**changed) for r in readings]


def one(mass: float, **changed: object) -> Callable[[Readings], Readings]:
    return lambda readings: [r._replace(**changed) if r.mass_kg == mass else r for r in readings]


def times(factor: float) -> Callable[[Readings], Readings]:
    return lambda readings: [r._replace(mass_kg=r.mass_kg * factor, u_mass_kg=r.u_mass_kg * factor) for r in readings]


def swapped(first: float, second: float) -> Callable[[Readings], Readings]:
    masses = {first: second, second: first}
    return lambda readings: [r._replace(mass_kg=masses.get(r.mass_kg, r.mass_kg)) for r in readings]


def without(*masses: float) -> Callable[[Readings], Readings]:
    return lambda readings: [r for r in readings if r.mass_kg not in masses]


def counts(change: Callable[[Array, float], Array], mass: float | None = None) -> Callable[[Readings], Readings]:
    return lambda readings: [
        r._replace(mean_counts=change(r.mean_counts, r.mass_kg)) if mass in (None, r.mass_kg) else r for r in readings
    ]


PER_N = 1.0 / 3.3e-5
REFUSED: dict[str, tuple[Callable[[Readings], Readings], str]] = {
    "no zero": (without(0.0), "zero is missing"),
    "two weights": (without(0.5, 1.5, 3.0, 6.0), "2 different weights are too few"),
    "nothing at all": (lambda readings: [], "no reading"),
    "grams": (times(1000.0), "masses look like grams"),
    "pounds": (times(2.20462), "masses look like pounds"),
    "newtons": (times(9.80665), "masses look like newtons"),
    "pounds for kilograms": (times(0.453592), "kilograms taken for pounds"),
    "newtons for kilograms": (times(1 / 9.80665), "kilograms taken for newtons"),
    "grams, one of them": (one(6.0, mass_kg=6000.0, u_mass_kg=3.0), "6000 kg looks like grams"),
    "pounds, one of them": (one(3.0, mass_kg=6.61386), "6.61386 kg looks like pounds"),
    "two mixed up": (swapped(3.0, 6.0), "from 3 kg to 6 kg"),
    "the heaviest mixed up": (swapped(6.0, 11.0), "from 6 kg to 11 kg"),
    "not its mass": (one(11.0, mass_kg=20.0), "20 kg reads like 11 kg"),
    "gain inverted": (counts(lambda c, m: -c), "reads the other way round"),
    "not a gain": (times(1.45), "31% less than"),
    "NaN": (one(3.0, mean_counts=np.array([math.nan, 0.0])), "reading 4 holds values that are no numbers"),
    "NaN of the angle": (one(3.0, accel_m_s2=np.full(3, math.nan)), "reading 4 holds values that are no numbers"),
    "a mass of NaN": (one(3.0, mass_kg=math.nan), "reading 4 has a mass of nan"),
    "a mass below 0": (one(3.0, mass_kg=-3.0), "reading 4 has a mass of -3"),
    "no known weight": (one(3.0, u_mass_kg=4.0), "is no known weight"),
    "no sample": (one(3.0, samples=0), "reading 4 has 0 samples"),
    "saturated": (one(11.0, mean_counts=np.array([8388607.0, 0.0])), "beyond its range at 11 kg"),
    "stuck": (every(std_counts=np.zeros(2)), "reads the same value all the time"),
    "the same everywhere": (every(mean_counts=np.array([5e5, 0.0])), "reads the same value all the time"),
    "swinging": (one(6.0, std_counts=np.array([2.0 * PER_N, 100.0])), "6 kg was not at rest"),
    "tool moved": (one(6.0, accel_m_s2=np.array([0.0, 0.0, 11.0])), "at 6 kg the accelerometer reads 11.00"),
    "wrong tip": (counts(lambda c, m: c[::-1]), "on the iliacus tip, not on the psoas tip"),
    "other tip touched": (
        counts(lambda c, m: c + np.array([0.0, 12.0 * PER_N]), 1.5), "at 1.5 kg the iliacus tip read 12"
    ),
    "too light": (without(1.5, 3.0, 6.0, 11.0), "2 different"),
    "hardly any span": (lambda r: [*without(1.5, 3.0, 6.0, 11.0)(r), r[1]._replace(mass_kg=0.6)], "span only"),
    "outlier": (counts(lambda c, m: c + np.array([0.6 * PER_N, 0.0]), 3.0), "3 kg reads 0.5"),
    "zero moved": (lambda r: [*r[:-1], counts(lambda c, m: c + np.array([3.0 * PER_N, 0.0]))(r[-1:])[0]], "unloaded"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_wrong_is_refused_in_one_sentence(fault: str) -> None:
    spoil, says = REFUSED[fault]
    b = bench(17)
    b = b._replace(record=replace(b.record, zero_counts=np.zeros(2)), truth=replace(b.truth, zero_counts=np.zeros(2)))
    readings = five_weights(Scale(b.truth, 0, b.rng), b.rng, b.record.axis[0], 10.0)
    assert fit_weights(0, readings, b.record, GRAVITY).accepted  # only the fault makes the difference
    fit = fit_weights(0, spoil(readings), b.record, GRAVITY)
    assert not fit.accepted and fit.calibration is b.record and not fit.verdict
    assert says in fit.reason and "\n" not in fit.reason, fit.reason


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"gain_n_per_count": np.array([0.0, 1e-4])}, "gain of 0"),
        ({"gain_n_per_count": np.array([math.nan, 1e-4])}, "no number as gain_n_per_count"),
        ({"u_curve_n": np.array([math.nan, 1e-4])}, "no number as u_curve_n"),
        ({"axis": np.zeros((2, 3))}, "no unit vector"),
    ],
)
def test_a_record_that_is_none_is_refused(changed: dict[str, Array], says: str) -> None:
    b = bench(19)
    readings = weighed(b)
    record = replace(b.record, **changed)  # type: ignore[arg-type]
    fit = fit_weights(0, readings, record, GRAVITY)
    assert not fit.accepted and says in fit.reason
    assert says in fit_zero(readings[:1], record, GRAVITY).reason
    assert not fit_weights(2, readings, b.record, GRAVITY).accepted


def test_an_outlier_is_found_wherever_it_is_and_a_good_set_is_not_accused() -> None:
    for seed in range(10):
        b = bench(seed, seed % 2)
        readings = weighed(b)
        which = 1 + seed % 5
        shift = np.zeros(2)
        shift[b.tip] = 0.1 + 0.008 * readings[which].mass_kg * 9.81  # far beyond 0.05 %, far below a mix-up
        readings[which] = readings[which]._replace(
            mean_counts=readings[which].mean_counts + shift / b.truth.gain_n_per_count
        )
        fit = fit_weights(b.tip, readings, b.record, GRAVITY)
        assert not fit.accepted
        assert fit.reason.startswith(f"{readings[which].mass_kg:g} kg reads"), (seed, fit.reason)


def test_garbage_is_refused_never_raised() -> None:
    b = bench(59)
    readings = weighed(b)
    rng = np.random.default_rng(59)
    spoilt = [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-300, 1e12, 1e300]
    with np.errstate(all="ignore"):
        for _ in range(300):
            row, field = int(rng.integers(len(readings))), str(rng.choice(WeightReading._fields))
            value = rng.choice(spoilt) * np.ones(np.shape(getattr(readings[row], field)))
            bad = [*readings]
            bad[row] = readings[row]._replace(**{field: value if value.ndim else float(value)})
            fit = fit_weights(0, bad, b.record, GRAVITY)
            assert fit.accepted or (fit.reason and fit.calibration is b.record)
            fit_zero(bad[row : row + 1], b.record, GRAVITY)
            check_weight(0, bad[row], b.record, GRAVITY)


# ---- the check in a minute, the zero, the reference temperature -----------------------------------------------------


def test_the_check_tells_a_good_tool_from_one_that_has_changed() -> None:
    b = bench(23)
    calibration = fit_weights(0, weighed(b), b.record, GRAVITY).calibration
    up = tilted(b.rng, b.record.axis[0], 10.0)
    zero, weight = b.scale.read(0.0, up), b.scale.read(5.0, up)
    check = check_weight(0, weight, calibration, GRAVITY, zero)
    assert check.within and abs(check.measured_n - check.expected_n) < 2.0 * check.u_n < 0.25
    assert check.sentence == (
        f"Reads {check.measured_n:.1f} N where {check.expected_n:.1f} N stand on it: within its claim of "
        f"{math.ceil(20.0 * check.u_n) / 10:.1f} N."
    )
    bent = replace(b.truth, gain_n_per_count=b.truth.gain_n_per_count * 1.02)
    dropped = Scale(bent, 0, np.random.default_rng(1))
    again = check_weight(0, dropped.read(5.0, up), calibration, GRAVITY, dropped.read(0.0, up))
    assert not again.within and "outside its claim" in again.sentence and "calibrate again" in again.sentence
    # A weight of which nothing is known proves less.
    assert check_weight(0, dropped.read(5.0, up, u_mass=0.02), calibration, GRAVITY, dropped.read(0.0, up)).within


def test_the_checks_uncertainty_is_not_too_small() -> None:
    inside, taken = 0, 0
    for seed in range(25):
        b = bench(seed, seed % 2)
        calibration = fit_weights(b.tip, weighed(b), b.record, GRAVITY).calibration
        scale = Scale(b.truth, b.tip, b.rng)
        for mass in (1.0, 4.0, 8.0):
            up = tilted(b.rng, b.record.axis[b.tip], 30.0)
            zero = scale.read(0.0, up, held_s=300.0)
            inside += check_weight(b.tip, scale.read(mass, up), calibration, GRAVITY, zero).within
            taken += 1
    assert inside >= 0.93 * taken


@pytest.mark.parametrize(
    ("reading", "zero", "says"),
    [
        ({"mean_counts": np.full(2, math.nan)}, {}, "no numbers"),
        ({"mass_kg": -1.0}, {}, "mass of -1"),
        ({}, {"mass_kg": 2.0}, "take it with nothing on it"),
    ],
)
def test_a_check_that_cannot_be_judged_says_why(reading: dict[str, object], zero: dict[str, object], says: str) -> None:
    b = bench(29)
    up = b.record.axis[0]
    check = check_weight(
        0, b.scale.read(5.0, up)._replace(**reading), b.record, GRAVITY, b.scale.read(0.0, up)._replace(**zero)
    )
    assert not check.within and says in check.sentence and math.isnan(check.measured_n)


def test_a_hanging_weight_and_an_empty_tip_are_told_so() -> None:
    b = bench(31)
    down = -b.record.axis[0]
    assert "hang from it" in check_weight(0, b.scale.read(3.0, down), b.record, GRAVITY).sentence
    assert "with nothing on the psoas tip" in check_weight(0, b.scale.read(0.0, down), b.record, GRAVITY).sentence


POSES = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def test_one_pose_gives_the_zero_and_five_the_tips_masses() -> None:
    b = bench(37)
    heavier = replace(b.truth, tip_mass_kg=b.truth.tip_mass_kg + 0.05)  # another tip was screwed on
    scale = Scale(heavier, 0, b.rng)
    one_pose = fit_zero([scale.read(0.0, POSES[0])], b.record, GRAVITY)
    assert one_pose.accepted and not one_pose.mass_known
    assert one_pose.calibration.tip_mass_kg == pytest.approx(b.record.tip_mass_kg)
    five = fit_zero([scale.read(0.0, pose) for pose in POSES], b.record, GRAVITY)
    assert five.accepted and five.mass_known, five.reason
    mass_off = np.abs(five.calibration.tip_mass_kg - heavier.tip_mass_kg)
    assert (mass_off < 4.0 * five.calibration.u_tip_mass_kg).all() and five.calibration.u_tip_mass_kg.max() < 5e-4
    off_n = (five.calibration.zero_counts - heavier.zero_counts) * heavier.gain_n_per_count
    warmth = five.calibration.temperature_c - b.record.temperature_c
    off_n -= heavier.zero_n_per_k * warmth
    assert (np.abs(off_n) < 4.0 * five.calibration.u_zero_n).all() and five.calibration.u_zero_n.max() < 0.01


def test_a_zero_that_is_none_is_refused() -> None:
    b = bench(43)
    good = [b.scale.read(0.0, pose) for pose in POSES]
    faults = [
        ([], "no reading"),
        ([good[0]._replace(mass_kg=1.0)], "taken with nothing on it"),
        ([good[0]._replace(std_counts=np.full(2, 5e4))], "touched or moved"),
        ([good[0]._replace(std_counts=np.zeros(2))], "the same value all the time"),
        ([good[0]._replace(mean_counts=np.full(2, 8388607.0))], "beyond its range"),
        ([good[0]._replace(accel_m_s2=np.full(3, 9.0))], "keep it still"),
        ([*good[:4], good[4]._replace(mean_counts=good[4].mean_counts + 3e4)], "let nothing touch the tips"),
    ]  # fmt: skip
    for readings, says in faults:
        fit = fit_zero(readings, b.record, GRAVITY)
        assert not fit.accepted and says in fit.reason and fit.calibration is b.record, fit.reason


def test_a_record_told_from_another_temperature_says_the_same() -> None:
    b = bench(47)
    other = at_temperature(b.record, 8.0)
    counts_ = np.array([[4e5, -2e5], [2.5e6, 1e6]])
    for celsius in (5.0, 22.0, 40.0):
        assert felt_n(other, counts_, celsius) == pytest.approx(felt_n(b.record, counts_, celsius), abs=1e-9)
    assert (other.u_gain > b.record.u_gain).all()
    assert at_temperature(b.record, b.record.temperature_c) is b.record
    unknown = replace(b.record, u_gain=np.zeros(2))
    assert (at_temperature(unknown, 8.0).u_gain == 0).all()


def test_noise_of_the_samples_is_told() -> None:
    """Few noisy samples make the fit less sure."""
    b = bench(53)
    readings = weighed(b)
    noisy = [r._replace(samples=1, std_counts=r.std_counts * 10.0 * NOISE_N / 0.004) for r in readings]
    force = np.array([0.0, 20.0])
    sure, unsure = (fit_weights(0, r, b.record, GRAVITY).u_of(force) for r in (readings, noisy))
    assert (unsure > 2.0 * sure).all()
