"""A small host for the firmware in C: one connection, requests and what comes back, over real sockets and terminals."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from struct import unpack_from
from typing import TypeVar

import numpy as np

from nexuslink.protocol.envelope import Response, StreamMessage, pack_request, take_response, take_stream
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import (
    HelloRequest,
    MessageType,
    Opcode,
    StartRequest,
    StartResponse,
    Status,
    StopRequest,
    StopResponse,
)

GUARD_S = 20.0
T = TypeVar("T")


class FirmwareHost:
    """What a host sees of a tool."""

    def __init__(self, fd: int, out: int | None = None) -> None:
        self.fd = fd
        self.out = fd if out is None else out
        self.deframer = Deframer()
        self.messages: list[bytes] = []
        self._ids = 0

    @classmethod
    def connect(cls, address: str) -> FirmwareHost:
        """``tcp:HOST:PORT`` or ``serial:PATH``."""
        kind, _, where = address.partition(":")
        if kind == "serial":
            return cls(os.open(where, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
        host, _, port = where.rpartition(":")
        link = socket.create_connection((host, int(port)), GUARD_S)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setblocking(False)
        return cls(link.detach())

    def close(self) -> None:
        """Hang up."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def __enter__(self) -> FirmwareHost:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        while data:
            select.select([], [self.out], [], GUARD_S)
            data = data[os.write(self.out, data) :]

    def read(self, wait_s: float) -> bool:
        """Take what has come; False: nothing came in time, or the tool hung up."""
        ready, _, _ = select.select([self.fd], [], [], wait_s)
        data = os.read(self.fd, 65536) if ready else b""
        self.messages += [message[:-CRC_SIZE] for message in self.deframer.feed(data)]
        return bool(data)

    def until(self, found: Callable[[], T | None], what: str, guard_s: float = GUARD_S) -> T:
        """Read until ``found`` gives something."""
        end = time.monotonic() + guard_s
        while True:
            value = found()
            if value is not None and value is not False:
                return value
            assert time.monotonic() < end, f"never came: {what}"
            self.read(0.05)

    def send(self, opcode: int, payload: bytes = b"", request_id: int | None = None) -> int:
        """A request; its number."""
        if request_id is None:
            self._ids += 1
            request_id = self._ids
        self.write(frame(pack_request(0, request_id, opcode, payload)))
        return request_id

    def ask(self, opcode: int, payload: bytes = b"", request_id: int | None = None) -> Response:
        """A request and its answer."""
        before = len(self.responses)
        number = self.send(opcode, payload, request_id)

        def answer() -> Response | None:
            return next((r for r in self.responses[before:] if r.request_id == number), None)

        return self.until(answer, f"the answer to {opcode}")

    def hello(self) -> Response:
        """HELLO."""
        return self.ask(Opcode.HELLO, HelloRequest(1, 0).pack())

    def start(self, mask: int = 3) -> int:
        """HELLO and START; the device time of the latter."""
        assert self.hello().status == Status.OK
        answer = self.ask(Opcode.START, StartRequest(mask).pack())
        assert answer.status == Status.OK
        made = StartResponse.unpack(answer.payload)
        assert made is not None
        return made.t_us

    def stop(self) -> StopResponse:
        """STOP."""
        answer = StopResponse.unpack(self.ask(Opcode.STOP, StopRequest(1).pack()).payload)
        assert answer is not None
        return answer

    @property
    def responses(self) -> list[Response]:
        """Every answer that came."""
        return [
            r for r in map(take_response, (m for m in self.messages if m[0] == MessageType.RESPONSE)) if r is not None
        ]

    @property
    def stream_messages(self) -> list[bytes]:
        """Every stream message that came."""
        return [m for m in self.messages if m[0] >= MessageType.DATA]

    def said(self, kind: type[T]) -> list[T]:
        """Stream messages of one kind."""
        spoken: list[StreamMessage | None] = [take_stream(m) for m in self.messages if m[0] > MessageType.DATA]
        return [m for m in spoken if isinstance(m, kind)]

    def data(self, stream: int, dtype: str, channels: int) -> list[tuple[int, int, np.ndarray]]:
        """first_index, t0_us, rows of every DATA message of a stream."""
        out = []
        for message in self.messages:
            if message[0] == MessageType.DATA and message[4] == stream:
                _, count, first, t0 = unpack_from("<BBIQ", message, 4)
                rows = np.frombuffer(message[18:], dtype).reshape(-1, channels)
                assert len(rows) == count
                out.append((first, t0, rows))
        return out
