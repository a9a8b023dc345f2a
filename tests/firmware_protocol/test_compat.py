"""The rules of docs/versioning.md: one changed schema for each, refused or let through as the rule says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from generator import compat
from generator.errors import SchemaError
from generator.release import load_released
from generator.schema import build_schema, read_tables
from golden import PROTOCOL

Tables = dict[str, Any]
Edit = Callable[[Tables], None]


def _present() -> Tables:
    protocol, rows = read_tables(PROTOCOL / "schema")
    return {"protocol": protocol | {"major": 1, "minor": 0}, **rows}


RELEASED = _present()


def tables() -> Tables:
    return deepcopy(RELEASED)


def row(kind: str, name: str) -> Callable[[Tables], Any]:
    return lambda t: next(r for r in t[kind] if r["name"] == name)


def fields(table: str) -> Callable[[Tables], list[Any]]:
    return lambda t: next(r for r in t["struct"] + t["message"] if r["name"] == table)["fields"]


def change(where: Callable[[Tables], Any], **values: Any) -> Edit:
    return lambda t: where(t).update(values)


def drop(rows: Callable[[Tables], list[Any]], n: int) -> Edit:
    return lambda t: rows(t).pop(n) and None


def put(rows: Callable[[Tables], list[Any]], at: int | None, **new: Any) -> Edit:
    made = {"doc": "New."} | new
    return lambda t: rows(t).insert(len(rows(t)) if at is None else at, made)


def field(table: str, n: int) -> Callable[[Tables], Any]:
    return lambda t: fields(table)(t)[n]


def swap(table: str, a: int, b: int) -> Edit:
    def edit(t: Tables) -> None:
        rows = fields(table)(t)
        rows[a], rows[b] = rows[b], rows[a]

    return edit


def value(enum: str, name: str) -> Callable[[Tables], Any]:
    return lambda t: next(v for v in row("enum", enum)(t)["values"] if v["name"] == name)


def values(enum: str) -> Callable[[Tables], list[Any]]:
    return lambda t: row("enum", enum)(t)["values"]


def spans(enum: str) -> Callable[[Tables], list[Any]]:
    return lambda t: row("enum", enum)(t)["reserved"]


def kind(name: str) -> Callable[[Tables], list[Any]]:
    return lambda t: t[name]


def both(*edits: Edit) -> Edit:
    def edit(t: Tables) -> None:
        for one in edits:
            one(t)

    return edit


BREAKING: dict[str, tuple[Edit, str]] = {
    "a field is gone": (drop(fields("StatusMessage"), 3), "StatusMessage.produced: is gone or renamed"),
    "the last field is gone": (drop(fields("StatusMessage"), -1), "StatusMessage.errors: is gone"),
    "a field has another type": (change(field("TareResponse", 1), type="u32"), "TareResponse.samples: type u16"),
    "a field has another unit": (change(field("TareRequest", 0), unit="us"), "TareRequest.window_ms: unit ms"),
    "an array has grown": (change(field("TareResponse", 2), type="i32[3]"), "TareResponse.mean_counts: type i32[2]"),
    "fields have changed places": (swap("StatusMessage", 3, 4), "StatusMessage.produced: has moved"),
    "a field has another name": (change(field("StatusMessage", 3), name="made"), "StatusMessage.produced: is gone or"),
    "a field stands before the end": (
        put(fields("StatusMessage"), 2, name="wear", type="u8", since=1), "StatusMessage.wear: is inserted before"),
    "a new field without since": (
        put(fields("StatusMessage"), None, name="wear", type="u8"), "StatusMessage.wear: is new at the end, without"),
    "a range is narrower": (
        change(field("TareRequest", 0), range=[10, 1000]), "TareRequest.window_ms: range [10, 2000] has become"),
    "a range where there was none": (
        change(field("StatusMessage", 2), range=[0, 9]), "StatusMessage.temperature_cdeg: range open has become"),
    "a counted array holds more": (
        change(field("LogMessage", 3), maximum=121), "LogMessage.text: maximum 120 has become 121"),
    "a structure has grown": (
        put(fields("SessionTotals"), None, name="late", type="u32"), "SessionTotals.late: is new at the end"),
    "a structure's field has another type": (
        change(field("ChannelGroup", 2), type="f32"), "ChannelGroup.scale: type f64 has become f32"),
    "a message is gone": (drop(kind("message"), -1), "EventMessage: the message is gone"),
    "a message has another type": (
        both(change(row("message", "EventMessage"), type="FAULT"), drop(kind("message"), -2)), "EventMessage: type"),
    "a payload where there was none": (
        put(kind("message"), None, name="InfoRequest", direction="request", opcode="INFO",
            fields=[{"name": "page", "type": "u8", "doc": "Which."}]), "InfoRequest: gives INFO a payload"),
    "a value has another number": (change(value("Status", "BUSY"), value=0x40), "Status.BUSY: 8 has become 64"),
    "a value is gone": (drop(values("ErrorCode"), 2), "ErrorCode.SAMPLE_LATE: the value is gone"),
    "a value has another name": (change(value("EventKind", "TAP"), name="KNOCK"), "EventKind.TAP: the value is gone"),
    "an opcode's number has another meaning": (
        change(value("Opcode", "HAPTIC"), name="BUZZ"), "Opcode.HAPTIC: the value is gone"),
    "an enumeration is wider": (change(row("enum", "LogLevel"), base="u16"), "LogLevel: base u8 has become u16"),
    "flags that are none": (change(row("enum", "SelfTest"), flags=False), "SelfTest: flags True has become False"),
    "the vendors have less": (
        change(lambda t: spans("Opcode")(t)[-1], first=0x90), "Opcode 0x80 to 0xFF: is no longer reserved (Vendors.)"),
    "the vendors have nothing": (drop(spans("Quantity"), 0), "Quantity 0x80 to 0xFF: is no longer reserved"),
    "a number of theirs is taken": (
        both(put(values("ErrorCode"), None, name="X", value=0x8000),
             change(lambda t: spans("ErrorCode")(t)[0], first=0x8001)), "ErrorCode 0x8000 to 0xFFFF: is no longer"),
    "numbers for later versions are given up": (
        change(lambda t: spans("Opcode")(t)[1], first=0x20), "Opcode 0x14 to 0x7F: is no longer reserved for later"),
    "a limit is lower": (change(row("constant", "MAX_MESSAGE"), value=200), "MAX_MESSAGE: 244 has become 200"),
    "a limit is higher": (change(row("constant", "MAX_MESSAGE"), value=500), "MAX_MESSAGE: 244 has become 500"),
    "a tool keeps less": (change(row("constant", "CALIBRATION_MAX"), value=600), "CALIBRATION_MAX: 1024 has"),
    "a batch waits longer": (change(row("constant", "BATCH_FLUSH_US"), value=50000), "BATCH_FLUSH_US: 30000 has"),
    "a constant is gone": (drop(kind("constant"), -1), "MAX_CREEP_TERMS: the constant is gone"),
    "a constant has another unit": (change(row("constant", "UNLOCK_S"), unit="ms"), "UNLOCK_S: unit s has become ms"),
    "a characteristic more": (
        put(lambda t: t["service"][3]["characteristics"], None, name="POWER", uuid="2a1a", properties=["read"],
            encrypted=False), "BATTERY: the GATT table has changed"),
    "a characteristic's property": (
        change(lambda t: t["service"][0]["characteristics"][0], properties=["notify", "read"]), "NEXUS: the GATT"),
    "a service less": (drop(kind("service"), -1), "SMP: the GATT table has changed"),
    "services in another order": (lambda t: t["service"].reverse(), "NEXUS: the GATT table has changed"),
}  # fmt: skip

ADDITIVE: dict[str, tuple[Edit, str]] = {
    "a field at the end": (
        put(fields("StatusMessage"), None, name="wear", type="u8", since=1), "StatusMessage.wear: is new at the end"),
    "a field at the end of a request": (
        put(fields("ErrorsRequest"), None, name="most", type="u8", since=1), "ErrorsRequest.most: is new at the end"),
    "a field at the end of the record": (
        put(fields("CalibrationRecord"), None, name="note", type="char[8]", since=1), "CalibrationRecord.note: is new"),
    "a first payload": (
        put(kind("message"), None, name="InfoRequest", direction="request", opcode="INFO",
            fields=[{"name": "page", "type": "u8", "doc": "Which.", "since": 1}]), "InfoRequest: the message is new"),
    "a wider range": (change(field("TareRequest", 0), range=[5, 4000]), "TareRequest.window_ms: range"),
    "an open range": (lambda t: field("TareRequest", 0)(t).pop("range") and None, "TareRequest.window_ms: range"),
    "a new value": (put(values("ErrorCode"), None, name="MOTOR", value=9), "ErrorCode.MOTOR: the value is new"),
    "a new opcode, from the numbers kept for it": (
        both(put(values("Opcode"), None, name="SLEEP", value=0x14),
             change(lambda t: spans("Opcode")(t)[1], first=0x15)), "Opcode.SLEEP: the value is new"),
    "a new message": (
        both(put(values("MessageType"), None, name="TOUCH", value=0x15),
             change(lambda t: spans("MessageType")(t)[1], first=0x16),
             put(kind("message"), None, name="TouchMessage", direction="stream", type="TOUCH",
                 fields=[{"name": "t_us", "type": "u64", "doc": "When."}])), "TouchMessage: the message is new"),
    "a new structure": (
        put(kind("struct"), None, name="Point", fields=[{"name": "x", "type": "f32", "doc": "X."}]), "Point: the"),
    "a new enumeration": (
        put(kind("enum"), None, name="Mood", base="u8", values=[{"name": "CALM", "value": 1, "doc": "C."}]), "Mood: "),
    "a new constant": (put(kind("constant"), None, name="MAX_MOOD", value=3, unit="1"), "MAX_MOOD: the constant is"),
    "more numbers reserved": (
        put(lambda t: row("enum", "LogLevel")(t).setdefault("reserved", []), None, first=100, last=200),
        "LogLevel: reserved ranges have changed"),
    "a tool keeps more": (change(row("constant", "CALIBRATION_MAX"), value=2048), "CALIBRATION_MAX: 1024 has become"),
}  # fmt: skip

NEVER: dict[str, Edit] = {
    "a header has grown": put(fields("MessageHeader"), None, name="more", type="u8"),
    "a header's field has another type": change(field("DataHeader", 6), type="u32"),
    "a header's field has another name": change(field("RequestHeader", 5), name="token"),
    "HELLO begins otherwise": swap("HelloResponse", 0, 1),
    "HELLO has another number": change(value("Opcode", "HELLO"), value=0x40),
    "RESPONSE has another number": change(value("MessageType", "RESPONSE"), value=0x0E),
    "the refusal has another number": change(value("Status", "UNSUPPORTED_VERSION"), value=0x50),
    "the protocol has another name": lambda t: t["protocol"].update(name="other"),
}
FREE: dict[str, Edit] = {
    "nothing": lambda t: None,
    "other words": change(field("StatusMessage", 0), doc="The clock."),
    "other words of a reserved range": change(lambda t: spans("Opcode")(t)[2], doc="For vendors."),
}


def changed(edit: Edit, major: int, minor: int) -> Tables:
    made = tables()
    made["protocol"].update(major=major, minor=minor)
    edit(made)
    return made


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_needs_a_new_major(name: str) -> None:
    edit, place = BREAKING[name]
    for minor in (0, 1):
        lines = compat.problems([RELEASED], changed(edit, 1, minor))
        assert any(line.startswith(place) and line.endswith("that breaks 1.0 and needs version 2.0") for line in lines)
    assert compat.problems([RELEASED], changed(edit, 2, 0)) == []


@pytest.mark.parametrize("name", ADDITIVE)
def test_what_is_added_needs_a_new_minor(name: str) -> None:
    edit, place = ADDITIVE[name]
    lines = compat.problems([RELEASED], changed(edit, 1, 0))
    assert any(line.startswith(place) for line in lines)
    newer = changed(edit, 1, 1)
    assert compat.problems([RELEASED], newer) == []
    build_schema(newer["protocol"], {kind: newer[kind] for kind in newer if kind != "protocol"})  # it is a schema


@pytest.mark.parametrize("name", NEVER)
def test_what_no_version_may_change(name: str) -> None:
    for major, minor in ((1, 0), (1, 1), (2, 0)):
        lines = compat.problems([RELEASED], changed(NEVER[name], major, minor))
        assert any("must never change" in line for line in lines), lines


@pytest.mark.parametrize("name", FREE)
def test_words_are_free(name: str) -> None:
    assert compat.problems([RELEASED], changed(FREE[name], 1, 0)) == []


def test_versions_follow_each_other() -> None:
    for major, minor in ((0, 9), (1, 2), (2, 1), (3, 0)):
        (line,) = compat.problems([RELEASED], changed(FREE["nothing"], major, minor))
        assert line == f"protocol: version {major}.{minor} does not follow 1.0: 1.1 or 2.0"
    assert compat.problems([], changed(BREAKING["a value is gone"][0], 1, 0)) == []  # nothing is released yet


def test_a_number_is_never_used_again() -> None:
    second = changed(drop(values("Opcode"), -1), 2, 0)
    third = changed(both(drop(values("Opcode"), -1), put(values("Opcode"), None, name="SLEEP", value=0x13)), 2, 1)
    assert compat.problems([RELEASED, second], third) == [
        "Opcode.SLEEP: 19 was RESET in 1.0; a number is never used again"
    ]


def test_a_difference_that_no_rule_knows_is_refused() -> None:
    made = changed(lambda t: t["message"][0].update(urgent=True), 1, 1)
    assert compat.problems([RELEASED], made)[0].startswith("schema: differs in a place that no rule knows")


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the generator and what it writes."""
    root = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "firmware", "conformance", "released")
    shutil.copytree(PROTOCOL, root / "firmware_protocol", ignore=ignored)
    shutil.copytree(PROTOCOL.parent / "src/nexuslink/protocol", root / "src/nexuslink/protocol", ignore=ignored)
    return root


def generate(root: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(root / "firmware_protocol/generate.py"), *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def edit_text(root: Path, name: str, old: str, new: str) -> None:
    path = root / "firmware_protocol/schema" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_release_and_check(tree: Path) -> None:
    status, said = generate(tree, "--release")
    assert (status, said.splitlines()[0].split(":")[0]) == (0, "released firmware_protocol/released/1.0"), said
    status, said = generate(tree, "--release")
    assert (status, said) == (2, "schema: 1.0 is released already: give the schema a new version\n")

    edit_text(tree, "stream.toml", 'name = "value", type = "i32"', 'name = "value", type = "i16"')
    status, said = generate(tree, "--check")
    assert status == 1
    assert "schema: EventMessage.value: type i32 has become i16; that breaks 1.0 and needs version 2.0" in said
    assert "firmware_protocol/vectors/vectors.json is not current" in said


def test_a_damaged_release_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.0").mkdir()
    path = tmp_path / "1.0/schema.json"
    for text, said in (
        ("{", "not a released schema"),
        (json.dumps({"protocol": {"major": 1, "minor": 7}}), "says that it is"),
    ):
        path.write_text(text)
        with pytest.raises(SchemaError, match=said):
            load_released(tmp_path)
