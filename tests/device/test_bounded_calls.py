"""Every public call over Bluetooth ends in bounded time, whatever the other side stops doing: one table, virtual time.

The software radio's own bounds are switched off, so that what ends a call is this program's: most of bleak's calls on
real systems have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from air_kept import OPEN, new_air
from bumble import gatt_client
from moments.air import CLOSE_BOUND_S, until
from moments.alone import alone
from nexus_simulator.ble import adapter, backend
from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.pairing import StrictSession
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.table import StrictServer
from nexus_simulator.options import Options

from nexuslink.device.control import WALL_BOUND_S
from nexuslink.device.discovery import LOOK_BOUND_S, Discovery
from nexuslink.device.errors import DeviceError
from nexuslink.device.finders import RadioFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.supervisor import OFF_BOUND_S, Supervisor
from nexuslink.protocol.messages import Opcode
from nexuslink.transport import ble, ble_scan
from nexuslink.transport.ble_lifeline import CANCEL_S
from nexuslink.transport.ble_scan import BleScan
from nexuslink.transport.errors import TransportError
from nexuslink.transport.url import make_transport

FIND_S, PAIRING_S = 2.0, 3.0
SCAN_S = ble_scan.START_TIMEOUT_S + 2 * ble_scan.STOP_TIMEOUT_S + 3 * CANCEL_S
"""To begin to listen, and to end it."""
CLOSE_S = ble.DISCONNECT_TIMEOUT_S + ble.CLOSE_TIMEOUT_S + 2 * CANCEL_S
OPEN_S = SCAN_S + FIND_S + ble.CONNECT_TIMEOUT_S + PAIRING_S + 3 * CANCEL_S + CLOSE_S
ASK_S = 1.0 + ble.WRITE_TIMEOUT_S + CANCEL_S
"""One request, where the write of it does not get through either."""


# ---- what stops -----------------------------------------------------------------------------------------------------
def adapter_dead(where: pytest.MonkeyPatch) -> None:
    """The adapter takes commands and says nothing any more."""
    taken = AirController.on_packet

    def on_packet(self: AirController, packet: bytes) -> None:
        if not self.adapter:
            taken(self, packet)

    where.setattr(AirController, "on_packet", on_packet)


def tool_mute(where: pytest.MonkeyPatch) -> None:
    """The tool's radio lives, and answers nothing that GATT asks."""
    where.setattr(StrictServer, "on_gatt_pdu", lambda *_: None)


def pairing_stuck(where: pytest.MonkeyPatch) -> None:
    """Pairing begins and never ends."""
    where.setattr(StrictSession, "on_smp_command", lambda *_: None)


def disconnect_unconfirmed(where: pytest.MonkeyPatch) -> None:
    """The adapter never says that a connection has ended."""
    where.setattr(AirController, "on_hci_disconnect_command", lambda *_: None)


def tool_silent(where: pytest.MonkeyPatch) -> None:
    """GATT works, and the tool itself hangs."""
    where.setattr(NexusPeripheral, "_written", lambda *_: None)


def nothing(_: pytest.MonkeyPatch) -> None:
    """The control: all is well."""


HANGS = (nothing, adapter_dead, tool_mute, pairing_stuck, disconnect_unconfirmed, tool_silent)


# ---- who is asked ---------------------------------------------------------------------------------------------------
@dataclass
class Bench:
    """One tool, and whatever a call needs."""

    tool: NexusPeripheral
    ends: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    @property
    def radio(self) -> str:
        return f"bumble:air:{self.tool.air.name}"

    def nexus(self) -> Nexus:
        url = f"ble://{self.tool.serial_number}?timeout={FIND_S:g}&pairing={PAIRING_S:g}&radio={self.radio}"
        made = Nexus(make_transport(url))
        self.ends.append(made.close)
        return made

    def supervisor(self) -> Supervisor:
        discovery = Discovery([RadioFinder(self.radio)])
        made = Supervisor(self.tool.serial_number, discovery, streaming=True, rng=Random(1), cache=None)
        self.ends.append(made.disconnect)
        return made


async def opened(bench: Bench) -> Nexus:
    nexus = bench.nexus()
    await nexus.open()
    return nexus


async def streaming(bench: Bench) -> Nexus:
    nexus = await opened(bench)
    await nexus.start()
    return nexus


async def connected(bench: Bench) -> Supervisor:
    supervisor = bench.supervisor()
    supervisor.connect()
    await supervisor.up(10.0)
    return supervisor


async def connecting(bench: Bench) -> Supervisor:
    supervisor = bench.supervisor()
    supervisor.connect()
    return supervisor


async def scanning(bench: Bench) -> BleScan:
    scan = BleScan(bench.radio)

    async def leave() -> None:
        await scan.__aexit__(None, None, None)

    bench.ends.append(leave)
    await scan.__aenter__()
    return scan


async def unopened(bench: Bench) -> Nexus:
    return bench.nexus()


async def bare(bench: Bench) -> Bench:
    return bench


async def listen(bench: Bench) -> None:
    async with BleScan(bench.radio):
        pass


async def read_on(nexus: Nexus) -> None:
    """A reader learns that nothing comes any more, from whoever asks."""
    asking = asyncio.create_task(nexus.request(Opcode.TOTALS))
    try:
        async for _ in nexus.stream():
            if asking.done():
                break
    finally:
        await asyncio.gather(asking, return_exceptions=True)


