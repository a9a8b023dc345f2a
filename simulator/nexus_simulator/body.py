"""The truth: a person on the tool, and what the tool's two tips and its base really do.

Tissue yields as a stiffening spring and relaxes as a standard linear solid with two branches; breathing moves it,
the person sways, trembles and steers toward what the script wants; the base leans with the person and turns about
the vertical until it has settled. Everything is a function of (script, seed, time since START). Nothing here knows
of counts, noise, clocks or messages.

Slow things (force, lean, turn) are integrated in fixed steps of STEP_S and interpolated; quick things (tremor, small
sway) are sums of sinusoids, exact at any time, so that angular rates are true derivatives and no sample rate is
built in. How time is cut into calls changes nothing, because it is always advanced in whole blocks.

Frames: see ``up``. Sensor frame right-handed, z out of the base toward the tips, x toward the mark. With the base's
lean given by the rotation vector v = (-q, p, 0) (p toward the mark, q toward 90 degrees counterclockwise) and its
turn by psi, the attitude is Rz(psi) exp(v).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nexus_simulator.scripts import Frame, Script

Array = npt.NDArray[np.float64]

GRAVITY = 9.80665
"""Standard gravity, m/s^2."""
STEP_S = 0.005
"""Integration step, seconds: the slowest stable part has 100 times this."""
BLOCK_STEPS = 60
"""Steps a block: 300 ms, long enough for the vectorised part to pay."""
BLOCK_S = STEP_S * BLOCK_STEPS
HISTORY_S = 300.0
"""How far back the truth can be asked for, seconds."""

ILIACUS_TILT_DEG = 35.0
"""The narrow tip leans this far toward the mark when the base is level [assumption]."""
_TILT = math.radians(ILIACUS_TILT_DEG)
TIP_AXES: Array = np.array([[0.0, 0.0, 1.0], [math.sin(_TILT), 0.0, math.cos(_TILT)]])
"""(2, 3) unit vectors out of the tips, sensor frame: psoas, iliacus."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """Tissue under one tip: instantaneous force ``linear*x + cubic*x^3`` at an indentation of x metres.

    No measured curve of the iliopsoas under a tip was found; stiffnesses are assumptions, chosen so that the middle
    of the band lies at 15 to 25 mm. Two relaxation times, of seconds and of tens of seconds, are a
    common reduction of soft tissue's continuous spectrum (discrete fits of it: PMC4707847); times and fractions are
    assumptions.
    """

    linear_n_per_m: float
    cubic_n_per_m3: float
    quick_fraction: float = 0.15
    quick_s: float = 1.5
    slow_fraction: float = 0.2
    slow_s: float = 25.0
    breath_m: float = 0.0006
    """Amplitude of the surface's movement in quiet breathing [assumption: about a tenth of the force]."""
    sway_m: float = 0.00015
    """Standard deviation of the depth by swaying [assumption]."""


TISSUES = (
    Tissue(linear_n_per_m=350.0, cubic_n_per_m3=1.6e6),
    Tissue(linear_n_per_m=450.0, cubic_n_per_m3=1.8e6, breath_m=0.0003, sway_m=0.0001),
)
"""Tissue under the psoas tip (broad, abdomen) and under the iliacus tip (narrow, against the bone)."""

EFFORT_STIFFENING = 0.3
"""A gentle contraction (about 20 % effort) stiffens the muscle under the tip by this share [assumption]."""
TREMOR_N = 0.02
TREMOR_SHARE = 0.003
"""Standard deviation of the tremor force: a constant part in newtons plus a share of the force. That it grows
linearly with force from a positive intercept is Sutton and Sykes 1967 (doi 10.1113/jphysiol.1967.sp008276), the
8 to 12 Hz band there and in Lakie et al. 2015 (doi 10.1113/JP270464); the size under a lying body is an assumption."""
TREMOR_BAND_HZ = (8.0, 12.0)
TREMOR_DEG = 0.015
TREMOR_M_PER_S2 = 0.03
SWAY_BAND_HZ = (0.05, 0.4)
SWAY_DEG = 0.35
"""Standard deviation of the lean by swaying, degrees [assumption]."""

