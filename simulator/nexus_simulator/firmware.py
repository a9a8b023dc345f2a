"""What the tool's own processor does: requests in, messages out, on the device clock.

Sans-I/O: ``receive`` takes one request message, ``advance`` moves the device clock and returns the messages that leave
meanwhile. Where the samples come from is a Take's business; how messages become bytes on a carrier is the link's.
It knows neither the body nor the host's clock.

Two queues: answers (at most REQUESTS_MAX, one for each request) and stream messages (at most QUEUE_MAX; a message
that finds it full is dropped and counted). A sequence number is given when a message leaves, so a drop here shows
in ``first_index`` and not in ``seq``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np
import numpy.typing as npt

from nexuslink.protocol.envelope import (
    Request,
    pack_data,
    pack_response,
    pack_status,
    samples_per_message,
    take_request,
)
from nexuslink.protocol.messages import (
    BATCH_FLUSH_US,
    MAX_MESSAGE,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    STATUS_PERIOD_US,
    CalibrationResponse,
    Capability,
    ForceCalibration,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    Opcode,
    SampleType,
    StartRequest,
    StartResponse,
    Status,
    StatusMessage,
    StopRequest,
    StopResponse,
    StreamDescriptor,
    TareRequest,
    TareResponse,
    TimeSyncRequest,
    TimeSyncResponse,
)

FIRMWARE_VERSION = (0, 1, 0)
CALIBRATION_ID = 1
BATCH_US = 20_000
"""All streams send what they have this often, microseconds: under the protocol's BATCH_FLUSH_US."""
QUEUE_MAX = 64
"""Stream messages that wait for the link at most: about 0.6 s at the default rates."""
REQUESTS_MAX = 8
"""Requests that wait for their answer at most; more are ignored and counted."""
HANDLING_US = 400
"""From a request's arrival to its effect."""
ANSWERING_US = 300
"""From the effect to the answer's departure."""
TARE_MIN_MS, TARE_MAX_MS = 10, 2000

assert BATCH_US <= BATCH_FLUSH_US


class Take(Protocol):
    """The samples of one streaming session, from START on."""

    @property
    def ends_us(self) -> int | None:
        """Device time at which there are no more samples; None: never."""

    def cut(self, stream: int, until_us: int) -> tuple[int, int, npt.NDArray[np.signedinteger]]:
        """Index and device time of the first sample not cut yet, and all (n, channels) samples before ``until_us``."""

    def mean_force(self, until_us: int, window_us: int) -> tuple[int, tuple[int, int]]:
        """How many force samples lie in the window that ends at ``until_us``, and their mean counts."""

    def temperature_c(self, t_us: int) -> float:
        """Temperature of the load cells."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a tool says about itself."""

    serial_number: str
    boot_id: int
    streams: tuple[StreamDescriptor, ...]
    cells: tuple[ForceCalibration, ForceCalibration]


@dataclass(frozen=True, slots=True)
class Departure:
    """A message that left the tool."""

    t_us: int
    message: bytes


@dataclass(frozen=True, slots=True)
class _Data:
    """A batch that waits for its sequence number."""

    t_us: int
    stream: int
    first_index: int
    t0_us: int
    count: int
    samples: bytes


@dataclass(slots=True)
class _Pending:
    """A request on its way through the processor."""

    due_us: int
    received_us: int
    request: Request


