"""Known weights on one tip: zero, gain and curve of its cell, and how far to trust them.

Maximum a posteriori by Gauss-Newton. The record before is the prior of what weights alone cannot tell (curve,
temperature, cross-talk, creep, tip mass); zero and gain, which change over the years, are nearly free. What the
weights themselves, gravity and the angle are uncertain by are unknowns of the fit too, so that its covariance holds
all of it. The result is told from the temperature at which the weights were on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from nexuslink.estimation.calibration import TIP_NAMES, Array, ToolCalibration
from nexuslink.estimation.force_uncertainty import CURVE_RANGE_N, curve_share
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import (
    U_REPEAT_N,
    Plateaus,
    WeightReading,
    along_axis_m_s2,
    creep_terms,
    felt_n,
    u_accel_m_s2,
    u_creep_term,
    u_or_typical,
)  # fmt: skip
from nexuslink.estimation.reference import at_temperature
from nexuslink.estimation.refusals import why_not

ZERO_PRIOR_N: Final = 100.0
"""The zero may be anywhere."""
GAIN_PRIOR: Final = 0.03
"""Relative, beside the record's own uncertainty: what years do to a cell [assumption]."""
OUTLIER: Final = 4.0
"""A reading that lies so many of its standard uncertainties off what the others say is wrong."""
TRIVIAL_N: Final = 0.05
"""Unless it is off by no more than this: half of the least that a verdict claims."""
LOADED_BEFORE_N: Final = 110.0
"""The other tip may have borne as much before these readings and still be creeping back: its own weights, a hold."""
K95: Final = 1.96
MOST_STEPS: Final = 20
UNDERSTATED: Final = 0.1

ZERO, GAIN, SHAPE, BOW, ZERO_PER_K, GAIN_PER_K, CROSS_TALK, TIP_MASS, SCALE = range(9)
"""Unknowns: shifts from the record before. Then three of the accelerometer, one of each weight, one of each creep."""
ACCEL: Final = slice(9, 12)
WEIGHTS: Final = 12
CURVE: Final = slice(0, 4)
"""Those that become the new calibration."""
_TO_CURVE: Final = np.array([[6.75, -4.0], [-6.75 / CURVE_RANGE_N, 0.0]]) / CURVE_RANGE_N**2
"""Newtons of SHAPE, which is `curve_share` with its sign, and of a plain BOW about mid-range -> quadratic and cubic."""
BOW_SHARE: Final = 0.25
"""``u_curve_n`` of the record is for SHAPE; otherwise the curve is bent by this much of it [assumption]."""
SPAN_N: Final = 110.0
"""The uncertainties are told for forces up to here: the highest that a hold stops at."""


@dataclass(frozen=True, slots=True)
class WeightFit:
    """What the weights say of one tip.

    ``calibration``: the new one, its reference temperature that of the readings; `before` where not accepted.
    ``force_n``, ``residual_n``, ``leave_one_out_n``: (k,) in the order of time, of each reading the force put on,
    measured minus that with the new calibration, and with one that never saw that weight; ``u_leave_one_out_n``:
    (k,) standard uncertainty of the latter. Empty where it came to no fit.
    ``verdict``: "within 0.4 N up to 60 N", 95 %; the same in figures: ``claim_n``, ``up_to_n``.
    ``reason``: why not accepted, and what to do, in one sentence.
    """

    tip: int
    calibration: ToolCalibration
    accepted: bool
    reason: str
    verdict: str = ""
    claim_n: float = math.nan
    up_to_n: float = math.nan
    force_n: Array = field(default_factory=lambda: np.empty(0))
    residual_n: Array = field(default_factory=lambda: np.empty(0))
    leave_one_out_n: Array = field(default_factory=lambda: np.empty(0))
    u_leave_one_out_n: Array = field(default_factory=lambda: np.empty(0))
    covariance: Array = field(default_factory=lambda: np.full((4, 4), np.nan))
    """(4, 4) of zero (N), gain (relative), quadratic (1/N) and cubic (1/N2) of ``calibration``."""

    def u_of(self, force_n: Array) -> Array:
        """Standard uncertainty of the tip's reading at these forces (n,), newtons, at the reference temperature."""
        return _u_of(self.covariance, np.asarray(force_n, np.float64))


