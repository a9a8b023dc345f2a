"""MCUmgr's side of a firmware update, as far as this tool has one: every command is answered "not supported".

Frames may come in pieces and several in one. It knows bytes only.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct(">BBHHBB")
"""op, flags, length, group, sequence, command."""
FRAME_MAX = 2048
READ, WRITE = 0, 2
NOT_SUPPORTED = bytes((0xA1, 0x62, 0x72, 0x63, 0x08))
"""CBOR for {"rc": 8}."""


class Updates:
    """Bounded by one frame; what is no frame is dropped, and counted."""

    def __init__(self) -> None:
        self.malformed = 0
        self._waiting = bytearray()

    def clear(self) -> None:
        """The host is gone."""
        self._waiting.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """Bytes from the host; the answers to the frames that are complete now."""
        self._waiting += data
        answers = []
        while len(self._waiting) >= HEADER.size:
            operation, flags, length, group, sequence, command = HEADER.unpack_from(self._waiting)
            if operation not in (READ, WRITE) or length > FRAME_MAX:
                self._waiting.clear()
                self.malformed += 1
                break
            if len(self._waiting) < HEADER.size + length:
                break
            del self._waiting[: HEADER.size + length]
            head = HEADER.pack(operation + 1, flags, len(NOT_SUPPORTED), group, sequence, command)
            answers.append(head + NOT_SUPPORTED)
        return answers
