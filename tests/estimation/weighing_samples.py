"""A tool on the weighing bench, by the model in `nexuslink.estimation.calibration`: what is recorded, what is true.

Its own way through the model, from the truth to the counts: estimation goes the other way.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from tool_samples import tool

from nexuslink.estimation.calibration import Array, ImuCalibration, ToolCalibration, TriaxialCalibration
from nexuslink.estimation.force_uncertainty import CURVE_RANGE_N, SLOW_CREEP_S
from nexuslink.estimation.gravity import Gravity, local_gravity
from nexuslink.estimation.plateau import U_REPEAT_N, WeightReading

GRAVITY = local_gravity(47.4, 400.0)
KILOGRAMS = (0.5, 1.5, 3.0, 6.0, 11.0)
U_MASS = 5e-4
NOISE_N = 0.004
SAMPLES = 2000


def recorded(rng: np.random.Generator) -> ToolCalibration:
    """A record as a factory writes it, with the uncertainty of every coefficient."""

    def normal(scale: float, shape: tuple[int, ...] = (2,)) -> Array:
        return np.asarray(scale * rng.standard_normal(shape))

    return tool(
        zero_counts=normal(1e5), gain_n_per_count=3.3e-5 * (1.0 + normal(0.03)),
        quadratic_per_n=normal(2e-5), cubic_per_n2=normal(8e-8), zero_n_per_k=normal(0.044), gain_per_k=normal(1e-4),
        cross_talk=normal(0.002), creep_share=0.001 * (1.0 + normal(0.2, (2, 3))),
        creep_s=np.array([[2.0, 30.0, 150.0], [1.8, 20.0, 140.0]]),
        u_zero_n=np.full(2, 0.7), u_gain=np.full(2, 0.002), u_curve_n=np.full(2, 0.05),
        u_zero_n_per_k=np.full(2, 0.002), u_gain_per_k=np.full(2, 1e-5), u_cross_talk=np.full(2, 2e-4),
        u_creep_share=np.full(2, 3e-4), u_tip_mass_kg=np.full(2, 3e-4),
        imu=ImuCalibration(accelerometer=TriaxialCalibration(u_bias=0.005, u_matrix=0.0)),
    )  # fmt: skip


def true_one(rng: np.random.Generator, record: ToolCalibration) -> ToolCalibration:
    """The tool that the record is of: each coefficient off by its uncertainty times a standard normal."""

    def off(name: str, u: str) -> Array:
        return np.asarray(getattr(record, name) + getattr(record, u) * rng.standard_normal(2))

    # One number for all of creep: half of it each for the three exponentials and for a slow one in no record.
    creep = np.hstack([record.creep_share, np.zeros((2, 1))])
    creep = creep + record.u_creep_share[:, None] / 2.0 * rng.standard_normal((2, 4))
    curve = 6.75 * record.u_curve_n / CURVE_RANGE_N**2 * rng.standard_normal(2)
    return replace(
        record,
        zero_counts=record.zero_counts + record.u_zero_n * rng.standard_normal(2) / record.gain_n_per_count,
        gain_n_per_count=record.gain_n_per_count * (1.0 + record.u_gain * rng.standard_normal(2)),
        quadratic_per_n=record.quadratic_per_n + curve,
        cubic_per_n2=record.cubic_per_n2 - curve / CURVE_RANGE_N,
        zero_n_per_k=off("zero_n_per_k", "u_zero_n_per_k"), gain_per_k=off("gain_per_k", "u_gain_per_k"),
        cross_talk=off("cross_talk", "u_cross_talk"), tip_mass_kg=off("tip_mass_kg", "u_tip_mass_kg"),
        creep_share=creep,
        creep_s=np.hstack([record.creep_s, np.full((2, 1), SLOW_CREEP_S)]),
    )  # fmt: skip


def tilted(rng: np.random.Generator, axis: Array, most_deg: float, down: bool = False) -> Array:
    """(3,) direction of up in the IMU frame with ``axis`` up to ``most_deg`` from the vertical, evenly by angle."""
    side = np.cross(axis, rng.standard_normal(3))
    angle = math.radians(most_deg * rng.random())
    up = math.cos(angle) * axis + math.sin(angle) * side / np.linalg.norm(side)
    return np.asarray(-up if down else up)


class Scale:
    """Puts weights on one tip of a true tool, and reads it. Creep goes on from one to the next."""

    def __init__(self, truth: ToolCalibration, tip: int, rng: np.random.Generator, gravity: Gravity = GRAVITY) -> None:
        self._truth, self.tip, self._rng = truth, tip, rng
        self._gravity = gravity.m_s2 + gravity.u_m_s2 * rng.standard_normal()
        u = truth.imu.accelerometer.u_bias
        self._accel_bias = u * rng.standard_normal(3)
        self._mass_off: dict[float, float] = {}
        self._lag = np.full((2, 4), np.nan)
        self._t_s = 0.0

    def read(
        self,
        mass_kg: float,
        up: Array,
        celsius: float = 22.0,
        held_s: float = 20.0,
        u_mass: float = U_MASS,
        **changed: Any,
    ) -> WeightReading:
        """The weight is put on, and read ``held_s`` seconds later. ``changed`` fields of the reading."""
        if mass_kg not in self._mass_off:
            self._mass_off[mass_kg] = mass_kg * u_mass * self._rng.standard_normal()
        weight_kg = mass_kg + self._mass_off[mass_kg]
        contact = weight_kg * self._gravity * float(self._truth.axis[self.tip] @ up)
        self._t_s += held_s
        counts = self.counts(contact, up, celsius, held_s)
        noise = NOISE_N / self._truth.gain_n_per_count
        counts = counts + U_REPEAT_N / self._truth.gain_n_per_count * self._rng.standard_normal(2)
        reading = WeightReading(
            mass_kg, counts + noise * self._rng.standard_normal(2) / math.sqrt(SAMPLES), np.abs(noise), SAMPLES,
            self._gravity * up + self._accel_bias, celsius, mass_kg * u_mass, self._t_s, held_s,
        )  # fmt: skip
        return reading._replace(**changed)

    def counts(self, contact_n: float, up: Array, celsius: float, held_s: float) -> Array:
        """(2,) without noise, ``held_s`` after the tip took on ``contact_n``."""
        truth = self._truth
        own = truth.tip_mass_kg * self._gravity * (truth.axis @ up)
        load = own + contact_n * (np.arange(2) == self.tip)
        if np.isnan(self._lag).any():
            self._lag = np.repeat(own[:, None], 4, axis=1)
        keep = np.exp(-held_s / truth.creep_s)
        self._lag = keep * self._lag + (1.0 - keep) * load[:, None]
        crept = load + (truth.creep_share * self._lag).sum(axis=1)
        felt = crept + truth.cross_talk * crept[::-1]
        warmth = celsius - truth.temperature_c
        counts = np.empty(2)
        for tip in range(2):
            roots = np.roots([truth.cubic_per_n2[tip], truth.quadratic_per_n[tip], 1.0, -felt[tip]])
            x = float(roots[np.abs(roots - felt[tip]).argmin()].real)
            measured = x * (1.0 + truth.gain_per_k[tip] * warmth) + truth.zero_n_per_k[tip] * warmth
            counts[tip] = measured / truth.gain_n_per_count[tip] + truth.zero_counts[tip]
        return counts


def five_weights(scale: Scale, rng: np.random.Generator, axis: Array, most_deg: float = 30.0) -> list[WeightReading]:
    """Zero, five weights, zero again, each at an angle of its own."""
    return [scale.read(mass, tilted(rng, axis, most_deg)) for mass in (0.0, *KILOGRAMS, 0.0)]