def fit_weights(
    tip: int, readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity = UNKNOWN_PLACE
) -> WeightFit:
    """``readings`` in any order, all of one tip (`calibration.PSOAS` or `ILIACUS`); zero among them, best twice.

    The other tip's cell is looked at too: what it moves by is its cross-talk, which the new calibration then knows.
    Never raises on what was measured: it is refused in one sentence.
    """
    reason = why_not(tip, readings, before, gravity)
    if reason:
        return WeightFit(tip, before, False, reason)
    plateaus = Plateaus.of(readings)
    start = at_temperature(before, float(plateaus.temperature.mean()))
    problem = _Problem(tip, plateaus, start, gravity)
    everything = np.ones(len(readings), bool)
    solution = problem.solve(everything)
    calibration = problem.calibration(solution)
    off, u_off = problem.leave_one_out(solution)
    residual = problem.residual(np.concatenate([solution.shift[CURVE], np.zeros(len(solution.shift) - 4)]))
    fit = replace(
        WeightFit(tip, before, False, ""),
        force_n=problem.contact_n, residual_n=residual, leave_one_out_n=off, u_leave_one_out_n=u_off,
        covariance=problem.covariance(solution),
    )  # fmt: skip
    reason = _doubt_of_fit(fit, plateaus, calibration, solution)
    if reason:
        return replace(fit, reason=reason)
    up_to_n, claim_n = _claim(fit)
    u_zero_n, u_gain, u_curve_n = _as_recorded(problem.covariance(solution, with_creep=False))
    calibration = _changed(calibration, tip, u_zero_n=u_zero_n, u_gain=u_gain, u_curve_n=u_curve_n)
    calibration = replace(calibration, gravity_m_s2=gravity.m_s2)
    calibration = _with_cross_talk(calibration, 1 - tip, plateaus, problem.contact_n, gravity)
    verdict = f"within {claim_n:.1f} N up to {abs(up_to_n):.0f} N{' of pull' if up_to_n < 0 else ''}"
    return replace(fit, calibration=calibration, accepted=True, verdict=verdict, claim_n=claim_n, up_to_n=abs(up_to_n))


@dataclass(frozen=True, slots=True)
class _Solution:
    shift: Array
    """(p,) from the record before, in the units of the unknowns."""
    covariance: Array
    """(p, p)"""
    jacobian: Array
    """(k, p) of all readings."""
    misfit: float
    """Chi-square of all but the priors of zero and gain."""
    rows: int


