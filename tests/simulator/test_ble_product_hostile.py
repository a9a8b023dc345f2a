"""What means harm on the air, over the product's whole path: list, connection, stream. A line or a count, no more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from air_bench import run, until
from ble_claims import CLAIM, SERVICE, part
from ble_shouter import Shouter
from ble_side import OPEN
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air, air
from nexus_simulator.options import Options
from test_ble_product import assert_nothing_lost, nexus_on, tool_on_air

from nexuslink.device.nexus import Nexus
from nexuslink.protocol import messages as wire
from nexuslink.protocol.envelope import pack_response
from nexuslink.transport.ble_scan import BleScan
from nexuslink.transport.errors import NotANexusError, OutOfReachError, TransportError
from nexuslink.transport.url import make_transport

BIDI, ESCAPE = "\u202e\u2066evil", "\x1b[2J\x07\r\n"
HOSTILE: dict[str, tuple[bytes, bytes]] = {
    "foreign, with our UUID": (CLAIM, b""),
    "not UTF-8": (CLAIM + part(0x09, b"\xff\xfe\xc3"), part(0x21, SERVICE + b"\xff\xfe\x00")),
    "marks of direction": (CLAIM, part(0x09, BIDI.encode()) + part(0x21, SERVICE)),
    "control characters": (CLAIM, part(0x09, ESCAPE.encode()) + part(0x21, SERVICE + b"\x1b[2J")),
    "oversize": (CLAIM * 8, part(0x21, SERVICE + b"N" * 200)),
    "lengths that lie": (CLAIM[:-4], b"\xff\x09name"),
    "nothing": (b"", b""),
}


async def hostile_crowd(where: Air) -> list[Shouter]:
    """One radio for each, that says so again and again."""
    crowd = []
    for number, said in enumerate(HOSTILE.values(), 1):
        shouter = Shouter(where)
        shouter.go_on(number, *said)
        crowd.append(shouter)
    return crowd


def test_a_hostile_crowd_hides_nobody_and_spoils_no_line() -> None:
    async def scenario() -> None:
        tool = await tool_on_air()
        crowd = await hostile_crowd(tool.air)
        radio = f"bumble:air:{tool.air.name}"
        async with BleScan(radio) as scan:
            await asyncio.sleep(3.0)
            listed = scan.tools()
            assert scan.counts.odd > 0
        assert [t.serial_number for t in listed if t.serial_number] == ["SIM-00000"]
        assert len(listed) > 3
        for one in listed:
            assert f"{one.name}{one.url}{one.doubt}".isprintable(), one
            assert len(one.name) <= 32
        nexus = nexus_on(tool.air)  # "the only one near": the others name no serial number
        await nexus.open()
        assert nexus.info.serial_number == "SIM-00000"
        await nexus.close()
        with pytest.raises(OutOfReachError) as missing:
            await make_transport(f"ble://NX-1?timeout=2&radio={radio}").open(Nothing())
        assert str(missing.value).isprintable()  # it names who is near
        with pytest.raises(TransportError) as refused:  # a foreign device that somebody points at
            await make_transport(f"{next(t.url for t in listed if not t.serial_number)}").open(Nothing())
        assert str(refused.value).isprintable()
        for shouter in crowd:
            shouter.close()
        await tool.close()

    run(scenario(), limit_s=100.0)


class Nothing:
    """A sink."""

    def chunk(self, _: object) -> None: ...
    def closed(self, _: str) -> None: ...


class Lacking(NexusPeripheral):
    """One characteristic or service of its table has another UUID."""

    lacks = ""

    def _fill(self, radio: Any) -> None:
        made = radio.server.entry

        def entry(uuid: str, *args: Any, **kwargs: Any) -> Any:
            return made("abcd" if uuid == self.lacks else uuid, *args, **kwargs)

        radio.server.entry = entry
        super()._fill(radio)


NEEDED = {wire.NEXUS_STREAM_UUID: "STREAM", wire.NEXUS_CONTROL_UUID: "CONTROL"}
TABLE = (
    *NEEDED, wire.SERVICE_CHANGED_UUID, wire.MANUFACTURER_NAME_UUID, wire.MODEL_NUMBER_UUID, wire.SERIAL_NUMBER_UUID,
    wire.FIRMWARE_REVISION_UUID, wire.HARDWARE_REVISION_UUID, wire.BATTERY_LEVEL_UUID, wire.SMP_CHARACTERISTIC_UUID,
)  # fmt: skip


@pytest.mark.parametrize("uuid", TABLE)
def test_a_table_that_lacks_one_characteristic(uuid: str) -> None:
    """What the stream needs is one line with what to do; without the rest it streams."""

    async def scenario() -> None:
        where = air(f"lacking {uuid}")
        tool = Lacking(Options(), where, OPEN)
        tool.lacks = uuid
        await tool.start()
        nexus = nexus_on(where)
        if uuid in NEEDED:
            with pytest.raises(NotANexusError, match=f"lacks the characteristic {NEEDED[uuid]}.*; update its firmware"):
                await nexus.open()
        else:
            await nexus.open()
            await nexus.start()
            await asyncio.sleep(0.3)
            await nexus.stop()
            assert nexus.decoder.link.received > 5
            await nexus.close()
        await until(lambda: tool.connection is None)
        await tool.close()

    run(scenario())


def notify(tool: NexusPeripheral, value: bytes, control: bool = False) -> None:
    radio, connection = tool._radio, tool.connection
    assert radio is not None and connection is not None
    assert radio.server.notify(connection, radio.control if control else radio.stream, value)


async def streaming() -> tuple[NexusPeripheral, Nexus]:
    tool = await tool_on_air()
    nexus = nexus_on(tool.air)
    await nexus.open()
    for stream in nexus.info.streams:
        await nexus.configure(stream.stream, 1000.0)
    await nexus.start()
    return tool, nexus


def test_notifications_that_are_no_messages_are_counted_and_the_stream_goes_on() -> None:
    bad = [bytes([0xEE]) * size for size in (1, 244, 245, 512, 513, 2000)]
    bad += [b"", b"\x05\0\0\0", b"\x02\0", b"\x02\0\0\0\0\0\0"]  # unknown, cut short

    async def scenario() -> None:
        tool, nexus = await streaming()
        for control in (False, True):
            for value in bad:
                notify(tool, value, control)
                await asyncio.sleep(0.05)
            for request_id in range(50):  # answers that nobody waits for
                notify(tool, pack_response(request_id, 0x4000 + request_id, wire.Opcode.TARE, 0, b"\0" * 40), True)
                await asyncio.sleep(0.01)
        await nexus.stop()
        totals, counts = tool.tool.firmware.totals, nexus.decoder.counts
        assert nexus.transport.odd == 2 * 3  # type: ignore[attr-defined]  # 0, 513, 2000
        assert nexus.decoder.frames.bad_length == 2 * 4  # 1, 2, 245, 512
        assert counts.unknown_type + counts.malformed == 2 * 3
        assert nexus.requests.foreign + nexus.requests.late >= 100
        nexus.transport._odd = nexus.transport._connection.intake.odd = 0  # type: ignore[attr-defined]
        await nexus.close()
        await tool.close()
        assert_nothing_lost(nexus, totals, 1.0)

    run(scenario())


def test_a_flood_is_counted_and_ends_with_close() -> None:
    """As fast as the air carries it, beside the stream: what the tool could not send it has counted itself."""

    async def scenario() -> None:
        tool, nexus = await streaming()
        flooding = True

        def more() -> None:
            connection = tool.connection
            if flooding and connection is not None and connection.data_packet_queue is not None:
                while connection.data_packet_queue.pending < 8:
                    notify(tool, b"\xee" * 244)

        assert tool._radio is not None and tool._radio.host.le_acl_packet_queue is not None
        tool._radio.host.le_acl_packet_queue.on("flow", more)
        await asyncio.sleep(2.0)
        flooding = False
        await nexus.stop()
        totals, link = tool.tool.firmware.totals, nexus.decoder.link
        assert nexus.decoder.counts.unknown_type > 300
        assert (link.received, link.lost, link.overrun) == (totals.sent, 0, totals.dropped)
        began = asyncio.get_running_loop().time()
        await nexus.close()
        assert asyncio.get_running_loop().time() - began < 3.0
        await tool.close()

    run(scenario())
