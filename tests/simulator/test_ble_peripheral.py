"""The simulated tool on the air, as a host sees it that is none of ours: bumble's own GATT client."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest
from air_bench import Central, is_gapless, run, until
from bumble.core import UUID
from bumble.gatt import Characteristic
from nexus_simulator.ble.pairing import Level, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air
from nexus_simulator.options import Options, parse_options

from nexuslink.protocol.envelope import take_stream
from nexuslink.protocol.messages import (
    BATTERY_LEVEL_UUID,
    FIRMWARE_REVISION_UUID,
    MANUFACTURER_NAME_UUID,
    MIN_LINK_MESSAGE,
    MODEL_NUMBER_UUID,
    RESET_MAGIC,
    SERIAL_NUMBER_UUID,
    SMP_CHARACTERISTIC_UUID,
    EventKind,
    EventMessage,
    HelloRequest,
    HelloResponse,
    Opcode,
    ResetRequest,
    StartRequest,
    Status,
)

GATT = Path(__file__).parents[2] / "firmware_protocol" / "schema" / "gatt.toml"


async def tool_on(air: Air, **options: str) -> NexusPeripheral:
    tool = NexusPeripheral(parse_options(options), air)
    await tool.start()
    return tool


def test_a_client_of_somebody_else_reads_who_it_is_and_its_battery() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air, seed="42", battery="61")
        host = await Central(air).connect(tool)
        texts = [
            (await host.find(uuid).read_value()).decode()
            for uuid in (MANUFACTURER_NAME_UUID, MODEL_NUMBER_UUID, SERIAL_NUMBER_UUID, FIRMWARE_REVISION_UUID)
        ]
        assert texts == ["nexuslink (simulated)", "Core Nexus sim", "SIM-00042", "1.0.0"]
        assert list(await host.find(BATTERY_LEVEL_UUID).read_value()) == [61]
        host.gone()
        await tool.close()

    run(scenario())


def test_the_table_is_that_of_the_schema() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air)
        host = await Central(air).connect(tool)
        found = {
            service.uuid: {c.uuid: Characteristic.Properties(c.properties) for c in service.characteristics}
            for service in host.peer.services
        }
        schema = tomllib.loads(GATT.read_text())["service"]
        for service in schema:
            flags = {
                UUID(c["uuid"]): Characteristic.Properties.from_string(
                    "|".join(p.replace("-", "_").upper() for p in c["properties"])
                )
                for c in service["characteristics"]
            }
            assert found.pop(UUID(service["uuid"])) == flags, service["name"]
        assert list(found) == [UUID("1800")]  # the stack's own: device name and appearance
        for name in ("1801", "180a", "180f"):  # asked for by its 16 bits, it answers to them
            assert await host.peer.discover_service(UUID(name))
        host.gone()
        await tool.close()

    run(scenario())


def test_it_advertises_name_service_and_serial_number() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air, seed="7")
        host = await Central(air).on()
        seen = []
        host.device.on(host.device.EVENT_ADVERTISEMENT, seen.append)
        await host.device.start_scanning()
        await until(lambda: len(seen) > 3)
        await host.device.stop_scanning()
        parts = dict(seen[-1].data.ad_structures)
        assert parts[0x09] == b"Nexus 07"
        service = UUID("4e580001-5d2b-4c3a-9b1e-6b8f2a7c90d4").to_bytes()
        assert parts[0x07] == service
        assert parts[0x21] == service + b"SIM-00007"
        assert seen[-1].address == tool.address
        host.gone()
        await tool.close()

    run(scenario())


def test_an_interval_that_is_too_long_makes_the_tool_drop_and_count() -> None:
    async def scenario() -> None:
        air = Air()
        air.interval_ms = 400.0  # a busy phone: 8 packets each 0.4 s
        tool = await tool_on(air)
        host = await Central(air).meet(tool)
        await host.start()
        await asyncio.sleep(20.0)
        assert host.statuses[-1].interval_us == 400_000
        air.interval_ms = 7.5
        host.gone()
        await until(lambda: tool.connection is None)
        assert tool.tool.firmware.totals.dropped > 100
        assert tool.counts.too_long == 0
        assert is_gapless(host), "the tool numbers what leaves it, and what left has arrived"
        await tool.close()

    run(scenario(), limit_s=100.0)


@pytest.mark.parametrize("mtu", [23, 50, MIN_LINK_MESSAGE + 2])
def test_a_link_that_is_too_small_is_refused_by_the_protocol(mtu: int) -> None:
    async def scenario() -> None:
        air = Air()
        air.mtu_max = mtu
        tool = await tool_on(air)
        host = await Central(air).meet(tool)
        for opcode, payload in ((Opcode.HELLO, HelloRequest(1, 0).pack()), (Opcode.START, StartRequest(3).pack())):
            assert (await host.ask(opcode, payload)).status == Status.LINK_TOO_SMALL
        assert tool.tool.max_message == mtu - 3
        host.gone()
        await tool.close()

    run(scenario())


def test_nothing_comes_before_start() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air)
        host = await Central(air).meet(tool)
        await host.ask(Opcode.HELLO, HelloRequest(1, 0).pack())
        await asyncio.sleep(5.0)
        assert host.stream == []
        host.gone()
        await tool.close()

    run(scenario())


def test_who_listens_is_told_of_the_button_and_of_the_battery() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air, script="dying-battery")
        host = await Central(air).meet(tool)
        charge: list[int] = []
        await host.find(BATTERY_LEVEL_UUID).subscribe(lambda value: charge.append(value[0]))
        await host.start()
        tool.press_button()
        await asyncio.sleep(15.0)
        events = [e for e in map(take_stream, host.stream) if isinstance(e, EventMessage)]
        assert [(e.kind, e.value) for e in events] == [(EventKind.BUTTON, 3000)]
        assert charge == sorted(charge, reverse=True)
        assert len(set(charge)) == len(charge) > 1
        host.gone()
        await tool.close()

    run(scenario(), limit_s=100.0)


@pytest.mark.parametrize(
    ("script", "comes_back"), [pytest.param("dying-battery", False, marks=pytest.mark.thorough), ("lost-link", True)]
)
def test_a_tool_that_ends_the_link_by_itself(script: str, comes_back: bool) -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air, script=script)
        host = await Central(air).meet(tool)
        await host.start()
        await until(lambda: host.lost, 100.0)
        assert host.lost == [0x13]  # it has said so
        seen: list[object] = []
        host.device.on(host.device.EVENT_ADVERTISEMENT, seen.append)
        await host.device.start_scanning()
        await asyncio.sleep(2.0)
        await host.device.stop_scanning()
        assert bool(seen) is comes_back
        host.gone()
        await tool.close()

    run(scenario(), limit_s=200.0)


def test_a_host_that_went_away_leaves_a_tool_that_can_be_found() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air)
        first = await Central(air, 1).meet(tool)
        await first.start()
        first.gone()
        await until(lambda: tool.connection is None, 2.5)
        second = await Central(air, 2).meet(tool)
        await second.start()
        await asyncio.sleep(1.0)
        assert is_gapless(second)
        assert second.stream
        second.gone()
        await tool.close()
        assert air.links == []

    run(scenario())


def test_a_reset_answers_then_starts_anew() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air)
        host = await Central(air).meet(tool)
        await host.start()
        before = tool.tool.firmware.boot_id
        assert (await host.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack())).status == Status.OK
        await until(lambda: host.lost)
        again = await Central(air, 2).meet(tool)
        hello = HelloResponse.unpack((await again.ask(Opcode.HELLO, HelloRequest(1, 0).pack())).payload)
        assert hello is not None
        assert hello.boot_id != before
        host.gone()
        again.gone()
        await tool.close()

    run(scenario())


@pytest.mark.parametrize("how", ["crash", "restart", "leave"])
def test_whatever_happens_to_the_tool_the_host_notices_and_finds_it_again(how: str) -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air)
        host = await Central(air).meet(tool)
        await host.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        getattr(tool, how)()
        await until(lambda: host.lost)
        assert loop.time() - began < 2.1  # the supervision time-out that the tool has asked for
        if how == "crash":
            await asyncio.sleep(1.0)
            tool.restart()
        elif how == "leave":
            assert tool.connection is None
            tool.return_()
        await host.connect(tool)  # the bond is still there on both sides
        await host.connection.encrypt()
        assert tool.level is Level.AUTHENTICATED
        host.stream.clear()
        await host.listen()
        await host.start()
        await asyncio.sleep(0.5)
        assert is_gapless(host)
        assert host.stream
        host.gone()
        await tool.close()

    run(scenario())


def test_several_tools_on_one_air_at_once() -> None:
    async def scenario() -> None:
        air = Air()
        tools = [await tool_on(air, seed=str(n)) for n in range(3)]
        hosts = [await Central(air, n).meet(tool) for n, tool in enumerate(tools)]
        for host in hosts:
            await host.start()
        await asyncio.sleep(2.0)
        for host in hosts:
            assert is_gapless(host)
            assert len(host.data) > 150
            host.gone()
        for tool in tools:
            await tool.close()

    run(scenario())


def test_an_update_is_answered_not_supported() -> None:
    async def scenario() -> None:
        air = Air()
        tool = await tool_on(air)
        host = await Central(air).meet(tool)
        answers: list[bytes] = []
        update = host.find(SMP_CHARACTERISTIC_UUID)
        await update.subscribe(answers.append)
        echo = bytes((2, 0, 0, 3, 0, 0, 9, 0)) + b"\xa1\x61\x64"
        await update.write_value(echo[:5])  # in pieces, as a small MTU does it
        await update.write_value(echo[5:])
        await until(lambda: answers)
        assert answers == [bytes((3, 0, 0, 5, 0, 0, 9, 0)) + b"\xa1\x62rc\x08"]
        host.gone()
        await tool.close()

    run(scenario())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"drop": "0.1"}, "drop: a fault of a serial line"),
        ({"defect": "nothing-like-it"}, "there is no such defect"),
    ],
)
def test_options_that_a_tool_on_the_air_cannot_have(options: dict[str, str], says: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match=says):
            NexusPeripheral(parse_options(options), Air())

    run(scenario())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not JSON", "bonds cannot be kept there"),
        ("[]", "bonds cannot be kept there"),
        ('{"SIM-00000 subscriptions": 5}', "subscriptions cannot be read there"),
        ('{"SIM-00000 subscriptions": {"host": {"12": "zz"}}}', "subscriptions cannot be read there"),
    ],
)
def test_bonds_cannot_be_kept_in_a_file_of_something_else(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bonds"
    file.write_text(text)

    async def scenario() -> None:
        with pytest.raises(ValueError, match=says):
            NexusPeripheral(Options(), Air(), Security(keys=file))

    run(scenario())