class _Problem:
    """One tip's readings as a least-squares problem; everything that does not change from step to step."""

    def __init__(self, tip: int, plateaus: Plateaus, before: ToolCalibration, gravity: Gravity) -> None:
        self._tip, self._plateaus, self._before, self._gravity = tip, plateaus, before, gravity
        self._curve = np.array([before.quadratic_per_n[tip], before.cubic_per_n2[tip]])
        self._warmth = plateaus.temperature - before.temperature_c
        self._gain = float(before.gain_n_per_count[tip])
        self._raw_n = (plateaus.counts[:, tip] - before.zero_counts[tip]) * self._gain
        u_noise = plateaus.std[:, tip] * abs(self._gain) / np.sqrt(plateaus.samples)
        self._sigma = np.hypot(u_noise, U_REPEAT_N)
        share, time_s = creep_terms(before, tip)
        lags = plateaus.lags(time_s)
        self._creep = np.tensordot(share, lags, 1)
        self._lags = lags
        self._long_creep = 1.0 + before.creep_share.sum(axis=1)
        masses = np.unique(plateaus.mass[plateaus.mass > 0])
        self._of_mass = (plateaus.mass[:, None] == masses).astype(np.float64)
        u_masses = [float((plateaus.u_mass[plateaus.mass == mass] / mass).max()) for mass in masses]
        u = {name: u_or_typical(before, name, tip) for name in (
            "u_curve_n", "u_zero_n_per_k", "u_gain_per_k", "u_cross_talk", "u_tip_mass_kg"
        )}  # fmt: skip
        u_accel = u_accel_m_s2(before, gravity.m_s2)
        self.prior = np.array([
            ZERO_PRIOR_N, math.hypot(GAIN_PRIOR, before.u_gain[tip]),
            u["u_curve_n"], BOW_SHARE * u["u_curve_n"],
            u["u_zero_n_per_k"], u["u_gain_per_k"], u["u_cross_talk"], u["u_tip_mass_kg"],
            gravity.u_m_s2 / gravity.m_s2, u_accel, u_accel, u_accel, *u_masses,
            *np.full(len(lags), u_creep_term(before, tip)),
        ])  # fmt: skip
        self.contact_n = plateaus.mass * along_axis_m_s2(plateaus.accel, before.axis, gravity.m_s2)[:, tip]

    def residual(self, p: Array) -> Array:
        """(k,) newtons: felt by the cell minus what the weights should make it feel, with the unknowns at ``p``."""
        before, tip = self._before, self._tip
        x = self._raw_n * (1.0 + p[GAIN]) - p[ZERO] - (before.zero_n_per_k[tip] + p[ZERO_PER_K]) * self._warmth
        x /= 1.0 + (before.gain_per_k[tip] + p[GAIN_PER_K]) * self._warmth
        quadratic, cubic = self._curve + _TO_CURVE @ p[[SHAPE, BOW]]
        felt = x * (1.0 + x * (quadratic + x * cubic))
        gravity = self._gravity.m_s2 * (1.0 + p[SCALE])
        along = along_axis_m_s2(self._plateaus.accel + p[ACCEL], before.axis, gravity)
        creeps = WEIGHTS + self._of_mass.shape[1]
        contact = self._plateaus.mass * (1.0 + self._of_mass @ p[WEIGHTS:creeps]) * along[:, tip]
        crept = contact + self._creep @ contact + p[creeps:] @ (self._lags @ contact)
        crept += (before.tip_mass_kg[tip] + p[TIP_MASS]) * along[:, tip] * self._long_creep[tip]
        other = before.tip_mass_kg[1 - tip] * along[:, 1 - tip] * self._long_creep[1 - tip]
        return np.asarray(felt - crept - (before.cross_talk[tip] + p[CROSS_TALK]) * other)

    def jacobian(self, p: Array) -> Array:
        """(k, unknowns) of `residual`, by central differences: it is all but linear."""
        columns = []
        for unknown, step in enumerate(self.prior * 1e-2):
            up, down = p.copy(), p.copy()
            up[unknown] += step
            down[unknown] -= step
            columns.append((self.residual(up) - self.residual(down)) / (2.0 * step))
        return np.stack(columns, axis=1)

    def solve(self, rows: Array, near: _Solution | None = None) -> _Solution:
        """With those readings (k,) bool. ``near``: from there and with its slopes, instead of from the record."""
        p = np.zeros(len(self.prior)) if near is None else near.shift
        weight = 1.0 / self._sigma[rows]
        for _ in range(MOST_STEPS):
            jacobian = self.jacobian(p) if near is None else near.jacobian
            # In units of the priors, so that one orthogonal solution sees every unknown at its own size.
            scaled = jacobian[rows] * self.prior * weight[:, None]
            system = np.vstack([scaled, np.eye(len(p))])
            misses = np.concatenate([self.residual(p)[rows] * weight, p / self.prior])
            if not (np.isfinite(system).all() and np.isfinite(misses).all()):
                break  # what comes of it is no number either, and is refused for that
            step = np.linalg.lstsq(system, -misses, rcond=None)[0]
            p = p + step * self.prior
            if np.abs(step).max() < 1e-8:
                break
        covariance = np.linalg.inv(system.T @ system) * np.outer(self.prior, self.prior)
        misses = np.concatenate([self.residual(p)[rows] * weight, p[SHAPE:] / self.prior[SHAPE:]])
        return _Solution(p, covariance, jacobian, float(misses @ misses), int(rows.sum()))

    def leave_one_out(self, solution: _Solution) -> tuple[Array, Array]:
        """(k,) error of each reading by a fit without its weight, and its standard uncertainty."""
        off, u = np.empty(len(self.contact_n)), np.empty(len(self.contact_n))
        for mass in np.unique(self._plateaus.mass):
            left_out = self._plateaus.mass == mass
            without = self.solve(~left_out, solution)
            off[left_out] = self.residual(without.shift)[left_out]
            jacobian = solution.jacobian[left_out]
            foretold2 = ((jacobian @ without.covariance) * jacobian).sum(axis=1)
            u[left_out] = np.sqrt(foretold2 + self._sigma[left_out] ** 2)
        return off, u

    def calibration(self, solution: _Solution) -> ToolCalibration:
        """The record before with zero, gain and curve shifted."""
        p, tip, before = solution.shift, self._tip, self._before
        gain = self._gain * (1.0 + p[GAIN])
        quadratic, cubic = self._curve + _TO_CURVE @ p[[SHAPE, BOW]]
        return _changed(
            before, tip, gain_n_per_count=gain, zero_counts=before.zero_counts[tip] + p[ZERO] / gain,
            quadratic_per_n=float(quadratic), cubic_per_n2=float(cubic),
        )  # fmt: skip

    def covariance(self, solution: _Solution, with_creep: bool = True) -> Array:
        """(4, 4) of zero, gain and curve about the new zero and gain; larger where the misfit says so."""
        p = solution.shift
        turn = np.eye(4)
        turn[0, 1] = -p[ZERO] / (1.0 + p[GAIN])
        turn[1, 1] = 1.0 / (1.0 + p[GAIN])
        turn[2:, 2:] = _TO_CURVE
        freedom = solution.rows - 2
        excess = solution.misfit / freedom if solution.misfit > chi_square_limit(freedom, 1.645) else 1.0
        covariance = solution.covariance[CURVE, CURVE]
        if not with_creep:
            creeps = slice(len(p) - len(self._lags), None)
            shared = solution.covariance[CURVE, creeps]
            covariance = covariance - shared @ np.linalg.solve(solution.covariance[creeps, creeps], shared.T)
        return np.asarray(turn @ covariance @ turn.T * excess)


