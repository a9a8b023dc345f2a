"""Two records beside each other: what has changed, and whether by more than both were sure of.

Coefficients hold at their record's reference temperature: those of the first are moved to that of the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nexuslink.calibration.convert import at_temperature
from nexuslink.calibration.document import DATES, to_document
from nexuslink.calibration.fields import LEAVES, Leaf, uncertainty_of, value_of
from nexuslink.protocol.messages import CalibrationRecord

BEYOND: Final = 2.0
"""A difference of more than this many standard uncertainties is not explained by them (about 95 %)."""


class Flag(StrEnum):
    """How a field stands."""

    SAME = "same"
    CHANGED = "changed"
    """Within what both records were sure of, or neither names an uncertainty."""
    BEYOND = "beyond"
    """By more than `BEYOND` combined standard uncertainties: the tool has changed, or one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value: ``field`` as in the document, with ``[i]`` in an array. Texts and dates have no difference."""

    field: str
    unit: str
    before: Any
    after: Any
    difference: float
    """After minus before, in ``unit``; NaN for what is no number."""
    in_u: float
    """The difference in combined standard uncertainties of both records; NaN where neither names one."""
    flag: Flag


def compare(before: CalibrationRecord, after: CalibrationRecord, every: bool = False) -> list[Row]:
    """What differs, in the order of the record; ``every``: also what is the same."""
    moved = at_temperature(before, after.temperature_c)
    rows = [
        row for leaf in LEAVES for row in _rows(leaf, before if leaf.name == "temperature_c" else moved, after)
    ]  # fmt: skip
    return [row for row in rows if every or row.flag is not Flag.SAME]


def _rows(leaf: Leaf, before: CalibrationRecord, after: CalibrationRecord) -> list[Row]:
    old, new = value_of(before, leaf.path), value_of(after, leaf.path)
    if not leaf.real and leaf.name not in {"zero_counts", "overload_count"}:
        a, b = (to_document(record)[DATES.get(leaf.name, leaf.name)] for record in (before, after))  # words and dates
        return [Row(leaf.where, "", a, b, math.nan, math.nan, Flag.SAME if old == new else Flag.CHANGED)]
    known = [u for u in (uncertainty_of(before, leaf), uncertainty_of(after, leaf)) if not math.isnan(u)]
    u = math.hypot(*known) if known else math.nan
    pairs = list(zip(old, new, strict=True)) if leaf.array else [(old, new)]
    return [
        _row(f"{leaf.where}[{at}]" if leaf.array else leaf.where, leaf.unit, float(a), float(b), u)
        for at, (a, b) in enumerate(pairs)
    ]


def _row(field: str, unit: str, before: float, after: float, u: float) -> Row:
    difference = after - before
    in_u = difference / u
    flag = Flag.SAME if difference == 0 else Flag.BEYOND if abs(in_u) > BEYOND else Flag.CHANGED
    return Row(field, unit, before, after, difference, in_u, flag)