async def wait_a_while(supervisor: Supervisor) -> None:
    await asyncio.sleep(1.0)
    await supervisor.disconnect()


Ready = Callable[[Bench], Awaitable[Any]]
CALLS: dict[str, tuple[Ready, Callable[[Any], Awaitable[object]], float]] = {
    "transport.open": (unopened, lambda n: n.transport.open(n), OPEN_S),
    "transport.write": (opened, lambda n: n.transport.write(b"x"), ble.WRITE_TIMEOUT_S + CANCEL_S),
    "transport.close": (opened, lambda n: n.transport.close(), CLOSE_S),
    "scan": (bare, listen, SCAN_S),
    "scan.find": (scanning, lambda s: s.find(lambda _: False, FIND_S), FIND_S + CANCEL_S),
    "scan's end": (scanning, lambda s: s.__aexit__(None, None, None), 3 * ble_scan.STOP_TIMEOUT_S + 2 * CANCEL_S),
    "ble_tools": (bare, lambda b: ble_scan.ble_tools(FIND_S, b.radio), FIND_S + SCAN_S),
    "discovery.look": (bare, lambda b: Discovery([RadioFinder(b.radio)]).look(), LOOK_BOUND_S + CANCEL_S),
    "nexus.open": (unopened, lambda n: n.open(), OPEN_S + 2 * WALL_BOUND_S + CLOSE_S),
    "nexus.request": (opened, lambda n: n.request(Opcode.TOTALS), ASK_S),
    "nexus.start": (opened, lambda n: n.start(), ASK_S),
    "nexus.stop": (streaming, lambda n: n.stop(), ASK_S),
    "nexus.totals": (opened, lambda n: n.totals(), ASK_S),
    "nexus.refresh": (opened, lambda n: n.refresh(), ASK_S),
    "nexus.restart": (opened, lambda n: n.restart(), 5.0 + 2 * ASK_S),
    "nexus.stream": (streaming, read_on, ASK_S + ble.WRITE_TIMEOUT_S),
    "nexus.close": (streaming, lambda n: n.close(), CLOSE_BOUND_S),
    "supervisor.up": (connecting, lambda s: s.up(4.0), 4.0),
    "supervisor.disconnect": (connected, lambda s: s.disconnect(), OFF_BOUND_S),
    "supervisor.disconnect on its way": (connecting, wait_a_while, 1.0 + OFF_BOUND_S),
}
"""What is to be ready, the call, and its bound, seconds."""
FOR_EVER_S = 1e6
SLACK_S = 0.05
"""Of the software radio's own steps."""


def without_bounds(where: pytest.MonkeyPatch) -> None:
    """The software radio waits for ever, as bleak does on real systems."""
    where.setattr(adapter, "OPEN_S", FOR_EVER_S)
    where.setattr(backend, "PAIRING_S", FOR_EVER_S)
    where.setattr(backend.BumbleClient._bounded, "__defaults__", (FOR_EVER_S,))
    where.setattr(gatt_client, "GATT_REQUEST_TIMEOUT", FOR_EVER_S)


PLAIN = ("transport.open", "transport.write", "transport.close", "scan", "nexus.open", "supervisor.disconnect")
"""Tried in every run; the others with the thorough ones."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in PLAIN else pytest.mark.thorough) for name in CALLS]
)
def test_it_ends_whatever_hangs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_bounds(monkeypatch)
    took = {hang.__name__: alone(one_call(name, hang)) for hang in HANGS}
    late = [f"{hang}: {seconds:.2f} s" for hang, (seconds, _) in took.items() if seconds > CALLS[name][2] + SLACK_S]
    assert not late
    assert not [left for _, left in took.values() if left]


async def one_call(name: str, hang: Callable[[pytest.MonkeyPatch], None]) -> float:
    """How long it took; whatever it raised is an error of ours, and one line."""
    ready, call, _ = CALLS[name]
    bench = Bench(NexusPeripheral(Options(seed=3, force_rate=100.0, imu_rate=100.0), new_air(), OPEN))
    loop = asyncio.get_running_loop()
    await bench.tool.start()
    try:
        asked = await ready(bench)
        with pytest.MonkeyPatch.context() as where:
            hang(where)
            began = loop.time()
            try:
                await call(asked)
            except (TransportError, DeviceError) as error:
                assert len(str(error).splitlines()) == 1
            took = loop.time() - began
            for end in bench.ends:
                async with asyncio.timeout(CLOSE_BOUND_S):
                    await end()
    finally:
        await bench.tool.close()
    await until(lambda: not {task for task in asyncio.all_tasks() if task is not asyncio.current_task()})
    return took


def test_without_a_bound_it_would_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the hangs are hangs, and it is the program's bound that ends a call."""
    without_bounds(monkeypatch)
    monkeypatch.setattr(ble, "WRITE_TIMEOUT_S", 1e6)

    async def work() -> bool:
        bench = Bench(NexusPeripheral(Options(seed=3), new_air(), OPEN))
        await bench.tool.start()
        nexus = await opened(bench)
        with pytest.MonkeyPatch.context() as where:
            tool_mute(where)
            writing = asyncio.create_task(nexus.transport.write(b"x"))
            done, _ = await asyncio.wait({writing}, timeout=100.0)
        await nexus.close()
        await asyncio.gather(writing, return_exceptions=True)
        await bench.tool.close()
        return bool(done)

    assert alone(work()) == (False, [])
