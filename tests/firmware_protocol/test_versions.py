"""Ten years of versions: today's code reads a newer minor, a newer minor's code reads today's, and every released
version's recordings are read for ever.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import golden
import pytest
from generator import release, vectors
from generator.names import snake
from generator.play import play
from generator.render import OUTPUTS, template
from generator.schema import build_schema, load_schema, read_tables
from generator.wire import framed, response, stream_message

from nexuslink.protocol import messages
from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.envelope import take_request, take_response, take_stream
from nexuslink.protocol.framing import CRC_SIZE, Deframer
from nexuslink.protocol.messages import MessageType, Opcode, StreamDescriptor

SCHEMA = golden.PROTOCOL / "schema"
RELEASED = golden.PROTOCOL / "released"


def row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(r for r in rows if r["name"] == name)


@pytest.fixture(scope="module")
def newer() -> dict[str, Any]:
    """The next minor version, as it might be: fields at the end, a new message, new opcodes and values."""
    protocol, tables = deepcopy(read_tables(SCHEMA))
    minor = protocol["minor"] = protocol["minor"] + 1
    for table, fields in {
        "StatusMessage": ("wear u8", "note char[6]"), "HelloResponse": ("features u64",), "ErrorsRequest": ("most u8",),
        "CalibrationRecord": ("strain f32[3]",), "StreamDescriptor": ("delay_us u32",), "FaultMessage": ("place u16",),
    }.items():  # fmt: skip
        for name, kind in (field.split() for field in fields):
            new = {"name": name, "type": kind, "since": minor, "doc": "New."}
            row(tables["message"], table)["fields"].append(new)
    kinds = row(tables["enum"], "MessageType")
    kinds["values"].append({"name": "TOUCH", "value": 0x15, "doc": "New."})
    kinds["reserved"][1]["first"] = 0x16
    opcodes = row(tables["enum"], "Opcode")
    opcodes["values"].append({"name": "SLEEP", "value": 0x14, "doc": "New."})
    opcodes["reserved"][1]["first"] = 0x15
    row(tables["enum"], "ErrorCode")["values"].append({"name": "MOTOR", "value": 9, "doc": "New."})
    row(tables["enum"], "EventKind")["values"].append({"name": "DROP", "value": 3, "doc": "New."})
    touch = [{"name": "t_us", "type": "u64", "doc": "When."}]
    page = [{"name": "page", "type": "u8", "since": minor, "doc": "Which."}]
    tables["message"] += [
        {"name": "TouchMessage", "direction": "stream", "type": "TOUCH", "doc": "New.", "fields": touch},
        {"name": "SleepRequest", "direction": "request", "opcode": "SLEEP", "doc": "New.", "fields": touch},
        {"name": "InfoRequest", "direction": "request", "opcode": "INFO", "doc": "New.", "fields": page},
    ]
    return build_schema(protocol, tables)


def values_at(message: Any, places: list[str]) -> list[Any]:
    found = dict(golden.shown(message))
    return [found[place] for place in places]


def test_today_reads_a_newer_minor(newer: dict[str, Any]) -> None:
    table = vectors.table_of(newer)
    longer = 0
    for made in table["messages"]:
        cls = getattr(messages, made["name"], None)
        if cls is None:
            assert made["name"] in ("TouchMessage", "SleepRequest", "InfoRequest")
            continue
        for case in made["cases"]:
            payload = bytes.fromhex(case["payload"])
            known = cls.unpack(payload)
            assert known is not None
            rows = {place: golden.number(value) for place, value, _ in case["rows"]}
            found = dict(golden.shown(known))
            assert set(found) <= set(rows)
            assert all(golden.same(found[place], rows[place]) for place in found), (made["name"], case["case"])
            longer += len(known.pack()) < len(payload)
    assert longer > 30  # or there was nothing new in it


def test_today_skips_and_counts_what_it_does_not_know(newer: dict[str, Any]) -> None:
    table = {made["name"]: made for made in vectors.table_of(newer)["messages"]}

    def payload(name: str) -> bytes:
        return bytes.fromhex(table[name]["cases"][0]["payload"])

    sent = [
        response(0, 1, Opcode.HELLO, 0, payload("HelloResponse")),
        stream_message(0x15, 0, payload("TouchMessage")),
        stream_message(MessageType.STATUS, 1, payload("StatusMessage")),
        stream_message(MessageType.FAULT, 2, payload("FaultMessage")),
        stream_message(MessageType.EVENT, 3, payload("EventMessage")),
        stream_message(0x15, 4, payload("TouchMessage")),
        stream_message(0x90, 77, b"a vendor's"),
        response(1, 2, 0x14, 0, payload("SleepRequest")),
        stream_message(MessageType.STATUS, 5, payload("StatusMessage")),
        response(2, 3, Opcode.INFO, 0x40, b""),
    ]
    for at_once in (False, True):
        decoder = Decoder()
        decoder.begin()
        frames = [framed(message) for message in sent]
        chunks = [b"".join(frames)] if at_once else frames
        decoded = [decoder.feed(chunk) for chunk in chunks]
        assert [s.t_us for d in decoded for s in d.statuses] == [42, 42]
        assert [type(n).__name__ for d in decoded for n in d.notices] == ["FaultMessage", "EventMessage"]
        assert [(r.opcode, r.status) for d in decoded for r in d.responses] == [(1, 0), (0x14, 0), (2, 0x40)]
        assert (decoder.counts.unknown_type, decoder.counts.malformed, decoder.frames.bad) == (3, 0, 0)
        assert (decoder.link.received, decoder.link.lost) == (6, 0)
    fault = messages.FaultMessage.unpack(payload("FaultMessage"))
    assert fault is not None and fault.report.code == 9  # a value that today has no name for


@pytest.fixture
def later(newer: dict[str, Any]) -> Iterator[ModuleType]:
    """The next minor version's generated codec."""
    module = ModuleType("later_messages")
    sys.modules[module.__name__] = module
    exec(template("messages.py.j2")(newer), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_a_newer_minor_reads_today(later: ModuleType, newer: dict[str, Any]) -> None:
    """What is missing at the end is zero; any other shorter payload is none."""
    tables = {m["name"]: m for m in newer["messages"]}
    grown = Counter[str]()
    for made in golden.load()["messages"]:
        cls = getattr(later, made["name"])
        for case in made["cases"]:
            payload = bytes.fromhex(case["payload"])
            known = cls.unpack(payload)
            assert known is not None, made["name"]
            assert known.pack()[: len(payload)] == payload
            assert not any(known.pack()[len(payload) :])
            grown[made["name"]] += len(known.pack()) > len(payload)
        allowed = tables[made["name"]]["older"]
        for size in range(tables[made["name"]]["size"]):
            assert (cls.unpack(bytes(size)) is not None) == (size in allowed), (made["name"], size)
    assert {name for name, n in grown.items() if n} == {
        "StatusMessage", "HelloResponse", "ErrorsRequest", "CalibrationRecord", "StreamDescriptor", "ConfigureResponse",
        "FaultMessage",
    }  # fmt: skip
    assert later.InfoRequest.unpack(b"") == later.InfoRequest(page=0)  # today's INFO has no payload


def test_a_newer_minor_in_c_reads_today(newer: dict[str, Any], tmp_path: Path) -> None:
    """The same of the generated C: it reads today's payload and puts it back with zeros at its end."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here: `./run test --emulated` installs one on Debian")
    for path, renderer in OUTPUTS.items():
        if path.parent.name == "c":
            (tmp_path / path.name).write_text(renderer(newer), encoding="utf-8")
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-fPIC", "-shared"]
    subprocess.run([*command, "nexus_messages.c", "-o", "codec.so"], cwd=tmp_path, check=True, timeout=60)
    codec = ctypes.CDLL(str(tmp_path / "codec.so"))
    tables = {m["name"]: m for m in newer["messages"]}
    for made in golden.load()["messages"]:
        table = tables[made["name"]]
        if not table["older"] or "same_as" in table:
            continue
        name, size = snake(made["name"]), table["size"]
        get, put = getattr(codec, f"nx_get_{name}"), getattr(codec, f"nx_put_{name}")
        get.restype, put.restype = ctypes.c_bool, ctypes.c_size_t
        put.argtypes = get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        message, out = ctypes.create_string_buffer(4096), ctypes.create_string_buffer(size)
        for case in made["cases"]:
            payload = bytes.fromhex(case["payload"])
            assert get(message, payload, len(payload))
            assert put(message, ctypes.cast(out, ctypes.c_char_p), size) == size
            assert out.raw == payload.ljust(size, b"\0")
        assert [n for n in range(size) if get(message, bytes(n), n)] == table["older"]


# -- recordings -------------------------------------------------------------------------------------------------------


def check_rows(name: str, payload: bytes, values: dict[str, Any]) -> None:
    """A payload decodes to the values that it had when it was recorded."""
    message = getattr(messages, name).unpack(payload)
    assert message is not None, name
    found = dict(golden.shown(message))
    for place, value in values.items():
        assert golden.same(found[place], golden.number(value)), (name, place)


def check_recording(folder: Path) -> Counter[str]:
    """Everything in ``folder`` decodes to what its stream.json says; how often each message came."""
    expected = json.loads((folder / "stream.json").read_text(encoding="utf-8"))
    seen = Counter[str]()
    for name, key in (("host.bin", "host"), ("stream.bin", "stream")):
        deframer, rows = Deframer(), iter(expected[key])
        octets = (folder / name).read_bytes()
        for at in range(0, len(octets), 1000):
            for whole in deframer.feed(octets[at : at + 1000]):
                message = whole[:-CRC_SIZE]
                if message[0] == MessageType.DATA:
                    continue
                what, status, values = next(rows)
                seen[what] += 1
                control = take_request(message) or take_response(message)
                if control is None:
                    assert take_stream(message) is not None
                payload = message[4:] if control is None else control.payload
                assert status is None or messages.Status[status] == control.status  # type: ignore[union-attr]
                assert bool(values) == bool(payload)
                if values:
                    check_rows(what, payload, values)
        assert next(rows, None) is None
        assert (deframer.counts.good, deframer.counts.bad) == (expected["frames"][name], 0)
    check_rows("CalibrationRecord", bytes.fromhex(expected["record"]["hex"]), expected["record"]["values"])
    seen["CalibrationRecord"] += 1
    assert check_samples(folder) == expected["streams"]
    return seen


def check_samples(folder: Path) -> dict[str, Any]:
    """DATA through the host's decoder, summed up as stream.json has it."""
    decoder, sessions = Decoder(), 0
    streams: dict[int, StreamDescriptor] = {}
    found: dict[str, Any] = {}
    for frame in (folder / "stream.bin").read_bytes().split(b"\0")[:-1]:
        decoded = decoder.feed(frame + b"\0")
        for answer in decoded.responses:
            if answer.opcode in (Opcode.DESCRIBE, Opcode.CONFIGURE) and answer.status == 0:
                described = StreamDescriptor.unpack(answer.payload)
                assert described is not None
                streams[described.stream] = described
                decoder.describe(streams.values())
            if answer.opcode == Opcode.START and answer.status == 0:
                sessions += 1
                decoder.begin()
        for batch in decoded.batches:
            channels = batch.raw.shape[1]
            mine = found.setdefault(f"stream {batch.stream} session {sessions}", {
                "messages": 0, "samples": 0, "sums": [0] * channels, "first_index": 0, "t0_us": 0,
            })  # fmt: skip
            mine["messages"] += 1
            mine["samples"] += len(batch.raw)
            mine["sums"] = [
                a + b for a, b in zip(mine["sums"], batch.raw.sum(axis=0, dtype="i8").tolist(), strict=True)
            ]
            mine["first_index"] += batch.first_index
            mine["t0_us"] += int(batch.t_us[0])
    assert (decoder.counts.malformed, decoder.counts.undescribed, decoder.frames.bad) == (0, 0, 0)
    return found


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The present schema as a release."""
    protocol, tables = read_tables(SCHEMA)
    return release.freeze(load_schema(SCHEMA), {"protocol": protocol, **tables}, tmp_path_factory.mktemp("released"))


def test_a_recording_of_today_has_every_message_in_it(frozen: Path) -> None:
    seen = check_recording(frozen)
    assert {m["name"] for m in load_schema(SCHEMA)["messages"]} - set(seen) == set()
    assert {"0x7e request", "0xfe request"} <= set(seen)
    assert len((frozen / "stream.bin").read_bytes()) < 60_000


def test_the_same_session_again_gives_the_same_bytes(frozen: Path) -> None:
    host, stream, _ = play(load_schema(SCHEMA))
    assert (frozen / "host.bin").read_bytes() == host
    assert (frozen / "stream.bin").read_bytes() == stream


def test_a_changed_recording_shows(frozen: Path, tmp_path: Path) -> None:
    text = (frozen / "stream.json").read_text()
    for name in ("host.bin", "stream.bin", "stream.json"):
        (tmp_path / name).write_bytes((frozen / name).read_bytes())
    changes = (('"sums": [', '"sums": [1'), ('"level": 10', '"level": 11'), ('{"host.bin": ', '{"host.bin": 1'))
    for old, new in changes:
        assert old in text
        (tmp_path / "stream.json").write_text(text.replace(old, new, 1))
        with pytest.raises(AssertionError):
            check_recording(tmp_path)
    (tmp_path / "stream.json").write_text(text)
    octets = bytearray((frozen / "stream.bin").read_bytes())
    octets[5000] ^= 1
    (tmp_path / "stream.bin").write_bytes(octets)
    with pytest.raises(AssertionError):
        check_recording(tmp_path)


@pytest.mark.parametrize("folder", sorted(RELEASED.glob("*.*")), ids=lambda folder: folder.name)
def test_every_released_version_is_read_for_ever(folder: Path) -> None:
    check_recording(folder)
    for made in golden.load(folder / "vectors.json")["messages"]:
        cls = getattr(messages, made["name"])
        for case in made["cases"]:
            check_rows(made["name"], bytes.fromhex(case["payload"]), {place: value for place, value, _ in case["rows"]})
        for refused in made["refused"]:
            assert cls.unpack(bytes.fromhex(refused["payload"])) is None
