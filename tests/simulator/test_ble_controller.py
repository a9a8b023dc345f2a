"""The mended virtual controller: each mend, and beside it what bumble's own does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from air_bench import Central, run, until
from bumble import hci
from bumble.controller import Controller
from bumble.core import AdvertisingData
from bumble.device import Device, DeviceConfiguration, Peer
from bumble.host import Host
from bumble.link import LocalLink
from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.host import QuietHost
from nexus_simulator.ble.radio import Air

TOOL = hci.Address("C1:00:00:00:00:01")
ADVERTISED, RESPONSE = b"\x02\x01\x06", b"\x05\x09Tool"


class Pair:
    """A peripheral and a central, on mended controllers or on bumble's own."""

    def __init__(self, mended: bool) -> None:
        if mended:
            air = Air()
            self.controllers: list[Any] = [AirController("tool", air), AirController("host", air, adapter=True)]
        else:
            link = LocalLink()
            self.controllers = [
                Controller("tool", link=link, public_address="00:00:00:00:00:11"),
                Controller("host", link=link, public_address="00:00:00:00:00:22"),
            ]
        self.tool, self.host = (
            Device(config=DeviceConfiguration(name="x", address=address), host=Host(controller, controller))
            for controller, address in zip(self.controllers, (TOOL, hci.Address("C2:00:00:00:00:02")), strict=True)
        )

    async def __aenter__(self) -> Pair:
        await self.tool.power_on()
        await self.host.power_on()
        await self.advertise()
        return self

    async def __aexit__(self, *_: object) -> None:
        for controller in self.controllers:
            for advertiser in (controller.le_legacy_advertiser, *controller.advertising_sets.values()):
                advertiser.stop()
            if isinstance(controller, AirController):
                controller.remove()

    async def advertise(self) -> None:
        await self.tool.start_advertising(
            advertising_data=ADVERTISED,
            scan_response_data=RESPONSE,
            advertising_interval_min=100.0,
            advertising_interval_max=100.0,
        )

    async def reports(self, seconds: float) -> list[Any]:
        seen: list[Any] = []
        self.host.host.on("advertising_report", seen.append)
        await self.host.start_scanning(legacy=True)
        await asyncio.sleep(seconds)
        await self.host.stop_scanning(legacy=True)
        return seen


def play(mended: bool, scenario: Any) -> None:
    async def scene() -> None:
        async with Pair(mended) as pair:
            await scenario(pair)

    run(scene())


@pytest.mark.parametrize("mended", [True, False])
def test_a_scan_response_is_not_the_advertisement(mended: bool) -> None:
    async def scenario(pair: Pair) -> None:
        data = {bytes(report.data) for report in await pair.reports(1.0)}
        assert data == ({ADVERTISED, RESPONSE} if mended else {ADVERTISED})

    play(mended, scenario)


@pytest.mark.parametrize("mended", [True, False])
def test_the_advertising_interval_is_what_was_asked_for(mended: bool) -> None:
    async def scenario(pair: Pair) -> None:
        if not mended:  # its host would use the other kind of advertising
            pair.controllers[0].le_features = AirController.le_features
            await pair.tool.stop_advertising()
            await pair.tool.host.reset()
            await pair.advertise()
        count = len(await pair.reports(20.0)) / 2
        assert (180 < count < 201) is mended  # 100 ms and up to 10 more; bumble takes 160 units for ms

    play(mended, scenario)


@pytest.mark.parametrize("mended", [True, False])
def test_an_attempt_to_connect_can_be_taken_back(mended: bool) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.tool.stop_advertising()
        attempt = asyncio.ensure_future(pair.host.connect_le(TOOL, timeout=0.5))
        done, _ = await asyncio.wait([attempt], timeout=3.0)
        assert bool(done) is mended
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        await pair.advertise()
        await asyncio.sleep(1.0)
        assert bool(pair.controllers[0].le_connections) is not mended  # bumble connects, with nobody waiting for it

    play(mended, scenario)


