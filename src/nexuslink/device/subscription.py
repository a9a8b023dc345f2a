"""A reader of one tool's batches: a bounded queue that holds the carrier back where it can.

Knows neither the tool nor the link's state; `read` is told when to end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from nexuslink.protocol.decoder import Batch
from nexuslink.transport.base import Transport

QUEUE_HIGH: Final = 256
"""Batches in an unread `stream` at which the transport is asked to pause."""
QUEUE_LOW: Final = 64
QUEUE_LIMIT: Final = 4096
"""Batches at which the oldest is dropped, and counted."""


class Reader:
    """One `stream`: its batches, in order."""

    def __init__(self, transport: Transport) -> None:
        self.drops = 0
        """Batches that were not taken in time."""
        self._transport = transport
        self._batches: deque[Batch] = deque()
        self._ready = asyncio.Event()
        self._paused = False

    def put(self, batches: list[Batch]) -> None:
        """More of them; with or without, the reader looks again whether it is to end."""
        queue = self._batches
        queue.extend(batches)
        while len(queue) > QUEUE_LIMIT:
            queue.popleft()
            self.drops += 1
        if len(queue) >= QUEUE_HIGH and not self._paused:
            self._paused = True
            self._transport.pause()
        self._ready.set()

    async def read(self, more: Callable[[], bool]) -> AsyncIterator[Batch]:
        """Until none is left and ``more()`` is false; it may raise."""
        while True:
            while self._batches:
                yield self._batches.popleft()
                if self._paused and len(self._batches) <= QUEUE_LOW:
                    self._paused = False
                    self._transport.resume()
            if not more():
                return
            self._ready.clear()
            await self._ready.wait()  # woken by a batch, by every tick, and by the end of the link
