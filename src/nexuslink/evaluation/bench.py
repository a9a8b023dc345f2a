"""A tool on a bench that knows the truth: what `evaluate force` needs of one, and where to find it.

Benches are entry points of the group ``nexuslink.benches``: functions ``seed -> Bench``. The same seed gives the same
tool and the same noise. A bench has no clock and no link; every call says when it is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nexuslink.evaluation.errors import EvaluationError
from nexuslink.protocol.messages import CalibrationRecord

Array = NDArray[np.float64]

GROUP: Final = "nexuslink.benches"


class BenchImu(Protocol):
    """Nominal scaling of the inertial unit: rad/s and m/s2 per count, samples a second, and where it clips."""

    @property
    def rate_hz(self) -> float:
        """Samples a second."""

    @property
    def gyro_rad_s(self) -> float:
        """Of one count."""

    @property
    def accel_m_s2(self) -> float:
        """Of one count."""

    @property
    def gyro_range_rad_s(self) -> float:
        """Where it clips."""

    @property
    def accel_range_m_s2(self) -> float:
        """Where it clips."""


class Bench(Protocol):
    """One tool of which everything is known. Columns of two are psoas, iliacus."""

    @property
    def simulated(self) -> bool:
        """No real tool."""

    @property
    def record(self) -> CalibrationRecord:
        """What its factory wrote, years ago."""

    @property
    def tip_axes(self) -> Array:
        """(2, 3) true unit vectors out of the tips, IMU frame."""

    @property
    def force_rate_hz(self) -> float:
        """Samples a second of the load cells; the IMU's rate is a multiple of it."""

    @property
    def imu_scale(self) -> BenchImu:
        """Of the inertial unit."""

    def force_counts(
        self, t_s: Array, contact_n: Array, specific_force: Array, rate_rad_s: Array, temperature_c: Array
    ) -> NDArray[np.signedinteger]:
        """(n, 2) counts at times t_s (n,), increasing from call to call: true contact forces (n, 2), specific force
        (n, 3) m/s2 and turning rate (n, 3) rad/s at the IMU in its frame, temperature (n,) degC."""

    def imu_counts(self, rate_rad_s: Array, specific_force: Array, temperature_c: Array) -> NDArray[np.signedinteger]:
        """(n, 6) counts of consecutive samples: gyroscope x y z, accelerometer x y z."""

    def temperature_reading(self, celsius: float) -> float:
        """What the tool's thermometer says."""

    def true_pressure_kpa(self, force_n: Array) -> tuple[Array, Array]:
        """Mean and peak, (n, 2) each, under these contact forces (n, 2)."""


def find_bench(name: str) -> Callable[[int], Bench]:
    """The bench of that name. Raises `EvaluationError`."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        there = ", ".join(sorted(found.names)) or "none; install nexuslink anew"
        raise EvaluationError("benches", f"there is no {name[:40]!r}", f"there are: {there}")
    make: Callable[[int], Bench] = found[name].load()
    return make
