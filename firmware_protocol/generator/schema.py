"""The schema as read from its files: checked, with sizes and layouts worked out, ready for every output.

Each row is checked by itself in `shapes`; here is what holds between them. A mistake is a `SchemaError` that names
the place.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.errors import SchemaError
from generator.shapes import check_enum, check_row, check_service, full_uuid

CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i16": "h", "i32": "i", "i64": "q", "f32": "f", "f64": "d"}
ENUM_BASES = {"u8": 1 << 8, "u16": 1 << 16, "u32": 1 << 32}
FLOAT_LIMITS = {
    "f32": struct.unpack("<f", b"\xff\xff\x7f\x7f")[0],
    "f64": struct.unpack("<d", b"\xff" * 6 + b"\xef\x7f")[0],
}
TYPE = re.compile(r"^(?P<base>\w+)(\[(?P<length>[1-9]\d{0,3})\])?$")
DIRECTIONS = {"request": "opcode", "response": "opcode", "stream": "type", "record": None}
"""Direction of a message -> the key that says where it belongs."""
LIMITS = {"request": "MAX_MESSAGE", "response": "MAX_MESSAGE", "stream": "MAX_MESSAGE", "record": "CALIBRATION_MAX"}
HEADER_BYTES = {"request": 8, "response": 8, "stream": 4, "record": 0}
TABLES = ("constant", "enum", "struct", "message", "service")


@dataclass(frozen=True)
class Field:
    """One field of a payload, ready for the templates."""

    name: str
    doc: str
    unit: str
    type: str  # as written in the schema
    base: str
    length: int  # 1 for a scalar
    array: bool
    kind: str  # "scalar" | "char" | "struct" | "enum"
    scalar: str  # u8 ... f64: what travels; "" for char and struct
    code: str  # struct format, without byte order; "" for a counted array
    size: int  # bytes; of one element for a counted array
    values: int  # how many values `struct` yields for one element of the array, or for all of a fixed one
    count: str  # name of the counting field; "" if none
    maximum: int
    low: float | int | None  # what a valid value is at least; every float is finite
    high: float | int | None
    checked: bool  # a valid value is more than any value of the type, here or inside
    since: int  # minor version that has added it

    @property
    def python(self) -> str:
        """Python annotation. Enumerations travel as int, so that values of a newer minor version survive."""
        if self.kind == "char":
            return "str"
        if self.count and self.base == "u8":
            return "bytes"
        item = self.base if self.kind == "struct" else ("float" if self.base in FLOAT_LIMITS else "int")
        return f"tuple[{item}, ...]" if self.array or self.count else item


def _range(raw: dict[str, Any], kind: str, scalar: str, where: str) -> tuple[Any, Any]:
    """Lowest and highest valid value; (None, None) where every value is valid."""
    given = raw.get("range")
    if given is None:
        limit = FLOAT_LIMITS.get(scalar)
        return (None, None) if limit is None else (-limit, limit)
    numbers = int if scalar not in FLOAT_LIMITS else (int, float)
    if kind not in ("scalar", "enum") or len(given) != 2 or not all(isinstance(v, numbers) for v in given):
        raise SchemaError(f"{where}: range {given!r} is not two numbers of the field's type")
    low, high = given
    try:
        struct.pack(f"<2{CODES[scalar]}", low, high)
    except (struct.error, OverflowError):
        raise SchemaError(f"{where}: range {given!r} does not fit {scalar}") from None
    if not low <= high:
        raise SchemaError(f"{where}: range {given!r} is empty")
    if scalar in FLOAT_LIMITS:  # the limits that the field can hold: then every language finds the same
        low, high = struct.unpack(f"<2{CODES[scalar]}", struct.pack(f"<2{CODES[scalar]}", low, high))
    return low, high


def _field(raw: dict[str, Any], where: str, enums: dict[str, Any], structs: dict[str, Any]) -> Field:
    check_row("field", raw, where)
    place = f"{where}.{raw['name']}"
    match = TYPE.match(raw["type"])
    if match is None:
        raise SchemaError(f"{place}: cannot read type {raw['type']!r}")
    base, length = match["base"], int(match["length"] or 1)
    scalar, inner, leaves = "", False, 1
    if base == "char":
        kind, code = "char", f"{length}s"
    elif base in CODES or base in enums:
        kind = "scalar" if base in CODES else "enum"
        scalar = base if base in CODES else enums[base]["base"]
        code, leaves = CODES[scalar] * length, length
    elif base in structs:
        kind, code, inner = "struct", structs[base]["code"] * length, structs[base]["checked"]
        leaves = length * structs[base]["values"]
        if structs[base].get("header"):
            raise SchemaError(f"{place}: the header {base} cannot be part of anything")
        if any(f.count for f in structs[base]["fields"]):
            raise SchemaError(f"{place}: {base} has no fixed size")
    else:
        raise SchemaError(f"{place}: unknown type {base!r}")
    low, high = _range(raw, kind, scalar, place)
    count = raw.get("count", "")
    return Field(
        name=raw["name"], doc=raw["doc"], unit=raw.get("unit", ""), type=raw["type"], base=base, length=length,
        array=match["length"] is not None and kind != "char", kind=kind, scalar=scalar, code="" if count else code,
        size=struct.calcsize("<" + code), values=leaves, count=count, maximum=int(raw.get("maximum", 0)),
        low=low, high=high, checked=inner or low is not None, since=raw.get("since", 0),
    )  # fmt: skip


def _payload(raw: dict[str, Any], enums: dict[str, Any], structs: dict[str, Any]) -> dict[str, Any]:
    """A payload's layout; ``older``: the sizes that it had in earlier minor versions."""
    fields = [_field(f, raw["name"], enums, structs) for f in raw.get("fields", [])]
    names = [f.name for f in fields]
    if len(set(names)) != len(names):
        raise SchemaError(f"{raw['name']}: two fields share a name")
    for f in fields:
        if f.count and (f is not fields[-1] or f.count not in names or not f.maximum):
            raise SchemaError(f"{raw['name']}.{f.name}: a counted array is the last field, has a maximum and a counter")
        if f.count and f.maximum > 255:
            raise SchemaError(f"{raw['name']}.{f.name}: maximum {f.maximum} is more than its counter can say")
    since = [f.since for f in fields]
    if since != sorted(since) or any(n < 0 for n in since):
        raise SchemaError(f"{raw['name']}: fields that a later version has added stand at the end, in order of since")
    code = "".join(f.code for f in fields)
    older = {struct.calcsize("<" + "".join(f.code for f in fields if f.since < n)) for n in since if n}
    return {
        **raw, "fields": fields, "code": code, "size": struct.calcsize("<" + code),
        "values": sum(f.values for f in fields if not f.count), "checked": any(f.checked for f in fields),
        "counted": next((f for f in fields if f.count), None), "older": sorted(older),
    }  # fmt: skip


