"""Peers that mean harm: whatever they send, the tool goes on, and the next host finds it as it was."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import Callable, Iterator

import pytest
from air_bench import Central, is_gapless, run, until
from bumble import att, hci
from nexus_simulator.ble.air_link import QUEUE_MAX
from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air

from nexuslink.protocol.messages import (
    NEXUS_CONTROL_UUID,
    SMP_CHARACTERISTIC_UUID,
    HelloRequest,
    Opcode,
    Status,
)

ATT, SIGNALLING, SMP = 4, 5, 6


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Bumble says a lot about what it is sent here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def still_works(air: Air, tool: NexusPeripheral) -> None:
    """Another host comes, pairs and streams."""
    await until(lambda: tool.connection is None)
    host = await Central(air, 9).meet(tool)
    await host.start()
    await asyncio.sleep(1.0)
    assert is_gapless(host)
    assert host.data
    host.gone()
    await tool.close()


def att_noise(rng: random.Random) -> tuple[int, bytes]:
    opcode = rng.choice([*range(0x20), 0x52, 0xD2, rng.randrange(256)])
    return ATT, bytes([opcode]) + struct.pack("<H", rng.choice([0, 8, 9, 11, 12, 34, 0xFFFF])) + rng.randbytes(
        rng.randrange(40)
    )


def smp_noise(rng: random.Random) -> tuple[int, bytes]:
    return SMP, bytes([rng.randrange(16)]) + rng.randbytes(rng.choice([0, 1, 6, 16, 64]))


def signalling_noise(rng: random.Random) -> tuple[int, bytes]:
    body = rng.randbytes(rng.randrange(24))
    return SIGNALLING, bytes([rng.randrange(0x1B), rng.randrange(256)]) + struct.pack("<H", len(body)) + body


def any_noise(rng: random.Random) -> tuple[int, bytes]:
    return rng.randrange(256), rng.randbytes(rng.randrange(60))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("noise", [att_noise, smp_noise, signalling_noise, any_noise])
def test_noise_on_every_channel(noise: Callable[[random.Random], tuple[int, bytes]], paired: bool) -> None:
    async def scenario() -> None:
        rng = random.Random(5)
        air = Air()
        air.paced = False
        tool = NexusPeripheral(None, air)
        await tool.start()
        host = Central(air)
        if paired:
            await host.meet(tool)
            await host.start()
        else:
            tool.press_button()
            await host.connect(tool)
        for _ in range(400):
            if host.lost:
                await until(lambda: tool.connection is None)
                host.lost.clear()
                await host.connect(tool)
            host.connection.send_l2cap_pdu(*noise(rng))
            if rng.random() < 0.05:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        host.gone()
        await still_works(air, tool)

    run(scenario(), limit_s=300.0)


def test_a_flood_of_requests_is_paced_and_answered_busy() -> None:
    async def scenario() -> None:
        air = Air()
        tool = NexusPeripheral(None, air)
        await tool.start()
        host = await Central(air).meet(tool)
        await host.start()
        control = host.find(NEXUS_CONTROL_UUID).handle
        for n in range(1000):
            request = b"\x01\0" + struct.pack("<HHBB", n & 0xFFFF, 1000 + n, Opcode.TOTALS, 0)
            host.connection.send_l2cap_pdu(ATT, bytes(att.ATT_Write_Request(control, request)))
        await asyncio.sleep(20.0)
        assert tool.counts.received == 1002  # HELLO and START among them
        assert tool.tool.firmware.ignored_requests < 1000
        assert is_gapless(host)  # what found no room beside all those answers was dropped before it got a number
        host.gone()
        await still_works(air, tool)

    run(scenario(), limit_s=100.0)


def test_over_long_writes_and_unknown_handles_are_refused() -> None:
    async def scenario() -> None:
        air = Air()
        tool = NexusPeripheral(None, air)
        await tool.start()
        host = await Central(air).meet(tool)
        control = host.find(NEXUS_CONTROL_UUID).handle
        codes = att.ErrorCode

        async def refused(handle: int, data: bytes, code: int) -> None:
            with pytest.raises(att.ATT_Error) as error:
                await host.peer.gatt_client.write_value(handle, data, with_response=True)
            assert error.value.error_code == code

        await refused(control, bytes(245), codes.INVALID_ATTRIBUTE_LENGTH)
        await refused(control, bytes(512), codes.INVALID_ATTRIBUTE_LENGTH)
        await refused(control, bytes(600), codes.INVALID_ATTRIBUTE_LENGTH)
        await refused(0xFFFF, b"1", codes.INVALID_HANDLE)
        await refused(control - 1, b"1", codes.WRITE_NOT_PERMITTED)  # the characteristic's declaration
        await refused(3, b"another name", codes.WRITE_NOT_PERMITTED)
        with pytest.raises(att.ATT_Error) as error:
            await host.peer.gatt_client.read_value(control)
        assert error.value.error_code == codes.READ_NOT_PERMITTED
        assert (await host.ask(Opcode.HELLO, HelloRequest(1, 0).pack())).status == Status.OK
        host.gone()
        await still_works(air, tool)

    run(scenario())


def test_an_mtu_that_changes_in_the_middle() -> None:
    async def scenario() -> None:
        air = Air()
        tool = NexusPeripheral(None, air)
        await tool.start()
        host = await Central(air).meet(tool)
        await host.start()
        for mtu in (23, 0, 1, 65535, 30, 100, 247, 23, 185):
            host.connection.send_l2cap_pdu(ATT, bytes(att.ATT_Exchange_MTU_Request(mtu)))
            await asyncio.sleep(0.3)
            assert tool.tool.max_message == min(247, mtu if mtu >= 23 else 247 if mtu == 65535 else tool.mtu) - 3
        assert tool.counts.too_long == 0
        host.gone()
        await still_works(air, tool)

    run(scenario())


def test_update_frames_that_never_end() -> None:
    async def scenario() -> None:
        air = Air()
        tool = NexusPeripheral(None, air)
        await tool.start()
        host = await Central(air).meet(tool)
        update = host.find(SMP_CHARACTERISTIC_UUID)
        await update.write_value(bytes((2, 0, 0xFF, 0xFF, 0, 0, 0, 0)))
        await update.write_value(bytes((9,) * 200))
        for _ in range(100):
            await update.write_value(bytes((2, 0, 7, 0xFF, 0, 0, 0, 0)) + bytes(200))
        await asyncio.sleep(1.0)
        assert tool.updates.malformed >= 2
        assert len(tool.updates._waiting) <= 2048 + 300
        host.gone()
        await still_works(air, tool)

    run(scenario())


def test_a_host_that_sends_without_leave_loses_its_own_packets() -> None:
    async def scenario() -> None:
        air = Air()
        tool = NexusPeripheral(None, air)
        await tool.start()
        host = await Central(air).meet(tool)
        [handle] = host.device.connections
        for _ in range(500):
            host.controller.on_packet(bytes(hci.HCI_AclDataPacket(handle, 0, 0, 27, bytes(27))))
        assert air.counts.overrun >= 500 - QUEUE_MAX
        await asyncio.sleep(2.0)
        host.gone()
        await still_works(air, tool)

    run(scenario())


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.thorough) for n in range(1, 6))])
def test_an_adapter_survives_any_bytes_from_its_host(seed: int) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        air = Air()
        tool = NexusPeripheral(None, air)
        await tool.start()
        adapter = AirController("fuzzed", air, adapter=True)
        opcodes = sorted(hci.HCI_Command.command_classes)
        for _ in range(2000):
            body = rng.randbytes(rng.choice([0, 1, 2, 6, 15, 25, 31, 32]))
            kind = rng.random()
            if kind < 0.7:
                packet = struct.pack("<BHB", 1, rng.choice(opcodes), len(body)) + body
            elif kind < 0.9:
                packet = struct.pack("<BHH", 2, rng.randrange(1 << 16), len(body)) + body
            else:
                packet = rng.randbytes(rng.randrange(1, 30))
            adapter.on_packet(packet)
            if rng.random() < 0.02:
                await asyncio.sleep(0.02)
        adapter.remove()
        await still_works(air, tool)

    run(scenario(), limit_s=300.0)
