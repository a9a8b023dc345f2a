"""A tool in a few lines on a loopback link, every answer of which a test may replace. Real bytes on both sides."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from nexuslink.protocol.envelope import Request, pack_data, pack_response, take_request
from nexuslink.protocol.framing import Deframer, frame
from nexuslink.protocol.messages import (
    CalibrationResponse,
    ChannelGroup,
    ForceCalibration,
    HelloResponse,
    InfoResponse,
    Opcode,
    StartResponse,
    Status,
    StopResponse,
    StreamDescriptor,
    TimeSyncRequest,
    TimeSyncResponse,
)
from nexuslink.transport.loopback import LoopbackTransport

Answer = tuple[Status, bytes] | None
"""What to answer; ``None`` is silence."""

STREAM = StreamDescriptor(0, 1, 2, 250.0, 1, (ChannelGroup(1, 2, 1e-4, 250.0), ChannelGroup(0, 0, 0.0, 0.0)))
_TIP = ForceCalibration(0, 1e-4, 0.05, 600.0, (0.0, 0.0, 1.0))


def calibration() -> bytes:
    """A whole record."""
    body = CalibrationResponse(1, 1, (_TIP, _TIP), 0).pack()[:-4]
    return body + zlib.crc32(body).to_bytes(4, "little")


class ScriptedTool:
    """Answers as a good tool would, except where ``answers`` says otherwise."""

    def __init__(self, answers: dict[Opcode, Callable[[Request], Answer]] | None = None) -> None:
        self.transport = LoopbackTransport(self._receive)
        self.requests: list[Request] = []
        self._answers = answers or {}
        self._deframer = Deframer()

    def send(self, message: bytes) -> None:
        """Any message, framed."""
        self.transport.send(frame(message))

    def send_batch(self, seq: int) -> None:
        """The ``seq``-th batch of one sample."""
        self.send(pack_data(seq, 0, 1, seq, seq * 4000, bytes(8)))

    def _receive(self, data: bytes) -> None:
        for message in self._deframer.feed(data):
            request = take_request(message[:-4])
            assert request is not None
            self.requests.append(request)
            opcode = Opcode(request.opcode)
            answer = self._answers.get(opcode, _GOOD[opcode])(request)
            if answer is not None:
                status, payload = answer
                self.send(pack_response(len(self.requests), request.request_id, opcode, status, payload))


def _sync(request: Request) -> Answer:
    asked = TimeSyncRequest.unpack(request.payload)
    assert asked is not None
    device_us = asked.host_send_ns // 1000
    return Status.OK, TimeSyncResponse(asked.host_send_ns, device_us, device_us).pack()


_GOOD: dict[Opcode, Callable[[Request], Answer]] = {
    Opcode.HELLO: lambda _: (Status.OK, HelloResponse(1, 0, 0, 7, "NX-TEST").pack()),
    Opcode.INFO: lambda _: (Status.OK, InfoResponse(1, 0, 0, 7, "NX-TEST", (1, 2, 3), 0, 244, 1, (STREAM,)).pack()),
    Opcode.CALIBRATION: lambda _: (Status.OK, calibration()),
    Opcode.TIME_SYNC: _sync,
    Opcode.START: lambda _: (Status.OK, StartResponse(1).pack()),
    Opcode.STOP: lambda _: (Status.OK, StopResponse(2).pack()),
    Opcode.TARE: lambda _: (Status.BAD_STATE, b""),
}