def _check_all(protocol: dict[str, Any], merged: dict[str, list[Any]]) -> None:
    check_row("protocol", protocol, "protocol")
    names: set[str] = set()
    for kind, rows in merged.items():
        for number, raw in enumerate(rows, 1):
            check_row(
                kind, raw, raw["name"] if isinstance(raw, dict) and raw.get("name") else f"{kind} number {number}"
            )
            if raw["name"] in names:
                raise SchemaError(f"{raw['name']}: two tables share this name")
            names.add(raw["name"])
    constants = {c["name"] for c in merged["constant"]}
    for name in set(LIMITS.values()) - constants:
        raise SchemaError(f"there is no constant {name}, a limit of every message")


def _check_message(message: dict[str, Any], enums: dict[str, Any]) -> None:
    name, direction = message["name"], message["direction"]
    if direction not in DIRECTIONS:
        raise SchemaError(f"{name}: direction is none of {', '.join(DIRECTIONS)}")
    for key, enum in (("opcode", "Opcode"), ("type", "MessageType")):
        wanted = DIRECTIONS[direction] == key
        if (key in message) != wanted:
            raise SchemaError(f"{name}: a {direction} has {'an' if key == 'opcode' else 'a'} {key}" if wanted
                              else f"{name}: a {direction} has no {key}")  # fmt: skip
        known = [v["name"] for v in enums[enum]["values"]] if enum in enums else []
        if wanted and message[key] not in known:
            raise SchemaError(f"{name}: {key} {message[key]!r} is not in {enum}")
    if ("fields" in message) == ("same_as" in message):
        raise SchemaError(f"{name}: a message has either fields or same_as")


