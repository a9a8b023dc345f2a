"""What may change from one version of the wire to the next, and the check that nothing else has.

The rules are in docs/versioning.md, the released schemas in released/MAJOR.MINOR. `changes` lists what differs,
`problems` judges it by the version numbers. Works on raw tables (`schema.read_tables`): words are free, everything
else is compared. It must never decide by what a program happens to do with a field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from generator.schema import canonical

Row = dict[str, Any]
Tables = dict[str, Any]
"""``protocol`` and kind -> rows, as they stand in the files."""


class Level(IntEnum):
    """What a change asks for."""

    ADDITIVE = 1
    """A new minor version: who knows nothing of it reads on as before."""
    BREAKING = 2
    """A new major version."""
    NEVER = 3
    """No version may do it: it is how two ends of different majors refuse each other."""


@dataclass(frozen=True)
class Change:
    """One difference between two schemas."""

    place: str
    what: str
    level: Level


CONSTANT_RULES = {
    "CALIBRATION_MAX": "may rise",  # an older tool refuses what it cannot keep
    "MIN_LINK_MESSAGE": "may fall",
    "MAX_PENDING": "may rise",  # an older tool says BUSY
    "BATCH_FLUSH_US": "may fall",
    "UNLOCK_S": "may change",  # UNLOCK's response says it
    "UNLOCK_TRIES": "may change",
}
"""Every constant that is not here keeps its value within a major version."""
FOR_EVER = {"MessageType": ("REQUEST", "RESPONSE"), "Opcode": ("HELLO",), "Status": ("OK", "UNSUPPORTED_VERSION")}
"""Numbers by which any two versions meet."""
FIRST_FIELDS = {"HelloRequest": 2, "HelloResponse": 2}
"""So many fields of these messages stay for ever: the version numbers."""
LAYOUT = ("type", "unit", "count", "maximum")


def _by_name(rows: Iterable[Row]) -> dict[str, Row]:
    return {row["name"]: row for row in rows}


def _pairs(old: Iterable[Row], new: Iterable[Row]) -> Iterator[tuple[str, Row | None, Row | None]]:
    """Rows of the same name, the old ones first, then what is new."""
    before, after = _by_name(old), _by_name(new)
    for name in [*before, *(name for name in after if name not in before)]:
        yield name, before.get(name), after.get(name)


def _alone(kind: str, name: str, after: Row | None, gone: Level = Level.BREAKING) -> Change:
    """What stands in one of the two schemas only."""
    return (
        Change(name, f"the {kind} is gone", gone)
        if after is None
        else Change(name, f"the {kind} is new", Level.ADDITIVE)
    )


# -- constants, enumerations ------------------------------------------------------------------------------------------


def _constants(old: list[Row], new: list[Row]) -> Iterator[Change]:
    for name, before, after in _pairs(old, new):
        if before is None or after is None:
            yield _alone("constant", name, after)
            continue
        if before["unit"] != after["unit"]:
            yield Change(name, f"unit {before['unit']} has become {after['unit']}", Level.BREAKING)
        was, now = before["value"], after["value"]
        if was != now:
            rule = CONSTANT_RULES.get(name, "")
            allowed = rule in ("may change", "may rise" if now > was else "may fall")
            level = Level.ADDITIVE if allowed else Level.BREAKING
            yield Change(name, f"{was} has become {now}" + (f" ({rule})" if rule else ""), level)


def _is_later(span: Row) -> bool:
    """A reserved range that later versions of the protocol itself may take numbers from."""
    return "later versions" in span["doc"].lower()


def _reserved(enum: str, old: Row, new: Row) -> Iterator[Change]:
    values = {v["value"] for v in new["values"]}
    kept = [(s["first"], s["last"]) for s in new.get("reserved", []) if not _is_later(s)]
    still = [(s["first"], s["last"]) for s in new.get("reserved", [])]
    for span in old.get("reserved", []):
        first, last = span["first"], span["last"]
        place = f"{enum} 0x{first:X} to 0x{last:X}"
        if not _is_later(span):
            if not any(a <= first and last <= b for a, b in kept):
                yield Change(place, f"is no longer reserved ({span['doc']})", Level.BREAKING)
        elif any(n not in values and not any(a <= n <= b for a, b in still) for n in range(first, last + 1)):
            yield Change(place, "is no longer reserved for later versions, and not all of it is used", Level.BREAKING)
    if [(s["first"], s["last"]) for s in old.get("reserved", [])] != still:
        yield Change(enum, "reserved ranges have changed", Level.ADDITIVE)


def _enums(old: list[Row], new: list[Row]) -> Iterator[Change]:
    for name, before, after in _pairs(old, new):
        if before is None or after is None:
            yield _alone("enumeration", name, after)
            continue
        for key in ("base", "flags"):
            if before.get(key) != after.get(key):
                yield Change(name, f"{key} {before.get(key)} has become {after.get(key)}", Level.BREAKING)
        for value, was, now in _pairs(before["values"], after["values"]):
            level = Level.NEVER if value in FOR_EVER.get(name, ()) else Level.BREAKING
            place = f"{name}.{value}"
            if now is None:
                yield Change(place, "the value is gone", level)
            elif was is None:
                yield Change(place, "the value is new", Level.ADDITIVE)
            elif was["value"] != now["value"]:
                yield Change(place, f"{was['value']} has become {now['value']}", level)
        yield from _reserved(name, before, after)


# -- fields -----------------------------------------------------------------------------------------------------------


def _range(place: str, was: list[float] | None, now: list[float] | None, level: Level) -> Iterator[Change]:
    if was == now:
        return
    if now is None or (was is not None and now[0] <= was[0] and was[1] <= now[1]):
        yield Change(place, f"range {was} has become {now or 'open'}", Level.ADDITIVE)
    else:
        yield Change(place, f"range {was or 'open'} has become {now}, which is narrower", level)


def _fields(place: str, old: list[Row], new: list[Row], minor: int, level: Level) -> Iterator[Change]:
    """``level``: what an added field asks for; ADDITIVE in messages only."""
    fixed = max(level, Level.BREAKING)
    names_before, names_after = [f["name"] for f in old], [f["name"] for f in new]
    for n, (was, now) in enumerate(zip(old, new, strict=False)):
        here = f"{place}.{was['name']}"
        these = Level.NEVER if n < FIRST_FIELDS.get(place, 0) else fixed
        if was["name"] != now["name"]:
            if was["name"] not in names_after:
                what = f"is gone or renamed: {now['name']} stands there"
            elif now["name"] not in names_before:
                here, what = f"{place}.{now['name']}", f"is inserted before {was['name']}"
            else:
                what = f"has moved: {now['name']} stands there"
            yield Change(here, what, these)
            return  # what follows has moved
        for key in LAYOUT:
            if was.get(key) != now.get(key):
                yield Change(here, f"{key} {was.get(key, 'none')} has become {now.get(key, 'none')}", these)
        if was.get("since", 0) != now.get("since", 0):
            yield Change(here, f"since {was.get('since', 0)} has become {now.get('since', 0)}", these)
        yield from _range(here, was.get("range"), now.get("range"), these)
    for gone in old[len(new) :]:
        yield Change(f"{place}.{gone['name']}", "is gone", fixed)
    for added in new[len(old) :]:
        here = f"{place}.{added['name']}"
        if level is Level.ADDITIVE and added.get("since") != minor:
            yield Change(here, f"is new at the end, without since = {minor}: older payloads would be refused", fixed)
        else:
            yield Change(here, "is new at the end", level)


def _structs(old: list[Row], new: list[Row], minor: int) -> Iterator[Change]:
    for name, before, after in _pairs(old, new):
        if before is None or after is None:
            header = before is not None and before.get("header")
            yield _alone("structure", name, after, Level.NEVER if header else Level.BREAKING)
            continue
        if before.get("header", False) != after.get("header", False):
            yield Change(name, "has become a header, or is none any more", Level.NEVER)
        level = Level.NEVER if before.get("header") else Level.BREAKING
        yield from _fields(name, before["fields"], after["fields"], minor, level)


def _messages(old: list[Row], new: list[Row], minor: int) -> Iterator[Change]:
    before_all, after_all = _by_name(old), _by_name(new)
    for name, before, after in _pairs(old, new):
        fixed = Level.NEVER if name in FIRST_FIELDS else Level.BREAKING
        if before is None or after is None:
            yield _alone("message", name, after, fixed)
            if after is not None:
                yield from _late_payload(name, after, old, minor, _payload(after, after_all))
            continue
        for key in ("direction", "opcode", "type"):
            if before.get(key) != after.get(key):
                yield Change(name, f"{key} {before.get(key)} has become {after.get(key)}", fixed)
        yield from _fields(name, _payload(before, before_all), _payload(after, after_all), minor, Level.ADDITIVE)


def _payload(message: Row, all_messages: dict[str, Row]) -> list[Row]:
    """The fields, also where another message has them."""
    found: list[Row] = all_messages[message["same_as"]]["fields"] if "same_as" in message else message["fields"]
    return found


def _late_payload(name: str, message: Row, old: list[Row], minor: int, fields: list[Row]) -> Iterator[Change]:
    """A new table for an opcode that went without: all its fields came later."""
    known = any(m.get("opcode") == message.get("opcode") for m in old) if "opcode" in message else False
    if known and any(f.get("since") != minor for f in fields):
        what = f"gives {message['opcode']} a payload that it never had, without since = {minor} in every field"
        yield Change(name, what, Level.BREAKING)


# -- the whole --------------------------------------------------------------------------------------------------------


def changes(old: Tables, new: Tables) -> list[Change]:
    """Every difference that is more than words, in the order of the schema's tables."""
    minor = new["protocol"]["minor"]
    found = [
        *_constants(old["constant"], new["constant"]),
        *_enums(old["enum"], new["enum"]),
        *_structs(old["struct"], new["struct"], minor),
        *_messages(old["message"], new["message"], minor),
    ]
    if old["protocol"]["name"] != new["protocol"]["name"]:
        found.append(Change("protocol", "has another name", Level.NEVER))
    if _bare(old)["service"] != _bare(new)["service"]:
        found.append(
            Change(_service(old, new), "the GATT table has changed: bonded hosts have it cached", Level.BREAKING)
        )
    if not found and _bare(old) != _bare(new):
        found.append(Change("schema", "differs in a place that no rule knows", Level.BREAKING))
    return found


