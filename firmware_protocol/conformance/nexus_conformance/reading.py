"""Bytes from the tool to messages, as a critic reads them: its own COBS and CRC, and a look into damaged frames too.

A host drops a frame whose check is wrong. Here it is counted, and its message is still read, so that one fault of a
tool does not hide all others. Knows no socket, no request and no stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zlib import crc32

CRC_SIZE: Final = 4
HOLD_MAX: Final = 4096
"""Bytes without a zero that are kept at most; what is longer is one damaged frame."""


@dataclass(slots=True)
class ReadingCounts:
    """What came, in frames."""

    good: int = 0
    bad_cobs: int = 0
    bad_crc: int = 0
    too_short: int = 0

    @property
    def bad(self) -> int:
        """Frames of every kind that a host would not take."""
        return self.bad_cobs + self.bad_crc + self.too_short


def uncobs(frame: bytes) -> bytes | None:
    """The bytes inside one COBS frame without its zero, or ``None`` where a code leads beyond the end."""
    out = bytearray()
    at = 0
    while at < len(frame):
        code = frame[at]
        block = frame[at + 1 : at + code]
        if len(block) != code - 1:
            return None
        out += block
        at += code
        if code != 0xFF and at < len(frame):
            out.append(0)
    return bytes(out)


class Reader:
    """A stream of bytes, cut anywhere, to messages without their CRC."""

    def __init__(self) -> None:
        self.counts = ReadingCounts()
        self._pending = b""

    def begin(self) -> None:
        """A new link: what was half read is forgotten."""
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Messages of these bytes, those of frames with a wrong CRC included."""
        *frames, self._pending = (self._pending + data).split(b"\0")
        if len(self._pending) > HOLD_MAX:
            self._pending = self._pending[-HOLD_MAX:]
        return [message for message in map(self._message, filter(None, frames)) if message is not None]

    def _message(self, frame: bytes) -> bytes | None:
        content = uncobs(frame)
        if content is None:
            self.counts.bad_cobs += 1
            return None
        if len(content) <= CRC_SIZE:
            self.counts.too_short += 1
            return None
        message, check = content[:-CRC_SIZE], content[-CRC_SIZE:]
        if crc32(message).to_bytes(CRC_SIZE, "little") == check:
            self.counts.good += 1
        else:
            self.counts.bad_crc += 1
        return message
