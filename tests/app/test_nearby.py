"""Listening for tools on a real GATT stack's radio in software: told at once, kept up to date, stopped for good."""

import asyncio
import itertools
import sys
from pathlib import Path

import pytest

pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")
sys.path.append(str(Path(__file__).parents[1] / "simulator"))

from air_bench import run, until
from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import air
from nexus_simulator.options import Options

from nexuslink.app.near_list import AWAY_S
from nexuslink.app.nearby import Near, Nearby
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import NOBODY, RadioFinder, SimulatedFinder
from nexuslink.device.remembered import RememberedTool, RememberedTools

OPEN = Security(method=Method.NOTHING, always_open=True)
_numbers = itertools.count()


class Room:
    """Tools on an air of their own, and who listens there."""

    def __init__(self, *seeds: int, remembered: RememberedTools | None = None, finders=()) -> None:
        self.air = air(f"near-{next(_numbers)}")
        self.tools = [NexusPeripheral(Options(seed=seed), self.air, OPEN) for seed in seeds]
        self.finders = [RadioFinder(f"bumble:air:{self.air.name}"), SimulatedFinder(), *finders]
        self.nearby = Nearby(Discovery(self.finders), remembered or RememberedTools(lambda: None))
        self.told: list[Near] = []

    async def __aenter__(self) -> "Room":
        for tool in self.tools:
            await tool.start()
        self.nearby.start(self.told.append)
        return self

    async def __aexit__(self, *_) -> None:
        await self.nearby.stop()
        for tool in self.tools:
            await tool.close()

    @property
    def now(self) -> Near:
        return self.told[-1] if self.told else Near()

    def present(self) -> set[str | None]:
        return {tool.serial_number for tool in self.now.tools if tool.present and tool.carriers}


def test_the_first_list_comes_before_the_radio_has_listened():
    async def work():
        async with Room(3, 4) as room:
            await until(lambda: any(tool.simulated for tool in room.now.tools))
            assert not room.now.settled
            await until(lambda: room.present() == {"SIM-00003", "SIM-00004"})
            assert not room.now.settled
            await until(lambda: room.now.settled)
            assert all(1 <= tool.bars <= 4 for tool in room.now.tools if tool.carriers)
            assert room.now.radio is None

    run(work())


def test_out_of_range_is_marked_and_back_in_its_place():
    async def work():
        async with Room(3, 4) as room:
            await until(lambda: len(room.present()) == 2)
            order = [tool.key for tool in room.now.tools]
            room.tools[0].leave()
            await until(lambda: room.present() == {"SIM-00004"})
            assert [tool.key for tool in room.now.tools] == order
            room.tools[0].return_()
            await until(lambda: len(room.present()) == 2)
            assert [tool.key for tool in room.now.tools] == order

    run(work())


def test_a_radio_that_is_switched_off_is_said_and_found_again():
    async def work():
        async with Room(3) as room:
            room.air.adapter_off()
            await until(lambda: room.now.radio is not None)
            assert room.now.settled  # nobody needs to wait for a radio that is off
            assert room.now.radio.words == "Bluetooth is off."
            assert room.present() == set()
            room.air.adapter_on()
            await until(lambda: room.present() == {"SIM-00003"})
            assert room.now.radio is None
            room.air.adapter_off()  # in the middle of listening
            await until(lambda: room.now.radio is not None)
            assert room.present() == set()

    run(work())


def test_a_radio_that_does_not_exist_keeps_nobody_from_the_others():
    async def work():
        room = Room()
        room.nearby = Nearby(Discovery([RadioFinder("nonesuch:"), SimulatedFinder()]), RememberedTools(lambda: None))
        async with room:
            await until(lambda: room.now.settled)
            assert room.now.radio.words == "Bluetooth does not work here."
            assert "nonesuch" in room.now.radio_sentence
            assert len(room.now.tools) == 1

    run(work())


def test_a_driver_that_never_answers_keeps_nobody_waiting():
    class Stuck:
        name = "a stuck driver"
        quick = True

        async def find(self, wanted=NOBODY):
            await asyncio.Event().wait()

    async def work():
        async with Room(3, finders=[Stuck()]) as room:
            await until(lambda: room.present() == {"SIM-00003"})
            assert not room.now.settled
            await until(lambda: room.now.settled)  # its bound

    run(work())


def test_renamed_and_forgotten_at_once(tmp_path):
    async def work():
        remembered = RememberedTools(lambda: tmp_path)
        remembered.keep(RememberedTool("SIM-00003", urls=("ble://SIM-00003",)))
        async with Room(3, remembered=remembered) as room:
            await until(lambda: room.present() == {"SIM-00003"})
            assert room.now.tools[0].remembered
            await room.nearby.rename("SIM-00003", "Studio")
            assert room.now.tools[0].title == "Studio"
            await room.nearby.forget("SIM-00003")
            assert not room.now.tools[0].remembered
        assert remembered.all() == []

    run(work())


def test_nothing_is_told_after_the_stop_and_it_can_begin_again():
    async def work():
        room = Room(3)
        for _ in range(3):
            async with room:
                await until(lambda: room.present() == {"SIM-00003"})
            count = len(room.told)
            await asyncio.sleep(2 * AWAY_S)
            assert len(room.told) == count
            room.told.clear()
            room.nearby.start(room.told.append)
            await until(lambda: room.told)  # looking again, whoever was there a moment ago keeps the place
            assert [tool.serial_number for tool in room.now.tools] == ["SIM-00003", None]
        await room.nearby.stop()

    run(work())
