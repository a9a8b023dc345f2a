"""A tool in a few lines on a loopback link, every answer of which a test may replace. Real bytes on both sides."""

from __future__ import annotations

from collections.abc import Callable

from nexuslink.protocol.envelope import Request, pack_data, pack_response, take_request
from nexuslink.protocol.framing import Deframer, frame
from nexuslink.protocol.messages import (
    CalibrationMethod,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    ChannelGroup,
    ForceCalibration,
    HelloResponse,
    InfoResponse,
    Opcode,
    SensorCalibration,
    SessionTotals,
    StartResponse,
    Status,
    StopResponse,
    StreamDescriptor,
    TimeSyncRequest,
    TimeSyncResponse,
)
from nexuslink.protocol.record import seal_record
from nexuslink.transport.loopback import LoopbackTransport

Answer = tuple[Status, bytes] | None
"""What to answer; ``None`` is silence."""

STREAM = StreamDescriptor(
    0, 1, 2, 250.0, 1, (ChannelGroup(1, 2, 1e-4, 250.0), ChannelGroup(0, 0, 0.0, 0.0)), 3, 50.0, 1000.0
)
_TIP = ForceCalibration(
    0, 1e-4, *(0.0,) * 5, (0.0,) * 3, (0.0,) * 3, 0.05, (0.0,) * 3, (0.0, 0.0, 1.0), 600.0, 0.0, 0.0, 0, *(0.0,) * 9
)
_SENSOR = SensorCalibration((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (0.0,) * 3, (0.0,) * 3, 0.0, 0.0)
TOTALS = SessionTotals(1, 0, 0, (0, 0, 0, 0))


def calibration() -> bytes:
    """A whole record."""
    return seal_record(
        CalibrationRecord(
            1, 0, 0, 1, "NX-TEST", CalibrationMethod.NOMINAL, "", 0, 0, 25.0, 9.81, (_TIP, _TIP), _SENSOR, _SENSOR
        )
    )


def page(request: Request, record: bytes) -> Answer:
    """The piece of a record that was asked for."""
    asked = CalibrationReadRequest.unpack(request.payload)
    assert asked is not None
    piece = record[asked.offset : asked.offset + 200]
    return Status.OK, CalibrationReadResponse(len(record), asked.offset, len(piece), piece).pack()


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
    Opcode.HELLO: lambda _: (Status.OK, HelloResponse(1, 0, 0, 7, "NX-TEST", 0, 244).pack()),
    Opcode.INFO: lambda _: (Status.OK, InfoResponse((1, 2, 3), (1, 0), "test", 0, 1, 1, 489).pack()),
    Opcode.DESCRIBE: lambda _: (Status.OK, STREAM.pack()),
    Opcode.CALIBRATION_READ: lambda request: page(request, calibration()),
    Opcode.TIME_SYNC: _sync,
    Opcode.START: lambda _: (Status.OK, StartResponse(1, 1).pack()),
    Opcode.STOP: lambda _: (Status.OK, StopResponse(2, TOTALS).pack()),
    Opcode.TARE: lambda _: (Status.BAD_STATE, b""),
}
