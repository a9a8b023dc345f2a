"""Messages to frames and back, for carriers that are streams of bytes.

A frame is ``COBS(message + CRC-32) 0x00``: no zero inside, so the next zero is always a boundary and a reader is
back in step one frame after any damage. The CRC is zlib's, little-endian, at the end, which gives every whole
frame the same residue. A bad frame is a count, never an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zlib import crc32

from nexuslink.protocol.messages import MAX_MESSAGE

try:
    from corncobs import DecodeError
    from corncobs import decode as cobs_decode
    from corncobs import encode as cobs_encode
except ImportError:  # no wheel for this platform: the same functions, slower
    from cobs.cobs import DecodeError
    from cobs.cobs import decode as cobs_decode
    from cobs.cobs import encode as cobs_encode

CRC_SIZE: Final = 4
CRC_RESIDUE: Final = 0x2144DF1C
"""CRC-32 of any message followed by its own CRC-32, little-endian."""
MAX_FRAME: Final = MAX_MESSAGE + CRC_SIZE + 1 + (MAX_MESSAGE + CRC_SIZE) // 254
"""Longest frame without its zero: COBS adds one byte, and one more for each 254."""
MIN_MESSAGE: Final = 4
"""A header."""


def frame(message: bytes) -> bytes:
    """One message as a frame, with the zero at its end."""
    encoded: bytes = cobs_encode(message + crc32(message).to_bytes(CRC_SIZE, "little"))
    return encoded + b"\0"


@dataclass(slots=True)
class FrameCounts:
    """What a deframer has seen, in frames (``discarded_bytes`` in bytes)."""

    good: int = 0
    bad_cobs: int = 0
    bad_crc: int = 0
    bad_length: int = 0
    discarded_bytes: int = 0

    @property
    def bad(self) -> int:
        """Damaged frames of every kind."""
        return self.bad_cobs + self.bad_crc + self.bad_length


class Deframer:
    """A stream of bytes, cut anywhere, to checked messages. Holds at most ``MAX_FRAME`` bytes between calls."""

    def __init__(self) -> None:
        self.counts = FrameCounts()
        self.uniform = False
        """The latest messages were all of one length."""
        self._pending = b""
        self._skipping = False  # inside a frame that is already too long

    def feed(self, data: bytes) -> list[bytes]:
        """Whole messages, each *with its four CRC bytes still at the end* (slicing them off here would copy)."""
        data = self._pending + data
        frames = data.split(b"\0")
        self._pending = frames.pop()
        counts = self.counts
        if self._skipping and frames:
            counts.discarded_bytes += len(frames[0])
            counts.bad_length += 1
            self._skipping = False
            del frames[0]
        if len(self._pending) > MAX_FRAME or self._skipping:
            counts.discarded_bytes += len(self._pending)
            self._pending = b""
            self._skipping = True
        if b"" in frames:  # zeros between frames are idle fill, not damage
            frames = [f for f in frames if f]
        sizes = set(map(len, frames))  # COBS adds one byte to what fits: these are the messages' sizes as well
        if sizes and max(sizes) > MAX_FRAME:  # judged as if it came in pieces
            fitting = [f for f in frames if len(f) <= MAX_FRAME]
            counts.discarded_bytes += sum(map(len, frames)) - sum(map(len, fitting))
            counts.bad_length += len(frames) - len(fitting)
            frames, sizes = fitting, set(map(len, fitting))

        messages: list[bytes] = []
        decoded = map(cobs_decode, frames)
        while True:
            try:
                messages.extend(decoded)  # keeps what came before a bad frame, and goes on after it
                break
            except DecodeError:
                counts.bad_cobs += 1
        checks = list(map(crc32, messages))
        if checks.count(CRC_RESIDUE) != len(checks):
            whole = [m for m, check in zip(messages, checks, strict=True) if check == CRC_RESIDUE]
            counts.bad_crc += len(messages) - len(whole)
            messages = whole
        if len(messages) < len(frames):
            sizes = {len(m) + 1 for m in messages}
        self.uniform = len(sizes) == 1
        if sizes and min(sizes) < MIN_MESSAGE + CRC_SIZE + 1:
            fitting = [m for m in messages if len(m) >= MIN_MESSAGE + CRC_SIZE]
            counts.bad_length += len(messages) - len(fitting)
            messages = fitting
        counts.good += len(messages)
        return messages
