"""How sure a force is: one standard uncertainty a sample, from everything that is not known exactly.

Independent contributions, added as squares (JCGM 100:2008, "GUM", 5.1.2). Of one tip under the force F, th kelvin above
the reference temperature, with the lags L_k of the load so far and the specific force a along the axis:

    noise            of one sample, by rate
    zero             u_zero_n, u_zero_n_per_k th and zero_n_per_k u_T; after a tare only what has changed since
    gain             (u_gain, u_gain_per_k th and gain_per_k u_T) F
    curve            u_curve_n curve_share(F)
    cross-talk       u_cross_talk (F of the other tip)
    creep            u_creep_share spread evenly over the record's terms and a slow one that no record holds, times
                     how far each lag has moved since the tare (from the tip's weight, without one)
    tip              u_tip_mass (a - a at the tare), and the tip's mass times the accelerometer's uncertainty: its
                     bias goes with the tare, its matrix counts for how far gravity has turned since

Arrays in and out; it must never know counts, streams or a clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import CREEP_TERMS, ToolCalibration

Array = NDArray[np.float64]

CURVE_RANGE_N: Final = 222.4
"""Range over which the curve was measured: TE FX29, 50 lbf."""
NOISE_N_AT: Final = ((250.0, 0.0024), (500.0, 0.0032), (1000.0, 0.0043))
"""RMS noise by samples a second: TI ADS131M0x data sheet, table 7-1, gain 16, on an FX29 of 20 mV/V at 3 V (1000 by the
table's trend)."""
TYPICAL: Final = {
    "u_zero_n": 1.0,
    "u_gain": 0.01,
    "u_curve_n": 0.25,
    "u_zero_n_per_k": 0.05,
    "u_gain_per_k": 1e-4,
    "u_cross_talk": 0.01,
    "u_creep_share": 0.002,
    "u_tip_mass_kg": 0.01,
}
"""[assumption] A typical part of this class, where the record says "not known": its fields and their units."""
U_ACCEL_TYPICAL_M_S2: Final = 0.05
"""Bias of an accelerometer that was never calibrated, per axis [assumption: 5 mg]."""
U_ACCEL_MATRIX_TYPICAL: Final = 0.004
"""Its scale and misalignment [assumption]."""
U_THERMOMETER_K: Final = 0.3
"""Of the temperature that the tool reports, the same all the time [assumption]."""
U_UNHEARD_K: Final = 5.0
"""Of a temperature that was never reported: a room [assumption]."""
SLOW_CREEP_S: Final = 600.0
"""Time constant of the creep that no record holds [assumption]."""
TARE_SAMPLES: Final = 50
"""At least so many samples are in the mean of a tare [assumption: 200 ms at 250 a second]."""


def curve_share(force_n: Array) -> Array:
    """Share of ``u_curve_n`` that applies at these forces, any shape: 0 at 0 N, 1 at two thirds of the range.

    The gain is that of the line through both ends, so the curve is wrong in between: 27/4 s^2 (1 - s), s = force/range.
    """
    share = np.abs(force_n) / CURVE_RANGE_N
    return np.asarray(6.75 * share * share * np.abs(1.0 - share))


def noise_n(rate_hz: float) -> float:
    """RMS noise of one sample, log-log through the table."""
    rates, newtons = np.log(np.array(NOISE_N_AT)).T
    return float(np.exp(np.interp(math.log(max(rate_hz, 1.0)), rates, newtons)))


def calibrated(calibration: ToolCalibration) -> bool:
    """The record says how sure it is of the gains."""
    return bool((np.asarray(calibration.u_gain) > 0).all())


@dataclass(frozen=True, slots=True)
class Tared:
    """What was there when the zero was taken: ``specific_force`` (3,) m/s2, ``lags_n`` (2, k)."""

    temperature_c: float
    specific_force: Array
    lags_n: Array


class ForceUncertainty:
    """At one temperature, since one tare. Made anew when either changes."""

    def __init__(
        self, calibration: ToolCalibration, rate_hz: float, temperature_c: float, u_temperature_k: float,
        tared: Tared | None,
    ) -> None:  # fmt: skip
        """``temperature_c``: NaN where unknown."""
        u = {
            name: np.where(getattr(calibration, name) > 0, getattr(calibration, name), typical)
            for name, typical in TYPICAL.items()
        }
        heard = math.isfinite(temperature_c)
        warmth = temperature_c - calibration.temperature_c if heard else 0.0
        u_warmth = u_temperature_k if heard else U_UNHEARD_K
        noise = noise_n(rate_hz)
        if tared is None:
            zero = u["u_zero_n"] ** 2 + (u["u_zero_n_per_k"] * warmth) ** 2 + (calibration.zero_n_per_k * u_warmth) ** 2
        else:
            since = temperature_c - tared.temperature_c if heard and math.isfinite(tared.temperature_c) else u_warmth
            zero = noise**2 / TARE_SAMPLES + (u["u_zero_n_per_k"] * since) ** 2
            if not heard:
                zero = zero + (calibration.zero_n_per_k * since) ** 2
        accelerometer = calibration.imu.accelerometer
        u_matrix, u_bias = accelerometer.u_matrix, accelerometer.u_bias
        if not u_matrix and not u_bias:
            u_matrix, u_bias = U_ACCEL_MATRIX_TYPICAL, U_ACCEL_TYPICAL_M_S2
        if tared is not None:
            u_bias = 0.0  # the same along the same axis at any angle: it went with the zero
        self._constant = noise**2 + zero + (calibration.tip_mass_kg * u_bias) ** 2
        self._by_turn = (calibration.tip_mass_kg * u_matrix) ** 2
        self._by_force = u["u_gain"] ** 2 + (u["u_gain_per_k"] * warmth) ** 2 + (calibration.gain_per_k * u_warmth) ** 2
        self._curve, self._by_other = u["u_curve_n"], u["u_cross_talk"] ** 2
        self._by_lag = (u["u_creep_share"] ** 2 / (1 + CREEP_TERMS))[:, None]
        self._by_pull, self._axis = u["u_tip_mass_kg"] ** 2, calibration.axis.T
        self._tare_pull = np.zeros(3) if tared is None else tared.specific_force
        self._tare_lags = np.zeros((2, 1)) if tared is None else tared.lags_n

    def of(self, force_n: Array, specific_force: Array, lags_n: Array) -> Array:
        """``force_n`` (n, 2), ``specific_force`` (n, 3) m/s2, ``lags_n`` (2, k) at the end -> (n, 2) newtons."""
        squares = force_n * force_n
        total = squares * self._by_force
        total += squares[:, ::-1] * self._by_other
        total += (self._curve * curve_share(force_n)) ** 2
        turned = specific_force - self._tare_pull
        total += (turned @ self._axis) ** 2 * self._by_pull
        total += (turned * turned).sum(axis=1)[:, None] * self._by_turn
        total += self._constant + (self._by_lag * (lags_n - self._tare_lags) ** 2).sum(axis=1)
        return np.asarray(np.sqrt(total))

    def creep_n(self, lags_n: Array) -> Array:
        """(2,) newtons that may be left of the creep."""
        return np.asarray(np.sqrt((self._by_lag * (lags_n - self._tare_lags) ** 2).sum(axis=1)))
