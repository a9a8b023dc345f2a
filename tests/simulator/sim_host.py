"""A small host for the simulator's tests: it asks, collects what comes, and turns samples into arrays."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from struct import unpack_from

import numpy as np
import pytest
from nexus_simulator.assembly import make_link
from nexus_simulator.link import Link
from nexus_simulator.options import parse_options

from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.envelope import Response, pack_request, take_response, take_stream
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
)

DATA_DIR = Path(os.environ.get("NEXUSLINK_DATA", Path(__file__).parents[3] / "shared" / "data"))
DTYPES = {0: ("<i4", 2), 1: ("<i2", 6)}
MS = 1_000_000


def recording(name: str) -> Path:
    path = DATA_DIR / "attitude" / name
    if not path.is_file():
        pytest.skip(f"no real recording: {path} does not exist (set NEXUSLINK_DATA)")
    return path


@dataclass
class Host:
    """Collects messages from frames, whatever carries them."""

    imu_type: tuple[str, int] = ("<i2", 6)
    deframer: Deframer = field(default_factory=Deframer)
    messages: list[bytes] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        self.messages += [message[:-CRC_SIZE] for message in self.deframer.feed(data)]

    @property
    def responses(self) -> list[Response]:
        return [r for r in map(take_response, self.messages) if r is not None]

    @property
    def statuses(self) -> list[StatusMessage]:
        return [s for s in map(take_stream, self.messages) if isinstance(s, StatusMessage)]

    @property
    def stream_messages(self) -> list[bytes]:
        return [m for m in self.messages if m[0] >= MessageType.DATA]

    def sequence(self) -> list[int]:
        return [unpack_from("<H", m, 2)[0] for m in self.stream_messages]

    def data(self, stream: int) -> list[tuple[int, int, np.ndarray]]:
        """first_index, t0_us, rows of every DATA message of a stream."""
        kind, channels = DTYPES[0] if stream == 0 else self.imu_type
        out = []
        for message in self.messages:
            if message[0] == MessageType.DATA and message[4] == stream:
                _, count, first, t0 = unpack_from("<BBIQ", message, 4)
                rows = np.frombuffer(message[18:], kind).reshape(-1, channels)
                assert len(rows) == count
                out.append((first, t0, rows))
        return out

    def samples(self, stream: int, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
        """(n,) device times and (n, channels) counts of everything that came."""
        data = self.data(stream)
        t = [t0 + np.rint(np.arange(len(rows)) * 1e6 / rate_hz).astype(np.int64) for _, t0, rows in data]
        return np.concatenate(t), np.concatenate([rows for _, _, rows in data])


class Bench:
    """A link driven by hand, with no event loop: time goes where the test says."""

    def __init__(self, params: Mapping[str, str] | None = None, host: Host | None = None, **more: str) -> None:
        self.link: Link = make_link(parse_options({**(params or {}), **more}))
        self.host = host or Host()
        self.raw = bytearray()
        self.now_ns = 0
        self._ids = 0

    def run(self, ns: int, step_ns: int = 20 * MS, room: int | None = None) -> None:
        end = self.now_ns + ns
        while self.now_ns < end:
            self.now_ns = min(end, self.now_ns + step_ns)
            for _, data in self.link.poll(self.now_ns, room):
                self.raw += data
                self.host.feed(data)

    def send(self, opcode: int, payload: bytes = b"", request_id: int | None = None) -> int:
        if request_id is None:
            self._ids += 1
            request_id = self._ids
        self.link.receive(self.now_ns, frame(pack_request(0, request_id, opcode, payload)))
        return request_id

    def ask(self, opcode: int, payload: bytes = b"", request_id: int | None = None) -> Response:
        before = len(self.host.responses)
        self.send(opcode, payload, request_id)
        self.run(5 * MS, MS)
        assert len(self.host.responses) == before + 1
        return self.host.responses[-1]

    def greet(self) -> Response:
        return self.ask(Opcode.HELLO, HelloRequest(1, 0).pack())

    def start(self, mask: int = 3) -> int:
        """START, after HELLO where there was none; returns its device time."""
        if not self.link.tool.firmware.greeted:
            assert self.greet().status == Status.OK
        answer = StartResponse.unpack(self.ask(Opcode.START, StartRequest(mask).pack()).payload)
        assert answer is not None
        return answer.t_us

    def stop(self, reason: int = 0) -> Response:
        return self.ask(Opcode.STOP, StopRequest(reason).pack())


class Sink:
    """Receives a transport's chunks."""

    def __init__(self, host: Host | None = None) -> None:
        self.host = host or Host()
        self.chunks: list[Chunk] = []
        self.reasons: list[str] = []

    def chunk(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.host.feed(chunk.data)

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


async def until(condition: object, what: str, guard_s: float = 20.0) -> None:
    """Wait for a condition, a callable, within a hang guard of real time."""
    assert callable(condition)
    end = time.monotonic() + guard_s
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        await asyncio.sleep(0.001)


def hello(request_id: int = 1) -> bytes:
    return frame(pack_request(0, request_id, Opcode.HELLO, HelloRequest(1, 0).pack()))


def start(request_id: int = 2, mask: int = 3) -> bytes:
    return frame(pack_request(0, request_id, Opcode.START, StartRequest(mask).pack()))


def stop(request_id: int = 3, reason: int = 0) -> bytes:
    return frame(pack_request(0, request_id, Opcode.STOP, StopRequest(reason).pack()))


def contiguous(data: Iterable[tuple[int, int, np.ndarray]]) -> bool:
    """Whether first_index goes on without a gap."""
    expected = 0
    for first, _, rows in data:
        if first != expected:
            return False
        expected += len(rows)
    return True
