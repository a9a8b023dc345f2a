"""The truth without a person: the tool on a table under weights, laid on its sides, or turned about in a hand.

Stands in a body's place: force and motion at any time since START. Everything is a function of (script, seed, time):
an attitude is a chain of turns, each about an axis of its own with the smoothest of starts and stops (minimum jerk), a
position the same in metres, a weight a mass that comes on and goes off. Rates and accelerations are true derivatives.
Knows no tissue, no sensor, no message and no clock.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import BLOCK_S, GRAVITY, TIP_AXES, TREMOR_BAND_HZ, TREMOR_M_PER_S2, Array, Motion, Ripple
from nexus_simulator.scripts import RigScript

# ---- on a table -------------------------------------------------------------------------------------------------
LAID_DEG, PROPPED_DEG = 1.0, 2.0
"""Standard deviation, about each axis, of how far from straight up a side is on which the tool is laid, and a tip that
is propped up for weights [assumption]."""
FIRST_S = 6.0
"""Unloaded, before anything happens."""
ON_S, OFF_S = 8.0, 5.0
"""How long a weight stands, and how long the tip is free before the next."""
PLACING_S = 0.6
"""A weight is set down, or lifted off, in this time [assumption]."""
KNOCK_M_PER_S2, KNOCK_HZ = 0.4, 7.0
"""Setting a weight down shakes the table a little [assumption]."""
FACE_S, LAYING_S = 6.0, 1.8
"""How long the tool lies on a side, and how long turning it to the next takes."""
LIFT_M = 0.05
"""So high it is lifted for that."""

# ---- in a hand [assumption: ordinary handling, no sport] --------------------------------------------------------
_ARM_DEG, _ARM_PEAK = (40.0, 150.0), (60.0, 230.0)
"""Turns by the arm: angle, and highest speed in degrees a second."""
_WRIST_DEG, _WRIST_PEAK = (10.0, 45.0), (20.0, 80.0)
_REACH_M, _REACHING_S = 0.25, (0.6, 1.3)
"""Within this distance of where it began, from one place to the next in so many seconds."""
_MOVES_TO_REST = 4
_REST_S = (2.5, 4.0)
_PAUSE_S = (0.05, 0.6)
_PEAK_TO_MEAN = 1.875
"""Highest to mean speed of a movement of minimum jerk."""


Movement = tuple[float, float, Array]
"""Start and duration, seconds, and what moves: see `Chain`."""


class Rig:
    """One tool in one script, from START on."""

    def __init__(self, script: RigScript, seed: int) -> None:
        rng = np.random.default_rng((seed, 7))
        self._tip = int(script.tip)
        self._known_s = 0.0
        if script.faces:
            ups = _placed(np.array(script.faces), LAID_DEG, rng)
        else:
            ups = _placed(TIP_AXES[self._tip : self._tip + 1], PROPPED_DEG, rng)
        self._first = _matrices(_turn(np.array([0.0, 0.0, 1.0]), ups[0])[None])[0]
        if script.turning_s:
            self._arm, self._wrist, self._place = _handled(script.turning_s, rng)
        else:
            self._arm, self._wrist, self._place = _laid(ups)
        tremor = TREMOR_M_PER_S2 if script.turning_s else 0.0
        self._tremor = [Ripple(rng, TREMOR_BAND_HZ, tremor) for _ in range(3)]
        kg = np.array(script.weights_kg)
        on = FIRST_S + (ON_S + OFF_S) * np.arange(len(kg))
        self._placing = np.column_stack([on, on + ON_S - PLACING_S]).ravel()
        self._knock_phase = rng.uniform(0.0, 2.0 * math.pi, (2, len(self._placing)))
        steps = np.column_stack([kg, -kg]).ravel()
        self._load = _chain(
            [(start, PLACING_S, np.array([step, 0.0, 0.0])) for start, step in zip(self._placing, steps, strict=True)]
        )

    @property
    def known_s(self) -> float:
        """Time up to which it has gone on, seconds since START."""
        return self._known_s

    @property
    def tip(self) -> int:
        """Column of the tip the script uses."""
        return self._tip

    def advance(self, until_s: float) -> None:
        """Go on in whole blocks until at least ``until_s``."""
        self._known_s = max(self._known_s, math.ceil(until_s / BLOCK_S - 1e-9) * BLOCK_S)

    def force(self, t: Array) -> Array:
        """(n, 2) contact force in newtons at times t (n,), seconds since START: a weight pulls along gravity.

        On its tip a mass m presses with m (axis . f), f being the specific force. NaN outside what is known.
        """
        kg = self._load.moved(t)[0][:, 0]
        force = np.zeros((len(t), 2))
        force[:, self._tip] = np.maximum(kg, 0.0) * (self.motion(t).specific_force @ TIP_AXES[self._tip])
        force[self._unknown(t)] = np.nan
        return force

    def motion(self, t: Array) -> Motion:
        """Attitude, angular rate and specific force at times t (n,), seconds since START; NaN where not known."""
        arm, arm_rate = self._arm.turned(t)
        wrist, wrist_rate = self._wrist.turned(t)
        to_earth = self._first @ arm @ wrist
        rate = np.einsum("nji,nj->ni", wrist, arm_rate) + wrist_rate
        acceleration = self._place.moved(t)[1] + np.column_stack([ripple.at(t) for ripple in self._tremor])
        acceleration[:, :2] += self._knocked(t)
        acceleration[:, 2] += GRAVITY
        up, felt = to_earth[:, 2, :].copy(), np.einsum("nji,nj->ni", to_earth, acceleration)
        for values in (up, rate, felt):
            values[self._unknown(t)] = np.nan
        return Motion(up, rate, felt)

    def _unknown(self, t: Array) -> npt.NDArray[np.bool_]:
        return np.asarray((t < 0.0) | (t > self._known_s + 1e-9))

    def _knocked(self, t: Array) -> Array:
        """(n, 2) sideways shaking of the table while a weight is being placed, m/s^2."""
        share = (t[:, None] - self._placing) / PLACING_S
        swell = np.where((share > 0.0) & (share < 1.0), np.sin(np.pi * np.clip(share, 0.0, 1.0)) ** 2, 0.0)
        wave = np.sin(2.0 * math.pi * KNOCK_HZ * t[:, None] + self._knock_phase[:, None, :])
        return KNOCK_M_PER_S2 * np.asarray((swell * wave).sum(axis=2).T)


class Chain:
    """Movements one after another: from start_s (k,), ascending, for duration_s (k,), by step (k, 3).

    A step is a rotation vector in the tool's own frame, radians, for `turned`; any vector for `moved`.
    """

    def __init__(self, start_s: Array, duration_s: Array, step: Array) -> None:
        self._start = np.concatenate([[-1.0], start_s])
        self._duration = np.concatenate([[1.0], duration_s])
        self._step = np.concatenate([np.zeros((1, 3)), step])
        self._before = np.cumsum(self._step, axis=0) - self._step
        turns = _matrices(self._step)
        attitudes = [np.eye(3)]
        for turn in turns[:-1]:
            attitudes.append(attitudes[-1] @ turn)
        self._attitude = np.array(attitudes)

    def turned(self, t: Array) -> tuple[Array, Array]:
        """Attitude (n, 3, 3), tool to where it began, and rate (n, 3), rad/s in the tool's frame."""
        index, share, speed, _ = self._at(t)
        step = self._step[index]
        return self._attitude[index] @ _matrices(share * step), speed * step

    def moved(self, t: Array) -> tuple[Array, Array]:
        """Sum of the steps (n, 3), and its second derivative."""
        index, share, _, bend = self._at(t)
        step = self._step[index]
        return self._before[index] + share * step, bend * step

    def _at(self, t: Array) -> tuple[Array, Array, Array, Array]:
        """Index (n,) of the movement, how much of it is done, and that share's two derivatives, (n, 1) each."""
        index = np.maximum(np.searchsorted(self._start, t, side="right") - 1, 0)
        duration = self._duration[index]
        u = np.clip((t - self._start[index]) / duration, 0.0, 1.0)
        share = u * u * u * (10.0 + u * (6.0 * u - 15.0))
        speed = 30.0 * (u * (1.0 - u)) ** 2 / duration
        bend = 60.0 * u * (1.0 - u) * (1.0 - 2.0 * u) / duration**2
        return index, share[:, None], speed[:, None], bend[:, None]


