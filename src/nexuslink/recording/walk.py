"""Walks the records of a session file from front to back, believing nothing.

Every length is held against the bytes that are there, every chunk and attachment against its CRC, every message
against its place in the channel's sequence, and nothing is unpacked beyond a bound. One record is in memory at a
time. What is wrong is a :class:`Flaw` with its position; what that means (a cut recording, a damaged file) is for the
reader to say. Nothing here knows what a message contains.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Iterator
from io import BytesIO
from typing import IO, NamedTuple

import zstandard
from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode

from nexuslink.recording.container import MAGIC, MAX_CHUNK_BYTES, MESSAGE_HEAD, RECORD_HEAD

MAX_RECORD_BYTES = MAX_CHUNK_BYTES + (1 << 20)
"""No record that is loaded may be larger; zstd adds a little to what it cannot compress."""
MAX_DEFINITIONS = 256
"""Schemas and channels in one file; ours has three of each."""

_CHUNK_HEAD = struct.Struct("<QQQII")
"""first and last log time, uncompressed size, CRC of the uncompressed data, length of the compression's name"""
_ATTACHMENT_TAIL = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")

_MESSAGE = int(Opcode.MESSAGE)
_LOADED = frozenset({Opcode.HEADER, Opcode.ATTACHMENT, Opcode.CHUNK, Opcode.DATA_END})
"""Records whose content matters; all others are stepped over."""


class Flaw(Exception):  # noqa: N818  (a finding, not an error: a cut recording has exactly one)
    """The file is not good from ``offset`` on. ``cut`` when it simply ends there."""

    def __init__(self, offset: int, what: str, cut: bool = False) -> None:
        super().__init__(f"{what} at byte {offset}")
        self.offset = offset
        self.what = what
        self.cut = cut


class RawMessage(NamedTuple):
    """A message, still packed."""

    channel_id: int
    log_ns: int
    payload: bytes


class Record(NamedTuple):
    """A record outside the chunks: where it is, what it is, and its content (empty if stepped over)."""

    opcode: int
    start: int
    end: int
    body: bytes


def walk_records(file: IO[bytes], end: int) -> Iterator[Record]:
    """The records from the magic up to ``end``, or through Data End; raises :class:`Flaw`."""
    file.seek(0)
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise Flaw(0, "no session starts", cut=MAGIC.startswith(magic))
    for record in walk_section(file, len(MAGIC), end, _LOADED):
        if record.opcode == Opcode.MESSAGE:
            raise Flaw(record.start, "a message outside a chunk")
        yield record
        if record.opcode == Opcode.DATA_END:
            return


def walk_section(file: IO[bytes], start: int, end: int, loaded: Container[int]) -> Iterator[Record]:
    """The records between two positions; those whose opcode is in ``loaded`` with their content."""
    at = start
    file.seek(at)
    while at < end:
        head = file.read(RECORD_HEAD.size)
        if len(head) < RECORD_HEAD.size:
            raise Flaw(at, "a record ends", cut=True)
        opcode, length = RECORD_HEAD.unpack(head)
        stop = at + RECORD_HEAD.size + length
        if stop > end:
            raise Flaw(at, "a record ends", cut=True)
        body = b""
        if opcode in loaded:
            if length > MAX_RECORD_BYTES:
                raise Flaw(at, f"a record claims {length} bytes, over the bound of {MAX_RECORD_BYTES},")
            body = file.read(length)
            if len(body) < length:
                raise Flaw(at, "a record ends", cut=True)
        else:
            file.seek(stop)
        yield Record(opcode, at, stop, body)
        at = stop


