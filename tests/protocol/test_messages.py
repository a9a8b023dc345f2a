"""Payloads there and back, with values made from the schema itself: the generated code is not asked what it expects."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.protocol import dtypes, envelope, messages
from nexuslink.protocol.messages import MAX_MESSAGE, ErrorsResponse, SampleType, Status

SCHEMA = Path(__file__).resolve().parents[2] / "firmware_protocol" / "schema"
PARTS = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(SCHEMA.glob("*.toml"))]
ENUMS = {row["name"]: row for part in PARTS for row in part.get("enum", [])}
STRUCTS = {row["name"]: row for part in PARTS for row in part.get("struct", []) if not row.get("header")}
MESSAGES = {row["name"]: row for part in PARTS for row in part.get("message", [])}
for _row in MESSAGES.values():
    if "same_as" in _row:
        _row["fields"] = MESSAGES[_row["same_as"]]["fields"]
HEADERS = {"request": 8, "response": 8, "stream": 4}
INTEGERS = {f"u{b}": (0, 2**b - 1) for b in (8, 16, 32, 64)} | {f"i{b}": (-(2 ** (b - 1)), 2 ** (b - 1) - 1)
                                                               for b in (16, 32, 64)}  # fmt: skip
SIZES = {"u8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8, "char": 1}
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
every_message = pytest.mark.parametrize("name", MESSAGES)


def split(kind: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\w+?)(?:\[(\d+)\])?", kind)
    assert match is not None
    return match[1], int(match[2]) if match[2] else None


def one(base: str) -> st.SearchStrategy[Any]:
    """Any value of a type; an enumeration travels as any number of its width."""
    if base in STRUCTS:
        return made(base, STRUCTS[base])
    base = ENUMS[base]["base"] if base in ENUMS else base
    if base in INTEGERS:
        return st.integers(*INTEGERS[base])
    return st.floats(width=int(base[1:]), allow_nan=False)


def made(name: str, row: dict[str, Any]) -> st.SearchStrategy[Any]:
    values: dict[str, st.SearchStrategy[Any]] = {}
    counted = next((f for f in row["fields"] if "count" in f), None)
    for field in row["fields"]:
        base, length = split(field["type"])
        if field is counted:
            values[field["name"]] = (
                st.binary(max_size=field["maximum"])
                if base == "u8"
                else st.lists(one(base), max_size=field["maximum"]).map(tuple)
            )
        elif base == "char":
            values[field["name"]] = st.text(PRINTABLE, max_size=length)
        elif length is not None:
            values[field["name"]] = st.tuples(*[one(base)] * length)
        elif counted is None or field["name"] != counted["count"]:
            values[field["name"]] = one(base)
    cls = getattr(messages, name)
    if counted is None:
        return st.builds(cls, **values)
    return st.fixed_dictionaries(values).map(lambda v: cls(**v, **{counted["count"]: len(v[counted["name"]])}))


def size(row: dict[str, Any]) -> int:
    """Bytes without what is counted."""
    total = 0
    for field in row["fields"]:
        base, length = split(field["type"])
        if "count" not in field:
            base = ENUMS[base]["base"] if base in ENUMS else base
            total += (size(STRUCTS[base]) if base in STRUCTS else SIZES[base]) * (length or 1)
    return total


STRATEGIES = {name: made(name, row) for name, row in MESSAGES.items()}


def test_the_schema_and_the_code_have_the_same_messages() -> None:
    classes = {n for n, v in vars(messages).items() if is_dataclass(v) and hasattr(v, "unpack")}
    assert classes == set(MESSAGES)
    for name, row in (MESSAGES | STRUCTS).items():
        assert [f.name for f in fields(getattr(messages, name))] == [f["name"] for f in row["fields"]]
    for name, row in ENUMS.items():
        assert {m.name: m.value for m in getattr(messages, name)} == {v["name"]: v["value"] for v in row["values"]}


@every_message
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_there_and_back(name: str, data: st.DataObject) -> None:
    message = data.draw(STRATEGIES[name])
    packed = message.pack()
    cls = type(message)
    assert cls.unpack(packed) == message
    more = sum(
        len(getattr(message, f["name"])) * (1 if f["type"] == "u8" else size(STRUCTS[split(f["type"])[0]]))
        for f in MESSAGES[name]["fields"]
        if "count" in f
    )
    assert len(packed) == size(MESSAGES[name]) + more
    direction = MESSAGES[name]["direction"]
    if direction == "record":
        assert len(packed) <= messages.CALIBRATION_MAX
    else:
        assert len(packed) + HEADERS[direction] <= MAX_MESSAGE


@every_message
@given(st.data(), st.binary(min_size=1, max_size=40))
@settings(max_examples=6, deadline=None)
def test_a_newer_minor_version_may_be_longer(name: str, data: st.DataObject, more: bytes) -> None:
    message = data.draw(STRATEGIES[name])
    assert type(message).unpack(message.pack() + more) == message


@every_message
@given(st.data())
@settings(max_examples=6, deadline=None)
def test_every_shorter_payload_is_none(name: str, data: st.DataObject) -> None:
    message = data.draw(STRATEGIES[name])
    packed = message.pack()
    assert [type(message).unpack(packed[:n]) for n in range(len(packed))] == [None] * len(packed)


@every_message
@given(st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_no_bytes_raise(name: str, payload: bytes) -> None:
    message = getattr(messages, name).unpack(payload)
    counted = any("count" in f for f in MESSAGES[name]["fields"])
    assert (message is None) == (len(payload) < size(MESSAGES[name])) or counted
    if message is not None:
        message.problem()  # nor does judging them


@pytest.mark.parametrize("count", [4, 5, 255])
def test_a_count_out_of_range_is_none_even_with_the_bytes(count: int) -> None:
    reports = bytes(255 * size(STRUCTS["ErrorReport"]))
    assert ErrorsResponse.unpack(bytes([9, 0, count]) + reports) is None
    full = ErrorsResponse.unpack(bytes([9, 0, 3]) + reports)
    assert full is not None and len(full.reports) == 3
    assert ErrorsResponse.unpack(bytes([9, 0, 3]) + reports[:47]) is None


def test_a_value_out_of_its_range_is_named_wherever_it_is() -> None:
    good = messages.HapticRequest(1, 100, 5000)
    assert good.problem() is None
    assert replace(good, duration_ms=5001).problem() == "duration_ms is 5001 ms, allowed is 0 to 5000"
    zeros = messages.CalibrationRecord.unpack(bytes(size(MESSAGES["CalibrationRecord"])))
    assert zeros is not None
    record = replace(zeros, record_version=1, gravity_m_s2=9.81)
    assert record.problem() is None
    tips = (record.force[0], replace(record.force[1], axis=(0.0, math.nan, 1.0)))
    assert replace(record, force=tips).problem() == "force[1].axis[1] is nan, allowed is -1.001 to 1.001"
    assert "temperature_c is inf" in (replace(record, temperature_c=math.inf).problem() or "")


def test_a_text_with_foreign_bytes_is_readable() -> None:
    hello = bytearray(36)
    hello[14:30] = b"CN-\xff\n\x1b[2J\x7fA\0BBB"[:16].ljust(16, b"\0")
    unpacked = messages.HelloResponse.unpack(bytes(hello))
    assert unpacked is not None and unpacked.serial_number == "CN-???[2J?A"


def test_a_text_that_is_too_long_or_foreign_packs_all_the_same() -> None:
    hello = messages.HelloResponse(1, 0, 2, 3, "sérial" * 9, 0, 244)
    assert len(hello.pack()) == size(MESSAGES["HelloResponse"])
    unpacked = messages.HelloResponse.unpack(hello.pack())
    assert unpacked is not None and unpacked.serial_number == ("s?rial" * 9)[:16]


# -- the envelope -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 255), st.binary(max_size=236))
@settings(max_examples=50, deadline=None)
def test_requests_and_responses_there_and_back(seq: int, request_id: int, opcode: int, payload: bytes) -> None:
    request = envelope.take_request(envelope.pack_request(seq, request_id, opcode, payload))
    assert request == envelope.Request(seq, request_id, opcode, payload)
    response = envelope.take_response(envelope.pack_response(seq, request_id, opcode, Status.FAILED, payload))
    assert response == envelope.Response(seq, request_id, opcode, Status.FAILED, payload)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_the_envelope_takes_any_bytes(message: bytes) -> None:
    taken = [take(message) for take in (envelope.take_request, envelope.take_response, envelope.take_stream)]
    assert sum(t is not None for t in taken) <= 1


@pytest.mark.parametrize("sample_type", SampleType)
@pytest.mark.parametrize("channels", [1, 2, 6, 56, 113, 255])
@pytest.mark.parametrize("limit", [20, 64, MAX_MESSAGE])
def test_as_many_samples_as_fit_a_message_and_no_more(sample_type: SampleType, channels: int, limit: int) -> None:
    count = envelope.samples_per_message(sample_type, channels, limit)
    row = bytes(dtypes.SAMPLES[sample_type].itemsize * channels)
    assert count == 0 or len(envelope.pack_data(0, 0, count, 0, 0, row * count)) <= limit
    assert len(messages.DATA_HEADER.pack(0, 0, 0, 0, 0, 0, 0) + row * (count + 1)) > limit