def _laid(ups: Array) -> tuple[Chain, Chain, Chain]:
    """From one side to the next, no wrist, and lifted a little for it."""
    arm: list[Movement] = []
    place: list[Movement] = []
    for number, (before, after) in enumerate(pairwise(ups)):
        now = FACE_S + (FACE_S + LAYING_S) * number
        arm.append((now, LAYING_S, _turn(before, after)))
        place.append((now, LAYING_S / 2.0, np.array([0.0, 0.0, LIFT_M])))
        place.append((now + LAYING_S / 2.0, LAYING_S / 2.0, np.array([0.0, 0.0, -LIFT_M])))
    return _chain(arm), _chain([]), _chain(place)


def _handled(seconds: float, rng: np.random.Generator) -> tuple[Chain, Chain, Chain]:
    """Turns of the arm, turns of the wrist and ways from place to place, with rests that all three keep."""
    rests: list[tuple[float, float]] = []
    arm: list[Movement] = []
    now = float(rng.uniform(*_REST_S))
    while now < seconds:
        for number in range(_MOVES_TO_REST):
            # Around each of the tool's own axes in turn, and somewhat around the others.
            axis = np.roll([1.0, 0.0, 0.0], number % 3) * rng.choice((-1.0, 1.0)) + 0.5 * rng.standard_normal(3)
            duration, step = _swing(axis, _ARM_DEG, _ARM_PEAK, rng)
            arm.append((now, duration, step))
            now += duration + float(rng.uniform(*_PAUSE_S))
        rests.append((now, now + float(rng.uniform(*_REST_S))))
        now = rests[-1][1]
    wrist: list[Movement] = []
    place: list[Movement] = []
    at = np.zeros(3)
    begin = arm[0][0]
    for rest, resumed in rests:
        now = begin
        while True:
            duration, step = _swing(rng.standard_normal(3), _WRIST_DEG, _WRIST_PEAK, rng)
            if now + duration > rest:
                break
            wrist.append((now, duration, step))
            now += duration + float(rng.uniform(*_PAUSE_S))
        now = begin
        while now + (duration := float(rng.uniform(*_REACHING_S))) < rest:
            target = _REACH_M * rng.uniform(-1.0, 1.0, 3)
            place.append((now, duration, target - at))
            at, now = target, now + duration + float(rng.uniform(*_PAUSE_S))
        begin = resumed
    return _chain(arm), _chain(wrist), _chain(place)


