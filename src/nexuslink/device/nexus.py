"""One tool: connect, shake hands, ask, stream, close.

The order is that of the protocol: open the link, HELLO, INFO, CALIBRATION, TIME_SYNC, and no data before START.
Everything runs on one event loop. Chunks are pushed in by the transport; each is first shown raw to the *taps*
(the recorder is one), then decoded, then shown to the *listeners*. All time-outs run on the transport's clock,
which arrives with the chunks and ticks; a wall-clock bound stands behind every wait in case even those stop.
It must never know what the samples mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from nexuslink.device.errors import (
    BadAnswerError,
    DeviceError,
    NoAnswerError,
    NotNowError,
    RefusedError,
    VersionError,
)
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.clock import ClockFit, DeviceClock
from nexuslink.protocol.decoder import Batch, Decoded, Decoder
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.envelope import Response
from nexuslink.protocol.exchange import TIMEOUT_NS, Exchange, ExchangeCounts, LinkState
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import (
    CALIBRATION_MAX,
    MAX_STREAMS,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    DescribeRequest,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    Opcode,
    StartRequest,
    Status,
    StatusMessage,
    StopReason,
    StopRequest,
    StreamDescriptor,
    TareRequest,
    TareResponse,
    TimeSyncRequest,
    TimeSyncResponse,
)
from nexuslink.protocol.record import damage
from nexuslink.transport.base import Transport
from nexuslink.transport.errors import LinkLostError, TransportError
from nexuslink.transport.url import make_transport

SYNC_EXCHANGES: Final = 8
"""TIME_SYNC exchanges before the stream; one more each `SYNC_PERIOD_NS` while it runs."""
SYNC_PERIOD_NS: Final = 1_000_000_000
OUTBOX: Final = 64
"""Messages waiting to be written; more than that means that the link takes nothing."""
QUEUE_HIGH: Final = 256
"""Batches in an unread `stream` at which the transport is asked to pause."""
QUEUE_LOW: Final = 64
QUEUE_LIMIT: Final = 4096
"""Batches at which the oldest is dropped, and counted."""
WALL_BOUND_S: Final = 10.0
"""Behind every wait: even if the transport neither delivers nor ticks, nobody waits longer."""


@dataclass(slots=True)
class _Subscription:
    batches: deque[Batch] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    paused: bool = False


class Nexus:
    """A connected tool. Made by `connect`; or `Nexus(transport)`, then `open` and `close`."""

    def __init__(self, transport: Transport) -> None:
        self.url = transport.url
        self.transport = transport
        self.clock = DeviceClock()
        self.status: StatusMessage | None = None
        self.view_drops = 0
        """Batches dropped because a `stream` was not read in time."""
        self.outbox_drops = 0
        """Messages not sent because the link took nothing; each is a retry or a time sync, and comes again."""
        self.last_chunk_ns = transport.now_ns()
        """Transport clock of the last chunk that held bytes."""
        self.now_ns = self.last_chunk_ns
        """Transport clock of the last chunk or tick."""
        self.closed_reason: str | None = None
        self.decoder = Decoder(framed=transport.framed)
        self._exchange = Exchange()
        self._waiters: dict[int, asyncio.Future[Response]] = {}
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX)
        self._writer: asyncio.Task[None] | None = None
        self._taps: list[Callable[[Chunk], None]] = []
        self._listeners: list[Callable[[Chunk, Decoded], None]] = []
        self._closers: list[Callable[[str], None]] = []
        self._subscriptions: list[_Subscription] = []
        self._next_sync_ns = 0
        self._closing = False
        self._info: ToolDescription | None = None
        self._record: bytes | None = None
        self._calibration: CalibrationRecord | None = None

    # -- what is known about the tool -----------------------------------------------------------------------------

    @property
    def info(self) -> ToolDescription:
        """Identity and streams. Raises `NotNowError` before the handshake."""
        if self._info is None:
            raise NotNowError(f"{self.url}: not connected yet; `async with connect(url)` does it")
        return self._info

    @property
    def calibration(self) -> CalibrationRecord:
        """The record that the tool carries. Raises `NotNowError` before the handshake."""
        if self._calibration is None:
            raise NotNowError(f"{self.url}: not connected yet; `async with connect(url)` does it")
        return self._calibration

    @property
    def calibration_bytes(self) -> bytes:
        """The same record as it came. Raises `NotNowError` before the handshake."""
        if self._record is None:
            raise NotNowError(f"{self.url}: not connected yet; `async with connect(url)` does it")
        return self._record

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        return self.info.simulated

    @property
    def state(self) -> LinkState:
        """How far the connection has come."""
        return self._exchange.state

    @property
    def requests(self) -> ExchangeCounts:
        """Requests, retries, time-outs and unexpected answers."""
        return self._exchange.counts

    @property
    def clock_fit(self) -> ClockFit | None:
        """Device time to host time, after the first exchange."""
        return self.clock.fit

    def stream_of(self, kind: int) -> StreamDescriptor | None:
        """The first stream of a `StreamKind`."""
        return next((s for s in self.info.streams if s.kind == kind), None)

    # -- connect, close -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the link and shake hands. Raises `TransportError` or `DeviceError`; closed again if it fails."""
        try:
            try:
                await self.transport.open(self)
            except OSError as error:  # third-party transports
                raise TransportError(f"{self.url}: {error.strerror or error}") from None
            self._writer = asyncio.create_task(self._write_outbox(), name=f"write {self.url}")
            await self._shake_hands()
        except BaseException:
            await self.close()
            raise

    async def _shake_hands(self) -> None:
        payload = await self.request(Opcode.HELLO, HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR).pack())
        hello = HelloResponse.unpack(payload)
        if hello is None:
            raise BadAnswerError(f"{self.url}: the answer to HELLO is too short; is this a Nexus?")
        if hello.protocol_major != PROTOCOL_MAJOR:
            newer = "nexuslink" if hello.protocol_major > PROTOCOL_MAJOR else "the tool's firmware"
            raise VersionError(
                f"{self.url}: {hello.serial_number} speaks protocol {hello.protocol_major}.{hello.protocol_minor}, "
                f"this program speaks {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; update {newer}"
            )
        described = await self.request(Opcode.INFO)
        info = InfoResponse.unpack(described)
        if info is None or info.stream_count > MAX_STREAMS:
            raise BadAnswerError(f"{self.url}: the answer to INFO is too short or names too many streams")
        streams = [
            await self.request(Opcode.DESCRIBE, DescribeRequest(stream).pack()) for stream in range(info.stream_count)
        ]
        self._info = ToolDescription.of(payload, described, streams)
        if self._info is None:
            raise BadAnswerError(f"{self.url}: an answer to DESCRIBE is too short")
        self.decoder.describe(self._info.streams)
        self._record = await self._read_record()
        problem = damage(self._record)
        if problem is not None:
            raise BadAnswerError(f"{self.url}: the calibration record is damaged, {problem}; calibrate the tool again")
        self._calibration = CalibrationRecord.unpack(self._record)
        for _ in range(SYNC_EXCHANGES):
            await self.request(Opcode.TIME_SYNC, self._sync_payload())

    async def _read_record(self) -> bytes:
        record = b""
        while len(record) <= CALIBRATION_MAX:
            page = CalibrationReadResponse.unpack(
                await self.request(Opcode.CALIBRATION_READ, CalibrationReadRequest(len(record)).pack())
            )
            if page is None or page.offset != len(record):
                raise BadAnswerError(f"{self.url}: the answer to CALIBRATION_READ is not what was asked for")
            record += page.data
            if not page.data or len(record) >= page.size:
                break
        return record

    async def close(self) -> None:
        """Stop a running stream, let go of the link. Idempotent, bounded, never raises for a dead link."""
        if self._closing:
            return
        self._closing = True
        try:
            if self.state is LinkState.STREAMING and self.closed_reason is None:
                await self.stop()
        except (DeviceError, TransportError):
            pass  # the link is on its way out; the tool stops by itself when it sees that
        finally:
            self._end("closed by this program")
            if self._writer is not None:
                self._writer.cancel()
                await asyncio.gather(self._writer, return_exceptions=True)
            await self.transport.close()

    def pause(self) -> None:
        """Ask the carrier to hold back, where it can."""
        self.transport.pause()

    def resume(self) -> None:
        """Undo `pause`."""
        self.transport.resume()

    # -- requests -------------------------------------------------------------------------------------------------

    async def request(self, opcode: Opcode, payload: bytes = b"", timeout_ns: int = TIMEOUT_NS) -> bytes:
        """Ask, wait, return the answer's payload. Raises `DeviceError` or `LinkLostError`; always bounded."""
        if self.closed_reason is not None:
            raise LinkLostError(self.closed_reason)
        if not self._exchange.allowed(opcode):
            raise NotNowError(f"{self.url}: {opcode.name} is not possible while the connection is {self.state.value}")
        request_id, message = self._exchange.request(opcode, payload, self.transport.now_ns(), timeout_ns)
        waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiters[request_id] = waiter
        if opcode is Opcode.START:  # before the bytes leave: the first batch may come with the answer
            self.decoder.begin()
        try:
            async with asyncio.timeout(WALL_BOUND_S):
                await self.transport.write(self._carried(message))
                response = await waiter
        except TimeoutError:
            raise NoAnswerError(self._silence(opcode)) from None
        except OSError as error:  # third-party transports
            raise LinkLostError(f"{self.url}: {error.strerror or error}") from None
        finally:
            self._waiters.pop(request_id, None)
            self._exchange.forget(request_id)
        if response.status != Status.OK:
            raise RefusedError(f"{self.url}: the tool refused {opcode.name}: {_status_name(response.status)}")
        self._exchange.succeeded(opcode)
        return response.payload

    async def start(self, stream_mask: int | None = None) -> None:
        """Begin streaming; bit n of ``stream_mask`` starts stream n, default: all that the tool has."""
        if stream_mask is None:
            stream_mask = sum(1 << s.stream for s in self.info.streams)
        await self.request(Opcode.START, StartRequest(stream_mask).pack())

    async def stop(self, reason: StopReason = StopReason.USER) -> None:
        """End streaming and tell the tool why."""
        await self.request(Opcode.STOP, StopRequest(reason).pack())

    async def tare(self, window_ms: int = 250) -> TareResponse:
        """Mean raw force counts of the last ``window_ms`` (10 to 2000). The tool must be unloaded."""
        answer = TareResponse.unpack(await self.request(Opcode.TARE, TareRequest(window_ms).pack()))
        if answer is None:
            raise BadAnswerError(f"{self.url}: the answer to TARE is too short")
        return answer

    async def stream(self) -> AsyncIterator[Batch]:
        """Every batch from now on; starts the stream if it does not run. Ends with `LinkLostError` if the link does.

        A reader that is too slow holds the carrier back where that is possible; else the oldest batches are
        dropped and counted in `view_drops`.
        """
        subscription = _Subscription()
        self._subscriptions.append(subscription)
        try:
            if self.state is not LinkState.STREAMING:
                await self.start()
            while True:
                while subscription.batches:
                    yield subscription.batches.popleft()
                    if subscription.paused and len(subscription.batches) <= QUEUE_LOW:
                        subscription.paused = False
                        self.transport.resume()
                if self.closed_reason is not None:
                    raise LinkLostError(self.closed_reason)
                if self.state is not LinkState.STREAMING:
                    return
                subscription.ready.clear()
                await subscription.ready.wait()  # woken by a batch, by every tick, and by the end of the link
        finally:
            self._subscriptions.remove(subscription)

    # -- who watches ----------------------------------------------------------------------------------------------

    def add_tap(self, tap: Callable[[Chunk], None]) -> None:
        """``tap(chunk)`` sees every chunk and tick before it is decoded."""
        self._taps.append(tap)

    def add_listener(self, listener: Callable[[Chunk, Decoded], None]) -> None:
        """``listener(chunk, decoded)`` sees what every chunk and tick became."""
        self._listeners.append(listener)

    def add_closer(self, closer: Callable[[str], None]) -> None:
        """``closer(reason)`` is told once that the link has ended."""
        self._closers.append(closer)

    def remove(self, callback: Callable[..., None]) -> None:
        """Undo `add_tap`, `add_listener` or `add_closer`."""
        for watchers in (self._taps, self._listeners, self._closers):
            if callback in watchers:
                watchers.remove(callback)

    # -- ChunkSink ------------------------------------------------------------------------------------------------

    def chunk(self, chunk: Chunk) -> None:
        """The transport's side: bytes, or a tick."""
        self.now_ns = chunk.arrival_ns
        for tap in self._taps:
            tap(chunk)
        if chunk.data:
            self.last_chunk_ns = chunk.arrival_ns
            decoded = self.decoder.feed(chunk.data)
            for response in decoded.responses:
                self._answered(response, chunk.arrival_ns)
            if decoded.statuses:
                self.status = decoded.statuses[-1]
        else:
            decoded = _NOTHING
        for listener in self._listeners:
            listener(chunk, decoded)
        for subscription in self._subscriptions:
            self._deliver(subscription, decoded.batches)
        self._keep_time(chunk.arrival_ns)

    def closed(self, reason: str) -> None:
        """The transport's side: the link has ended by itself."""
        self._end(reason)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _deliver(self, subscription: _Subscription, batches: list[Batch]) -> None:
        queue = subscription.batches
        queue.extend(batches)
        while len(queue) > QUEUE_LIMIT:
            queue.popleft()
            self.view_drops += 1
        if len(queue) >= QUEUE_HIGH and not subscription.paused:
            subscription.paused = True
            self.transport.pause()
        subscription.ready.set()

    def _answered(self, response: Response, arrival_ns: int) -> None:
        if not self._exchange.answered(response):
            return
        if response.opcode == Opcode.TIME_SYNC and response.status == Status.OK:
            stamps = TimeSyncResponse.unpack(response.payload)
            if stamps is not None:
                self.clock.add(stamps.host_send_ns, stamps.device_receive_us, stamps.device_send_us, arrival_ns)
        waiter = self._waiters.get(response.request_id)
        if waiter is not None and not waiter.done():
            waiter.set_result(response)

    def _keep_time(self, now_ns: int) -> None:
        again, expired = self._exchange.poll(now_ns)
        for message in again:
            self._post(message)
        for request in expired:
            waiter = self._waiters.get(request.request_id)
            if waiter is not None and not waiter.done():
                waiter.set_exception(NoAnswerError(self._silence(Opcode(request.opcode))))
        if self.state is LinkState.STREAMING and now_ns >= self._next_sync_ns:
            self._next_sync_ns = now_ns + SYNC_PERIOD_NS
            _, message = self._exchange.request(Opcode.TIME_SYNC, self._sync_payload(), self.transport.now_ns())
            self._post(message)

    def _sync_payload(self) -> bytes:
        return TimeSyncRequest(self.transport.now_ns()).pack()

    def _carried(self, message: bytes) -> bytes:
        return frame(message) if self.transport.framed else message

    def _post(self, message: bytes) -> None:
        """Send without waiting. A full outbox drops it, counted: the request's own retry or time-out tells."""
        if self._outbox.full():
            self.outbox_drops += 1
        else:
            self._outbox.put_nowait(self._carried(message))

    async def _write_outbox(self) -> None:
        while True:
            data = await self._outbox.get()
            try:
                await self.transport.write(data)
            except (TransportError, OSError) as error:
                self._end(str(error))
                return

    def _end(self, reason: str) -> None:
        if self.closed_reason is not None:
            return
        self.closed_reason = reason
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(LinkLostError(reason))
        for subscription in self._subscriptions:
            subscription.ready.set()
        for closer in list(self._closers):
            closer(reason)

    def _silence(self, opcode: Opcode) -> str:
        return f"{self.url}: no answer to {opcode.name}; is it a Nexus, switched on, and free of other programs?"


_NOTHING: Final = Decoded()


def _status_name(status: int) -> str:
    try:
        return Status(status).name.lower().replace("_", " ")
    except ValueError:
        return f"status {status}"


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Nexus]:
    """``async with connect("serial:/dev/ttyACM0") as nexus``: open on entry, closed on exit, whatever happens."""
    nexus = Nexus(make_transport(url))
    await nexus.open()
    try:
        yield nexus
    finally:
        await nexus.close()
