"""One tool kept connected over Bluetooth LE: a real GATT stack on both sides, a radio in software between them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence, Set
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from driving import run
from reachable import GUARD_S, Bus, OnWire, tool, until

pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")

from moments.air import alone, kept
from moments.plan import wrong
from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air, air
from nexus_simulator.options import Options

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import NOBODY, FoundTool, RadioFinder, SerialFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.remembered import RememberedTool, RememberedTools
from nexuslink.device.supervisor import Supervisor
from nexuslink.device.verdict import Verdict

BACK_S = 5.0
_numbers = itertools.count()
OPEN = Security(method=Method.NOTHING, always_open=True)


class AsBlueZ(RadioFinder):
    """The radio in software does not say who has a key; BlueZ does. ``bonded`` is what it says."""

    def __init__(self, radio: str, bonded: bool | None) -> None:
        super().__init__(radio)
        self._bonded = bonded

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        return [replace(tool, bonded=self._bonded) for tool in await super().find(wanted)]


class Kept:
    """A tool on an air of its own, and who keeps it."""

    def __init__(
        self,
        seed: int = 3,
        bus: Bus | None = None,
        remembered: RememberedTools | None = None,
        bonded: bool | None = None,
    ) -> None:
        self.rng = Random(seed)
        self.air: Air = air(f"kept-{next(_numbers)}")
        self.tool = NexusPeripheral(Options(seed=seed), self.air, OPEN)
        finders = [AsBlueZ(f"bumble:air:{self.air.name}", bonded), *([SerialFinder(bus)] if bus is not None else [])]
        self.supervisor = Supervisor(
            self.tool.serial_number, Discovery(finders), streaming=True, rng=self.rng, cache=None, remembered=remembered
        )
        self.told: list[Progress] = []
        self.supervisor.subscribe(self.told.append)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Kept]:
        await self.tool.start()
        self.supervisor.connect()
        try:
            yield self
        finally:
            await self.supervisor.disconnect()
            await self.tool.close()
            for _ in range(20):
                await asyncio.sleep(0)

    async def data(self, guard_s: float = GUARD_S, before: Nexus | None = None) -> Nexus:
        def streams() -> bool:
            nexus = self.supervisor.nexus
            return nexus not in (None, before) and nexus is not None and nexus.decoder.link.received > 5

        await until(streams, guard_s)
        assert self.supervisor.nexus is not None
        return self.supervisor.nexus

    async def out_of_range(self) -> None:
        self.tool.leave()
        await until(lambda: self.supervisor.state not in (State.STREAMING, State.READY))
        await asyncio.sleep(self.rng.uniform(0, 1.0))
        self.tool.return_()

    async def reset(self) -> None:
        self.tool.restart()
        await until(lambda: self.supervisor.state not in (State.STREAMING, State.READY))

    async def crash(self) -> None:
        self.tool.crash()
        await until(lambda: self.supervisor.state not in (State.STREAMING, State.READY))
        await asyncio.sleep(self.rng.uniform(0, 1.0))
        await self.tool.start()

    async def adapter_lost(self) -> None:
        self.air.adapter_off()
        await until(lambda: self.supervisor.state not in (State.STREAMING, State.READY))
        await asyncio.sleep(self.rng.uniform(0, 1.0))
        self.air.adapter_on()


def on_the_air(work: Coroutine[Any, Any, None]) -> None:
    """In virtual time: only where nothing but the air takes part."""
    _, left = alone(work)
    assert not left


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


@pytest.mark.parametrize("cause", [Kept.out_of_range, Kept.reset, Kept.crash, Kept.adapter_lost])
def test_back_to_streaming_within_5_s_of_the_causes_end(cause: Callable[[Kept], Awaitable[None]]) -> None:
    async def work() -> None:
        async with Kept().connected() as k:
            before = await k.data()
            await cause(k)
            after = await k.data(BACK_S, before)
            if cause is Kept.reset:
                assert after.info.boot_id != before.info.boot_id
                assert k.supervisor.progress.restarts == 1
            assert Verdict.BROKEN not in {progress.verdict for progress in k.told}

    on_the_air(work())


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


def test_a_tool_without_the_bond_that_is_known_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        remembered = RememberedTools(lambda: tmp_path)
        remembered.keep(RememberedTool("SIM-00003", bonded=True))
        async with Kept(remembered=remembered, bonded=True).connected() as k:
            await k.data()  # with its bond it is who it says
        async with Kept(remembered=remembered, bonded=False).connected() as k:
            await until(lambda: Verdict.IMPOSTOR in {progress.verdict for progress in k.told})
            assert k.supervisor.nexus is None
            assert any("not the one that this computer is paired with" in progress.sentence for progress in k.told)

    run(work())


# ---- at any moment --------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("error")
def test_back_to_streaming_after_anything_at_any_moment_on_the_air() -> None:
    """Twenty of the moments that `./run soak` tries by the hundred."""
    assert not wrong(kept(seed) for seed in range(20))
