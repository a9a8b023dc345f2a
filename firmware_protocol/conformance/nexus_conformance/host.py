"""The suite's end of the link: raw messages out, everything that comes kept with its arrival. Judges nothing.

It can send what no host may send. Time is the transport's clock, which chunks and ticks move; every wait is bounded by
it, and by a guard for a transport that no longer ticks. Times are nanoseconds of that clock.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self, TypeVar

from nexus_conformance.errors import LinkEndedError
from nexus_conformance.reading import Reader
from nexus_conformance.requirement import Failed, need
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import (
    MESSAGE_HEADER,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    REQUEST_HEADER,
    RESPONSE_HEADER,
    HelloRequest,
    HelloResponse,
    MessageType,
    Opcode,
    Status,
)
from nexuslink.transport.base import Transport

RETRY_S: Final = 0.25
"""Asked again after this long without an answer."""
ANSWER_S: Final = 1.0
"""A request has failed after this long."""
GUARD_S: Final = 20.0
"""Without a chunk or a tick for this long the transport is broken."""


class Payload(Protocol):
    """What the generated messages have in common."""

    def problem(self) -> str | None:
        """The first field out of its range."""

    @classmethod
    def unpack(cls, payload: bytes) -> Self | None:
        """The payload, or None."""


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Heard:
    """One message from the tool."""

    arrival_ns: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    arrival_ns: int
    seq: int
    status: int
    payload: bytes
    place: int
    """Where in `Host.heard` it came."""

    @property
    def content(self) -> tuple[int, bytes]:
        """What a retry must bring again."""
        return self.status, self.payload


@dataclass(slots=True)
class Tally:
    """What the whole run has seen."""

    messages: int = 0
    requests: int = 0
    retries: int = 0
    longest: int = 0
    flagged: int = 0
    types: Counter[int] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)
    """Responses that nobody had asked for, by what they say."""
    talkative: Counter[str] = field(default_factory=Counter)
    """Responses with a payload where there must be none."""


class Host:
    """One link to one tool."""

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make
        self.transport = transport = make()
        self.framed = transport.framed
        self.reader = Reader()
        self.heard: list[Heard] = []
        """Everything but responses, in order of arrival."""
        self.tally = Tally()
        self.unlock_code = 0
        self.now_ns = 0
        self.facts: dict[str, Any] = {}
        """What checks have found out and share: descriptors, the long recording."""
        self._answers: dict[tuple[int, int], list[Answer]] = {}
        self._sent: Counter[tuple[int, int]] = Counter()
        self._news = asyncio.Event()
        self._ended: str | None = None
        self._next_id = 0x0101
        self._seq = 0
        self.streaming = False
        """A check has started a stream and not ended it."""

    # -- the carrier's side ---------------------------------------------------------------------------------------

    def chunk(self, chunk: Chunk) -> None:
        """Bytes came, or time passed."""
        self.now_ns = chunk.arrival_ns
        messages = self.reader.feed(chunk.data) if self.framed else [chunk.data] if chunk.data else []
        for message in messages:
            self._take(message)
        self._news.set()

    def closed(self, reason: str) -> None:
        """The link ended by itself."""
        self._ended = reason
        self._news.set()

    async def open(self) -> None:
        """Open the link. Raises as the transport does."""
        self.now_ns = self.transport.now_ns()
        await self.transport.open(self)

    async def reopen(self) -> None:
        """Another transport to the same address, for a tool that took the link with it. Raises as `open` does."""
        await self.transport.close()
        self.transport = self._make()
        self.reader.begin()
        self._ended = None
        await self.open()

    def _take(self, message: bytes) -> None:
        tally = self.tally
        tally.messages += 1
        tally.longest = max(tally.longest, len(message))
        if len(message) < MESSAGE_HEADER.size:
            tally.types[-1] += 1
            return
        kind, flags, _ = MESSAGE_HEADER.unpack_from(message)
        tally.types[kind] += 1
        tally.flagged += flags != 0
        if kind == MessageType.RESPONSE and len(message) >= RESPONSE_HEADER.size:
            self._answer(message)
        else:
            self.heard.append(Heard(self.now_ns, message))

    def _answer(self, message: bytes) -> None:
        _, _, seq, request_id, opcode, status = RESPONSE_HEADER.unpack_from(message)
        payload = message[RESPONSE_HEADER.size :]
        answers = self._answers.setdefault((request_id, opcode), [])
        answers.append(Answer(self.now_ns, seq, status, payload, len(self.heard)))
        if len(answers) > self._sent[request_id, opcode]:
            self.tally.strays[f"id {request_id:#06x} {name_of(Opcode, opcode)}"] += 1
        if payload and status not in (Status.OK, Status.UNSUPPORTED_VERSION):
            self.tally.talkative[f"{name_of(Opcode, opcode)} {name_of(Status, status)}"] += 1

    # -- waiting --------------------------------------------------------------------------------------------------

    async def wait(self, until: Callable[[], bool], limit_s: float) -> bool:
        """Until something holds (True) or ``limit_s`` of the transport's clock have passed (False)."""
        deadline = self.transport.now_ns() + round(limit_s * 1e9)
        while not until():
            if self._ended is not None:
                raise LinkEndedError(f"{self.transport.url}: the link ended during the run: {self._ended}")
            if self.now_ns >= deadline:
                return False
            self._news.clear()
            try:
                async with asyncio.timeout(GUARD_S):
                    await self._news.wait()
            except TimeoutError:
                raise LinkEndedError(f"{self.transport.url}: no sign of life for {GUARD_S:g} s") from None
        return True

    async def pause(self, seconds: float) -> None:
        """Let time pass and listen."""
        await self.wait(lambda: False, seconds)

    # -- sending --------------------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Bytes as they are."""
        if self._ended is not None:
            raise LinkEndedError(f"{self.transport.url}: the link ended during the run: {self._ended}")
        await self.transport.write(data)

    async def send(self, *messages: bytes) -> None:
        """Messages, framed where the carrier needs it: all frames in one write."""
        if self.framed:
            await self.write(b"".join(map(frame, messages)))
        else:
            for message in messages:
                await self.write(message)

    def request(self, opcode: int, payload: bytes = b"", flags: int = 0, request_id: int | None = None) -> bytes:
        """A new request's message; with an id of its own unless one is given."""
        if request_id is None:
            request_id = self._next_id
            self._next_id = self._next_id % 0xFFFF + 1
        message = REQUEST_HEADER.pack(MessageType.REQUEST, flags, self._seq, request_id, opcode, 0) + payload
        self._seq = (self._seq + 1) & 0xFFFF
        return message

    def expect(self, message: bytes) -> tuple[int, int]:
        """Note that this request goes out once more; the key of its answers."""
        _, _, _, request_id, opcode, _ = REQUEST_HEADER.unpack_from(message)
        self._sent[request_id, opcode] += 1
        self.tally.requests += 1
        return request_id, opcode

    def answers(self, message: bytes) -> list[Answer]:
        """All answers so far to this request."""
        _, _, _, request_id, opcode, _ = REQUEST_HEADER.unpack_from(message)
        return self._answers.get((request_id, opcode), [])

    def answered(self, request_id: int) -> int:
        """How many answers with this id have come, whatever the opcode."""
        return sum(len(answers) for (id_, _), answers in self._answers.items() if id_ == request_id)

    async def send_once(self, message: bytes, limit_s: float = ANSWER_S) -> Answer | None:
        """Send a request exactly once; the answer to this sending."""
        before = len(self.answers(message))
        self.expect(message)
        await self.send(message)
        await self.wait(lambda: len(self.answers(message)) > before, limit_s)
        answers = self.answers(message)
        return answers[before] if len(answers) > before else None

    async def ask(self, opcode: int, payload: bytes = b"", limit_s: float = ANSWER_S) -> Answer:
        """Ask as a host does, again after RETRY_S. Raises `Failed` where nothing comes within ``limit_s``."""
        message = self.request(opcode, payload)
        rounds = max(1, round(limit_s / RETRY_S))
        for attempt in range(rounds):
            self.tally.retries += attempt > 0
            if await self.send_once(message, RETRY_S) is not None:
                return self.answers(message)[0]
        raise Failed(f"{name_of(Opcode, opcode)}: no answer within {limit_s:g} s, asked {rounds} times")

    async def demand(self, opcode: Opcode, kind: type[P], payload: bytes = b"") -> P:
        """Ask for something that must succeed. Raises `Failed` with what came instead."""
        return (await self.demand_raw(opcode, kind, payload))[0]

    async def demand_raw(self, opcode: Opcode, kind: type[P], payload: bytes = b"") -> tuple[P, bytes]:
        """`demand`, with the payload's bytes beside it."""
        answer = await self.ask(opcode, payload)
        need(answer.status == Status.OK, f"{opcode.name}: answered {name_of(Status, answer.status)}, not OK")
        content = kind.unpack(answer.payload)
        if content is None:
            raise Failed(f"{opcode.name}: a payload of {len(answer.payload)} bytes is too short or its count too large")
        return content, answer.payload

    async def refuse(self, opcode: int, payload: bytes, status: Status, what: str) -> str:
        """Ask for something that must end with ``status``; evidence. Raises `Failed` with what came instead."""
        answer = await self.ask(opcode, payload)
        got = f"{what}: {name_of(Status, answer.status)}"
        need(answer.status == status, f"{got}, wanted {status.name}")
        return got

    async def say_goodbye(self) -> None:
        """Leave the tool quiet."""
        if self.streaming:
            self.streaming = False
            await self.send(self.request(Opcode.STOP, b"\0"))

    async def fresh(self) -> HelloResponse:
        """HELLO: nothing streams, nothing is remembered, nothing is unlocked."""
        if self.streaming:
            self.streaming = False
            await self.ask(Opcode.STOP, b"\0")
        return await self.demand(Opcode.HELLO, HelloResponse, HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR).pack())


async def look_alive(host: Host, limit_s: float) -> bool:
    """Does the tool answer? For a tool that has been restarted."""
    return await host.send_once(host.request(Opcode.TIME_SYNC, bytes(8)), limit_s) is not None


def name_of(kind: type[Opcode] | type[Status], value: int) -> str:
    """A value's name, or the number."""
    return kind(value).name if value in kind.__members__.values() else f"{value:#04x}"
