"""What one recording says about its gyroscope's scale and misalignment, without any truth: a batch fit.

The idea: a wrong turning rate tilts the attitude, tilted gravity is felt as acceleration, and acceleration that is not
there would carry the tool away within seconds. The tool stays within reach of a hand, and stands still at times.
So attitude, velocity, position and gyroscope bias of every quarter of a second (the key frames), and the errors of
both sensors for the whole recording, are estimated together by least squares:

    key frame to key frame   what both sensors measured in between, integrated once, with its derivatives
    every key frame          position near the middle of the room, velocity that of a hand
    key frames at rest       no velocity, no turning but the bias
    whole recording          an accelerometer's bias, scale and cross-axis errors are those of its class of part

The frame is the accelerometer's, so its own matrix is symmetric. Errors of attitude are rotations in the earth frame:
then every derivative is a running integral, and there is no loop but the one over the samples of an interval.
The key frames form a chain, are eliminated, and leave the information on the nine elements of the gyroscope's matrix,
to be added to that of other recordings of the same sensor. It must never know what is good enough.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vqf import VQF

from nexuslink.estimation.blocktridiagonal import solve_chain
from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

INTERVAL_S: Final = 0.25
ITERATIONS: Final = 4
AT_ONCE: Final = 32
SETTLED: Final = 5e-5
"""An iteration that moves the matrix by less than this was the last one."""

# What the model does not explain, as noise. White noise of the sensors is a tenth of it; the rest is what real parts
# do under motion (nonlinearity, shocks, timing): two recordings of one sensor agree within these.
ANGLE_WALK: Final = np.radians(0.03)
"""rad per root second."""
ANGLE_WALK_PER_RATE: Final = 5e-4
"""rad per root second and rad/s."""
VELOCITY_WALK: Final = 0.05
"""m/s per root second."""
VELOCITY_WALK_PER_ACCEL: Final = 5e-3
"""m/s per root second and m/s2 of swing."""
BIAS_WALK: Final = np.radians(0.002)
"""rad/s per root second."""
POSITION_M: Final = 0.3
VELOCITY_M_S: Final = 1.0
"""Standard deviation of a hand's place and speed; independent from second to second [assumption]."""
REST_M_S: Final = 0.01
REST_RAD_S: Final = np.radians(0.035)
ACCEL_BIAS_M_S2: Final = 0.1
ACCEL_MATRIX: Final = 0.005
GYRO_MATRIX: Final = 0.01
"""Standard deviations before the recording. That of the gyroscope only steadies the iteration: it is not counted."""
TILT_RAD: Final = 0.1
HEADING_RAD: Final = 1e-3
"""Of the first key frame. The heading is anybody's choice."""

# Columns of a key frame's state, and of what holds for the whole recording.
_PHI, _V, _P, _B = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)
_GYRO, _ACC_BIAS, _ACC = slice(0, 9), slice(9, 12), slice(12, 18)
_STATES, _SHARED = 12, 18
# Numbers of size one keep the system well conditioned.
_STATE_UNIT: Final = np.repeat([1e-3, 1e-2, 1e-1, 1e-4], 3)
_SHARED_UNIT: Final = np.repeat([1e-3, 1e-2, 1e-3], [9, 3, 6])
_SHARED_SD: Final = np.repeat([GYRO_MATRIX, ACCEL_BIAS_M_S2, ACCEL_MATRIX], [9, 3, 6])
_SYMMETRIC: Final = np.zeros((9, 6))
"""xx, yy, zz, xy, xz, yz to the nine elements, row by row."""
for _column, _elements in enumerate(((0,), (4,), (8,), (1, 3), (2, 6), (5, 7))):
    _SYMMETRIC[list(_elements), _column] = 1.0
_DIAGONAL: Final = np.arange(3)


class MatrixInformation(NamedTuple):
    """What is known of ``matrix - identity``, nine elements row by row, as information: it adds up."""

    information: Array
    """(9, 9): the inverse of the covariance."""
    vector: Array
    """(9,): information @ estimate."""
    misfit: float
    """Mean square of what is left unexplained between key frames, in units of the noise above; far below 1 if the
    recording is what it claims to be, infinite if no solution was found."""