class Chunks:
    """Opens chunks and remembers what earlier ones defined: schemas, channels, sequence numbers."""

    def __init__(self) -> None:
        self.schemas: dict[int, records.Schema] = {}
        self.channels: dict[int, records.Channel] = {}
        self._sequence: dict[int, int] = {}
        self._decompressor = zstandard.ZstdDecompressor()

    def open(self, record: Record) -> list[RawMessage]:
        """The messages of a chunk, all or none; raises :class:`Flaw`."""
        content = _unpack_chunk(record, self._decompressor)
        size, head_size = len(content), RECORD_HEAD.size
        messages: list[RawMessage] = []
        sequence = dict(self._sequence)
        at = 0
        while at < size:
            if size - at < head_size:
                raise Flaw(record.start, "a damaged chunk")
            opcode, length = RECORD_HEAD.unpack_from(content, at)
            at += head_size
            if length > size - at:
                raise Flaw(record.start, "a damaged chunk")
            if opcode == _MESSAGE:
                messages.append(self._message(content[at : at + length], sequence, record.start))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._define(opcode, content[at : at + length], record.start)
            at += length
        self._sequence = sequence
        return messages

    def _message(self, body: bytes, sequence: dict[int, int], start: int) -> RawMessage:
        if len(body) < MESSAGE_HEAD.size:
            raise Flaw(start, "a damaged chunk")
        channel_id, number, log_ns, _ = MESSAGE_HEAD.unpack_from(body)
        if channel_id not in self.channels:
            raise Flaw(start, f"a message of an unnamed channel {channel_id}")
        wanted = sequence.get(channel_id, 0)
        if number != wanted & 0xFFFFFFFF:
            topic = self.channels[channel_id].topic
            raise Flaw(start, f"messages are missing before number {number} of {topic} (expected {wanted})")
        sequence[channel_id] = wanted + 1
        return RawMessage(channel_id, log_ns, body[MESSAGE_HEAD.size :])

    def _define(self, opcode: int, body: bytes, start: int) -> None:
        stream = ReadDataStream(BytesIO(body))
        try:
            if opcode == Opcode.SCHEMA:
                schema = records.Schema.read(stream)
                self.schemas[schema.id] = schema
            else:
                channel = records.Channel.read(stream)
                self.channels[channel.id] = channel
        except (McapError, struct.error, ValueError):
            raise Flaw(start, "a damaged schema or channel") from None
        if len(self.schemas) + len(self.channels) > MAX_DEFINITIONS:
            raise Flaw(start, f"more than {MAX_DEFINITIONS} schemas and channels")


def open_attachment(record: Record) -> tuple[str, bytes]:
    """Name and content of an attachment whose CRC is right; raises :class:`Flaw`."""
    body = record.body
    try:
        if zlib.crc32(body[: -_ATTACHMENT_TAIL.size]) != _ATTACHMENT_TAIL.unpack(body[-_ATTACHMENT_TAIL.size :])[0]:
            raise Flaw(record.start, "a damaged attachment (wrong CRC)")
        attachment = records.Attachment.read(ReadDataStream(BytesIO(body)))
    except (McapError, struct.error, ValueError):
        raise Flaw(record.start, "a damaged attachment") from None
    return attachment.name, attachment.data


def open_header(record: Record) -> str:
    """The profile that the file's MCAP header names; raises :class:`Flaw`."""
    try:
        profile: str = records.Header.read(ReadDataStream(BytesIO(record.body))).profile
    except (McapError, struct.error, ValueError):
        raise Flaw(record.start, "a damaged header") from None
    return profile


def _unpack_chunk(record: Record, decompressor: zstandard.ZstdDecompressor) -> bytes:
    """The chunk's content, checked against size, bound and CRC."""
    body = record.body
    try:
        _, _, size, crc, name_length = _CHUNK_HEAD.unpack_from(body)
        name_end = _CHUNK_HEAD.size + name_length
        compression = body[_CHUNK_HEAD.size : name_end]
        (length,) = _LENGTH.unpack_from(body, name_end)
    except struct.error:
        raise Flaw(record.start, "a damaged chunk") from None
    data = body[name_end + _LENGTH.size :]
    if len(data) != length:
        raise Flaw(record.start, "a damaged chunk")
    if size > MAX_CHUNK_BYTES:
        raise Flaw(record.start, f"a chunk claims {size} bytes unpacked, over the bound of {MAX_CHUNK_BYTES},")
    if compression == b"zstd":
        data = _decompress(data, size, record.start, decompressor)
    elif compression:
        raise Flaw(record.start, f"a chunk in the unknown compression {compression[:16].decode(errors='replace')!r}")
    if len(data) != size or zlib.crc32(data) != crc:
        raise Flaw(record.start, "a damaged chunk (wrong CRC)")
    return data


def _decompress(data: bytes, size: int, start: int, decompressor: zstandard.ZstdDecompressor) -> bytes:
    try:
        # A frame's own claim wins over max_output_size: refuse it before anything is allocated for it.
        if zstandard.frame_content_size(data) not in (-1, size):
            raise Flaw(start, "a damaged chunk (two sizes)")
        return decompressor.decompress(data, max_output_size=size)
    except zstandard.ZstdError:
        raise Flaw(start, "a damaged chunk (does not unpack)") from None
