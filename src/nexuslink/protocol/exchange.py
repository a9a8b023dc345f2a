"""Requests and their answers: the control side of a link, without a socket and without a clock.

Rule: everything that decides what may be asked when, and when asking has failed, is in this file. Time is handed
in (`now_ns`, the transport's clock). A request is sent again with the same id until its deadline; the tool keeps
its last responses, so a retry does nothing twice. A tool that is BUSY is asked again the same way.

At most MAX_PENDING requests are open, as the protocol demands. The others wait their turn, at most `WAITING_MAX` of
them, and their deadlines run meanwhile. One place is kept for TIME_SYNC: the clock is held however much is asked.
Answers that nobody waits for are counted: late ones (to what was asked once) apart from foreign ones.

The states of a connection are a table: (state, opcode that succeeded) -> state. An opcode that is not in the
table for the present state is refused before a byte is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nexuslink.protocol.envelope import SEQ_MODULUS, Response, pack_request
from nexuslink.protocol.messages import MAX_PENDING, Opcode, Status

RETRY_NS: Final = 250_000_000
"""Asked again after this long without an answer."""
BUSY_NS: Final = 100_000_000
"""Asked again this long after a request that was answered with BUSY."""
TIMEOUT_NS: Final = 1_000_000_000
"""A request has failed after this long."""
WAITING_MAX: Final = 32
"""Requests that wait for their turn at most."""
REMEMBERED: Final = 256
"""Ended requests whose late answers are known as such."""


class LinkState(StrEnum):
    """How far a connection has come."""

    OPEN = "open"
    GREETED = "greeted"
    READY = "ready"
    STREAMING = "streaming"


ANY_TIME: Final = (
    Opcode.INFO, Opcode.DESCRIBE, Opcode.TIME_SYNC, Opcode.STOP, Opcode.TOTALS, Opcode.CALIBRATION_READ, Opcode.UNLOCK,
    Opcode.CALIBRATION_WRITE, Opcode.HAPTIC, Opcode.LIGHT, Opcode.ERRORS, Opcode.LOG_LEVEL,
)  # fmt: skip
"""Of a tool that is known: at rest and while it streams."""
AT_REST: Final = (Opcode.CONFIGURE, Opcode.CALIBRATION_COMMIT, Opcode.SELF_TEST)
"""Not while streaming."""
TRANSITIONS: Final[dict[tuple[LinkState, Opcode], LinkState]] = {
    (LinkState.OPEN, Opcode.HELLO): LinkState.GREETED,
    (LinkState.GREETED, Opcode.HELLO): LinkState.GREETED,
    (LinkState.GREETED, Opcode.INFO): LinkState.READY,
    (LinkState.GREETED, Opcode.TIME_SYNC): LinkState.GREETED,
    **{(LinkState.READY, opcode): LinkState.READY for opcode in (*ANY_TIME, *AT_REST)},
    (LinkState.READY, Opcode.START): LinkState.STREAMING,
    (LinkState.READY, Opcode.RESET): LinkState.OPEN,
    **{(LinkState.STREAMING, opcode): LinkState.STREAMING for opcode in ANY_TIME},
    (LinkState.STREAMING, Opcode.TARE): LinkState.STREAMING,
    (LinkState.STREAMING, Opcode.STOP): LinkState.READY,
    (LinkState.STREAMING, Opcode.RESET): LinkState.OPEN,
}


class Failure(StrEnum):
    """Why a request has failed."""

    SILENCE = "silence"
    BUSY = "busy"
    """It was answered, with BUSY, to the last."""
    UNSENT = "unsent"
    """Its turn never came."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A request that has failed."""

    request_id: int
    opcode: int
    why: Failure


@dataclass(slots=True)
class Asked:
    """One request on its way."""

    request_id: int
    opcode: int
    payload: bytes
    seq: int
    deadline_ns: int
    sent_ns: int = 0
    again_ns: int = 0
    """When it is sent the next time."""
    lacks: Failure = Failure.UNSENT
    """What it fails of if it fails now."""

    @property
    def message(self) -> bytes:
        """Its bytes; a retry is the same ones."""
        return pack_request(self.seq, self.request_id, self.opcode, self.payload)


@dataclass(slots=True)
class ExchangeCounts:
    """Requests and answers since the connection was opened."""

    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    busy: int = 0
    """Answers that were BUSY."""
    late: int = 0
    """Answers to requests that had been answered or given up: duplicates, and what was too slow."""
    foreign: int = 0
    """Answers to what was never asked."""


