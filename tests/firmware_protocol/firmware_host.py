"""A small host for the firmware in C: one connection, requests and what comes back, over real sockets and terminals."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from
from typing import TypeVar

import numpy as np
from nexus_simulator.assembly import make_link
from nexus_simulator.options import Options

from nexuslink.protocol.envelope import Response, StreamMessage, pack_request, take_response, take_stream
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import (
    HelloRequest,
    MessageType,
    Opcode,
    StartRequest,
    StartResponse,
    Status,
    StatusMessage,
    StopRequest,
    StopResponse,
)

GUARD_S = 60.0
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
            if value:
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


@dataclass(frozen=True)
class Recording:
    """What one streaming session said, with times from START on."""

    batches: tuple[list[tuple[int, int, int]], ...]
    """Per stream: first_index, t0_us - START, count of every message."""
    counts: tuple[np.ndarray, ...]
    """Per stream (n, channels)."""
    statuses: list[int]
    """t_us - START of every STATUS."""

    @classmethod
    def of(cls, host: FirmwareHost, start_us: int, imu_type: str = "<i2") -> Recording:
        """From everything that a host got since START."""
        streams = (host.data(0, "<i4", 2), host.data(1, imu_type, 6))
        return cls(
            tuple([(first, t0 - start_us, len(rows)) for first, t0, rows in data] for data in streams),
            tuple(np.concatenate([rows for _, _, rows in data]) for data in streams),
            [status.t_us - start_us for status in host.said(StatusMessage)],
        )

    def same(self, other: Recording, batches: int) -> None:
        """Assert that the first ``batches`` messages of every stream are the same, and all their counts."""
        for stream in range(2):
            mine, yours = self.batches[stream][:batches], other.batches[stream][:batches]
            assert len(mine) == len(yours) == batches
            assert mine == yours
            n = sum(count for _, _, count in mine)
            np.testing.assert_array_equal(self.counts[stream][:n], other.counts[stream][:n])


class PythonTool(FirmwareHost):
    """The firmware in Python, driven in its own time: what it answers and records at once."""

    def __init__(self, options: Options) -> None:
        super().__init__(-1)
        self._link = make_link(options)
        self._now_ns = 0

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self._link.receive(self._now_ns, data)

    def read(self, wait_s: float) -> bool:
        """Let time go by."""
        before = len(self.messages)
        until = self._now_ns + round(wait_s * 1e9)
        while self._now_ns < until:
            self._now_ns += 5_000_000
            for _, data in self._link.poll(self._now_ns):
                self.messages += [message[:-CRC_SIZE] for message in self.deframer.feed(data)]
        return len(self.messages) > before


def record(host: FirmwareHost, batches: int, mask: int = 3, imu_type: str = "<i2") -> Recording:
    """HELLO, START, and what comes until each stream has sent that many messages; then STOP."""
    host.messages.clear()
    start_us = host.start(mask)

    def enough() -> bool:
        counts = [0, 0]
        for message in host.messages:
            if message[0] == MessageType.DATA:
                counts[message[4]] += 1
        return min(counts[n] for n in range(2) if mask >> n & 1) >= batches

    host.until(enough, f"{batches} messages a stream", GUARD_S * 10)
    host.stop()
    return Recording.of(host, start_us, imu_type)
