"""bleak on the virtual radio, used as anybody uses bleak."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from air_bench import run, until
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from bleak.exc import BleakGATTProtocolError as GattError
from nexus_simulator.ble.backend import Radio, advertisement_of, open_radio
from nexus_simulator.ble.pairing import Level, Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air, air
from nexus_simulator.options import Options

from nexuslink.protocol.envelope import pack_request
from nexuslink.protocol.messages import (
    BATTERY_LEVEL_UUID,
    NEXUS_CONTROL_UUID,
    NEXUS_SERVICE_UUID,
    NEXUS_STREAM_UUID,
    SERIAL_NUMBER_UUID,
    SMP_CHARACTERISTIC_UUID,
    HelloRequest,
    Opcode,
    StartRequest,
)


class World:
    """Tools on one air, and a host with bleak."""

    def __init__(self, name: str, tools: int = 1, settings: str = "", **security: Any) -> None:
        self.air: Air = air(name)
        self.tools = [NexusPeripheral(Options(seed=n), name, Security(**security)) for n in range(tools)]
        self.radio: Radio = open_radio(f"air:{settings}{name}")

    async def __aenter__(self) -> World:
        for tool in self.tools:
            await tool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.radio.close()
        for tool in self.tools:
            await tool.close()
        assert self.air.links == []

    async def find(self, tool: int = 0) -> BLEDevice:
        serial = self.tools[tool].serial_number.encode()
        found = await BleakScanner.find_device_by_filter(
            lambda _, adv: adv.service_data.get(NEXUS_SERVICE_UUID) == serial,
            timeout=3.0,
            service_uuids=[NEXUS_SERVICE_UUID],
            backend=self.radio.scanner_backend,
            **self.radio.scanner_kwargs,
        )
        assert found is not None
        return found

    def client(self, where: BLEDevice | str, **how: Any) -> BleakClient:
        return BleakClient(where, backend=self.radio.client_backend, **self.radio.client_kwargs, **how)


def play(scenario: Any, *args: Any, **world: Any) -> None:
    async def scene() -> None:
        async with World(*args, **world) as here:
            await scenario(here)

    run(scene(), limit_s=200.0)


async def streams(client: BleakClient, seconds: float = 1.0) -> list[bytes]:
    got: list[bytes] = []
    await client.start_notify(NEXUS_STREAM_UUID, lambda _, data: got.append(bytes(data)))
    await client.start_notify(NEXUS_CONTROL_UUID, lambda _, data: None)
    for n, (opcode, asked) in enumerate(((Opcode.HELLO, HelloRequest(1, 0)), (Opcode.START, StartRequest(3))), 1):
        await client.write_gatt_char(NEXUS_CONTROL_UUID, pack_request(n, n, opcode, asked.pack()), response=True)
    await asyncio.sleep(seconds)
    return got


def test_found_read_paired_streamed_gone() -> None:
    async def scenario(world: World) -> None:
        device = await world.find()
        assert device.name == "Nexus 00"
        gone: list[BleakClient] = []
        client = world.client(device, disconnected_callback=gone.append)
        await client.connect()
        assert client.is_connected
        assert client.mtu_size == 247
        assert client.services.get_characteristic(NEXUS_CONTROL_UUID).max_write_without_response_size == 244
        assert bytes(await client.read_gatt_char(SERIAL_NUMBER_UUID)) == b"SIM-00000"
        assert 0 < (await client.read_gatt_char(BATTERY_LEVEL_UUID))[0] <= 100
        world.tools[0].press_button()
        await client.pair()
        got = await streams(client)
        assert [int.from_bytes(m[2:4], "little") for m in got] == list(range(len(got)))
        assert len(got) > 90
        await client.disconnect()
        assert gone == [client]
        await client.disconnect()
        assert not client.is_connected

    play(scenario, "whole")


def test_without_pairing_refused_at_once() -> None:
    async def scenario(world: World) -> None:
        async with world.client(await world.find()) as client:
            for attempt in (
                client.start_notify(NEXUS_STREAM_UUID, lambda *_: None),
                client.write_gatt_char(NEXUS_CONTROL_UUID, b"x", response=True),
            ):
                with pytest.raises(GattError, match="Insufficient Authentication"):
                    await attempt
            with pytest.raises(BleakError, match="PAIRING_NOT_SUPPORTED"):
                await client.pair()
            assert client.is_connected

    play(scenario, "unpaired")


def test_a_bond_is_used_by_itself_and_one_that_the_tool_forgot_is_not() -> None:
    async def scenario(world: World) -> None:
        [tool] = world.tools
        device = await world.find()
        tool.press_button()
        async with world.client(device) as client:
            await client.pair()
        async with world.client(device) as client:
            assert tool.level is Level.AUTHENTICATED
            await streams(client)
        await tool.guard.forget()
        async with world.client(device) as client:
            assert tool.level is Level.OPEN
            with pytest.raises(GattError):
                await client.start_notify(NEXUS_STREAM_UUID, lambda *_: None)
            with pytest.raises(BleakError):
                await client.pair()  # the host still believes in its bond
            await client.unpair()
            assert not client.is_connected
        tool.press_button()
        async with world.client(device) as client:
            await client.pair()
            assert await streams(client)

    play(scenario, "bonds")


@pytest.mark.parametrize(("typed", "level"), [("123456", Level.AUTHENTICATED), ("654321", Level.OPEN)])
def test_a_passkey_from_the_radios_address(typed: str, level: Level) -> None:
    async def scenario(world: World) -> None:
        world.tools[0].press_button()
        async with world.client(await world.find()) as client:
            if level is Level.OPEN:
                with pytest.raises(BleakError, match="CONFIRM_VALUE_FAILED"):
                    await client.pair()
            else:
                await client.pair()
            assert world.tools[0].level is level

    play(scenario, f"typed{typed}", settings=f"[passkey={typed}]", method=Method.PASSKEY, passkey=123456)


def test_a_host_that_can_show_nothing_is_not_authenticated() -> None:
    async def scenario(world: World) -> None:
        world.tools[0].press_button()
        async with world.client(await world.find()) as client:
            await client.pair()
            assert world.tools[0].level is Level.ENCRYPTED
            with pytest.raises(GattError):
                await client.start_notify(SMP_CHARACTERISTIC_UUID, lambda *_: None)

    play(scenario, "mute", settings="[io=none]")


def test_several_at_once_on_one_adapter() -> None:
    async def scenario(world: World) -> None:
        devices = [await world.find(n) for n in range(3)]
        clients = [world.client(device) for device in devices]
        for tool in world.tools:
            tool.press_button()
        await asyncio.gather(*(client.connect() for client in clients))
        await asyncio.gather(*(client.pair() for client in clients))
        for got in await asyncio.gather(*(streams(client, 2.0) for client in clients)):
            assert [int.from_bytes(m[2:4], "little") for m in got] == list(range(len(got)))
            assert len(got) > 150
        world.tools[1].crash()
        await until(lambda: not clients[1].is_connected)
        assert clients[0].is_connected
        assert clients[2].is_connected

    play(scenario, "three", tools=3)


def test_nobody_there_is_told_in_time_and_harms_nothing() -> None:
    async def scenario(world: World) -> None:
        device = await world.find()
        world.tools[0].leave()
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await world.client(device, timeout=1.5).connect()
        assert asyncio.get_running_loop().time() - began < 2.5
        attempt = asyncio.ensure_future(world.client(device).connect())
        await asyncio.sleep(0.5)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        world.tools[0].return_()
        await asyncio.sleep(1.0)
        assert world.tools[0].connection is None  # the attempt that was given up does not come true
        async with world.client(device) as client:
            assert client.is_connected

    play(scenario, "absent")


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4])
def test_a_tool_that_goes_at_any_moment_of_connecting(after_s: float) -> None:
    async def scenario(world: World) -> None:
        [tool] = world.tools
        device = await world.find()
        client = world.client(device, timeout=5.0)
        attempt = asyncio.ensure_future(client.connect())
        await asyncio.sleep(after_s)
        tool.crash()
        done, _ = await asyncio.wait([attempt], timeout=8.0)
        assert done
        assert isinstance(attempt.exception(), (BleakError, TimeoutError))
        assert not client.is_connected
        tool.restart()
        await asyncio.sleep(3.0)
        await client.connect()
        await client.disconnect()

    play(scenario, f"going{after_s}")


def test_an_attempt_given_up_at_any_moment_leaves_the_tool_free() -> None:
    async def scenario(world: World) -> None:
        [tool] = world.tools
        device = await world.find()
        for step in range(60):
            client = world.client(device)
            attempt = asyncio.ensure_future(client.connect())
            await asyncio.sleep(step * 0.008)
            attempt.cancel()
            await asyncio.wait([attempt], timeout=5.0)
            assert attempt.done()
            if not attempt.cancelled():  # it was there already
                await client.disconnect()
            await until(lambda: tool.connection is None and not world.air.links, 3.0)
        async with world.client(device) as client:
            assert client.is_connected

    play(scenario, "given-up")


def test_bluetooth_off_and_on() -> None:
    async def scenario(world: World) -> None:
        device = await world.find()
        gone: list[object] = []
        client = world.client(device, disconnected_callback=gone.append)
        await client.connect()
        world.air.adapter_off()
        await until(lambda: gone)
        scanner = BleakScanner(backend=world.radio.scanner_backend, **world.radio.scanner_kwargs)
        for attempt in (client.connect(), scanner.start()):
            with pytest.raises(BleakBluetoothNotAvailableError) as error:
                await attempt
            assert error.value.reason is BleakBluetoothNotAvailableReason.POWERED_OFF
        await scanner.stop()
        world.air.adapter_on()
        await world.find()
        await client.connect()

    play(scenario, "off")


def test_off_while_scanning() -> None:
    async def scenario(world: World) -> None:
        async with BleakScanner(backend=world.radio.scanner_backend, **world.radio.scanner_kwargs) as scanner:
            await asyncio.sleep(0.5)
            assert scanner.discovered_devices
            world.air.adapter_off()
            await asyncio.sleep(0.5)
        world.air.adapter_on()
        await world.find()

    play(scenario, "off-scanning")


def test_a_read_that_the_link_does_not_outlive() -> None:
    async def scenario(world: World) -> None:
        client = world.client(await world.find())
        await client.connect()
        world.tools[0].leave()
        with pytest.raises(BleakError, match="disconnected"):
            await client.read_gatt_char(SERIAL_NUMBER_UUID)
        with pytest.raises(BleakError):
            await client.read_gatt_char(SERIAL_NUMBER_UUID)

    play(scenario, "cut")


def test_two_users_share_an_adapter_and_the_last_one_closes_it() -> None:
    async def scenario(world: World) -> None:
        other = open_radio(world.radio._address.text)
        device = await world.find()
        assert other.adapter is world.radio.adapter
        client = world.client(device)
        await client.connect()
        await other.close()
        assert client.is_connected
        await world.radio.close()
        assert not client.is_connected

    play(scenario, "shared")


def test_two_computers_on_one_air_have_bonds_of_their_own() -> None:
    async def scenario(world: World) -> None:
        [tool] = world.tools
        tool.press_button()
        async with world.client(await world.find()) as client:
            await client.pair()
        world.radio, first = open_radio("air:[host=2]two"), world.radio
        async with world.client(await world.find()) as client:
            assert tool.level is Level.OPEN
        await first.close()

    play(scenario, "two")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("air:", "the air has no name"),
        ("nothing", "not a radio"),
        ("air:[passkey=abc]x", "not six digits"),
        ("air:[io=keyboard]x", "allowed: none"),
        ("air:[colour=red]x", "no such setting; there are: host"),
    ],
)
def test_addresses_that_are_none(address: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        open_radio(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["tcp-client:127.0.0.1:1", "nonsense:1", "tcp-client:nowhere", "unix-client:/nope"])
def test_a_radio_that_is_not_there(address: str) -> None:
    async def scenario() -> None:
        radio = open_radio(address)
        scanner = BleakScanner(backend=radio.scanner_backend, **radio.scanner_kwargs)
        with pytest.raises(BleakBluetoothNotAvailableError) as error:
            await scanner.start()
        assert address in str(error.value)
        await radio.close()

    run(scenario(), real=True)


def test_any_advertisement_can_be_read() -> None:
    rng = random.Random(1)
    for _ in range(5000):
        adv = advertisement_of(rng.randbytes(rng.randrange(62)), -50)
        assert adv.rssi == -50
    wrong = advertisement_of(b"\x05\x09\xff\xfe\xfdN" + b"\x02\x0a\xf6" + b"\x30\x09too long", -90)
    assert wrong.local_name == "too long"
    assert wrong.tx_power == -10
