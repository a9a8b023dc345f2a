"""Who is let in, with a person at the computer and one at the tool: real pairing, real keys, real encryption."""

from __future__ import annotations

from typing import Any

import pytest
from links import AT_END, BLUEZ, Log, run, until

if not BLUEZ:
    pytest.importorskip("bumble", reason="BLE bonds: needs the package bumble, of the extra virtual-ble")

from ble_side import Air, Impostor, Level, Method, Person, RawTool, Security, SimTool, new_air, radio_of, url_of
from nexus_simulator.options import Options

from nexuslink.device.nexus import Nexus
from nexuslink.transport.ble_scan import BleScan
from nexuslink.transport.errors import KeyLostError, LinkLostError, PairingError
from nexuslink.transport.url import make_transport

pytestmark = pytest.mark.filterwarnings("error")

NOBODY_AGREES: Any = Security(method=Method.NUMERIC, confirm=False if BLUEZ else lambda _: False)


async def switched_on(tool: SimTool) -> None:
    AT_END.append(tool.close)
    await tool.start()
    tool.press_button()


async def level_of(tool: RawTool) -> Level:
    """A message each way; how far the tool trusts the link meanwhile."""
    transport, log = make_transport(url_of(tool.air, f"//{tool.serial_number}")), Log()
    await transport.open(log)
    try:
        await transport.write(b"there")
        assert await tool.take(5) == b"there"
        await tool.send(b"back")
        await until(lambda: log.data == b"back")
        return tool.level
    finally:
        await transport.close()


async def refused(tool: RawTool) -> None:
    """Nobody gets in, and not a byte does."""
    transport = make_transport(url_of(tool.air, f"//{tool.serial_number}"))
    with pytest.raises(PairingError) as caught:
        await transport.open(Log())
    await transport.close()
    await until(lambda: tool.connection is None)
    assert not tool.inbox
    assert "the tool does not let this computer in" in str(caught.value)
    assert "press the tool's button" in str(caught.value)


async def known(where: Air) -> bool | None:
    """Whether the system says that it has a key of the tool that is near."""
    async with BleScan(radio_of(where)) as scan:
        await until(lambda: any(found.serial_number for found in scan.tools()))
        return scan.tools()[0].bonded


def test_both_people_compare_the_same_six_digits() -> None:
    async def scenario() -> None:
        tool = RawTool(new_air(), Options(), Security(method=Method.NUMERIC))
        await switched_on(tool)
        assert await known(tool.air) is (False if BLUEZ else None)
        async with Person.at(tool.air) as person:
            assert await level_of(tool) is Level.AUTHENTICATED
            assert person.compared == tool.guard.shown
        assert await known(tool.air) is (True if BLUEZ else None)
        assert await level_of(tool) is Level.AUTHENTICATED  # with the key, and nobody is asked

    run(scenario())


@pytest.mark.parametrize("who", ["computer", "tool"])
def test_one_of_the_two_says_no(who: str) -> None:
    async def scenario() -> None:
        tool = RawTool(new_air(), Options(), NOBODY_AGREES if who == "tool" else Security(method=Method.NUMERIC))
        await switched_on(tool)
        async with Person.at(tool.air, confirms=who == "tool"):
            await refused(tool)

    run(scenario())


def test_the_passkey_is_typed_wrong_and_then_right() -> None:
    async def scenario() -> None:
        tool = RawTool(new_air(), Options(), Security(method=Method.PASSKEY, passkey=123456))
        await switched_on(tool)
        async with Person.at(tool.air, passkey=123457):
            await refused(tool)
        async with Person.at(tool.air, passkey=123456):
            assert await level_of(tool) is Level.AUTHENTICATED

    run(scenario())


def test_whom_nobody_can_ask_is_let_in_and_trusted_less() -> None:
    async def scenario() -> None:
        tool = RawTool(new_air(), Options(), Security(method=Method.NOTHING))
        await switched_on(tool)
        assert await level_of(tool) is Level.ENCRYPTED

    run(scenario())


def test_a_tool_that_asks_for_no_encryption_is_not_taken_for_the_one_with_the_bond() -> None:
    """The same address and serial number, and a table that is open to everybody: not a word is said to it."""

    async def scenario() -> None:
        where = new_air()
        tool = SimTool(where, Options(), Security(method=Method.NOTHING))
        await switched_on(tool)
        nexus = Nexus(make_transport(url_of(where, "", bond="yes")), cache=None)
        await nexus.open()
        await nexus.close()
        await tool.close()
        impostor = Impostor(where, Options())
        await switched_on(impostor)
        with pytest.raises((KeyLostError, LinkLostError, PairingError)):
            await nexus.open()
        await nexus.close()
        assert impostor.counts.received == 0

    run(scenario())


@pytest.mark.in_process  # BlueZ encrypts by itself, whatever it is asked for
def test_without_the_bond_that_tool_would_be_taken() -> None:
    """Control."""

    async def scenario() -> None:
        impostor = Impostor(new_air(), Options())
        await switched_on(impostor)
        nexus = Nexus(make_transport(url_of(impostor.air, "")), cache=None)
        await nexus.open()
        await nexus.close()
        assert impostor.counts.received > 0

    run(scenario())