def chi_square_limit(freedom: int, z: float) -> float:
    """The quantile of chi-square at which a normal deviate has ``z`` (Wilson and Hilferty, 1931)."""
    ninth = 2.0 / (9.0 * freedom)
    return float(freedom * (1.0 - ninth + z * math.sqrt(ninth)) ** 3)


def _u_of(covariance: Array, force_n: Array) -> Array:
    effect = np.stack([-np.ones_like(force_n), force_n, force_n**2, force_n**3], axis=-1)
    return np.asarray(np.sqrt(((effect @ covariance) * effect).sum(axis=-1)))


def _as_recorded(covariance: Array) -> tuple[float, float, float]:
    """u_zero_n, u_gain and u_curve_n whose sum of squares stands for ``covariance`` from 0 to `SPAN_N`.

    ``covariance`` is without creep under the weights: the record tells that apart, and it shall not count twice. The
    zero's own is kept as it is; the others follow what remains once the zero is taken off, as a tare does. They are
    raised together where somewhere in the range they would understate that by more than `UNDERSTATED`.
    """
    force = np.linspace(2.0, SPAN_N, 109)
    zero2 = float(covariance[0, 0])
    span = covariance.copy()
    span[0, :] = span[:, 0] = 0.0
    wanted2 = np.maximum(_u_of(span, force) ** 2, _u_of(covariance, force) ** 2 - zero2)
    parts = np.stack([force**2, curve_share(force) ** 2], axis=1)
    best, least = np.zeros(2), math.inf
    for used in ([0, 1], [0], [1]):  # neither may be negative
        columns = parts[:, used] / wanted2[:, None]
        size = np.linalg.lstsq(columns, np.ones(len(force)), rcond=None)[0]
        off = float(((columns @ size - 1.0) ** 2).sum())
        if (size >= 0).all() and off < least:
            best, least = np.zeros(2), off
            best[used] = size
    best *= max(1.0, float(((1.0 - UNDERSTATED) ** 2 * wanted2 / (parts @ best)).max()))
    return math.sqrt(zero2), math.sqrt(best[0]), math.sqrt(best[1])


