"""One session file while it is written: MCAP records in the right order, in constant memory.

The layout, which the reader relies on:

    magic, Header (profile "nexuslink")
    Attachment "nexuslink.session.json"        the session's header, at once, so that a cut file still has it
    (Chunk, Message Index per channel) ...     zstd, about 4 KiB each; the first one also holds schemas and channels
    Attachment "nexuslink.summary.json"        only if there is one
    Data End (CRC of everything above), summary section, Footer, magic

Messages of one channel carry contiguous ``sequence`` numbers from 0, so that a reader notices a chunk that is gone.

Why not ``mcap.writer.Writer``: it keeps the index of every chunk in lists until the end, hundreds of megabytes for a
day at ten chunks a second. Here each Chunk Index record goes, as final bytes, to a spool file, which is copied into
the summary at the end. Records are otherwise made with the ``mcap`` package's own classes.

This file knows no thread, no clock and no path: it is handed two open files, and raises what they raise.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from io import FileIO
from typing import IO

import zstandard
from mcap import records
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode

from nexuslink.recording.messages import DESCRIPTOR_SET, TOPICS, Channel, schema_name

PROFILE = "nexuslink"
HEADER_NAME = "nexuslink.session.json"
SUMMARY_NAME = "nexuslink.summary.json"
MAGIC = b"\x89MCAP0\r\n"

CHUNK_BYTES = 4096
"""A chunk is sealed once it holds this much, uncompressed. Small, because a killed writer loses an unsealed chunk."""
MAX_MESSAGE_BYTES = 8 << 20
"""No message may be larger: the reader's bound against decompression bombs follows from it."""
MAX_CHUNK_BYTES = MAX_MESSAGE_BYTES + (64 << 10)
"""No chunk is larger than this, uncompressed: one message of the largest size, schemas, and a nearly full chunk."""

RECORD_HEAD = struct.Struct("<BQ")
"""opcode, length of what follows"""
MESSAGE_HEAD = struct.Struct("<HIQQ")
"""channel id, sequence, log time, publish time"""
FOOTER = struct.Struct("<BQQQI")
"""opcode, length (20), summary start, summary offset start, CRC of the summary section up to here"""
DATA_END = struct.Struct("<BQI")
"""opcode, length (4), CRC of the data section before this record"""

_MESSAGE_RECORD = struct.Struct("<BQHIQQ")
_INDEX_RECORD_HEAD = struct.Struct("<BQHI")
_COMPRESSION = "zstd"
_COPY_BYTES = 64 << 10
_MOMENT_NS = 0  # attachments belong to the session, not to a moment of it


def own_schemas() -> list[records.Schema]:
    """The schema of each channel, under the channel's number."""
    return [
        records.Schema(id=channel, name=schema_name(channel), encoding="protobuf", data=DESCRIPTOR_SET)
        for channel in Channel
    ]


def own_channels() -> list[records.Channel]:
    """The channels every session has."""
    return [
        records.Channel(id=channel, topic=topic, message_encoding="protobuf", metadata={}, schema_id=channel)
        for channel, topic in TOPICS.items()
    ]


