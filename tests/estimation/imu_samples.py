"""Random simulated inertial units in random hands, for tests: truth is analytic, errors are those of real parts.

Spreads are those of `nexus_simulator`, drawn here on their own, so that a test of estimation needs no tool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import ImuCalibration, ImuScale, TriaxialCalibration
from nexuslink.estimation.poses import AccelerometerFit, Pose, calibrate_accelerometer

Array = NDArray[np.float64]

G = 9.80665
RATE_HZ = 250.0
SCALE = ImuScale(RATE_HZ, math.radians(0.0175), 0.122e-3 * G, math.radians(500.0), 4 * G)
REFERENCE_C = 25.0
FACES = np.array([(0, 0, 1), (0, 0, -1), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)], np.float64)
NARROW_DEG = 35.0
AXES = np.array([[0.0, 0.0, 1.0], [math.sin(math.radians(NARROW_DEG)), 0.0, math.cos(math.radians(NARROW_DEG))]])


class RandomUnit:
    """One inertial unit: what it really does, and what its factory's record says of it."""

    def __init__(self, seed: int, axes_known: bool = True) -> None:
        rng = np.random.default_rng((seed, 31))
        self.rng = rng
        self._gyro = _imperfect(rng)
        self._gyro_bias = math.radians(0.5) * rng.standard_normal(3)
        self._gyro_slope = math.radians(0.005) * rng.standard_normal(3)
        self.accel = _imperfect(rng)
        self.accel_bias = 0.005 * G * rng.standard_normal(3)
        self._accel_slope = 0.1e-3 * G * rng.standard_normal(3)
        matrix = np.linalg.inv(self.accel) + 5e-4 * rng.standard_normal((3, 3))
        slope = self._accel_slope + 0.02e-3 * G * rng.standard_normal(3)
        known = TriaxialCalibration(matrix, np.zeros(3), slope, 5e-4, 0.005 * G)
        self.record = known if axes_known else TriaxialCalibration()

    def counts(self, rate: Array, specific_force: Array, celsius: float) -> NDArray[np.int16]:
        """(n, 6) of rad/s and m/s2, (n, 3) each."""
        n, warmth = len(rate), celsius - REFERENCE_C
        band = math.sqrt(RATE_HZ / 2.0)
        wander = math.radians(0.002) / math.sqrt(RATE_HZ) * np.cumsum(self.rng.standard_normal((n, 3)), axis=0)
        gyro = rate @ self._gyro.T + self._gyro_bias + self._gyro_slope * warmth + wander
        gyro = gyro + math.radians(0.0038) * band * self.rng.standard_normal((n, 3))
        accel = specific_force @ self.accel.T + self.accel_bias + self._accel_slope * warmth
        accel = accel + 75e-6 * G * band * self.rng.standard_normal((n, 3))
        counts = np.rint(np.hstack([gyro / SCALE.gyro_rad_s, accel / SCALE.accel_m_s2]))
        return np.clip(counts, -32768, 32767).astype(np.int16)

    def pose(self, up: Array, celsius: float, n: int = 500, placement_deg: float = 0.0) -> Pose:
        """Still samples of the tool laid so that ``up`` is up, but for a random error of the hand."""
        really = up + math.radians(placement_deg) * self.rng.standard_normal(3)
        really = really / np.linalg.norm(really)
        raw = self.counts(np.zeros((n, 3)), np.tile(G * really, (n, 1)), celsius)
        return Pose(raw[:, 3:] * SCALE.accel_m_s2, celsius, up)

    def six_poses(self, celsius: float = 23.0) -> list[Pose]:
        """Each face up once, laid to one degree."""
        return [self.pose(face, celsius, placement_deg=1.0) for face in FACES]

    def fit(self) -> AccelerometerFit:
        """Six poses in a room of 18 to 28 degC."""
        poses = self.six_poses(self.rng.uniform(18.0, 28.0))
        return calibrate_accelerometer(poses, G, self.record, 1.0, REFERENCE_C)


@dataclass(frozen=True)
class Hold:
    """A tool in use: time (n,) s; up, rate rad/s and specific force m/s2 in the sensor frame (n, 3); turn (n,) rad."""

    t: Array
    up: Array
    rate: Array
    specific_force: Array
    turn: Array


