"""A stream watched for a while, and what can be said about its link from that.

Everything is measured through the public face of a connected tool: listeners, requests, counters. All times are the
transport's own clock (that of the chunks) and the tool's: the same code measures a real port in real time and a
simulated tool that runs as fast as it can. Knows no limits and no pytest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.device.nexus import Nexus
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.clock import ClockFit
from nexuslink.protocol.decoder import Decoded
from nexuslink.protocol.exchange import RETRY_NS
from nexuslink.protocol.messages import (
    BATCH_FLUSH_US,
    Opcode,
    Status,
    StatusMessage,
    StreamDescriptor,
    StreamKind,
    TimeSyncRequest,
    TimeSyncResponse,
)
from nexuslink.transport.errors import LinkLostError

SLACK: Final = 1.5
"""A stream that is this many times slower than it says is not waited for ..."""
SLACK_S: Final = 5.0
"""... beyond this."""
SLOWEST: Final = 10.0
"""Wall-clock bound behind a wait on a link's clock: simulated tools may run at a tenth of real time."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StreamLog:
    """The batches of one stream, in order: a message each, or neighbours that came together. Arrays (m,) int64."""

    descriptor: StreamDescriptor
    arrival_ns: Ints
    index: Ints
    """Number since START of each batch's first sample."""
    t0_us: Ints
    """Device clock at that sample."""
    count: Ints

    @property
    def name(self) -> str:
        """``force``, ``imu``, or the number of a kind that is not known here."""
        kind = self.descriptor.kind
        return StreamKind(kind).name.lower() if kind in set(StreamKind) else f"kind-{kind}"

    @property
    def device_rate_hz(self) -> float:
        """Samples a second on the tool's own clock; NaN where too little came. Lost messages do not matter."""
        return 1e6 * _slope(self.t0_us, self.index)

    @property
    def host_rate_hz(self) -> float:
        """Samples a second on the link's clock, by arrival; NaN where too little came."""
        return 1e9 * _slope(self.arrival_ns, self.index + self.count)

    def ages_ms(self, fit: ClockFit) -> NDArray[np.float64]:
        """(m,) age of each batch's oldest sample when it arrived, milliseconds, by the clock fit."""
        host_ns = fit.origin_host_ns + (self.t0_us - fit.origin_us) * 1000.0 * (1.0 + fit.skew)
        ages: NDArray[np.float64] = (self.arrival_ns - host_ns) / 1e6
        return ages

    @property
    def jitter_ms(self) -> NDArray[np.float64]:
        """(m,) how much later than the typical batch each one came, milliseconds. No clock fit is needed."""
        if len(self.index) < 2:
            return np.array([])
        last_us = self.t0_us + (self.count - 1) * (1e6 / self.descriptor.rate_hz)
        late = self.arrival_ns / 1e6 - last_us / 1e3
        jitter: NDArray[np.float64] = late - np.median(late)
        return jitter


@dataclass(frozen=True, slots=True)
class Exchanges:
    """TIME_SYNC exchanges. All arrays (n,) int64: host sent, tool received, tool answered, host received."""

    sent_ns: Ints
    received_us: Ints
    answered_us: Ints
    arrived_ns: Ints

    @property
    def round_trip_ms(self) -> NDArray[np.float64]:
        """(n,) from the request to its answer, milliseconds, the tool's own time included."""
        trips: NDArray[np.float64] = (self.arrived_ns - self.sent_ns) / 1e6
        return trips

    def contradiction_ms(self, fit: ClockFit) -> float:
        """By how much the fit claims, at worst, that the tool received before it was asked or answered after that came.

        Needs no assumption about delays, so that a busy machine cannot be mistaken for a bad clock. Milliseconds.
        """
        if not len(self.sent_ns):
            return float("nan")
        scale = 1000.0 * (1.0 + fit.skew)
        received = fit.origin_host_ns + (self.received_us - fit.origin_us) * scale
        answered = fit.origin_host_ns + (self.answered_us - fit.origin_us) * scale
        return max(0.0, float((self.sent_ns - received).max()), float((answered - self.arrived_ns).max())) / 1e6

    @property
    def least_skew_ppm(self) -> float:
        """The smallest skew, parts per million without sign, that can explain all exchanges.

        Each one bounds the offset of the clocks from both sides; two that exclude each other prove a drift between
        them. Short or slow exchanges prove less, never something false. NaN with fewer than two.
        """
        if len(self.sent_ns) < 2:
            return float("nan")
        low = self.sent_ns - self.received_us * 1000.0 - 1000.0  # the tool's stamps are whole microseconds
        high = self.arrived_ns - self.answered_us * 1000.0 + 1000.0
        apart = (self.received_us[None, :] - self.received_us[:, None]) * 1000.0
        later = apart > 0
        rise = np.where(later, low[None, :] - high[:, None], 0.0)
        fall = np.where(later, low[:, None] - high[None, :], 0.0)
        drift = np.maximum(np.maximum(rise, fall), 0.0) / np.where(later, apart, 1.0)
        return 1e6 * float(drift.max())


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen between START and STOP."""

    streams: tuple[StreamLog, ...]
    exchanges: Exchanges
    clock_fit: ClockFit | None
    status: StatusMessage | None
    """The tool's latest word about itself."""
    received_messages: int
    lost_messages: int
    loss_fraction: float
    """NaN where nothing came at all."""
    received_samples: int
    overrun_samples: int
    bad_frames: int

    @property
    def overrun_fraction(self) -> float:
        """Samples that the tool made and never sent, of all."""
        total = self.received_samples + self.overrun_samples
        return self.overrun_samples / total if total else float("nan")


