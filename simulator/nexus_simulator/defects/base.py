"""The reference firmware with hands in it: what an answer says and what leaves can be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from nexus_simulator.firmware.processor import Firmware
from nexus_simulator.firmware.session import Departure
from nexuslink.protocol.envelope import Request
from nexuslink.protocol.messages import DATA_HEADER, MESSAGE_HEADER, MessageType, Opcode, Status

Answer = tuple[Status, bytes]
Change = Callable[[Request, Status, bytes], "Answer | None"]


class Defective(Firmware):
    """Does everything right. Defects override `answer` and `leave`, or what they need of the firmware."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """What is said instead; None: nothing."""
        return status, payload

    def leave(self, message: bytes) -> Iterable[bytes]:
        """What leaves instead."""
        return (message,)

    def _answer(self, request: Request, status: Status, payload: bytes, now: int) -> None:
        changed = self.answer(request, status, payload)
        if changed is not None:
            super()._answer(request, *changed, now)

    def advance(self, t_us: int, room: int | None = None) -> list[Departure]:
        """As the reference, with what leaves changed."""
        return [
            replace(departure, message=message)
            for departure in super().advance(t_us, room)
            for message in self.leave(departure.message)
        ]


def answering(opcode: Opcode, change: Change) -> type[Defective]:
    """A firmware that answers one opcode otherwise."""

    class Answering(Defective):
        def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
            return change(request, status, payload) if request.opcode == opcode else (status, payload)

    return Answering


def saying(opcode: Opcode, kind: Any, **fields: Any) -> type[Defective]:
    """A firmware whose OK to one opcode has these fields; a callable makes the new value from the true one."""

    def change(request: Request, status: Status, payload: bytes) -> Answer:
        content = kind.unpack(payload) if status is Status.OK else None
        if content is None:
            return status, payload
        new = {name: value(getattr(content, name)) if callable(value) else value for name, value in fields.items()}
        return status, replace(content, **new).pack()

    return answering(opcode, change)


def swapping(opcode: Opcode, true: Status, said: Status) -> type[Defective]:
    """A firmware that ends one opcode with another status than the true one."""
    return answering(opcode, lambda request, status, payload: (said if status is true else status, payload))


def leaving(change: Callable[[bytes], Iterable[bytes]], kinds: Iterable[int]) -> type[Defective]:
    """A firmware whose messages of some kinds leave otherwise."""
    wanted = frozenset(kinds)

    class Leaving(Defective):
        def leave(self, message: bytes) -> Iterable[bytes]:
            return change(message) if message[0] in wanted else (message,)

    return Leaving


def with_seq(message: bytes, seq: int) -> bytes:
    """The message with another sequence number."""
    kind, flags, _ = MESSAGE_HEADER.unpack_from(message)
    return MESSAGE_HEADER.pack(kind, flags, seq & 0xFFFF) + message[MESSAGE_HEADER.size :]


def with_data(message: bytes, index: int = 0, t_us: int = 0) -> bytes:
    """A DATA message with so much added to its index and its time."""
    kind, flags, seq, stream, count, first_index, t0_us = DATA_HEADER.unpack_from(message)
    header = DATA_HEADER.pack(kind, flags, seq, stream, count, first_index + index, t0_us + t_us)
    return header + message[DATA_HEADER.size :]


DATA = (MessageType.DATA,)
STREAM = tuple(range(MessageType.DATA, 0x80))
RESPONSES = (MessageType.RESPONSE,)