class Exchange:
    """One connection's requests."""

    def __init__(self) -> None:
        self.state = LinkState.OPEN
        self.counts = ExchangeCounts()
        self._open: dict[int, Asked] = {}
        self._waiting: dict[int, Asked] = {}
        self._ended: dict[int, int] = {}
        self._next_id = 1
        self._seq = 0

    def allowed(self, opcode: Opcode) -> bool:
        """May this be asked in the present state?"""
        return (self.state, opcode) in TRANSITIONS

    @property
    def full(self) -> bool:
        """As many wait as may."""
        return len(self._waiting) >= WAITING_MAX

    def asking(self, opcode: Opcode) -> bool:
        """Is such a request under way?"""
        return any(asked.opcode == opcode for queue in (self._open, self._waiting) for asked in queue.values())

    def request(
        self, opcode: Opcode, payload: bytes, now_ns: int, timeout_ns: int = TIMEOUT_NS
    ) -> tuple[int, bytes | None]:
        """A new request: its id, and the message to send or ``None`` where it must wait: `poll` gives it in its turn.

        Check `allowed` and `full` first.
        """
        request_id = self._next_id
        while request_id in self._open or request_id in self._waiting:
            request_id = request_id % 0xFFFF + 1
        self._next_id = request_id % 0xFFFF + 1  # 0 is never an id
        asked = Asked(request_id, opcode, payload, self._seq, now_ns + timeout_ns)
        self._seq = (self._seq + 1) % SEQ_MODULUS
        self.counts.requests += 1
        overtakes = bool(self._waiting) and opcode != Opcode.TIME_SYNC
        if overtakes or not self._has_place(asked):
            self._waiting[request_id] = asked
            return request_id, None
        return request_id, self._send(asked, now_ns)

    def answered(self, response: Response) -> Asked | None:
        """Take a response. ``None`` where it ends no request: BUSY, late or foreign, each counted."""
        asked = self._open.get(response.request_id)
        if asked is None or asked.opcode != response.opcode:
            if self._ended.get(response.request_id) == response.opcode:
                self.counts.late += 1
            else:
                self.counts.foreign += 1
            return None
        if response.status == Status.BUSY:
            self.counts.busy += 1
            asked.lacks = Failure.BUSY
            asked.again_ns = asked.sent_ns + BUSY_NS
            return None
        self._end(asked)
        return asked

    def succeeded(self, opcode: Opcode) -> None:
        """The request did what it asks: move on in the table."""
        self.state = TRANSITIONS.get((self.state, opcode), self.state)

    def recognised(self) -> None:
        """HELLO has shown a tool that is known already: INFO need not be asked."""
        if self.state is LinkState.GREETED:
            self.state = LinkState.READY

    def forget(self, request_id: int) -> None:
        """Nobody waits for this request any more; its answer will be late."""
        self._waiting.pop(request_id, None)
        if request_id in self._open:
            self._end(self._open[request_id])

    def poll(self, now_ns: int) -> tuple[list[bytes], list[Expired]]:
        """What to send (again, or because its turn has come), and what has failed, as of now."""
        messages: list[bytes] = []
        expired: list[Expired] = []
        for queue in (self._open, self._waiting):
            for asked in [asked for asked in queue.values() if now_ns >= asked.deadline_ns]:
                self.counts.timeouts += 1
                expired.append(Expired(asked.request_id, asked.opcode, asked.lacks))
                self.forget(asked.request_id)
        for asked in self._open.values():
            if now_ns >= asked.again_ns:
                self.counts.retries += 1
                messages.append(self._send(asked, now_ns))
        for asked in list(self._waiting.values()):
            if self._has_place(asked):
                del self._waiting[asked.request_id]
                messages.append(self._send(asked, now_ns))
        return messages, expired

    def _has_place(self, asked: Asked) -> bool:
        if len(self._open) >= MAX_PENDING or asked.opcode == Opcode.TIME_SYNC:
            return len(self._open) < MAX_PENDING
        return sum(other.opcode != Opcode.TIME_SYNC for other in self._open.values()) < MAX_PENDING - 1

    def _send(self, asked: Asked, now_ns: int) -> bytes:
        self._open[asked.request_id] = asked
        asked.sent_ns, asked.again_ns = now_ns, now_ns + RETRY_NS
        if asked.lacks is Failure.UNSENT:
            asked.lacks = Failure.SILENCE
        return asked.message

    def _end(self, asked: Asked) -> None:
        del self._open[asked.request_id]
        self._ended.pop(asked.request_id, None)
        self._ended[asked.request_id] = asked.opcode
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
