"""What the tool really did, seen from inside: its own counters, and every message on its way out, before any fault.

Witnesses that know nothing of each other: the firmware's counters, a count of what entered its queue, and one of what
left. Also the latest rows of every stream as they left, so that what the host received can be compared by value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from nexus_simulator.tool import Tool

from nexuslink.protocol.envelope import FIRST_STREAM_TYPE
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MAX_STREAMS,
    MessageType,
    SessionTotals,
)

KEPT = 1 << 15
"""Rows of each stream that can still be compared: half a minute at 1 kHz, more than any message is late."""
NEVER = -(1 << 15)
"""A value that no sensor of the simulator gives: where nothing has left yet."""


class Witness:
    """Stands where messages leave the tool."""

    def __init__(self, tool: Tool, row_types: dict[int, tuple[str, int]]) -> None:
        self._tool = tool
        self._rows = {stream: np.zeros((KEPT, channels), kind) for stream, (kind, channels) in row_types.items()}
        self._types = row_types
        self.session = 0
        self.made = 0
        self.sent = 0
        self.samples_sent = [0] * MAX_STREAMS
        self._advance = tool.advance
        tool.advance = self._watched  # type: ignore[method-assign]
        self._begin = tool.firmware.begin
        tool.firmware.begin = self._begun  # type: ignore[method-assign]

    @property
    def totals(self) -> SessionTotals:
        """The firmware's counters for its present or latest session."""
        return self._tool.firmware.totals

    def rows(self, stream: int, first: int, n: int) -> np.ndarray[Any, Any]:
        """What left as these samples of the present or latest session."""
        return self._rows[stream][np.arange(first, first + n) % KEPT]

    def _begun(self, *args: Any) -> int:
        """A session begins: count what is made for its queue, and what a smaller MTU cuts in two on its way out."""
        number = self._begin(*args)
        session = self._tool.firmware.session
        assert session is not None
        self.session, self.made, self.sent, self.samples_sent = number, 0, 0, [0] * MAX_STREAMS
        for rows in self._rows.values():
            rows[:] = NEVER
        enqueue, fitting = session.enqueue, session._fitting

        def enqueued(*args: Any) -> bool:
            self.made += 1
            return enqueue(*args)

        def fitted(*args: Any) -> Any:
            part = fitting(*args)
            self.made += len(part.rows) < len(args[-1].rows)
            return part

        session.enqueue, session._fitting = enqueued, fitted  # type: ignore[method-assign]
        return number

    def _watched(self, on_ns: int, room: int | None = None) -> list[Any]:
        departures = self._advance(on_ns, room)
        for departure in departures:
            message = departure.message
            if message[0] >= FIRST_STREAM_TYPE:
                self._left(message)
        return departures

    def _left(self, message: bytes) -> None:
        self.sent += 1
        if message[0] != MessageType.DATA:
            return
        _, _, _, stream, count, first, _ = DATA_HEADER.unpack_from(message)
        kind, channels = self._types[stream]
        rows = np.frombuffer(message, kind, count * channels, DATA_HEADER.size).reshape(count, channels)
        self._rows[stream][np.arange(first, first + count) % KEPT] = rows
        self.samples_sent[stream] += count
