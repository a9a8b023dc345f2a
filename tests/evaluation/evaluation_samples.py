"""Recordings made here: a sensor that turns as we say, so that its truth is known to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 200.0
G = 9.81


def turning(seconds: float = 20.0, rate_hz: float = RATE_HZ) -> dict[str, Any]:
    """Still, then rocking about x by up to 40 deg with one period in 4 s: the fields of a file."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    after = np.maximum(t - 5.0, 0.0)
    angle = np.radians(40.0) * np.sin(np.pi / 2 * after)
    speed = np.where(t > 5.0, np.radians(40.0) * np.pi / 2 * np.cos(np.pi / 2 * after), 0.0)
    zero = np.zeros_like(t)
    return {
        "gyr": np.column_stack([speed, zero, zero]),
        "acc": G * np.column_stack([zero, np.sin(angle), np.cos(angle)]),
        "quat": np.column_stack([np.cos(angle / 2), np.sin(angle / 2), zero, zero]),
        "movement": t > 5.0,
        "rate": rate_hz,
    }


def write(path: Path, **changed: Any) -> Path:
    """`turning` as a file with some fields changed; ``None`` leaves one out."""
    fields = {name: value for name, value in (turning() | changed).items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **fields)
    return path


def rolled(quaternions: NDArray[np.float64], angle_rad: float) -> NDArray[np.float64]:
    """The same, turned by an angle about the sensor's own x axis."""
    w, x, y, z = quaternions.T
    c, s = np.cos(angle_rad / 2), np.sin(angle_rad / 2)
    return np.column_stack([w * c - x * s, w * s + x * c, y * c + z * s, z * c - y * s])