WOBBLE_FROM_S, WOBBLE_GROWS_S = 4.0, 4.0
"""A script's wobble sets in with the load and reaches its amplitude smoothly."""

_REST_M = -0.008
"""Where the tip waits when the person is off: 8 mm clear of the skin."""
_LIFT_S = 0.3
"""How quickly the person gets off (time constant)."""
_PERCEPTION_S = 0.25
"""Lag of a person's sense of pressure [assumption]."""
_CORRECTION_PER_S = 0.5
"""How eagerly the person corrects the force [assumption]; slow enough to leave the breathing visible."""
_APPROACH_M_PER_S = 0.008
_SPEED_M_PER_S = 0.02
_LEAN_RAD_PER_S = 2.0
"""Bandwidth of the person's steering of the lean (critically damped)."""
_TURN_RAD_PER_S = 0.4
"""Bandwidth of the base's turning under load: about ten seconds until it has settled [assumption]."""

_TURNS_FROM_N = 1.0
"""The base turns only under at least this load."""

_COLUMNS = 8
_F0, _F1, _P, _DP, _Q, _DQ, _PSI, _DPSI = range(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Truth:
    """What really was at n moments; NaN where it is not known.

    t_us: (n,) int64 device time. force_n: (n, 2) contact force per tip, newtons, compression positive.
    tip_angle_deg: (n, 2) angle of each tip's axis from vertical. tip_direction_deg: (n, 2) where it leans, 0 toward
    the mark, 90 counterclockwise of it seen from above. up: (n, 3) unit vector up in the sensor frame.
    """

    t_us: npt.NDArray[np.int64]
    force_n: Array
    tip_angle_deg: Array
    tip_direction_deg: Array
    up: Array


@dataclass(frozen=True, slots=True)
class Motion:
    """What an ideal inertial unit in the base would feel at n moments.

    up: (n, 3) unit. rate: (n, 3) rad/s. specific_force: (n, 3) m/s^2. All in the sensor frame.
    """

    up: Array
    rate: Array
    specific_force: Array


class Ripple:
    """Band-limited random movement as a sum of sinusoids: exact and smooth at any time."""

    def __init__(self, rng: np.random.Generator, band_hz: tuple[float, float], rms: float, count: int = 5) -> None:
        low, high = band_hz
        edges = low + (high - low) * (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count
        self._omega = 2.0 * np.pi * edges
        self._phase = rng.uniform(0.0, 2.0 * np.pi, count)
        self._amplitude = rms * math.sqrt(2.0 / count)

    def at(self, t: Array) -> Array:
        """(n,) values at times t (n,), seconds."""
        return self._amplitude * np.asarray(np.sin(np.multiply.outer(t, self._omega) + self._phase).sum(axis=1))

    def slope(self, t: Array) -> Array:
        """(n,) first derivative at times t (n,), seconds."""
        waves = np.cos(np.multiply.outer(t, self._omega) + self._phase)
        return self._amplitude * np.asarray(waves @ self._omega)


class Wants:
    """The script's key frames as functions of time."""

    def __init__(self, frames: tuple[Frame, ...]) -> None:
        self._t = np.array([frame.t_s for frame in frames])
        self._columns = np.array(
            [(f.force_n, math.radians(f.lean_mark_deg), math.radians(f.lean_side_deg), f.contraction) for f in frames]
        ).T

    def at(self, t: Array) -> list[Array]:
        """Force in newtons, both leans in radians, contraction 0 to 1, each (n,)."""
        return [np.interp(t, self._t, column) for column in self._columns]


class Body:
    """One person on one tool, from START on."""

    def __init__(self, script: Script, seed: int) -> None:
        rng = np.random.default_rng((seed, 1))
        self._script = script
        self._tip = int(script.tip)
        self._tissue = TISSUES[script.tip]
        self._wants = Wants(script.frames)
        self._breath_hz = script.breaths_per_min / 60.0
        self._breath_phase = rng.uniform(0.0, 1.0)
        self._breath_depth = rng.uniform(0.85, 1.15)
        self._depth_sway = Ripple(rng, SWAY_BAND_HZ, self._tissue.sway_m)
        self._lean_sway = [Ripple(rng, SWAY_BAND_HZ, math.radians(SWAY_DEG)) for _ in range(2)]
        self._lean_tremor = [Ripple(rng, TREMOR_BAND_HZ, math.radians(TREMOR_DEG)) for _ in range(2)]
        self._force_tremor = Ripple(rng, TREMOR_BAND_HZ, 1.0)
        self._shake = [Ripple(rng, TREMOR_BAND_HZ, TREMOR_M_PER_S2) for _ in range(3)]
        self._wobble_rad = math.radians(script.wobble_deg)
        self._wobble_omega = 2.0 * math.pi * script.wobble_hz
        self._turn_to = rng.uniform(0.3, 0.8) * rng.choice((-1.0, 1.0))

        self._capacity = int(HISTORY_S / STEP_S) + 1
        self._rows: Array = np.full((self._capacity, _COLUMNS), np.nan)
        self._steps = 0
        self._depth = _REST_M
        self._elastic = 0.0
        self._branches = (0.0, 0.0)
        self._perceived = 0.0
        first = self._wants.at(np.zeros(1))
        self._rows[0] = (0.0, 0.0, first[1][0], 0.0, first[2][0], 0.0, 0.0, 0.0)

    @property
    def known_s(self) -> float:
        """Time up to which the body is integrated, seconds since START."""
        return self._steps * STEP_S

    @property
    def tip(self) -> int:
        """Column of the tip the script uses."""
        return self._tip

    def advance(self, until_s: float) -> None:
        """Integrate whole blocks until at least ``until_s``."""
        while self.known_s < until_s:
            self._block()

    def force(self, t: Array) -> Array:
        """(n, 2) contact force in newtons at times t (n,), seconds since START; NaN outside what is known."""
        rows, after, s = self._bracket(t)
        force = (1.0 - s)[:, None] * rows[:, _F0 : _F1 + 1] + s[:, None] * after[:, _F0 : _F1 + 1]
        tremor = self._force_tremor.at(t)[:, None]
        return np.where(force > 0.0, np.maximum(force + (TREMOR_N + TREMOR_SHARE * force) * tremor, 0.0), force)

    def motion(self, t: Array) -> Motion:
        """Attitude, angular rate and specific force at times t (n,), seconds since START."""
        rows, after, s = self._bracket(t)
        p, dp = _hermite(rows[:, _P : _DP + 1], after[:, _P : _DP + 1], s)
        q, dq = _hermite(rows[:, _Q : _DQ + 1], after[:, _Q : _DQ + 1], s)
        turn = (1.0 - s) * rows[:, _DPSI] + s * after[:, _DPSI]
        p = p + self._lean_sway[0].at(t) + self._lean_tremor[0].at(t)
        dp = dp + self._lean_sway[0].slope(t) + self._lean_tremor[0].slope(t)
        q = q + self._lean_sway[1].at(t) + self._lean_tremor[1].at(t)
        dq = dq + self._lean_sway[1].slope(t) + self._lean_tremor[1].slope(t)
        if self._wobble_rad:
            share = np.clip((t - WOBBLE_FROM_S) / WOBBLE_GROWS_S, 0.0, 1.0)
            loaded, growing = share * share * (3.0 - 2.0 * share), 6.0 * share * (1.0 - share) / WOBBLE_GROWS_S
            wave, slope = np.sin(self._wobble_omega * t), self._wobble_omega * np.cos(self._wobble_omega * t)
            p = p + self._wobble_rad * loaded * wave
            dp = dp + self._wobble_rad * (loaded * slope + growing * wave)
        up, rate = _attitude(p, dp, q, dq, turn)
        shake = np.column_stack([ripple.at(t) for ripple in self._shake])
        return Motion(up, rate, GRAVITY * up + shake)

    def _bracket(self, t: Array) -> tuple[Array, Array, Array]:
        """Rows before and after each time, and where between them it lies (0 to 1)."""
        position = t / STEP_S
        index = np.floor(position + 1e-9).astype(np.int64)
        known = (index >= max(0, self._steps - self._capacity + 1)) & (position <= self._steps + 1e-6)
        index = np.where(known, np.minimum(index, max(self._steps - 1, 0)), 0)
        share = np.where(known, position - index, np.nan)
        return self._rows[index % self._capacity], self._rows[(index + 1) % self._capacity], share

    def _breath(self, t: Array) -> Array:
        """Displacement of the tissue's surface by breathing, metres: two fifths in, three fifths out."""
        phase = np.mod(self._breath_phase + self._breath_hz * t, 1.0)
        turned = np.where(phase < 0.4, phase / 0.8, 0.5 + (phase - 0.4) / 1.2)
        return -self._tissue.breath_m * self._breath_depth * np.asarray(np.cos(2.0 * np.pi * turned))

    def _block(self) -> None:
        """Integrate BLOCK_STEPS steps: everything known beforehand vectorised, the rest plain floats in two loops."""
        t = STEP_S * np.arange(self._steps + 1, self._steps + 1 + BLOCK_STEPS, dtype=np.float64)
        want, lean_p, lean_q, effort = self._wants.at(t)
        force = self._press(want, 1.0 + EFFORT_STIFFENING * effort, self._breath(t) + self._depth_sway.at(t))
        block = np.zeros((BLOCK_STEPS, _COLUMNS))
        block[:, self._tip] = force
        block[:, _P:] = self._settle(lean_p.tolist(), lean_q.tolist(), force)
        where = (self._steps + 1 + np.arange(BLOCK_STEPS)) % self._capacity
        self._rows[where] = block
        self._steps += BLOCK_STEPS

    def _press(self, want: Array, stiffer: Array, surface: Array) -> list[float]:
        """Contact force, newtons: the person moves the tip, the tissue yields and relaxes.

        want: (n,) newtons. stiffer: (n,) factor of the tissue's stiffness. surface: (n,) its movement, metres.
        """
        # Effort stiffens the tissue, which alone raises the force: the person lets it, and moves only for the rest.
        slope = np.gradient(want, STEP_S) * stiffer
        want = want * stiffer
        tissue = self._tissue
        k1, k3 = tissue.linear_n_per_m, tissue.cubic_n_per_m3
        g_quick, g_slow = tissue.quick_fraction, tissue.slow_fraction
        g_rest = 1.0 - g_quick - g_slow
        keep_quick, keep_slow = math.exp(-STEP_S / tissue.quick_s), math.exp(-STEP_S / tissue.slow_s)
        sense = STEP_S / _PERCEPTION_S
        depth, elastic, perceived = self._depth, self._elastic, self._perceived
        quick, slow = self._branches
        forces: list[float] = []
        columns = (want.tolist(), slope.tolist(), stiffer.tolist(), surface.tolist())
        for wanted, wanted_slope, stiff, moved in zip(*columns, strict=True):
            if wanted <= 0.0:
                speed = (_REST_M - depth) / _LIFT_S
            elif elastic > 0.0:
                x = max(depth + moved, 0.0)
                speed = (wanted_slope + _CORRECTION_PER_S * (wanted - perceived)) / ((k1 + 3.0 * k3 * x * x) * stiff)
            else:
                speed = _APPROACH_M_PER_S
            depth += STEP_S * min(max(speed, -_SPEED_M_PER_S), _SPEED_M_PER_S)
            x = max(depth + moved, 0.0)
            before, elastic = elastic, (k1 * x + k3 * x * x * x) * stiff
            quick = keep_quick * quick + g_quick * (elastic - before)
            slow = keep_slow * slow + g_slow * (elastic - before)
            force = max(g_rest * elastic + quick + slow, 0.0) if elastic > 0.0 else 0.0
            perceived += sense * (force - perceived)
            forces.append(force)
        self._depth, self._elastic, self._perceived = depth, elastic, perceived
        self._branches = (quick, slow)
        return forces

    def _settle(self, lean_p: list[float], lean_q: list[float], force: list[float]) -> list[tuple[float, ...]]:
        """Rows of lean, turn and their slopes: the person steers the lean, the loaded base turns until it rests."""
        w_lean, w_turn = _LEAN_RAD_PER_S, _TURN_RAD_PER_S
        p, dp, q, dq, psi, dpsi = (float(value) for value in self._rows[self._steps % self._capacity, _P:])
        out: list[tuple[float, ...]] = []
        for to_p, to_q, load in zip(lean_p, lean_q, force, strict=True):
            dp += STEP_S * (w_lean * w_lean * (to_p - p) - 2.0 * w_lean * dp)
            p += STEP_S * dp
            dq += STEP_S * (w_lean * w_lean * (to_q - q) - 2.0 * w_lean * dq)
            q += STEP_S * dq
            goal = self._turn_to if load > _TURNS_FROM_N else psi
            dpsi += STEP_S * (w_turn * w_turn * (goal - psi) - 2.0 * w_turn * dpsi)
            psi += STEP_S * dpsi
            out.append((p, dp, q, dq, psi, dpsi))
        return out


def _hermite(before: Array, after: Array, s: Array) -> tuple[Array, Array]:
    """Value and slope between two rows of (value, slope), STEP_S apart, at the share s of the way."""
    h = STEP_S
    x0, v0, x1, v1 = before[:, 0], before[:, 1], after[:, 0], after[:, 1]
    gap = x1 - x0
    c = 3.0 * gap - h * (2.0 * v0 + v1)
    d = -2.0 * gap + h * (v0 + v1)
    return x0 + s * (h * v0 + s * (c + s * d)), v0 + s * (2.0 * c + 3.0 * s * d) / h


def _attitude(p: Array, dp: Array, q: Array, dq: Array, turn: Array) -> tuple[Array, Array]:
    """Up and angular rate in the sensor frame from lean (p, q), its slope, and the turn rate about the vertical.

    With v = (-q, p, 0) and a = |v|: up = exp(v)^T z, and the body rate of exp(v) is
    v' - (1 - cos a)/a^2 v x v' + (a - sin a)/a^3 v x (v x v').
    """
    a2 = p * p + q * q
    a = np.sqrt(a2)
    sinc = np.sinc(a / np.pi)
    half = 0.5 * np.sinc(a / (2.0 * np.pi)) ** 2
    third = np.where(a > 1e-3, (1.0 - sinc) / np.where(a > 1e-3, a2, 1.0), 1.0 / 6.0)
    up = np.column_stack([-sinc * p, -sinc * q, np.cos(a)])
    cross = p * dq - q * dp
    # v x v' has only a z part; v x (v x v') = (p * z, q * z, 0) for that z part.
    rate = np.column_stack([-dq + third * p * cross, dp + third * q * cross, -half * cross])
    return up, rate + turn[:, None] * up


def tip_angles(up: Array) -> tuple[Array, Array]:
    """Angle from vertical and direction of lean of both tips, degrees, each (n, 2), from up (n, 3)."""
    cosine = up @ TIP_AXES.T
    ahead = TIP_AXES[:, 0] - up[:, :1] * cosine
    aside = TIP_AXES[:, 1] * up[:, 2:3] - TIP_AXES[:, 2] * up[:, 1:2]
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), np.degrees(np.arctan2(aside, ahead))