class _Moves(NamedTuple):
    """From one key frame to the next, (K, ...), K intervals: what was measured, and its derivatives."""

    turned: Array
    """(K, 3, 3) attitude at the end of the interval."""
    velocity: Array
    position: Array
    """(K, 3) gained by specific force alone."""
    by_state: Array
    """(K, 12, 12)."""
    by_shared: Array
    """(K, 12, 18)."""


def matrix_information(gyro: Array, accel: Array, rate_hz: float, rest: Mask) -> MatrixInformation:
    """``gyro`` (n, 3) rad/s and ``accel`` (n, 3) m/s2, finite; ``rest`` (n,): where the tool stands still."""
    with np.errstate(all="ignore"):
        try:
            return _Fit(gyro, accel, rate_hz, rest).run()
        except np.linalg.LinAlgError:
            return MatrixInformation(np.zeros((9, 9)), np.zeros(9), float("inf"))


class _Fit:
    def __init__(self, gyro: Array, accel: Array, rate_hz: float, rest: Mask) -> None:
        self.step_s = 1.0 / rate_hz
        per_interval = max(2, round(INTERVAL_S * rate_hz))
        intervals = (len(gyro) - 1) // per_interval
        used = intervals * per_interval + 1
        samples = np.arange(intervals)[:, None] * per_interval + np.arange(per_interval + 1)
        self.length_s = per_interval * self.step_s
        self.gyro, self.accel = gyro[samples], accel[samples]  # (K, m + 1, 3), both ends included
        self.frame_at_rest = rest[:used:per_interval]
        self.interval_at_rest = rest[samples].all(axis=1)
        self.weight = self._weight()
        # The state: attitude, velocity, position, bias of each key frame, and what holds for the whole recording.
        quaternions = VQF(self.step_s).updateBatch(gyro, accel)["quat6D"]
        self.attitude = _rotation_matrices(quaternions[:used:per_interval])
        self.state = np.zeros((intervals + 1, _STATES))
        self.state[:, _B] = gyro[rest].mean(axis=0) if rest.any() else 0.0
        self.shared = np.zeros(_SHARED)

    def _weight(self) -> Array:
        """(K, 12, 12) information of each move: angle, velocity with position (of white acceleration), bias."""
        t = self.length_s
        rate = np.sqrt((self.gyro**2).sum(axis=2).mean(axis=1))
        swing = np.sqrt(((self.accel - self.accel.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1))
        angle = ANGLE_WALK**2 + (ANGLE_WALK_PER_RATE * rate) ** 2
        velocity = (VELOCITY_WALK**2 + (VELOCITY_WALK_PER_ACCEL * swing) ** 2)[:, None]
        weight = np.zeros((len(rate), _STATES, _STATES))
        d = _DIAGONAL
        weight[:, d, d] = 1 / (angle[:, None] * t)
        weight[:, 3 + d, 3 + d] = 4 / (velocity * t)
        weight[:, 6 + d, 6 + d] = 12 / (velocity * t**3)
        weight[:, 3 + d, 6 + d] = weight[:, 6 + d, 3 + d] = -6 / (velocity * t**2)
        weight[:, 9 + d, 9 + d] = 1 / (BIAS_WALK**2 * t)
        return weight

    def run(self) -> MatrixInformation:
        for _ in range(ITERATIONS):
            shared_before = self.shared
            moves = self._moves()
            unexplained = self._residual(moves)
            information, vector = self._improve(moves, unexplained)
            if np.abs(self.shared - shared_before)[_GYRO].max() < SETTLED:
                break
        left = unexplained[~self.interval_at_rest][:, :9]
        weight = self.weight[~self.interval_at_rest][:, :9, :9]
        misfit = float(np.einsum("ki,kij,kj->k", left, weight, left).mean()) / 9 if len(left) else 0.0
        if not (np.isfinite(misfit) and np.isfinite(information).all() and np.isfinite(vector).all()):
            raise np.linalg.LinAlgError
        return MatrixInformation(information, vector, misfit)

    def _moves(self) -> _Moves:
        """All moves, a few intervals at a time: what lies in the cache is done in half the time."""
        parts = [self._some_moves(slice(at, at + AT_ONCE)) for at in range(0, len(self.gyro), AT_ONCE)]
        return _Moves(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _some_moves(self, some: slice) -> _Moves:
        h = self.step_s
        matrix = np.eye(3) + self.shared[_GYRO].reshape(3, 3)
        accel_matrix = np.eye(3) + (_SYMMETRIC @ self.shared[_ACC]).reshape(3, 3)
        rate = self.gyro[some] - self.state[:-1, None, _B][some]
        felt = self.accel[some] - self.shared[_ACC_BIAS]
        true_rate = rate @ matrix.T
        small = _rotations((true_rate[:, 1:] + true_rate[:, :-1]) * (h / 2))
        attitude = np.empty((*rate.shape, 3))
        attitude[:, 0] = self.attitude[:-1][some]
        for sample in range(rate.shape[1] - 1):
            np.matmul(attitude[:, sample], small[:, sample], out=attitude[:, sample + 1])
        force = (attitude @ (felt @ accel_matrix.T)[..., None])[..., 0]  # in the earth frame
        lever = -_cross_matrix(force)  # velocity gained per angle of tilt
        turn = _integral(attitude, h)
        by_matrix = _integral(_by_element(attitude, rate), h)
        # One running integral for everything that becomes velocity, one more for position.
        into_velocity = np.concatenate(
            [force[..., None], lever, -lever @ (turn @ matrix), lever @ by_matrix, -attitude @ accel_matrix,
             _by_element(attitude, felt) @ _SYMMETRIC], axis=3,
        )  # fmt: skip
        velocity = _integral(into_velocity, h)
        position = (velocity.sum(axis=1) - velocity[:, -1] / 2) * h  # the first one is zero
        velocity = velocity[:, -1]
        by_state = np.tile(np.eye(_STATES), (len(rate), 1, 1))
        by_shared = np.zeros((len(rate), _STATES, _SHARED))
        by_state[:, _P, _V] = self.length_s * np.eye(3)
        by_state[:, _PHI, _B] = -turn[:, -1] @ matrix
        by_shared[:, _PHI, _GYRO] = by_matrix[:, -1]
        for rows, gained in ((_V, velocity), (_P, position)):
            by_state[:, rows, _PHI], by_state[:, rows, _B] = gained[:, :, 1:4], gained[:, :, 4:7]
            by_shared[:, rows] = gained[:, :, 7:]
        return _Moves(attitude[:, -1], velocity[:, :, 0], position[:, :, 0], by_state, by_shared)

    def _residual(self, moves: _Moves) -> Array:
        """(K, 12): each key frame less what the one before it and the move foretold."""
        t, state = self.length_s, self.state
        left = state[1:] - state[:-1]
        left[:, _PHI] = _rotation_vectors(self.attitude[1:] @ moves.turned.transpose(0, 2, 1))
        left[:, _V] -= moves.velocity
        left[:, _P] -= state[:-1, _V] * t + moves.position
        left[:, 5] += STANDARD_GRAVITY_M_S2 * t
        left[:, 8] += STANDARD_GRAVITY_M_S2 * t * t / 2
        return left

    def _improve(self, moves: _Moves, unexplained: Array) -> tuple[Array, Array]:
        """One Gauss-Newton step; the information on the gyroscope's matrix, and information @ estimate."""
        left = unexplained[..., None]
        before = moves.by_state * _STATE_UNIT
        shared = moves.by_shared * _SHARED_UNIT
        before_t = before.transpose(0, 2, 1) @ self.weight
        after_t = _STATE_UNIT[:, None] * self.weight
        shared_t = shared.transpose(0, 2, 1) @ self.weight
        frames = len(self.state)
        diagonal = np.zeros((frames, _STATES, _STATES))
        right = np.zeros((frames, _STATES, _SHARED + 1))  # by the shared ones, and the residual
        diagonal[:-1] += before_t @ before
        diagonal[1:] += after_t * _STATE_UNIT
        explained = np.concatenate([shared, left], axis=2)
        right[:-1] += before_t @ explained
        right[1:] -= after_t @ explained
        self._know_each_frame(diagonal, right)
        solution = solve_chain(diagonal, -before_t * _STATE_UNIT, right)
        by_shared, by_residual = solution[..., :_SHARED], solution[..., _SHARED:]
        # The chain is eliminated: what is left is a system of the shared ones alone.
        coupling = right[..., :_SHARED].reshape(-1, _SHARED).T
        information = (shared_t @ shared).sum(axis=0) - coupling @ by_shared.reshape(-1, _SHARED)
        gradient = (shared_t @ left).sum(axis=0)[:, 0] - coupling @ by_residual.ravel()
        now = self.shared / _SHARED_UNIT
        known = (_SHARED_UNIT / _SHARED_SD) ** 2
        step = np.linalg.solve(information + np.diag(known), gradient - known * now)
        vector = gradient + information @ now
        self.shared = self.shared + step * _SHARED_UNIT
        self._move(((by_residual - by_shared @ step[:, None])[..., 0]) * _STATE_UNIT)
        return _marginal(information + np.diag(np.where(np.arange(_SHARED) < 9, 0.0, known)), vector)

    def _know_each_frame(self, diagonal: Array, right: Array) -> None:
        """What is known of a key frame by itself: place, speed, rest, and where the first one looks."""
        t, still = self.length_s, self.frame_at_rest
        resting = np.append(self.interval_at_rest, False)
        mean_rate = np.append(self.gyro.mean(axis=1), self.gyro[-1:, -1], axis=0)
        everywhere = np.ones(len(still))
        for columns, off, information in (
            (_P, self.state[:, _P], everywhere * t / POSITION_M**2),
            (_V, self.state[:, _V], everywhere * t / VELOCITY_M_S**2 + still / REST_M_S**2),
            (_B, self.state[:, _B] - mean_rate, resting / REST_RAD_S**2),
        ):
            at, unit = np.arange(columns.start, columns.stop), _STATE_UNIT[columns.start]
            diagonal[:, at, at] += information[:, None] * unit**2
            right[:, at, _SHARED] -= information[:, None] * off * unit
        diagonal[0, _DIAGONAL, _DIAGONAL] += (_STATE_UNIT[0] / np.array([TILT_RAD, TILT_RAD, HEADING_RAD])) ** 2

    def _move(self, by: Array) -> None:
        self.attitude = _rotations(by[:, _PHI]) @ self.attitude
        by[:, _PHI] = 0.0  # the attitude is kept beside, never as an angle
        self.state = self.state + by


def _marginal(information: Array, vector: Array) -> tuple[Array, Array]:
    """That of the gyroscope's matrix, whatever the accelerometer is, in the matrix's own unit."""
    outer = information[_GYRO, 9:]
    gain = np.linalg.solve(information[9:, 9:], np.column_stack([outer.T, vector[9:]]))
    unit = _SHARED_UNIT[0]
    return (information[_GYRO, _GYRO] - outer @ gain[:, :9]) / unit**2, (vector[_GYRO] - outer @ gain[:, 9]) / unit


def _integral(values: Array, step_s: float) -> Array:
    """Running integral along the samples of each interval, by trapezoids; zero at the first."""
    total = np.zeros_like(values)
    np.cumsum((values[:, 1:] + values[:, :-1]) * (step_s / 2), axis=1, out=total[:, 1:])
    return total


def _by_element(attitude: Array, vector: Array) -> Array:
    """(..., 3, 9): derivative of ``attitude @ matrix @ vector`` by the matrix's elements, row by row."""
    return (attitude[..., :, :, None] * vector[..., None, None, :]).reshape(*vector.shape, 9)


def _cross_matrix(vectors: Array) -> Array:
    matrix = np.zeros((*vectors.shape, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2] = -z, y, -x
    matrix[..., 1, 0], matrix[..., 2, 0], matrix[..., 2, 1] = z, -y, x
    return matrix


def _rotations(vectors: Array) -> Array:
    """Rotation vectors (..., 3) to matrices (Rodrigues)."""
    angle = np.sqrt((vectors * vectors).sum(axis=-1))[..., None, None]
    cross = _cross_matrix(vectors)
    half = np.sinc(angle / (2 * np.pi))
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * cross + (half * half / 2) * (cross @ cross))


def _rotation_vectors(matrices: Array) -> Array:
    """Back again, for angles below a half turn."""
    m = matrices
    sine = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], axis=1) / 2
    size = np.sqrt((sine * sine).sum(axis=1))
    angle = np.arctan2(size, (np.trace(m, axis1=1, axis2=2) - 1) / 2)
    return np.asarray(sine * np.where(size > 1e-9, angle / np.maximum(size, 1e-9), 1.0)[:, None])


def _rotation_matrices(quaternions: Array) -> Array:
    w, x, y, z = quaternions.T
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=1).reshape(-1, 3, 3)