def _doubt_of_fit(fit: WeightFit, plateaus: Plateaus, calibration: ToolCalibration, solution: _Solution) -> str:
    """Why the fit is not to be believed; empty where it is."""
    name = TIP_NAMES[fit.tip]
    numbers = (calibration.gain_n_per_count, calibration.zero_counts, fit.covariance, fit.leave_one_out_n)
    if not all(np.isfinite(number).all() for number in numbers):
        return f"the weights give the {name} cell no gain: look at what the readings say, weight by weight"
    x = np.linspace(min(0.0, float(fit.force_n.min())), max(SPAN_N, float(fit.force_n.max())), 50)
    curve = calibration.quadratic_per_n[fit.tip], calibration.cubic_per_n2[fit.tip]
    if (1.0 + 2.0 * curve[0] * x + 3.0 * curve[1] * x * x <= 0.2).any():
        return f"the weights bend the {name} cell's curve until it turns back: check the masses, then have it checked"
    ratio = np.abs(fit.leave_one_out_n) / fit.u_leave_one_out_n
    freedom = solution.rows - 2
    if ratio.max() <= OUTLIER and solution.misfit <= chi_square_limit(freedom, 3.1):
        return ""
    if np.abs(fit.leave_one_out_n).max() <= TRIVIAL_N:
        return ""  # the misfit has widened the covariance
    worst = int(ratio.argmax())
    off = abs(float(fit.leave_one_out_n[worst]))
    if plateaus.mass[worst] == 0:
        return f"the unloaded {name} tip reads {off:.2f} N off what the weights say: let it come to rest, zero again"
    return (
        f"{plateaus.mass[worst]:g} kg reads {off:.2f} N off what the other weights say: "
        "check its mass and that it hung free, then read it again"
    )


def _claim(fit: WeightFit) -> tuple[float, float]:
    """Up to which force (negative: pull), and within what at 95 %: by the fit, by its residuals, by leaving out."""
    reach = float(fit.force_n[np.abs(fit.force_n).argmax()])
    up_to = math.copysign(math.floor(abs(reach) + 0.5), reach)
    widest = float(_u_of(fit.covariance, np.linspace(0.0, reach, 56)).max())
    inner = np.abs(fit.force_n) < abs(reach)  # without the heaviest, its fit would have to foretell beyond its range
    claim = max(K95 * widest, float(np.abs(fit.residual_n).max()), float(np.abs(fit.leave_one_out_n[inner]).max()))
    return up_to, math.ceil(claim * 10.0 - 1e-6) / 10.0


def _with_cross_talk(
    calibration: ToolCalibration, other: int, plateaus: Plateaus, contact_n: Array, gravity: Gravity
) -> ToolCalibration:
    """``calibration`` with the share of the weights that the ``other`` cell read: a line, with the record as prior."""
    along = along_axis_m_s2(plateaus.accel, calibration.axis, gravity.m_s2)
    long_creep = 1.0 + calibration.creep_share.sum(axis=1)
    tips = calibration.tip_mass_kg * along * long_creep
    felt = felt_n(calibration, plateaus.counts, plateaus.temperature)[:, other] - tips[:, other]
    known, u_known = calibration.cross_talk[other], u_or_typical(calibration, "u_cross_talk", other)
    load = contact_n + tips[:, 1 - other]
    u_mass_n = u_or_typical(calibration, "u_tip_mass_kg", other) * np.abs(along[:, other] - along[:, other].mean())
    sigma = np.hypot(U_REPEAT_N, u_mass_n)
    # Columns: the zero, which is free, the share, and the creep that a load before these readings has left behind: the
    # tip may have been weighed itself a minute ago. Rows: the readings, then what is known of each but the zero.
    creep_share, creep_s = creep_terms(calibration, other)
    left = np.exp((plateaus.t[0] - plateaus.t)[:, None] / creep_s)
    columns = np.column_stack([np.ones_like(load), load, left])
    priors = np.append(u_known, LOADED_BEFORE_N * np.hypot(creep_share, u_creep_term(calibration, other)))
    system = np.vstack([columns / sigma[:, None], np.eye(len(priors), len(priors) + 1, 1) / priors[:, None]])
    wanted = np.concatenate([felt / sigma, [known / u_known], np.zeros(len(creep_s))])
    share = np.linalg.lstsq(system, wanted, rcond=None)[0][1]
    u_share = math.sqrt(float(np.linalg.inv(system.T @ system)[1, 1]))
    gain_off = abs(share) * u_or_typical(calibration, "u_gain", other)
    return _changed(calibration, other, cross_talk=share, u_cross_talk=math.hypot(u_share, gain_off))


def _changed(calibration: ToolCalibration, tip: int, **fields: float) -> ToolCalibration:
    """``calibration`` with new values of one tip."""
    columns = {}
    for name, value in fields.items():
        columns[name] = getattr(calibration, name).copy()
        columns[name][tip] = value
    return replace(calibration, **columns)
