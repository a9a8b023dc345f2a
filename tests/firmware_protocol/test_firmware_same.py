"""The firmware in Python and that in C do the same: the same answers, and from the same physics the same recording."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from firmware_host import FirmwareHost, PythonTool, Recording, record
from nexus_simulator.emulators import NativeBoard, missing
from nexus_simulator.options import Options

from nexuslink.protocol.messages import (
    CalibrationCommitRequest,
    CalibrationReadRequest,
    CalibrationWriteRequest,
    ConfigureRequest,
    DescribeRequest,
    ErrorsRequest,
    HapticRequest,
    HelloRequest,
    LightRequest,
    LogLevelRequest,
    Opcode,
    SelfTestRequest,
    StartRequest,
    Status,
    StopRequest,
    TareRequest,
    TimeSyncRequest,
    UnlockRequest,
)

pytestmark = pytest.mark.skipif(missing("native") is not None, reason=str(missing("native")))
UNLOCK = 0x4E583031
FULL_SCALES = (0.0, 1.0, 4.0, 8.7, 39.0, 277.0, 300.0, -1.0, float("nan"))


@pytest.fixture(scope="module")
def options() -> Options:
    return Options(seed=7, force_rate=250.0, imu_rate=333.0, skew_ppm=0.0)


@pytest.fixture(scope="module")
def native(options: Options) -> Iterator[NativeBoard]:
    with NativeBoard(options, ("127.0.0.1", 0)) as board:
        yield board


@pytest.fixture
def host(native: NativeBoard) -> Iterator[FirmwareHost]:
    with FirmwareHost.connect(native.address) as host:
        yield host


def without_times(opcode: int, payload: bytes) -> bytes:
    """A payload without what depends on when it was asked."""
    if opcode == Opcode.TIME_SYNC:
        return payload[:8]
    return payload[8:] if opcode in (Opcode.START, Opcode.STOP, Opcode.TARE, Opcode.TOTALS) else payload


def some_request(rng: random.Random, record_bytes: bytes) -> tuple[int, bytes]:
    """Any request, mostly possible, often not quite, never one that starts streaming or the tool."""
    offset = rng.choice((0, 100, 200, 488, 489, 600, 65535))
    makers = {
        Opcode.HELLO: lambda: HelloRequest(rng.choice((1, 1, 1, 2)), rng.randrange(3)).pack(),
        Opcode.INFO: lambda: b"",
        Opcode.DESCRIBE: lambda: DescribeRequest(rng.randrange(4)).pack(),
        Opcode.TIME_SYNC: lambda: TimeSyncRequest(rng.getrandbits(64)).pack(),
        Opcode.START: lambda: StartRequest(rng.choice((0, 4, 0xFFFFFFFC))).pack(),
        Opcode.STOP: lambda: StopRequest(rng.randrange(6)).pack(),
        Opcode.TARE: lambda: TareRequest(rng.choice((0, 9, 10, 500, 2001))).pack(),
        Opcode.TOTALS: lambda: b"",
        Opcode.CONFIGURE: lambda: ConfigureRequest(
            rng.choice((0, 1, 1, 2)),
            rng.choice((0.0, 0.0, 49.0, 50.0, 123.4, 1000.0, 1000.1, -1.0, float("inf"), float("nan"))),
            (rng.choice(FULL_SCALES), rng.choice(FULL_SCALES)),
            rng.choice((0, 0, 1, 2, 3, 7, 56, 63, 64, 65535)),
        ).pack(),
        Opcode.CALIBRATION_READ: lambda: CalibrationReadRequest(offset).pack(),
        Opcode.UNLOCK: lambda: UnlockRequest(UNLOCK if rng.random() < 0.9 else rng.getrandbits(32)).pack(),
        Opcode.CALIBRATION_WRITE: lambda: CalibrationWriteRequest(
            offset, len(piece := record_bytes[offset : offset + rng.choice((0, 1, 100, 200))]), piece
        ).pack(),
        Opcode.CALIBRATION_COMMIT: lambda: CalibrationCommitRequest(rng.choice((0, 489, 1025)), 0).pack(),
        Opcode.HAPTIC: lambda: HapticRequest(rng.randrange(6), rng.randrange(130), rng.randrange(6000)).pack(),
        Opcode.LIGHT: lambda: LightRequest(rng.randrange(6), 1, 2, 3, rng.randrange(65536)).pack(),
        Opcode.SELF_TEST: lambda: SelfTestRequest(rng.getrandbits(32)).pack(),
        Opcode.ERRORS: lambda: ErrorsRequest(rng.randrange(3), rng.randrange(3)).pack(),
        Opcode.LOG_LEVEL: lambda: LogLevelRequest(rng.randrange(256)).pack(),
        Opcode.RESET: lambda: bytes(4),
        0: lambda: b"",
        0x77: lambda: bytes(8),
        0xFF: lambda: b"",
    }
    opcode = rng.choice(list(makers))
    payload = makers[opcode]()
    cut = rng.random()
    if cut < 0.1:
        payload = payload[: rng.randrange(len(payload) + 1)]
    elif cut < 0.2:
        payload += rng.randbytes(rng.randrange(1, 20))  # what a newer minor version has added
    return int(opcode), payload


def test_answers_are_the_same(native: NativeBoard, host: FirmwareHost, options: Options) -> None:
    """The same requests, possible and not, get the same statuses and payloads; times apart."""
    rng = random.Random(3)
    python = PythonTool(options)
    record_bytes = python._link.tool.firmware.calibration.data
    seen = set()
    for _ in range(600):
        opcode, payload = some_request(rng, record_bytes)
        mine, theirs = python.ask(opcode, payload), host.ask(opcode, payload)
        assert (theirs.status, without_times(opcode, theirs.payload)) == (
            mine.status,
            without_times(opcode, mine.payload),
        ), f"{opcode} {payload.hex()}"
        python.messages.clear()
        host.messages.clear()
        seen.add((opcode, int(mine.status)))
    statuses = {status for _, status in seen}
    assert statuses >= {
        Status.OK, Status.UNKNOWN_OPCODE, Status.BAD_REQUEST, Status.BAD_STATE, Status.UNSUPPORTED_VERSION,
        Status.OUT_OF_RANGE, Status.NOT_AUTHORISED,
    }  # fmt: skip
    assert {opcode for opcode, status in seen if status == Status.OK} >= set(Opcode) - {
        Opcode.START, Opcode.TARE, Opcode.CALIBRATION_COMMIT, Opcode.RESET,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rates", "batches"), [((250.0, 500.0), 100), ((1000.0, 1000.0), 100), ((285.7142857, 333.3), 60)]
)
def test_native_records_what_python_records(rates: tuple[float, float], batches: int) -> None:
    """Sample for sample the same counts, in the same messages, at the same times from START on."""
    options = Options(seed=11, force_rate=rates[0], imu_rate=rates[1], skew_ppm=0.0)
    expected = record(PythonTool(options), batches)
    with (
        NativeBoard(options, ("127.0.0.1", 0)) as board,
        FirmwareHost.connect(board.address) as host,
    ):
        made = record(host, batches)
        assert host.deframer.counts.bad == 0
    made.same(expected, batches)
    n = min(len(made.statuses), len(expected.statuses))
    assert n >= 1
    assert made.statuses[:n] == expected.statuses[:n]
    with pytest.raises(AssertionError):  # another person is another recording
        made.same(record(PythonTool(replace(options, seed=12)), batches), batches)


def test_second_session_and_configured_streams_are_the_same(options: Options) -> None:
    """CONFIGURE changes rate, range and channels of both alike, and every session has its own noise."""
    python = PythonTool(options)
    with NativeBoard(options, ("127.0.0.1", 0)) as board, FirmwareHost.connect(board.address) as native:
        recordings: list[list[Recording]] = []
        for host in (python, native):
            first = record(host, 20)
            assert host.ask(Opcode.CONFIGURE, ConfigureRequest(0, 400.0, (0.0, 0.0), 0).pack()).status == Status.OK
            wide = ConfigureRequest(1, 700.0, (30.0, 150.0), 0).pack()
            assert host.ask(Opcode.CONFIGURE, wide).status == Status.OK
            second = record(host, 20)
            recordings.append([first, second])
    for mine, theirs in zip(*recordings, strict=True):
        theirs.same(mine, 20)
    assert not np.array_equal(recordings[0][0].counts[0][:50], recordings[0][1].counts[0][:50])


def test_gyroscope_alone_is_the_same(options: Options) -> None:
    """Half of a stream's channels, and the other stream not at all."""
    python = PythonTool(options)
    rows = []
    with NativeBoard(options, ("127.0.0.1", 0)) as board, FirmwareHost.connect(board.address) as native:
        for host in (python, native):
            asked = ConfigureRequest(1, 0.0, (0.0, 0.0), 0b000111).pack()
            assert host.ask(Opcode.CONFIGURE, asked).status == Status.OK
            host.messages.clear()
            host.start(0b10)
            host.until(lambda host=host: len(host.data(1, "<i2", 3)) >= 20, "20 messages")
            host.stop()
            assert not host.data(0, "<i4", 2)
            rows.append(np.concatenate([part for _, _, part in host.data(1, "<i2", 3)[:20]]))
    np.testing.assert_array_equal(rows[0], rows[1])


