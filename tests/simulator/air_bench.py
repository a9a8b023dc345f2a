"""For the tests of the virtual air: an event loop whose clock jumps, a plain bumble host, and words for the protocol.

The host is bumble's own GATT client: nothing of this project's.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

pytest.importorskip("bumble", reason="no virtual radio: pip install nexuslink[virtual-ble]")

from bumble import hci
from bumble.core import UUID
from bumble.device import Connection, ConnectionParametersPreferences, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air
from nexus_simulator.virtual_time import HANG_S, JumpingLoop

from nexuslink.protocol.envelope import Response, pack_request, take_response, take_stream
from nexuslink.protocol.messages import (
    NEXUS_CONTROL_UUID,
    NEXUS_STREAM_UUID,
    ConfigureRequest,
    HelloRequest,
    MessageType,
    Opcode,
    StartRequest,
    Status,
    StatusMessage,
)

T = TypeVar("T")


def run(scenario: Coroutine[Any, Any, T], *, real: bool = False, limit_s: float = HANG_S) -> T:
    """One scenario on a loop of its own. Afterwards no task, no timer and no thread may be left."""
    threads = set(threading.enumerate())

    async def guarded() -> T:
        async with asyncio.timeout(limit_s):
            result = await scenario
        await asyncio.sleep(0.05)  # what the last packets have set off
        loop = asyncio.get_running_loop()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left over"
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert not timers, f"a timer is left over: {timers}"
        return result

    with asyncio.Runner(loop_factory=None if real else JumpingLoop) as runner:
        result = runner.run(guarded())
    gc.collect()
    assert set(threading.enumerate()) == threads
    return result


async def until(condition: Callable[[], object], limit_s: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  (what is waited for has no event of its own)
            await asyncio.sleep(0.002)


class Person(PairingDelegate):
    """At the host: what is typed, and what is said to six digits."""

    def __init__(self, io: PairingDelegate.IoCapability, typed: int | None, agrees: bool) -> None:
        super().__init__(io)
        self.typed, self.agrees = typed, agrees
        self.compared: int | None = None

    async def compare_numbers(self, number: int, digits: int) -> bool:
        self.compared = number
        return self.agrees

    async def get_number(self) -> int | None:
        return self.typed


class Central:
    """A host with bumble's own stack."""

    def __init__(self, air: Air, number: int = 1, controller: type[AirController] = AirController) -> None:
        self.air = air
        self.controller = controller(f"host {number}", air, adapter=True)
        self.address = hci.Address(f"C0:00:00:00:00:{number:02X}", hci.Address.RANDOM_DEVICE_ADDRESS)
        config = DeviceConfiguration(name="host", address=self.address, irk=bytes([number] * 16))
        self.device = Device(config=config, host=Host(self.controller, self.controller))
        self.bonds = MemoryKeyStore()
        self.device.keystore = self.bonds
        self.person = Person(PairingDelegate.DISPLAY_OUTPUT_AND_YES_NO_INPUT, None, True)
        self.sc = self.mitm = True
        self.device.pairing_config_factory = lambda _: PairingConfig(
            self.sc, self.mitm, True, self.person, PairingConfig.AddressType.RANDOM
        )
        self.stream: list[bytes] = []
        self.responses: list[Response] = []
        self.lost: list[int] = []
        self.connection: Connection
        self.peer: Peer
        self._ids = 0

    async def on(self) -> Central:
        await self.device.power_on()
        return self

    async def connect(self, tool: NexusPeripheral, mtu: int = 247, **how: Any) -> Central:
        """Connect, exchange the MTU, discover."""
        if not self.device.powered_on:
            await self.on()
        phy = {hci.Phy.LE_1M: ConnectionParametersPreferences(7.5, 15.0, supervision_timeout=2000)}
        self.connection = await self.device.connect_le(tool.address, phy, timeout=5.0, **how)
        self.connection.on(self.connection.EVENT_DISCONNECTION, self.lost.append)
        self.peer = Peer(self.connection)
        if mtu > 23:
            await self.peer.request_mtu(mtu)
        await self.peer.discover_all()
        return self

    async def listen(self) -> Central:
        """Subscribe to both."""
        await self.find(NEXUS_STREAM_UUID).subscribe(self.stream.append)
        await self.find(NEXUS_CONTROL_UUID).subscribe(self._answered)
        return self

    async def meet(self, tool: NexusPeripheral, mtu: int = 247) -> Central:
        """Connect, pair, listen."""
        tool.press_button()
        await self.connect(tool, mtu)
        await self.connection.pair()
        return await self.listen()

    def find(self, uuid: str) -> CharacteristicProxy[bytes]:
        [found] = self.peer.get_characteristics_by_uuid(UUID(uuid))
        return found

    async def ask(self, opcode: int, payload: bytes = b"") -> Response:
        """Ask the tool; its answer."""
        self._ids += 1
        request = pack_request(self._ids, self._ids, opcode, payload)
        await self.find(NEXUS_CONTROL_UUID).write_value(request, with_response=True)
        await until(lambda: any(r.request_id == self._ids for r in self.responses))
        return next(r for r in self.responses if r.request_id == self._ids)

    async def start(self, rate_hz: float | None = None) -> None:
        """HELLO, CONFIGURE both streams, START."""
        assert (await self.ask(Opcode.HELLO, HelloRequest(1, 0).pack())).status == Status.OK
        for stream in (0, 1) if rate_hz else ():
            asked = ConfigureRequest(stream, rate_hz or 0.0, (0.0, 0.0), 0)
            assert (await self.ask(Opcode.CONFIGURE, asked.pack())).status == Status.OK
        assert (await self.ask(Opcode.START, StartRequest(3).pack())).status == Status.OK

    def _answered(self, value: bytes) -> None:
        response = take_response(value)
        assert response is not None
        self.responses.append(response)

    @property
    def sequence(self) -> list[int]:
        return [int.from_bytes(m[2:4], "little") for m in self.stream]

    @property
    def statuses(self) -> list[StatusMessage]:
        return [s for s in map(take_stream, self.stream) if isinstance(s, StatusMessage)]

    @property
    def data(self) -> list[bytes]:
        return [m for m in self.stream if m[0] == MessageType.DATA]

    def gone(self) -> None:
        """The process dies: nothing is said to anybody."""
        self.controller.remove()
        self.device.host.emit("flush")


def is_gapless(central: Central) -> bool:
    """Every message that the tool numbered has come, in order."""
    return central.sequence == [n & 0xFFFF for n in range(len(central.sequence))]
