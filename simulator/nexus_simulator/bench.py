"""A simulated tool without link or clock, for measuring estimates against the truth: numpy in, numpy out.

Found by entry point (group "nexuslink.benches"). The same sensors as the streaming tool's of that seed, with noise
of their own. Nothing here keeps time: every call says when and how warm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import Array
from nexus_simulator.cells import LoadCells
from nexus_simulator.factory import factory_record
from nexus_simulator.inertial import ACC_FULL_SCALE, ACC_LSB, GYRO_FULL_SCALE, GYRO_LSB, InertialUnit
from nexus_simulator.unit import make_unit
from nexuslink.protocol.messages import CalibrationRecord
from nexuslink.protocol.record import seal_record

FORCE_RATE_HZ = 250.0
"""The load cells' noise is that of this rate, whatever the times say."""
IMU_RATE_HZ = 500.0
_BENCH = 1 << 20
"""In place of a take's number: the bench's noise is nobody else's."""


class BenchImu(NamedTuple):
    """Nominal scaling of the inertial unit: rad/s and m/s^2 per count, samples a second, and where it clips."""

    rate_hz: float
    gyro_rad_s: float
    accel_m_s2: float
    gyro_range_rad_s: float
    accel_range_m_s2: float


class Bench:
    """One tool. Its creep, and the wandering of its gyroscope, go on from call to call."""

    simulated = True
    force_rate_hz = FORCE_RATE_HZ
    imu_scale = BenchImu(IMU_RATE_HZ, GYRO_LSB, ACC_LSB, GYRO_FULL_SCALE, ACC_FULL_SCALE)

    def __init__(self, seed: int) -> None:
        self._unit = make_unit(seed)
        record = CalibrationRecord.unpack(seal_record(factory_record(seed, self._unit)))
        assert record is not None
        self.record: CalibrationRecord = record
        """As the factory left it, sealed."""
        self.tip_axes: Array = self._unit.cells.axis.copy()
        """(2, 3) true unit vectors out of the tips, in the frame of the inertial unit."""
        self._cells = LoadCells(self._unit.cells, (seed, 3, _BENCH), FORCE_RATE_HZ)
        self._imu = InertialUnit(self._unit.inertial, (seed, 5, _BENCH), IMU_RATE_HZ)

    def force_counts(
        self, t_s: Array, contact_n: Array, specific_force: Array, rate_rad_s: Array, temperature_c: Array
    ) -> npt.NDArray[np.int32]:
        """(n, 2) counts of both load cells at times t_s (n,), seconds, increasing also from call to call.

        contact_n: (n, 2) true contact forces. specific_force: (n, 3) m/s^2 and rate_rad_s: (n, 3) at the inertial
        unit, in its frame; the angular acceleration is taken from consecutive rates. temperature_c: (n,).
        """
        return self._cells.counts(t_s, contact_n, specific_force, rate_rad_s, temperature_c)

    def imu_counts(self, rate_rad_s: Array, specific_force: Array, temperature_c: Array) -> npt.NDArray[np.int16]:
        """(n, 6) counts, gyro x y z then accelerometer x y z, of consecutive samples at ``imu_scale.rate_hz``."""
        return self._imu.counts(rate_rad_s, specific_force, temperature_c)

    def temperature_reading(self, celsius: float) -> float:
        """What the tool's thermometer says, degrees Celsius."""
        return self._unit.temperature_reading(celsius)

    def true_pressure_kpa(self, force_n: Array) -> tuple[Array, Array]:
        """Mean and peak pressure, kPa, (n, 2) each, under true contact forces (n, 2), on tissue that the seed gives."""
        return self._unit.contact.pressure_kpa(force_n)


def simulated_bench(seed: int) -> Bench:
    """The bench of the tool of that seed, as new."""
    return Bench(seed)
