"""Who is there: known and unknown tools, newer and older ones, and every way in which what they say can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from driving import run
from scripted_tool import INFO, STREAM, Answer, ScriptedTool, calibration, hello, page

import nexuslink
from nexuslink.device.cache import ToolCache
from nexuslink.device.errors import BadAnswerError, BusyError, DeviceError, NoAnswerError, RefusedError, VersionError
from nexuslink.device.nexus import SYNC_EXCHANGES, Nexus
from nexuslink.device.records import READINGS
from nexuslink.device.words import spoken
from nexuslink.protocol.envelope import Request, pack_response
from nexuslink.protocol.exchange import LinkState
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    SCHEMA_HASH,
    CalibrationReadRequest,
    CalibrationReadResponse,
    Capability,
    Opcode,
    Status,
)

ABOUT_ITSELF = (Opcode.INFO, Opcode.DESCRIBE, Opcode.CALIBRATION_READ)


async def opened(tool: ScriptedTool, cache: ToolCache | None = None) -> Nexus:
    """Connected once, and let go."""
    nexus = Nexus(tool.transport, cache)
    await nexus.open()
    await nexus.close()
    return nexus


def in_memory() -> ToolCache:
    return ToolCache(lambda: None)


# -- tools that are known ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "on disk"])
def test_a_known_tool_is_only_greeted(on_disk: bool, tmp_path: Path) -> None:
    async def work() -> None:
        fresh = [ToolCache(lambda: tmp_path / "not there yet") for _ in range(2)]
        caches = iter(fresh if on_disk else [in_memory()] * 2)
        first, second = ScriptedTool(), ScriptedTool()
        second.hello = replace(second.hello, boot_id=8)  # switched off and on
        before, after = await opened(first, next(caches)), await opened(second, next(caches))
        assert (before.recognised, after.recognised) == (False, True)
        assert first.asked(*ABOUT_ITSELF) == 5
        assert second.asked(*ABOUT_ITSELF) == 0
        assert len(second.requests) == 1 + SYNC_EXCHANGES
        assert after.info.streams == before.info.streams and after.info.info == before.info.info
        assert after.info.boot_id == 8
        assert after.calibration_bytes == before.calibration_bytes
        assert after.calibration == before.calibration

    run(work())


def test_a_known_tool_streams() -> None:
    async def work() -> None:
        cache = in_memory()
        for recognised in (False, True):
            tool = ScriptedTool()
            nexus = Nexus(tool.transport, cache)
            await nexus.open()
            assert (nexus.recognised, nexus.state) == (recognised, LinkState.READY)
            await nexus.start()
            tool.send_batch(0)
            assert nexus.decoder.link.streams[0].received == 1
            await nexus.close()

    run(work())


@pytest.mark.parametrize(
    "change",
    [
        lambda tool: setattr(tool, "record", calibration(2)),
        lambda tool: setattr(tool, "info", replace(INFO, firmware_version=(1, 2, 4)).pack()),
        lambda tool: setattr(tool, "stream", replace(STREAM, rate_hz=500.0).pack()),
        lambda tool: setattr(tool, "hello", replace(tool.hello, serial_number="NX-OTHER")),
        lambda tool: setattr(tool, "hello", replace(tool.hello, schema_hash=1)),
    ],
    ids=["calibrated", "updated", "configured", "another tool", "another wire"],
)
def test_a_tool_that_has_changed_is_asked_again(change: Callable[[ScriptedTool], None]) -> None:
    async def work() -> None:
        cache = in_memory()
        await opened(ScriptedTool(), cache)
        tool = ScriptedTool()
        change(tool)
        nexus = await opened(tool, cache)
        assert not nexus.recognised
        assert tool.asked(*ABOUT_ITSELF) == 5
        assert nexus.calibration_bytes == tool.record
        assert (await opened(ScriptedTool(), cache)).recognised, "the former state is still known"

    run(work())


def test_without_a_cache_everything_is_asked() -> None:
    async def work() -> None:
        for _ in range(2):
            tool = ScriptedTool()
            assert not (await opened(tool)).recognised
            assert tool.asked(*ABOUT_ITSELF) == 5

    run(work())


def test_the_usual_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files() -> list[Path]:
        return list(tmp_path.glob("tools/*"))

    async def recognised(**options: Any) -> bool:
        async with nexuslink.connect("sim:?speed=max&seed=91", **options) as nexus:
            assert nexus.info.streams
            return nexus.recognised

    async def work() -> None:
        monkeypatch.setenv("NEXUSLINK_CACHE", str(tmp_path / "tools"))
        assert not await recognised(cache=None)
        assert not files()
        await recognised()
        assert len(files()) == 1
        assert await recognised()
        assert not await recognised(cache=None)

    run(work())


# -- newer, older, other ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minor", "schema_hash", "words"),
    [
        (0, SCHEMA_HASH, "1.0"),
        (3, 77, "1.3, newer than this program's 1.0"),
        (0, 77, "1.0, but not quite this program's 1.0"),
    ],
)
def test_another_minor_version_is_read_and_said(minor: int, schema_hash: int, words: str) -> None:
    """With more at the end of every payload than is known here."""

    async def work() -> None:
        tool = ScriptedTool()
        tool.hello = replace(tool.hello, protocol_minor=minor, schema_hash=schema_hash)
        if minor:
            tool.info += b"more"
            tool.stream += b"a flavour that nobody here knows"
        cache = in_memory()
        for _ in range(2):
            nexus = await opened(tool, cache)
            assert nexus.info.streams == (STREAM,)
            assert spoken(nexus.info.hello) == words
        assert nexus.recognised

    run(work())


# -- everything that can be wrong -------------------------------------------------------------------------------------


def first_then(first: bytes, then: bytes) -> Callable[[Request], Answer]:
    answers = iter([first])
    return lambda _: (Status.OK, next(answers, then))


def changing(times: int) -> Callable[[Request], Answer]:
    """A record that is written ``times`` while it is read, each time after its first page."""
    number = 1

    def answer(request: Request) -> Answer:
        nonlocal number
        asked = CalibrationReadRequest.unpack(request.payload)
        assert asked is not None
        if asked.offset and number <= times:
            number += 1
        return page(request, calibration(number))

    return answer


def endless(request: Request) -> Answer:
    asked = CalibrationReadRequest.unpack(request.payload)
    assert asked is not None
    return Status.OK, CalibrationReadResponse(1024, asked.offset, 200, bytes(200)).pack()


def shrinking(request: Request) -> Answer:
    asked = CalibrationReadRequest.unpack(request.payload)
    assert asked is not None
    return Status.OK, CalibrationReadResponse(400 - asked.offset // 10, asked.offset, 100, bytes(100)).pack()


WRONG: dict[str, tuple[Opcode, Callable[[Request], Answer], type[DeviceError], str]] = {
    "newer major": (
        Opcode.HELLO, lambda _: (Status.OK, hello(2, serial="NX-NEW")), VersionError,
        "NX-NEW speaks protocol 2.0, this program speaks 1.0; update nexuslink",
    ),
    "newer major that refuses": (
        Opcode.HELLO, lambda _: (Status.UNSUPPORTED_VERSION, hello(2, 5, serial="NX-NEW")), VersionError,
        "NX-NEW speaks protocol 2.5, this program speaks 1.0; update nexuslink",
    ),
    "older major that refuses": (
        Opcode.HELLO, lambda _: (Status.UNSUPPORTED_VERSION, hello(0, 9, serial="NX-OLD")), VersionError,
        "NX-OLD speaks protocol 0.9, this program speaks 1.0; update the tool's firmware",
    ),
    "another major, nothing said": (
        Opcode.HELLO, lambda _: (Status.UNSUPPORTED_VERSION, b""), RefusedError, "another major version",
    ),
    "too small a link": (
        Opcode.HELLO, lambda _: (Status.LINK_TOO_SMALL, b""), RefusedError, "less than 64 bytes a message",
    ),
    "a status of the future": (Opcode.INFO, lambda _: (99, b""), RefusedError, "status 99"),
    "wrong check": (
        Opcode.HELLO, lambda _: (Status.OK, hello(crc=1)), BadAnswerError, "does not fit the check in its HELLO",
    ),
    "too many streams": (
        Opcode.INFO, lambda _: (Status.OK, replace(INFO, stream_count=9).pack()), BadAnswerError, "stream_count is 9",
    ),
    "a stream of another number": (
        Opcode.DESCRIBE, lambda _: (Status.OK, replace(STREAM, stream=3).pack()), BadAnswerError, "of stream 3",
    ),
    "half a stream": (
        Opcode.DESCRIBE, lambda _: (Status.OK, STREAM.pack()[:-1]), BadAnswerError, "DESCRIBE of stream 0 is too short",
    ),
    "a page of elsewhere": (
        Opcode.CALIBRATION_READ, lambda _: (Status.OK, CalibrationReadResponse(400, 7, 1, b"x").pack()),
        BadAnswerError, "CALIBRATION_READ is not what was asked for",
    ),
    "half a page": (
        Opcode.CALIBRATION_READ, lambda _: (Status.OK, CalibrationReadResponse(400, 0, 1, b"x").pack()[:-1]),
        BadAnswerError, "CALIBRATION_READ is not what was asked for",
    ),
    "no record": (
        Opcode.CALIBRATION_READ, lambda _: (Status.OK, CalibrationReadResponse(0, 0, 0, b"").pack()),
        BadAnswerError, "the calibration record is damaged",
    ),
    "oversize record": (
        Opcode.CALIBRATION_READ, lambda _: (Status.OK, CalibrationReadResponse(60_000, 0, 200, bytes(200)).pack()),
        BadAnswerError, "longer than 1024 bytes",
    ),
    "more than it says": (Opcode.CALIBRATION_READ, endless, BadAnswerError, "longer than 1024 bytes"),
    "damaged record": (
        Opcode.CALIBRATION_READ, lambda r: page(r, calibration()[:-1] + b"\1"), BadAnswerError,
        "the calibration record is damaged",
    ),
    "shrinks while it is read": (
        Opcode.CALIBRATION_READ, shrinking, BadAnswerError, "the calibration record changes while it is read",
    ),
    "changes while it is read": (
        Opcode.CALIBRATION_READ, changing(99), BadAnswerError, "the calibration record changes while it is read",
    ),
    "oversize answer": (Opcode.INFO, lambda _: (Status.OK, bytes(MAX_MESSAGE)), NoAnswerError, "no answer to INFO"),
    "busy for ever": (Opcode.HELLO, lambda _: (Status.BUSY, b""), BusyError, "answers HELLO with BUSY all the time"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name: str) -> None:
    opcode, answer, kind, words = WRONG[name]

    async def work() -> None:
        tool = ScriptedTool({opcode: answer})
        cache = in_memory()
        nexus = Nexus(tool.transport, cache)
        with pytest.raises(kind) as caught:
            await nexus.open()
        line = str(caught.value)
        assert type(caught.value) is kind
        assert words in line
        assert line.startswith("loopback:: ") and "\n" not in line and len(line) < 200
        assert len(tool.requests) < 60, "bounded"
        assert not cache._memory, "nothing wrong is kept"
        assert nexus.closed_reason is not None

    run(work())


def test_what_changes_once_while_it_is_read_is_read_again() -> None:
    async def work() -> None:
        tool = ScriptedTool({Opcode.CALIBRATION_READ: changing(READINGS - 1)})
        tool.record = calibration(READINGS)
        assert (await opened(tool)).calibration.calibration_id == READINGS

    run(work())


def test_what_changed_after_hello_is_read_again() -> None:
    async def work() -> None:
        tool = ScriptedTool({Opcode.INFO: first_then(replace(INFO, calibration_id=9).pack(), INFO.pack())})
        nexus = await opened(tool)
        assert nexus.info.info == INFO
        assert tool.asked(Opcode.INFO) == 2

    run(work())


def test_a_tool_that_is_busy_for_a_moment() -> None:
    async def work() -> None:
        busy = iter([Status.BUSY, Status.BUSY])
        tool = ScriptedTool({Opcode.INFO: lambda _: (next(busy, Status.OK), INFO.pack())})
        nexus = await opened(tool)
        assert (nexus.requests.busy, nexus.requests.retries) == (2, 2)

    run(work())


def test_a_peer_of_another_kind_is_recognised_as_such() -> None:
    """It answers, in another language."""

    async def work() -> None:
        def garble(_: Request) -> Answer:
            tool.transport.send(b"ERROR: unknown command\0")
            return None

        tool = ScriptedTool({Opcode.HELLO: garble})
        with pytest.raises(NoAnswerError, match=r"no answer to HELLO, but \d frames that cannot be read"):
            await Nexus(tool.transport).open()

    run(work())


def test_an_impossible_record_is_not_used() -> None:
    """Whole, with a right check, and still nothing to compute forces with."""

    async def work() -> None:
        from nexuslink.protocol.messages import CalibrationRecord
        from nexuslink.protocol.record import seal_record

        tool = ScriptedTool()
        record = CalibrationRecord.unpack(tool.record)
        assert record is not None
        cell = replace(record.force[0], gain_n_per_count=17.0)
        tool.record = seal_record(replace(record, force=(cell, record.force[1])))
        with pytest.raises(BadAnswerError, match="gain_n_per_count is 17"):
            await Nexus(tool.transport).open()

    run(work())


def test_a_late_hello_of_the_connection_before_is_not_believed() -> None:
    async def work() -> None:
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        await nexus.open()
        first = tool.requests[0]
        tool.send(pack_response(9, first.request_id, Opcode.HELLO, Status.OK, hello(serial="NX-OTHER")))
        assert nexus.info.serial_number == "NX-TEST"
        assert nexus.requests.late == 1
        await nexus.close()

    run(work())


def test_capabilities_of_the_future_do_no_harm() -> None:
    async def work() -> None:
        tool = ScriptedTool()
        tool.info = replace(INFO, capabilities=0xFFFFFFFF).pack()
        nexus = await opened(tool)
        assert Capability.TARE in nexus.info.capabilities

    run(work())
