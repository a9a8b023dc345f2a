"""Listening on the air: who is there, who is not any more, and what hostile devices make of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import pytest
from links import AT_END, BLUEZ, run, until

if not BLUEZ:
    pytest.importorskip("bumble", reason="BLE scans: needs the package bumble, of the extra virtual-ble")

from ble_claims import CLAIM, SERVICE, part
from ble_side import OPEN, Air, RawTool, Shouter, bound, new_air, on_the_air, radio_of, url_of
from nexus_simulator.options import Options

from nexuslink.transport.ble_nearby import BAD_SERIAL, NO_SERIAL, TWICE, Found
from nexuslink.transport.ble_scan import DEAF_S, RETRY_S, BleScan, ble_tools
from nexuslink.transport.errors import LinkLostError, RadioOffError, TransportError
from nexuslink.transport.url import make_transport

pytestmark = pytest.mark.filterwarnings("error")
FORGET_S = 4.0 if BLUEZ else 0.6


async def tool_on(where: Air, seed: int) -> RawTool:
    tool = RawTool(where, Options(seed=seed), OPEN)
    AT_END.append(tool.close)
    await tool.start()
    return tool


def test_tools_come_and_go_and_the_list_stays_in_order() -> None:
    async def scenario() -> None:
        where = new_air()
        first = await tool_on(where, 1)
        async with BleScan(radio_of(where), forget_s=FORGET_S) as scan:
            await until(lambda: len(scan.tools()) == 1)
            second = await tool_on(where, 2)
            await until(lambda: [t.serial_number for t in scan.tools()] == ["SIM-00001", "SIM-00002"])
            one = scan.tools()[0]
            assert one.name == "Nexus 01" and one.simulated and one.doubt is None
            assert one.url == url_of(where, "//SIM-00001")
            assert -75 < one.rssi_dbm < -40 and one.silent_s < FORGET_S
            first.leave()
            await until(lambda: [t.serial_number for t in scan.tools()] == ["SIM-00002"])
            assert scan.counts.forgotten == 1
            first.return_()
            await until(lambda: [t.serial_number for t in scan.tools()] == ["SIM-00002", "SIM-00001"])
            second.leave()
            assert await scan.find(lambda t: t.serial_number == "SIM-00099", 0.1) is None
            found = await scan.find(lambda t: t.serial_number == "SIM-00001", 1.0)
            assert found is not None

    run(scenario())


def test_what_is_in_the_list_can_be_connected() -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where, 5)
        async with BleScan(radio_of(where)) as scan:
            found = await scan.find(lambda t: t.serial_number == "SIM-00005", bound(0.5))
        assert found is not None
        transport = make_transport(found.url)

        class Sink:
            def chunk(self, _: object) -> None: ...
            def closed(self, _: str) -> None: ...

        await transport.open(Sink())
        await transport.write(b"hello")
        assert await tool.take(5) == b"hello"
        await transport.close()

    run(scenario())


def test_hostile_advertising_is_shown_as_what_it_is_or_counted() -> None:
    async def scenario() -> dict[str, Found]:
        where = new_air()
        await tool_on(where, 1)
        shouter = Shouter(where)
        data = part(0x21, SERVICE + b"SIM-00001")
        said: dict[int, tuple[bytes, bytes]] = {
            1: (CLAIM, b""),
            2: (CLAIM, data),
            3: (CLAIM, part(0x21, SERVICE + b"\xff\xfe\x00")),
            4: (CLAIM + part(0x09, b"\xff\xfe\x1b[2J"), part(0x21, SERVICE + b"N" * 40)),
            5: (part(0x09, b"not us"), b""),
            6: (b"\xff" * 31, b"\x00" * 31),
            7: (b"", b""),
            8: (CLAIM[:-3], b""),
            9: (CLAIM * 60, data * 60),
        }
        async with BleScan(radio_of(where)) as scan:
            listed: dict[str, Found] = {}
            rounds = 0
            while rounds < 3 or not {"tool", "1", "2", "3", "4"} <= listed.keys():
                rounds += 1
                for number, (advertised, response) in said.items():
                    shouter.shout(number, advertised, response)
                await asyncio.sleep(0.15)
                listed = {who(t.address): t for t in scan.tools()}
        shouter.close()
        return listed

    def who(address: str) -> str:
        return str(int(address[-2:], 16)) if address.startswith("FF") else "tool"

    listed = run(scenario())
    assert listed["tool"].serial_number == "SIM-00001" and listed["tool"].doubt == TWICE
    assert listed["1"].doubt == NO_SERIAL
    assert listed["2"].doubt == TWICE and listed["2"].url.startswith("ble://FF:")
    assert listed["3"].doubt == BAD_SERIAL
    assert listed["4"].doubt == (NO_SERIAL if BLUEZ else BAD_SERIAL)  # Linux drops what is longer than it may be
    assert listed["4"].name.isprintable()
    assert "5" not in listed and "6" not in listed and "7" not in listed


@pytest.mark.in_process  # a thousand new devices keep the guest's bluetoothd busy for minutes
def test_a_storm_of_addresses_is_bounded() -> None:
    async def scenario() -> None:
        where = new_air()
        await tool_on(where, 1)
        shouter = Shouter(where)
        async with BleScan(radio_of(where)) as scan:
            for number in range(1000):
                shouter.shout(number, CLAIM)
                if number % 100 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            tools = scan.tools()
            assert len(tools) <= 64 and scan.counts.pushed_out > 900
            assert "SIM-00001" in {t.serial_number for t in tools}
        shouter.close()

    run(scenario())


def test_a_radio_that_is_off_says_so() -> None:
    async def scenario() -> None:
        where = new_air()
        await ble_tools(0.1, radio_of(where))
        where.adapter_off()
        with pytest.raises(RadioOffError, match=r"^ble: Bluetooth is off on this computer; switch it on$"):
            await ble_tools(0.1, radio_of(where))

    run(scenario())


def test_a_running_scan_hears_again_after_bluetooth_was_off_and_on() -> None:
    async def scenario() -> None:
        where = new_air()
        await tool_on(where, 1)
        async with BleScan(radio_of(where), forget_s=1.0) as scan:
            await until(lambda: bool(scan.tools()))
            assert scan.trouble is None and scan.restarts == 0
            where.adapter_off()
            await until(lambda: scan.trouble is not None)
            assert isinstance(scan.trouble, RadioOffError) and scan.tools() == []
            await asyncio.sleep(2.0 if BLUEZ else 20.0)
            assert isinstance(scan.trouble, RadioOffError)
            where.adapter_on()
            if not BLUEZ:  # how soon is judged where time can be
                await asyncio.sleep(RETRY_S + 0.5)
                assert scan.tools()
            await until(lambda: bool(scan.tools()) and scan.trouble is None)

    in_virtual_time(scenario())


@pytest.mark.in_process  # BlueZ takes longer than that to be off
def test_bluetooth_off_and_on_within_a_moment_is_noticed_by_the_silence() -> None:
    async def scenario() -> None:
        where = new_air()
        await tool_on(where, 1)
        async with BleScan(radio_of(where), forget_s=1.0) as scan:
            await until(lambda: bool(scan.tools()))
            where.adapter_off()
            where.adapter_on()
            await asyncio.sleep(DEAF_S - 0.5)
            assert scan.tools() == []  # control: it is deaf until then
            await asyncio.sleep(1.0)
            assert scan.tools() and scan.restarts == 1

    in_virtual_time(scenario())


def test_a_search_that_ends_with_bluetooth_off_says_so() -> None:
    async def scenario() -> None:
        where = new_air()
        transport = make_transport(url_of(where, "//SIM-00001"))
        opening = asyncio.create_task(transport.open(Silent()))
        await asyncio.sleep(1.0)
        where.adapter_off()
        with pytest.raises(RadioOffError, match="Bluetooth is off"):
            await opening

    class Silent:
        def chunk(self, _: object) -> None: ...
        def closed(self, _: str) -> None: ...

    in_virtual_time(scenario())


@pytest.mark.in_process  # a minute of real time
def test_where_no_tool_is_near_the_radio_is_asked_anew_now_and_then_only() -> None:
    async def scenario() -> None:
        async with BleScan(radio_of(new_air())) as scan:
            await asyncio.sleep(60.0)
            assert 15 <= scan.restarts <= 60.0 / DEAF_S and scan.trouble is None

    in_virtual_time(scenario())


def in_virtual_time(scenario: Coroutine[Any, Any, None]) -> None:
    if BLUEZ:
        run(scenario)
        return

    async def and_end() -> None:
        try:
            await scenario
        finally:
            while AT_END:
                await AT_END.pop()()

    on_the_air(and_end())


def test_giving_up_leaves_nothing() -> None:
    async def scenario() -> None:
        where = new_air()
        for wait_s in (0.0, 0.01, 0.1):
            task = asyncio.create_task(ble_tools(5.0, radio_of(where)))
            await asyncio.sleep(wait_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(scenario())


@pytest.mark.in_process
def test_an_address_of_nothing() -> None:
    async def scenario() -> None:
        for address in ("bumble:tcp-client:127.0.0.1:1", "bumble:nonsense:1", "bumble:", "acme:x"):
            with pytest.raises(TransportError) as caught:
                await ble_tools(0.1, address)
            assert len(str(caught.value).splitlines()) == 1 and not isinstance(caught.value, LinkLostError)

    run(scenario())


@pytest.mark.in_process
def test_nothing_of_bluetooth_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from nexuslink.transport.url import make_transport\n"
        "make_transport('ble://NX-1')\n"
        "import nexuslink.device.nexus, nexuslink.transport.ble_scan\n"
        "print([m for m in sys.modules if m.partition('.')[0] in ('bleak', 'bumble', 'dbus_fast')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout == "[]\n", ran.stderr
