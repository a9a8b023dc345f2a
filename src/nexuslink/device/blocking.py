"""The same tool without ``async``: for notebooks and rigs. One event loop in a thread of its own per connection."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from nexuslink.device.cache import USUAL, ToolCache
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.decoder import Batch
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.envelope import StreamMessage
from nexuslink.protocol.messages import (
    CalibrationRecord,
    ErrorReport,
    HapticPattern,
    LightPattern,
    LogLevel,
    SelfTest,
    SelfTestResponse,
    StopReason,
    StreamDescriptor,
    TareResponse,
    TotalsResponse,
)
from nexuslink.transport.errors import TransportError
from nexuslink.transport.url import make_transport

T = TypeVar("T")
CALL_BOUND_S: Final = 30.0
"""Behind every call; each has a shorter bound of its own."""
HAND_OVER: Final = 256
"""Batches between the two threads; a slow reader holds the loop's side back there."""


class BlockingNexus:
    """`Nexus` with plain calls. Made by `connect`."""

    def __init__(self, url: str, cache: ToolCache | None = USUAL) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"nexuslink {url}", daemon=True)
        self._thread.start()
        try:
            self.nexus = Nexus(make_transport(url), cache)
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

    def totals(self) -> TotalsResponse:
        """What the present or the latest session has made and sent, by the tool's own count."""
        return self._call(self.nexus.totals())

    def configure(
        self, stream: int, rate_hz: float = 0.0, full_scale: tuple[float, float] = (0.0, 0.0), channel_mask: int = 0
    ) -> StreamDescriptor:
        """Rate, ranges and channels of one stream from the next start on; 0 leaves a value. What it really does."""
        return self._call(self.nexus.configure(stream, rate_hz, full_scale, channel_mask))

    def haptic(self, pattern: HapticPattern, strength_percent: int = 60, duration_ms: int = 200) -> None:
        """Let the tool be felt."""
        self._call(self.nexus.haptic(pattern, strength_percent, duration_ms))

    def light(self, pattern: LightPattern, rgb: tuple[int, int, int], duration_ms: int = 0) -> None:
        """Let the tool be seen."""
        self._call(self.nexus.light(pattern, rgb, duration_ms))

    def self_test(self, tests: SelfTest | None = None) -> SelfTestResponse:
        """Run these tests (all that the tool has): which were run, and which of them passed."""
        return self._call(self.nexus.self_test(tests))

    def errors(self, clear: bool = False) -> tuple[ErrorReport, ...]:
        """The error reports that the tool keeps, oldest first."""
        return self._call(self.nexus.errors(clear))

    def set_log_level(self, level: LogLevel) -> None:
        """From which level on LOG messages come while streaming."""
        self._call(self.nexus.set_log_level(level))

    def add_notice(self, told: Callable[[StreamMessage], None]) -> None:
        """``told(message)`` gets every LOG, FAULT and EVENT, on the loop's thread: it must not call back into here."""
        self._loop.call_soon_threadsafe(self.nexus.add_notice, told)

    def unlock(self, code: int) -> int:
        """Allow calibration writes. Seconds until the tool locks again."""
        return self._call(self.nexus.unlock(code))

    def write_calibration(self, record: bytes) -> None:
        """Make this whole record the tool's own; it is read back and compared."""
        self._call(self.nexus.write_calibration(record))

    def restart(self) -> None:
        """Let the tool restart, and shake hands again."""
        self._call(self.nexus.restart())

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
def connect(url: str, cache: ToolCache | None = USUAL) -> Iterator[BlockingNexus]:
    """``with connect(url) as nexus: for batch in nexus.stream(): ...``."""
    nexus = BlockingNexus(url, cache)
    try:
        yield nexus
    finally:
        nexus.close()
