"""Would this record give nonsense? A table of what must hold, beyond the ranges of the schema.

A record that fails here is neither written to a tool nor taken from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from nexuslink.estimation.calibration import TIP_NAMES
from nexuslink.protocol.messages import CalibrationRecord, ForceCalibration, SensorCalibration

AXIS_TOLERANCE: Final = 1e-3
FORCE_RANGE_N: Final = 250.0
"""The curve must rise over this much force, either way: no load cell of this kind reads more."""
WARMTH_K: Final = 65.0
"""The gain must keep its sign this far from the reference temperature."""


def _rises(tip: ForceCalibration) -> bool:
    x = np.linspace(-FORCE_RANGE_N, FORCE_RANGE_N, 101)
    return bool((1 + 2 * tip.quadratic_per_n * x + 3 * tip.cubic_per_n2 * x * x > 0).all())


_TIP_CHECKS: Final[dict[str, Callable[[ForceCalibration], bool]]] = {
    "gain_n_per_count is 0: every count would be no force": lambda t: t.gain_n_per_count != 0,
    "axis is not a unit vector": lambda t: abs(float(np.linalg.norm(t.axis)) - 1.0) < AXIS_TOLERANCE,
    "the curve turns round: quadratic_per_n and cubic_per_n2 are too large": _rises,
    "gain_per_k would turn the sign of the force within the range of temperature":
        lambda t: abs(t.gain_per_k) * WARMTH_K < 1,
    "creep_s must be above 0 where creep_share is not 0":
        lambda t: all(s > 0 or share == 0 for share, s in zip(t.creep_share, t.creep_s, strict=True)),
    "an area or a radius is below 0": lambda t: min(t.contact_area_mm2, t.contact_radius_mm) >= 0,
    "an uncertainty is below 0": lambda t: min(
        t.u_zero_n, t.u_gain, t.u_curve_n, t.u_zero_n_per_k, t.u_gain_per_k, t.u_cross_talk, t.u_creep_share,
        t.u_tip_mass_kg, t.u_area,
    ) >= 0,
}  # fmt: skip
"""What is said -> what must hold of each tip."""
_SENSOR_CHECKS: Final[dict[str, Callable[[SensorCalibration], bool]]] = {
    "the matrix turns the axes round or loses one": lambda s: float(np.linalg.det(np.reshape(s.matrix, (3, 3)))) > 0.1,
    "an uncertainty is below 0": lambda s: min(s.u_matrix, s.u_bias) >= 0,
}


def unsound(record: CalibrationRecord) -> str | None:
    """Why this record must not be used, in words; ``None``: it may be."""
    return record.problem() or next(_problems(record), None)


def _problems(record: CalibrationRecord) -> Iterator[str]:
    if not record.calibration_id:
        yield "calibration_id is 0, which means none"
    for name, tip in zip(TIP_NAMES, record.force, strict=True):
        yield from (f"force.{name}: {words}" for words, holds in _TIP_CHECKS.items() if not holds(tip))
    for name, sensor in (("gyro", record.gyro), ("accelerometer", record.accelerometer)):
        yield from (f"{name}: {words}" for words, holds in _SENSOR_CHECKS.items() if not holds(sensor))
    talk = record.force[0].cross_talk * record.force[1].cross_talk
    if not talk < 1:
        yield "force: the tips' cross_talk together cannot be undone"
