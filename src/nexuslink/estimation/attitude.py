"""Gyroscope and accelerometer to the direction of up, then to each tip's angle and lean.

Frames. Sensor frame: right-handed, z out of the base toward the tips, x toward the mark on the base. ``up`` is the
vertical seen from there. The filter is VQF (Laidig and Seel, "VQF: Highly accurate IMU orientation estimation with
bias estimation and magnetic disturbance rejection", Information Fusion 91, 2023), fed in batches.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from vqf import VQF

from nexuslink.estimation.calibration import ImuScale

MAX_BRIDGED_S: Final = 1.0
"""A gap in the samples is bridged by a straight line, counted as at most this long [assumption]."""

# up = (2(xz - wy), 2(yz + wx), ww - xx - yy + zz) for a quaternion sensor -> earth, w first: linear in the sixteen
# products q_i q_j, so one broadcast product and one matrix give it. For a live batch that costs a third of column by
# column; for a replayed one it is the other way round.
_PRODUCTS_TO_UP: Final = np.zeros((4, 4, 3))
_PRODUCTS_TO_UP[1, 3, 0], _PRODUCTS_TO_UP[0, 2, 0] = 2, -2
_PRODUCTS_TO_UP[2, 3, 1], _PRODUCTS_TO_UP[0, 1, 1] = 2, 2
_PRODUCTS_TO_UP[range(4), range(4), 2] = 1, -1, -1, 1
_FLAT_PRODUCTS_TO_UP: Final = _PRODUCTS_TO_UP.reshape(16, 3)
SMALL: Final = 256
"""Up to here few numpy calls win, above it few products do (measured)."""
_DEGREES: Final = 180.0 / np.pi
_INSIDE: Final = 1.0 - 1e-14
"""Keeps a rounded cosine within -1 to 1, at the cost of 8e-6 degrees near the vertical: cheaper than clipping."""

Raw = NDArray[np.signedinteger] | NDArray[np.float64]
"""Counts: integers from the wire, floats where a gap was filled."""


def up_in_sensor(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction of up in the sensor frame, (n, 3), of unit quaternions sensor -> earth, (n, 4), w first."""
    if len(quaternions) <= SMALL:
        products = quaternions[:, :, None] * quaternions[:, None, :]
        return products.reshape(-1, 16) @ _FLAT_PRODUCTS_TO_UP
    w, x, y, z = quaternions.T
    up = np.empty((len(quaternions), 3))
    up[:, 0] = 2 * (x * z - w * y)
    up[:, 1] = 2 * (y * z + w * x)
    up[:, 2] = w * w - x * x - y * y + z * z
    return up


class TipGeometry:
    """Angles of both tips from the vertical."""

    def __init__(self, axis: NDArray[np.float64]) -> None:
        """``axis``: (2, 3) unit vectors out of the tips, sensor frame."""
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)  # a record's float32 is off by more than rounding
        # One product gives, per tip: cos(angle) = a.up, and the sideways part a_y up_z - a_z up_y.
        sideways = np.stack([np.zeros(2), -axis[:, 2], axis[:, 1]])
        self._columns = np.ascontiguousarray(np.hstack([axis.T * _INSIDE, sideways]))
        self._axis_x = axis[:, 0]

    def angles(self, up: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """``up`` (n, 3) -> cosine of the angle from vertical, that angle, and the lean's direction; each (n, 2).

        Angle in degrees, 0 to 180. Direction in degrees in the tool's level frame: 0 toward the mark, +90
        counterclockwise seen from above, -180 to 180.
        """
        both = up @ self._columns
        cosine = both[:, :2]
        both_deg = np.empty_like(both)
        np.arccos(cosine, out=both_deg[:, :2])
        np.arctan2(both[:, 2:], self._axis_x - up[:, :1] * cosine, out=both_deg[:, 2:])
        both_deg *= _DEGREES
        return cosine, both_deg[:, :2], both_deg[:, 2:]


class AttitudeTracker:
    """Batches of raw IMU counts to ``up``. Causal; batch boundaries do not change the result."""

    def __init__(self, scale: ImuScale) -> None:
        self._scale = scale
        self._period_us = 1e6 / scale.rate_hz
        self._filter = VQF(1.0 / scale.rate_hz)
        self._last_us: int | None = None
        self._last_raw: Raw | None = None

    def update(self, t_us: NDArray[np.int64], raw: Raw) -> NDArray[np.float64]:
        """``t_us`` (n,), ``raw`` (n, 6) counts, gyro then accelerometer -> ``up`` (n, 3)."""
        positions: NDArray[np.int64] | None = None
        if (
            self._last_us is not None and self._last_raw is not None
            and (int(t_us[-1]) - self._last_us) / self._period_us - len(t_us) > 0.5
        ):  # fmt: skip
            raw, positions = self._bridged(self._last_us, self._last_raw, t_us, raw)
        self._last_us, self._last_raw = int(t_us[-1]), raw[-1]
        gyro = raw[:, :3].astype(np.float64)  # first the type, then the scale: a mixed product costs twice as much
        gyro *= self._scale.gyro_rad_s
        accel = raw[:, 3:6].astype(np.float64)
        accel *= self._scale.accel_m_s2
        up = up_in_sensor(self._filter.updateBatch(gyro, accel)["quat6D"])
        return up if positions is None else up[positions]

    def _bridged(
        self, last_us: int, last_raw: Raw, t_us: NDArray[np.int64],
        raw: Raw,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # fmt: skip
        """Rows filled in on straight lines, so that the filter's constant rate holds; where the real rows went.

        Not repeated rows: an accelerometer that stands still while the gyroscope turns would pull the angle away.
        """
        steps = np.rint(np.diff(np.concatenate([[last_us], t_us])) / self._period_us).astype(np.int64)
        most = max(1, int(MAX_BRIDGED_S * self._scale.rate_hz))
        real = np.cumsum(np.clip(steps, 1, most))
        if real[-1] > most + len(steps):  # gap upon gap: that clock is not to be believed, and would fill the memory
            return raw.astype(np.float64), np.arange(len(raw))
        known = np.concatenate([last_raw[None], raw]).astype(np.float64)
        at, grid = np.concatenate([[0], real]), np.arange(1, real[-1] + 1)
        filled = np.stack([np.interp(grid, at, column) for column in known.T], axis=1)
        return filled, real - 1
