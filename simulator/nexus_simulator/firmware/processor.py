"""What the tool's own processor does: requests in, messages out, on the device clock.

Sans-I/O: ``receive`` takes one request message, ``advance`` moves the device clock and returns the messages that leave
meanwhile. Where the samples come from is a Take's business; how messages become bytes on a carrier is the link's.
It knows neither the body nor the host's clock.

Inside, time only goes forward. The clock that the wire shows differs from it by ``shift_us`` after a restart, when it
begins anew, and after it was set.

Answers (at most one for each request that waits, and a few BUSY) and stream messages (a bounded queue) wait apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from nexus_simulator.firmware.calibration import CalibrationStore
from nexus_simulator.firmware.health import Health
from nexus_simulator.firmware.identity import ANSWERING_US, HANDLING_US, Identity
from nexus_simulator.firmware.requests import OPERATIONS, STOP_PAYLOAD, Moment, carry_out
from nexus_simulator.firmware.session import NO_SESSION, BeginTake, Departure, Session
from nexuslink.protocol.envelope import Request, StreamMessage, pack_response, take_request
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    MAX_PENDING,
    MIN_LINK_MESSAGE,
    STATUS_PERIOD_US,
    ErrorCode,
    EventKind,
    EventMessage,
    FaultMessage,
    HapticRequest,
    LightRequest,
    LogLevel,
    LogMessage,
    Opcode,
    SessionTotals,
    Status,
    StatusMessage,
    StopResponse,
    StreamDescriptor,
)

ANSWERS_MAX = 16
"""Answers that wait to leave at most, BUSY included; a request that finds them all there is ignored and counted."""
RESTARTED_US = 1_000_000
"""What the clock shows after a restart."""
_U64 = (1 << 64) - 1


@dataclass(slots=True)
class _Pending:
    """A request on its way through the processor."""

    due_us: int
    received_us: int
    request: Request


class Firmware:
    """The tool's behaviour. Times are device microseconds of its own and never go back."""

    session_type: type[Session] = Session

    def __init__(self, identity: Identity, begin: BeginTake, battery: Callable[[int], float]) -> None:
        self.identity = identity
        self.boot_id = identity.boot_id
        self.streams = identity.streams
        """As they are configured now."""
        self.calibration = CalibrationStore(identity.record)
        self.health = Health()
        self.session: Session | None = None
        self.greeted = False
        self.shift_us = 0
        """What the wire's clock shows more than the firmware's own."""
        self.felt: HapticRequest | None = None
        """What the motor was last asked for."""
        self.seen: LightRequest | None = None
        """What the light was last asked for."""
        self.stop_reason: int | None = None
        """Reason in the latest STOP; None before the first."""
        self.ignored_requests = 0
        """Messages that were no request, or found no room even for a BUSY."""
        self.restarts = 0
        self.interval_us = 0
        """Of the link, for STATUS; 0: it has none."""
        self.link_authenticated = True
        """A cable is; a radio link only with a bond that a person has confirmed."""
        self._begin_take = begin
        self._battery = battery
        self._max_message = MAX_MESSAGE
        self._now = 0
        self._entered = 0
        self._room: int | None = None
        self._requests: deque[_Pending] = deque()
        self._answers: deque[Departure] = deque()
        self._remembered: deque[tuple[int, int, Status, bytes]] = deque(maxlen=MAX_PENDING)
        self._answer_seq = 0
        self._sessions = 0
        self._latest = NO_SESSION
        self._stopping: _Pending | None = None
        self._unsaid: FaultMessage | None = None
        self._restart_at: int | None = None

    # ---- what the rest of the tool asks -------------------------------------------------------------------------
    @property
    def streaming(self) -> bool:
        """Between START and STOP."""
        return self.session is not None and self._stopping is None

    @property
    def due_us(self) -> int | None:
        """When the next thing happens by itself; None while nothing is under way."""
        times = [self._requests[0].due_us] if self._requests else []
        times += [self._answers[0].t_us] if self._answers else []
        times += [self._restart_at] if self._restart_at is not None else []
        times += [self._next_us(self.session)] if self.session is not None and self._stopping is None else []
        return min(times, default=None)

    @staticmethod
    def _next_us(session: Session) -> int:
        return min(session.next_cut_us, session.next_status_us)

    @property
    def totals(self) -> SessionTotals:
        """Of the present or the latest session."""
        return self._latest if self.session is None else self.session.totals

    @property
    def max_message(self) -> int:
        """Longest message that the link takes, bytes."""
        return self._max_message

    @max_message.setter
    def max_message(self, size: int) -> None:
        self._max_message = max(1, min(MAX_MESSAGE, size))
        if self.session is not None:
            self.session.max_message = self._max_message

    def stamp(self, t_us: int) -> int:
        """The wire's device time of a time of the firmware's own."""
        return (t_us + self.shift_us) & _U64

    # ---- what happens to it -------------------------------------------------------------------------------------
    def receive(self, t_us: int, message: bytes) -> None:
        """One message arrived from the host."""
        request = take_request(message)
        if request is None or len(self._requests) + len(self._answers) >= ANSWERS_MAX:
            self.ignored_requests += 1
            return
        known = (request.request_id, request.opcode)
        if any((p.request.request_id, p.request.opcode) == known for p in self._requests):
            self.ignored_requests += 1  # a retry of what is under way: one answer will do
            return
        if len(self._requests) >= MAX_PENDING:
            self._answer(request, Status.BUSY, b"", max(t_us, self._now))
            return
        self._requests.append(_Pending(max(t_us, self._now) + HANDLING_US, t_us, request))

    def advance(self, t_us: int, room: int | None = None) -> list[Departure]:
        """Move to ``t_us``; ``room`` is how many stream messages the link can take meanwhile (None: all)."""
        out: list[Departure] = []
        self._room, self._entered = room, self._now
        never = t_us + 1
        while True:
            due = self._requests[0].due_us if self._requests else never
            running = self.session if self._stopping is None else None
            cut = self._next_us(running) if running is not None else never
            restart = never if self._restart_at is None else self._restart_at
            first = min(due, cut, restart)
            if first > t_us:
                break
            self._now = max(self._now, first)
            if first == restart:
                self._depart(out)
                self.restart()
            elif first == cut and running is not None:
                self._produce(running)
            else:
                self._handle(self._requests.popleft())
            # At once, not at the end: a late call must not overfill the queue of a link that was free all along.
            self._depart(out)
        self._now = max(self._now, t_us)
        self._depart(out)
        out.sort(key=lambda departure: departure.t_us)
        return out

    def disconnect(self) -> None:
        """The link is gone: streaming stops, nothing is kept for the next host but the totals."""
        self.greet(False)
        self._requests.clear()
        self._answers.clear()

    def restart(self, cause: ErrorCode | None = None) -> None:
        """A warm restart: new boot id, the clock begins anew, what is in memory that survives (totals) stays."""
        self.disconnect()
        self.restarts += 1
        self.boot_id = (self.boot_id * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF or 1
        self.shift_us = RESTARTED_US - self._now
        self._restart_at = None
        self.streams = self.identity.streams
        self.calibrated()
        self.calibration.restart()
        self.health = Health()
        self.felt = self.seen = None
        if cause is not None:
            self.report(cause, self.restarts)

    def jump_clock(self, us: int) -> None:
        """The clock is set forward or back."""
        self.shift_us += us

    def report(self, code: ErrorCode, detail: int) -> None:
        """Something went wrong: kept, and said to a host that listens."""
        message = FaultMessage(self.health.report(self.stamp(self._now), code, detail))
        if self.session is not None and self.session.full:
            self._unsaid = message  # the queue that overflows has no room to say so: later, the latest one
        else:
            self._say(message)

    def event(self, kind: EventKind, value: int) -> None:
        """The person did something with the tool."""
        self._say(EventMessage(self.stamp(self._now), kind, value))

    def log(self, level: LogLevel, text: str) -> None:
        """A line for whoever wants it."""
        if level >= self.health.log_level:
            line = text.encode()[:120]
            self._say(LogMessage(self.stamp(self._now), level, len(line), line))

    def _say(self, message: StreamMessage) -> None:
        if self.session is not None and self._stopping is None:
            self.session.enqueue(self._now, message)

    # ---- what requests do to it ---------------------------------------------------------------------------------
    def greet(self, spoken: bool) -> None:
        """A new host: nothing of the one before stays."""
        self.greeted = spoken
        if self.session is not None:
            self.session.abandon()
            self._latest = self.session.totals
            self.session = None
        self._stopping = self._unsaid = None
        self._remembered.clear()
        self.calibration.lock()

    def begin(self, now_us: int, active: tuple[StreamDescriptor, ...]) -> int:
        """START; the number of the session."""
        self._sessions += 1
        take = self._begin_take(now_us, self.streams)
        self.session = self.session_type(self._sessions, now_us, active, take, self._max_message)
        self.log(LogLevel.INFO, f"session {self._sessions}: {len(active)} streams")
        return self._sessions

    def configure(self, stream: StreamDescriptor) -> None:
        """CONFIGURE: from the next START on."""
        self.streams = tuple(stream if d.stream == stream.stream else d for d in self.streams)

    def calibrated(self) -> None:
        """The streams name the record that is in use."""
        record_id = self.calibration.calibration_id
        self.streams = tuple(replace(d, calibration_id=record_id if d.calibration_id else 0) for d in self.streams)

    def restart_at(self, t_us: int) -> None:
        """RESET: once its answer has left."""
        self._restart_at = t_us

    # ---- sending ------------------------------------------------------------------------------------------------
    def _depart(self, out: list[Departure]) -> None:
        """Append everything that leaves by now."""
        while self._answers and self._answers[0].t_us <= self._now:
            out.append(self._answers.popleft())
        while self.session is not None and self._room != 0 and self._now >= self.session.opens_us:
            departure = self.session.depart(self._entered, self.shift_us)
            if departure is None:
                break
            if self._room is not None:
                self._room -= 1
            out.append(departure)
        if self._stopping is not None and self.session is not None and not self.session.waiting:
            self._stopped(self._stopping, self.session)
            self._depart(out)

    def _produce(self, session: Session) -> None:
        """Make the batches and the status that are due."""
        if self._unsaid is not None and not session.full:
            self._say(self._unsaid)
            self._unsaid = None
        if session.next_cut_us <= self._now and not session.produce(self._now):
            self.report(ErrorCode.QUEUE_OVERFLOW, session.dropped)
        if session.next_status_us <= self._now:
            session.enqueue(self._now, self._status(session, session.next_status_us))
            session.next_status_us += STATUS_PERIOD_US

    def _status(self, session: Session, t_us: int) -> StatusMessage:
        return StatusMessage(
            t_us=self.stamp(t_us),
            battery_percent=max(0, min(100, round(self._battery(t_us)))),
            temperature_cdeg=round(100.0 * session.take.temperature_c(t_us)),
            produced=session.produced + 1,
            dropped=session.dropped,
            queue_high_water=session.high_water,
            max_message=self._max_message,
            interval_us=self.interval_us,
            bad_frames=self.health.bad_frames,
            errors=self.health.errors,
        )

    # ---- requests -----------------------------------------------------------------------------------------------
    def _handle(self, pending: _Pending) -> None:
        """Carry one request out, or repeat the answer of one just carried out."""
        request, now = pending.request, pending.due_us
        opcode, known = request.opcode, (request.request_id, request.opcode)
        if opcode != Opcode.HELLO:
            for request_id, remembered, status, payload in self._remembered:
                if (request_id, remembered) == known:
                    self._answer(request, status, payload, now)
                    return
        if opcode == Opcode.STOP and self._max_message >= MIN_LINK_MESSAGE:
            self._stop(pending)
            return
        if opcode not in OPERATIONS and opcode != Opcode.STOP:
            status, payload = Status.UNKNOWN_OPCODE, b""
        elif self._max_message < MIN_LINK_MESSAGE:
            status, payload = Status.LINK_TOO_SMALL, b""
        else:
            status, payload = carry_out(self, opcode, request.payload, Moment(pending.received_us, now))
        self._remember(request, status, payload, now)

    def _stop(self, pending: _Pending) -> None:
        """STOP: samples up to now are cut; the answer waits until the queue is empty, so that it knows the totals."""
        stop = STOP_PAYLOAD(pending.request.payload)
        if stop is None:
            self._remember(pending.request, Status.BAD_REQUEST, b"", pending.due_us)
            return
        if self._stopping is not None:
            self.ignored_requests += 1  # a retry while the queue drains, or a second STOP: one answer will do
            return
        self.stop_reason = stop.reason
        if self.session is None:
            answer = StopResponse(self.stamp(pending.due_us), self._latest)
            self._remember(pending.request, Status.OK, answer.pack(), pending.due_us)
            return
        self.session.cut(pending.due_us, pending.due_us)
        self._stopping = pending

    def _stopped(self, pending: _Pending, session: Session) -> None:
        self._latest = session.totals
        self.session = self._stopping = None
        answer = StopResponse(self.stamp(pending.due_us), self._latest)
        self._remember(pending.request, Status.OK, answer.pack(), max(pending.due_us, self._entered))

    def _remember(self, request: Request, status: Status, payload: bytes, now: int) -> None:
        self._remembered.append((request.request_id, request.opcode, status, payload))
        self._answer(request, status, payload, now)

    def _answer(self, request: Request, status: Status, payload: bytes, now: int) -> None:
        message = pack_response(self._answer_seq, request.request_id, request.opcode, status, payload)
        self._answer_seq = (self._answer_seq + 1) & 0xFFFF
        self._answers.append(Departure(now + ANSWERING_US, message))
