"""Finders, one round of all of them shared by everybody, and the verdicts of what may go wrong."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Sequence, Set
from dataclasses import replace

import pytest
from driving import run
from reachable import Bus, Plugged

from nexuslink.device import discovery as module
from nexuslink.device import errors as device_errors
from nexuslink.device.discovery import Discovery
from nexuslink.device.errors import BadAnswerError, DeviceError
from nexuslink.device.finders import CARRIERS, NOBODY, FixedFinder, FoundTool, SerialFinder, SimulatedFinder, heard
from nexuslink.device.verdict import KINDS, LINE_MAX, Verdict, judge
from nexuslink.transport import errors as transport_errors
from nexuslink.transport.ble_nearby import Found
from nexuslink.transport.errors import TransportError, UrlError


class Slow:
    name, quick = "a slow finder", False

    def __init__(self, seconds: float) -> None:
        self.asked = self.ended = 0
        self._seconds = seconds

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        self.asked += 1
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.ended += 1
        return [FoundTool("slow", "ble://NX-9", False, "", "NX-9")]


def test_ports_without_usb_are_no_tools_and_the_rest_says_what_it_is() -> None:
    bus = Bus()
    bus.ports = [
        Plugged("/dev/ttyUSB1", "NX-000123", manufacturer="Maker"),
        Plugged("/dev/ttyS0", vid=None),
        Plugged("/dev/ttyACM0", None, description="n/a", product=None),
    ]

    async def work() -> None:
        found = await Discovery([SerialFinder(bus), SimulatedFinder()]).look()
        assert [tool.url for tool in found] == ["serial:/dev/ttyACM0", "serial:/dev/ttyUSB1", "sim:?script=good-psoas"]
        assert found[1].serial_number == "NX-000123"
        assert found[1].identity == "usb:1209:0001:NX-000123"
        assert (found[0].serial_number, found[0].identity) == (None, "")
        assert [tool.simulated for tool in found] == [False, False, True]
        assert [tool.rank for tool in found] == [CARRIERS.index(tool.scheme) for tool in found]

    run(work())


def test_everybody_who_asks_meanwhile_shares_one_look() -> None:
    async def work() -> None:
        slow = Slow(0.05)
        discovery = Discovery([slow])
        answers = await asyncio.gather(*(discovery.look() for _ in range(10)))
        assert slow.asked == 1
        assert all(answer == answers[0] for answer in answers)
        await discovery.look()
        assert slow.asked == 2

    run(work())


def test_who_gives_up_ends_the_look_for_nobody_else_and_the_last_one_ends_it() -> None:
    async def work() -> None:
        slow = Slow(0.2)
        discovery = Discovery([slow])
        first, second = (asyncio.create_task(discovery.look()) for _ in range(2))
        await asyncio.sleep(0.02)
        first.cancel()
        assert len(await second) == 1
        third = asyncio.create_task(discovery.look())
        await asyncio.sleep(0.02)
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        assert (slow.asked, slow.ended) == (2, 2)

    run(work())


def test_a_slow_finder_is_waited_for_no_longer_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_BOUND_S", 0.1)

    async def work() -> None:
        discovery = Discovery([Slow(30.0), FixedFinder(["tcp:127.0.0.1:1"])])
        assert [tool.url for tool in await discovery.look()] == ["tcp:127.0.0.1:1"]
        assert discovery.troubles == {"a slow finder": "a slow finder: no answer within 0.1 s"}
        assert [tool.url for tool in await discovery.look(quick=True)] == ["tcp:127.0.0.1:1"]

    run(work())


def test_a_crowd_is_cut_and_nobody_is_listed_twice() -> None:
    class Crowd:
        name, quick = "the air", True

        async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
            return [FoundTool(f"n{n}", f"ble://{n % 500}", False, "") for n in range(100_000)]

    async def work() -> None:
        assert len(await Discovery([Crowd(), Crowd()]).look()) == module.FOUND_MAX

    run(work())


def test_what_a_radio_hears_becomes_a_line() -> None:
    near = Found("Nexus 0123", "NX-000123", "AA:BB", -61.4, 0.1, False, True, "odd", "ble://NX-000123")
    tool = heard(near)
    assert (tool.detail, tool.identity) == ("Bluetooth, -61 dBm; odd", "ble:AA:BB")
    assert (tool.bonded, tool.rssi_dbm, tool.scheme, tool.serial_number) == (True, -61.4, "ble", "NX-000123")
    assert tool.dial == "ble://NX-000123?timeout=2"
    assert heard(replace(near, url="ble://A?radio=x")).dial == "ble://A?radio=x&timeout=2"
    assert heard(replace(near, url="ble://A?timeout=9")).dial == "ble://A?timeout=9"
    assert FoundTool("", "serial:A", False, "", identity="usb:1").dial == "serial:A"
    assert heard(replace(near, rssi_dbm=math.nan, doubt=None)).detail == "Bluetooth"


def test_an_address_has_one_owner() -> None:
    discovery, one, other = Discovery([]), object(), object()
    assert discovery.hold("a:1", one)
    assert discovery.hold("a:1", one)
    assert not discovery.hold("a:1", other)
    assert discovery.held("a:1", other)
    discovery.release("a:1", other)
    assert not discovery.held("a:1", one)
    discovery.release("a:1", one)
    assert discovery.hold("a:1", other)


# ---- verdicts -------------------------------------------------------------------------------------------------------
def test_every_named_error_has_a_verdict_that_is_not_our_own_mistake() -> None:
    for room in (transport_errors, device_errors):
        for _, kind in inspect.getmembers(room, inspect.isclass):
            if kind.__module__ == room.__name__:
                error = kind("a: b; do c", 3) if kind is device_errors.RefusedError else kind("a: b; do c")
                judged = judge(error)
                assert judged.verdict is not Verdict.BROKEN, kind
                assert judged.sentence == "a: b; do c"
    assert set(KINDS.values()) < set(Verdict)


def test_only_an_impossible_address_is_hopeless_and_a_mistake_of_ours_says_so() -> None:
    assert not judge(UrlError("x")).again
    assert judge(TransportError("x")).again
    assert judge(DeviceError("x")).verdict is Verdict.REFUSED
    ours = judge(ZeroDivisionError("division"))
    assert (ours.verdict, ours.sentence) == (Verdict.BROKEN, "ZeroDivisionError: division; report this")
    assert judge(OSError()).sentence == "OSError"


def test_whatever_an_error_says_becomes_one_line() -> None:
    hostile = BadAnswerError("line one\nline two\t\x1b[31m" + "x" * 10_000)
    sentence = judge(hostile).sentence
    assert len(sentence) == LINE_MAX
    assert sentence.isprintable()
