"""The reference firmware as a process, with sanitizers: what it must do whatever the host does."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from struct import unpack_from
from zlib import crc32

import pytest
from firmware_host import FirmwareHost
from nexus_simulator.emulators import NativeBoard, missing
from nexus_simulator.options import Options

from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    RESET_MAGIC,
    CalibrationCommitRequest,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    CalibrationWriteRequest,
    ErrorCode,
    ErrorsRequest,
    ErrorsResponse,
    EventKind,
    EventMessage,
    FaultMessage,
    HapticRequest,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    LightRequest,
    LogLevel,
    LogLevelRequest,
    LogMessage,
    Opcode,
    ResetRequest,
    SelfTest,
    SelfTestRequest,
    SelfTestResponse,
    StartRequest,
    StartResponse,
    Status,
    StatusMessage,
    StopRequest,
    TotalsResponse,
    UnlockRequest,
)
from nexuslink.protocol.record import seal_record

pytestmark = pytest.mark.skipif(missing("native") is not None, reason=str(missing("native")))
OPTIONS = Options(seed=5, force_rate=1000.0, imu_rate=1000.0)
UNLOCK = UnlockRequest(0x4E583031).pack()


@pytest.fixture
def board() -> Iterator[NativeBoard]:
    with NativeBoard(OPTIONS, ("127.0.0.1", 0)) as board:
        yield board
        assert board.ended is None, board._process.stderr.read().decode()  # what a sanitizer has to say


@pytest.fixture
def host(board: NativeBoard) -> Iterator[FirmwareHost]:
    with FirmwareHost.connect(board.address) as host:
        yield host


def sequence(host: FirmwareHost) -> list[int]:
    return [unpack_from("<H", message, 2)[0] for message in host.stream_messages]


def for_a_while(host: FirmwareHost, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        host.read(0.02)


def wait(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


def read_record(host: FirmwareHost) -> bytes:
    data = b""
    while True:
        page = CalibrationReadResponse.unpack(
            host.ask(Opcode.CALIBRATION_READ, CalibrationReadRequest(len(data)).pack()).payload
        )
        assert page is not None
        data += page.data
        if not page.count:
            return data


def write_record(host: FirmwareHost, data: bytes) -> None:
    for at in range(0, len(data), 200):
        piece = data[at : at + 200]
        answer = host.ask(Opcode.CALIBRATION_WRITE, CalibrationWriteRequest(at, len(piece), piece).pack())
        assert answer.status == Status.OK


def commit(host: FirmwareHost, data: bytes) -> int:
    return host.ask(Opcode.CALIBRATION_COMMIT, CalibrationCommitRequest(len(data), crc32(data)).pack()).status


def errors(host: FirmwareHost) -> ErrorsResponse:
    answer = ErrorsResponse.unpack(host.ask(Opcode.ERRORS, ErrorsRequest(0, 0).pack()).payload)
    assert answer is not None
    return answer


# ---- streaming ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("carrier", ["tcp", "pty"])
def test_stream_has_no_gap(carrier: str) -> None:
    """1 kHz and 1 kHz: every number once, STATUS each second, totals that agree, nothing after STOP's answer."""
    with (
        NativeBoard(OPTIONS, ("127.0.0.1", 0) if carrier == "tcp" else None) as board,
        FirmwareHost.connect(board.address) as host,
    ):
        start_us = host.start()
        host.until(lambda: len(host.said(StatusMessage)) == 2, "the second STATUS")
        stopped = host.stop()
        assert host.messages[-1][0] == 2
        for_a_while(host, 0.1)
        assert host.messages[-1][0] == 2
        assert sequence(host) == list(range(stopped.totals.sent))
        assert host.deframer.counts.bad == 0
        assert stopped.totals.dropped == 0
        for stream, dtype, channels in ((0, "<i4", 2), (1, "<i2", 6)):
            data = host.data(stream, dtype, channels)
            at = 0
            for first, t0_us, rows in data:
                assert (first, t0_us) == (at, start_us + 1000 * at)
                at += len(rows)
            assert at == stopped.totals.samples[stream] >= 1000
            assert at == -(-(stopped.t_us - start_us) // 1000)
        assert int(board.physics.shared["stop_reason"]) == 1


def test_batches_are_cut_in_time_and_fit_the_link(board: NativeBoard, host: FirmwareHost) -> None:
    """No message is longer than the link carries, also where it changes while streaming, and none is lost by it."""
    host.start()
    for size in (MAX_MESSAGE, 64, 100):
        board.physics.shared["max_message"] = size
        for_a_while(host, 0.1)  # what was queued before
        host.messages.clear()
        for_a_while(host, 0.25)
        lengths = [len(message) for message in host.stream_messages]
        assert lengths
        assert max(lengths) <= size
    assert host.stop().totals.dropped == 0


def test_host_that_does_not_read_costs_messages_not_order(board: NativeBoard) -> None:
    """The queue is bounded: what finds it full is counted, reported, and shows in first_index, never in seq."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    _, name, port = board.address.split(":")
    link.connect((name, int(port)))
    link.setblocking(False)
    with FirmwareHost(link.detach()) as host:
        host.start()
        before = int(board.physics.shared["clock_ms"])
        wait(lambda: int(board.physics.shared["clock_ms"]) - before > 2500, "time to pass")
        for_a_while(host, 0.3)
        stopped = host.stop()
        data = host.data(0, "<i4", 2)
        assert stopped.totals.dropped > 0
        assert sequence(host) == [n & 0xFFFF for n in range(stopped.totals.sent)]
        received = sum(len(rows) for _, _, rows in data)
        ends = [0, *(first + len(rows) for first, _, rows in data)]
        overrun = sum(first - end for end, (first, _, _) in zip(ends, data, strict=False))
        assert overrun > 0
        assert received + overrun == ends[-1] == stopped.totals.samples[0]
        reports = {report.code: report for report in errors(host).reports}
        assert 0 < reports[ErrorCode.QUEUE_OVERFLOW].detail <= stopped.totals.dropped
        assert host.said(FaultMessage)[-1].report == reports[ErrorCode.QUEUE_OVERFLOW]


def test_physics_that_stops_stops_the_clock(board: NativeBoard, host: FirmwareHost) -> None:
    """A simulator that does not keep up makes no gap and no invented sample: device time waits for it."""
    board.physics._ahead_s = 0.2
    host.start()
    host.stop()
    host.messages.clear()
    start_us = host.start()  # of this session only so much is made beforehand
    for_a_while(host, 0.2)
    board.physics._stop.set()
    for_a_while(host, 0.6)
    there = len(host.data(0, "<i4", 2))
    for_a_while(host, 0.3)
    assert len(host.data(0, "<i4", 2)) == there
    board.physics.step()
    host.until(lambda: len(host.data(0, "<i4", 2)) > there + 5, "samples again")
    at = 0
    for first, t0_us, rows in host.data(0, "<i4", 2):
        assert (first, t0_us) == (at, start_us + 1000 * at)
        at += len(rows)
    assert int(board.physics.shared["held_us"]) > 200_000


# ---- requests -------------------------------------------------------------------------------------------------------
def test_order_of_a_connection(host: FirmwareHost) -> None:
    """START needs HELLO, a second START and a TARE without samples are refused, another major version too."""
    assert host.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE
    refused = host.ask(Opcode.HELLO, HelloRequest(2, 0).pack())
    assert refused.status == Status.UNSUPPORTED_VERSION
    hello = HelloResponse.unpack(refused.payload)
    assert hello is not None
    assert hello.serial_number == "SIM-00005"
    assert host.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE
    host.start()
    assert host.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE
    assert host.ask(Opcode.SELF_TEST, SelfTestRequest(1).pack()).status == Status.BAD_STATE
    assert host.hello().status == Status.OK  # ends the stream
    host.messages.clear()
    for_a_while(host, 0.1)
    assert not host.stream_messages
    assert host.ask(Opcode.STOP, StopRequest(0).pack()).status == Status.OK


def test_retried_request_is_done_once(host: FirmwareHost) -> None:
    """The same number and opcode again: the same answer, and nothing happens twice; four are remembered."""
    host.hello()
    first = host.ask(Opcode.START, StartRequest(3).pack(), 100)
    again = host.ask(Opcode.START, StartRequest(3).pack(), 100)
    assert (again.status, again.payload, again.seq) == (Status.OK, first.payload, first.seq + 1)
    sync = host.ask(Opcode.TIME_SYNC, bytes(8), 101)
    assert host.ask(Opcode.TIME_SYNC, bytes(8), 101).payload == sync.payload
    stopped = host.ask(Opcode.STOP, StopRequest(1).pack(), 102)
    assert host.ask(Opcode.STOP, StopRequest(1).pack(), 102).payload == stopped.payload
    for number in range(103, 107):
        host.ask(Opcode.INFO, b"", number)
    late = host.ask(Opcode.START, StartRequest(3).pack(), 100)  # forgotten: carried out
    made = StartResponse.unpack(late.payload)
    assert made is not None
    assert made.session == 2


def test_what_is_no_request_is_counted_and_the_next_is_answered(board: NativeBoard, host: FirmwareHost) -> None:
    """Garbage, damaged and oversize frames, unknown messages: never an answer, never the end."""
    host.hello()
    rng = random.Random(1)
    good = frame(b"\x01\0\0\0\x09\0\x02\0")
    damaged = bytearray(good)
    damaged[3] ^= 0x10
    for data in (rng.randbytes(5000) + b"\0", bytes(damaged), b"\x01" * 600 + b"\0", b"\0" * 50):
        host.write(data)
    host.write(frame(b"\x10\0\0\0" + bytes(100)))
    host.write(frame(b"\x01\0\0\0"))
    before = len(host.responses)
    host.write(good)
    host.until(lambda: len(host.responses) > before, "the answer")
    assert len(host.responses) == before + 1
    assert host.responses[-1].request_id == 9
    assert int(board.physics.shared["ignored"]) >= 2
    host.start()
    host.until(lambda: host.stream_messages[20:], "a second of stream")


def test_whole_frames_of_nonsense_do_no_harm(host: FirmwareHost) -> None:
    """Past the check: any bytes as messages, any payload for every opcode, streaming or not, under the sanitizers."""
    rng = random.Random(2)
    host.hello()
    for round_ in range(12):
        batch = bytearray()
        for _ in range(60):
            n = rng.choice((4, 7, 8, 9, 12, rng.randrange(4, MAX_MESSAGE + 1), MAX_MESSAGE))
            message = bytearray(rng.randbytes(n))
            message[0] = rng.choice((1, 1, 1, 1, message[0]))
            if n > 7:
                message[6] = rng.choice((rng.randrange(1, 0x13), message[6]))  # anything but RESET
            if n < 7 or message[6] != Opcode.RESET:
                batch += frame(bytes(message))
        host.write(bytes(batch))
        host.until(lambda: host.hello().status == Status.OK, "an answer that is not BUSY")
        if round_ % 3 == 0:
            host.start(rng.choice((1, 2, 3)))
        host.messages.clear()
    assert host.hello().status == Status.OK


def test_burst_of_requests_is_bounded(host: FirmwareHost) -> None:
    """Each request of a burst is answered once: carried out or BUSY."""
    host.hello()
    numbers = [host.send(Opcode.INFO) for _ in range(40)]
    host.until(lambda: len(host.responses) == 41, "40 answers")
    assert sorted(r.request_id for r in host.responses[1:]) == numbers
    assert {r.status for r in host.responses} <= {Status.OK, Status.BUSY}


def test_small_link_is_refused_by_name(board: NativeBoard, host: FirmwareHost) -> None:
    """Under 64 bytes everything is LINK_TOO_SMALL; at 64 the record still comes, in smaller pieces."""
    host.hello()
    whole = read_record(host)
    board.physics.shared["max_message"] = 63
    assert host.hello().status == Status.LINK_TOO_SMALL
    assert host.ask(Opcode.INFO).status == Status.LINK_TOO_SMALL
    assert host.ask(0x55).status == Status.UNKNOWN_OPCODE
    board.physics.shared["max_message"] = 64
    hello = HelloResponse.unpack(host.hello().payload)
    assert hello is not None
    assert hello.max_message == 64
    host.messages.clear()
    assert read_record(host) == whole
    assert max(len(message) for message in host.messages) == 64


# ---- what it keeps --------------------------------------------------------------------------------------------------
def changed(record: CalibrationRecord, **fields: object) -> bytes:
    return seal_record(replace(record, **fields))  # type: ignore[arg-type]


def test_calibration_is_written_when_unlocked_whole_and_possible(board: NativeBoard, host: FirmwareHost) -> None:
    """The record changes by a COMMIT that passes every check, is named by streams, and survives a restart."""
    before = HelloResponse.unpack(host.hello().payload)
    factory = read_record(host)
    record = CalibrationRecord.unpack(factory)
    assert record is not None
    assert before is not None
    good = changed(record, calibration_id=77)
    first = CalibrationWriteRequest(0, 100, good[:100]).pack()
    assert host.ask(Opcode.CALIBRATION_WRITE, first).status == Status.NOT_AUTHORISED
    assert host.ask(Opcode.UNLOCK, bytes(4)).status == Status.NOT_AUTHORISED
    assert host.ask(Opcode.UNLOCK, UNLOCK).status == Status.OK
    assert host.ask(Opcode.CALIBRATION_WRITE, first).status == Status.OK
    assert commit(host, good[:100]) == Status.OUT_OF_RANGE  # not whole
    gap = CalibrationWriteRequest(300, 10, bytes(10)).pack()
    assert host.ask(Opcode.CALIBRATION_WRITE, gap).status == Status.OUT_OF_RANGE
    damaged = bytearray(good)
    damaged[200] ^= 1
    nan = float("nan")
    for bad, status in (
        (bytes(damaged), Status.BAD_CRC),
        (changed(record, calibration_id=0), Status.OUT_OF_RANGE),
        (changed(record, serial_number="SIM-00006"), Status.OUT_OF_RANGE),
        (changed(record, gravity_m_s2=1.6), Status.OUT_OF_RANGE),
        (changed(record, gyro=replace(record.gyro, matrix=(nan,) * 9)), Status.OUT_OF_RANGE),
    ):
        write_record(host, bad)
        assert commit(host, bad) == status
        assert read_record(host) == factory
    write_record(host, good)
    assert commit(host, good) == Status.OK
    assert read_record(host) == good
    after = HelloResponse.unpack(host.hello().payload)
    info = InfoResponse.unpack(host.ask(Opcode.INFO).payload)
    assert after is not None
    assert info is not None
    assert info.calibration_id == 77
    assert after.description_crc != before.description_crc
    assert host.ask(Opcode.CALIBRATION_WRITE, first).status == Status.NOT_AUTHORISED  # HELLO has locked again
    host.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack())
    host.hello()
    assert read_record(host) == good
    board.physics.shared["kept"][50] ^= 1  # a worn-out memory
    host.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack())
    host.hello()
    assert read_record(host) == factory
    assert [report.code for report in errors(host).reports] == [ErrorCode.CALIBRATION_LOST]


def test_wrong_codes_close_the_lock_until_a_restart(host: FirmwareHost) -> None:
    """After five wrong codes the right one is refused too."""
    host.hello()
    for _ in range(5):
        assert host.ask(Opcode.UNLOCK, bytes(4)).status == Status.NOT_AUTHORISED
    assert host.ask(Opcode.UNLOCK, UNLOCK).status == Status.NOT_AUTHORISED
    host.hello()
    assert host.ask(Opcode.UNLOCK, UNLOCK).status == Status.NOT_AUTHORISED
    host.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack())
    host.hello()
    assert host.ask(Opcode.UNLOCK, UNLOCK).status == Status.OK


# ---- restarts and connections ---------------------------------------------------------------------------------------
def totals(host: FirmwareHost) -> TotalsResponse:
    answer = TotalsResponse.unpack(host.ask(Opcode.TOTALS).payload)
    assert answer is not None
    return answer


def boot_id(host: FirmwareHost) -> int:
    hello = HelloResponse.unpack(host.hello().payload)
    assert hello is not None
    return hello.boot_id


def test_reset_is_a_new_start_that_keeps_the_totals(board: NativeBoard, host: FirmwareHost) -> None:
    """The answer comes first; then boot id and clock are new, the stream is off and the latest totals are there."""
    first = boot_id(host)
    host.start()
    for_a_while(host, 0.2)
    assert host.ask(Opcode.RESET, bytes(4)).status == Status.OUT_OF_RANGE
    assert host.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack()).status == Status.OK
    for_a_while(host, 0.1)
    host.messages.clear()
    for_a_while(host, 0.1)
    assert not host.messages
    kept = totals(host)
    assert not kept.streaming
    assert kept.totals.session == 1
    assert kept.totals.samples[0] > 100
    assert kept.t_us < 10_000_000
    assert host.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE
    assert boot_id(host) != first
    made = StartResponse.unpack(host.ask(Opcode.START, StartRequest(3).pack()).payload)
    assert made is not None
    assert made.session == 2
    assert int(board.physics.shared["starts"]) == 2


def test_watchdog_restarts_a_hung_program(board: NativeBoard, host: FirmwareHost) -> None:
    """A program that hangs is a restart with a new boot id, and says why."""
    first = boot_id(host)
    board.physics.shared["hang"] = 1
    wait(lambda: bool(board.physics.shared["watchdog"]), "the watchdog")
    board.physics.shared["hang"] = 0
    assert boot_id(host) != first
    assert [report.code for report in errors(host).reports] == [ErrorCode.WATCHDOG]


def test_host_that_leaves_ends_the_stream(board: NativeBoard) -> None:
    """The next host meets a tool that waits, and the totals of the session that was cut off."""
    with FirmwareHost.connect(board.address) as host:
        host.start()
        for_a_while(host, 0.2)
    with FirmwareHost.connect(board.address) as host:
        for_a_while(host, 0.1)
        assert not host.messages
        assert host.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE
        answer = totals(host)
        assert not answer.streaming
        assert answer.totals.samples[0] > 100
        made = host.start()
        assert made


# ---- actuators, errors, what it says --------------------------------------------------------------------------------
def test_motor_light_and_self_test_reach_the_board(board: NativeBoard, host: FirmwareHost) -> None:
    """What is asked for is what the board is told; a test that fails is not passed."""
    host.hello()
    assert host.ask(Opcode.HAPTIC, HapticRequest(2, 80, 500).pack()).status == Status.OK
    assert host.ask(Opcode.HAPTIC, HapticRequest(2, 101, 500).pack()).status == Status.OUT_OF_RANGE
    assert host.ask(Opcode.LIGHT, LightRequest(3, 10, 20, 30, 0).pack()).status == Status.OK
    board.physics.shared["self_test_fails"] = int(SelfTest.IMU)
    answer = SelfTestResponse.unpack(host.ask(Opcode.SELF_TEST, SelfTestRequest(0xFF).pack()).payload)
    assert answer is not None
    assert answer.run == 0x1F
    assert answer.passed == 0x1F & ~SelfTest.IMU
    shared = board.physics.shared
    assert (int(shared["haptics"]), int(shared["haptic"])) == (1, 2 | 80 << 8 | 500 << 16)
    assert (int(shared["lights"]), int(shared["light"])) == (1, 3 | 10 << 8 | 20 << 16 | 30 << 24)


def test_log_event_and_fault_share_the_sequence(board: NativeBoard, host: FirmwareHost) -> None:
    """LOG after LOG_LEVEL, EVENT for a press, in one sequence with the samples."""
    host.hello()
    host.ask(Opcode.LOG_LEVEL, LogLevelRequest(LogLevel.INFO).pack())
    assert host.ask(Opcode.START, StartRequest(3).pack()).status == Status.OK
    board.physics.touch(EventKind.BUTTON, 250)
    events = host.until(lambda: host.said(EventMessage), "the press")
    assert (events[0].kind, events[0].value) == (EventKind.BUTTON, 250)
    assert [(bytes(line.text), line.level) for line in host.said(LogMessage)] == [(b"session 1: 2 streams", 20)]
    host.stop()
    assert sequence(host) == list(range(len(host.stream_messages)))


def test_silent_sensor_is_reported_and_the_other_goes_on(board: NativeBoard, host: FirmwareHost) -> None:
    """A sensor that stops is an error, said and kept; the other stream does not wait for it for ever."""
    host.start()
    host.until(lambda: host.data(1, "<i2", 6), "samples of both")
    shared = board.physics.shared
    shared["ended_index"][:] = (0xFFFFFFFF, int(shared["consumed"][1]), 0, 0)
    shared["ended_plan"] = int(shared["plan"]["generation"])
    # Samples that were made before must not be there either.
    board.physics._made[1] = 1 << 30
    board.physics._slots[1]["check"] = 0
    faults = host.until(lambda: host.said(FaultMessage), "the report")
    assert faults[0].report.code == ErrorCode.IMU_SENSOR
    assert host.stop().totals.samples[0] > host.data(1, "<i2", 6)[-1][0] + 1900  # force came all the time
    assert [report.code for report in errors(host).reports] == [ErrorCode.IMU_SENSOR]