def hold(seed: int, seconds: float = 60.0, rate_hz: float = RATE_HZ) -> Hold:
    """Some leans held after one another, with sway, tremor, rocking, and a base that turns until it has settled."""
    rng = np.random.default_rng((seed, 32))
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    marks = np.sort(rng.uniform(0.0, seconds, 4))
    leans = np.radians(rng.uniform(-25.0, 25.0, (5, 2)))
    sway = _waves(rng, 0.05, 0.4, math.radians(0.35), 2)
    tremor = _waves(rng, 8.0, 12.0, math.radians(0.015), 2)
    shake = _waves(rng, 8.0, 12.0, 0.03, 3)
    rocking, hertz = math.radians(rng.uniform(0.0, 6.0)), rng.uniform(0.2, 0.8)
    goal, settles = rng.uniform(0.3, 0.8) * rng.choice((-1.0, 1.0)), rng.uniform(4.0, 12.0)
    arm = np.array([0.0, 0.0, 0.05])

    def attitude(at: Array) -> tuple[Array, Array]:
        """Quaternions sensor to earth (n, 4), and turn."""
        lean = leans[0] + sum(
            _step((at - mark) / 2.0)[:, None] * (after - before)
            for mark, before, after in zip(marks, leans[:-1], leans[1:], strict=True)
        )
        lean = lean + sway(at) + tremor(at)
        lean[:, 0] += rocking * np.sin(2 * np.pi * hertz * at)
        turn = goal * (1.0 - np.exp(-np.maximum(at, 0.0) / settles))
        # Rz(turn) exp(v), v = (-q, p, 0)
        angle = np.hypot(lean[:, 0], lean[:, 1])
        sinc = 0.5 * np.sinc(angle / (2 * np.pi))
        w, x, y = np.cos(angle / 2), -lean[:, 1] * sinc, lean[:, 0] * sinc
        c, s = np.cos(turn / 2), np.sin(turn / 2)
        return np.stack([c * w, c * x - s * y, c * y + s * x, s * w], axis=1), turn

    h = 1e-3
    q, turn = attitude(t)
    ahead, behind = attitude(t + h)[0], attitude(t - h)[0]
    rate = 2.0 * product(conjugate(behind), ahead)[:, 1:] / (2 * h)
    place = [rotate(each, np.tile(arm, (len(t), 1))) for each in (behind, q, ahead)]
    moving = (place[0] - 2 * place[1] + place[2]) / h**2
    force = rotate(conjugate(q), moving + np.array([0.0, 0.0, G])) + shake(t)
    return Hold(t, rotate(conjugate(q), np.tile([0.0, 0.0, 1.0], (len(t), 1))), rate, force, turn)


def calibration(unit: RandomUnit) -> ImuCalibration:
    """What six poses give."""
    fit = unit.fit()
    assert fit.accepted, fit.reason
    return ImuCalibration(accelerometer=fit.calibration)


def product(a: Array, b: Array) -> Array:
    """Quaternions, (n, 4) each."""
    aw, ax, ay, az = a.T
    bw, bx, by, bz = b.T
    return np.stack([
        aw * bw - ax * bx - ay * by - az * bz, aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx, aw * bz + ax * by - ay * bx + az * bw,
    ], axis=1)  # fmt: skip


def conjugate(q: Array) -> Array:
    """(n, 4)."""
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(q: Array, v: Array) -> Array:
    """Vectors (n, 3) by quaternions (n, 4)."""
    pure = np.hstack([np.zeros((len(v), 1)), v])
    return product(product(q, pure), conjugate(q))[:, 1:]


def _step(x: Array) -> Array:
    share = np.clip(x, 0.0, 1.0)
    return share**3 * (10.0 - 15.0 * share + 6.0 * share * share)


def _waves(rng: np.random.Generator, low: float, high: float, rms: float, columns: int):  # type: ignore[no-untyped-def]
    omega = 2 * np.pi * rng.uniform(low, high, (5, columns))
    phase = rng.uniform(0, 2 * np.pi, (5, columns))
    return lambda at: rms * math.sqrt(0.4) * np.sin(at[:, None, None] * omega + phase).sum(axis=1)


def _imperfect(rng: np.random.Generator) -> Array:
    errors = 0.003 * rng.standard_normal((3, 3))
    np.fill_diagonal(errors, 0.004 * rng.standard_normal(3))
    return np.eye(3) + errors