class Firmware:
    """The tool's behaviour. Times are device microseconds and never go back."""

    def __init__(self, identity: Identity, begin: Callable[[int], Take], battery: Callable[[int], float]) -> None:
        self._identity = identity
        self._begin = begin
        self._battery = battery
        self._now = 0
        self._entered = 0
        self._room: int | None = None
        self._requests: deque[_Pending] = deque()
        self._answers: deque[Departure] = deque()
        self._queue: deque[_Data | StatusMessage] = deque()
        self._last: tuple[int, int, Status, bytes] | None = None
        self._answer_seq = 0
        self._stream_seq = 0
        self._take: Take | None = None
        self._active: tuple[StreamDescriptor, ...] = ()
        self._capacity: dict[int, int] = {}
        self._period = BATCH_US
        self._next_cut = 0
        self._next_status = 0
        self._high_water = 0
        self.produced = 0
        """Stream messages made since START, sent or dropped."""
        self.dropped = 0
        """Of these, dropped because the queue was full."""
        self.ignored_requests = 0
        """Messages that were no request, or came while REQUESTS_MAX were waiting."""
        self.stop_reason: int | None = None
        """Reason in the latest STOP; None before the first."""
        self._handlers: dict[int, Callable[[Request, int, int], tuple[Status, bytes]]] = {
            Opcode.HELLO: self._hello,
            Opcode.INFO: self._info,
            Opcode.CALIBRATION: self._calibration,
            Opcode.TIME_SYNC: self._time_sync,
            Opcode.START: self._start,
            Opcode.STOP: self._stop,
            Opcode.TARE: self._tare,
        }

    @property
    def streaming(self) -> bool:
        """Between START and STOP."""
        return self._take is not None

    @property
    def due_us(self) -> int | None:
        """When the next thing happens by itself; None while nothing is under way."""
        times = [self._requests[0].due_us] if self._requests else []
        times += [self._answers[0].t_us] if self._answers else []
        times += [min(self._next_cut, self._next_status)] if self._take else []
        return min(times, default=None)

    def receive(self, t_us: int, message: bytes) -> None:
        """One message arrived from the host."""
        request = take_request(message)
        if request is None or len(self._requests) >= REQUESTS_MAX:
            self.ignored_requests += 1
            return
        self._requests.append(_Pending(max(t_us, self._now) + HANDLING_US, t_us, request))

    def advance(self, t_us: int, room: int | None = None) -> list[Departure]:
        """Move to ``t_us``; ``room`` is how many stream messages the link can take meanwhile (None: all)."""
        out: list[Departure] = []
        self._room, self._entered = room, self._now
        while True:
            due = self._requests[0].due_us if self._requests else t_us + 1
            cut = min(self._next_cut, self._next_status) if self._take else t_us + 1
            if min(due, cut) > t_us:
                break
            if cut <= due:
                self._now = max(self._now, cut)
                self._produce(cut)
            else:
                self._now = max(self._now, due)
                self._handle(self._requests.popleft())
            # At once, not at the end: a late call must not overfill the queue of a link that was free all along.
            self._depart(out)
        self._now = max(self._now, t_us)
        self._depart(out)
        out.sort(key=lambda departure: departure.t_us)
        return out

    def disconnect(self) -> None:
        """The link is gone: streaming stops, nothing is kept for the next host."""
        self._take = None
        self._requests.clear()
        self._answers.clear()
        self._queue.clear()
        self._last = None

    # ---- sending ------------------------------------------------------------------------------------------------
    def _depart(self, out: list[Departure]) -> None:
        """Append everything that leaves by now; a stream message gets its sequence number here."""
        while self._answers and self._answers[0].t_us <= self._now:
            out.append(self._answers.popleft())
        while self._queue and self._room != 0:
            item = self._queue.popleft()
            if self._room is not None:
                self._room -= 1
            seq = self._stream_seq
            self._stream_seq = (seq + 1) & 0xFFFF
            if isinstance(item, _Data):
                packed = pack_data(seq, item.stream, item.count, item.first_index, item.t0_us, item.samples)
            else:
                packed = pack_status(seq, item)
            out.append(Departure(max(item.t_us, self._entered), packed))

    def _enqueue(self, item: _Data | StatusMessage) -> None:
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            return
        self._queue.append(item)
        self._high_water = max(self._high_water, len(self._queue))

    def _produce(self, now: int) -> None:
        """Make the batches and the status that are due."""
        if self._next_cut <= now:
            self._cut(self._next_cut, now)
            self._next_cut += self._period
        if self._next_status <= now:
            self.produced += 1
            self._enqueue(self._status(self._next_status))
            self._next_status += STATUS_PERIOD_US

    def _cut(self, until_us: int, now: int) -> None:
        """One batch of every active stream, of all samples before ``until_us``."""
        assert self._take is not None
        for descriptor in self._active:
            stream = descriptor.stream
            first, t0_us, rows = self._take.cut(stream, until_us)
            step = self._capacity[stream]
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                at = t0_us + round(start * 1e6 / descriptor.rate_hz)
                self.produced += 1
                self._enqueue(_Data(now, stream, first + start, at, len(part), part.tobytes()))

    def _status(self, t_us: int) -> StatusMessage:
        assert self._take is not None
        return StatusMessage(
            t_us=t_us,
            battery_percent=max(0, min(100, round(self._battery(t_us)))),
            temperature_cdeg=round(100.0 * self._take.temperature_c(t_us)),
            produced=self.produced,
            dropped=self.dropped,
            queue_high_water=self._high_water,
            max_message=MAX_MESSAGE,
            interval_us=0,
        )

    # ---- requests -----------------------------------------------------------------------------------------------
    def _handle(self, pending: _Pending) -> None:
        """Carry one request out, or repeat the answer of the one just carried out."""
        request, now = pending.request, pending.due_us
        if self._last is not None and self._last[:2] == (request.request_id, request.opcode):
            status, payload = self._last[2:]
        else:
            handler = self._handlers.get(request.opcode)
            status, payload = handler(request, pending.received_us, now) if handler else (Status.UNKNOWN_OPCODE, b"")
            self._last = (request.request_id, request.opcode, status, payload)
        message = pack_response(self._answer_seq, request.request_id, request.opcode, status, payload)
        self._answer_seq = (self._answer_seq + 1) & 0xFFFF
        self._answers.append(Departure(now + ANSWERING_US, message))

    def _hello(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        hello = HelloRequest.unpack(request.payload)
        if hello is None:
            return Status.BAD_REQUEST, b""
        identity = self._identity
        answer = HelloResponse(PROTOCOL_MAJOR, PROTOCOL_MINOR, SCHEMA_HASH, identity.boot_id, identity.serial_number)
        status = Status.OK if hello.protocol_major == PROTOCOL_MAJOR else Status.UNSUPPORTED_VERSION
        return status, answer.pack()

    def _info(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        identity = self._identity
        answer = InfoResponse(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            schema_hash=SCHEMA_HASH,
            boot_id=identity.boot_id,
            serial_number=identity.serial_number,
            firmware_version=FIRMWARE_VERSION,
            capabilities=int(Capability.SIMULATED | Capability.TARE),
            max_message=MAX_MESSAGE,
            stream_count=len(identity.streams),
            streams=identity.streams,
        )
        return Status.OK, answer.pack()

    def _calibration(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        return Status.OK, calibration_record(self._identity.cells)

    def _time_sync(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        sync = TimeSyncRequest.unpack(request.payload)
        if sync is None:
            return Status.BAD_REQUEST, b""
        return Status.OK, TimeSyncResponse(sync.host_send_ns, received_us, now + ANSWERING_US).pack()

    def _start(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        start = StartRequest.unpack(request.payload)
        active = tuple(d for d in self._identity.streams if start and start.stream_mask >> d.stream & 1)
        if not active:
            return Status.BAD_REQUEST, b""
        # Bits of streams that this tool does not have mean nothing: "all" is all ones.
        self._active = active
        self._capacity = {d.stream: _capacity(d) for d in self._active}
        self._period = min(BATCH_US, *(int(_capacity(d) * 1e6 / d.rate_hz) for d in self._active))
        self._take = self._begin(now)
        self._queue.clear()
        self._stream_seq = self._high_water = self.produced = self.dropped = 0
        self._next_cut, self._next_status = now + self._period, now + self._period
        return Status.OK, StartResponse(now).pack()

    def _stop(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        stop = StopRequest.unpack(request.payload)
        if stop is None:
            return Status.BAD_REQUEST, b""
        self.stop_reason = stop.reason
        if self._take is not None:
            self._cut(now, now)
            self._take = None
        return Status.OK, StopResponse(now).pack()

    def _tare(self, request: Request, received_us: int, now: int) -> tuple[Status, bytes]:
        tare = TareRequest.unpack(request.payload)
        if tare is None or not TARE_MIN_MS <= tare.window_ms <= TARE_MAX_MS:
            return Status.BAD_REQUEST, b""
        if self._take is None:
            return Status.BAD_STATE, b""
        samples, mean = self._take.mean_force(now, tare.window_ms * 1000)
        if not samples:
            return Status.BAD_STATE, b""
        return Status.OK, TareResponse(now, samples, mean).pack()


def _capacity(descriptor: StreamDescriptor) -> int:
    """Samples of one stream that fit one message."""
    channels = sum(group.channels for group in descriptor.groups)
    return samples_per_message(SampleType(descriptor.sample_type), channels)


def calibration_record(cells: Sequence[ForceCalibration]) -> bytes:
    """The packed record with its check at the end."""
    body = CalibrationResponse(1, CALIBRATION_ID, tuple(cells), 0).pack()[:-4]
    return body + crc32(body).to_bytes(4, "little")
