"""One tool through its uses: the truth to a bench, its counts to the live estimator, what that said to `Look`s."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import ImuScale, ToolCalibration
from nexuslink.estimation.estimator import Estimates, Estimator
from nexuslink.evaluation.bench import Bench
from nexuslink.evaluation.histories import FORCES_N, STILL_S, Use
from nexuslink.evaluation.motion import Array

LIVE_BATCH: Final = 25
"""Force samples that the estimator gets at once where its answers are looked at one by one: 0.1 s."""
LONG_BATCH: Final = 100
"""Elsewhere."""
TARE_S: Final = 1.0
"""The zero is the mean of the counts before the end of the still time."""
STATUS_S: Final = 1.0
"""The tool says its temperature this often."""
PAUSE_S: Final = (300.0, 3000.0)
"""Between two uses, unloaded."""
_MEAN_S: Final = 0.2


class Look(NamedTuple):
    """One moment of one loaded tip: what was true, how far off the estimate was, and what it said of itself."""

    seed: int
    use: int
    tip: int
    temperature_c: float
    trusted: bool
    force_n: float
    error_n: float
    u_n: float
    pressure_kpa: float
    error_kpa: float
    u_kpa: float
    angle_deg: float
    error_deg: float
    u_deg: float


class Heard(NamedTuple):
    """What the estimator said in one use, from its zero on."""

    t_s: Array
    """(n,)"""
    force_n: Array
    """(n, 2)"""
    error_n: Array
    """(n, 2) estimate minus truth."""
    looks: list[Look]
    angle_error_deg: tuple[float, float]
    """Of both tips, at the end."""

    def mean_error_n(self, tip: int, at_s: float) -> float:
        """Mean over the moment before ``at_s``, which single samples' noise does not matter to."""
        since, until = np.searchsorted(self.t_s, (at_s - _MEAN_S, at_s)).tolist()
        return float(self.error_n[since:until, tip].mean())


class UsedTool:
    """One tool from use to use, with one calibration. Each use is a session of its own: a fresh estimator."""

    def __init__(
        self, seed: int, bench: Bench, calibration: ToolCalibration, rng: np.random.Generator, start_s: float
    ) -> None:
        self._seed, self._bench, self._calibration, self._rng, self._now_s = seed, bench, calibration, rng, start_s
        scale = bench.imu_scale
        self._scale = ImuScale(
            scale.rate_hz, scale.gyro_rad_s, scale.accel_m_s2, scale.gyro_range_rad_s, scale.accel_range_m_s2
        )
        self._step = round(scale.rate_hz / bench.force_rate_hz)
        self._uses = 0

    def used(self, use: Use, looks: int = 0, looks_from_s: float = 0.0) -> Heard:
        """Through the estimator, with so many ``looks`` at random moments of the time from ``looks_from_s`` on."""
        bench, rng = self._bench, self._rng
        self._now_s += rng.uniform(*PAUSE_S)
        rows = np.arange(0, len(use.t_s), self._step)
        imu = bench.imu_counts(use.rate_rad_s, use.specific_force, use.temperature_c)
        force = bench.force_counts(
            self._now_s + use.t_s[rows], use.contact_n[rows], use.specific_force[rows], use.rate_rad_s[rows],
            use.temperature_c[rows],
        )  # fmt: skip
        self._now_s += float(use.t_s[-1])
        self._uses += 1
        size = LIVE_BATCH if looks else LONG_BATCH
        count, per_s = len(rows) // size, bench.force_rate_hz / size
        chosen = rng.choice(np.arange(int(np.ceil(looks_from_s * per_s)), count), looks, replace=False) if looks else ()
        looked: list[Look] = []
        said: list[tuple[NDArray[np.int64], Array]] = []
        zero_at, status_every = int(STILL_S * per_s), max(1, int(STATUS_S * per_s))
        t_us = np.rint(1e6 * use.t_s).astype(np.int64)
        estimator = Estimator(self._calibration, self._scale, bench.force_rate_hz)
        angle = (float("nan"), float("nan"))
        for batch in range(count):
            first, last = batch * size, (batch + 1) * size
            wide = slice(first * self._step, last * self._step)
            if batch % status_every == 0:
                celsius = bench.temperature_reading(float(use.temperature_c[wide.start]))
                estimator.set_temperature(int(t_us[wide.start]), celsius)
            if batch == zero_at:
                estimator.tare(force[first - round(TARE_S * bench.force_rate_hz) : first].mean(axis=0))
            made = estimator.update((t_us[rows[first:last]], force[first:last]), (t_us[wide], imu[wide]))
            if made is None:
                continue
            if batch >= zero_at:
                said.append((np.searchsorted(t_us, made.t_us), made.force_n))
            if batch in chosen:
                looked += self._look(made, use, t_us)
            if batch == count - 1:
                angle = self._angle_error(made, use, t_us)[1]
        at, forces = np.concatenate([at for at, _ in said]), np.concatenate([force_n for _, force_n in said])
        return Heard(use.t_s[at], forces, forces - use.contact_n[at], looked, angle)

    def _angle_error(
        self, made: Estimates, use: Use, t_us: NDArray[np.int64]
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """True angles of both tips as of the batch's last IMU sample, and the estimate minus that; degrees."""
        up = use.up[int(np.searchsorted(t_us, made.attitude.t_us))]
        psoas, iliacus = np.degrees(np.arccos(np.clip(self._bench.tip_axes @ up, -1.0, 1.0))).tolist()
        said = made.attitude.tip_angle_deg
        return (psoas, iliacus), (float(said[0] - psoas), float(said[1] - iliacus))

    def _look(self, made: Estimates, use: Use, t_us: NDArray[np.int64]) -> list[Look]:
        """One of the batch's samples, at random: of each tip that is loaded within the claim."""
        one = int(self._rng.integers(len(made.t_us)))
        at = int(np.searchsorted(t_us, made.t_us[one]))
        true_n = use.contact_n[at]
        true_kpa = self._bench.true_pressure_kpa(true_n[None])[0][0]
        true_deg, error_deg = self._angle_error(made, use, t_us)
        return [
            Look(
                self._seed, self._uses, tip, float(use.temperature_c[at]), made.trusted,
                float(true_n[tip]), float(made.force_n[one, tip] - true_n[tip]), float(made.u_force_n[one, tip]),
                float(true_kpa[tip]), float(made.pressure_kpa[one, tip] - true_kpa[tip]),
                float(made.u_pressure_kpa[one, tip]),
                true_deg[tip], error_deg[tip], float(made.attitude.u_tip_angle_deg[tip]),
            )
            for tip in (0, 1)
            if FORCES_N[0] <= true_n[tip] <= FORCES_N[1]
        ]  # fmt: skip
