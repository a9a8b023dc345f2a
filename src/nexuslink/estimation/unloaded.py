"""What a tool with nothing on it says: the zero of both cells, and from several poses the mass of both tips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from nexuslink.estimation.calibration import TIP_NAMES, Array, ToolCalibration
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.estimation.plateau import (
    U_REPEAT_N,
    Plateaus,
    WeightReading,
    along_axis_m_s2,
    felt_n,
    u_accel_m_s2,
    u_or_typical,
)  # fmt: skip
from nexuslink.estimation.reference import at_temperature
from nexuslink.estimation.refusals import FULL_COUNTS, GRAVITY_WITHIN, MOVING_N, record_fault, unreadable

POSES_FOR_MASS: Final = 4
POSE_COSINE: Final = 0.97
"""Two poses differ by more than 14 degrees."""
OUTLIER: Final = 4.0
"""Standard uncertainties that a pose may lie off."""
HEAVIEST_TIP_KG: Final = 1.0
PASSES: Final = 3
"""The curve hangs on the zero: one pass where it is straight, a second for its bend."""


@dataclass(frozen=True, slots=True)
class ZeroFit:
    """``calibration``: new zero (and tip mass where ``mass_known``), `before` where not accepted. ``shift_n``: (2,)
    how far the zero has moved. ``residual_n``: (k, 2), in the order of time; empty where it came to no fit."""

    calibration: ToolCalibration
    accepted: bool
    reason: str
    mass_known: bool = False
    shift_n: Array = field(default_factory=lambda: np.full(2, np.nan))
    residual_n: Array = field(default_factory=lambda: np.empty((0, 2)))


def fit_zero(readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity = UNKNOWN_PLACE) -> ZeroFit:
    """``readings``: one or more with mass 0; four or more poses that differ also determine the tips' masses.

    The centre of a tip's mass cannot be told at rest: it acts only while the tool turns.
    """
    reason = _why_not(readings, before, gravity)
    if reason:
        return ZeroFit(before, False, reason)
    plateaus = Plateaus.of(readings)
    calibration = at_temperature(before, float(plateaus.temperature.mean()))
    along = along_axis_m_s2(plateaus.accel, calibration.axis, gravity.m_s2)
    mass_known = _poses(plateaus.accel) >= POSES_FOR_MASS and float(np.ptp(along, axis=0).min()) > gravity.m_s2 / 2.0
    u_angle = np.sqrt(np.maximum(1.0 - (along / gravity.m_s2) ** 2, 0.0)) * u_accel_m_s2(calibration, gravity.m_s2)
    noise = plateaus.std * np.abs(calibration.gain_n_per_count) / np.sqrt(plateaus.samples)[:, None]
    sigma = np.sqrt(noise**2 + U_REPEAT_N**2 + (calibration.tip_mass_kg * u_angle) ** 2)
    shift = np.zeros(2)
    for _ in range(PASSES):
        zero, mass, u_zero, u_mass, residual = _line(calibration, plateaus, along, sigma, mass_known)
        shift = shift + zero
        zero_counts = calibration.zero_counts + zero / calibration.gain_n_per_count
        calibration = replace(calibration, zero_counts=zero_counts)
    fit = ZeroFit(before, False, "", mass_known, shift, residual)
    ratio = np.abs(residual) / sigma
    if not ratio.max() <= OUTLIER:
        row, tip = np.unravel_index(int(ratio.argmax()), ratio.shape)
        return replace(fit, reason=(
            f"the {TIP_NAMES[int(tip)]} tip reads {abs(residual[row, tip]):.2f} N off in one of the readings: "
            "let nothing touch the tips, take the zero again"
        ))  # fmt: skip
    if not ((mass >= 0).all() and (mass <= HEAVIEST_TIP_KG).all()):
        masses = " and ".join(f"{tip:.3f}" for tip in mass)
        return replace(fit, reason=f"the tips' masses come out as {masses} kg: let nothing touch the tips, zero again")
    calibration = replace(calibration, u_zero_n=u_zero, gravity_m_s2=gravity.m_s2)
    if mass_known:
        calibration = replace(calibration, tip_mass_kg=mass, u_tip_mass_kg=u_mass)
    return replace(fit, calibration=calibration, accepted=True)


def _line(
    calibration: ToolCalibration, plateaus: Plateaus, along: Array, sigma: Array, mass_known: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """Per tip, what it feels against its weight per kilogram: zero, mass, their uncertainties, residuals (k, 2)."""
    felt = felt_n(calibration, plateaus.counts, plateaus.temperature)
    weight = along * (1.0 + calibration.creep_share.sum(axis=1))
    solved, u, residual = np.empty((2, 2)), np.empty((2, 2)), np.empty_like(felt)
    for tip in (0, 1):
        own = felt[:, tip] - calibration.cross_talk[tip] * calibration.tip_mass_kg[1 - tip] * weight[:, 1 - tip]
        # Where the poses tell the mass, the record's word counts little: a tip may have been changed.
        u_known = HEAVIEST_TIP_KG if mass_known else u_or_typical(calibration, "u_tip_mass_kg", tip)
        rows = np.stack([np.ones(len(own)), weight[:, tip]], axis=1)
        system = np.vstack([rows / sigma[:, [tip]], [0.0, 1.0 / u_known]])
        wanted = np.append(own / sigma[:, tip], calibration.tip_mass_kg[tip] / u_known)
        solved[tip] = np.linalg.lstsq(system, wanted, rcond=None)[0]
        u[tip] = np.sqrt(np.diag(np.linalg.inv(system.T @ system)))
        residual[:, tip] = own - rows @ solved[tip]
    return solved[:, 0], solved[:, 1], u[:, 0], u[:, 1], residual


def _poses(accel: Array) -> int:
    """How many of these directions of up (k, 3) differ from each other."""
    seen: list[Array] = []
    for up in accel / np.linalg.norm(accel, axis=1, keepdims=True):
        if all(float(up @ one) < POSE_COSINE for one in seen):
            seen.append(up)
    return len(seen)


def _why_not(readings: Sequence[WeightReading], before: ToolCalibration, gravity: Gravity) -> str:
    if not readings:
        return "there is no reading: take one with nothing on the tips"
    fault = record_fault(before) or unreadable(readings)
    if fault:
        return fault
    plateaus = Plateaus.of(readings)
    std_n = plateaus.std * np.abs(before.gain_n_per_count)
    off = np.abs(np.linalg.norm(plateaus.accel, axis=1) / gravity.m_s2 - 1.0)
    for tip, name in enumerate(TIP_NAMES):
        stuck = (plateaus.std[:, tip] == 0) & (plateaus.samples >= 10)
        faults = {
            f"the {name} cell is beyond its range with nothing on it: have it checked": (
                np.abs(plateaus.counts[:, tip]) >= 0.999 * FULL_COUNTS
            ),
            f"the {name} cell reads the same value all the time: restart the tool, then have it checked": stuck,
            f"the {name} tip was touched or moved: lay the tool down, zero again": std_n[:, tip] > MOVING_N,
            "the tool was moving, or its accelerometer is not calibrated: keep it still": off > GRAVITY_WITHIN,
            f"{plateaus.mass.max():g} kg is on a tip: the zero is taken with nothing on it": plateaus.mass != 0,
        }
        fault = next((says for says, rows in faults.items() if rows.any()), "")
        if fault:
            break
    return fault
