"""The check anyone can do in a minute: a known weight on a tip, is the tool still within its claim?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nexuslink.estimation.calibration import TIP_NAMES, Array, ToolCalibration
from nexuslink.estimation.force_uncertainty import curve_share
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
from nexuslink.estimation.refusals import unreadable

COVERAGE: Final = 2.0
"""The claim is so many standard uncertainties: about 95 %."""


@dataclass(frozen=True, slots=True)
class Check:
    """``measured_n`` against ``expected_n`` along the tip, ``u_n`` the standard uncertainty of both together.

    ``sentence`` is for people. NaN and not ``within`` where the reading cannot be judged.
    """

    measured_n: float
    expected_n: float
    u_n: float
    within: bool
    sentence: str


def check_weight(
    tip: int,
    reading: WeightReading,
    calibration: ToolCalibration,
    gravity: Gravity = UNKNOWN_PLACE,
    zero: WeightReading | None = None,
) -> Check:
    """Is the ``tip`` within twice its uncertainty of that weight?

    ``zero``: a reading with nothing on it, taken off as a tare is, best in the same pose and right before; without
    it the zero of the record counts, with its own uncertainty.
    """
    fault = unreadable([reading] if zero is None else [reading, zero])
    if not fault and zero is not None and zero.mass_kg != 0:
        fault = f"the zero was taken with {zero.mass_kg:g} kg on the tip: take it with nothing on it"
    if fault:
        return Check(math.nan, math.nan, math.nan, False, fault)
    measured = rest_force_n(tip, reading, calibration, gravity)
    if zero is not None:
        measured -= rest_force_n(tip, zero, calibration, gravity)
    plateau = Plateaus.of([reading])
    along = float(along_axis_m_s2(plateau.accel, calibration.axis, gravity.m_s2)[0, tip])
    expected = reading.mass_kg * along
    # What the angle is uncertain by acts across the tip's axis.
    across = math.sqrt(max(1.0 - (along / gravity.m_s2) ** 2, 0.0))
    u = math.hypot(
        u_rest_force_n(tip, reading, measured, calibration, gravity, zero),
        float(plateau.u_mass[0]) * along,
        expected * gravity.u_m_s2 / gravity.m_s2,
        reading.mass_kg * across * u_accel_m_s2(calibration, gravity.m_s2),
    )
    if not math.isfinite(measured + u):
        return Check(math.nan, expected, math.nan, False, "the record in use gives no number: load a sound one first")
    within = abs(measured - expected) <= COVERAGE * u
    return Check(measured, expected, u, within, _sentence(tip, reading.mass_kg, measured, expected, u, within))


def rest_force_n(tip: int, reading: WeightReading, calibration: ToolCalibration, gravity: Gravity) -> float:
    """The contact force along that tip, newtons, of one reading at rest, with nothing on the other tip."""
    felt = felt_n(calibration, np.asarray(reading.mean_counts, np.float64), reading.temperature_c)
    along = along_axis_m_s2(np.asarray(reading.accel_m_s2, np.float64), calibration.axis, gravity.m_s2)
    tips = calibration.tip_mass_kg * along * (1.0 + calibration.creep_share.sum(axis=1))
    crept = float(felt[tip] - calibration.cross_talk[tip] * tips[1 - tip] - tips[tip])
    share, grown = _creep(tip, reading, calibration)
    return crept / (1.0 + float(share @ grown))


def u_rest_force_n(
    tip: int,
    reading: WeightReading,
    force_n: float,
    calibration: ToolCalibration,
    gravity: Gravity,
    zero: WeightReading | None = None,
) -> float:
    """Standard uncertainty of `rest_force_n`, newtons; with ``zero``, of the difference between the two."""

    def u(field: str) -> float:
        return u_or_typical(calibration, field, tip)

    def along(of: WeightReading) -> float:
        accel = np.asarray(of.accel_m_s2, np.float64)
        return float(along_axis_m_s2(accel, calibration.axis, gravity.m_s2)[tip])

    warmth = reading.temperature_c - calibration.temperature_c
    _, grown = _creep(tip, reading, calibration)
    parts = [
        u("u_gain") * force_n,
        u("u_curve_n") * float(curve_share(np.asarray(force_n))),
        u("u_gain_per_k") * warmth * force_n,
        u_creep_term(calibration, tip) * float(np.linalg.norm(grown)) * force_n,
        U_REPEAT_N,
    ]
    for one in (reading,) if zero is None else (reading, zero):
        std_n = abs(calibration.gain_n_per_count[tip]) * one.std_counts[tip]
        parts.append(std_n / math.sqrt(one.samples))
    if zero is None:
        parts += [u("u_zero_n"), u("u_zero_n_per_k") * warmth, u("u_tip_mass_kg") * along(reading)]
    else:
        parts += [
            U_REPEAT_N,
            u("u_zero_n_per_k") * (reading.temperature_c - zero.temperature_c),
            u("u_tip_mass_kg") * (along(reading) - along(zero)),
        ]
    return math.hypot(*parts)


def _creep(tip: int, reading: WeightReading, calibration: ToolCalibration) -> tuple[Array, Array]:
    """Shares of the exponentials, and how much of each has come since the weight was put on."""
    share, time_s = creep_terms(calibration, tip)
    return share, 1.0 - np.exp(-reading.loaded_s / time_s)


def _sentence(tip: int, mass_kg: float, measured: float, expected: float, u: float, within: bool) -> str:
    if mass_kg == 0:
        reads = f"Reads {measured:.1f} N with nothing on the {TIP_NAMES[tip]} tip"
    else:
        verb, side = ("stand on", 1.0) if expected >= 0 else ("hang from", -1.0)
        reads = f"Reads {side * measured:.1f} N where {abs(expected):.1f} N {verb} it"
    claim = math.ceil(COVERAGE * u * 10.0 - 1e-6) / 10.0
    if within:
        return f"{reads}: within its claim of {claim:.1f} N."
    return f"{reads}: outside its claim of {claim:.1f} N, calibrate again."