class Container:
    """Writes one MCAP file to ``file``; ``spool`` is scratch space that the caller opened and will close.

    Both must be empty. ``file`` is unbuffered: what :meth:`seal` has returned from is with the operating system.
    """

    def __init__(
        self,
        file: FileIO,
        spool: IO[bytes],
        library: str,
        schemas: Iterable[records.Schema],
        channels: Iterable[records.Channel],
    ) -> None:
        self._file = file
        self._spool = spool
        self._schemas = list(schemas)
        self._channels = list(channels)
        self._compressor = zstandard.ZstdCompressor()
        self._data_crc = 0
        self._attachments: list[records.AttachmentIndex] = []
        self._sequence = {channel.id: 0 for channel in self._channels}
        self._chunk_count = 0
        self._first_ns = 0
        self._last_ns = 0
        self.offset = 0
        """Bytes written so far, always between two whole records."""
        self.message_count = 0
        """Messages in the chunks written so far."""
        self._open = bytearray()
        self._open_index: dict[int, list[int]] = {}
        self._open_first_ns = 0
        self._open_last_ns = 0

        start = RecordBuilder()
        start.write(MAGIC)
        records.Header(profile=PROFILE, library=library).write(start)
        self._write_data(_taken(start))
        definitions = RecordBuilder()
        for definition in (*self._schemas, *self._channels):
            definition.write(definitions)
        self._open += _taken(definitions)

    def attach(self, name: str, data: bytes) -> None:
        """Write a JSON attachment between two chunks; it carries its own CRC."""
        self.seal()
        builder = RecordBuilder()
        records.Attachment(
            create_time=_MOMENT_NS, log_time=_MOMENT_NS, name=name, media_type="application/json", data=data
        ).write(builder)
        raw = _taken(builder)
        self._attachments.append(
            records.AttachmentIndex(
                offset=self.offset,
                length=len(raw),
                log_time=_MOMENT_NS,
                create_time=_MOMENT_NS,
                data_size=len(data),
                name=name,
                media_type="application/json",
            )
        )
        self._write_data(raw)

    def add(self, channel: int, log_ns: int, payload: bytes) -> None:
        """Add a message; seals the chunk when it is full."""
        if len(payload) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(payload)} bytes is over the bound of {MAX_MESSAGE_BYTES}")
        if not self._open_index:
            self._open_first_ns = self._open_last_ns = log_ns
        sequence = self._sequence[channel]
        head = _MESSAGE_RECORD.pack(
            Opcode.MESSAGE,
            MESSAGE_HEAD.size + len(payload),
            channel,
            sequence & 0xFFFFFFFF,
            log_ns,
            log_ns,  # published when logged: one clock for both, or viewers draw nonsense
        )
        self._open_index.setdefault(channel, []).extend((log_ns, len(self._open)))
        self._open += head
        self._open += payload
        self._sequence[channel] = sequence + 1
        self._open_first_ns = min(self._open_first_ns, log_ns)
        self._open_last_ns = max(self._open_last_ns, log_ns)
        if len(self._open) >= CHUNK_BYTES:
            self.seal()

    def seal(self) -> None:
        """Close the chunk in progress, if it holds a message, and give it to the operating system."""
        if not self._open_index:
            return
        content = bytes(self._open)
        compressed = self._compressor.compress(content)
        builder = RecordBuilder()
        records.Chunk(
            compression=_COMPRESSION,
            data=compressed,
            message_start_time=self._open_first_ns,
            message_end_time=self._open_last_ns,
            uncompressed_crc=zlib.crc32(content),
            uncompressed_size=len(content),
        ).write(builder)
        chunk_length = builder.count
        offsets = {}
        for channel, entries in self._open_index.items():
            offsets[channel] = self.offset + builder.count
            size = 8 * len(entries)
            builder.write(_INDEX_RECORD_HEAD.pack(Opcode.MESSAGE_INDEX, 6 + size, channel, size))
            builder.write(struct.pack(f"<{len(entries)}Q", *entries))
        raw = _taken(builder)
        index = RecordBuilder()
        records.ChunkIndex(
            message_start_time=self._open_first_ns,
            message_end_time=self._open_last_ns,
            chunk_start_offset=self.offset,
            chunk_length=chunk_length,
            message_index_offsets=offsets,
            message_index_length=len(raw) - chunk_length,
            compression=_COMPRESSION,
            compressed_size=len(compressed),
            uncompressed_size=len(content),
        ).write(index)
        # The data first: an index entry without its chunk would be a lie, a chunk without its entry is only slow.
        self._write_data(raw)
        self.message_count = sum(self._sequence.values())
        self._spool.write(_taken(index))
        self._first_ns = min(self._first_ns, self._open_first_ns) if self._chunk_count else self._open_first_ns
        self._last_ns = max(self._last_ns, self._open_last_ns)
        self._chunk_count += 1
        self._open.clear()
        self._open_index.clear()

    def finish(self) -> None:
        """Seal, then write the end of the data, the summary section and the footer. Nothing may be added after."""
        self.seal()
        data_end = DATA_END.pack(Opcode.DATA_END, 4, self._data_crc)
        summary_start = self.offset + len(data_end)
        head = RecordBuilder()
        groups: list[records.SummaryOffset] = []

        def group(opcode: Opcode, items: Iterable[records.McapRecord], builder: RecordBuilder, base: int) -> None:
            start = builder.count
            for item in items:
                item.write(builder)
            if builder.count > start:
                groups.append(records.SummaryOffset(opcode, base + start, builder.count - start))

        group(Opcode.SCHEMA, self._schemas, head, summary_start)
        group(Opcode.CHANNEL, self._channels, head, summary_start)
        group(Opcode.STATISTICS, [self._statistics()], head, summary_start)
        first = _taken(head)
        index_start = summary_start + len(first)
        index_length = self._spool.tell()
        if index_length:
            groups.append(records.SummaryOffset(Opcode.CHUNK_INDEX, index_start, index_length))
        tail = RecordBuilder()
        group(Opcode.ATTACHMENT_INDEX, self._attachments, tail, index_start + index_length)
        offsets_start = index_start + index_length + tail.count
        for offset in groups:
            offset.write(tail)
        last = _taken(tail)

        self._write(data_end)
        crc = self._write(first)
        self._spool.seek(0)
        while block := self._spool.read(_COPY_BYTES):
            crc = self._write(block, crc)
        crc = self._write(last, crc)
        footer = FOOTER.pack(Opcode.FOOTER, FOOTER.size - RECORD_HEAD.size, summary_start, offsets_start, 0)[:-4]
        self._write(footer + struct.pack("<I", zlib.crc32(footer, crc)) + MAGIC)

    def _statistics(self) -> records.Statistics:
        return records.Statistics(
            attachment_count=len(self._attachments),
            channel_count=len(self._channels),
            channel_message_counts={channel: count for channel, count in self._sequence.items() if count},
            chunk_count=self._chunk_count,
            message_count=self.message_count,
            message_end_time=self._last_ns,
            message_start_time=self._first_ns,
            metadata_count=0,
            schema_count=len(self._schemas),
        )

    def _write_data(self, data: bytes) -> None:
        self._data_crc = self._write(data, self._data_crc)

    def _write(self, data: bytes, crc: int = 0) -> int:
        """All of ``data``, or an OSError with :attr:`offset` still at the last whole record; the running CRC."""
        rest = memoryview(data)
        while rest:
            # An unbuffered file may take only a part, and says the reason at the next try.
            rest = rest[self._file.write(rest) or 0 :]
        self.offset += len(data)
        return zlib.crc32(data, crc)


def _taken(builder: RecordBuilder) -> bytes:
    """The bytes built so far; the builder is empty after."""
    data: bytes = builder.end()  # type: ignore[no-untyped-call]
    return data
