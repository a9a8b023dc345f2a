"""What a tool with nothing on it says: the zero of both cells, and from several poses the mass of both tips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nexuslink.estimation.calibration import TIP_NAMES, Array, ToolCalibration
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import (
    U_REPEAT_N, Plateaus, WeightReading, along_axis_m_s2, felt_n, u_accel_m_s2, u_or_typical,
)  # fmt: skip
from nexuslink.estimation.reference import at_temperature
from nexuslink.estimation.refusals import FULL_COUNTS, GRAVITY_WITHIN, MOVING_N, record_fault, unreadable

POSES_FOR_MASS: Final = 4
POSE_COSINE: Final = 0.97
"""Two poses differ by more than 14 degrees."""
OUTLIER: Final = 4.0
"""Standard uncertainties that a pose may lie off."""
HEAVIEST_TIP_KG: Final = 1.0


@dataclass(frozen=True, slots=True)
class ZeroFit:
    """``calibration``: new zero (and tip mass where ``mass_known``), `before` where not accepted. ``shift_n``: (2,)
    how far the zero has moved. ``residual_n``: (k, 2), in the order of time; empty where it came to no fit."""

    calibration: ToolCalibration
    accepted: bool
    reason: str
    mass_known: bool = False
    shift_n: Array = np.full(2, np.nan)
    residual_n: Array = np.empty((0, 2))


def fit_zero(readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity = UNKNOWN_PLACE) -> ZeroFit:
    """``readings``: one or more with mass 0; four or more poses that differ also determine the tips' masses.

    The centre of a tip's mass cannot be told at rest: it acts only while the tool turns.
    """
    reason = _why_not(readings, before, gravity)
    if reason:
        return ZeroFit(before, False, reason)
    plateaus = Plateaus.of(readings)
    start = at_temperature(before, float(plateaus.temperature.mean()))
    mass_known = _poses(plateaus.accel) >= POSES_FOR_MASS
    along = along_axis_m_s2(plateaus.accel, start.axis, gravity.m_s2)
    felt = felt_n(start, plateaus.counts, plateaus.temperature)
    long_creep = 1.0 + start.creep_share.sum(axis=1)
    weight = along * long_creep
    zero, mass = np.empty(2), start.tip_mass_kg.copy()
    u_zero, u_mass = np.empty(2), np.empty(2)
    residual, sigma = np.empty_like(felt), np.empty_like(felt)
    across = np.sqrt(np.maximum(gravity.m_s2**2 - along**2, 0.0)) / gravity.m_s2
    for tip in (0, 1):
        noise = plateaus.std[:, tip] * abs(start.gain_n_per_count[tip]) / np.sqrt(plateaus.samples)
        angle = start.tip_mass_kg[tip] * across[:, tip] * u_accel_m_s2(start, gravity.m_s2)
        sigma[:, tip] = np.sqrt(noise**2 + U_REPEAT_N**2 + angle**2)
        other = start.cross_talk[tip] * start.tip_mass_kg[1 - tip] * weight[:, 1 - tip]
        known, u_known = start.tip_mass_kg[tip], u_or_typical(start, "u_tip_mass_kg", tip)
        if mass_known:
            u_known = max(u_known, HEAVIEST_TIP_KG)  # the poses tell; a tip may have been changed
        system = np.stack([np.ones(len(felt)), weight[:, tip]], axis=1) / sigma[:, [tip]]
        system = np.vstack([system, [0.0, 1.0 / u_known]])
        wanted = np.append((felt[:, tip] - other) / sigma[:, tip], known / u_known)
        (zero[tip], mass[tip]) = np.linalg.lstsq(system, wanted, rcond=None)[0]
        covariance = np.linalg.inv(system.T @ system)
        u_zero[tip], u_mass[tip] = np.sqrt(np.diag(covariance))
        residual[:, tip] = felt[:, tip] - other - zero[tip] - mass[tip] * weight[:, tip]
    ratio = np.abs(residual) / sigma
    fit = ZeroFit(before, False, "", mass_known, zero, residual)
    if ratio.max() > OUTLIER:
        row, tip = np.unravel_index(int(ratio.argmax()), ratio.shape)
        return replace(fit, reason=(
            f"reading {row + 1} of the {TIP_NAMES[tip]} tip is {abs(residual[row, tip]):.2f} N off the others: "
            "let nothing touch the tips, take the zero again"
        ))  # fmt: skip
    if not ((mass >= 0).all() and (mass <= HEAVIEST_TIP_KG).all()):
        return replace(fit, reason=f"tips of {mass[0]:.2f} and {mass[1]:.2f} kg are none: let nothing touch the tips")
    # The curve is no straight line far from the record's zero: the counts are those that feel like none.
    zero_counts = start.zero_counts + _unbent(start, zero) / start.gain_n_per_count
    changed = replace(start, zero_counts=zero_counts, u_zero_n=u_zero, gravity_m_s2=gravity.m_s2)
    if mass_known:
        changed = replace(changed, tip_mass_kg=mass, u_tip_mass_kg=u_mass)
    return replace(fit, calibration=changed, accepted=True)
