"""Is the tool at rest, and for how long already? What a person with both hands full cannot tell by a key.

The newest samples of both streams by device time. A span is at rest where nothing in it wanders by more than the
sensors' own noise allows: each signal's spread against the noise that its steps from sample to sample show, and the
first third of the span against the last. Knows arrays only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import Array, ImuScale, ToolCalibration

SPAN_S: Final = 1.5
"""So long everything must be at rest before it is taken."""
TRY_S: Final = (0.3, 0.6, 0.9, 1.2, SPAN_S)
"""Spans that are tried, for the progress that a person sees."""
LOOK_EVERY_S: Final = 0.1
WHOLE: Final = 0.9
"""Share of a span's samples that must be there."""
NOISE_TIMES: Final = 1.5
"""Spread allowed, as a multiple of the noise from sample to sample; white noise alone has 1."""

Samples = tuple[NDArray[np.int64], NDArray[np.signedinteger]]
"""Device times (n,), microseconds, and raw counts (n, channels)."""


class Allowed(NamedTuple):
    """What a still tool may still do, beside its sensors' noise; standard deviations and drifts alike [assumption]."""

    force_n: float = 0.03
    force_share: float = 0.001
    """Of the load: a placed weight's tremor and its first seconds of creep."""
    rate_rad_s: float = 0.005
    accel_m_s2: float = 0.03


ON_A_TABLE: Final = Allowed()
IN_A_HAND: Final = Allowed(force_n=0.08, force_share=0.003, rate_rad_s=0.05, accel_m_s2=0.15)
"""A weight that hangs from a tool that is held sways a little [assumption]."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The means of one still span, as `estimation` wants them: cells as counts, inertial unit scaled, uncalibrated."""

    t_us: int
    """Middle of the span."""
    mean_counts: Array
    std_counts: Array
    samples: int
    accel_m_s2: Array
    """(n, 3), uncalibrated."""


class Stillness:
    """Fed with batches as they come; asked for what it sees every `LOOK_EVERY_S` of device time."""

    def __init__(
        self, calibration: ToolCalibration, imu: ImuScale, force_rate_hz: float, allowed: Allowed = ON_A_TABLE
    ) -> None:
        self._gain = np.abs(calibration.gain_n_per_count)
        self._zero = calibration.zero_counts
        self._imu, self._force_rate_hz, self.allowed = imu, force_rate_hz, allowed
        self._force: deque[Samples] = deque()
        self._inertial: deque[Samples] = deque()
        self._looked_us = 0
        self.t_us = 0
        """Of the newest force sample."""
        self.progress = 0.0
        """How much of `SPAN_S` everything has been at rest, 0 to 1."""
        self.counts: Array = np.full(2, np.nan)
        """Mean of the newest tenth of a second."""
        self.accel_m_s2: Array = np.full(3, np.nan)
        """The same of the accelerometer, uncalibrated."""
        self.rate_rad_s = float("nan")
        """Speed of turning, the same."""
        self.rest: Rest | None = None
        """The newest `SPAN_S`, if all of it is at rest."""

    def update(self, force: Samples | None, imu: Samples | None) -> bool:
        """Take new samples; True where it is time to look at what has become of it."""
        for kept, new in ((self._force, force), (self._inertial, imu)):
            if new is None or not len(new[0]):
                continue
            kept.append(new)
            while kept and new[0][-1] - kept[0][0][-1] > SPAN_S * 1.2e6:
                kept.popleft()
        if self._force:
            self.t_us = int(self._force[-1][0][-1])
        if not self._force or not self._inertial or self.t_us - self._looked_us < LOOK_EVERY_S * 1e6:
            return False
        self._looked_us = self.t_us
        self._look()
        return True

    def forget(self) -> None:
        """Begin again: what comes next is something else."""
        self._force.clear()
        self._inertial.clear()
        self.progress, self.rest = 0.0, None

    def _look(self) -> None:
        t_force, counts = _joined(self._force)
        t_imu, raw = _joined(self._inertial)
        end = min(t_force[-1], t_imu[-1])
        inertial = raw * np.repeat([self._imu.gyro_rad_s, self._imu.accel_m_s2], 3)
        newest = t_imu > t_imu[-1] - LOOK_EVERY_S * 1e6
        self.counts = counts[t_force > t_force[-1] - LOOK_EVERY_S * 1e6].mean(axis=0)
        self.accel_m_s2 = inertial[newest, 3:].mean(axis=0)
        self.rate_rad_s = float(np.linalg.norm(inertial[newest, :3], axis=1).mean())
        self.progress, self.rest = 0.0, None
        for span in TRY_S:
            in_force = _within(t_force, end, span)
            in_imu = _within(t_imu, end, span)
            whole = (
                len(t_force[in_force]) >= WHOLE * span * self._force_rate_hz
                and len(t_imu[in_imu]) >= WHOLE * span * self._imu.rate_hz
            )
            if not (whole and self._calm(counts[in_force], inertial[in_imu])):
                return
            self.progress = span / SPAN_S
        chosen = counts[in_force]
        self.rest = Rest(
            int(t_force[in_force].mean()), chosen.mean(axis=0), chosen.std(axis=0), len(chosen), inertial[in_imu, 3:]
        )

    def _calm(self, counts: Array, inertial: Array) -> bool:
        newtons = counts * self._gain
        load = np.abs((counts.mean(axis=0) - self._zero) * self._gain)
        allowed = self.allowed
        limit = np.concatenate(
            [allowed.force_n + allowed.force_share * load, [allowed.rate_rad_s] * 3, [allowed.accel_m_s2] * 3]
        )
        return _wanders_less(newtons, limit[:2]) and _wanders_less(inertial, limit[2:])


def _wanders_less(values: Array, limit: Array) -> bool:
    """(n, k) values: is spread and drift of each column within noise and limit (k,)?"""
    third = len(values) // 3
    # The median step of white noise of standard deviation 1 is 0.954: a wandering signal hardly moves it.
    noise = np.median(np.abs(np.diff(values, axis=0)), axis=0) / 0.954
    drift = np.abs(values[-third:].mean(axis=0) - values[:third].mean(axis=0))
    by_noise = 4.0 * noise * np.sqrt(2.0 / third)
    return bool((values.std(axis=0) <= NOISE_TIMES * noise + limit).all() and (drift <= by_noise + limit).all())


def _within(t_us: NDArray[np.int64], end: int, span_s: float) -> NDArray[np.bool_]:
    return np.asarray((t_us > end - span_s * 1e6) & (t_us <= end))


def _joined(kept: deque[Samples]) -> tuple[NDArray[np.int64], Array]:
    return np.concatenate([t for t, _ in kept]), np.concatenate([raw for _, raw in kept]).astype(np.float64)
