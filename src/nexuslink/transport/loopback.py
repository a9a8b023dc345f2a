"""An in-process link with both ends in hand: what the tests and examples put a scripted peer behind."""

from __future__ import annotations

import time
from collections.abc import Callable

from nexuslink.protocol.chunk import ChunkSink
from nexuslink.transport.base import Inlet
from nexuslink.transport.errors import LinkLostError, TransportError


class LoopbackTransport:
    """The host's end. ``peer`` gets what the host writes; `send` and `hang_up` are the peer's hands."""

    def __init__(self, peer: Callable[[bytes], None], framed: bool = True) -> None:
        self.url = "loopback:"
        self.framed = framed
        self._peer = peer
        self._inlet = Inlet()
        self._open = False

    def now_ns(self) -> int:
        """Host's monotonic clock."""
        return time.monotonic_ns()

    async def open(self, sink: ChunkSink) -> None:
        """Succeeds unless it is open."""
        if self._open:
            raise TransportError(f"{self.url} is open already; close it first")
        self._open = True
        self._inlet.start(sink)

    async def write(self, data: bytes) -> None:
        """Hand to the peer at once."""
        if not self._open:
            raise LinkLostError(f"{self.url} the link is closed")
        self._peer(data)

    async def close(self) -> None:
        """Let go."""
        self._open = False
        self._inlet.stop()

    def pause(self) -> None:
        """The peer decides how fast it sends."""

    def resume(self) -> None:
        """See `pause`."""

    # -- the peer's side ------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._inlet.arrived(data)

    def hang_up(self, reason: str) -> None:
        """The peer ends the link."""
        self._open = False
        self._inlet.ended(reason)
