"""What the C templates need beyond the schema: names, declarations, layouts and range tests in C99.

Every message is carried by one routine in each direction that walks a small table of rows; a row is a run of
neighbouring fields of one size. That is much less code than a routine a message, and the bytes are still put and
taken one by one. Knows nothing of what the messages mean.
"""

from __future__ import annotations

import struct
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from generator.errors import SchemaError
from generator.names import snake
from generator.schema import CODES, FLOAT_LIMITS, Field

TYPES = {
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
    "i16": "int16_t", "i32": "int32_t", "i64": "int64_t", "f32": "float", "f64": "double",
}  # fmt: skip
INT_MAX = (1 << 31) - 1
FLOAT_MAX = {"f32": "FLT_MAX", "f64": "DBL_MAX"}
INTEGERS = {
    name: (0, (1 << 8 * size) - 1) if name[0] == "u" else (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1)
    for name, size in ((n, struct.calcsize(c)) for n, c in CODES.items() if n not in FLOAT_MAX)
}
"""Integer type -> its lowest and highest value."""
WORDS = frozenset("""
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    bool catch class delete export false friend mutable namespace new operator private protected public template this
    throw true try typename using virtual
""".split())  # fmt: skip  # noqa: SIM905
"""Not usable as a field in C, nor in a header that C++ reads."""


@dataclass(frozen=True)
class Row:
    """Neighbouring fields of one size."""

    first: str  # path of the first field inside the structure
    last: str  # and of the last one
    size: int  # bytes of one value
    count: int  # how many values
    tail: int  # values in the last field
    place: str  # path of the structure that they stand in


def c_type(f: Field) -> str:
    """Type of one element of a field."""
    return "char" if f.kind == "char" else f"struct nx_{snake(f.base)}" if f.kind == "struct" else TYPES[f.scalar]


def declaration(f: Field) -> str:
    """A field as a member of its structure."""
    many = f.maximum if f.count else f.length if f.array or f.kind == "char" else 0
    return f"{c_type(f)} {f.name}" + (f"[{many}]" if many else "")


def comment(text: str, indent: str = "") -> str:
    """Words as a C comment, in lines of at most 120 characters."""
    lines = textwrap.wrap(text.replace("*/", "* /"), 120 - len(indent) - 6)
    return indent + "/* " + f"\n{indent} * ".join(lines) + " */"


def remarked(code: str, text: str, indent: str = "    ") -> str:
    """Code with a comment: behind it where both fit one line, else above it."""
    line = f"{indent}{code} /* {text} */"
    return line if len(line) <= 120 else f"{comment(text, indent)}\n{indent}{code}"


def about(row: Field) -> str:
    """Meaning, unit and range of a field as a comment's words."""
    unit = f" Unit: {row.unit}." if row.unit and row.unit != "1" else ""
    ranged = row.low is not None and row.high != FLOAT_LIMITS.get(row.scalar)
    return row.doc + unit + (f" {row.low:g} to {row.high:g}." if ranged else "")


def _leaves(fields: list[Field], structs: dict[str, Any], prefix: str = "") -> Iterator[Row]:
    for f in fields:
        if f.count:
            continue
        if f.kind != "struct":
            size = f.size // f.length
            yield Row(prefix + f.name, prefix + f.name, size, f.length, f.length, prefix)
            continue
        for i in range(f.length):
            place = f"{prefix}{f.name}[{i}]." if f.array else f"{prefix}{f.name}."
            yield from _leaves(structs[f.base]["fields"], structs, place)


def rows(payload: dict[str, Any], structs: dict[str, Any]) -> list[Row]:
    """The fixed part of a payload, neighbours of one size joined; not over a border, where there may be padding."""
    joined: list[Row] = []
    for row in _leaves(payload["fields"], structs):
        before = joined[-1] if joined else None
        if before and (before.size, before.place) == (row.size, row.place) and before.count + row.count <= 255:
            joined[-1] = replace(before, last=row.last, count=before.count + row.count, tail=row.tail)
        else:
            joined.append(row)
    return joined


