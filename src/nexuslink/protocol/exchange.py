"""Requests and their answers: the control side of a link, without a socket and without a clock.

Rule: everything that decides what may be asked when, and when asking has failed, is in this file. Time is handed
in (`now_ns`, the transport's clock). A request is sent again with the same id until its deadline; the tool keeps
its last response, so a retry does nothing twice. Answers that nobody waits for are counted.

The states of a connection are a table: (state, opcode that succeeded) -> state. An opcode that is not in the
table for the present state is refused before a byte is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nexuslink.protocol.envelope import SEQ_MODULUS, Response, pack_request
from nexuslink.protocol.messages import Opcode

RETRY_NS: Final = 250_000_000
"""Asked again after this long without an answer."""
TIMEOUT_NS: Final = 1_000_000_000
"""A request has failed after this long."""


class LinkState(StrEnum):
    """How far a connection has come."""

    OPEN = "open"
    GREETED = "greeted"
    READY = "ready"
    STREAMING = "streaming"


ANY_TIME: Final = (
    Opcode.INFO, Opcode.DESCRIBE, Opcode.CALIBRATION_READ, Opcode.TIME_SYNC, Opcode.TOTALS, Opcode.UNLOCK,
    Opcode.CALIBRATION_WRITE, Opcode.HAPTIC, Opcode.LIGHT, Opcode.ERRORS, Opcode.LOG_LEVEL, Opcode.RESET,
)  # fmt: skip
"""Change nothing about how far the connection has come."""
AT_REST: Final = (Opcode.START, Opcode.CONFIGURE, Opcode.CALIBRATION_COMMIT, Opcode.SELF_TEST)
"""Not while streaming."""
TRANSITIONS: Final[dict[tuple[LinkState, Opcode], LinkState]] = {
    (LinkState.OPEN, Opcode.HELLO): LinkState.GREETED,
    (LinkState.GREETED, Opcode.HELLO): LinkState.GREETED,
    **{(LinkState.GREETED, opcode): LinkState.GREETED for opcode in ANY_TIME},
    (LinkState.GREETED, Opcode.INFO): LinkState.READY,
    **{(LinkState.READY, opcode): LinkState.READY for opcode in (*ANY_TIME, *AT_REST)},
    (LinkState.READY, Opcode.START): LinkState.STREAMING,
    (LinkState.READY, Opcode.STOP): LinkState.READY,
    **{(LinkState.STREAMING, opcode): LinkState.STREAMING for opcode in ANY_TIME},
    (LinkState.STREAMING, Opcode.TARE): LinkState.STREAMING,
    (LinkState.STREAMING, Opcode.STOP): LinkState.READY,
}


@dataclass(slots=True)
class _Pending:
    opcode: int
    message: bytes
    first_ns: int
    last_ns: int
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class Expired:
    """A request without an answer."""

    request_id: int
    opcode: int


@dataclass(slots=True)
class ExchangeCounts:
    """Requests and answers since the connection was opened."""

    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    unexpected: int = 0
    """Answers that nobody waited for: late, duplicated, or foreign."""


class Exchange:
    """One connection's requests."""

    def __init__(self) -> None:
        self.state = LinkState.OPEN
        self.counts = ExchangeCounts()
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1
        self._seq = 0

    def allowed(self, opcode: Opcode) -> bool:
        """May this be asked in the present state?"""
        return (self.state, opcode) in TRANSITIONS

    def request(self, opcode: Opcode, payload: bytes, now_ns: int, timeout_ns: int = TIMEOUT_NS) -> tuple[int, bytes]:
        """A new request: its id and the message to send. Check `allowed` first."""
        request_id = self._next_id
        self._next_id = self._next_id % 0xFFFF + 1  # 0 is never an id
        message = pack_request(self._seq, request_id, opcode, payload)
        self._seq = (self._seq + 1) % SEQ_MODULUS
        self._pending[request_id] = _Pending(opcode, message, now_ns, now_ns, now_ns + timeout_ns)
        self.counts.requests += 1
        return request_id, message

    def answered(self, response: Response) -> bool:
        """Take a response. False, and counted, where nobody waits for it."""
        pending = self._pending.get(response.request_id)
        if pending is None or pending.opcode != response.opcode:
            self.counts.unexpected += 1
            return False
        del self._pending[response.request_id]
        return True

    def succeeded(self, opcode: Opcode) -> None:
        """The request did what it asks: move on in the table."""
        self.state = TRANSITIONS.get((self.state, opcode), self.state)

    def forget(self, request_id: int) -> None:
        """Nobody waits for this request any more; its answer will be counted as unexpected."""
        self._pending.pop(request_id, None)

    def poll(self, now_ns: int) -> tuple[list[bytes], list[Expired]]:
        """What to send again, and what has failed, as of now."""
        again: list[bytes] = []
        expired: list[Expired] = []
        for request_id, pending in list(self._pending.items()):
            if now_ns >= pending.deadline_ns:
                del self._pending[request_id]
                self.counts.timeouts += 1
                expired.append(Expired(request_id, pending.opcode))
            elif now_ns - pending.last_ns >= RETRY_NS:
                pending.last_ns = now_ns
                self.counts.retries += 1
                again.append(pending.message)
        return again, expired