def _chain(moves: list[Movement]) -> Chain:
    return Chain(
        np.array([start for start, _, _ in moves]),
        np.array([duration for _, duration, _ in moves]),
        np.array([step for _, _, step in moves]).reshape(-1, 3),
    )


def _swing(
    axis: Array, angle_deg: tuple[float, float], peak_deg: tuple[float, float], rng: np.random.Generator
) -> tuple[float, Array]:
    """Duration, seconds, and rotation vector of a turn about that axis: some angle at some highest speed."""
    angle = float(rng.uniform(*angle_deg))
    duration = _PEAK_TO_MEAN * angle / float(rng.uniform(*peak_deg))
    return duration, math.radians(angle) * axis / float(np.linalg.norm(axis))


def _placed(up: Array, spread_deg: float, rng: np.random.Generator) -> Array:
    """Directions (k, 3) unit, each some way off, as a hand lays a tool down."""
    off = np.cross(up, math.radians(spread_deg) * rng.standard_normal(up.shape)) + up
    return np.asarray(off / np.linalg.norm(off, axis=1, keepdims=True))


def _turn(up: Array, next_up: Array) -> Array:
    """(3,) rotation vector in the tool's frame after which ``next_up`` is up where ``up`` was; not its opposite."""
    axis = np.cross(next_up, up)
    sine, cosine = float(np.linalg.norm(axis)), float(up @ next_up)
    return np.asarray(axis * (math.atan2(sine, cosine) / sine if sine > 1e-12 else 0.0))


def _matrices(rotation: Array) -> Array:
    """(n, 3, 3) of rotation vectors (n, 3), Rodrigues."""
    angle = np.linalg.norm(rotation, axis=1)[:, None, None]
    x, y, z = rotation.T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    half = np.sinc(angle / (2.0 * np.pi))
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * half * half * (cross @ cross))
