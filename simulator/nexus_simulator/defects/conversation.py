"""Defects in requests and answers: memory, crowds, identity, the clock, the lock, restarts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nexus_simulator.defects.base import Answer, Defective
from nexus_simulator.firmware.processor import _Pending
from nexus_simulator.firmware.session import Departure
from nexuslink.protocol.envelope import Request
from nexuslink.protocol.messages import (
    MIN_LINK_MESSAGE,
    REQUEST_HEADER,
    RESPONSE_HEADER,
    Capability,
    ErrorCode,
    InfoResponse,
    LogLevel,
    MessageType,
    Opcode,
    Status,
    StreamDescriptor,
)

LONGEST = 32
"""No payload of a request is longer, but a piece of a record."""


SHORT_PAYLOADS: Mapping[int, int] = {
    Opcode.INFO: 0, Opcode.TOTALS: 0, Opcode.DESCRIBE: 1, Opcode.TIME_SYNC: 8, Opcode.CALIBRATION_READ: 2,
}  # fmt: skip


class DeafToRetries(Defective):
    """A request that is repeated gets no answer."""

    def _handle(self, pending: _Pending) -> None:
        known = (pending.request.request_id, pending.request.opcode)
        if known[1] == Opcode.HELLO or known not in [row[:2] for row in self._remembered]:
            super()._handle(pending)


class RemembersNothing(Defective):
    """A request that is repeated is carried out again."""

    kept = 0

    def _remember(self, request: Request, status: Status, payload: bytes, now: int) -> None:
        super()._remember(request, status, payload, now)
        while len(self._remembered) > self.kept:
            self._remembered.popleft()


class RemembersOne(RemembersNothing):
    """Only the last request."""

    kept = 1


class RemembersById(Defective):
    """The opcode is not looked at when a request id is seen again."""

    def _handle(self, pending: _Pending) -> None:
        for request_id, _, status, payload in self._remembered:
            if request_id == pending.request.request_id:
                self._answer(pending.request, status, payload, pending.due_us)
                return
        super()._handle(pending)


class RemembersBusy(Defective):
    """A request that was refused as BUSY stays refused."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._refused: set[tuple[int, int]] = set()

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """BUSY for ever."""
        key = (request.request_id, request.opcode)
        if status is Status.BUSY:
            self._refused.add(key)
        return (Status.BUSY, b"") if key in self._refused else (status, payload)


class NeverForgets(Defective):
    """HELLO leaves remembered responses."""

    def greet(self, spoken: bool) -> None:
        """Keeps what is remembered."""
        kept = list(self._remembered)
        super().greet(spoken)
        self._remembered.extend(kept)


class MixesIds(Defective):
    """Two answers that leave together bear each other's id."""

    def advance(self, t_us: int, room: int | None = None) -> list[Departure]:
        """With ids exchanged."""
        out = super().advance(t_us, room)
        places = [n for n, departure in enumerate(out) if departure.message[0] == MessageType.RESPONSE]
        for a, b in zip(places[::2], places[1::2], strict=False):
            first, second = out[a].message, out[b].message
            if first[6] == second[6]:  # the opcode
                out[a] = Departure(out[a].t_us, first[:4] + second[4:6] + first[6:])
                out[b] = Departure(out[b].t_us, second[:4] + first[4:6] + second[6:])
        return out


class ReadsHalves(Defective):
    """A payload that is too short is read as if zeros followed."""

    def receive(self, t_us: int, message: bytes) -> None:
        """Pads it."""
        whole = len(message) >= REQUEST_HEADER.size
        super().receive(t_us, message + bytes(LONGEST) if whole and len(message) < LONGEST else message)


