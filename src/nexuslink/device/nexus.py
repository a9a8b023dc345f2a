"""One tool: connect, shake hands, ask, stream, close.

The order is that of the protocol: open the link, HELLO, INFO and what belongs to it (unless the tool is known),
TIME_SYNC, and no data before START. Everything runs on one event loop. Chunks are pushed in by the transport; each is
first shown raw to the *taps* (the recorder is one), then decoded, then shown to the *listeners*. All time-outs run on
the transport's clock, which arrives with the chunks and ticks; a wall-clock bound stands behind every wait in case
even those stop. It must never know what the samples mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from nexuslink.device.cache import USUAL, Known, ToolCache
from nexuslink.device.commands import NEEDS, Commands
from nexuslink.device.control import Control
from nexuslink.device.errors import BadAnswerError, DeviceError, NotNowError, UnsupportedError, refusal
from nexuslink.device.handshake import describe, greet, learn
from nexuslink.device.records import read_record
from nexuslink.device.subscription import Reader
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.clock import ClockFit, DeviceClock
from nexuslink.protocol.decoder import Batch, Decoded, Decoder
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.envelope import Response, StreamMessage
from nexuslink.protocol.exchange import TIMEOUT_NS, Asked, ExchangeCounts, LinkState
from nexuslink.protocol.messages import (
    RESET_MAGIC,
    CalibrationRecord,
    Opcode,
    ResetRequest,
    SessionTotals,
    StartRequest,
    StartResponse,
    Status,
    StatusMessage,
    StopReason,
    StopRequest,
    StopResponse,
    StreamDescriptor,
    TimeSyncRequest,
    TimeSyncResponse,
    TotalsResponse,
)
from nexuslink.transport.base import Transport
from nexuslink.transport.errors import LinkLostError, TransportError
from nexuslink.transport.url import make_transport

SYNC_EXCHANGES: Final = 8
"""TIME_SYNC exchanges before the stream; one more each `SYNC_PERIOD_NS` while it runs."""
SYNC_PERIOD_NS: Final = 1_000_000_000
RESTART_NS: Final = 5_000_000_000
"""How long a restarted tool may take until it answers HELLO."""


class Nexus(Commands):
    """A connected tool. Made by `connect`; or `Nexus(transport)`, then `open` and `close`.

    ``cache``: where tools that were seen before are known from; ``None`` asks every tool everything.
    """

    def __init__(self, transport: Transport, cache: ToolCache | None = None) -> None:
        self.url = transport.url
        self.transport = transport
        self.clock = DeviceClock()
        self.status: StatusMessage | None = None
        self.last_chunk_ns = transport.now_ns()
        """Transport clock of the last chunk that held bytes."""
        self.now_ns = self.last_chunk_ns
        """Transport clock of the last chunk or tick."""
        self.closed_reason: str | None = None
        self.decoder = Decoder(framed=transport.framed)
        self._control = Control(transport, self.decoder)
        self._taps: list[Callable[[Chunk], None]] = []
        self._listeners: list[Callable[[Chunk, Decoded], None]] = []
        self._closers: list[Callable[[str], None]] = []
        self._notices: list[Callable[[StreamMessage], None]] = []
        self._readers: list[Reader] = []
        self._view_drops = 0
        self._next_sync_ns = 0
        self._closing = False
        self._session: int | None = None  # number of the one that is counted, once the tool has said it
        self._cache = cache
        self._known: Known | None = None
        self._calibration: CalibrationRecord | None = None
        self.recognised = False
        """The tool was known from an earlier connection and needed only to be greeted."""

    # -- what is known about the tool -----------------------------------------------------------------------------

    def _told(self) -> Known:
        if self._known is None:
            raise NotNowError(f"{self.url}: not connected yet; `async with connect(url)` does it")
        return self._known

    @property
    def info(self) -> ToolDescription:
        """Identity and streams. Raises `NotNowError` before the handshake."""
        return self._told().description

    @property
    def calibration(self) -> CalibrationRecord:
        """The record that the tool carries. Raises `NotNowError` before the handshake."""
        self._told()
        assert self._calibration is not None  # known together with the rest
        return self._calibration

    @property
    def calibration_bytes(self) -> bytes:
        """The same record as it came. Raises `NotNowError` before the handshake."""
        return self._told().record

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        return self.info.simulated

    @property
    def state(self) -> LinkState:
        """How far the connection has come."""
        return self._control.exchange.state

    @property
    def requests(self) -> ExchangeCounts:
        """Requests, retries, time-outs, and answers that nobody waits for."""
        return self._control.exchange.counts

    @property
    def view_drops(self) -> int:
        """Batches dropped because a `stream` was not read in time."""
        return self._view_drops + sum(reader.drops for reader in self._readers)

    @property
    def outbox_drops(self) -> int:
        """Messages not sent because the link took nothing; each is a retry or a time sync, and comes again."""
        return self._control.drops

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
            await self.open_link()
            await self.shake_hands()
        except BaseException:
            await self.close()
            raise

    async def open_link(self) -> None:
        """The first half of `open`: nothing is said yet. If it raises, `close`."""
        try:
            await self.transport.open(self)
        except OSError as error:  # third-party transports
            raise TransportError(f"{self.url}: {error.strerror or error}") from None
        self._control.open(self._end)

    async def shake_hands(self, patience_ns: int = TIMEOUT_NS) -> None:
        """The second half of `open`. If it raises, `close`."""
        hello = await greet(self.url, lambda opcode, payload: self._ask_raw(opcode, payload, patience_ns))
        known, self.recognised = await learn(self.url, self.request, hello, self._cache)
        if self._known is None or self._known.description.boot_id != known.description.boot_id:
            self.clock = DeviceClock()
        self._take_in(known)
        self._control.exchange.recognised()
        for _ in range(SYNC_EXCHANGES):
            await self.request(Opcode.TIME_SYNC, self._sync_payload())

    def _take_in(self, known: Known) -> None:
        record = CalibrationRecord.unpack(known.record)
        problem = "it is too short" if record is None else record.problem()
        if problem is not None:
            raise BadAnswerError(
                f"{self.url}: the calibration record is impossible, {problem}; calibrate the tool again"
            )
        self._known, self._calibration = known, record
        self.decoder.describe(known.description.streams)

    async def refresh(self) -> None:
        """Ask the tool again what it is: something has changed that. Raises like `request`."""
        hello = self.info.payloads[0]
        known = Known(await describe(self.url, self.request, hello), await read_record(self.url, self.request))
        self._take_in(known)
        if self._cache is not None:
            await asyncio.to_thread(self._cache.keep, known)

    async def restart(self) -> None:
        """Let the tool restart, and shake hands again. A link that goes with it (USB) raises `LinkLostError`."""
        before = self.info.boot_id
        await self.request(Opcode.RESET, ResetRequest(RESET_MAGIC).pack())
        await self.shake_hands(RESTART_NS)
        if self.info.boot_id == before:
            raise BadAnswerError(f"{self.url}: the tool said that it restarts, but did not; switch it off and on")
        if self._session is not None:
            await self.totals()  # of the session that the restart has ended

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
            try:
                await self._control.close()
            finally:  # whoever waits may give up: the link is closed all the same
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
        response = await self._ask_raw(opcode, payload, timeout_ns)
        if response.status != Status.OK:
            raise refusal(self.url, opcode.name, response.status)
        return response.payload

    async def _ask_raw(self, opcode: Opcode, payload: bytes, timeout_ns: int) -> Response:
        if self.closed_reason is not None:
            raise LinkLostError(self.closed_reason)
        if not self._control.exchange.allowed(opcode):
            raise NotNowError(f"{self.url}: {opcode.name} is not possible while the connection is {self.state.value}")
        if opcode in NEEDS and not self.info.capabilities & NEEDS[opcode][0]:
            lack = f"{self.info.serial_number} {NEEDS[opcode][1]}"
            raise UnsupportedError(f"{self.url}: {lack}; {opcode.name} was not sent")
        if opcode is Opcode.START:  # before the bytes leave: the first batch may come with the answer
            self._session = None
            self.decoder.begin()
        return await self._control.ask(opcode, payload, timeout_ns)

    async def start(self, stream_mask: int | None = None) -> None:
        """Begin streaming; bit n of ``stream_mask`` starts stream n, default: all that the tool has."""
        if stream_mask is None:
            stream_mask = sum(1 << s.stream for s in self.info.streams)
        await self._ask(Opcode.START, StartRequest(stream_mask), StartResponse)

    async def stop(self, reason: StopReason = StopReason.USER) -> None:
        """End streaming and tell the tool why. Then `decoder.link` is settled: nothing is missing in its counts."""
        await self._ask(Opcode.STOP, StopRequest(reason), StopResponse)

    async def stream(self) -> AsyncIterator[Batch]:
        """Every batch from now on; starts the stream if it does not run. Ends with `LinkLostError` if the link does.

        A reader that is too slow holds the carrier back where that is possible; else the oldest batches are
        dropped and counted in `view_drops`.
        """
        reader = Reader(self.transport)
        self._readers.append(reader)  # before START: its first batches may come with the answer
        try:
            if self.state is not LinkState.STREAMING:
                await self.start()
            async for batch in reader.read(self._goes_on):
                yield batch
        finally:
            self._readers.remove(reader)
            self._view_drops += reader.drops

    def _goes_on(self) -> bool:
        if self.closed_reason is not None:
            raise LinkLostError(self.closed_reason)
        return self.state is LinkState.STREAMING

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

    def add_notice(self, told: Callable[[StreamMessage], None]) -> None:
        """``told(message)`` gets every LOG, FAULT and EVENT of the tool."""
        self._notices.append(told)

    def remove(self, callback: Callable[..., None]) -> None:
        """Undo `add_tap`, `add_listener`, `add_closer` or `add_notice`."""
        for watchers in (self._taps, self._listeners, self._closers, self._notices):
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
        for notice in decoded.notices:
            for told in self._notices:
                told(notice)
        for reader in self._readers:
            reader.put(decoded.batches)
        self._keep_time(chunk.arrival_ns)

    def closed(self, reason: str) -> None:
        """The transport's side: the link has ended by itself."""
        self._end(reason)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _answered(self, response: Response, arrival_ns: int) -> None:
        asked = self._control.answered(response)
        if asked is not None and response.status == Status.OK:
            self._control.exchange.succeeded(Opcode(asked.opcode))
            self._heed(asked, response.payload, arrival_ns)

    def _heed(self, asked: Asked, payload: bytes, arrival_ns: int) -> None:
        """What an answer means for the link itself, at the very place in the stream at which it came."""
        match asked.opcode:
            case Opcode.TIME_SYNC:
                sent, stamps = TimeSyncRequest.unpack(asked.payload), TimeSyncResponse.unpack(payload)
                if sent is not None and stamps is not None:
                    self.clock.add(sent.host_send_ns, stamps.device_receive_us, stamps.device_send_us, arrival_ns)
            case Opcode.START:
                started = StartResponse.unpack(payload)
                self._session = None if started is None else started.session
            case Opcode.STOP:
                stopped = StopResponse.unpack(payload)
                self._settle(None if stopped is None else stopped.totals)
            case Opcode.TOTALS:
                so_far = TotalsResponse.unpack(payload)
                self._settle(None if so_far is None or so_far.streaming else so_far.totals)

    def _settle(self, totals: SessionTotals | None) -> None:
        if totals is not None and self._session is not None:
            self.decoder.settle(totals, self._session)

    def _keep_time(self, now_ns: int) -> None:
        self._control.keep_time(now_ns)
        if self.state is LinkState.STREAMING and now_ns >= self._next_sync_ns:
            self._next_sync_ns = now_ns + SYNC_PERIOD_NS
            if not self._control.exchange.asking(Opcode.TIME_SYNC):  # else its place may be taken
                self._control.tell(Opcode.TIME_SYNC, self._sync_payload())

    def _sync_payload(self) -> bytes:
        return TimeSyncRequest(self.transport.now_ns()).pack()

    def _end(self, reason: str) -> None:
        if self.closed_reason is not None:
            return
        self.closed_reason = reason
        self._control.end(reason)
        for reader in self._readers:
            reader.put([])
        for closer in list(self._closers):
            closer(reason)


_NOTHING: Final = Decoded()


@asynccontextmanager
async def connect(url: str, cache: ToolCache | None = USUAL) -> AsyncIterator[Nexus]:
    """``async with connect("serial:/dev/ttyACM0") as nexus``: open on entry, closed on exit, whatever happens.

    ``cache`` knows the tools that were seen before, in the user's cache folder; ``None``: ask everything, keep nothing.
    """
    nexus = Nexus(make_transport(url), cache)
    await nexus.open()
    try:
        yield nexus
    finally:
        await nexus.close()
