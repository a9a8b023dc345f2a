"""Reads a session: what was sent, what was estimated, what happened.

A finished file is held against its own CRC before the first row is given out: a damaged one is refused, with the
place. A ``.part`` file is what a killed program left: it is read up to its last whole chunk. Reading streams: memory
does not grow with the file. This file gives out what was recorded and never interprets it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO, Any, TypeVar

from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording.container import DATA_END, FOOTER, HEADER_NAME, MAGIC, PROFILE, RECORD_HEAD, SUMMARY_NAME
from nexuslink.recording.errors import RecordingError, from_disk
from nexuslink.recording.files import PART_SUFFIX, is_part
from nexuslink.recording.header import HeaderError, SessionHeader, unpack_header
from nexuslink.recording.messages import (
    TOPICS,
    Channel,
    EstimateRows,
    MessageError,
    SessionEvent,
    decode_chunk,
    decode_event,
    decode_rows,
    schema_name,
)
from nexuslink.recording.walk import (
    Chunks,
    Flaw,
    RawMessage,
    Record,
    open_attachment,
    open_header,
    walk_records,
    walk_section,
)

_T = TypeVar("_T")

_BUFFER_BYTES = 256 << 10
_END_BYTES = FOOTER.size + len(MAGIC)
_FOREIGN_DO = "name a session recorded by nexuslink"
_DAMAGED_DO = f"copy it again from where it came; renamed to end in {PART_SUFFIX} it can be read up to there"
_CUT_DO = f"rename it to end in {PART_SUFFIX} to read what is whole"


class SessionReader:
    """One session file, finished or ``.part``. The iterators may be used any number of times, also side by side."""

    header: SessionHeader
    truncated: bool
    """True for a ``.part`` file that ends, or is damaged, before its proper end."""
    cut: str | None
    """Why it is truncated and where; None if it is not."""
    summary: dict[str, Any] | None
    """What ``finish`` was given."""
    schemas: dict[int, records.Schema]
    channels: dict[int, records.Channel]

    def __init__(self, path: Path) -> None:
        """Check the file; raises :class:`RecordingError` for one that is missing, foreign, damaged or cut."""
        self.path = path
        self.truncated = False
        self.cut = None
        self.summary = None
        self.schemas, self.channels = {}, {}
        self._part = is_part(path)
        try:
            with self._open() as file:
                self._size = file.seek(0, 2)
                self._end = self._size
                self._read_header(file)
                if self._part:
                    self._survey(file)
                else:
                    self._check_whole(file)
        except OSError as error:
            raise from_disk(path, error) from None

    def chunks(self) -> Iterator[Chunk]:
        """The raw chunks, ticks included, as recorded."""
        return self._decoded(Channel.CHUNKS, decode_chunk)

    def estimates(self) -> Iterator[EstimateRows]:
        """The estimates, batch by batch."""
        return self._decoded(Channel.ESTIMATES, decode_rows)

    def events(self) -> Iterator[SessionEvent]:
        """What happened, in order."""
        return self._decoded(Channel.EVENTS, decode_event)

    def messages(self) -> Iterator[tuple[RawMessage, Chunks]]:
        """Every message still packed, with what the file has said about channels so far."""
        chunks = Chunks()
        try:
            with self._open() as file:
                for record in walk_records(file, self._end):
                    if record.opcode == Opcode.CHUNK:
                        for message in chunks.open(record):
                            yield message, chunks
        except Flaw as flaw:
            raise self._refusal(flaw) from None
        except OSError as error:
            raise from_disk(self.path, error) from None

    def _decoded(self, channel: Channel, decode: Callable[[bytes], _T]) -> Iterator[_T]:
        topic, known = TOPICS[channel], None
        for message, chunks in self.messages():
            if message.channel_id != known:
                named = chunks.channels[message.channel_id]
                if named.topic != topic:
                    continue
                schema = chunks.schemas.get(named.schema_id)
                if named.message_encoding != "protobuf" or schema is None or schema.name != schema_name(channel):
                    raise RecordingError(self.path, f"{topic} does not hold {schema_name(channel)}", _FOREIGN_DO)
                known = message.channel_id
            try:
                yield decode(message.payload)
            except MessageError as error:
                raise RecordingError(self.path, f"{topic} holds {error}", _FOREIGN_DO) from None

    def _open(self) -> IO[bytes]:
        mode = self.path.stat().st_mode
        if S_ISDIR(mode):
            raise RecordingError(self.path, "this is a folder", "name a session file inside it")
        if not S_ISREG(mode):  # opening a pipe could wait for ever
            raise RecordingError(self.path, "this is not a regular file", _FOREIGN_DO)
        return self.path.open("rb", buffering=_BUFFER_BYTES)

    def _refusal(self, flaw: Flaw) -> RecordingError:
        if flaw.cut:
            return RecordingError(self.path, f"the file is cut short: {flaw}", _CUT_DO)
        return RecordingError(self.path, f"the file is damaged: {flaw}", _DAMAGED_DO)

    def _read_header(self, file: IO[bytes]) -> None:
        """The first two records: who wrote it, and the session's header."""
        if not self._size:
            raise RecordingError(self.path, "the file is empty", "nothing was recorded; delete it")
        walk = walk_records(file, self._size)
        try:
            first = next(walk, None)
            if first is None:
                raise Flaw(len(MAGIC), "nothing follows", cut=True)
            if first.opcode != Opcode.HEADER or open_header(first) != PROFILE:
                raise RecordingError(self.path, "an MCAP file, but not a nexuslink session", _FOREIGN_DO)
            second = next(walk, None)
            if second is None or second.opcode != Opcode.ATTACHMENT:
                raise Flaw(first.end, "the session's header is missing", cut=second is None)
            name, text = open_attachment(second)
            if name != HEADER_NAME:
                raise Flaw(first.end, "the session's header is missing")
            self.header = unpack_header(text)
        except Flaw as flaw:
            if not flaw.offset and not flaw.cut:
                raise RecordingError(self.path, "not a session file", _FOREIGN_DO) from None
            if flaw.cut and self._part:
                raise RecordingError(
                    self.path, "the file is cut before its header was whole", "nothing was recorded; delete it"
                ) from None
            raise self._refusal(flaw) from None
        except HeaderError as error:
            raise RecordingError(self.path, str(error), "read it with the nexuslink that recorded it") from None

    def _survey(self, file: IO[bytes]) -> None:
        """A ``.part`` file: find the last whole chunk, the summary, and whether it was in fact complete."""
        chunks = Chunks()
        good = len(MAGIC)
        ended = False
        try:
            for record in walk_records(file, self._size):
                if record.opcode == Opcode.CHUNK:
                    chunks.open(record)
                elif record.opcode == Opcode.ATTACHMENT:
                    self._take_summary(record)
                ended = record.opcode == Opcode.DATA_END
                good = record.end
            if ended:
                self._footer(file)
            else:
                raise Flaw(good, "the recording stops", cut=True)
        except Flaw as flaw:
            self.truncated = True
            self.cut = str(flaw)
        self._end = good
        self.schemas, self.channels = chunks.schemas, chunks.channels

    def _check_whole(self, file: IO[bytes]) -> None:
        """A finished file: footer, both CRCs, and the summary by way of the index."""
        try:
            summary_start, offsets_start = self._footer(file)
            self._end = data_end = summary_start - DATA_END.size
            file.seek(data_end)
            opcode, length, stored = DATA_END.unpack(file.read(DATA_END.size))
            if (opcode, length) != (Opcode.DATA_END, DATA_END.size - RECORD_HEAD.size):
                raise Flaw(data_end, "the end of the data is damaged")
            if _crc(file, 0, data_end) != stored:
                raise self._place(file)
            self._find_summary(file, offsets_start)
        except Flaw as flaw:
            raise self._refusal(flaw) from None

    def _footer(self, file: IO[bytes]) -> tuple[int, int]:
        """Where the summary section and its offsets start; raises :class:`Flaw` unless the end is whole."""
        at = self._size - _END_BYTES
        file.seek(max(at, 0))
        end = file.read(_END_BYTES)
        if at < 0 or end[FOOTER.size :] != MAGIC:
            raise Flaw(self._size, "the recording stops", cut=True)
        opcode, length, summary_start, offsets_start, stored = FOOTER.unpack(end[: FOOTER.size])
        if (opcode, length) != (Opcode.FOOTER, FOOTER.size - RECORD_HEAD.size):
            raise Flaw(at, "a damaged footer")
        if not len(MAGIC) + DATA_END.size <= summary_start <= offsets_start <= at:
            raise Flaw(at, "a damaged footer")
        if _crc(file, summary_start, at + FOOTER.size - 4) != stored:
            raise Flaw(summary_start, "a damaged summary section (wrong CRC)")
        return summary_start, offsets_start

    def _place(self, file: IO[bytes]) -> Flaw:
        """The data's CRC is wrong: the first record that shows why."""
        chunks = Chunks()
        try:
            for record in walk_records(file, self._end):
                if record.opcode == Opcode.CHUNK:
                    chunks.open(record)
                elif record.opcode == Opcode.ATTACHMENT:
                    open_attachment(record)
        except Flaw as flaw:
            return Flaw(flaw.offset, flaw.what)
        return Flaw(self._end, "the data do not match their CRC, the damage is between the chunks, before the end")

    def _find_summary(self, file: IO[bytes], offsets_start: int) -> None:
        """By the index at the end, so that a long recording opens as fast as a short one."""
        groups = list(walk_section(file, offsets_start, self._size - _END_BYTES, {Opcode.SUMMARY_OFFSET}))
        try:
            for group in (records.SummaryOffset.read(_stream(record)) for record in groups if record.body):
                if group.group_opcode != Opcode.ATTACHMENT_INDEX:
                    continue
                stop = min(group.group_start + group.group_length, offsets_start)
                for entry in list(walk_section(file, group.group_start, stop, {Opcode.ATTACHMENT_INDEX})):
                    index = records.AttachmentIndex.read(_stream(entry))
                    if index.name == SUMMARY_NAME:
                        self._take_summary(next(walk_section(file, index.offset, self._end, {Opcode.ATTACHMENT})))
        except (McapError, struct.error, ValueError, OverflowError, StopIteration):
            raise Flaw(offsets_start, "a damaged summary section") from None

    def _take_summary(self, record: Record) -> None:
        name, text = open_attachment(record)
        if name != SUMMARY_NAME:
            return
        try:
            summary = json.loads(text)
        except (ValueError, RecursionError):
            summary = None
        if not isinstance(summary, dict):
            raise Flaw(record.start, "the session's summary is not a JSON table")
        self.summary = summary


def _stream(record: Record) -> ReadDataStream:
    return ReadDataStream(BytesIO(record.body))


def _crc(file: IO[bytes], start: int, stop: int) -> int:
    """CRC-32 of a part of the file."""
    file.seek(start)
    crc = 0
    while start < stop and (block := file.read(min(stop - start, _BUFFER_BYTES))):
        crc = zlib.crc32(block, crc)
        start += len(block)
    return crc
