#!/usr/bin/env python3
"""Schema in, code and reference out: the only way in which the wire gets into a program.

Reads ``schema/*.toml``, checks it, and writes the Python codec and the reference tables. ``--check`` writes
nothing and fails where a committed file is not what the schema says. Knows nothing of nexuslink at run time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import keyword
import re
import struct
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUTPUTS = {
    "messages.py.j2": ROOT / "src/nexuslink/protocol/messages.py",
    "reference.md.j2": HERE / "docs/reference.md",
}
CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i16": "h", "i32": "i", "i64": "q", "f32": "f", "f64": "d"}
ENUM_BASES = ("u8", "u16", "u32")
TYPE = re.compile(r"^(?P<base>\w+)(\[(?P<length>[1-9]\d{0,3})\])?$")
DIRECTIONS = ("request", "response", "stream")

Shape = dict[str, type]
SHAPES: dict[str, tuple[Shape, Shape]] = {
    "protocol": ({"name": str, "major": int, "minor": int, "doc": str}, {}),
    "constant": ({"name": str, "value": int, "unit": str, "doc": str}, {}),
    "enum": ({"name": str, "base": str, "doc": str, "values": list}, {"flags": bool}),
    "value": ({"name": str, "value": int, "doc": str}, {}),
    "struct": ({"name": str, "doc": str, "fields": list}, {}),
    "message": ({"name": str, "doc": str, "direction": str}, {"fields": list, "opcode": str, "type": str}),
    "field": ({"name": str, "type": str, "doc": str}, {"unit": str, "range": list, "count": str, "maximum": int}),
}
"""Table or row -> the keys that it must have, the keys that it may have."""


class SchemaError(Exception):
    """The schema is not usable; the message names the place."""


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
    code: str  # struct format, without byte order; "" for a counted array
    size: int  # bytes; of one element for a counted array
    count: str  # name of the counting field; "" if none
    maximum: int

    @property
    def python(self) -> str:
        """Python annotation. Enumerations travel as int, so that values of a newer minor version survive."""
        if self.kind == "char":
            return "str"
        item = self.base if self.kind == "struct" else ("float" if self.base in ("f32", "f64") else "int")
        return f"tuple[{item}, ...]" if self.array or self.count else item

    @property
    def values(self) -> int:
        """How many values ``struct`` yields for one element of this field."""
        if self.kind == "char":
            return 1
        return self.length * (leaf_count(self.base) if self.kind == "struct" else 1)


_leaves: dict[str, int] = {}


def leaf_count(name: str) -> int:
    """Number of scalar values in a structure."""
    return _leaves[name]


def _check(kind: str, raw: Any, where: str) -> None:
    """A row has the keys of its shape, each of the right type, and a name that can be one in a program."""
    required, optional = SHAPES[kind]
    if not isinstance(raw, dict):
        raise SchemaError(f"{where}: a {kind} is a table, not {raw!r}")
    place = f"{where}.{raw['name']}" if isinstance(raw.get("name"), str) and raw["name"] != where else where
    known = required | optional
    for key, value in raw.items():
        if key not in known:
            raise SchemaError(f"{place}: unknown key {key!r}; known: {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise SchemaError(f"{place}: {key} = {value!r} is not of type {known[key].__name__}")
    for key in required:
        if raw.get(key) in (None, "", []):
            raise SchemaError(f"{place}: a {kind} has no {key!r}")
    if not raw["name"].isidentifier() or keyword.iskeyword(raw["name"]):
        raise SchemaError(f"{where}: {raw['name']!r} cannot be a name")


def _check_all(protocol: dict[str, Any], merged: dict[str, list[Any]]) -> None:
    _check("protocol", protocol, "protocol")
    names: set[str] = set()
    for kind, rows in merged.items():
        for number, raw in enumerate(rows, 1):
            _check(kind, raw, raw["name"] if isinstance(raw, dict) and raw.get("name") else f"{kind} number {number}")
            if raw["name"] in names:
                raise SchemaError(f"{raw['name']}: two tables share this name")
            names.add(raw["name"])
    if "MAX_MESSAGE" not in (c["name"] for c in merged["constant"]):
        raise SchemaError("there is no constant MAX_MESSAGE, the limit of every message")


def _check_enum(enum: dict[str, Any]) -> None:
    for value in enum["values"]:
        _check("value", value, enum["name"])
    if enum["base"] not in ENUM_BASES:
        raise SchemaError(f"{enum['name']}: base {enum['base']!r} is none of {', '.join(ENUM_BASES)}")
    for key in ("name", "value"):
        used = [v[key] for v in enum["values"]]
        if len(set(used)) != len(used):
            raise SchemaError(f"{enum['name']}: a {key} is used twice")
    limit = 1 << 8 * struct.calcsize("<" + CODES[enum["base"]])
    for value in enum["values"]:
        if not 0 <= value["value"] < limit:
            raise SchemaError(f"{enum['name']}.{value['name']}: {value['value']} does not fit {enum['base']}")


def _check_message(message: dict[str, Any], enums: dict[str, Any]) -> None:
    if message["direction"] not in DIRECTIONS:
        raise SchemaError(f"{message['name']}: direction is none of {', '.join(DIRECTIONS)}")
    if ("opcode" in message) == ("type" in message):
        raise SchemaError(f"{message['name']}: a message has either an opcode or a type")
    for key, enum in (("opcode", "Opcode"), ("type", "MessageType")):
        names = [v["name"] for v in enums[enum]["values"]] if enum in enums else []
        if key in message and message[key] not in names:
            raise SchemaError(f"{message['name']}: {key} {message[key]!r} is not in {enum}")


def _field(raw: dict[str, Any], where: str, enums: dict[str, Any], structs: dict[str, Any]) -> Field:
    _check("field", raw, where)
    match = TYPE.match(raw["type"])
    if match is None:
        raise SchemaError(f"{where}.{raw['name']}: cannot read type {raw['type']!r}")
    base, length = match["base"], int(match["length"] or 1)
    if base == "char":
        kind, code = "char", f"{length}s"
    elif base in CODES:
        kind, code = "scalar", CODES[base] * length
    elif base in enums:
        kind, code = "enum", CODES[enums[base]["base"]] * length
    elif base in structs:
        kind, code = "struct", structs[base]["code"] * length
    else:
        raise SchemaError(f"{where}.{raw['name']}: unknown type {base!r}")
    count = raw.get("count", "")
    return Field(
        name=raw["name"], doc=raw["doc"], unit=raw.get("unit", ""), type=raw["type"], base=base, length=length,
        array=match["length"] is not None and kind != "char", kind=kind, code="" if count else code,
        size=struct.calcsize("<" + code), count=count, maximum=int(raw.get("maximum", 0)),
    )  # fmt: skip


def _payload(raw: dict[str, Any], enums: dict[str, Any], structs: dict[str, Any]) -> dict[str, Any]:
    fields = [_field(f, raw["name"], enums, structs) for f in raw.get("fields", [])]
    names = [f.name for f in fields]
    if len(set(names)) != len(names):
        raise SchemaError(f"{raw['name']}: two fields share a name")
    for f in fields:
        if f.count and (f is not fields[-1] or f.count not in names or not f.maximum):
            raise SchemaError(f"{raw['name']}.{f.name}: a counted array is the last field, has a maximum and a counter")
    code = "".join(f.code for f in fields)
    return {**raw, "fields": fields, "code": code, "size": struct.calcsize("<" + code)}


def load_schema(folder: Path) -> dict[str, Any]:
    """The checked schema, with sizes and struct formats worked out."""
    merged: dict[str, list[dict[str, Any]]] = {"constant": [], "enum": [], "struct": [], "message": []}
    protocol: dict[str, Any] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            part = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise SchemaError(f"{path.name}: {error}") from None
        protocol.update(part.pop("protocol", {}))
        for key, rows in part.items():
            if key not in merged or not isinstance(rows, list):
                raise SchemaError(f"{path.name}: unknown table {key!r}; known: {', '.join(merged)}")
            merged[key] += rows
    _check_all(protocol, merged)
    canonical = json.dumps({"protocol": protocol, **merged}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()

    enums = {e["name"]: e for e in merged["enum"]}
    for e in enums.values():
        _check_enum(e)
    structs: dict[str, Any] = {}
    for raw in merged["struct"]:
        made = _payload(raw, enums, structs)
        structs[raw["name"]] = made
        _leaves[raw["name"]] = sum(f.values for f in made["fields"])
    for raw in merged["message"]:
        _check_message(raw, enums)
    messages = [_payload(raw, enums, structs) for raw in merged["message"]]
    limit = next(c["value"] for c in merged["constant"] if c["name"] == "MAX_MESSAGE")
    for m in messages:
        longest = 8 + m["size"] + sum(f.maximum * f.size for f in m["fields"] if f.count)
        if longest > limit:
            raise SchemaError(f"{m['name']}: {longest} bytes with its header, the limit is {limit}")
    return {
        "protocol": protocol, "constants": merged["constant"], "enums": list(enums.values()),
        "structs": list(structs.values()), "messages": messages, "hash": int.from_bytes(digest[:8], "little"),
    }  # fmt: skip


def render(schema: dict[str, Any]) -> dict[Path, str]:
    """Output path -> text."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    env = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
                             undefined=jinja2.StrictUndefined)  # fmt: skip
    return {path: env.get_template(name).render(**schema) for name, path in OUTPUTS.items()}


def main() -> int:
    """Generate, or with ``--check`` compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a committed file is not current")
    check = parser.parse_args().check
    try:
        outputs = render(load_schema(HERE / "schema"))
    except SchemaError as error:
        print(f"schema: {error}", file=sys.stderr)
        return 2
    stale = [p for p, text in outputs.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is not current: run python firmware_protocol/generate.py", file=sys.stderr)
        else:
            path.write_text(text := outputs[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)} ({len(text.splitlines())} lines)")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