class RefusesMore(Defective):
    """A payload with more than is known is refused."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """BAD_REQUEST where it is longer."""
        longest = SHORT_PAYLOADS.get(request.opcode)
        too_long = longest is not None and len(request.payload) > longest
        return (Status.BAD_REQUEST, b"") if too_long else (status, payload)


class AnswersAnything(Defective):
    """Whatever looks a little like a request is answered."""

    def receive(self, t_us: int, message: bytes) -> None:
        """Any type will do."""
        whole = message + bytes(max(0, REQUEST_HEADER.size - len(message)))
        super().receive(t_us, bytes([MessageType.REQUEST]) + whole[1:])


class MindsFlags(Defective):
    """A request with flags that are not known is ignored."""

    def receive(self, t_us: int, message: bytes) -> None:
        """Only flags 0."""
        if len(message) < 2 or not message[1]:
            super().receive(t_us, message)


class NoMotor(Defective):
    """Has no motor, and does not know the opcode either."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """INFO without the bit."""
        if request.opcode == Opcode.HAPTIC:
            return Status.UNKNOWN_OPCODE, b""
        told = InfoResponse.unpack(payload) if request.opcode == Opcode.INFO else None
        if told is None:
            return status, payload
        at = payload.index(told.capabilities.to_bytes(4, "little"))
        bits = told.capabilities & ~Capability.HAPTIC
        return status, payload[:at] + bits.to_bytes(4, "little") + payload[at + 4 :]


class NeedsStream(Defective):
    """STOP without a running stream is refused."""

    def _stop(self, pending: _Pending) -> None:
        if self.session is None and len(pending.request.payload):
            self._remember(pending.request, Status.BAD_STATE, b"", pending.due_us)
        else:
            super()._stop(pending)


class CountsInfo(Defective):
    """INFO counts how often it was asked."""

    asked = 0

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """Another patch number each time."""
        if request.opcode != Opcode.INFO:
            return status, payload
        self.asked += 1
        return status, payload[:2] + bytes([self.asked & 0xFF]) + payload[3:]


class ChangesBootId(Defective):
    """Another boot id at every HELLO."""

    def greet(self, spoken: bool) -> None:
        """As if it had restarted."""
        super().greet(spoken)
        self.boot_id = self.boot_id % 0xFFFFFFFF + 1


class OwnLink(Defective):
    """Says and obeys a link of 128 bytes, except where a defect forgets to."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.max_message = 2 * MIN_LINK_MESSAGE


class LongResponses(OwnLink):
    """Responses ignore the link's size."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """Padding beyond it."""
        if request.opcode == Opcode.TOTALS and status is Status.OK:
            return status, payload + bytes(self.max_message)
        return status, payload


class KeepsReports(Defective):
    """Has a report, and does not forget it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.report(ErrorCode.SAMPLE_LATE, 7)
        self.health.clear = lambda: None  # type: ignore[method-assign]


class Chatters(Defective):
    """Logs whatever the level is."""

    def log(self, level: LogLevel, text: str) -> None:
        """Louder than asked."""
        self.health.log_level, wanted = 0, self.health.log_level
        super().log(level, text)
        self.health.log_level = wanted


class SaysOnly(Defective):
    """CONFIGURE is answered and not done: DESCRIBE says so too, the sensors know nothing of it."""

    def begin(self, now_us: int, active: tuple[StreamDescriptor, ...]) -> int:
        """With the streams of the factory."""
        said, self.streams = self.streams, self.identity.streams
        wanted = {d.stream for d in active}
        number = super().begin(now_us, tuple(d for d in self.streams if d.stream in wanted))
        self.streams = said
        return number


class StaleChecksum(Defective):
    """description_crc is that of the first HELLO for ever."""

    first: bytes = b""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """The old four bytes."""
        if request.opcode != Opcode.HELLO or not payload:
            return status, payload
        self.first = self.first or payload[30:34]
        return status, payload[:30] + self.first + payload[34:]


class WelcomesNobodyNew(Defective):
    """A host of a later minor version is refused."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """By status."""
        later = request.opcode == Opcode.HELLO and request.payload[1:2] > b"\0"
        return (Status.UNSUPPORTED_VERSION if later else status), payload


class TwoNames(Defective):
    """Another serial number at every second HELLO."""

    hellos = 0

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """Only where nobody compares it with the record: in a HELLO right after a HELLO."""
        if request.opcode != Opcode.HELLO or not payload:
            self.hellos = 0
            return status, payload
        self.hellos += 1
        return status, (payload[:14] + b"x" + payload[15:] if self.hellos % 2 == 0 else payload)


def twice(message: bytes) -> Iterable[bytes]:
    """A response, and the same again."""
    return (message, message)


def same_seq(message: bytes) -> Iterable[bytes]:
    """A response whose number never grows."""
    return (message[:2] + b"\0\0" + message[4:],)


def talkative(message: bytes) -> Iterable[bytes]:
    """A refusal with a payload."""
    status = message[RESPONSE_HEADER.size - 1]
    quiet = status in (Status.OK, Status.UNSUPPORTED_VERSION)
    return (message if quiet else message + b"no",)
