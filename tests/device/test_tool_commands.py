"""Everything that a tool can be asked, of the simulated one; and tools that lack a part, refuse, or answer nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from driving import run
from scripted_tool import INFO, ScriptedTool, calibration

import nexuslink
from nexuslink.device.commands import NEEDS
from nexuslink.device.errors import (
    BadAnswerError,
    BadValueError,
    BusyError,
    DeviceError,
    NoAnswerError,
    NotNowError,
    RefusedError,
    UnsupportedError,
    refusal,
)
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.envelope import StreamMessage, pack_stream
from nexuslink.protocol.exchange import LinkState
from nexuslink.protocol.messages import (
    MAX_PENDING,
    MESSAGE_HEADER,
    Capability,
    ErrorReport,
    ErrorsRequest,
    ErrorsResponse,
    EventKind,
    EventMessage,
    FaultMessage,
    HapticPattern,
    LightPattern,
    LogLevel,
    LogMessage,
    Opcode,
    SelfTest,
    SelfTestResponse,
    Status,
    StreamKind,
)

REPORT = ErrorReport(1, 2, 3, 4)
SIM = "sim:?speed=max&seed=3"

COMMANDS: dict[Opcode, Callable[[Nexus], Awaitable[object]]] = {
    Opcode.CONFIGURE: lambda nexus: nexus.configure(0, rate_hz=100.0),
    Opcode.UNLOCK: lambda nexus: nexus.unlock(1),
    Opcode.CALIBRATION_WRITE: lambda nexus: nexus.write_calibration(calibration()),
    Opcode.HAPTIC: lambda nexus: nexus.haptic(HapticPattern.TICK),
    Opcode.LIGHT: lambda nexus: nexus.light(LightPattern.STEADY, (1, 2, 3)),
    Opcode.SELF_TEST: lambda nexus: nexus.self_test(),
    Opcode.ERRORS: lambda nexus: nexus.errors(),
    Opcode.LOG_LEVEL: lambda nexus: nexus.set_log_level(LogLevel.DEBUG),
    Opcode.RESET: lambda nexus: nexus.restart(),
}
"""What needs a capability and no stream."""


def test_the_table_of_capabilities_is_whole() -> None:
    assert set(COMMANDS) == set(NEEDS) - {Opcode.TARE, Opcode.CALIBRATION_COMMIT}
    needed = {capability for capability, _ in NEEDS.values()}
    assert needed == set(Capability) - {Capability.SIMULATED, Capability.EVENTS}


# -- the simulated tool, all the way ----------------------------------------------------------------------------------


async def read(nexus: Nexus, batches: int) -> dict[int, int]:
    """Samples per stream in so many batches."""
    samples: dict[int, int] = {}
    async for batch in nexus.stream():
        samples[batch.stream] = samples.get(batch.stream, 0) + len(batch.raw)
        batches -= 1
        if not batches:
            break
    return samples


def test_configured_streams_come_as_they_were_configured() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            imu = nexus.stream_of(StreamKind.IMU)
            assert imu is not None
            made = await nexus.configure(imu.stream, rate_hz=100.0, channel_mask=0b111000)
            assert made == nexus.info.streams[imu.stream]
            assert (made.rate_hz, [g.channels for g in made.groups]) == (100.0, [0, 3])
            async for batch in nexus.stream():
                if batch.stream == imu.stream and len(batch.raw) > 1:
                    assert batch.raw.shape[1] == 3
                    assert set((batch.t_us[1:] - batch.t_us[:-1]).tolist()) == {10_000}
                    break
            with pytest.raises(NotNowError, match="CONFIGURE is not possible while the connection is streaming"):
                await nexus.configure(imu.stream, rate_hz=200.0)
            await nexus.stop()
            with pytest.raises(RefusedError, match="refused CONFIGURE: a value is outside") as caught:
                await nexus.configure(imu.stream, rate_hz=1e6)
            assert caught.value.status == Status.OUT_OF_RANGE
            assert nexus.info.streams[imu.stream] == made

    run(work())


@pytest.mark.parametrize("drop", [0.0, 0.05])
def test_after_stop_nothing_is_missing_in_the_counts(drop: float) -> None:
    async def work() -> None:
        async with nexuslink.connect(f"{SIM}&drop={drop}") as nexus:
            for session in (1, 2):
                received = await read(nexus, 400)
                totals = await nexus.totals()
                assert totals.streaming and totals.totals.session == session
                assert not nexus.decoder.link.settled, "the rest is on its way"
                await nexus.stop()
                link = nexus.decoder.link
                assert link.settled
                made = (await nexus.totals()).totals
                assert link.received + link.lost + link.overrun == made.sent + made.dropped
                for stream, counts in link.streams.items():
                    assert counts.received + counts.lost + counts.overrun == made.samples[stream]
                    assert counts.received >= received[stream]
                assert (link.lost > 0) == (drop > 0)
                assert link.overrun_samples == 0

    run(work())


def test_felt_seen_and_tested() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            await nexus.haptic(HapticPattern.PULSE, 80, 500)
            await nexus.light(LightPattern.BREATHE, (0, 128, 255))
            assert await nexus.self_test() == SelfTestResponse(sum(SelfTest), sum(SelfTest))
            assert (await nexus.self_test(SelfTest.IMU)).run == SelfTest.IMU
            await nexus.start()
            await nexus.haptic(HapticPattern.OFF)
            with pytest.raises(NotNowError, match="SELF_TEST"):
                await nexus.self_test()

    run(work())


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda nexus: nexus.haptic(HapticPattern.TICK, strength_percent=101), "strength_percent is 101"),
        (lambda nexus: nexus.haptic(7), "pattern is 7"),
        (lambda nexus: nexus.haptic(HapticPattern.TICK, duration_ms=70_000), "duration_ms is 70000"),
        (lambda nexus: nexus.light(LightPattern.STEADY, (256, 0, 0)), "LIGHT was not sent"),
        (lambda nexus: nexus.light(LightPattern.STEADY, (0, -1, 0)), "LIGHT was not sent"),
        (lambda nexus: nexus.configure(-1), "CONFIGURE was not sent: a value does not fit its field"),
        (lambda nexus: nexus.unlock(1 << 32), "UNLOCK was not sent"),
        (lambda nexus: nexus.write_calibration(b""), "not a whole calibration record, it has 0 bytes"),
        (lambda nexus: nexus.write_calibration(calibration()[:-1]), "not a whole calibration record"),
        (lambda nexus: nexus.write_calibration(calibration()[:-1] + b"\x01"), "not a whole calibration record"),
    ],
)
def test_values_out_of_range_are_not_sent(ask: Callable[[Nexus], Awaitable[object]], words: str) -> None:
    async def work() -> None:
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        await nexus.open()
        sent = len(tool.requests)
        with pytest.raises(BadValueError) as caught:
            await ask(nexus)
        assert words in str(caught.value) and "\n" not in str(caught.value)
        assert len(tool.requests) == sent
        await nexus.close()

    run(work())


def test_log_lines_reach_those_who_want_them() -> None:
    async def work() -> None:
        heard: list[StreamMessage] = []
        async with nexuslink.connect(SIM) as nexus:
            nexus.add_notice(heard.append)
            await read(nexus, 20)
            await nexus.stop()
            assert not heard, "nobody has asked for them"
            await nexus.set_log_level(LogLevel.DEBUG)
            await read(nexus, 20)
            await nexus.stop()
            said = [message.text.decode() for message in heard if isinstance(message, LogMessage)]
            assert any("session 2" in line for line in said)
            nexus.remove(heard.append)
            await read(nexus, 20)
            assert len(said) == len(heard)
            assert nexus.decoder.counts.unknown_type == nexus.decoder.counts.malformed == 0

    run(work())


def test_every_kind_of_notice_comes_in_order_and_none_is_lost_to_a_newer_one() -> None:
    async def work() -> None:
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        heard: list[StreamMessage] = []
        nexus.add_notice(heard.append)
        await nexus.open()
        await nexus.start()
        sent = [
            LogMessage(1, LogLevel.WARNING, 3, b"low"), FaultMessage(REPORT), EventMessage(2, EventKind.BUTTON, 80),
            EventMessage(3, 250, 1), LogMessage(4, 77, 2, b"\xff\xfe"),
        ]  # fmt: skip
        for seq, message in enumerate(sent):
            tool.send(pack_stream(seq, message))
        tool.send(MESSAGE_HEADER.pack(0x50, 0, len(sent)) + b"of a later version")
        assert heard == sent
        assert nexus.decoder.counts.unknown_type == 1
        assert nexus.decoder.link.received == len(sent) + 1
        await nexus.close()

    run(work())


def test_a_restarted_tool_is_greeted_again_and_its_last_session_settled() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            received = await read(nexus, 100)
            boot_id, clock = nexus.info.boot_id, nexus.clock
            await nexus.restart()
            assert nexus.info.boot_id != boot_id and nexus.clock is not clock
            assert nexus.clock_fit is not None and nexus.state is LinkState.READY
            link, made = nexus.decoder.link, (await nexus.totals()).totals
            assert link.settled and made.session == 1
            for stream, counts in link.streams.items():
                assert counts.received + counts.lost + counts.overrun == made.samples[stream] >= received[stream]
            again = await read(nexus, 100)
            assert set(again) == set(received)
            assert not nexus.decoder.link.settled

    run(work())


def test_errors_are_read_and_forgotten() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            assert await nexus.errors() == ()
            await nexus.restart()
            before = await nexus.errors()
            assert await nexus.errors(clear=True) == before
            assert await nexus.errors() == ()

    run(work())


# -- tools that lack something, and tools that answer nonsense --------------------------------------------------------


@pytest.mark.parametrize("opcode", COMMANDS)
def test_what_a_tool_has_no_part_for_is_said_and_not_sent(opcode: Opcode) -> None:
    async def work() -> None:
        tool = ScriptedTool()
        capability, words = NEEDS[opcode]
        tool.info = replace(INFO, capabilities=int(sum(Capability) & ~capability)).pack()
        nexus = Nexus(tool.transport)
        await nexus.open()
        sent = len(tool.requests)
        with pytest.raises(UnsupportedError) as caught:
            await COMMANDS[opcode](nexus)
        assert str(caught.value) == f"loopback:: NX-TEST {words}; {opcode.name} was not sent"
        assert len(tool.requests) == sent
        await nexus.close()

    run(work())


@pytest.mark.parametrize("opcode", COMMANDS)
@pytest.mark.parametrize("status", [Status.UNSUPPORTED, Status.UNKNOWN_OPCODE])
def test_a_tool_that_promised_more_than_it_has(opcode: Opcode, status: Status) -> None:
    async def work() -> None:
        tool = ScriptedTool({opcode: lambda _: (status, b"")})
        nexus = Nexus(tool.transport)
        await nexus.open()
        with pytest.raises(UnsupportedError, match=f"the tool does not know {opcode.name}; a newer firmware may"):
            await COMMANDS[opcode](nexus)
        await nexus.close()

    run(work())


@pytest.mark.parametrize("status", [*(s for s in Status if s is not Status.OK), 99])
def test_every_status_has_its_words(status: int) -> None:
    line = str(refusal("tcp:x:1", "TARE", status))
    assert line.startswith("tcp:x:1: the tool ") and "TARE" in line and "\n" not in line and len(line) < 160
    known = status in set(Status) - {Status.BUSY}
    assert ("does not know, status" in line) == (not known)


NONSENSE: dict[str, tuple[Opcode, Callable[[bytes], bytes], type[DeviceError], str]] = {
    "too short": (Opcode.SELF_TEST, lambda _: b"\1", BadAnswerError, "the answer to SELF_TEST is too short"),
    "no descriptor": (Opcode.CONFIGURE, lambda _: b"", BadAnswerError, "the answer to CONFIGURE is too short"),
    "reports of elsewhere": (
        Opcode.ERRORS, lambda _: ErrorsResponse(9, 5, 1, (REPORT,)).pack(), BadAnswerError, "ERRORS is not what was",
    ),
    "a restart that is none": (Opcode.RESET, lambda _: b"", BadAnswerError, "said that it restarts, but did not"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_one_clear_line(name: str) -> None:
    opcode, answer, kind, words = NONSENSE[name]

    async def work() -> None:
        tool = ScriptedTool({opcode: lambda request: (Status.OK, answer(request.payload))})
        nexus = Nexus(tool.transport)
        await nexus.open()
        with pytest.raises(kind, match=words) as caught:
            await COMMANDS[opcode](nexus)
        assert "\n" not in str(caught.value)
        assert tool.asked(opcode) < 100
        await nexus.close()

    run(work())


def test_reports_that_promise_more_than_they_hold_end() -> None:
    async def work() -> None:
        def answer(request: Any) -> tuple[Status, bytes]:
            asked = ErrorsRequest.unpack(request.payload)
            assert asked is not None
            reports = (REPORT,) if asked.first < 2 else ()
            return Status.OK, ErrorsResponse(7, asked.first, len(reports), reports).pack()

        tool = ScriptedTool({Opcode.ERRORS: answer})
        nexus = Nexus(tool.transport)
        await nexus.open()
        assert await nexus.errors() == (REPORT, REPORT)
        await nexus.close()

    run(work())


# -- many at once -----------------------------------------------------------------------------------------------------


def test_many_requests_at_once_all_get_their_answers() -> None:
    """Of a tool that answers BUSY to more than MAX_PENDING: none does."""

    async def work() -> None:
        async with nexuslink.connect("sim:?seed=3") as nexus:
            await nexus.start()
            answers = await asyncio.gather(*(nexus.totals() for _ in range(20)), *(nexus.errors() for _ in range(10)))
            assert len(answers) == 30
            assert (nexus.requests.busy, nexus.requests.late, nexus.requests.foreign) == (0, 0, 0)

    run(work())


def test_too_many_at_once_is_said() -> None:
    async def work() -> None:
        tool = ScriptedTool({Opcode.TOTALS: lambda _: None})
        nexus = Nexus(tool.transport)
        await nexus.open()
        failures = await asyncio.gather(*(nexus.totals() for _ in range(50)), return_exceptions=True)
        busy = [str(f) for f in failures if isinstance(f, BusyError)]
        asked = len(failures) - len(busy)
        assert asked == sum(isinstance(f, NoAnswerError) for f in failures)
        assert MAX_PENDING - 1 <= asked < len(failures)  # more where this machine stood still until the first gave up
        assert all("\n" not in line and "ask less at once" in line for line in busy)
        assert tool.asked(Opcode.TOTALS) <= 4 * asked
        await nexus.close()

    run(work())
