"""The client against a scripted tool (every wrong answer) and the simulated one (the whole way)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from driving import run
from scripted_tool import ScriptedTool, calibration, hello, page

import nexuslink
from nexuslink.device.errors import BadAnswerError, DeviceError, NoAnswerError, NotNowError, RefusedError, VersionError
from nexuslink.device.nexus import Nexus
from nexuslink.device.subscription import QUEUE_LIMIT
from nexuslink.protocol.envelope import pack_response
from nexuslink.protocol.exchange import LinkState
from nexuslink.protocol.messages import Opcode, Status, StopReason
from nexuslink.transport.errors import LinkLostError, TransportError

SIM = "sim:?speed=max&seed=3"


def test_handshake_learns_who_is_there() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            assert nexus.simulated
            assert nexus.info.serial_number == "SIM-00003"
            assert nexus.state is LinkState.READY
            assert nexus.clock_fit is not None
            assert nexus.clock_fit.uncertainty_ns < 20e6
        assert nexus.closed_reason == "closed by this program"

    run(work())


def test_nothing_but_answers_before_start() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            for _ in range(20):
                await nexus.request(Opcode.TIME_SYNC, bytes(8))
            assert nexus.decoder.link.received == 0

    run(work())


def test_stream_is_whole_and_in_order_even_for_a_slow_reader() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            expected = {s.stream: 0 for s in nexus.info.streams}
            seen = 0
            async for batch in nexus.stream():
                assert batch.first_index == expected[batch.stream]
                expected[batch.stream] += len(batch.raw)
                seen += 1
                if seen % 50 == 0:
                    await asyncio.sleep(0.01)  # far slower than the tool sends at speed=max
                if seen == 2000:
                    break
            assert nexus.decoder.link.lost == nexus.view_drops == 0

    run(work())


def test_a_reader_that_the_link_cannot_wait_for_loses_the_oldest_and_it_is_counted() -> None:
    async def work() -> None:
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        await nexus.open()
        stream = nexus.stream()
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        tool.send_batch(0)
        assert (await reading).first_index == 0
        for seq in range(1, QUEUE_LIMIT + 101):
            tool.send_batch(seq)
        assert nexus.view_drops == 100
        assert (await anext(stream)).first_index == 101
        await stream.aclose()
        await nexus.close()

    run(work())


def test_loss_is_counted_and_survived() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM + "&drop=0.05") as nexus:
            seen = 0
            async for _ in nexus.stream():
                seen += 1
                if seen == 1000:
                    break
            link = nexus.decoder.link
            assert 0.02 < link.loss_fraction < 0.09
            assert link.overrun_samples == 0

    run(work())


def test_stop_tells_the_tool_why_and_ends_the_loop() -> None:
    async def work() -> None:
        async with nexuslink.connect(SIM) as nexus:
            async for _ in nexus.stream():
                await nexus.stop(StopReason.OVER_FORCE)
            assert nexus.transport.tool_stop_reason == StopReason.OVER_FORCE  # type: ignore[attr-defined]
            assert nexus.state is LinkState.READY

    run(work())


def test_a_request_is_retried_and_answered_once() -> None:
    async def work() -> None:
        silent = iter([True, False])
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        await nexus.open()
        before = nexus.requests.retries
        good = tool._answers  # the scripted tool's own table
        good[Opcode.INFO] = lambda _: None if next(silent, False) else (Status.OK, b"")
        await nexus.request(Opcode.INFO)
        assert nexus.requests.retries == before + 1
        ids = [r.request_id for r in tool.requests if r.opcode == Opcode.INFO]
        assert ids[-1] == ids[-2]
        await nexus.close()

    run(work())


def test_late_and_foreign_answers_are_counted_not_believed() -> None:
    async def work() -> None:
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        await nexus.open()
        first = tool.requests[0]
        tool.send(pack_response(1, 999, Opcode.START, Status.OK))
        tool.send(pack_response(1, first.request_id, Opcode.HELLO, Status.OK))
        assert (nexus.requests.foreign, nexus.requests.late) == (1, 1)
        assert nexus.state is LinkState.READY
        await nexus.close()

    run(work())


def test_a_damaged_calibration_record_is_refused() -> None:
    async def work() -> None:
        record = calibration()
        damaged = record[:100] + bytes([record[100] ^ 1]) + record[101:]
        tool = ScriptedTool({Opcode.CALIBRATION_READ: lambda request: page(request, damaged)})
        with pytest.raises(BadAnswerError, match="calibration record is damaged, its check does not fit"):
            await Nexus(tool.transport).open()

    run(work())


@pytest.mark.parametrize(
    ("opcode", "answer", "kind", "words"),
    [
        (Opcode.HELLO, (Status.OK, hello(major=9, serial="NX-9")), VersionError, "NX-9 speaks protocol 9.0"),
        (Opcode.HELLO, (Status.OK, b"\x01"), BadAnswerError, "is this a Nexus?"),
        (Opcode.HELLO, (Status.UNSUPPORTED_VERSION, b""), RefusedError, "another major version"),
        (Opcode.HELLO, None, NoAnswerError, "no answer to HELLO"),
        (Opcode.INFO, (Status.OK, bytes(31)), BadAnswerError, "INFO"),
        (Opcode.INFO, (Status.OK, bytes(25) + b"\xff" + bytes(6)), BadAnswerError, "INFO"),
        (Opcode.DESCRIBE, (Status.OK, bytes(52)), BadAnswerError, "DESCRIBE"),
        (Opcode.CALIBRATION_READ, (Status.OK, b"\0"), BadAnswerError, "CALIBRATION_READ"),
        (Opcode.INFO, (250, b""), RefusedError, "status 250"),
        (Opcode.START, (Status.FAILED, b""), RefusedError, "refused START: it tried and failed"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_one_clear_line(opcode: Opcode, answer: Any, kind: type[DeviceError], words: str) -> None:
    async def work() -> None:
        tool = ScriptedTool({opcode: lambda _: answer})
        nexus = Nexus(tool.transport)
        with pytest.raises(kind) as caught:
            await nexus.open()
            try:
                await nexus.start()
            finally:
                await nexus.close()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "loopback:" in str(caught.value)

    run(work())


def test_what_is_not_possible_now_is_refused_before_a_byte_is_sent() -> None:
    async def work() -> None:
        tool = ScriptedTool()
        nexus = Nexus(tool.transport)
        with pytest.raises(NotNowError):
            _ = nexus.info
        await nexus.open()
        sent = len(tool.requests)
        with pytest.raises(NotNowError, match="TARE is not possible"):
            await nexus.tare()
        assert len(tool.requests) == sent
        await nexus.close()

    run(work())


def test_a_link_that_ends_wakes_everybody_who_waits() -> None:
    async def work() -> None:
        tool = ScriptedTool({Opcode.STOP: lambda _: None})
        nexus = Nexus(tool.transport)
        reasons: list[str] = []
        nexus.add_closer(reasons.append)
        await nexus.open()
        stream = nexus.stream()
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        asking = asyncio.ensure_future(nexus.stop())
        await asyncio.sleep(0.01)
        tool.transport.hang_up("unplugged")
        for waiting in (reading, asking):
            with pytest.raises(LinkLostError, match="unplugged"):
                await asyncio.wait_for(waiting, 5)
        with pytest.raises(TransportError):
            await nexus.request(Opcode.INFO)
        assert reasons == ["unplugged"]
        await nexus.close()
        await nexus.close()

    run(work())


def test_several_tools_at_once_do_not_touch_each_other() -> None:
    async def one(seed: int) -> str:
        async with nexuslink.connect(f"sim:?speed=max&seed={seed}") as nexus:
            seen = 0
            async for _ in nexus.stream():
                seen += 1
                if seen == 200:
                    break
            assert nexus.decoder.link.lost == 0
            return nexus.info.serial_number

    async def work() -> None:
        assert await asyncio.gather(*(one(seed) for seed in range(4))) == [f"SIM-{seed:05d}" for seed in range(4)]

    run(work())


def test_connect_again_and_it_is_the_same_tool() -> None:
    async def work() -> None:
        boots = set()
        for _ in range(3):
            async with nexuslink.connect(SIM) as nexus:
                boots.add(nexus.info.boot_id)
                async for _ in nexus.stream():
                    break
        assert len(boots) == 1

    run(work())
