"""One streaming session as the suite saw it: what came between START and STOP's response, taken apart.

Device times are microseconds, arrivals nanoseconds of the transport's clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from nexus_conformance.host import Heard, Host, name_of
from nexus_conformance.requirement import Failed
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MESSAGE_HEADER,
    MessageType,
    Opcode,
    SampleType,
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
)

ALL: Final = 0xFFFFFFFF
"""Every stream that there is."""
STREAM_TYPES: Final = range(MessageType.DATA, 0x80)
SAMPLE_SIZE: Final = {SampleType.I16: 2, SampleType.I32: 4}
SYNCS: Final = 6
"""Exchanges of one look at the clock; the quickest one counts."""
SLOWEST: Final = 4.0
"""A simulated tool's clock may lag this many times behind the host's before waiting for it ends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One DATA message."""

    arrival_ns: int
    seq: int
    stream: int
    count: int
    first_index: int
    t0_us: int
    samples: bytes


@dataclass(frozen=True, slots=True)
class Health:
    """One STATUS message."""

    place: int
    """Stream messages of the session that came up to and with it."""
    status: StatusMessage


@dataclass(frozen=True, slots=True)
class Sync:
    """One exchange of time stamps: host's send and arrival, nanoseconds; the tool's two, microseconds."""

    send_ns: int
    arrival_ns: int
    answer: TimeSyncResponse

    @property
    def round_trip_ns(self) -> int:
        """From the host's sending to the arrival."""
        return self.arrival_ns - self.send_ns

    @property
    def middle_ns(self) -> float:
        """Host's time between sending and arrival."""
        return (self.send_ns + self.arrival_ns) / 2

    @property
    def middle_us(self) -> float:
        """Tool's time between receiving and sending."""
        return (self.answer.device_receive_us + self.answer.device_send_us) / 2


@dataclass(slots=True)
class Session:
    """A session that runs or has run."""

    start: StartResponse
    first_heard: int
    """Where in `Host.heard` it begins."""
    stop: StopResponse | None = None
    heard: list[Heard] = field(default_factory=list)
    """Stream messages; this and what follows is filled in at the stop."""
    batches: list[Batch] = field(default_factory=list)
    """DATA messages that are long enough to be one."""
    stopped_at: int = 0
    """Where in `Host.heard` it ends."""

    @property
    def seqs(self) -> list[int]:
        """Sequence numbers of all stream messages, in order of arrival."""
        return [int(MESSAGE_HEADER.unpack_from(h.message)[2]) for h in self.heard]

    @property
    def health(self) -> list[Health]:
        """STATUS messages that are long enough to be one."""
        taken = ((place, take_status(h)) for place, h in enumerate(self.heard, 1))
        return [Health(place, status) for place, status in taken if status is not None]

    def of(self, stream: int) -> list[Batch]:
        """Batches of one stream."""
        return [batch for batch in self.batches if batch.stream == stream]

    @property
    def duration_us(self) -> int:
        """From START to STOP by the tool's own stamps; 0 before the stop."""
        return self.stop.t_us - self.start.t_us if self.stop else 0


def take_batch(heard: Heard) -> Batch | None:
    """The message as a batch, or ``None``."""
    message = heard.message
    if message[0] != MessageType.DATA or len(message) < DATA_HEADER.size:
        return None
    _, _, seq, stream, count, first_index, t0_us = DATA_HEADER.unpack_from(message)
    return Batch(heard.arrival_ns, seq, stream, count, first_index, t0_us, message[DATA_HEADER.size :])


def take_status(heard: Heard) -> StatusMessage | None:
    """The message as a status, or ``None``."""
    if heard.message[0] != MessageType.STATUS:
        return None
    return StatusMessage.unpack(heard.message[MESSAGE_HEADER.size :])


def is_stream(heard: Heard) -> bool:
    """One of the messages that share the stream's sequence."""
    return heard.message[0] in STREAM_TYPES


def sample_size(descriptor: StreamDescriptor) -> int:
    """Bytes of one sample of all channels; 0 where the descriptor makes no sense."""
    channels = sum(group.channels for group in descriptor.groups)
    known = descriptor.sample_type in SAMPLE_SIZE
    return SAMPLE_SIZE[SampleType(descriptor.sample_type)] * channels if known else 0


async def begin(host: Host, mask: int = ALL) -> Session:
    """START; raises `Failed` where it is refused."""
    first = len(host.heard)
    start = await host.demand(Opcode.START, StartResponse, StartRequest(mask).pack())
    host.streaming = True
    return Session(start, first)


async def end(host: Host, session: Session) -> StopResponse:
    """STOP, and gather what came."""
    answer = await host.ask(Opcode.STOP, StopRequest(StopReason.DONE).pack())
    session.stop = stop = StopResponse.unpack(answer.payload)
    if stop is None or answer.status != Status.OK:
        raise Failed(
            f"STOP: {name_of(Status, answer.status)} with {len(answer.payload)} bytes, not the session's totals"
        )
    host.streaming = False
    session.stopped_at = answer.place
    session.heard = [h for h in host.heard[session.first_heard : session.stopped_at] if is_stream(h)]
    session.batches = [batch for h in session.heard if (batch := take_batch(h)) is not None]
    return stop


@asynccontextmanager
async def streaming(host: Host, mask: int = ALL) -> AsyncIterator[Session]:
    """A session around a few lines. What goes wrong inside leaves the stop to `Host.fresh`."""
    session = await begin(host, mask)
    yield session
    await end(host, session)


async def run_for(host: Host, session: Session, seconds: float) -> bool:
    """Until the stream has come so far on the device clock. False: it did not, within a multiple of that time."""
    until_us = session.start.t_us + round(seconds * 1e6)
    at = session.first_heard

    def arrived() -> bool:
        nonlocal at
        while at < len(host.heard):
            heard = host.heard[at]
            at += 1
            batch, status = take_batch(heard), take_status(heard)
            if max(batch.t0_us if batch else 0, status.t_us if status else 0) >= until_us:
                return True
        return False

    return await host.wait(arrived, seconds * SLOWEST + 1.0)


async def look_at_clock(host: Host) -> list[Sync]:
    """Some exchanges of time stamps, in order."""
    syncs = []
    for _ in range(SYNCS):
        send_ns = host.transport.now_ns()
        answer = await host.ask(Opcode.TIME_SYNC, TimeSyncRequest(send_ns).pack())
        stamps = TimeSyncResponse.unpack(answer.payload)
        if stamps is None or answer.status != Status.OK:
            raise Failed(
                f"TIME_SYNC: {name_of(Status, answer.status)} with {len(answer.payload)} bytes, not four stamps"
            )
        syncs.append(Sync(send_ns, answer.arrival_ns, stamps))
    return syncs


def quickest(syncs: list[Sync]) -> Sync:
    """The exchange with the least room for doubt."""
    return min(syncs, key=lambda sync: sync.round_trip_ns)
