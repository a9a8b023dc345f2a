"""Defects of the stream: numbers, times, shapes, STATUS, totals, and when it may run at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nexus_simulator.defects.base import DATA, Answer, Defective, with_data, with_seq
from nexus_simulator.defects.conversation import OwnLink
from nexus_simulator.firmware.processor import _Pending
from nexus_simulator.firmware.requests import Moment, carry_out
from nexus_simulator.firmware.session import Departure, Session, _Data
from nexuslink.protocol.envelope import Request, StreamMessage, pack_data
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    STATUS_PERIOD_US,
    ConfigureRequest,
    EventKind,
    MessageType,
    Opcode,
    SessionTotals,
    StartRequest,
    Status,
    StreamDescriptor,
    TareResponse,
    TotalsResponse,
)

LONG_US = 36_000
"""A batch of this length is beyond BATCH_FLUSH_US and still fits a message at the default rates."""
LATE_US = 60_000
"""So long a batch waits in the queue."""
EARLY_US = 220_000
"""After so long without a request, and without START, data come."""
EVERY = 20
SLOW = 0.975


class LongBatches(Session):
    """Batches are cut too seldom."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        longer = max(0, LONG_US - self._period_us)
        self._period_us += longer
        self.next_cut_us += longer


class LateBatches(Session):
    """Batches wait in the queue though the link is free."""

    ending = False

    def depart(self, entered_us: int, shift_us: int) -> Departure | None:
        """Only what is old enough, until STOP."""
        now_us = self.next_cut_us - self._period_us
        if self._queue and not self.ending and now_us - self._queue[0][0] < LATE_US:
            return None
        return super().depart(max(entered_us, now_us), shift_us)


class LosesBatches(Session):
    """Now and then a batch is lost, and counted nowhere."""

    batches = 0

    def enqueue(self, now_us: int, item: _Data | StreamMessage) -> bool:
        """Not every one."""
        self.batches += 1
        return (self.batches % EVERY == 0 and isinstance(item, _Data)) or super().enqueue(now_us, item)


class NumbersDrops(Session):
    """A message that is dropped takes its sequence number with it."""

    batches = 0

    def enqueue(self, now_us: int, item: _Data | StreamMessage) -> bool:
        """A drop now and then."""
        self.batches += 1
        if self.batches % EVERY or not isinstance(item, _Data):
            return super().enqueue(now_us, item)
        self._seq += 1
        self._dropped += 1
        return False


class CountsOneMore(Session):
    """Totals count a message that never left."""

    @property
    def totals(self) -> SessionTotals:
        """One too many."""
        true = super().totals
        return replace(true, sent=true.sent + 1)


class CountsFewerSamples(Session):
    """Totals count fewer samples than were sent."""

    @property
    def totals(self) -> SessionTotals:
        """Three are missing."""
        true = super().totals
        return replace(true, samples=tuple(max(0, n - 3) for n in true.samples))


class Slow(Session):
    """Sensors run slower than they say."""

    def __init__(self, number: int, now_us: int, *args: Any) -> None:
        super().__init__(number, now_us, *args)
        self._began_us = now_us

    def cut(self, until_us: int, now_us: int) -> bool:
        """Fewer samples than are due."""
        return super().cut(self._began_us + round((until_us - self._began_us) * SLOW), now_us)


def with_sessions(kind: type[Session]) -> type[Defective]:
    """A firmware with other sessions."""

    class Sessions(Defective):
        session_type = kind

    return Sessions


class LateQueue(Defective):
    """See `LateBatches`; what waits at STOP leaves at once."""

    session_type = LateBatches

    def _stop(self, pending: _Pending) -> None:
        if isinstance(self.session, LateBatches):
            self.session.ending = True
        super()._stop(pending)


class LongMessages(OwnLink):
    """DATA ignores the link's size."""

    def begin(self, now_us: int, active: tuple[StreamDescriptor, ...]) -> int:
        """As if the link were wider."""
        said, self._max_message = self._max_message, MAX_MESSAGE
        number = super().begin(now_us, active)
        self._max_message = said
        return number


class Impatient(Defective):
    """Sends DATA though nobody said START."""

    asked_us = 0
    sent = True

    def receive(self, t_us: int, message: bytes) -> None:
        """Patience begins anew."""
        super().receive(t_us, message)
        self.asked_us, self.sent = max(t_us, self._now), False

    def advance(self, t_us: int, room: int | None = None) -> list[Departure]:
        """With one message too many."""
        out = super().advance(t_us, room)
        if self.session is None and not self.sent and t_us - self.asked_us >= EARLY_US:
            self.sent = True
            out.append(Departure(t_us, pack_data(0, 0, 1, 0, self.stamp(t_us), bytes(8))))
        return out


class Lingers(Defective):
    """Sends one more message after STOP's answer."""

    last = b""

    def leave(self, message: bytes) -> Iterable[bytes]:
        """The last one again."""
        if message[0] in DATA:
            self.last = message
        stopped = message[0] == MessageType.RESPONSE and message[6] == Opcode.STOP
        return (message, self.last) if stopped and self.last else (message,)


class NoStatus(Defective):
    """STATUS never comes."""

    def _produce(self, session: Session) -> None:
        session.next_status_us = 1 << 62
        super()._produce(session)


