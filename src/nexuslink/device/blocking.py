"""The same tool without ``async``: for notebooks and rigs. One event loop in a thread of its own per connection."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from nexuslink.device.nexus import Nexus
from nexuslink.protocol.decoder import Batch
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.messages import CalibrationRecord, StopReason, TareResponse
from nexuslink.transport.errors import TransportError
from nexuslink.transport.url import make_transport

T = TypeVar("T")
CALL_BOUND_S: Final = 30.0
"""Behind every call; each has a shorter bound of its own."""
HAND_OVER: Final = 256
"""Batches between the two threads; a slow reader holds the loop's side back there."""


class BlockingNexus:
    """`Nexus` with plain calls. Made by `connect`."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"nexuslink {url}", daemon=True)
        self._thread.start()
        try:
            self.nexus = Nexus(make_transport(url))
            self._call(self.nexus.open())
        except BaseException:
            self._end()
            raise

    @property
    def info(self) -> ToolDescription:
        """Identity and streams."""
        return self.nexus.info

    @property
    def calibration(self) -> CalibrationRecord:
        """The record that the tool carries."""
        return self.nexus.calibration

    def start(self) -> None:
        """Begin streaming."""
        self._call(self.nexus.start())

    def stop(self, reason: StopReason = StopReason.USER) -> None:
        """End streaming and tell the tool why."""
        self._call(self.nexus.stop(reason))

    def tare(self, window_ms: int = 250) -> TareResponse:
        """Mean raw force counts of the last ``window_ms``, unloaded."""
        return self._call(self.nexus.tare(window_ms))

    def stream(self) -> Iterator[Batch]:
        """Every batch from now on; leave the loop to end it."""
        handed: queue.Queue[Batch | BaseException | None] = queue.Queue(HAND_OVER)
        room = asyncio.Semaphore(HAND_OVER - 1)  # one place stays free for the end of the stream

        async def pump() -> None:
            try:
                async for batch in self.nexus.stream():
                    await room.acquire()
                    handed.put_nowait(batch)
            except Exception as error:  # handed over, raised in the caller's thread
                handed.put_nowait(error)
            else:
                handed.put_nowait(None)

        pumping = asyncio.run_coroutine_threadsafe(pump(), self._loop)
        try:
            while True:
                try:
                    item = handed.get(timeout=CALL_BOUND_S)
                except queue.Empty:
                    raise TransportError(f"{self.nexus.url}: no data for {CALL_BOUND_S:g} s") from None
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                self._loop.call_soon_threadsafe(room.release)
                yield item
        finally:
            pumping.cancel()

    def close(self) -> None:
        """Stop, let go, end the thread. Idempotent."""
        if self._thread.is_alive():
            try:
                self._call(self.nexus.close())
            finally:
                self._end()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_BOUND_S)

    def _end(self) -> None:
        self._call(self._loop.shutdown_asyncgens())
        self._call(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_BOUND_S)
        if not self._thread.is_alive():
            self._loop.close()


@contextmanager
def connect(url: str) -> Iterator[BlockingNexus]:
    """``with connect(url) as nexus: for batch in nexus.stream(): ...``."""
    nexus = BlockingNexus(url)
    try:
        yield nexus
    finally:
        nexus.close()
