"""A radio that is still busy with what came before: given up and tried again at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

import pytest

pytest.importorskip("bumble", reason="BLE scans: needs the package bumble, of the extra virtual-ble")

from ble_side import OPEN, Air, RawTool, new_air, on_the_air, radio_of
from bleak.exc import BleakDBusError
from links import AT_END
from nexus_simulator.ble.backend import BumbleScanner
from nexus_simulator.options import Options

from nexuslink.transport.ble_scan import ble_tools
from nexuslink.transport.errors import RadioBusyError

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.in_process]


async def tool_on(where: Air, seed: int) -> None:
    tool = RawTool(where, Options(seed=seed), OPEN)
    AT_END.append(tool.close)
    await tool.start()


async def and_end(scenario: Coroutine[Any, Any, None]) -> None:
    try:
        await scenario
    finally:
        while AT_END:
            await AT_END.pop()()


class AsBlueZ(BumbleScanner):
    """What BlueZ and bleak do together: begun is begun, also for a start that was broken off halfway, and then every
    other one is refused until somebody stops it. After a connection it is busy for 2 s all the same."""

    scanning: ClassVar[bool] = False
    busy_until_s: ClassVar[float] = 0.0

    async def start(self) -> None:
        if AsBlueZ.scanning or asyncio.get_running_loop().time() < AsBlueZ.busy_until_s:
            raise BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"])
        AsBlueZ.scanning = True
        await asyncio.sleep(0.2)
        await super().start()
        self.begun = True

    async def stop(self) -> None:
        if getattr(self, "begun", False):
            await super().stop()
            await asyncio.sleep(0.1)
            AsBlueZ.scanning = False


@pytest.mark.parametrize("mended", [True, False])
def test_given_up_and_tried_again_at_once(mended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it is given up. Without what sees a start through, the radio would be busy for ever."""
    monkeypatch.setattr("nexus_simulator.ble.backend.BumbleScanner", AsBlueZ)
    monkeypatch.setattr(AsBlueZ, "scanning", False)
    if not mended:
        monkeypatch.setattr("nexuslink.transport.ble_scan.seen_through", lambda call, _: call)

    async def scenario() -> None:
        where = new_air()
        await tool_on(where, 1)
        for after_s in (0.05, 0.15, 0.25, 0.6):
            given_up = asyncio.create_task(ble_tools(5.0, radio_of(where)))
            await asyncio.sleep(after_s)
            given_up.cancel()
            if mended:
                assert [tool.serial_number for tool in await ble_tools(1.0, radio_of(where))] == ["SIM-00001"]
            else:
                with pytest.raises(RadioBusyError, match="is still busy, with the end of another connection"):
                    await ble_tools(1.0, radio_of(where))
                break
            await asyncio.gather(given_up, return_exceptions=True)

    on_the_air(and_end(scenario()))


def test_a_radio_that_still_ends_a_connection_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_simulator.ble.backend.BumbleScanner", AsBlueZ)
    monkeypatch.setattr(AsBlueZ, "scanning", False)

    async def scenario() -> None:
        where = new_air()
        await tool_on(where, 1)
        monkeypatch.setattr(AsBlueZ, "busy_until_s", asyncio.get_running_loop().time() + 2.0)
        assert [tool.serial_number for tool in await ble_tools(1.0, radio_of(where))] == ["SIM-00001"]

    on_the_air(and_end(scenario()))
