"""The golden vectors as Python objects, and objects back to their rows."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from nexuslink.protocol import messages

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = ROOT / "firmware_protocol"
VECTORS = PROTOCOL / "vectors/vectors.json"


def load(path: Path = VECTORS) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def number(value: Any) -> Any:
    """The number that a row shows."""
    if isinstance(value, list):
        return tuple(map(number, value))
    if isinstance(value, str) and value.startswith("nan "):
        return struct.unpack(">d" if len(value) > 12 else ">f", bytes.fromhex(value[4:]))[0]
    return float(value) if value in ("inf", "-inf") else value


def _tree(rows: list[list[Any]]) -> dict[str, Any]:
    """Rows to nested dictionaries; an index is a key as well."""
    tree: dict[str, Any] = {}
    for place, value, _ in rows:
        *way, last = place.replace("]", "").replace("[", ".").split(".")
        at = tree
        for key in way:
            at = at.setdefault(key, {})
        at[last] = value
    return tree


def build(cls: Any, rows: list[list[Any]]) -> Any:
    """The message that the rows describe."""
    return _build(cls, _tree(rows))


def _build(cls: Any, tree: dict[str, Any]) -> Any:
    hints = get_type_hints(cls, vars(messages))
    made = {}
    for field in fields(cls):
        kind, value = hints[field.name], tree.get(field.name, {})
        item = next(iter(get_args(kind)), None)
        if is_dataclass(kind):
            made[field.name] = _build(kind, value)
        elif is_dataclass(item):
            made[field.name] = tuple(_build(item, value[key]) for key in value)
        elif kind is bytes:
            made[field.name] = bytes.fromhex(value)
        else:
            made[field.name] = value if kind is str else number(value)
    return cls(**made)


def shown(message: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """A message as (place, value), in wire order, as the rows have it."""
    for field in fields(message):
        value, here = getattr(message, field.name), place + field.name
        if is_dataclass(value):
            yield from shown(value, f"{here}.")
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for n, item in enumerate(value):
                yield from shown(item, f"{here}[{n}].")
        elif isinstance(value, bytes):
            yield here, value.hex()
        elif value != () or place or field.name not in _STRUCT_ARRAYS.get(type(message).__name__, ()):
            yield here, value


_STRUCT_ARRAYS = {
    name: {f.name for f in fields(cls) if any(map(is_dataclass, get_args(get_type_hints(cls, vars(messages))[f.name])))}
    for name, cls in vars(messages).items()
    if is_dataclass(cls)
}
"""An empty array of structures has no row."""


def same(found: Any, expected: Any) -> bool:
    """Equal, sign of zero and NaN included."""
    if isinstance(found, tuple | list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(found, float):
        both_nan = math.isnan(found) and math.isnan(expected)
        return both_nan or (found == expected and math.copysign(1, found) == math.copysign(1, expected))
    return bool(found == expected)
