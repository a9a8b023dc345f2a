"""What each request does: one table from opcode to what reads the payload and what answers.

The order of the checks is the protocol's: opcode, link, length, range; then the handler looks at authorisation and
state. A handler gets the read payload and the device time, and returns a status and the answer's payload.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from nexus_simulator.firmware.identity import (
    ANSWERING_US,
    CAPABILITIES,
    FIRMWARE_VERSION,
    HARDWARE_VERSION,
    MODEL,
    Ranges,
)
from nexuslink.protocol.description import description_crc
from nexuslink.protocol.messages import (
    CALIBRATION_MAX,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    RESET_MAGIC,
    RESPONSE_HEADER,
    SCHEMA_HASH,
    UNLOCK_S,
    CalibrationCommitRequest,
    CalibrationCommitResponse,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationWriteRequest,
    CalibrationWriteResponse,
    ConfigureRequest,
    DescribeRequest,
    ErrorsRequest,
    HapticRequest,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    LightRequest,
    LogLevelRequest,
    Opcode,
    ResetRequest,
    SelfTest,
    SelfTestRequest,
    SelfTestResponse,
    StartRequest,
    StartResponse,
    Status,
    StopRequest,
    StreamDescriptor,
    TareRequest,
    TareResponse,
    TimeSyncRequest,
    TimeSyncResponse,
    TotalsResponse,
    UnlockRequest,
    UnlockResponse,
)

if TYPE_CHECKING:
    from nexus_simulator.firmware.processor import Firmware

Answer = tuple[Status, bytes]
ALL_TESTS = SelfTest(sum(SelfTest))


class _Payload(Protocol):
    def problem(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Empty:
    """The payload of a request that has none."""

    @classmethod
    def unpack(cls, payload: bytes) -> _Empty:
        """Any payload will do: a later version may put something there."""
        return cls()

    def problem(self) -> str | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Moment:
    """When a request came and when it is carried out: device microseconds of the firmware's own."""

    received_us: int
    now_us: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table."""

    read: Callable[[bytes], _Payload | None]
    carry_out: Callable[[Firmware, Any, Moment], Answer]


def _hello(tool: Firmware, asked: HelloRequest, when: Moment) -> Answer:
    spoken = asked.protocol_major == PROTOCOL_MAJOR
    tool.greet(spoken)
    answer = HelloResponse(
        protocol_major=PROTOCOL_MAJOR,
        protocol_minor=PROTOCOL_MINOR,
        schema_hash=SCHEMA_HASH,
        boot_id=tool.boot_id,
        serial_number=tool.identity.serial_number,
        description_crc=description_crc(_info_of(tool), [d.pack() for d in tool.streams], tool.calibration.data),
        max_message=tool.max_message,
    )
    return (Status.OK if spoken else Status.UNSUPPORTED_VERSION), answer.pack()


def _info_of(tool: Firmware) -> bytes:
    return InfoResponse(
        firmware_version=FIRMWARE_VERSION,
        hardware_version=HARDWARE_VERSION,
        model=MODEL,
        capabilities=int(CAPABILITIES),
        stream_count=len(tool.streams),
        calibration_id=tool.calibration.calibration_id,
        calibration_size=len(tool.calibration.data),
    ).pack()


def _info(tool: Firmware, asked: _Empty, when: Moment) -> Answer:
    return Status.OK, _info_of(tool)


def _describe(tool: Firmware, asked: DescribeRequest, when: Moment) -> Answer:
    if asked.stream >= len(tool.streams):
        return Status.OUT_OF_RANGE, b""
    return Status.OK, tool.streams[asked.stream].pack()


def _time_sync(tool: Firmware, asked: TimeSyncRequest, when: Moment) -> Answer:
    received, sent = tool.stamp(when.received_us), tool.stamp(when.now_us + ANSWERING_US)
    return Status.OK, TimeSyncResponse(asked.host_send_ns, received, sent).pack()


def _start(tool: Firmware, asked: StartRequest, when: Moment) -> Answer:
    # Bits of streams that this tool does not have mean nothing: "all" is all ones.
    active = tuple(d for d in tool.streams if asked.stream_mask >> d.stream & 1)
    if not active:
        return Status.OUT_OF_RANGE, b""
    if tool.session is not None or not tool.greeted:
        return Status.BAD_STATE, b""
    return Status.OK, StartResponse(tool.stamp(when.now_us), tool.begin(when.now_us, active)).pack()


def _tare(tool: Firmware, asked: TareRequest, when: Moment) -> Answer:
    if tool.session is None:
        return Status.BAD_STATE, b""
    samples, mean = tool.session.take.mean_force(when.now_us, asked.window_ms * 1000)
    if not samples:
        return Status.BAD_STATE, b""
    return Status.OK, TareResponse(tool.stamp(when.now_us), samples, mean).pack()


def _totals(tool: Firmware, asked: _Empty, when: Moment) -> Answer:
    return Status.OK, TotalsResponse(tool.stamp(when.now_us), int(tool.streaming), tool.totals).pack()


def _configure(tool: Firmware, asked: ConfigureRequest, when: Moment) -> Answer:
    if asked.stream >= len(tool.streams):
        return Status.OUT_OF_RANGE, b""
    made = configured(tool.streams[asked.stream], tool.identity.ranges[asked.stream], asked)
    if made is None:
        return Status.OUT_OF_RANGE, b""
    if tool.session is not None:
        return Status.BAD_STATE, b""
    tool.configure(made)
    return Status.OK, made.pack()


def configured(stream: StreamDescriptor, ranges: Ranges, asked: ConfigureRequest) -> StreamDescriptor | None:
    """The descriptor as asked for; None where this sensor cannot do that.

    Whole channel groups only: a gyroscope without its y axis is of no use to anybody.
    """
    rate_hz = asked.rate_hz or stream.rate_hz
    if not stream.rate_min_hz <= rate_hz <= stream.rate_max_hz:
        return None
    mask = asked.channel_mask or stream.channel_mask
    groups = []
    width = ranges.channels // max(1, len(ranges.choices))
    for number, group in enumerate(stream.groups):
        if number >= len(ranges.choices):
            groups.append(group)
            continue
        bits = (1 << width) - 1
        sent = mask >> number * width & bits
        if sent not in (0, bits):
            return None
        scale, full_scale = group.scale, group.full_scale
        wanted = asked.full_scale[number]
        if wanted:
            wide_enough = [limit for limit in ranges.choices[number] if limit >= wanted * (1.0 - 1e-6)]
            if wanted < 0 or not wide_enough:
                return None
            full_scale = min(wide_enough)
            scale = ranges.choices[number][full_scale]
        groups.append(replace(group, channels=width if sent else 0, scale=scale, full_scale=full_scale))
    if mask >> ranges.channels or not any(group.channels for group in groups):
        return None
    return replace(stream, rate_hz=rate_hz, channel_mask=mask, groups=tuple(groups))


def _calibration_read(tool: Firmware, asked: CalibrationReadRequest, when: Moment) -> Answer:
    head = CalibrationReadResponse(0, 0, 0, b"")
    room = min(tool.max_message - RESPONSE_HEADER.size - len(head.pack()), 224)
    return Status.OK, tool.calibration.read(asked.offset, room).pack()


def _unlock(tool: Firmware, asked: UnlockRequest, when: Moment) -> Answer:
    if not tool.link_authenticated:  # the code is not looked at: who has not been confirmed must not guess it
        return Status.NOT_AUTHORISED, b""
    status = tool.calibration.unlock(asked.code, when.now_us)
    return status, UnlockResponse(UNLOCK_S).pack() if status is Status.OK else b""


def _calibration_write(tool: Firmware, asked: CalibrationWriteRequest, when: Moment) -> Answer:
    if not tool.link_authenticated:
        return Status.NOT_AUTHORISED, b""
    status, received = tool.calibration.write(asked, when.now_us)
    return status, CalibrationWriteResponse(received).pack() if status is Status.OK else b""


def _calibration_commit(tool: Firmware, asked: CalibrationCommitRequest, when: Moment) -> Answer:
    if asked.size > CALIBRATION_MAX:
        return Status.OUT_OF_RANGE, b""
    if not tool.link_authenticated:
        return Status.NOT_AUTHORISED, b""
    status = tool.calibration.commit(asked, when.now_us, tool.session is not None)
    if status is not Status.OK:
        return status, b""
    tool.calibrated()
    return status, CalibrationCommitResponse(tool.calibration.calibration_id).pack()


def _haptic(tool: Firmware, asked: HapticRequest, when: Moment) -> Answer:
    tool.felt = asked
    return Status.OK, b""


def _light(tool: Firmware, asked: LightRequest, when: Moment) -> Answer:
    tool.seen = asked
    return Status.OK, b""


def _self_test(tool: Firmware, asked: SelfTestRequest, when: Moment) -> Answer:
    if tool.session is not None:
        return Status.BAD_STATE, b""
    run = asked.tests & ALL_TESTS
    return Status.OK, SelfTestResponse(run, run).pack()


def _errors(tool: Firmware, asked: ErrorsRequest, when: Moment) -> Answer:
    page = tool.health.page(asked.first)
    if asked.clear:
        tool.health.clear()
    return Status.OK, page.pack()


def _log_level(tool: Firmware, asked: LogLevelRequest, when: Moment) -> Answer:
    tool.health.log_level = asked.level
    return Status.OK, b""


def _reset(tool: Firmware, asked: ResetRequest, when: Moment) -> Answer:
    if asked.magic != RESET_MAGIC:
        return Status.OUT_OF_RANGE, b""
    tool.restart_at(when.now_us + ANSWERING_US)
    return Status.OK, b""


OPERATIONS: dict[int, Operation] = {
    Opcode.HELLO: Operation(HelloRequest.unpack, _hello),
    Opcode.INFO: Operation(_Empty.unpack, _info),
    Opcode.DESCRIBE: Operation(DescribeRequest.unpack, _describe),
    Opcode.TIME_SYNC: Operation(TimeSyncRequest.unpack, _time_sync),
    Opcode.START: Operation(StartRequest.unpack, _start),
    Opcode.TARE: Operation(TareRequest.unpack, _tare),
    Opcode.TOTALS: Operation(_Empty.unpack, _totals),
    Opcode.CONFIGURE: Operation(ConfigureRequest.unpack, _configure),
    Opcode.CALIBRATION_READ: Operation(CalibrationReadRequest.unpack, _calibration_read),
    Opcode.UNLOCK: Operation(UnlockRequest.unpack, _unlock),
    Opcode.CALIBRATION_WRITE: Operation(CalibrationWriteRequest.unpack, _calibration_write),
    Opcode.CALIBRATION_COMMIT: Operation(CalibrationCommitRequest.unpack, _calibration_commit),
    Opcode.HAPTIC: Operation(HapticRequest.unpack, _haptic),
    Opcode.LIGHT: Operation(LightRequest.unpack, _light),
    Opcode.SELF_TEST: Operation(SelfTestRequest.unpack, _self_test),
    Opcode.ERRORS: Operation(ErrorsRequest.unpack, _errors),
    Opcode.LOG_LEVEL: Operation(LogLevelRequest.unpack, _log_level),
    Opcode.RESET: Operation(ResetRequest.unpack, _reset),
}
"""Every request but STOP, whose answer has to wait until the queue is empty: see `processor`."""
STOP_PAYLOAD = StopRequest.unpack


def carry_out(tool: Firmware, opcode: int, payload: bytes, when: Moment) -> Answer:
    """The checks that are the same for every request, then its own handler."""
    operation = OPERATIONS[opcode]
    asked = operation.read(payload)
    if asked is None:
        return Status.BAD_REQUEST, b""
    if asked.problem() is not None:
        return Status.OUT_OF_RANGE, b""
    return operation.carry_out(tool, asked, when)