def _messages(
    merged: dict[str, Any], enums: dict[str, Any], structs: dict[str, Any], minor: int
) -> list[dict[str, Any]]:
    limits = {c["name"]: c["value"] for c in merged["constant"]}
    made: dict[str, dict[str, Any]] = {}
    places: dict[tuple[str, str], str] = {}
    for raw in merged["message"]:
        _check_message(raw, enums)
        direction = raw["direction"]
        where = raw.get("opcode") or raw.get("type") or raw["name"]
        if (direction, where) in places:
            raise SchemaError(f"{raw['name']}: {where} has a {direction} already: {places[direction, where]}")
        places[direction, where] = raw["name"]
        row = dict(raw)
        if "same_as" in row:
            if row["same_as"] not in made:
                raise SchemaError(f"{row['name']}: same_as {row['same_as']!r} is no message before it")
            row["fields"] = next(m for m in merged["message"] if m["name"] == row["same_as"])["fields"]
        payload = _payload(row, enums, structs)
        if payload["fields"][-1].since > minor:
            raise SchemaError(f"{row['name']}.{payload['fields'][-1].name}: since is later than version {minor}")
        counted = payload["counted"]
        payload["longest"] = payload["size"] + (counted.maximum * counted.size if counted else 0)
        longest, limit = HEADER_BYTES[direction] + payload["longest"], limits[LIMITS[direction]]
        if longest > limit:
            raise SchemaError(f"{row['name']}: {longest} bytes with its header, the limit is {limit}")
        made[row["name"]] = payload
    return list(made.values())


def read_tables(folder: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The raw tables of all files of a folder: the protocol, and kind -> rows in order."""
    merged: dict[str, list[dict[str, Any]]] = {kind: [] for kind in TABLES}
    protocol: dict[str, Any] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            part = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SchemaError(f"{path.name}: {error}") from None
        found = part.pop("protocol", {})
        if not isinstance(found, dict):
            raise SchemaError(f"{path.name}: protocol is a table, not {found!r}")
        protocol.update(found)
        for key, rows in part.items():
            if key not in merged or not isinstance(rows, list):
                raise SchemaError(f"{path.name}: unknown table {key!r}; known: {', '.join(merged)}")
            merged[key] += rows
    return protocol, merged


def canonical(protocol: dict[str, Any], merged: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The tables without their words: what the hash covers. Equal for schemas that describe the same wire."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(item) for key, item in value.items() if key not in ("doc", "unit")}
        return [bare(item) for item in value] if isinstance(value, list) else value

    stripped: dict[str, Any] = bare({"protocol": protocol, **merged})
    return stripped


def load_schema(folder: Path) -> dict[str, Any]:
    """The checked schema of a folder. Raises `SchemaError`."""
    return build_schema(*read_tables(folder))


def build_schema(protocol: dict[str, Any], merged: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The checked schema of raw tables: sizes, struct formats and ranges worked out. Raises `SchemaError`."""
    _check_all(protocol, merged)
    text = json.dumps(canonical(protocol, merged), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    enums = {e["name"]: e for e in merged["enum"]}
    for e in enums.values():
        check_enum(e, ENUM_BASES)
    structs: dict[str, Any] = {}
    for raw in merged["struct"]:
        structs[raw["name"]] = {"header": False, **_payload(raw, enums, structs)}
        if structs[raw["name"]]["older"]:
            raise SchemaError(f"{raw['name']}: a structure has no fields of a later version; it never changes")
    seen: set[str] = set()
    for service in merged["service"]:
        check_service(service, seen)
    return {
        "protocol": protocol, "constants": merged["constant"], "enums": list(enums.values()),
        "structs": [s for s in structs.values() if not s["header"]],
        "headers": [s for s in structs.values() if s["header"]],
        "messages": _messages(merged, enums, structs, protocol["minor"]), "services": merged["service"],
        "full_uuid": full_uuid, "hash": int.from_bytes(digest[:8], "little"),
    }  # fmt: skip
