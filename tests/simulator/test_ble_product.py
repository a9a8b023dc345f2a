"""The product's own path from the radio to the counts, on the virtual air; in the guest of ``./run bluez`` on BlueZ."""

from __future__ import annotations

import asyncio
import os

import pytest

if not os.environ.get("NEXUS_BLUEZ"):
    pytest.importorskip("bumble", reason="no virtual radio: pip install nexuslink[virtual-ble]")

from ble_side import Air, SimTool, in_process, new_air, on_the_air, url_of
from nexus_simulator.firmware.identity import UNLOCK_CODE
from nexus_simulator.options import Options
from reachable import until

from nexuslink.device.errors import RefusedError
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.messages import MIN_LINK_MESSAGE, SessionTotals, Status
from nexuslink.transport.ble import BleTransport
from nexuslink.transport.url import make_transport

LEAST_MTU = MIN_LINK_MESSAGE + 3


async def tool_on_air(mtu: int = 247) -> SimTool:
    where = new_air()
    where.mtu_max = mtu
    tool = SimTool(where, Options())
    await tool.start()
    return tool


def nexus_on(where: Air) -> Nexus:
    return Nexus(make_transport(url_of(where, "")), cache=None)


async def streamed(tool: SimTool, seconds: float, away_s: float = 0.0) -> tuple[Nexus, SessionTotals]:
    """Both streams at 1 kHz for so long, and in the middle out of range; then all is closed, the counts settled."""
    nexus = nexus_on(tool.air)
    await nexus.open()
    for stream in nexus.info.streams:
        await nexus.configure(stream.stream, 1000.0)
    await nexus.start()
    await asyncio.sleep(seconds / 2)
    tool.leave()
    await asyncio.sleep(away_s)
    tool.return_()
    await asyncio.sleep(seconds / 2)
    await nexus.stop()
    totals = tool.totals
    await nexus.close()
    await tool.close()
    return nexus, totals


def assert_nothing_lost(nexus: Nexus, totals: SessionTotals, seconds: float) -> None:
    link = nexus.decoder.link
    assert link.settled
    assert (link.received, link.lost, link.overrun) == (totals.sent, 0, 0)
    assert (link.duplicate, link.late, link.restarts, totals.dropped) == (0, 0, 0, 0)
    for stream in (0, 1):
        counts = link.streams[stream]
        assert (counts.received, counts.lost, counts.overrun) == (totals.samples[stream], 0, 0)
        assert counts.received >= 1000 * seconds - 10
    assert isinstance(nexus.transport, BleTransport)
    assert (nexus.transport.dropped, nexus.transport.odd, nexus.view_drops) == (0, 0, 0)


@pytest.mark.thorough
def test_a_minute_of_two_streams_at_1_khz_loses_nothing() -> None:
    """Ten minutes: `./run bench ble`, which gates on what is lost."""

    async def scenario() -> tuple[Nexus, SessionTotals]:
        return await streamed(await tool_on_air(), 60.0)

    nexus, totals = on_the_air(scenario())
    assert_nothing_lost(nexus, totals, 60.0)


def test_what_the_air_repeats_is_not_lost() -> None:
    async def scenario() -> tuple[Nexus, SessionTotals]:
        tool = await tool_on_air()
        tool.air.loss = 0.2
        return await streamed(tool, 5.0)

    assert_nothing_lost(*on_the_air(scenario()), 5.0)


def test_what_the_air_could_not_carry_is_counted_to_the_last_message() -> None:
    """The control: the counts that are zero elsewhere are not always zero."""

    async def scenario() -> tuple[Nexus, SessionTotals]:
        return await streamed(await tool_on_air(), 1.0, away_s=1.5)  # more than the tool's queue holds

    nexus, totals = on_the_air(scenario())
    link = nexus.decoder.link
    assert link.overrun == totals.dropped > 50
    assert (link.received, link.lost) == (totals.sent, 0)


@pytest.mark.in_process  # so many small messages a second are more than the emulated guest carries
@pytest.mark.parametrize("mtu", [LEAST_MTU, 100, 185, 247])
def test_an_mtu_that_suffices_streams_all(mtu: int) -> None:
    async def scenario() -> tuple[Nexus, SessionTotals]:
        return await streamed(await tool_on_air(mtu), 2.0)

    nexus, totals = on_the_air(scenario())
    assert_nothing_lost(nexus, totals, 2.0)
    assert nexus.status is not None and (nexus.status.max_message, nexus.status.interval_us) == (mtu - 3, 7500)


@pytest.mark.parametrize("mtu", [23, *in_process(50, LEAST_MTU - 1)])
def test_an_mtu_that_is_too_small_is_one_line_with_what_to_do(mtu: int) -> None:
    async def scenario() -> RefusedError:
        tool = await tool_on_air(mtu)
        nexus = nexus_on(tool.air)
        with pytest.raises(RefusedError) as refused:
            await nexus.open()
        await until(lambda: tool.connection is None)
        await tool.close()
        return refused.value

    error = on_the_air(scenario())
    assert error.status == Status.LINK_TOO_SMALL
    assert str(error).partition(": the tool")[2] == (
        " refused HELLO: the link carries less than 64 bytes a message (its MTU is too small); "
        "use the tool's cable, or another Bluetooth adapter"
    )


@pytest.mark.in_process  # the guest lacks the filter that calibration needs
def test_the_code_opens_nothing_over_a_link_that_nobody_has_confirmed() -> None:
    from nexuslink.calibration.errors import WrongCodeError
    from nexuslink.calibration.writing import unlock

    async def scenario() -> str:
        tool = await tool_on_air()
        nexus = nexus_on(tool.air)
        await nexus.open()
        with pytest.raises(WrongCodeError) as refused:
            await unlock(nexus, UNLOCK_CODE)
        await nexus.close()
        await tool.close()
        return str(refused.value)

    said = on_the_air(scenario())
    assert said.endswith("over Bluetooth it opens only to a computer that was paired by comparing or typing six digits")
