"""Part of one record into another: the weights of today beside the inertial unit of last year.

Coefficients hold at their record's reference temperature. Where the two differ, what is taken over is moved to the
other's first, by the model of a tip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from nexuslink.calibration.convert import at_temperature
from nexuslink.calibration.errors import MergeError
from nexuslink.protocol.messages import CalibrationRecord

GEOMETRY: Final = (
    "tip_mass_kg", "tip_centre_m", "axis", "contact_area_mm2", "contact_radius_mm", "u_tip_mass_kg", "u_area",
)  # fmt: skip
ZERO: Final = ("zero_counts", "u_zero_n")
VALIDITY: Final = ("method", "reference", "made_unix_s", "valid_until_unix_s", "gravity_m_s2")


def _tips(names: Iterable[str]) -> Callable[[CalibrationRecord, CalibrationRecord], CalibrationRecord]:
    """Takes these fields of both tips over."""

    def take(base: CalibrationRecord, other: CalibrationRecord) -> CalibrationRecord:
        pairs = zip(base.force, other.force, strict=True)
        return replace(base, force=tuple(replace(old, **_values(new, names)) for old, new in pairs))

    return take


def _tip(row: int) -> Callable[[CalibrationRecord, CalibrationRecord], CalibrationRecord]:
    """Takes one tip's load cell over; its geometry is a part of its own."""

    def take(base: CalibrationRecord, other: CalibrationRecord) -> CalibrationRecord:
        tips = list(base.force)
        tips[row] = replace(other.force[row], **_values(base.force[row], GEOMETRY))
        return replace(base, force=tuple(tips))

    return take


def _whole(*names: str) -> Callable[[CalibrationRecord, CalibrationRecord], CalibrationRecord]:
    """Takes these fields of the record over."""
    return lambda base, other: replace(base, **_values(other, names))


def _values(source: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names}


PARTS: Final = {
    "zero": _tips(ZERO), "psoas": _tip(0), "iliacus": _tip(1), "geometry": _tips(GEOMETRY),
    "accelerometer": _whole("accelerometer"), "gyro": _whole("gyro"), "validity": _whole(*VALIDITY),
}  # fmt: skip
"""Name of a part -> how it is taken over. `psoas` and `iliacus` are the load cells, zero included."""


def merge(
    base: CalibrationRecord, other: CalibrationRecord, parts: Iterable[str], other_tool: bool = False
) -> CalibrationRecord:
    """``base`` with these parts of ``other``. Raises `MergeError`.

    The identity stays that of ``base``, its number too. ``other_tool``: two serial numbers are no reason to refuse.
    """
    wanted = list(parts)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown or not wanted:
        raise MergeError(f"parts {', '.join(map(repr, unknown)) or 'none'}: write one or more of {', '.join(PARTS)}")
    if base.serial_number != other.serial_number and not other_tool:
        raise MergeError(
            f"one record is of {base.serial_number}, the other of {other.serial_number}; "
            "no two tools are alike, so ask for it by name if it is meant"
        )
    moved = at_temperature(other, base.temperature_c)
    for part in PARTS:
        if part in wanted:
            base = PARTS[part](base, moved)
    return base