def test_tare_is_the_same_mean(options: Options) -> None:
    """The native firmware's mean is that of the samples it sent, halves to even."""
    with NativeBoard(options, ("127.0.0.1", 0)) as board, FirmwareHost.connect(board.address) as host:
        start_us = host.start()
        host.until(lambda: len(host.data(0, "<i4", 2)) > 30, "half a second")
        answer = host.ask(Opcode.TARE, TareRequest(200).pack())
        t_us = int.from_bytes(answer.payload[:8], "little")
        host.stop()
    n, mean = int.from_bytes(answer.payload[8:10], "little"), np.frombuffer(answer.payload[10:18], "<i4")
    counts = Recording.of(host, start_us).counts[0]
    end = int(np.ceil((t_us - start_us) * 250.0 / 1e6 - 1e-6))
    assert n == 50
    np.testing.assert_array_equal(mean, np.rint(counts[end - 50 : end].mean(axis=0)))


def test_recording_is_played_the_same(tmp_path: Path) -> None:
    """A file in place of the inertial unit: its counts travel as they are, and the link ends after it."""
    rng = np.random.default_rng(1)
    path = tmp_path / "some.npz"
    quat = np.zeros((200, 4), np.int16)
    quat[:, 0] = 10_000
    np.savez(
        path, gyr=rng.integers(-9999, 9999, (200, 3)), acc=rng.integers(-9999, 9999, (200, 3)), quat=quat,
        rate=285.714285714, gyr_lsb=1e-3, acc_lsb=1e-3, quat_lsb=1e-4, sync_s=0.0,
    )  # fmt: skip
    options = Options(imu=path, skew_ppm=0.0)
    expected = record(PythonTool(options), 30, imu_type="<i4")
    with NativeBoard(options, ("127.0.0.1", 0)) as board, FirmwareHost.connect(board.address) as host:
        start_us = host.start()
        host.until(lambda: not host.read(GUARD), "the end of the link")
    made = Recording.of(host, start_us, "<i4")
    made.same(expected, 30)
    assert len(made.counts[1]) == 200


GUARD = 15.0