def _bare(tables: Tables) -> Tables:
    """Without words and without the version number."""
    rows = {kind: rows for kind, rows in tables.items() if kind != "protocol"}
    return canonical({"name": tables["protocol"]["name"]}, rows)


def _service(old: Tables, new: Tables) -> str:
    before, after = _bare(old)["service"], _bare(new)["service"]
    for was, now in zip(before, after, strict=False):
        if was != now:
            return str(was["name"])
    return str((before + after)[min(len(before), len(after))]["name"])


def version(tables: Tables) -> tuple[int, int]:
    """(major, minor)."""
    return tables["protocol"]["major"], tables["protocol"]["minor"]


def problems(released: list[Tables], new: Tables) -> list[str]:
    """One line for everything that the version number does not allow; empty: all is well.

    ``released``: every released schema, the latest one last.
    """
    if not released:
        return []
    old = released[-1]
    was_major, was_minor = version(old)
    major, minor = version(new)
    was, next_minor, next_major = f"{was_major}.{was_minor}", f"{was_major}.{was_minor + 1}", f"{was_major + 1}.0"
    allowed = {was: 0, next_minor: Level.ADDITIVE, next_major: Level.BREAKING}.get(f"{major}.{minor}")
    if allowed is None:
        return [f"protocol: version {major}.{minor} does not follow {was}: {next_minor} or {next_major}"]
    needed = {
        Level.ADDITIVE: f"that is more than {was} and needs version {next_minor}",
        Level.BREAKING: f"that breaks {was} and needs version {next_major}",
        Level.NEVER: f"that must never change ({was} has it)",
    }
    lines = [f"{c.place}: {c.what}; {needed[c.level]}" for c in changes(old, new) if c.level > allowed]
    return lines + _reused(released, new)


def _reused(released: list[Tables], new: Tables) -> list[str]:
    """Numbers that meant something else in any released version, whatever the major."""
    lines = []
    for tables in released[:-1]:
        before = {e["name"]: {v["value"]: v["name"] for v in e["values"]} for e in tables["enum"]}
        for enum in new["enum"]:
            for value in enum["values"]:
                had = before.get(enum["name"], {}).get(value["value"])
                if had not in (None, value["name"]):
                    major, minor = version(tables)
                    lines.append(f"{enum['name']}.{value['name']}: {value['value']} was {had} in {major}.{minor}; "
                                 "a number is never used again")  # fmt: skip
    return lines
