"""What every carrier of bytes offers, and nothing about what the bytes mean.

A transport pushes `Chunk`s into a sink from the event loop's thread, each stamped with its own monotonic clock.
While nothing comes it pushes *ticks* (empty chunks), at least every `TICK_S` of its clock: time-outs of the host
run on these, so a simulated tool that runs faster than real time also times out faster. Everything that blocks
(opening, a blocking read) happens elsewhere than on the loop.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from nexuslink.protocol.chunk import Chunk, ChunkSink

TICK_S: Final = 0.1
"""Longest silence, in seconds, before a transport says that time has passed."""
WRITE_TIMEOUT_S: Final = 1.0
"""A write that the carrier does not take within this time has failed. A radio has a longer one of its own."""
OPEN_TIMEOUT_S: Final = 5.0
"""A link that is not open within this time has failed."""


class Transport(Protocol):
    """One link. Made closed; opened once, closed once. The contract is tested in tests/transport/test_contract.py."""

    @property
    def url(self) -> str:
        """The address as a person would type it."""

    @property
    def framed(self) -> bool:
        """True: a stream of bytes that needs framing. False: one chunk is one message."""

    def now_ns(self) -> int:
        """This transport's monotonic clock, nanoseconds; the clock of every chunk's ``arrival_ns``."""

    async def open(self, sink: ChunkSink) -> None:
        """Connect, then push chunks into ``sink``. Raises `TransportError` (or, from third parties, ``OSError``)."""

    async def write(self, data: bytes) -> None:
        """Send; returns when the carrier has taken it. Raises like `open`, within the carrier's bound."""

    async def close(self) -> None:
        """Let go of everything. Idempotent, bounded; nothing is pushed after it returns."""

    def pause(self) -> None:
        """Ask for no more chunks for now, where the carrier can be held back; a live radio cannot."""

    def resume(self) -> None:
        """Undo `pause`."""


class Inlet:
    """The receiving half that real carriers share: stamps arrivals, ticks through silence, closes once."""

    def __init__(self) -> None:
        self._sink: ChunkSink | None = None
        self._last_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, sink: ChunkSink) -> None:
        """From now on `arrived` reaches ``sink``."""
        self._sink = sink
        self._last_ns = time.monotonic_ns()
        self._schedule(TICK_S)

    def arrived(self, data: bytes) -> None:
        """Bytes came, just now."""
        if self._sink is not None:
            self._last_ns = time.monotonic_ns()
            self._sink.chunk(Chunk(self._last_ns, data))

    def ended(self, reason: str) -> None:
        """The link ended by itself."""
        sink = self.stop()
        if sink is not None:
            sink.closed(reason)

    def stop(self) -> ChunkSink | None:
        """No more chunks; returns the sink the first time."""
        sink, self._sink = self._sink, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return sink

    def _schedule(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        if self._sink is None:
            return
        now = time.monotonic_ns()
        silent_s = (now - self._last_ns) / 1e9
        if silent_s >= TICK_S * 0.99:  # the loop's clock may wake a little early
            self._last_ns, silent_s = now, 0.0
            self._sink.chunk(Chunk(now, b""))
        if self._sink is not None:  # a tick may have closed the link
            self._schedule(TICK_S - silent_s)  # once per TICK_S at most: a timer costs as much as a chunk
