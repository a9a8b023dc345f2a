"""Which tables and rows a schema may hold, and the checks that need one row only."""

from __future__ import annotations

import keyword
import re
import uuid
from typing import Any

from generator.errors import SchemaError

Shape = dict[str, type | tuple[type, ...]]
SHAPES: dict[str, tuple[Shape, Shape]] = {
    "protocol": ({"name": str, "major": int, "minor": int, "doc": str}, {}),
    "constant": ({"name": str, "value": int, "unit": str, "doc": str}, {}),
    "enum": ({"name": str, "base": str, "doc": str, "values": list}, {"flags": bool, "reserved": list}),
    "value": ({"name": str, "value": int, "doc": str}, {}),
    "struct": ({"name": str, "doc": str, "fields": list}, {"header": bool}),
    "message": (
        {"name": str, "doc": str, "direction": str},
        {"fields": list, "same_as": str, "opcode": str, "type": str},
    ),
    "field": (
        {"name": str, "type": str, "doc": str},
        {"unit": str, "range": list, "count": str, "maximum": int, "since": int},
    ),
    "service": ({"name": str, "uuid": str, "doc": str, "characteristics": list}, {}),
    "characteristic": ({"name": str, "uuid": str, "properties": list, "encrypted": bool, "doc": str}, {}),
}
"""Table or row -> the keys that it must have, the keys that it may have."""
PROPERTIES = ("read", "write", "write-without-response", "notify", "indicate")
_UUID = re.compile(r"^[0-9a-f]{4}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def check_row(kind: str, raw: Any, where: str) -> None:
    """A row has the keys of its shape, each of the right type, and a name that can be one in a program."""
    required, optional = SHAPES[kind]
    if not isinstance(raw, dict):
        raise SchemaError(f"{where}: a {kind} is a table, not {raw!r}")
    place = f"{where}.{raw['name']}" if isinstance(raw.get("name"), str) and raw["name"] != where else where
    known = required | optional
    for key, value in raw.items():
        if key not in known:
            raise SchemaError(f"{place}: unknown key {key!r}; known: {', '.join(known)}")
        expected = known[key]
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is int):
            raise SchemaError(f"{place}: {key} = {value!r} is not of type {getattr(expected, '__name__', expected)}")
    for key in required:
        if raw.get(key) in (None, "", []):
            raise SchemaError(f"{place}: a {kind} has no {key!r}")
    if not raw["name"].isidentifier() or keyword.iskeyword(raw["name"]):
        raise SchemaError(f"{where}: {raw['name']!r} cannot be a name")


def check_enum(enum: dict[str, Any], limits: dict[str, int]) -> None:
    """Names and values are unique, fit the base, and keep out of what is reserved. ``limits``: base -> 2^bits."""
    name = enum["name"]
    if enum["base"] not in limits:
        raise SchemaError(f"{name}: base {enum['base']!r} is none of {', '.join(limits)}")
    for value in enum["values"]:
        check_row("value", value, name)
    for key in ("name", "value"):
        used = [v[key] for v in enum["values"]]
        if len(set(used)) != len(used):
            raise SchemaError(f"{name}: a {key} is used twice")
    for span in enum.get("reserved", []):
        if not isinstance(span, dict) or set(span) != {"first", "last", "doc"}:
            raise SchemaError(f"{name}: a reserved range is {{ first, last, doc }}, not {span!r}")
        if not 0 <= span["first"] <= span["last"] < limits[enum["base"]]:
            raise SchemaError(f"{name}: reserved {span['first']} to {span['last']} is no range of {enum['base']}")
    for value in enum["values"]:
        if not 0 <= value["value"] < limits[enum["base"]]:
            raise SchemaError(f"{name}.{value['name']}: {value['value']} does not fit {enum['base']}")
        for span in enum.get("reserved", []):
            if span["first"] <= value["value"] <= span["last"]:
                raise SchemaError(f"{name}.{value['name']}: {value['value']} is reserved: {span['doc']}")
        if enum.get("flags") and value["value"].bit_count() != 1:
            raise SchemaError(f"{name}.{value['name']}: {value['value']} is not one bit")


def check_service(service: dict[str, Any], seen: set[str]) -> None:
    """UUIDs are written as Bluetooth writes them and used once; ``seen`` collects them over all services."""
    rows = [service, *service["characteristics"]]
    for row in service["characteristics"]:
        check_row("characteristic", row, service["name"])
        foreign = [p for p in row["properties"] if p not in PROPERTIES]
        if foreign:
            raise SchemaError(f"{row['name']}: property {foreign[0]!r} is none of {', '.join(PROPERTIES)}")
    for row in rows:
        if not _UUID.match(row["uuid"]):
            raise SchemaError(f"{row['name']}: uuid {row['uuid']!r} is not 4 hex digits or a UUID in lower case")
        if full_uuid(row["uuid"]) in seen:
            raise SchemaError(f"{row['name']}: uuid {row['uuid']} is used twice")
        seen.add(full_uuid(row["uuid"]))


def full_uuid(text: str) -> str:
    """A 16-bit UUID on the Bluetooth base (Core Specification, Vol 3, Part B, 2.5.1); a whole one as it is."""
    return str(uuid.UUID(text if len(text) > 4 else f"0000{text}-0000-1000-8000-00805f9b34fb"))
