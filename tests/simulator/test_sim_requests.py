"""Every request beyond the basic ones: configure, calibrate, self-test, errors, log, reset, totals."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from nexus_simulator.firmware.identity import UNLOCK_CODE
from sim_host import MS, Bench, Host, contiguous

from nexuslink.protocol.envelope import take_stream
from nexuslink.protocol.messages import (
    MIN_LINK_MESSAGE,
    RESET_MAGIC,
    UNLOCK_S,
    UNLOCK_TRIES,
    CalibrationCommitRequest,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    CalibrationWriteRequest,
    ConfigureRequest,
    DescribeRequest,
    ErrorCode,
    ErrorsRequest,
    ErrorsResponse,
    EventKind,
    EventMessage,
    FaultMessage,
    HapticRequest,
    HelloRequest,
    HelloResponse,
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
    Status,
    StopResponse,
    StreamDescriptor,
    TimeSyncRequest,
    TimeSyncResponse,
    TotalsResponse,
    UnlockRequest,
)
from nexuslink.protocol.record import seal_record

SECOND = 1000 * MS
PIECE = 200


def record_of(bench: Bench) -> bytes:
    record = b""
    while True:
        answer = bench.ask(Opcode.CALIBRATION_READ, CalibrationReadRequest(len(record)).pack())
        page = CalibrationReadResponse.unpack(answer.payload)
        assert page
        if not page.data:
            return record
        record += page.data


def unlock(bench: Bench, code: int = UNLOCK_CODE) -> int:
    return bench.ask(Opcode.UNLOCK, UnlockRequest(code).pack()).status


def write(bench: Bench, record: bytes) -> int:
    for at in range(0, len(record), PIECE):
        piece = record[at : at + PIECE]
        status = bench.ask(Opcode.CALIBRATION_WRITE, CalibrationWriteRequest(at, len(piece), piece).pack()).status
        if status != Status.OK:
            return status
    return bench.ask(Opcode.CALIBRATION_COMMIT, CalibrationCommitRequest(len(record), crc32(record)).pack()).status


def changed(bench: Bench, **fields: object) -> bytes:
    record = CalibrationRecord.unpack(record_of(bench))
    assert record
    return seal_record(replace(record, calibration_id=77, **fields))  # type: ignore[arg-type]


def greeted(**params: str) -> Bench:
    bench = Bench(params)
    bench.greet()
    return bench


# -- calibration ------------------------------------------------------------------------------------------------------


def test_a_record_is_written_only_when_unlocked_and_then_named_by_the_stream() -> None:
    bench = greeted()
    before = record_of(bench)
    new = changed(bench, temperature_c=21.0)
    assert write(bench, new) == Status.NOT_AUTHORISED
    assert record_of(bench) == before
    assert unlock(bench) == Status.OK
    assert write(bench, new) == Status.OK
    assert record_of(bench) == new
    stream = StreamDescriptor.unpack(bench.ask(Opcode.DESCRIBE, DescribeRequest(0).pack()).payload)
    assert stream and stream.calibration_id == 77
    first, second = (HelloResponse.unpack(bench.greet().payload) for _ in range(2))
    assert first and second and first.description_crc == second.description_crc
    assert bench.ask(Opcode.CALIBRATION_WRITE, CalibrationWriteRequest(0, 1, b"x").pack()).status == (
        Status.NOT_AUTHORISED
    ), "a new connection is locked again"


def test_the_lock_opens_for_a_while_and_not_for_guesses() -> None:
    bench = greeted()
    assert unlock(bench) == Status.OK
    bench.run((UNLOCK_S + 1) * SECOND, SECOND)
    assert write(bench, b"x" * 9) == Status.NOT_AUTHORISED
    for guess in range(UNLOCK_TRIES):
        assert unlock(bench, guess) == Status.NOT_AUTHORISED
    assert unlock(bench) == Status.NOT_AUTHORISED, "the right code comes too late"
    bench.link.tool.restart()
    bench.greet()
    assert unlock(bench) == Status.OK


def bad_records(bench: Bench) -> dict[str, tuple[bytes, Status]]:
    good = changed(bench)
    record = CalibrationRecord.unpack(good)
    assert record
    nan_axis = (record.force[0], replace(record.force[1], axis=(0.0, float("nan"), 1.0)))
    return {
        "damaged": (good[:50] + bytes([good[50] ^ 1]) + good[51:], Status.BAD_CRC),
        "cut": (good[:-4], Status.OUT_OF_RANGE),
        "longer than it says": (good + b"1234", Status.BAD_CRC),
        "impossible value": (seal_record(replace(record, gravity_m_s2=1.6)), Status.OUT_OF_RANGE),
        "not a number": (seal_record(replace(record, force=nan_axis)), Status.OUT_OF_RANGE),
        "number zero": (seal_record(replace(record, calibration_id=0)), Status.OUT_OF_RANGE),
        "of another tool": (seal_record(replace(record, serial_number="SIM-99999")), Status.OUT_OF_RANGE),
    }


def test_a_record_that_is_wrong_is_refused_and_the_old_one_stays() -> None:
    bench = greeted()
    before = record_of(bench)
    unlock(bench)
    for name, (record, expected) in bad_records(bench).items():
        assert write(bench, record) == expected, name
        assert record_of(bench) == before, name
    wrong = CalibrationCommitRequest(len(before), 0)
    write(bench, before[:-1])
    assert bench.ask(Opcode.CALIBRATION_COMMIT, wrong.pack()).status != Status.OK
    skipped = CalibrationWriteRequest(300, 1, b"x").pack()
    assert bench.ask(Opcode.CALIBRATION_WRITE, skipped).status == Status.OUT_OF_RANGE


def test_no_record_is_taken_while_streaming() -> None:
    bench = greeted()
    new = changed(bench)
    unlock(bench)
    bench.start()
    assert write(bench, new) == Status.BAD_STATE
    bench.stop()
    assert write(bench, new) == Status.OK


# -- configuration ----------------------------------------------------------------------------------------------------


def configure(bench: Bench, *values: object) -> tuple[int, StreamDescriptor | None]:
    answer = bench.ask(Opcode.CONFIGURE, ConfigureRequest(*values).pack())  # type: ignore[arg-type]
    return answer.status, StreamDescriptor.unpack(answer.payload)


def test_rate_range_and_channels_are_what_the_answer_says() -> None:
    bench = greeted(script="idle")
    status, imu = configure(bench, 1, 200.0, (0.0, 30.0), 0b111000)
    assert status == Status.OK and imu
    assert (imu.rate_hz, imu.channel_mask, [g.channels for g in imu.groups]) == (200.0, 0b111000, [0, 3])
    assert imu.groups[1].full_scale == pytest.approx(4 * 9.80665)
    bench.host = Host(imu_type=("<i2", 3))
    bench.start()
    bench.run(2 * SECOND)
    t, counts = bench.host.samples(1, 200.0)
    assert counts.shape[1] == 3 and abs(len(t) - 400) <= 5
    assert np.linalg.norm(counts.mean(axis=0) * imu.groups[1].scale) == pytest.approx(9.8, abs=0.2)
    assert configure(bench, 1, 100.0, (0.0, 0.0), 0)[0] == Status.BAD_STATE


def test_a_wider_range_has_a_coarser_count() -> None:
    bench = greeted(script="idle")
    _, narrow = configure(bench, 1, 0.0, (0.0, 15.0), 0)
    _, wide = configure(bench, 1, 0.0, (0.0, 150.0), 0)
    assert narrow and wide and wide.groups[1].scale == 8 * narrow.groups[1].scale


@pytest.mark.parametrize(
    "values",
    [(7, 100.0, (0.0, 0.0), 0), (0, 10.0, (0.0, 0.0), 0), (0, 5000.0, (0.0, 0.0), 0), (1, 0.0, (0.0, 999.0), 0),
     (1, 0.0, (0.0, 0.0), 0b000001), (1, 0.0, (0.0, 0.0), 0b1000000), (0, float("nan"), (0.0, 0.0), 0),
     (1, 0.0, (-1.0, 0.0), 0)],
)  # fmt: skip
def test_what_the_sensor_cannot_do_is_out_of_range(values: tuple[object, ...]) -> None:
    assert configure(greeted(), *values)[0] == Status.OUT_OF_RANGE


# -- feedback, health -------------------------------------------------------------------------------------------------


def test_what_is_to_be_felt_and_seen_reaches_the_tool() -> None:
    bench = greeted()
    assert bench.ask(Opcode.HAPTIC, HapticRequest(2, 60, 400).pack()).status == Status.OK
    assert bench.ask(Opcode.LIGHT, LightRequest(1, 0, 255, 0, 0).pack()).status == Status.OK
    assert bench.link.tool.firmware.felt == HapticRequest(2, 60, 400)
    assert bench.link.tool.firmware.seen == LightRequest(1, 0, 255, 0, 0)
    assert bench.ask(Opcode.HAPTIC, HapticRequest(2, 101, 400).pack()).status == Status.OUT_OF_RANGE
    assert bench.ask(Opcode.LIGHT, LightRequest(9, 0, 0, 0, 0).pack()).status == Status.OUT_OF_RANGE


def test_self_test_runs_what_it_has_and_not_while_streaming() -> None:
    bench = greeted()
    answer = SelfTestResponse.unpack(bench.ask(Opcode.SELF_TEST, SelfTestRequest(0xFFFFFFFF).pack()).payload)
    assert answer and answer.run == answer.passed == sum(SelfTest)
    bench.start()
    assert bench.ask(Opcode.SELF_TEST, SelfTestRequest(1).pack()).status == Status.BAD_STATE


def notices(bench: Bench, kind: type) -> list[object]:
    return [m for m in map(take_stream, bench.host.messages) if isinstance(m, kind)]


def test_an_overrun_is_a_fault_in_the_stream_and_a_report_afterwards() -> None:
    bench = greeted()
    bench.start()
    bench.run(2 * SECOND, room=0)
    bench.run(SECOND)
    (first, *_) = notices(bench, FaultMessage)
    assert isinstance(first, FaultMessage) and first.report.code == ErrorCode.QUEUE_OVERFLOW
    page = ErrorsResponse.unpack(bench.ask(Opcode.ERRORS, ErrorsRequest(0, 1).pack()).payload)
    assert page and page.total == page.count == 1 and page.reports[0].count > 1
    empty = ErrorsResponse.unpack(bench.ask(Opcode.ERRORS, ErrorsRequest(0, 0).pack()).payload)
    assert empty and empty.total == empty.count == 0


def test_log_lines_come_only_when_asked_for() -> None:
    bench = greeted()
    bench.start()
    bench.run(SECOND)
    bench.stop()
    assert not notices(bench, LogMessage)
    bench.ask(Opcode.LOG_LEVEL, LogLevelRequest(LogLevel.INFO).pack())
    bench.start()
    bench.run(SECOND)
    kinds = [m[0] for m in bench.host.messages]
    answer = max(n for n, kind in enumerate(kinds) if kind == 0x02)
    assert kinds.index(0x12) > answer, "START's answer comes first"
    (line,) = notices(bench, LogMessage)
    assert isinstance(line, LogMessage) and line.text == b"session 2: 2 streams" and line.length == len(line.text)


def test_the_button_is_an_event_in_the_one_sequence() -> None:
    bench = greeted()
    bench.start()
    bench.run(SECOND)
    bench.link.tool.firmware.event(EventKind.BUTTON, 350)
    bench.run(SECOND)
    (event,) = notices(bench, EventMessage)
    assert isinstance(event, EventMessage) and (event.kind, event.value) == (EventKind.BUTTON, 350)
    assert bench.host.sequence() == list(range(len(bench.host.sequence())))


# -- sessions, restart, clock -----------------------------------------------------------------------------------------


def test_totals_are_what_was_made_and_sent() -> None:
    bench = greeted()
    none = TotalsResponse.unpack(bench.ask(Opcode.TOTALS).payload)
    assert none and none.totals.session == 0 and not none.streaming
    bench.start()
    bench.run(SECOND)
    bench.run(2 * SECOND, room=0)
    bench.run(SECOND)
    stopped = StopResponse.unpack(bench.stop().payload)
    assert stopped
    totals = stopped.totals
    assert totals.session == 1 and totals.sent == len(bench.host.stream_messages) and totals.dropped > 0
    for stream in (0, 1):
        first, _, rows = bench.host.data(stream)[-1]
        assert totals.samples[stream] == first + len(rows)
    again = TotalsResponse.unpack(bench.ask(Opcode.TOTALS).payload)
    assert again and again.totals == totals and not again.streaming


def test_stop_waits_for_a_queue_that_cannot_drain() -> None:
    bench = greeted()
    bench.start()
    bench.run(SECOND, room=0)
    bench.send(Opcode.STOP, b"\0", 500)
    bench.run(300 * MS, room=0)
    assert not any(r.opcode == Opcode.STOP for r in bench.host.responses)
    bench.send(Opcode.STOP, b"\0", 500)  # the host asks again meanwhile
    bench.run(300 * MS)
    answers = [r for r in bench.host.responses if r.opcode == Opcode.STOP]
    assert len(answers) == 1
    stopped = StopResponse.unpack(answers[0].payload)
    assert stopped and stopped.totals.sent == len(bench.host.stream_messages)


@pytest.mark.parametrize("how", ["hello", "disconnect", "restart"])
def test_what_ends_a_session_early_leaves_its_totals(how: str) -> None:
    bench = greeted()
    bench.start()
    bench.run(SECOND)
    bench.run(SECOND, room=0)
    tool = bench.link.tool
    {"hello": lambda: bench.send(Opcode.HELLO, HelloRequest(1, 0).pack()),
     "disconnect": bench.link.disconnect, "restart": tool.restart}[how]()  # fmt: skip
    bench.run(20 * MS, room=0)
    sent = len(bench.host.stream_messages)
    assert bench.ask(Opcode.START, StartRequest(3).pack()).status == (Status.OK if how == "hello" else Status.BAD_STATE)
    totals = tool.firmware.totals if how != "hello" else None
    if totals is not None:
        assert totals.sent == sent and totals.dropped > 0, "what waited in the queue was dropped, and counted"


def test_a_restart_is_a_new_boot_and_a_new_clock() -> None:
    bench = greeted()
    first = HelloResponse.unpack(bench.greet().payload)
    bench.start()
    bench.run(5 * SECOND)
    assert bench.ask(Opcode.RESET, ResetRequest(1).pack()).status == Status.OUT_OF_RANGE
    assert bench.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack()).status == Status.OK
    bench.run(SECOND)
    before = len(bench.host.stream_messages)
    bench.run(SECOND)
    assert len(bench.host.stream_messages) == before
    second = HelloResponse.unpack(bench.greet().payload)
    assert first and second and first.boot_id != second.boot_id and first.serial_number == second.serial_number
    sync = TimeSyncResponse.unpack(bench.ask(Opcode.TIME_SYNC, TimeSyncRequest(0).pack()).payload)
    assert sync and sync.device_receive_us < 5_000_000


def test_a_bite_of_the_watchdog_is_reported() -> None:
    bench = greeted()
    bench.link.tool.restart()
    bench.greet()
    page = ErrorsResponse.unpack(bench.ask(Opcode.ERRORS, ErrorsRequest(0, 0).pack()).payload)
    assert page and [r.code for r in page.reports] == [ErrorCode.WATCHDOG]


def test_a_clock_that_jumps_takes_the_stamps_along_and_nothing_else() -> None:
    bench = greeted()
    bench.start()
    bench.run(2 * SECOND)
    bench.link.tool.jump_clock(-500_000)
    bench.run(2 * SECOND)
    assert contiguous(bench.host.data(0))
    steps = np.diff([t0 for _, t0, _ in bench.host.data(0)])
    assert steps.min() < -400_000 and (np.delete(steps, steps.argmin()) > 0).all()


# -- the link ---------------------------------------------------------------------------------------------------------


def test_a_link_that_is_too_small_is_said_to_be() -> None:
    bench = Bench()
    bench.link.tool.max_message = MIN_LINK_MESSAGE - 1
    answer = bench.greet()
    assert (answer.status, answer.payload) == (Status.LINK_TOO_SMALL, b"")
    bench.link.tool.max_message = MIN_LINK_MESSAGE
    assert bench.greet().status == Status.OK


@pytest.mark.parametrize("size", [64, 100, 182])
def test_everything_fits_a_smaller_link(size: int) -> None:
    bench = Bench()
    bench.link.tool.max_message = size
    hello = HelloResponse.unpack(bench.greet().payload)
    assert hello and hello.max_message == size
    assert len(record_of(bench)) == 489
    bench.start()
    bench.run(3 * SECOND)
    bench.stop()
    assert max(map(len, bench.host.messages)) <= size
    assert contiguous(bench.host.data(0)) and contiguous(bench.host.data(1))
    assert bench.host.statuses[-1].max_message == size


def test_a_link_that_shrinks_in_mid_stream_loses_nothing() -> None:
    bench = greeted()
    bench.start()
    bench.run(SECOND)
    bench.run(300 * MS, room=0)
    bench.link.tool.max_message = 64
    small = len(bench.host.messages)
    bench.run(2 * SECOND)
    assert max(map(len, bench.host.messages[small:])) <= 64
    assert contiguous(bench.host.data(0)) and contiguous(bench.host.data(1))