class SlowStatus(Defective):
    """STATUS comes too seldom."""

    def _produce(self, session: Session) -> None:
        before = session.next_status_us
        super()._produce(session)
        if session.next_status_us != before:
            session.next_status_us = before + 3 * STATUS_PERIOD_US // 2


class Events(Defective):
    """Sends a message of a type that is not known yet."""

    def _produce(self, session: Session) -> None:
        super()._produce(session)
        if session.next_status_us - self._now > STATUS_PERIOD_US - 1000:
            self.event(EventKind.TAP, 1)

    def leave(self, message: bytes) -> Iterable[bytes]:
        """An EVENT, renamed."""
        return (b"\x20" + message[1:] if message[0] == MessageType.EVENT else message,)


class OwnTimes(Defective):
    """Times that do not fit: ``shift(n)`` is added to t0 of the n-th batch."""

    batches = 0

    def shift(self, number: int) -> int:
        """Microseconds."""
        return 5_000

    def leave(self, message: bytes) -> Iterable[bytes]:
        """DATA of all streams but the first at another time."""
        if message[0] not in DATA or not message[4]:
            return (message,)
        self.batches += 1
        return (with_data(message, t_us=self.shift(self.batches)),)


class BackInTime(OwnTimes):
    """A batch now and then is earlier than the one before."""

    def shift(self, number: int) -> int:
        """Far enough back."""
        return -50_000 if number % EVERY == 0 else 0


class GoesOnCounting(Defective):
    """seq goes on from one session to the next."""

    def leave(self, message: bytes) -> Iterable[bytes]:
        """Not from 0."""
        if message[0] < MessageType.DATA:
            return (message,)
        return (with_seq(message, int.from_bytes(message[2:4], "little") + 1000 * self._sessions),)


class StartsAgain(Defective):
    """START within a session begins another one."""

    def _handle(self, pending: _Pending) -> None:
        request = pending.request
        running = self.session is not None and request.opcode == Opcode.START
        known = (request.request_id, request.opcode) in [row[:2] for row in self._remembered]
        if running and not known and StartRequest.unpack(request.payload):
            self._latest, self.session = self.totals, None
        super()._handle(pending)


class OneSession(Defective):
    """Every session is number 1."""

    def begin(self, now_us: int, active: tuple[StreamDescriptor, ...]) -> int:
        """Counts no further."""
        self._sessions = 0
        return super().begin(now_us, active)


class AllStreams(Defective):
    """START's mask is not looked at."""

    def begin(self, now_us: int, active: tuple[StreamDescriptor, ...]) -> int:
        """All there are."""
        return super().begin(now_us, self.streams)


class StreamsOn(Defective):
    """HELLO leaves a running stream."""

    def greet(self, spoken: bool) -> None:
        """All the rest is as it should be."""
        session, self.session = self.session, None
        super().greet(spoken)
        self.session = session

    def disconnect(self) -> None:
        """But the link's end is the end."""
        self.session = None
        super().disconnect()


class LosesUnsettled(Defective):
    """A session that HELLO ends leaves no totals."""

    def greet(self, spoken: bool) -> None:
        """Those of the one before stay."""
        before = self._latest
        super().greet(spoken)
        self._latest = before


class ForgetsAtStop(Defective):
    """STOP again says nothing was made."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """Zeros the second time."""
        if request.opcode == Opcode.STOP and status is Status.OK:
            said, self.said = self.said, payload[8:]
            if payload[8:] == said:
                return status, payload[:8] + bytes(len(said))
        return status, payload

    said = b""


class NeverRuns(Defective):
    """TOTALS always says that nothing runs."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """streaming is 0."""
        told = TotalsResponse.unpack(payload) if request.opcode == Opcode.TOTALS else None
        return (status, payload) if told is None else (status, replace(told, streaming=0).pack())


class TaresAlways(Defective):
    """TARE before START gives a mean of nothing."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """OK, of no samples."""
        if request.opcode == Opcode.TARE and status is Status.BAD_STATE:
            return Status.OK, TareResponse(self.stamp(self._now), 0, (0, 0)).pack()
        return status, payload


class ConfiguresAlways(Defective):
    """CONFIGURE while streaming is done."""

    def _handle(self, pending: _Pending) -> None:
        request = pending.request
        if request.opcode != Opcode.CONFIGURE or ConfigureRequest.unpack(request.payload) is None:
            super()._handle(pending)
            return
        session, self.session = self.session, None
        status, payload = carry_out(self, request.opcode, request.payload, Moment(pending.received_us, pending.due_us))
        self.session = session
        self._remember(request, status, payload, pending.due_us)


class AllChannels(Defective):
    """Channels that should be left out are sent, as zeros at the end of each message."""

    def leave(self, message: bytes) -> Iterable[bytes]:
        """Longer than it says."""
        narrow = any(group.channels == 0 for group in self.streams[1].groups)
        return (message + bytes(message[5] * 2) if narrow and message[0] in DATA and message[4] == 1 else message,)


def padded(message: bytes) -> Iterable[bytes]:
    """DATA with two bytes too many."""
    return (message + b"\0\0",)


def numberless(message: bytes) -> Iterable[bytes]:
    """A sequence number that does not advance."""
    return (with_seq(message, 0),)


def flagged(message: bytes) -> Iterable[bytes]:
    """A reserved bit."""
    return (message[:1] + b"\x80" + message[2:],)
