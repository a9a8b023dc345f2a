"""Which tools are near, told again and again while somebody chooses.

Lives on the loop's thread; knows nothing of Qt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nexuslink.device.bounded import CANCEL_BOUND_S
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import FoundTool
from nexuslink.device.remembered import RememberedTools

LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class NearTool:
    """One line in the list of tools."""

    title: str
    url: str
    """To connect to."""
    serial_number: str | None = None
    simulated: bool = False
    carriers: tuple[str, ...] = ()
    """In words."""
    rssi_dbm: float | None = None
    bars: int = 0
    remembered: bool = False
    bonded: bool | None = None
    last_seen: str = ""
    present: bool = True
    """It is heard now."""
    trouble: str = ""


class Nearby:
    """Looks from `start` to `stop`."""

    def __init__(self, discovery: Discovery, remembered: RememberedTools) -> None:
        self._discovery = discovery
        self._remembered = remembered
        self._task: asyncio.Task[None] | None = None

    def start(self, callback: Callable[[list[NearTool]], None]) -> None:
        """``callback(tools)`` after each look, on the loop's thread."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(callback), name="nexuslink nearby")

    async def stop(self) -> None:
        """No more; bounded."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,), timeout=2 * CANCEL_BOUND_S)

    async def _run(self, callback: Callable[[list[NearTool]], None]) -> None:
        while True:
            found = await self._discovery.look()
            known = {tool.serial_number for tool in self._remembered.all()}
            callback([_near(tool, known) for tool in found])
            await asyncio.sleep(LOOK_EVERY_S)


def _near(tool: FoundTool, known: set[str]) -> NearTool:
    carrier = {"serial": "USB", "ble": "Bluetooth"}.get(tool.scheme, "")
    return NearTool(
        tool.name, tool.url, tool.serial_number, tool.simulated, (carrier,) if carrier else (), tool.rssi_dbm,
        remembered=tool.serial_number in known, bonded=tool.bonded,
    )  # fmt: skip
