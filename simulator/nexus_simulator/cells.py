"""Both load cells of one tool: from the true load to converter counts, with the errors of real parts.

TE Connectivity FX29, 50 lbf (222 N), 20 mV/V unamplified, read by a TI ADS131M02, 24 bits, gain 16 (1.2 V reference,
so +-75 mV). Figures carry their source; what no data sheet at hand gave is marked "assumption". The errors of one
unit are drawn elsewhere. Nothing here knows of bodies, records, messages or clocks: times are seconds since START,
values are SI.

One tip, from the truth to the counts:

    load     = contact + tip mass * (axis . specific force at the tip's centre)
    crept    = load + sum_k creep_share_k * lag(load, creep_s_k)
    felt     = crept + cross_talk * (crept of the other tip)
    felt     = x + quadratic * x^2 + cubic * x^3                              solved for x
    measured = x * (1 + gain_per_k * th) + zero_per_k * th + noise            th: kelvin above REFERENCE_C
    counts   = measured / gain + zero
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import Array

FORCE_FULL_SCALE_N = 222.4
"""50 lbf, FX29 standard range."""
STOP_N = 2.5 * FORCE_FULL_SCALE_N
"""A stop takes what is beyond [assumption: FX29 bears 2.5 x rated]."""
_BRIDGE_V = 0.060
"""FX29: 20 mV/V, here at 3.0 V excitation."""
_CONVERTER_V = 0.075
"""ADS131M02: 1.2 V reference / gain 16."""
FORCE_MAX_COUNT = (1 << 23) - 1
NOMINAL_N_PER_COUNT = FORCE_FULL_SCALE_N * _CONVERTER_V / _BRIDGE_V / (1 << 23)
"""About 33 uN."""
FORCE_CLIP_N = NOMINAL_N_PER_COUNT * FORCE_MAX_COUNT
"""The converter saturates here, before the cell is damaged."""
_NOISE_V_AT = ((250.0, 0.64e-6), (500.0, 0.86e-6), (1000.0, 1.16e-6))
"""ADS131M0x data sheet, table 7-1, gain 16: input-referred RMS noise by data rate (1000 SPS by the table's trend)."""
REFERENCE_C = 25.0
"""Reference temperature of everything that depends on temperature."""
_CREEP_SPAN_S = 600.0
"""Longest stretch whose creep is solved at once: the exponentials of its quickest term must not overflow."""


def force_noise_n(rate_hz: float) -> float:
    """RMS noise of one load cell at that data rate, newtons (log-log through the data sheet's points)."""
    rates, volts = zip(*_NOISE_V_AT, strict=True)
    volt = math.exp(float(np.interp(math.log(rate_hz), np.log(rates), np.log(volts))))
    return volt / _BRIDGE_V * FORCE_FULL_SCALE_N


@dataclass(frozen=True, slots=True)
class CellTruth:
    """What both cells and tips of one tool really are, psoas first.

    (2,) each: gain_n_per_count, zero_counts, quadratic_per_n 1/N, cubic_per_n2 1/N2, zero_n_per_k, gain_per_k,
    cross_talk, tip_mass_kg. creep_share and creep_s: (2, k), the k-th exponential's share of the load after a long
    time and its time constant. tip_centre_m, axis: (2, 3) in the frame of the inertial unit.
    """

    gain_n_per_count: Array
    zero_counts: Array
    quadratic_per_n: Array
    cubic_per_n2: Array
    zero_n_per_k: Array
    gain_per_k: Array
    cross_talk: Array
    creep_share: Array
    creep_s: Array
    tip_mass_kg: Array
    tip_centre_m: Array
    axis: Array


class LoadCells:
    """Both load cells as they read. What they are is given, the noise depends on the seed."""

    def __init__(self, truth: CellTruth, noise_seed: tuple[int, ...], rate_hz: float) -> None:
        self._truth = truth
        self._noise = force_noise_n(rate_hz)
        self._rng = np.random.default_rng(noise_seed)
        self._creep = Creep(truth.creep_share, truth.creep_s)
        self._before_s: Array = np.empty(0)
        self._before_rate: Array = np.empty((0, 3))
        # For inertia at the tip: axis . (alpha x r) = alpha . (r x axis).
        self._lever = np.cross(truth.tip_centre_m, truth.axis).T
        self._along = np.sum(truth.axis * truth.tip_centre_m, axis=1)

    def counts(
        self, t_s: Array, contact_n: Array, specific_force: Array, rate: Array, temperature_c: Array
    ) -> npt.NDArray[np.int32]:
        """(n, 2) converter counts of consecutive samples; creep goes on from one call to the next.

        Before the first sample the cells have long borne the weight of their tips, and nothing else.

        t_s: (n,) seconds, increasing. contact_n: (n, 2) true contact force. specific_force: (n, 3) m/s^2 and rate:
        (n, 3) rad/s at the inertial unit, in its frame. temperature_c: (n,) of the cells.
        """
        truth = self._truth
        if not len(t_s):
            return np.empty((0, 2), np.int32)
        own = truth.tip_mass_kg * self._at_tips(t_s, specific_force, rate)
        crept = self._creep.after(t_s, np.clip(contact_n + own, -STOP_N, STOP_N), own[0])
        felt = crept + truth.cross_talk * crept[:, ::-1]
        warmth = (temperature_c - REFERENCE_C)[:, None]
        measured = _straightened(felt, truth) * (1.0 + truth.gain_per_k * warmth) + truth.zero_n_per_k * warmth
        measured = measured + self._noise * self._rng.standard_normal(measured.shape)
        counts = np.rint(measured / truth.gain_n_per_count + truth.zero_counts)
        self._before_s = np.concatenate([self._before_s, t_s])[-2:]
        self._before_rate = np.concatenate([self._before_rate, rate])[-2:]
        return np.clip(counts, -FORCE_MAX_COUNT - 1, FORCE_MAX_COUNT).astype(np.int32)

    def _at_tips(self, t_s: Array, specific_force: Array, rate: Array) -> Array:
        """(n, 2) specific force at each tip's centre along its axis: f + alpha x r + omega x (omega x r)."""
        truth = self._truth
        t_s, rates = np.concatenate([self._before_s, t_s]), np.concatenate([self._before_rate, rate])
        alpha = _slope(t_s, rates)[-len(rate) :]
        swing = (rate @ truth.axis.T) * (rate @ truth.tip_centre_m.T)
        swing = swing - self._along * np.sum(rate * rate, axis=1)[:, None]
        return np.asarray(specific_force @ truth.axis.T + alpha @ self._lever + swing)


class Creep:
    """A load and its slow growth: first-order lags of a load that is constant from sample to sample."""

    def __init__(self, share: Array, time_s: Array) -> None:
        self._share, self._time_s = share, time_s
        self._lag = np.zeros_like(time_s)
        self._before_s: float | None = None

    def after(self, t_s: Array, load: Array, settled: Array) -> Array:
        """(n, 2) load with its creep at times t_s (n,), from the load (n, 2) of consecutive samples.

        settled: (2,) load that the cells had borne for long before their very first sample.
        """
        n = len(load)
        if self._before_s is None:
            self._lag, self._before_s = self._lag + settled[:, None], float(t_s[0])
        out = np.empty_like(load)
        first = 0
        while first < n:
            end = max(first + 1, int(np.searchsorted(t_s, t_s[first] + _CREEP_SPAN_S)))
            part, at = load[first:end, :, None], t_s[first:end]
            new = -np.expm1(-np.diff(at, prepend=self._before_s)[:, None, None] / self._time_s)
            growth = np.exp((at - at[0])[:, None, None] / self._time_s)
            lagged = new * part * growth
            lagged[0] += (1.0 - new[0]) * self._lag
            lagged = np.cumsum(lagged, axis=0) / growth
            out[first:end] = load[first:end] + np.sum(self._share * lagged, axis=2)
            self._lag, self._before_s, first = lagged[-1], float(at[-1]), end
        return out


def _slope(t: Array, x: Array) -> Array:
    """(n, 3) derivative of x (n, 3) at times t (n,), from samples up to that time only: through three points."""
    slope = np.zeros_like(x)
    step = np.diff(t)[:, None]
    chord = np.divide(np.diff(x, axis=0), step, out=np.zeros_like(x[1:]), where=step > 0.0)
    slope[1:] = chord
    span = step[1:] + step[:-1]
    bend = np.divide(chord[1:] - chord[:-1], span, out=np.zeros_like(chord[1:]), where=span > 0.0)
    slope[2:] += step[1:] * bend
    return slope


def _straightened(felt: Array, truth: CellTruth) -> Array:
    """x of ``felt = x + quadratic x^2 + cubic x^3``, (n, 2): Newton's method from the line, which is close."""
    q, c = truth.quadratic_per_n, truth.cubic_per_n2
    x = felt
    for _ in range(4):
        x = x - (x + x * x * (q + c * x) - felt) / (1.0 + x * (2.0 * q + 3.0 * c * x))
    return x
