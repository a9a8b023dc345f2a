"""A tool in a few lines on a loopback link, every answer of which a test may replace. Real bytes on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexuslink.protocol.description import description_crc
from nexuslink.protocol.envelope import Request, pack_data, pack_response, take_request
from nexuslink.protocol.framing import Deframer, frame
from nexuslink.protocol.messages import (
    SCHEMA_HASH,
    CalibrationMethod,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    Capability,
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


def calibration(number: int = 1) -> bytes:
    """A whole record; its first and its last bytes tell its number."""
    last = replace(_SENSOR, u_bias=float(number))
    return seal_record(
        CalibrationRecord(
            1, 0, 0, number, "NX-TEST", CalibrationMethod.NOMINAL, "", 0, 0, 25.0, 9.81, (_TIP, _TIP), _SENSOR, last
        )
    )


def page(request: Request, record: bytes) -> Answer:
    """The piece of a record that was asked for."""
    asked = CalibrationReadRequest.unpack(request.payload)
    assert asked is not None
    piece = record[asked.offset : asked.offset + 200]
    return Status.OK, CalibrationReadResponse(len(record), asked.offset, len(piece), piece).pack()


INFO = InfoResponse((1, 2, 3), (4, 5), "test", int(sum(Capability)), 1, 1, len(calibration()))


def hello(
    major: int = 1, minor: int = 0, schema_hash: int = SCHEMA_HASH, serial: str = "NX-TEST", crc: int = 0
) -> bytes:
    """HELLO of any tool."""
    return HelloResponse(major, minor, schema_hash, 7, serial, crc, 244).pack()


class ScriptedTool:
    """Answers as a good tool would, except where ``answers`` says otherwise.

    What it says about itself may be changed at any time; its HELLO has the right check for that.
    """

    def __init__(self, answers: dict[Opcode, Callable[[Request], Answer]] | None = None) -> None:
        self.transport = LoopbackTransport(self._receive)
        self.requests: list[Request] = []
        """That came, retries included."""
        self.hello = HelloResponse(1, 0, SCHEMA_HASH, 7, "NX-TEST", 0, 244)
        self.info = INFO.pack()
        self.stream = STREAM.pack()
        self.record = calibration()
        self._answers = answers or {}
        self._deframer = Deframer()
        self._good: dict[Opcode, Callable[[Request], Answer]] = {
            Opcode.HELLO: lambda _: (Status.OK, replace(self.hello, description_crc=self.crc).pack()),
            Opcode.INFO: lambda _: (Status.OK, self.info),
            Opcode.DESCRIBE: lambda _: (Status.OK, self.stream),
            Opcode.CALIBRATION_READ: lambda request: page(request, self.record),
            Opcode.TIME_SYNC: _sync,
            Opcode.START: lambda _: (Status.OK, StartResponse(1, 1).pack()),
            Opcode.STOP: lambda _: (Status.OK, StopResponse(2, TOTALS).pack()),
            Opcode.TARE: lambda _: (Status.BAD_STATE, b""),
        }

    @property
    def crc(self) -> int:
        """Over what it says about itself."""
        return description_crc(self.info, [self.stream], self.record)

    def asked(self, *opcodes: Opcode) -> int:
        """How often these came, retries included."""
        return sum(request.opcode in opcodes for request in self.requests)

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
            answer = self._answers.get(opcode, self._good.get(opcode, _unsupported))(request)
            if answer is not None:
                status, payload = answer
                self.send(pack_response(len(self.requests), request.request_id, opcode, status, payload))


def _unsupported(_: Request) -> Answer:
    return Status.UNSUPPORTED, b""


def _sync(request: Request) -> Answer:
    asked = TimeSyncRequest.unpack(request.payload)
    assert asked is not None
    device_us = asked.host_send_ns // 1000
    return Status.OK, TimeSyncResponse(asked.host_send_ns, device_us, device_us).pack()
