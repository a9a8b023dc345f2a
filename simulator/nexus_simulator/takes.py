"""Takes: what the sensors deliver between one START and its STOP, sample by sample, on the device clock.

A take makes its samples in fixed blocks, ahead of being asked, so that neither the values nor the cost depend on
how the firmware cuts them into batches. It knows bodies and sensors, and no messages.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import BLOCK_S, Array, Body, Truth, tip_angles
from nexus_simulator.cells import LoadCells
from nexus_simulator.climate import Climate
from nexus_simulator.inertial import ACC_LSB, GYRO_LSB, InertialUnit
from nexus_simulator.rig import Rig
from nexus_simulator.scripts import RigScript, Script
from nexus_simulator.unit import make_unit

Counts = npt.NDArray[np.signedinteger]

FORCE, IMU = 0, 1
"""Stream numbers."""
_RECENT_S = 2.0
"""Force samples kept for TARE: the longest window."""


class SampleBuffer:
    """Samples of one stream that are made and not yet cut."""

    def __init__(self, start_us: int, rate_hz: float, empty: Counts) -> None:
        self._start_us = start_us
        self._period_us = 1e6 / rate_hz
        self._first = 0
        self._rows = empty

    def time_us(self, index: int) -> int:
        """Device time of a sample."""
        return self._start_us + round(index * self._period_us)

    def count_before(self, t_us: float) -> int:
        """How many samples lie before a device time."""
        return max(0, math.ceil((t_us - self._start_us) / self._period_us - 1e-6))

    def times_s(self, first: int, end: int) -> Array:
        """Times of samples first..end-1, seconds since START."""
        return np.arange(first, end, dtype=np.float64) * (self._period_us * 1e-6)

    @property
    def end(self) -> int:
        """Index after the last sample made."""
        return self._first + len(self._rows)

    def extend(self, rows: Counts) -> None:
        """Append the next samples."""
        self._rows = np.concatenate([self._rows, rows]) if len(self._rows) else rows

    def cut(self, until_us: int) -> tuple[int, int, Counts]:
        """Take out all samples before ``until_us``: first index, its time, rows."""
        n = max(0, min(self.count_before(until_us), self.end) - self._first)
        rows, self._rows = self._rows[:n], self._rows[n:]
        first, self._first = self._first, self._first + n
        return first, self.time_us(first), rows


class BlockTake(ABC):
    """The part that is the same for a simulated body and a played recording."""

    def __init__(
        self, seed: int, take: int, climate: Climate, start_us: int, force_hz: float, imu_hz: float, imu_type: type
    ) -> None:
        self.start_us = start_us
        self._unit = make_unit(seed)
        self._climate = climate
        self._cells = LoadCells(self._unit.cells, (seed, 3, take), force_hz)
        self._buffers = (
            SampleBuffer(start_us, force_hz, np.empty((0, 2), np.int32)),
            SampleBuffer(start_us, imu_hz, np.empty((0, 6), imu_type)),
        )
        self._blocks = 0
        self._recent: Counts = np.empty((0, 2), np.int32)
        self._keep = math.ceil((_RECENT_S + BLOCK_S) * force_hz) + 1

    @property
    def ends_us(self) -> int | None:
        """Device time at which there are no more samples; None: never."""
        return None

    @abstractmethod
    def truth(self, t_us: npt.NDArray[np.int64]) -> Truth:
        """What really was at these device times; NaN where it is not known."""

    @abstractmethod
    def _make(self, t_force: Array, t_imu: Array) -> tuple[Counts, Counts]:
        """The next samples of both streams, at these times since START."""

    def cut(self, stream: int, until_us: int) -> tuple[int, int, Counts]:
        """Index and device time of the first sample not cut yet, and all (n, channels) samples before ``until_us``."""
        self._make_until(until_us)
        return self._buffers[stream].cut(until_us)

    def time_us(self, stream: int, index: int) -> int:
        """Device time of a sample."""
        return self._buffers[stream].time_us(index)

    def mean_force(self, until_us: int, window_us: int) -> tuple[int, tuple[int, int]]:
        """How many force samples lie in the window that ends at ``until_us``, and their mean counts."""
        self._make_until(until_us)
        force = self._buffers[FORCE]
        first = force.end - len(self._recent)
        window = self._recent[
            max(0, force.count_before(until_us - window_us) - first) : max(0, force.count_before(until_us) - first)
        ]
        if not len(window):
            return 0, (0, 0)
        mean = np.rint(window.mean(axis=0))
        return len(window), (int(mean[0]), int(mean[1]))

    def temperature_c(self, t_us: int) -> float:
        """What the tool's thermometer says of the load cells."""
        celsius = self._climate.celsius(np.array([(t_us - self.start_us) * 1e-6]))
        return self._unit.temperature_reading(float(celsius[0]))

    def _make_until(self, until_us: int) -> None:
        while self.start_us + self._blocks * BLOCK_S * 1e6 < until_us:
            self._blocks += 1
            end_us = self.start_us + self._blocks * BLOCK_S * 1e6
            force, imu = (buffer.times_s(buffer.end, buffer.count_before(end_us)) for buffer in self._buffers)
            made = self._make(force, imu)
            for buffer, rows in zip(self._buffers, made, strict=True):
                buffer.extend(rows)
            self._recent = np.concatenate([self._recent, made[FORCE]])[-self._keep :]


class BodyTake(BlockTake):
    """A person on the tool, or the tool on a table or in a hand, following a script."""

    def __init__(
        self, script: Script, seed: int, take: int, ambient_c: float, start_us: int, force_hz: float, imu_hz: float,
        gyro_lsb: float = GYRO_LSB, acc_lsb: float = ACC_LSB,
    ) -> None:  # fmt: skip
        rigged = isinstance(script, RigScript)
        super().__init__(seed, take, Climate(ambient_c, not rigged), start_us, force_hz, imu_hz, np.int16)
        self._imu = InertialUnit(self._unit.inertial, (seed, 5, take), imu_hz, gyro_lsb, acc_lsb)
        self._body = Rig(script, seed) if isinstance(script, RigScript) else Body(script, seed)

    def truth(self, t_us: npt.NDArray[np.int64]) -> Truth:
        """What really was at these device times; NaN before START, in the future and beyond HISTORY_S."""
        t = (t_us - self.start_us).astype(np.float64) * 1e-6
        up = self._body.motion(t).up
        angle, direction = tip_angles(up)
        return Truth(t_us, self._body.force(t), angle, direction, up)

    def _make(self, t_force: Array, t_imu: Array) -> tuple[Counts, Counts]:
        body, climate = self._body, self._climate
        body.advance(self._blocks * BLOCK_S)
        felt = body.motion(t_force)
        force = self._cells.counts(
            t_force, body.force(t_force), felt.specific_force, felt.rate, climate.celsius(t_force)
        )
        moved = body.motion(t_imu)
        return force, self._imu.counts(moved.rate, moved.specific_force, climate.celsius(t_imu))
