"""Published filters to compare with, each at its own defaults. The only place that knows their packages.

VQF comes with nexuslink. The others are the extra ``nexuslink[evaluate]``; where one is missing the table says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Filter = Callable[[Array, Array, float], Array]
"""``(gyro_rad_s (n, 3), accel_m_s2 (n, 3), rate_hz) -> (n, 4)`` quaternions, w first, sensor to earth, any heading."""

G_M_S2: Final = 9.81
"""What imufusion's peers divide by; it only sets the scale of the accelerometer."""


def vqf_default(gyro_rad_s: Array, accel_m_s2: Array, rate_hz: float) -> Array:
    """VQF without magnetometer (Laidig and Seel, Information Fusion 91, 2023), as its package sets it."""
    from vqf import VQF

    return np.asarray(VQF(1.0 / rate_hz).updateBatch(gyro_rad_s, accel_m_s2)["quat6D"])


def imufusion_default(gyro_rad_s: Array, accel_m_s2: Array, rate_hz: float) -> Array:
    """x-io's imufusion: its revised Madgwick filter with bias tracking, as its package sets both."""
    import imufusion

    ahrs = imufusion.Ahrs()
    ahrs.set_settings(imufusion.AhrsSettings(
        sample_rate=rate_hz, convention=imufusion.CONVENTION_ENU, gain=0.5, gyroscope_range=0.0,
        acceleration_rejection=0.0, rejection_timeout=0.0,
    ))  # fmt: skip
    bias = imufusion.Bias()
    bias.set_settings(imufusion.BiasSettings(sample_rate=rate_hz, stationary_threshold=3.0))
    gyro_deg_s, accel_g = np.degrees(gyro_rad_s), accel_m_s2 / G_M_S2
    quaternions = np.empty((len(gyro_deg_s), 4))
    for row, (rate, force) in enumerate(zip(gyro_deg_s, accel_g, strict=True)):  # it takes one sample at a time
        ahrs.update_no_magnetometer(bias.update(rate), force)
        quaternions[row] = ahrs.get_quaternion()
    return quaternions


def madgwick(gyro_rad_s: Array, accel_m_s2: Array, rate_hz: float) -> Array:
    """Madgwick's gradient descent (2010) from the package ahrs, with its default gain."""
    from ahrs.filters import Madgwick

    return np.asarray(Madgwick(gyr=gyro_rad_s, acc=accel_m_s2, frequency=rate_hz, gain=0.033).Q)


@dataclass(frozen=True, slots=True)
class Peer:
    """One published filter."""

    name: str
    run: Filter
    package: str
    """What has to be importable."""

    @property
    def installed(self) -> bool:
        """Can it run here?"""
        return find_spec(self.package) is not None


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("vqf", vqf_default, "vqf"),
        Peer("imufusion", imufusion_default, "imufusion"),
        Peer("madgwick", madgwick, "ahrs"),
    )
}
NOT_INSTALLED: Final = "not installed: pip install nexuslink[evaluate]"
