"""One tool kept connected over Bluetooth LE: a real GATT stack on both sides, a radio in software between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from air_kept import Kept, new_air, on_the_air, on_the_radio
from ble_side import BLUEZ, in_process
from driving import run
from moments.air import kept
from moments.plan import BACK_S, wrong
from reachable import GUARD_S, Bus, OnWire, tool, until

from nexuslink.device.verdict import Verdict

IN_PROCESS = pytest.mark.in_process
"""In real time these would take minutes."""


def test_found_by_its_serial_number_and_its_figures_are_the_radios() -> None:
    async def work() -> None:
        async with Kept().connected() as k:
            nexus = await k.data()
            assert nexus.url.startswith("ble://SIM-00003")
            await asyncio.sleep(1.3)
            link = k.supervisor.progress.link
            assert link is not None
            assert link.rssi_dbm == pytest.approx(-58, abs=15)
            assert link.lost_messages == 0
            assert link.max_message > 100

    on_the_air(work())


@pytest.mark.parametrize(
    "cause",
    [Kept.out_of_range, *in_process(Kept.reset, Kept.crash), Kept.adapter_lost],
)
def test_back_to_streaming_within_5_s_of_the_causes_end(cause: Callable[[Kept], Awaitable[None]]) -> None:
    async def work() -> None:
        async with Kept().connected() as k:
            before = await k.data()
            await cause(k)
            after = await k.data(BACK_S, before)
            if cause is Kept.reset:
                assert after.info.boot_id != before.info.boot_id
                assert k.supervisor.progress.restarts == 1
            assert Verdict.BROKEN not in k.verdicts

    on_the_air(work())


@IN_PROCESS
def test_however_long_it_was_away_a_pause_leaves_time_to_be_back() -> None:
    """It comes back when the longest pause has just begun; on a real radio connecting takes a second longer."""

    async def work() -> None:
        async with Kept().connected() as k:
            before = await k.data()
            k.tool.leave()
            await asyncio.sleep(60.0)
            await until(lambda: k.told[-1].next_try_s == 0.0)
            await until(lambda: k.told[-1].next_try_s > 0.0)
            k.tool.return_()
            await k.data(BACK_S - 1.0, before)

    on_the_air(work())


@IN_PROCESS
@pytest.mark.parametrize(("silence_s", "links"), [(1.5, 1), (2.5, 2)], ids=["a fade", "an absence"])
def test_the_radio_bridges_a_fade_by_itself(silence_s: float, links: int) -> None:
    """A hand before the aerial is no lost link; what outlasts the radio's own time-out is one."""

    async def work() -> None:
        async with Kept().connected() as k:
            before = await k.data()
            for _ in range(3):
                k.air.loss = 1.0
                await asyncio.sleep(silence_s)
                k.air.loss = 0.0
                await asyncio.sleep(k.rng.uniform(3.0, 4.0))
                if links > 1:
                    break
            assert k.supervisor.progress.connections == links
            assert (k.supervisor.nexus is before) == (links == 1)

    on_the_air(work())


@IN_PROCESS
def test_from_the_radio_to_the_wire_when_that_is_there_and_back() -> None:
    async def work() -> None:
        bus = Bus()
        wire = OnWire(tool(3), bus, named=True)
        async with Kept(3, bus).connected() as k:
            first = await k.data()
            await wire.come()
            second = await k.data(GUARD_S, first)
            assert second.url == wire.url
            await wire.go()
            third = await k.data(GUARD_S, second)
            assert third.url.startswith("ble:")

    run(work())


@IN_PROCESS
def test_several_tools_at_once_and_one_roams_while_the_others_stream() -> None:
    """One air, one adapter, one discovery; what happens to one tool is nothing to the others."""

    async def work() -> None:
        where, bus = new_air(), Bus()
        discovery = on_the_radio(where, bus)
        keepers = [Kept(seed, where=where, discovery=discovery) for seed in (3, 4, 5)]
        roams, stays, falls = keepers
        wire = OnWire(tool(3), bus, named=True)
        async with roams.connected(), stays.connected(), falls.connected():
            streams = [await k.data() for k in keepers]
            assert [nexus.info.serial_number for nexus in streams] == ["SIM-00003", "SIM-00004", "SIM-00005"]
            await wire.come()
            falls.tool.crash()
            on_the_wire = await roams.data(GUARD_S, streams[0])
            assert on_the_wire.url == wire.url
            await falls.tool.start()
            await falls.data(GUARD_S, streams[2])
            await wire.go()
            assert (await roams.data(GUARD_S, on_the_wire)).url.startswith("ble:")
            assert stays.supervisor.nexus is streams[1]
            assert stays.supervisor.progress.connections == 1
            assert streams[1].decoder.link.lost == 0
        assert not discovery._held

    run(work())


# ---- at any moment --------------------------------------------------------------------------------------------------
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("error")
def test_back_to_streaming_after_anything_at_any_moment_on_the_air() -> None:
    """Twenty of the moments that `./run soak` tries by the hundred; in the guest four."""
    problems = wrong(kept(seed) for seed in ((0, 2, 4, 8) if BLUEZ else range(20)))
    assert not problems, "; ".join(problems)
