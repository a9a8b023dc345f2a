"""What happens to a tool in use, drawn at random: where it points, what presses on it, how warm it is.

Every use begins with the tool lying still and unloaded for `STILL_S`, at the end of which the zero is taken. Ranges
are those of the claim (2 to 110 N, 5 to 40 degC, 0 to 80 deg); how people move within them is our assumption.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.evaluation.motion import (
    Array,
    accelerations,
    leaning,
    path,
    pointing,
    product,
    rates,
    seen,
    turned_by,
    up_seen,
)  # fmt: skip

STILL_S: Final = 8.0
REACH_M: Final = 0.2
TEMPERATURES_C: Final = (5.0, 40.0)
STEEPEST_DEG: Final = 80.0
FORCES_N: Final = (2.0, 110.0)
HOLD_N: Final = 60.0
HOLD_S: Final = 90.0
SWEEP_STOP_S: Final = 1.5
SWEEP_TURN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Use:
    """One use, ``n`` samples at the IMU's rate: the truth. Columns of two are psoas, iliacus."""

    t_s: Array
    """(n,) from 0."""
    specific_force: Array
    """(n, 3) m/s2, IMU frame."""
    rate_rad_s: Array
    """(n, 3)"""
    up: Array
    """(n, 3)"""
    contact_n: Array
    """(n, 2)"""
    temperature_c: Array
    """(n,)"""
    tip: int
    """Which is pressed."""
    loaded_s: float = 0.0
    """When the tool was in place and the first load came."""
    unloaded_s: float = float("nan")
    """When the load of the pressed tip was gone, after a hold."""


