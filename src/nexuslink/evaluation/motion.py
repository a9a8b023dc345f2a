"""Where a tool points over time: attitudes, and what its inertial unit feels of them. Pure geometry.

Quaternions are (n, 4), w first, sensor to earth; earth z is up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def product(one: Array, other: Array) -> Array:
    """Hamilton product of (..., 4) and (..., 4)."""
    a, b, c, d = np.moveaxis(one, -1, 0)
    w, x, y, z = np.moveaxis(other, -1, 0)
    return np.stack([
        a * w - b * x - c * y - d * z, a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x, a * z + b * y - c * x + d * w,
    ], axis=-1)  # fmt: skip


def turned_by(vector: Array) -> Array:
    """Rotation vectors (..., 3), radians, as quaternions (..., 4)."""
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle / 2), vector * (np.sinc(angle / (2 * np.pi)) / 2)], axis=-1)


def rotation_vector(quaternion: Array) -> Array:
    """(n, 4) -> (n, 3), the shorter way round, radians."""
    quaternion = np.where(quaternion[:, :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[:, 1:], axis=1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, quaternion[:, :1])
    return np.asarray(quaternion[:, 1:] * np.divide(angle, sine, out=np.full_like(sine, 2.0), where=sine > 1e-12))


def pointing(up: Array, heading_rad: float = 0.0) -> Array:
    """(4,) the attitude in which the sensor sees up in this direction (3,), by the shortest way, then turned."""
    up = up / np.linalg.norm(up)
    if up[2] < -1.0 + 1e-12:
        shortest = np.array([0.0, 1.0, 0.0, 0.0])
    else:
        shortest = np.array([1.0 + up[2], up[1], -up[0], 0.0])  # from `up` to z
        shortest /= np.linalg.norm(shortest)
    return product(np.array([np.cos(heading_rad / 2), 0.0, 0.0, np.sin(heading_rad / 2)]), shortest)


def leaning(axis: Array, angle_rad: float, side_rad: float) -> Array:
    """(3,) where up is for the sensor when ``axis`` (3,) leans by an angle from vertical, to one side."""
    one = np.cross(axis, [0.0, 1.0, 0.0] if abs(axis[1]) < 0.9 else [1.0, 0.0, 0.0])
    one /= np.linalg.norm(one)
    side = np.cos(side_rad) * one + np.sin(side_rad) * np.cross(axis, one)
    return np.asarray(np.cos(angle_rad) * axis + np.sin(angle_rad) * side)


def path(t_s: Array, keys: Sequence[tuple[float, Array]]) -> Array:
    """(n, 4): through ``keys`` (second, attitude), softly from each to the next, still where two are alike."""
    at, attitudes = _columns(keys)
    after, share, _ = _between(t_s, at)
    soft = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
    step = product(attitudes[:-1] * [1.0, -1.0, -1.0, -1.0], attitudes[1:])
    return product(attitudes[after - 1], turned_by(soft[:, None] * rotation_vector(step)[after - 1]))


def accelerations(t_s: Array, keys: Sequence[tuple[float, Array]]) -> Array:
    """(n, 3): of a point that goes through ``keys`` (second, place) in the same way."""
    at, places = _columns(keys)
    after, share, length_s = _between(t_s, at)
    bend = share * (60.0 - 180.0 * share + 120.0 * share**2) / length_s**2
    return np.asarray(bend[:, None] * np.diff(places, axis=0)[after - 1])


def _columns(keys: Sequence[tuple[float, Array]]) -> tuple[Array, Array]:
    return np.array([at for at, _ in keys]), np.array([what for _, what in keys])


def _between(t_s: Array, at: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """(n,) which key comes next, how far it is to it, and how long the way takes."""
    after = np.clip(np.searchsorted(at, t_s, side="right"), 1, len(at) - 1)
    length_s = at[after] - at[after - 1]
    return after, np.clip((t_s - at[after - 1]) / length_s, 0.0, 1.0), length_s


def seen(quaternions: Array, vectors: Array) -> Array:
    """(n, 3) vectors of the earth's frame, as the sensor sees them."""
    w, v = quaternions[:, :1], -quaternions[:, 1:]
    twice = 2.0 * np.cross(v, vectors)
    return np.asarray(vectors + w * twice + np.cross(v, twice))


def rates(quaternions: Array, rate_hz: float) -> Array:
    """(n, 3) rad/s in the sensor frame: the turn from the sample before, as a gyroscope gives it."""
    step = product(quaternions[:-1] * [1.0, -1.0, -1.0, -1.0], quaternions[1:])
    return np.concatenate([np.zeros((1, 3)), rotation_vector(step) * rate_hz])


def up_seen(quaternions: Array) -> Array:
    """(n, 3) unit vectors: up in the sensor frame."""
    w, x, y, z = quaternions.T
    return np.column_stack([2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z])
