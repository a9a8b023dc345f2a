"""One tool on several ways, and several tools at once: which way is tried, changed to, left alone."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Sequence, Set
from random import Random

import pytest
from driving import run
from kept_tool import Kept
from reachable import Bus, OnTcp, OnWire, there, tool, until

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.errors import NoToolError
from nexuslink.device.finders import NOBODY, FixedFinder, FoundTool, SerialFinder
from nexuslink.device.verdict import Verdict


def test_the_wire_is_changed_to_when_it_is_there_but_not_in_a_hold() -> None:
    async def work() -> None:
        bus, link = Bus(), tool(3)
        far, near = OnTcp(link), OnWire(link, bus, named=True)
        async with there(far):
            k = Kept("SIM-00003", Discovery([SerialFinder(bus), FixedFinder([far.url], "SIM-00003")]))
            k.supervisor.connect()
            first = await k.data()
            assert first.url == far.url
            with k.supervisor.holding():
                await near.come()
                await asyncio.sleep(1.5)
                assert k.supervisor.nexus is first
            await k.streams_at(near.url)
            await k.data()
            assert Verdict.NEARER_WAY in k.verdicts
            await near.go()  # and back over what is left
            await k.streams_at(far.url)
            await k.supervisor.disconnect()

    run(work())


def test_a_way_that_fails_is_followed_by_the_next_one_without_a_pause() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            finders = [FixedFinder([url], "SIM-00003") for url in ("tcp:127.0.0.1:1", one.url)]
            k = Kept("SIM-00003", Discovery(finders))
            k.supervisor.connect()
            nexus = await k.data()
            assert nexus.url == one.url
            assert not [progress for progress in k.told if progress.next_try_s]
            await k.supervisor.disconnect()

    run(work())


def test_somebody_who_comes_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute of it would be left."""
    monkeypatch.setattr("nexuslink.device.course.FIRST_PAUSE_S", 60.0)
    monkeypatch.setattr("nexuslink.device.course.LONGEST_PAUSE_S", 60.0)

    async def work() -> None:
        bus = Bus()
        one = OnWire(tool(3), bus, named=True)
        k = Kept("SIM-00003", Discovery([SerialFinder(bus)]))
        k.supervisor.connect()
        await until(lambda: k.supervisor.progress.next_try_s > 30.0)
        await asyncio.sleep(0.1)
        async with there(one):
            await k.data()
            await k.supervisor.disconnect()

    run(work())


def test_a_better_way_that_has_failed_is_not_changed_to_again_and_again() -> None:
    async def work() -> None:
        bus = Bus()
        far, lies = OnTcp(tool(3)), OnWire(tool(8), bus, named=False)
        async with there(far, lies):
            bus.ports[0].serial_number = "SIM-00003"
            k = Kept("SIM-00003", Discovery([SerialFinder(bus), FixedFinder([far.url], "SIM-00003")]))
            k.supervisor.connect()
            nexus = await k.data()
            assert Verdict.OTHER_TOOL in k.verdicts
            await asyncio.sleep(2.5)
            assert k.supervisor.nexus is nexus
            assert Verdict.NEARER_WAY not in k.verdicts
            await k.supervisor.disconnect()

    run(work())


def test_a_port_that_was_another_tools_is_asked_again_once_that_has_gone() -> None:
    async def work() -> None:
        bus = Bus()
        discovery = Discovery([SerialFinder(bus)])
        other, one = OnWire(tool(8), bus, named=False), OnWire(tool(3), bus, named=False)
        k = Kept("SIM-00003", discovery)
        async with there(other):
            k.supervisor.connect()
            await until(lambda: Verdict.OTHER_TOOL in k.verdicts)
            await until(lambda: k.supervisor.state is State.SCANNING)
        bus.count = 0  # the same name
        looked = discovery.rounds
        await until(lambda: discovery.rounds > looked + 12)
        async with there(one):
            assert one.url == other.url
            await k.data()
            await k.supervisor.disconnect()

    run(work())


def test_a_port_that_gave_no_answer_is_asked_more_seldom() -> None:
    async def work() -> None:
        bus = Bus()
        master, slave = os.openpty()
        bus.plug(os.ttyname(slave), None)
        try:
            k = Kept("SIM-00003", Discovery([SerialFinder(bus)]))
            k.supervisor.connect()
            await until(lambda: Verdict.NO_ANSWER in k.verdicts)
            await until(lambda: k.supervisor.progress.attempt == 3)
            states = [state for state, _ in itertools.groupby(progress.state for progress in k.told)]
            assert states.count(State.CONNECTING) == 1
            await k.supervisor.disconnect()
        finally:
            os.close(master)
            os.close(slave)

    run(work())


def test_a_hold_that_begins_while_a_better_way_is_looked_for_is_not_disturbed() -> None:
    class Slow(FixedFinder):
        """Sees the better way only when it is told to."""

        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
            self.asked.set()
            await self.may_answer.wait()
            return await super().find(wanted)

    async def work() -> None:
        bus, link = Bus(), tool(3)
        far, near = OnTcp(link), OnWire(link, bus, named=True)
        async with there(far, near):
            finder = Slow([near.url], "SIM-00003")
            k = Kept(far.url, Discovery([finder]))
            k.supervisor.connect()
            first = await k.data()
            await finder.asked.wait()
            with k.supervisor.holding():
                finder.may_answer.set()
                await asyncio.sleep(1.5)
                assert k.supervisor.nexus is first
            await k.streams_at(near.url)
            await k.supervisor.disconnect()

    run(work())


def test_several_tools_share_one_look_and_never_one_port() -> None:
    async def work() -> None:
        bus = Bus()
        tools = [OnWire(tool(seed), bus, named=False) for seed in (3, 4, 5)]
        discovery = Discovery([SerialFinder(bus)])
        async with there(*tools):
            all_kept = [Kept(one.serial_number, discovery, rng=Random(n)) for n, one in enumerate(tools)]
            for k in all_kept:
                k.supervisor.connect()
            looks = [discovery.look() for _ in range(5)]
            before = discovery.rounds
            await asyncio.gather(*looks)
            assert discovery.rounds <= before + 1
            streams = [await k.data() for k in all_kept]
            assert [nexus.url for nexus in streams] == [one.url for one in tools]
            for k in all_kept:
                await k.supervisor.disconnect()

    run(work())


def test_an_address_that_is_in_use_here_is_not_opened_a_second_time() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            discovery = Discovery([])
            first, second = Kept(one.url, discovery), Kept(one.url, discovery)
            first.supervisor.connect()
            nexus = await first.data()
            second.supervisor.connect()
            with pytest.raises(NoToolError, match="this program uses that address for another tool"):
                await second.supervisor.up(0.5)
            assert first.supervisor.nexus is nexus
            await first.supervisor.disconnect()
            await second.data()
            await second.supervisor.disconnect()
            assert not discovery._held

    run(work())
