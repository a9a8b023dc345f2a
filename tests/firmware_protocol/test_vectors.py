"""The Python codec against the golden vectors, both directions. The C codec runs the same file."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from zlib import crc32

import golden
import numpy as np
import pytest

from nexuslink.protocol import dtypes, envelope, messages
from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import MAX_MESSAGE, ChannelGroup, MessageType, SampleType, StreamDescriptor

TABLE = golden.load()
HEADERS = {
    "MessageHeader": messages.MESSAGE_HEADER, "RequestHeader": messages.REQUEST_HEADER,
    "ResponseHeader": messages.RESPONSE_HEADER, "DataHeader": messages.DATA_HEADER,
}  # fmt: skip


def names(rows: list[dict[str, Any]], key: str = "name") -> Any:
    return pytest.mark.parametrize("row", rows, ids=[row[key] for row in rows])


def check_case(cls: Any, case: dict[str, Any]) -> None:
    """One payload, from values to bytes and back."""
    message = golden.build(cls, case["rows"])
    assert message.pack().hex() == case["payload"], case["case"]
    again = cls.unpack(bytes.fromhex(case["payload"]))
    places = dict(golden.shown(again))
    assert list(places) == [place for place, _, _ in case["rows"]]
    for place, value, _ in case["rows"]:
        assert golden.same(places[place], golden.number(value)), (case["case"], place)
    assert "".join(row[2] for row in case["rows"]) == case["payload"]
    said = again.problem()
    assert (said and said.split(" ")[0]) == case["problem"], case["case"]


def test_the_file_is_of_this_schema() -> None:
    assert TABLE["schema_hash"] == f"{messages.SCHEMA_HASH:016x}"
    assert TABLE["protocol"] == [messages.PROTOCOL_MAJOR, messages.PROTOCOL_MINOR]
    assert golden.VECTORS.stat().st_size < 400_000


@names(TABLE["messages"])
def test_every_message(row: dict[str, Any]) -> None:
    cls = getattr(messages, row["name"])
    for case in row["cases"]:
        check_case(cls, case)
    assert row["cases"][0]["case"] == "typical" and row["cases"][0]["problem"] is None


@names(TABLE["messages"])
def test_what_is_no_such_message(row: dict[str, Any]) -> None:
    cls = getattr(messages, row["name"])
    for refused in row["refused"]:
        assert cls.unpack(bytes.fromhex(refused["payload"])) is None, refused["why"]
    pattern = bytes.fromhex(row["cases"][0]["payload"])
    assert all(cls.unpack(pattern[:n]) is None for n in range(row["size"]))


@names(TABLE["messages"])
def test_fields_that_a_newer_version_has_added(row: dict[str, Any]) -> None:
    cls, cases = getattr(messages, row["name"]), {case["case"]: case for case in row["cases"]}
    assert row["longer"]
    for longer in row["longer"]:
        message = cls.unpack(bytes.fromhex(longer["payload"]))
        assert message is not None
        assert message.pack().hex() == cases[longer["as"]]["payload"]


@names([row for row in TABLE["messages"] if row["ranges"]])
def test_ranges(row: dict[str, Any]) -> None:
    cls, typical = getattr(messages, row["name"]), bytes.fromhex(row["cases"][0]["payload"])
    for put in row["ranges"]:
        octets = bytes.fromhex(put["bytes"])
        message = cls.unpack(typical[: put["at"]] + octets + typical[put["at"] + len(octets) :])
        said = message.problem()
        assert (said and said.split(" ")[0]) == put["problem"], put


@names(TABLE["structs"])
def test_every_structure(row: dict[str, Any]) -> None:
    for case in row["cases"]:
        payload, values = bytes.fromhex(case["payload"]), [golden.number(value) for _, value, _ in case["rows"]]
        if row["name"] in HEADERS:
            assert HEADERS[row["name"]].pack(*values) == payload
            assert HEADERS[row["name"]].unpack(payload) == tuple(values)
            continue
        kind = getattr(dtypes, "".join("_" + c if c.isupper() else c for c in row["name"])[1:].upper())
        assert kind.itemsize == row["size"] == len(payload)
        found = np.frombuffer(payload, kind)[0]
        assert kind.names == tuple(place for place, _, _ in case["rows"])
        assert all(map(golden.same, (value.tolist() for value in found), values))


@names([row for row in TABLE["messages"] if row["direction"] != "record"])
def test_headers_and_frames(row: dict[str, Any]) -> None:
    for case in row["cases"]:
        payload, message = bytes.fromhex(case["payload"]), bytes.fromhex(case["message"])
        if row["direction"] == "request":
            opcode = messages.Opcode[row["opcode"]]
            assert envelope.pack_request(0x0201, 0x0403, opcode, payload) == message
            assert envelope.take_request(message) == envelope.Request(0x0201, 0x0403, opcode, payload)
        elif row["direction"] == "response":
            opcode, ok = messages.Opcode[row["opcode"]], messages.Status.OK
            assert envelope.pack_response(0x0201, 0x0403, opcode, ok, payload) == message
            assert envelope.take_response(message) == envelope.Response(0x0201, 0x0403, opcode, ok, payload)
        else:
            kind = MessageType[row["type"]]
            assert messages.MESSAGE_HEADER.pack(kind, 0, 0x0201) + payload == message
        assert frame(message).hex() == case["frame"]
        assert Deframer().feed(bytes.fromhex(case["frame"])) == [message + crc32(message).to_bytes(CRC_SIZE, "little")]


def descriptor(stream: int, sample_type: str, channels: int, rate_hz: float = 1000.0) -> StreamDescriptor:
    groups = (ChannelGroup(1, channels, 1.0, 1.0), ChannelGroup(0, 0, 0.0, 0.0))
    return StreamDescriptor(stream, 1, SampleType[sample_type], rate_hz, 0, groups, (1 << channels) - 1, 1.0, 1000.0)


@names(TABLE["data"], "case")
def test_data(row: dict[str, Any]) -> None:
    samples = np.array(row["samples"], dtypes.SAMPLES[SampleType[row["sample_type"]]])
    message = envelope.pack_data(
        row["seq"], row["stream"], row["count"], row["first_index"], row["t0_us"], samples.tobytes()
    )
    assert (message.hex(), frame(message).hex()) == (row["message"], row["frame"])
    decoder = Decoder()
    decoder.describe([descriptor(row["stream"], row["sample_type"], samples.shape[1])])
    decoder.begin()
    for seq in (0x7FFF, 0xFFFE):
        if seq < row["seq"]:  # a number is new up to half the way round
            decoder.feed(frame(messages.MESSAGE_HEADER.pack(0x7F, 0, seq)))
    (batch,) = decoder.feed(bytes.fromhex(row["frame"])).batches
    assert np.array_equal(batch.raw, samples) and batch.stream == row["stream"]
    assert batch.t_us[0] == row["t0_us"] & 0x7FFF_FFFF_FFFF_FFFF


def read(pieces: list[bytes]) -> tuple[list[str], dict[str, int]]:
    deframer = Deframer()
    found = [message[:-CRC_SIZE].hex() for piece in pieces for message in deframer.feed(piece)]
    c = deframer.counts
    return found, {"good": c.good, "bad_cobs": c.bad_cobs, "bad_crc": c.bad_crc, "bad_length": c.bad_length}


def check_frames(row: dict[str, Any]) -> None:
    stream = bytes.fromhex(row["bytes"])
    ends = [0, *row["cuts"], len(stream)]
    for cut in ([0, len(stream)], range(len(stream) + 1), ends, *([0, end, len(stream)] for end in row["cuts"])):
        found, counts = read([stream[a:b] for a, b in zip(cut, [*cut][1:], strict=False)])
        assert found == row["messages"], row["why"]
        if "bad" in row["counts"]:
            good = counts.pop("good")
            counts = {"good": good, "bad": sum(counts.values())}
        assert counts == row["counts"], (row["why"], list(cut)[:9])


@names(TABLE["frames"], "why")
def test_frames_cut_anywhere(row: dict[str, Any]) -> None:
    check_frames(row)


def check_session(row: dict[str, Any], framed: bool, at_once: bool) -> None:
    tiny = row["described"]
    decoder = Decoder(framed)
    decoder.describe([descriptor(tiny["stream"], tiny["sample_type"], tiny["channels"], tiny["rate_hz"])])
    decoder.begin()
    chunks = [bytes.fromhex(message) for _, message in row["messages"]]
    if framed:
        chunks = [frame(chunk) for chunk in chunks]
    if at_once:
        chunks = [b"".join(chunks)]
    batches = [batch for chunk in chunks for batch in decoder.feed(chunk).batches]
    link = decoder.link
    stream = link.streams[tiny["stream"]]
    counts = {name: getattr(link, name) for name in ("received", "lost", "duplicate", "late", "restarts")}
    counts |= {name: getattr(decoder.counts, name) for name in ("unknown_type", "malformed", "undescribed")}
    counts |= {"samples": stream.received, "samples_lost": stream.lost, "samples_overrun": stream.overrun}
    assert counts == row["counts"]
    if not at_once:  # neighbours are merged otherwise
        assert [batch.first_index for batch in batches] == row["first_index"]
        assert [int(batch.t_us[0]) for batch in batches] == row["t_us"]


@names(TABLE["sessions"], "why")
def test_numbers_that_wrap(row: dict[str, Any]) -> None:
    check_session(row, framed=False, at_once=False)
    check_session(row, framed=True, at_once=False)
    check_session(row, framed=True, at_once=True)


def test_a_changed_byte_shows() -> None:
    """Every byte of every payload matters to the checks above."""
    for row in TABLE["messages"]:
        case = deepcopy(row["cases"][0])
        octets = bytearray.fromhex(case["payload"])
        octets[len(octets) // 2] ^= 1
        case["payload"] = octets.hex()
        with pytest.raises(AssertionError):
            check_case(getattr(messages, row["name"]), case)
    for row in TABLE["frames"][:5]:
        octets = bytearray.fromhex(row["bytes"])
        octets[-5] ^= 1
        with pytest.raises(AssertionError):
            check_frames(row | {"bytes": octets.hex()})
    wrong = deepcopy(TABLE["sessions"][0])
    wrong["messages"][1][1] = wrong["messages"][1][1][:4] + "07" + wrong["messages"][1][1][6:]
    with pytest.raises(AssertionError):
        check_session(wrong, framed=False, at_once=False)


def test_the_longest_message_is_in_it() -> None:
    assert max(len(case["message"]) // 2 for row in TABLE["messages"] if row["direction"] != "record"
               for case in row["cases"]) <= MAX_MESSAGE  # fmt: skip
    assert any(len(row["message"]) // 2 == 242 for row in TABLE["data"])
