"""A simulated tool on its bench, handled by a person in a few words; a procedure is fed with what it streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from nexus_simulator.bench import simulated_bench

from nexuslink.calibration.convert import tool_calibration
from nexuslink.calibration.procedure import Procedure, Setting
from nexuslink.estimation.calibration import ImuScale
from nexuslink.estimation.gravity import Gravity
from nexuslink.protocol.messages import CalibrationRecord

G = Gravity(9.80665, 0.0005, "of the simulation")
BATCH_S = 0.02
UPRIGHT = (0.0, 0.0, 1.0)


class Person:
    """Does things to the tool, each for some seconds; the procedure sees the samples in batches."""

    def __init__(self, make: Callable[[Setting], Procedure], seed: int = 1) -> None:
        self.bench = simulated_bench(seed)
        scale = self.bench.imu_scale
        imu = ImuScale(
            scale.rate_hz, scale.gyro_rad_s, scale.accel_m_s2, scale.gyro_range_rad_s, scale.accel_range_m_s2
        )
        self.record: CalibrationRecord = self.bench.record
        self.setting = Setting(tool_calibration(self.record), imu, self.bench.force_rate_hz, G, True)
        self.procedure = make(self.setting)
        self.celsius = 24.0
        self.up = np.array(UPRIGHT)
        self.loads = np.zeros(2)
        """Kilograms on each tip; negative never: a weight that hangs pulls by the tip's angle."""
        self.sentences: list[str] = []
        self._t_s = 100.0
        self.spoil: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
        """What becomes of both streams' counts, (n, 2) and (n, 6), on the way."""
        self.procedure.set_temperature(self.bench.temperature_reading(self.celsius))

    def wait(self, seconds: float, tremor_n: float = 0.0, sway: float = 0.0) -> None:
        """Let time pass. ``tremor_n``: of the load, at 5 Hz; ``sway``: rad/s of the tool, at 1 Hz."""
        for _ in range(round(seconds / BATCH_S)):
            self._stream(self.up, self.loads, tremor_n, sway)

    def put(self, kg: float, tip: int = 0, seconds: float = 4.0) -> None:
        """Change the load within 0.4 s, then wait."""
        start = self.loads.copy()
        for share in np.linspace(0.05, 1.0, 20):
            self._stream(self.up, start + share * (np.eye(2)[tip] * kg - start), 0.0, 0.0)
        self.loads = np.eye(2)[tip] * kg
        self.wait(seconds)

    def turn(self, up: tuple[float, float, float], seconds: float = 4.0) -> None:
        """Lay it on another side within a second, then wait."""
        start, end = self.up, np.array(up) / np.linalg.norm(up)
        for share in np.linspace(0.02, 1.0, 50):
            way = start + share * (end - start) + 0.2 * math.sin(math.pi * share) * np.array([0.3, 0.5, 0.4])
            self._stream(way / np.linalg.norm(way), self.loads, 0.0, 0.8 * math.sin(math.pi * share))
        self.up = end
        self.wait(seconds)

    def _stream(self, up: np.ndarray, loads: np.ndarray, tremor_n: float, sway: float) -> None:
        force_n = round(BATCH_S * self.bench.force_rate_hz)
        imu_n = round(BATCH_S * self.bench.imu_scale.rate_hz)
        t_force = self._t_s + np.arange(force_n) / self.bench.force_rate_hz
        t_imu = self._t_s + np.arange(imu_n) / self.bench.imu_scale.rate_hz
        felt, rate = (np.tile(v, (force_n, 1)) for v in (9.80665 * up, np.zeros(3)))
        contact = loads * (felt @ self.bench.tip_axes.T)
        contact = contact + tremor_n * np.sin(2 * math.pi * 5.0 * t_force)[:, None] * (loads > 0)
        warm = np.full(imu_n, self.celsius)
        counts = self.bench.force_counts(t_force, contact, felt, rate, warm[:force_n])
        rates = sway * np.cos(2 * math.pi * t_imu)[:, None] * np.ones(3)
        raw = self.bench.imu_counts(rates, np.tile(9.80665 * up, (imu_n, 1)), warm)
        if self.spoil is not None:
            counts, raw = self.spoil(counts, raw)
        times = [np.rint(t * 1e6).astype(np.int64) for t in (t_force, t_imu)]
        self._t_s += BATCH_S
        if not self.procedure.update((times[0], counts), (times[1], raw)):
            return
        sentence = self.procedure.picture.sentence
        if not self.sentences or self.sentences[-1] != sentence:
            self.sentences.append(sentence)


def uncertain(record: CalibrationRecord) -> CalibrationRecord:
    """The same record as if it knew no uncertainty."""
    tips = tuple(replace(tip, u_gain=0.0, u_zero_n=0.0) for tip in record.force)
    return replace(record, force=tips)