class Drawer:
    """Draws uses of one tool at one place."""

    def __init__(self, rng: np.random.Generator, tip_axes: Array, rate_hz: float, gravity_m_s2: float) -> None:
        self._rng, self._axes, self._rate_hz, self._gravity = rng, tip_axes, rate_hz, gravity_m_s2

    def ordinary(self) -> Use:
        """Zero at one angle, then turned to another; two levels held, unloaded, a third; the other tip touched."""
        rng = self._rng
        tip = int(rng.integers(2))
        start = STILL_S + 3.0
        first, second, third = self._force(), self._force(), self._force()
        knots = [(0.0, 0.0), (start, 0.0)]
        for force, held_s in ((first, rng.uniform(8, 25)), (second, rng.uniform(8, 25)), (0.0, 5.0), (third, 5.0)):
            ramp_s = abs(force - knots[-1][1]) / rng.uniform(10.0, 80.0) + 0.2
            knots.append((knots[-1][0] + ramp_s, force))
            knots.append((knots[-1][0] + held_s, force))
        unloaded_s = knots[6][0]
        t_s = self._times(knots[-1][0])
        pressed = np.interp(t_s, *np.array(knots).T)
        pressed *= 1.0 + rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(0.15, 0.35) * t_s)  # breathing
        other = self._touched(t_s, start, knots[5][0])
        contact = np.column_stack([pressed, other] if tip == 0 else [other, pressed])
        lain, held = self._leaning(tip), self._leaning(tip)
        quaternions = path(t_s, [(0.0, lain), (STILL_S, lain), (start, held), (t_s[-1] + 1.0, held)])
        quaternions = self._rocked(t_s, quaternions, start)
        moved = accelerations(t_s, [(STILL_S, np.zeros(3)), (start, self._away())])
        contact = np.minimum(contact, FORCES_N[1])
        use = self._use(t_s, quaternions, contact, tip, self._climate(t_s), moved)
        return replace(use, loaded_s=start, unloaded_s=unloaded_s)

    def long_hold(self) -> Use:
        """90 s at 60 N on one tip, still, at one temperature, then gone at once."""
        tip = int(self._rng.integers(2))
        start = STILL_S + 1.0
        gone = start + 2.0 + HOLD_S
        knots = [(0.0, 0.0), (start, 0.0), (start + 2.0, HOLD_N), (gone, HOLD_N), (gone + 0.3, 0.0), (gone + 4.0, 0.0)]
        t_s = self._times(knots[-1][0])
        contact = np.zeros((len(t_s), 2))
        contact[:, tip] = np.interp(t_s, *np.array(knots).T)
        lain = self._leaning(tip)
        quaternions = np.tile(lain, (len(t_s), 1))
        warmth = np.full(len(t_s), self._rng.uniform(*TEMPERATURES_C))
        use = self._use(t_s, quaternions, contact, tip, warmth)
        return replace(use, loaded_s=start, unloaded_s=gone + 0.3)

    def sweep(self) -> Use:
        """Nothing on it: turned from the pose of its zero through all faces and corners of a cube, in random order."""
        rng = self._rng
        cube = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
        ups = rng.permutation(cube[np.isin(np.abs(cube).sum(axis=1), (1, 3))])
        lain = self._leaning(int(rng.integers(2)))
        keys, at = [(0.0, lain), (STILL_S, lain)], STILL_S
        places = [(0.0, np.zeros(3)), (STILL_S, np.zeros(3))]
        for up in ups:
            pose, place = pointing(up, rng.uniform(-np.pi, np.pi)), self._away()
            for seconds in (SWEEP_TURN_S, SWEEP_STOP_S):
                at += seconds
                keys.append((at, pose))
                places.append((at, place))
        t_s = self._times(at)
        warmth = np.full(len(t_s), rng.uniform(*TEMPERATURES_C))
        moved = accelerations(t_s, places)
        return self._use(t_s, path(t_s, keys), np.zeros((len(t_s), 2)), 0, warmth, moved)

    def still(self) -> Use:
        """Put down in any pose whatever and left alone."""
        rng = self._rng
        t_s = self._times(STILL_S + 4.0)
        lain = pointing(rng.standard_normal(3), rng.uniform(-np.pi, np.pi))
        warmth = np.full(len(t_s), rng.uniform(*TEMPERATURES_C))
        return self._use(t_s, np.tile(lain, (len(t_s), 1)), np.zeros((len(t_s), 2)), 0, warmth)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _times(self, seconds: float) -> Array:
        return np.arange(int(seconds * self._rate_hz)) / self._rate_hz

    def _force(self) -> float:
        """Half of them even over the range, half over its logarithm: light loads matter too."""
        low, high = FORCES_N
        if self._rng.random() < 0.5:
            return float(self._rng.uniform(low, high))
        return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))

    def _touched(self, t_s: Array, begin_s: float, end_s: float) -> Array:
        """A light load on the other tip for a while, or none."""
        rng = self._rng
        if rng.random() < 0.4:
            return np.zeros(len(t_s))
        from_s, until_s = np.sort(rng.uniform(begin_s, end_s, 2))
        force = rng.uniform(1.0, 10.0)
        return np.interp(t_s, [from_s, from_s + 1.0, until_s + 1.0, until_s + 1.5], [0.0, force, force, 0.0])

    def _leaning(self, tip: int) -> Array:
        rng = self._rng
        angle = np.radians(rng.uniform(0.0, STEEPEST_DEG))
        up = leaning(self._axes[tip], angle, rng.uniform(-np.pi, np.pi))
        return pointing(up, rng.uniform(-np.pi, np.pi))

    def _away(self) -> Array:
        """(3,) where a hand puts it, metres."""
        return self._rng.normal(0.0, REACH_M, 3)

    def _rocked(self, t_s: Array, quaternions: Array, begin_s: float) -> Array:
        """With the rocking of breath, and the base turning slowly about the vertical, both from ``begin_s`` on."""
        rng = self._rng
        since = np.maximum(t_s - begin_s, 0.0)
        grown = 1.0 - np.exp(-since / 2.0)
        axis = rng.standard_normal(3)
        axis *= np.radians(rng.uniform(0.2, 3.0)) / np.linalg.norm(axis)
        rocking = (grown * np.sin(2 * np.pi * rng.uniform(0.15, 0.35) * since))[:, None] * axis
        turn = np.zeros((len(t_s), 3))
        turn[:, 2] = np.radians(rng.uniform(-30.0, 30.0)) * (1.0 - np.exp(-since / 15.0)) * grown
        return product(turned_by(turn), product(quaternions, turned_by(rocking)))

    def _climate(self, t_s: Array) -> Array:
        rng = self._rng
        warmth = rng.uniform(*TEMPERATURES_C) + rng.uniform(-3.0, 5.0) * (1.0 - np.exp(-t_s / 400.0))
        return np.clip(warmth, *TEMPERATURES_C)

    def _use(
        self, t_s: Array, quaternions: Array, contact: Array, tip: int, temperature_c: NDArray[np.float64],
        moved: Array | None = None,
    ) -> Use:  # fmt: skip
        """``moved``: (n, 3) acceleration in the earth's frame."""
        up = up_seen(quaternions)
        felt = self._gravity * up
        if moved is not None:
            felt = felt + seen(quaternions, moved)
        turning = rates(quaternions, self._rate_hz)
        return Use(t_s, felt, turning, up, contact, temperature_c, tip)