async def observe(nexus: Nexus, seconds: float, enough_messages: int = 0) -> Observation:
    """Start, watch until ``seconds`` of device time *and* ``enough_messages`` have passed, stop.

    Ends earlier where the stream is silent or much too slow. Raises `LinkLostError` where the link ends.
    """
    rows: dict[int, list[tuple[int, int, int, int]]] = {s.stream: [] for s in nexus.info.streams}
    done = asyncio.Event()
    first_us: int | None = None
    began_ns = nexus.transport.now_ns()
    # A tool sends what it has of each stream at least this often, so enough messages take at most:
    enough_s = enough_messages * BATCH_FLUSH_US / 1e6 / max(1, len(nexus.info.streams))
    patience_ns = 1e9 * (SLACK * max(seconds, enough_s) + SLACK_S)

    def look(chunk: Chunk, decoded: Decoded) -> None:
        nonlocal first_us
        for batch in decoded.batches:
            t_us = int(batch.t_us[0])
            first_us = t_us if first_us is None else first_us
            rows[batch.stream].append((chunk.arrival_ns, batch.first_index, t_us, len(batch.t_us)))
            if t_us - first_us >= seconds * 1e6 and nexus.decoder.link.received >= enough_messages:
                done.set()
        if chunk.arrival_ns - began_ns >= patience_ns:
            done.set()

    async with _listening(nexus, look, done), exchanges(nexus) as seen:
        await nexus.start()
        await _bounded(nexus, done, patience_ns / 1e9)
        status = nexus.status
        await nexus.stop()
    link = nexus.decoder.link
    frames = nexus.decoder.frames
    logs = []
    for descriptor in nexus.info.streams:
        table = np.array(rows[descriptor.stream], np.int64).reshape(-1, 4).T
        logs.append(StreamLog(descriptor, *table))
    return Observation(
        tuple(logs), seen(), nexus.clock_fit, status, link.received, link.lost,
        link.loss_fraction if link.received else float("nan"),
        sum(s.received for s in link.streams.values()), link.overrun_samples,
        frames.bad_cobs + frames.bad_crc + frames.bad_length,
    )  # fmt: skip


async def pass_time(nexus: Nexus, seconds: float) -> None:
    """Wait until so much time has passed on the link's clock. Raises `LinkLostError` where the link ends."""
    until_ns = nexus.transport.now_ns() + seconds * 1e9
    done = asyncio.Event()

    def look(chunk: Chunk, _decoded: Decoded) -> None:
        if chunk.arrival_ns >= until_ns:
            done.set()

    async with _listening(nexus, look, done):
        await _bounded(nexus, done, seconds)


async def ask_often(nexus: Nexus, times: int) -> tuple[Exchanges, float]:
    """``times`` TIME_SYNC requests, one after another: those answered at once, and the share that had to be repeated.

    The round trip of a repeated request says nothing (to which of its copies was that the answer?), as in TCP.
    """
    mine: set[int] = set()
    async with exchanges(nexus) as seen:
        for _ in range(times):
            sent_ns = nexus.transport.now_ns()
            mine.add(sent_ns)
            await nexus.request(Opcode.TIME_SYNC, TimeSyncRequest(sent_ns).pack())
    every = seen()
    own = np.isin(every.sent_ns, list(mine))
    at_once = own & (every.arrived_ns - every.sent_ns < RETRY_NS)
    fast = Exchanges(*(column[at_once] for column in _columns(every)))
    return fast, 1.0 - min(1.0, len(fast.sent_ns) / times)


@asynccontextmanager
async def exchanges(nexus: Nexus) -> AsyncIterator[Callable[[], Exchanges]]:
    """Notes every TIME_SYNC answer, whoever asked; call what is yielded for the exchanges so far."""
    rows: list[tuple[int, int, int, int]] = []

    def look(chunk: Chunk, decoded: Decoded) -> None:
        for response in decoded.responses:
            if response.opcode == Opcode.TIME_SYNC and response.status == Status.OK:
                stamps = TimeSyncResponse.unpack(response.payload)
                if stamps is not None:
                    row = (stamps.host_send_ns, stamps.device_receive_us, stamps.device_send_us, chunk.arrival_ns)
                    rows.append(row)

    nexus.add_listener(look)
    try:
        yield lambda: Exchanges(*np.array(rows, np.int64).reshape(-1, 4).T)
    finally:
        nexus.remove(look)


def _columns(e: Exchanges) -> tuple[Ints, Ints, Ints, Ints]:
    return e.sent_ns, e.received_us, e.answered_us, e.arrived_ns


@asynccontextmanager
async def _listening(nexus: Nexus, look: Callable[[Chunk, Decoded], None], done: asyncio.Event) -> AsyncIterator[None]:
    def closed(_reason: str) -> None:
        done.set()

    nexus.add_listener(look)
    nexus.add_closer(closed)
    try:
        yield
    finally:
        nexus.remove(look)
        nexus.remove(closed)


async def _bounded(nexus: Nexus, done: asyncio.Event, seconds: float) -> None:
    """Wait for ``done``, in wall-clock time at most what the slowest simulated tool needs."""
    if nexus.closed_reason is not None:  # before anybody listened
        raise LinkLostError(nexus.closed_reason)
    try:
        async with asyncio.timeout(SLOWEST * seconds + SLACK_S):
            await done.wait()
    except TimeoutError:
        raise TimeoutError(f"{nexus.url}: the link's clock stands still") from None
    if nexus.closed_reason is not None:
        raise LinkLostError(nexus.closed_reason)


def _slope(t: Ints, y: Ints) -> float:
    """Least squares: y per t; NaN with fewer than two different times."""
    if len(t) < 2:
        return float("nan")
    dt, dy = t - t.mean(), y - y.mean()
    square = float(dt @ dt)
    return float(dt @ dy) / square if square else float("nan")
