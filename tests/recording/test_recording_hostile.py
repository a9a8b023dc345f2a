"""Files that are damaged, foreign or made to hurt: one line, never a wrong row, never much memory."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap import records
from mcap.data_stream import RecordBuilder
from mcap.writer import Writer
from recording_samples import HEADER, Sample, write_part, write_session

from nexuslink.recording import RecordingError
from nexuslink.recording.container import (
    HEADER_NAME,
    MAX_CHUNK_BYTES,
    Container,
    own_channels,
    own_schemas,
)
from nexuslink.recording.header import pack_header
from nexuslink.recording.messages import encode_chunk
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.walk import walk_records


def refused(path: Path, match: str) -> str:
    with pytest.raises(RecordingError, match=match) as caught:
        for _ in SessionReader(path).chunks():
            pass
    line = str(caught.value)
    assert "\n" not in line
    assert path.name in line
    assert line.count(";") >= 1  # where: what; what to do
    return line


def chunk_records(path: Path) -> list[tuple[int, int]]:
    with path.open("rb") as file:
        return [(r.start, r.end) for r in walk_records(file, path.stat().st_size) if r.opcode == 0x06]


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\xa5"])
def test_64_bytes_overwritten_in_mid_file(tmp_path: Path, where: float, fill: bytes) -> None:
    sample = Sample(200)
    path = write_session(tmp_path / "a.mcap", sample)
    raw = bytearray(path.read_bytes())
    chunks = chunk_records(path)
    start, end = chunks[int(len(chunks) * where)]
    at = (start + end) // 2
    raw[at : at + 64] = fill * 64
    path.write_bytes(raw)
    line = refused(path, "damaged")
    assert f"byte {start}" in line
    part = path.rename(tmp_path / "a.mcap.part")
    reader = SessionReader(part)
    assert reader.truncated
    assert reader.cut is not None
    assert f"byte {start}" in reader.cut
    read = list(reader.chunks())
    assert 0 < len(read) < len(sample.chunks)
    assert read == sample.chunks[: len(read)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_overwritten_byte_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    """Finished: refused. Part: what is given out is a beginning of what was recorded."""
    sample = Sample(60)
    path, part = tmp_path / "a.mcap", tmp_path / "b.mcap.part"
    if not path.exists():
        write_session(path, sample)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != whole[at]))
    damaged = whole[:at] + bytes((value,)) + whole[at + 1 :]
    other = tmp_path / "c.mcap"
    other.write_bytes(damaged)
    with pytest.raises(RecordingError):
        SessionReader(other)
    part.write_bytes(damaged)
    try:
        read = list(SessionReader(part).chunks())
    except RecordingError:
        return
    assert read == sample.chunks[: len(read)]


def test_a_chunk_that_is_gone_is_noticed_in_a_part(tmp_path: Path) -> None:
    """Every CRC is right; only the sequence numbers tell."""
    sample = Sample(120)
    part = write_part(tmp_path / "a.mcap", sample)
    raw = part.read_bytes()
    chunks = chunk_records(part)
    start, end = chunks[4]
    part.write_bytes(raw[:start] + raw[end:])
    reader = SessionReader(part)
    assert reader.cut is not None
    assert "missing" in reader.cut
    read = list(reader.chunks())
    assert 0 < len(read) < len(sample.chunks)
    assert read == sample.chunks[: len(read)]


# -- not ours ---------------------------------------------------------------------------------------------------------


def _stock(path: Path, profile: str) -> None:
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile=profile)
        schema = writer.register_schema("x", "jsonschema", b'{"type":"object"}')
        channel = writer.register_channel("/x", "json", schema)
        writer.add_message(channel, 1, b"{}", 1)
        writer.finish()


_NOT_OURS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "folder": (lambda path: path.mkdir(), "folder"),
    "text": (lambda path: path.write_text("time,force\n" * 500), "not a session"),
    "zeros": (lambda path: path.write_bytes(bytes(100_000)), "not a session"),
    "short": (lambda path: path.write_bytes(b"hi"), "not a session"),
    "foreign mcap": (lambda path: _stock(path, "ros2"), "not a nexuslink session"),
    "foreign mcap that borrows the profile": (lambda path: _stock(path, "nexuslink"), "header is missing"),
    "pipe": (os.mkfifo, "regular file"),
}


@pytest.mark.parametrize("suffix", [".mcap", ".mcap.part"])
@pytest.mark.parametrize("case", _NOT_OURS)
def test_not_a_session(tmp_path: Path, case: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    make, match = _NOT_OURS[case]
    make(path)
    refused(path, match)


def test_a_name_with_a_line_break_still_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordingError) as caught:
        SessionReader(tmp_path / "a\nb.mcap")
    assert "\n" not in str(caught.value)


# -- made by hand -----------------------------------------------------------------------------------------------------


def _make(path: Path, header: bytes, chunks: list[bytes], channels: list[records.Channel] | None = None) -> Path:
    """A complete file with right CRCs, written by the real container; ``chunks`` are raw records put in the middle."""
    with path.open("wb", buffering=0) as file:
        container = Container(file, BytesIO(), "test", own_schemas(), channels or own_channels())
        container.attach(HEADER_NAME, header)
        for n in range(5):
            container.add(1, n, encode_chunk(Sample(5).chunks[n]))
        container.seal()
        for raw in chunks:
            container._write_data(raw)
        container.finish()
    return path


def _chunk_record(data: bytes, size: int, crc: int, compression: str = "zstd") -> bytes:
    builder = RecordBuilder()
    records.Chunk(compression, data, 0, 0, crc, size).write(builder)
    return builder.end()


def test_the_hand_made_file_is_good_without_its_trick(tmp_path: Path) -> None:
    path = _make(tmp_path / "a.mcap", pack_header(HEADER), [])
    assert list(SessionReader(path).chunks()) == Sample(5).chunks


_BOMB = zstandard.ZstdCompressor().compress(bytes(512 << 20))
_BOMB_WITHOUT_SIZE = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(512 << 20))


@pytest.mark.parametrize(
    ("record", "match"),
    [
        (_chunk_record(_BOMB, 512 << 20, 0), "over the bound"),
        (_chunk_record(_BOMB, 4096, 0), "two sizes"),
        (_chunk_record(_BOMB_WITHOUT_SIZE, 4096, 0), "unpack"),
        (_chunk_record(_BOMB_WITHOUT_SIZE, MAX_CHUNK_BYTES, 0), "unpack"),
        (_chunk_record(b"", 2**63, 0), "over the bound"),
        (_chunk_record(bytes(10), 10, 0, "lz4"), "unknown compression"),
        (_chunk_record(bytes(10), 10, zlib.crc32(bytes(10)), ""), "damaged chunk"),
        (struct.pack("<BQ", 0x06, MAX_CHUNK_BYTES * 2) + bytes(MAX_CHUNK_BYTES * 2), "over the bound"),
        (struct.pack("<BQ", 0x06, 2**64 - 1), "cut|damaged"),
        (struct.pack("<BQ", 0x06, 3) + b"abc", "damaged chunk"),
        (struct.pack("<BQ", 0x05, 30) + bytes(30), "outside a chunk"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bombs_and_lies(tmp_path: Path, record: bytes, match: str) -> None:
    path = _make(tmp_path / "a.mcap", pack_header(HEADER), [record])
    tracemalloc.start()
    refused(path, match)
    part = path.rename(tmp_path / "a.mcap.part")
    reader = SessionReader(part)
    assert reader.truncated
    assert list(reader.chunks()) == Sample(5).chunks
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_unknown_channels_and_records_are_ignored(tmp_path: Path) -> None:
    extra = records.Channel(id=9, topic="/nexus/later", message_encoding="protobuf", metadata={"a": "b"}, schema_id=1)
    content = RecordBuilder()
    extra.write(content)
    records.Message(channel_id=9, sequence=0, log_time=1, publish_time=1, data=b"later").write(content)
    raw = content.end()
    unknown = struct.pack("<BQ", 0x7E, 4) + b"what"
    chunk = _chunk_record(zstandard.compress(raw), len(raw), zlib.crc32(raw))
    header = {**json.loads(pack_header(HEADER)), "schema": "1.9", "later": [1, 2]}
    path = _make(tmp_path / "a.mcap", json.dumps(header).encode(), [unknown, chunk])
    reader = SessionReader(path)
    assert reader.header == HEADER
    assert list(reader.chunks()) == Sample(5).chunks
    assert (list(reader.estimates()), list(reader.events())) == ([], [])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"schema": "2.0"}, r"session schema '2\.0', this program reads 1\.x"),
        ({"schema": None}, "session schema"),
        ({"boot_id": "7"}, "'boot_id' in its header is of the wrong type"),
        ({"boot_id": True}, "'boot_id' in its header is of the wrong type"),
        ({"info": "***"}, "'info' in its header is not base64"),
        ({"plan_toml": 3}, "'plan_toml'"),
    ],
)
def test_headers_that_cannot_be_understood(tmp_path: Path, change: dict[str, object], match: str) -> None:
    header = {**json.loads(pack_header(HEADER)), **change}
    refused(_make(tmp_path / "a.mcap", json.dumps(header).encode(), []), match)


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"{}", b"[" * 100_000, b"1"])
def test_headers_that_are_none(tmp_path: Path, text: bytes) -> None:
    refused(_make(tmp_path / "a.mcap", text, []), "header|schema")


def test_a_topic_that_holds_something_else(tmp_path: Path) -> None:
    channels = own_channels()
    channels[0].message_encoding = "json"
    refused(_make(tmp_path / "a.mcap", pack_header(HEADER), [], channels), "/nexus/chunks does not hold")


def test_estimates_with_columns_of_different_length(tmp_path: Path) -> None:
    payload = b"\x0a\x08" + bytes(8)  # one time, no columns
    path = tmp_path / "a.mcap"
    with path.open("wb", buffering=0) as file:
        container = Container(file, BytesIO(), "test", own_schemas(), own_channels())
        container.attach(HEADER_NAME, pack_header(HEADER))
        container.add(2, 0, payload)
        container.add(1, 0, b"\xff\xff\xff")
        container.finish()
    with pytest.raises(RecordingError, match="columns differ"):
        list(SessionReader(path).estimates())
    refused(path, r"not a nexuslink\.Chunk")


def test_a_summary_index_that_points_anywhere_is_refused(tmp_path: Path) -> None:
    """Right CRCs around wrong offsets: made by someone, not by an accident."""
    path = write_session(tmp_path / "a.mcap", Sample(20))
    rng = np.random.default_rng(3)
    whole = path.read_bytes()
    summary_start, offsets_start = struct.unpack_from("<QQ", whole, len(whole) - 28)
    for _ in range(200):
        raw = bytearray(whole)
        at = int(rng.integers(offsets_start, len(whole) - 37 - 8))
        raw[at : at + 8] = rng.bytes(8)
        crc = zlib.crc32(raw[summary_start : len(raw) - 12])
        struct.pack_into("<I", raw, len(raw) - 12, crc)
        path.write_bytes(raw)
        try:
            assert list(SessionReader(path).chunks()) == Sample(20).chunks
        except RecordingError as error:
            assert "\n" not in str(error)
