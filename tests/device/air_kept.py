"""A tool on the virtual air and a supervisor that keeps it, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from random import Random

import pytest
from reachable import GUARD_S, Bus, until

if not os.environ.get("NEXUS_BLUEZ"):
    pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")

from ble_side import OPEN, Air, SimTool, bound, new_air, on_the_air, radio_of
from nexus_simulator.options import Options

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import RadioFinder, SerialFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.remembered import RememberedTools
from nexuslink.device.supervisor import Supervisor
from nexuslink.device.verdict import Verdict

__all__ = ["OPEN", "Kept", "new_air", "on_the_air", "on_the_radio"]


def on_the_radio(where: Air, bus: Bus | None = None) -> Discovery:
    return Discovery([RadioFinder(radio_of(where)), *([SerialFinder(bus)] if bus is not None else [])])


class Kept:
    """A tool on an air of its own, or on one that is shared, and who keeps it."""

    def __init__(
        self, seed: int = 3, bus: Bus | None = None, remembered: RememberedTools | None = None,
        where: Air | None = None, discovery: Discovery | None = None,
    ) -> None:  # fmt: skip
        self.rng = Random(seed)
        self.air = where or new_air()
        self.tool = SimTool(self.air, Options(seed=seed), OPEN)
        self.supervisor = Supervisor(
            self.tool.serial_number, discovery or on_the_radio(self.air, bus), streaming=True, rng=self.rng, cache=None,
            remembered=remembered,
        )  # fmt: skip
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

        await until(streams, bound(guard_s))
        assert self.supervisor.nexus is not None
        return self.supervisor.nexus

    @property
    def verdicts(self) -> set[Verdict | None]:
        return {progress.verdict for progress in self.told}

    def said(self, verdict: Verdict) -> str:
        """The sentence that came with it."""
        return next(progress.sentence for progress in self.told if progress.verdict is verdict)

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