@pytest.mark.parametrize("mended", [True, False])
def test_a_reset_leaves_nothing_connected(mended: bool) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.host.connect_le(TOOL, timeout=2.0)
        pair.controllers[1].on_packet(bytes(hci.HCI_Reset_Command()))  # a host that has crashed and starts again
        await asyncio.sleep(3.0)
        assert bool(pair.tool.connections) is not mended
        assert bool(pair.controllers[1].le_connections) is not mended

    play(mended, scenario)


@pytest.mark.parametrize("mended", [True, False])
def test_a_host_with_a_public_address_is_heard(mended: bool) -> None:
    """As BlueZ connects."""

    async def scenario(pair: Pair) -> None:
        connection = await pair.host.connect_le(TOOL, own_address_type=hci.OwnAddressType.PUBLIC, timeout=2.0)
        try:
            async with asyncio.timeout(2.0):
                assert await Peer(connection).request_mtu(100) == 100
                heard = True
        except TimeoutError:
            heard = False
        assert heard is mended
        await connection.disconnect()

    play(mended, scenario)


@pytest.mark.parametrize("mended", [True, False])
def test_a_command_that_nobody_knows_is_answered(mended: bool) -> None:
    async def scenario(pair: Pair) -> None:
        answers: list[bytes] = []
        pair.host.host.set_packet_sink(None)
        pair.controllers[1].host = type("Sink", (), {"on_packet": lambda _, packet: answers.append(packet)})()
        unknown = b"\x01\xfe\xff\x00"  # a vendor's
        known = bytes(hci.HCI_Read_Remote_Version_Information_Command(1))
        for packet in (unknown, known):
            pair.controllers[1].on_packet(packet)
        await asyncio.sleep(0.01)
        assert (len(answers) == 2) is mended

    play(mended, scenario)


def test_it_promises_linux_only_what_it_does() -> None:
    async def scenario() -> None:
        host = await Central(Air()).on()
        features = host.device.host.local_le_features
        for missing in (hci.LeFeatureMask.LL_PRIVACY, hci.LeFeatureMask.LE_EXTENDED_ADVERTISING):
            assert not features & missing
            assert Controller.le_features & missing
        queue = host.device.host.le_acl_packet_queue
        assert queue is not None
        assert queue.max_packet_size == 251
        host.gone()

    run(scenario())


def test_a_peripheral_learns_the_real_parameters() -> None:
    async def scenario(pair: Pair) -> None:
        await pair.host.connect_le(TOOL, timeout=2.0)
        await until(lambda: pair.tool.connections)
        [theirs] = pair.tool.connections.values()
        [ours] = pair.host.connections.values()
        assert theirs.parameters.connection_interval == ours.parameters.connection_interval == 15.0
        assert theirs.parameters.supervision_timeout == ours.parameters.supervision_timeout == 720.0
        await ours.disconnect()

    play(True, scenario)


def test_a_disconnect_of_nothing_is_answered() -> None:
    async def scenario(pair: Pair) -> None:
        with pytest.raises(hci.HCI_Error):
            await pair.host.send_async_command(hci.HCI_Disconnect_Command(connection_handle=77, reason=0x13))

    play(True, scenario)


def test_a_passive_scan_gets_no_response() -> None:
    async def scenario(pair: Pair) -> None:
        seen: list[Any] = []
        pair.host.host.on("advertising_report", seen.append)
        await pair.host.start_scanning(active=False)
        await asyncio.sleep(1.0)
        await pair.host.stop_scanning()
        assert {bytes(report.data) for report in seen} == {ADVERTISED}
        assert AdvertisingData.from_bytes(ADVERTISED).ad_structures

    play(True, scenario)


@pytest.mark.parametrize("mended", [True, False])
def test_an_answer_that_is_given_up_as_it_comes_is_no_error(mended: bool) -> None:
    """An adapter that is switched off in the middle of an attempt to connect."""
    failed: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
        controller = AirController("host", Air())
        host = (QuietHost if mended else Host)(controller, controller)
        await host.reset()
        asking = asyncio.ensure_future(host.send_sync_command(hci.HCI_Read_BD_ADDR_Command()))
        await asyncio.sleep(0)  # asked, and the answer is on its way
        assert host.pending_response is not None
        host.pending_response.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.1)
        controller.remove()

    run(scenario())
    assert [type(error) for error in failed] == ([] if mended else [asyncio.InvalidStateError])
