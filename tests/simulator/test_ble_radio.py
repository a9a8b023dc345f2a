"""The air itself: time, loss, distance. On a jumping clock, with the tool as the load."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from air_bench import Central, is_gapless, run, until
from bumble import att
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air, air
from nexus_simulator.options import Options


async def streaming(air: Air, number: int = 1, rate_hz: float | None = None) -> tuple[NexusPeripheral, Central]:
    tool = NexusPeripheral(Options(seed=number), air)
    await tool.start()
    host = await Central(air, number).meet(tool)
    await host.start(rate_hz)
    return tool, host


async def end(tool: NexusPeripheral, host: Central) -> None:
    host.gone()
    await tool.close()


@pytest.mark.parametrize(("interval_ms", "megabit"), [(7.5, 1), (30.0, 1), (30.0, 2), (100.0, 2)])
def test_packets_come_in_connection_events_and_take_their_time(interval_ms: float, megabit: int) -> None:
    async def scenario() -> None:
        here = Air()
        here.interval_ms, here.megabit = interval_ms, megabit
        tool, host = await streaming(here, rate_hz=500.0)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2.0)
        arrivals: list[float] = []
        handle = host.controller.on_air_data
        host.controller.on_air_data = lambda *a: (arrivals.append(loop.time()), handle(*a))[1]  # type: ignore[method-assign,func-returns-value]
        await asyncio.sleep(3.0)
        gaps = sorted(b - a for a, b in itertools.pairwise(arrivals))
        assert len(arrivals) > 100
        assert gaps[0] > 0.5e-3  # nothing at the same moment
        assert gaps[-1] < interval_ms * 1e-3 + 0.02
        if interval_ms > 20.0:  # the tool's batches fill only a part of each event
            assert gaps[-1] > 0.5 * interval_ms * 1e-3
        await end(tool, host)

    run(scenario())


@pytest.mark.parametrize(("megabit", "most"), [(1, 100_000), (2, 175_000)])
def test_the_air_carries_no_more_than_its_bits(megabit: int, most: int) -> None:
    """A full packet and an empty answer take 2.5 ms at 1 Mbit/s and 1.45 ms at 2."""

    async def scenario() -> None:
        here = Air()
        here.interval_ms, here.megabit = 100.0, megabit
        tool = NexusPeripheral(None, here)
        await tool.start()
        host = await Central(here).connect(tool)
        for _ in range(1000):
            host.connection.send_l2cap_pdu(4, bytes(att.ATT_Write_Command(0xFFFF, bytes(244))))
        await asyncio.sleep(0.5)
        before = here.counts.octets
        await asyncio.sleep(1.0)
        assert 0.9 * most < here.counts.octets - before < 1.05 * most
        await end(tool, host)

    run(scenario())


@pytest.mark.parametrize("loss", [0.05, 0.3])
def test_what_is_lost_is_sent_again(loss: float) -> None:
    async def scenario() -> None:
        here = Air(seed=3)
        tool, host = await streaming(here)
        here.loss = loss
        await asyncio.sleep(10.0)
        here.loss = 0.0
        await asyncio.sleep(1.0)
        assert is_gapless(host)
        assert here.counts.repeated > 20
        assert tool.tool.firmware.totals.dropped == 0
        assert not host.lost
        await end(tool, host)

    run(scenario())


def test_a_wall_ends_the_connection_on_both_sides() -> None:
    async def scenario() -> None:
        here = Air()
        tool, host = await streaming(here)
        began = asyncio.get_running_loop().time()
        here.loss = 1.0
        await until(lambda: host.lost and tool.connection is None)
        assert 1.9 < asyncio.get_running_loop().time() - began < 2.1
        assert host.lost == [8]  # connection time-out
        assert here.links == []
        assert here.counts.timeouts == 1
        here.loss = 0.0
        await host.connect(tool)
        await end(tool, host)

    run(scenario())


def test_a_short_absence_is_only_a_delay() -> None:
    async def scenario() -> None:
        here = Air()
        tool, host = await streaming(here)
        for _ in range(5):
            tool.leave()
            await asyncio.sleep(0.4)  # the tool's queue holds 0.6 s
            tool.return_()
            await asyncio.sleep(1.0)
        assert not host.lost
        assert is_gapless(host)
        assert tool.tool.firmware.totals.dropped == 0
        await end(tool, host)

    run(scenario())


def test_out_of_range_nothing_is_seen_and_nobody_answers() -> None:
    async def scenario() -> None:
        here = Air()
        tool = NexusPeripheral(None, here)
        await tool.start()
        tool.leave()
        host = await Central(here).on()
        seen: list[object] = []
        host.device.on(host.device.EVENT_ADVERTISEMENT, seen.append)
        await host.device.start_scanning()
        await asyncio.sleep(2.0)
        assert not seen
        tool.return_()
        await asyncio.sleep(0.5)
        assert seen
        await host.device.stop_scanning()
        await end(tool, host)

    run(scenario())


def test_a_tool_that_goes_while_it_is_connected_to() -> None:
    async def scenario() -> None:
        here = Air()
        tool = NexusPeripheral(None, here)
        await tool.start()
        host = await Central(here).on()
        attempt = asyncio.ensure_future(host.device.connect_le(tool.address, timeout=5.0))
        await until(lambda: here.links)
        tool.leave()  # after the request, before the first packet
        connection = await attempt
        ended: list[int] = []
        connection.on(connection.EVENT_DISCONNECTION, ended.append)
        await until(lambda: ended and tool.connection is None)
        assert ended == [0x3E]  # failed to be established
        await end(tool, host)

    run(scenario())


def test_bluetooth_is_switched_off_at_the_host() -> None:
    async def scenario() -> None:
        here = Air()
        tool, host = await streaming(here)
        here.adapter_off()
        await until(lambda: host.lost and tool.connection is None, 0.5)  # the tool is told
        assert not host.controller.powered
        here.adapter_on()
        await host.device.power_on()
        await host.connect(tool)
        await end(tool, host)

    run(scenario())


def test_the_same_seed_gives_the_same_air() -> None:
    def once(seed: int) -> list[float]:
        async def scenario() -> list[float]:
            here = Air("same", seed)
            here.loss = 0.2
            tool, host = await streaming(here)
            times: list[float] = []
            handle = host.controller.on_air_data
            loop = asyncio.get_running_loop()
            host.controller.on_air_data = lambda *a: (times.append(loop.time()), handle(*a))[1]  # type: ignore[method-assign,func-returns-value]
            await asyncio.sleep(2.0)
            await end(tool, host)
            return times

        return run(scenario())

    first, again, other = once(1), once(1), once(2)
    assert first == again
    assert first != other


def test_an_air_has_a_name_and_forgets_what_a_closed_loop_has_left() -> None:
    async def leave_a_tool_behind() -> None:
        await NexusPeripheral(None, "left").start()

    asyncio.run(leave_a_tool_behind())

    async def scenario() -> None:
        assert air("left") is air("left")
        tool = NexusPeripheral(Options(seed=5), "left")
        await tool.start()
        host = await Central(air("left")).connect(tool)
        assert len(air("left").adapters) == 1
        await end(tool, host)

    run(scenario())
