"""What a transport hands over: bytes and when they came.

This is the border between the carriers and the protocol. Nothing here reads a clock: whoever makes a chunk
says the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes from a tool, as they arrived.

    ``arrival_ns`` is the transport's own monotonic clock, in nanoseconds. Empty ``data`` is a *tick*: nothing
    came, but time has passed; every time-out in the host is driven by it, so that a simulated tool that runs
    faster than real time also times out faster than real time.
    """

    arrival_ns: int
    data: bytes


class ChunkSink(Protocol):
    """Who receives the chunks of one transport. Called on the event loop's thread; must not block."""

    def chunk(self, chunk: Chunk) -> None:
        """Bytes arrived, or (empty data) time passed."""

    def closed(self, reason: str) -> None:
        """The link has ended by itself; ``reason`` is one plain line. Called at most once, never after close()."""
