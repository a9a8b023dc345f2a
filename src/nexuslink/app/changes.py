"""As found and as left: what a new calibration changes, in words and units that a person reads. No Qt.

A table says which fields are shown together and how; which of them moved by more than both records were sure of is
asked of `calibration.compare`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from nexuslink.protocol.messages import CalibrationRecord, ForceCalibration, SensorCalibration

AT_N: Final = 60.0
"""The curve is shown by what it adds at this force."""
TIPS: Final = ("psoas", "iliacus")


class Change(NamedTuple):
    """One line. ``beyond``: by more than the uncertainties explain."""

    name: str
    found: str
    left: str
    beyond: bool = False


_Tip = Callable[["ForceCalibration", "ForceCalibration"], str]
_OF_TIP: Final[tuple[tuple[str, tuple[str, ...], _Tip], ...]] = (
    ("zero", ("zero_counts",), lambda tip, _: f"{_n(tip.zero_counts * tip.gain_n_per_count)} N"),
    ("gain", ("gain_n_per_count",), lambda tip, was: f"{100 * tip.gain_n_per_count / was.gain_n_per_count:.2f} %"),
    ("curve at 60 N", ("quadratic_per_n", "cubic_per_n2"),
     lambda tip, _: f"{_n(tip.quadratic_per_n * AT_N**2 + tip.cubic_per_n2 * AT_N**3)} N"),
    ("own mass", ("tip_mass_kg",), lambda tip, _: f"{1e3 * tip.tip_mass_kg:.0f} g"),
    ("zero by temperature", ("zero_n_per_k",), lambda tip, _: f"{_n(tip.zero_n_per_k, 3)} N/K"),
    ("gain by temperature", ("gain_per_k",), lambda tip, _: f"{_n(100 * tip.gain_per_k, 3)} %/K"),
    ("cross-talk", ("cross_talk",), lambda tip, _: f"{_n(100 * tip.cross_talk)} %"),
    ("sure of its zero", ("u_zero_n",), lambda tip, _: _u(tip.u_zero_n, "N")),
    ("sure of its gain", ("u_gain",), lambda tip, _: _u(100 * tip.u_gain, "%")),
    ("sure of its curve", ("u_curve_n",), lambda tip, _: _u(tip.u_curve_n, "N")),
)  # fmt: skip
"""Words, the fields behind them, and how a tip is said beside the tip as it was found."""

_Sensor = Callable[["SensorCalibration", float], str]
_OF_SENSOR: Final[tuple[tuple[str, str, _Sensor], ...]] = (
    ("offset", "bias", lambda sensor, factor: f"{factor * math.hypot(*sensor.bias):.3g}"),
    (
        "worst scale",
        "matrix",
        lambda sensor, _: f"{100 * max(sensor.matrix[0::4], key=lambda d: abs(d - 1)):.2f} %",
    ),
    ("axes askew", "matrix", lambda sensor, _: f"{math.degrees(max(map(abs, _off_diagonal(sensor)))):.2f}°"),
    ("sure of its offset", "u_bias", lambda sensor, factor: _u(factor * sensor.u_bias, "")),
    ("sure of its scale", "u_matrix", lambda sensor, _: _u(100 * sensor.u_matrix, "%")),
)
_SENSORS: Final = (("accelerometer", "m/s²", 1.0), ("gyro", "°/s", math.degrees(1.0)))
_WITH_UNIT: Final = ("bias", "u_bias")


def changes(found: CalibrationRecord, left: CalibrationRecord) -> tuple[Change, ...]:
    """What reads differently, tips first."""
    from nexuslink.calibration.compare import Flag, compare

    beyond = {row.field.partition("[")[0] for row in compare(found, left) if row.flag is Flag.BEYOND}
    lines = []
    for at, tip in enumerate(TIPS):
        was, now = found.force[at], left.force[at]
        for words, fields, said in _OF_TIP:
            moved = any(f"force.{tip}.{field}" in beyond for field in fields)
            lines.append(Change(f"{tip.capitalize()}, {words}", said(was, was), said(now, was), moved))
    for sensor, unit, factor in _SENSORS:
        old, new = getattr(found, sensor), getattr(left, sensor)
        for words, field, told in _OF_SENSOR:
            tail = f" {unit}" if field in _WITH_UNIT else ""
            before, after = told(old, factor) + tail, told(new, factor) + tail
            lines.append(Change(f"{sensor.capitalize()}, {words}", before, after, f"{sensor}.{field}" in beyond))
    return tuple(line for line in lines if line.found != line.left)


def _off_diagonal(sensor: SensorCalibration) -> list[float]:
    return [value for at, value in enumerate(sensor.matrix) if at % 4]


def _n(value: float, digits: int = 2) -> str:
    from nexuslink.app.words import number

    return number(value, digits)


def _u(u: float, unit: str) -> str:
    """A standard uncertainty as its 95 % interval, like everywhere in the window."""
    from nexuslink.app.words import spread

    return spread(u, unit) or "unknown"
