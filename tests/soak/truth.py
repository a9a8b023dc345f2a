"""What the tool really did, seen from inside: its own counters, and every message on its way out, before any fault.

Two witnesses that know nothing of each other: the firmware's counters, and a count of what left. Also the latest rows
of every stream as they left, so that what the host received can be compared, value by value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from nexus_simulator.tool import Tool

from nexuslink.protocol.envelope import FIRST_STREAM_TYPE, take_response
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MAX_STREAMS,
    MessageType,
    Opcode,
    SessionTotals,
    StartResponse,
    Status,
)

KEPT = 1 << 15
"""Rows of each stream that can still be compared: half a minute at 1 kHz, more than any message is late."""


class Witness:
    """Stands where messages leave the tool."""

    def __init__(self, tool: Tool, row_types: dict[int, tuple[str, int]]) -> None:
        self._tool = tool
        self._rows = {stream: np.zeros((KEPT, channels), kind) for stream, (kind, channels) in row_types.items()}
        self._types = row_types
        self.session = 0
        self.sent = 0
        self.samples_sent = [0] * MAX_STREAMS
        self._advance = tool.advance
        tool.advance = self._watched  # type: ignore[method-assign]

    @property
    def totals(self) -> SessionTotals:
        """The firmware's counters for its present or latest session."""
        return self._tool.firmware.totals

    def rows(self, stream: int, first: int, n: int) -> np.ndarray[Any, Any]:
        """What left as these samples of the present or latest session."""
        return self._rows[stream][np.arange(first, first + n) % KEPT]

    def _watched(self, on_ns: int, room: int | None = None) -> list[Any]:
        departures = self._advance(on_ns, room)
        for departure in departures:
            message = departure.message
            if message[0] >= FIRST_STREAM_TYPE:
                self._left(message)
            elif (response := take_response(message)) is not None and response.opcode == Opcode.START:
                started = StartResponse.unpack(response.payload) if response.status == Status.OK else None
                if started is not None and started.session > self.session:
                    self._began(started.session)
        return departures

    def _began(self, session: int) -> None:
        self.session, self.sent, self.samples_sent = session, 0, [0] * MAX_STREAMS

    def _left(self, message: bytes) -> None:
        self.sent += 1
        if message[0] != MessageType.DATA:
            return
        _, _, _, stream, count, first, _ = DATA_HEADER.unpack_from(message)
        kind, channels = self._types[stream]
        rows = np.frombuffer(message, kind, count * channels, DATA_HEADER.size).reshape(count, channels)
        self._rows[stream][np.arange(first, first + count) % KEPT] = rows
        self.samples_sent[stream] += count
