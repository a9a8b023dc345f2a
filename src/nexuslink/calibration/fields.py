"""The fields of the record one by one: their place, type and unit, all from the schema; nothing is listed twice.

`LEAVES` is in the order of the wire. What the fields mean is not known here, but for which uncertainty is whose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nexuslink.estimation.calibration import TIP_NAMES
from nexuslink.protocol import messages
from nexuslink.protocol.messages import RECORD_FIELDS, CalibrationRecord

RECORD: Final = "CalibrationRecord"
COMPUTED: Final = ("record_version", "size", "crc32")
"""Filled in by `seal_record`; a document has its own."""
_OF_QUANTITY: Final = "unit of quantity"
_TYPE: Final = re.compile(r"(\w+)(?:\[(\d+)\])?")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One field that has no fields inside."""

    path: Path
    """Names from the record down; a tip by its name."""
    base: str
    """``f32``, ``i64``, ``char``, or the name of an enumeration."""
    length: int
    """Elements of an array, characters of a text; 1 for a single value."""
    array: bool
    unit: str

    @property
    def name(self) -> str:
        """Of the field in the schema."""
        return self.path[-1]

    @property
    def real(self) -> bool:
        """A floating-point number."""
        return self.base in ("f32", "f64")

    @property
    def where(self) -> str:
        """The path for people."""
        return ".".join(self.path)


def _split(kind: str) -> tuple[str, int | None]:
    match = _TYPE.fullmatch(kind)
    assert match is not None  # the generator has read it
    return match[1], int(match[2]) if match[2] else None


def _leaves(structure: str, path: Path, quantity: str) -> Iterator[Leaf]:
    for field in RECORD_FIELDS[structure]:
        base, length = _split(field.type)
        if base in RECORD_FIELDS:
            for name in [field.name] if length is None else TIP_NAMES:
                inner = (*path, field.name) if length is None else (*path, field.name, name)
                yield from _leaves(base, inner, field.unit)
            continue
        unit = field.unit.replace(f"{_OF_QUANTITY} / ", f"{quantity}/").replace(_OF_QUANTITY, quantity)
        yield Leaf((*path, field.name), base, length or 1, length is not None and base != "char", unit or "1")


LEAVES: Final = tuple(leaf for leaf in _leaves(RECORD, (), "") if leaf.name not in COMPUTED)


def value_of(record: CalibrationRecord, path: Path) -> Any:
    """What stands at that place."""
    value: Any = record
    for name in path:
        value = value[TIP_NAMES.index(name)] if isinstance(value, tuple) else getattr(value, name)
    return value


def record_of(values: Mapping[Path, Any]) -> CalibrationRecord:
    """A record from the values of all `LEAVES`; not sealed."""

    def make(structure: str, path: Path) -> Any:
        made: dict[str, Any] = {}
        for field in RECORD_FIELDS[structure]:
            base, length = _split(field.type)
            at = (*path, field.name)
            if base in RECORD_FIELDS:
                made[field.name] = make(base, at) if length is None else tuple(make(base, (*at, n)) for n in TIP_NAMES)
            elif field.name in COMPUTED:
                made[field.name] = int(field.name == "record_version")
            else:
                made[field.name] = values[at]
        return getattr(messages, structure)(**made)

    record: CalibrationRecord = make(RECORD, ())
    return record


def uncertainty_of(record: CalibrationRecord, leaf: Leaf) -> float:
    """Standard uncertainty of one element of this field, in its unit; NaN where the record names none."""
    name = _UNCERTAINTY.get(leaf.name)
    if name is None:
        return float("nan")
    around = leaf.path[:-1]
    u = float(value_of(record, (*around, name)))
    if name == "u_gain":
        u *= abs(value_of(record, leaf.path))
    elif name == "u_area":
        u *= value_of(record, leaf.path)
    elif leaf.name == "zero_counts":
        gain = abs(value_of(record, (*around, "gain_n_per_count")))
        u = u / gain if gain else 0.0
    return u if u > 0 else float("nan")


_UNCERTAINTY: Final = {
    "zero_counts": "u_zero_n", "gain_n_per_count": "u_gain", "zero_n_per_k": "u_zero_n_per_k",
    "gain_per_k": "u_gain_per_k", "cross_talk": "u_cross_talk", "creep_share": "u_creep_share",
    "tip_mass_kg": "u_tip_mass_kg", "contact_area_mm2": "u_area", "matrix": "u_matrix", "bias": "u_bias",
}  # fmt: skip
"""Field -> the field that holds its uncertainty. Those of the gain and the area are relative, the zero's is newtons."""