def _literal(value: float, scalar: str) -> str:
    if abs(value) == FLOAT_LIMITS[scalar]:
        return ("-" if value < 0 else "") + FLOAT_MAX[scalar]
    text = f"{value:.9g}" if scalar == "f32" else f"{value:.17g}"  # so many digits name one float
    return (text if "." in text or "e" in text else text + ".0") + ("f" if scalar == "f32" else "")


def tests(payload: dict[str, Any]) -> list[str]:
    """What must hold for the fields of a payload to be within their ranges, as conditions on ``m``."""
    made: list[str] = []
    for f in payload["fields"]:
        if not f.checked:
            continue
        name = f"m->{f.name}"
        if f.kind == "struct":
            call = f"valid_{snake(f.base)}"
            if f.count:
                raise SchemaError(f"{payload['name']}.{f.name}: C has no test for a counted array with ranges yet")
            made += [f"{call}(&{name}{f'[{i}]' if f.array else ''})" for i in range(f.length)]
        elif f.scalar in FLOAT_MAX:
            low, high = _literal(f.low, f.scalar), _literal(f.high, f.scalar)
            made.append(f"within_{f.scalar}({name if f.array else '&' + name}, {f.length}, {low}, {high})")
        else:
            lowest, highest = INTEGERS[f.scalar]
            suffix = "u" if lowest == 0 else ""
            places = [f"{name}[{i}]" for i in range(f.length)] if f.array else [name]
            for place in places:
                made += [f"{place} >= {f.low}{suffix}"] if f.low > lowest else []
                made += [f"{place} <= {f.high}{suffix}"] if f.high < highest else []
    return made


def uuid_macro(text: str) -> str:
    """A UUID as C wants it: a number if it is short, else its bytes as they travel, lowest first."""
    if len(text) == 4:
        return f"0x{text.upper()}u"
    octets = [f"0x{octet:02X}" for octet in reversed(bytes.fromhex(text.replace("-", "")))]
    return "\\\n    " + ", ".join(octets)


def each(payloads: Iterable[dict[str, Any]]) -> str:
    """The body of a macro that hands every name to another one, in lines of at most 116 characters."""
    lines = textwrap.wrap(" ".join(f"X({snake(payload['name'])})" for payload in payloads), 110)
    return " \\\n    ".join(lines)


def c_view(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the C templates want it. Raises `SchemaError` for what C cannot say."""
    structs = {s["name"]: s for s in schema["structs"]}
    own = [m for m in schema["messages"] if "same_as" not in m]
    for payload in [*schema["structs"], *schema["headers"], *own]:
        for f in payload["fields"]:
            if f.name in WORDS:
                raise SchemaError(
                    f"{payload['name']}.{f.name}: {f.name!r} is a word of C or C++, a field needs another"
                )
    for enum in schema["enums"]:
        for value in enum["values"]:
            if value["value"] > INT_MAX:
                raise SchemaError(
                    f"{enum['name']}.{value['name']}: {value['value']} is more than an enumeration of C holds"
                )
    elements = {m["counted"].base for m in own if m["counted"] and m["counted"].kind == "struct"}
    payloads = [*schema["headers"], *(s for s in schema["structs"] if s["name"] in elements), *own]
    return {
        **schema,
        "payloads": payloads, "own": own, "elements": elements,
        "same": [m for m in schema["messages"] if "same_as" in m],
        "rows": lambda payload: rows(payload, structs), "tests": tests, "declaration": declaration, "about": about,
        "comment": comment, "remarked": remarked,
        "uuid_macro": uuid_macro, "each": each,
        "scalars": {f.scalar for p in [*schema["structs"], *own] for f in p["fields"] if f.checked},
    }  # fmt: skip
