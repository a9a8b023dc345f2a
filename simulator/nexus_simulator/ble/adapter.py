"""A host's Bluetooth adapter: bumble's host on a named air of this process, or on anything that speaks HCI.

Opened when first used, shared by everybody in one event loop who names the same address, closed by the last of them.
Its bonds stay in this process, or in a file. It knows nothing of bleak and nothing of tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bumble import core, hci
from bumble.device import Connection, ConnectionParametersPreferences, Device, DeviceConfiguration
from bumble.keys import JsonKeyStore, KeyStore, MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport

from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.host import QuietHost
from nexus_simulator.ble.radio import air

OPEN_S = 5.0
"""Longest wait for an adapter to answer."""
END_S = 2.0
"""Longest wait for something to be taken back."""
INTERVAL_MS = (15.0, 30.0)
TIMEOUT_MS = 2000
"""Connection parameters of the host's own choice, until the tool asks for others."""
AIR = "air"
SETTINGS = {
    "host": "another name makes it another computer, with another address and other bonds",
    "passkey": "six digits that the person types",
    "io": "none: it can neither show nor type digits",
    "keys": "a file for its bonds",
}
"""What may stand in brackets behind the scheme, as in ``air:[passkey=123456]NAME``."""


class AdapterError(Exception):
    """The adapter cannot be used now; one line. ``off``: somebody has switched it off."""

    def __init__(self, line: str, off: bool = False) -> None:
        super().__init__(line)
        self.off = off


@dataclass(slots=True)
class Agent:
    """The person at the host, while pairing."""

    passkey: int | None = None
    """What is typed when digits are to be typed; None: nothing can be typed."""
    compare: Callable[[int], bool] = lambda number: True
    """What is said to the six digits of a numeric comparison."""
    digits: bool = True
    """The host can show digits."""
    seen: int | None = None
    """The digits of the latest comparison."""
    told: Callable[[int], None] = lambda number: None
    """Gets them as soon as they are known."""

    @property
    def capability(self) -> PairingDelegate.IoCapability:
        """As pairing names it."""
        if not self.digits:
            return PairingDelegate.NO_OUTPUT_NO_INPUT
        if self.passkey is not None:
            return PairingDelegate.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT
        return PairingDelegate.DISPLAY_OUTPUT_AND_YES_NO_INPUT


class _Person(PairingDelegate):
    def __init__(self, agent: Agent) -> None:
        super().__init__(agent.capability)
        self._agent = agent

    async def compare_numbers(self, number: int, digits: int) -> bool:
        self._agent.seen = number
        self._agent.told(number)
        return self._agent.compare(number)

    async def get_number(self) -> int | None:
        return self._agent.passkey


@dataclass(frozen=True, slots=True)
class Address:
    """Where an adapter is: ``air:NAME`` or a name of bumble's transports."""

    text: str
    scheme: str
    rest: str
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError with one line."""
        match = re.fullmatch(r"(?P<scheme>[a-z][a-z-]*):(?:\[(?P<settings>[^\]]*)\])?(?P<rest>.*)", text)
        if match is None:
            raise ValueError(f"{text}: not a radio; write air:NAME, or tcp-client:HOST:PORT")
        settings = {}
        for part in filter(None, (match["settings"] or "").split(",")):
            name, equals, value = part.partition("=")
            if not equals or name not in SETTINGS:
                raise ValueError(f"{text}: {part}: no such setting; there are: {', '.join(SETTINGS)}")
            settings[name] = value
        if match["scheme"] == AIR and not match["rest"]:
            raise ValueError(f"{text}: the air has no name; write air:NAME")
        if not re.fullmatch(r"\d{1,6}", settings.get("passkey", "0")):
            raise ValueError(f"{text}: passkey={settings['passkey']}: not six digits")
        if settings.get("io", "none") != "none":
            raise ValueError(f"{text}: io={settings['io']}: not possible; allowed: none")
        return cls(text, match["scheme"], match["rest"], settings)

    @property
    def identity(self) -> str:
        """Which computer this is."""
        return f"{self.scheme}:{self.rest} {self.settings.get('host', '')}"


_BONDS: dict[str, KeyStore] = {}


class Adapter:
    """One adapter, while somebody uses it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.users = 0
        typed = address.settings.get("passkey")
        self.agent = Agent(None if typed is None else int(typed), digits=address.settings.get("io") != "none")
        self.bonds = _BONDS.setdefault(address.identity, MemoryKeyStore())
        if "keys" in address.settings:
            self.bonds = JsonKeyStore(address.identity, address.settings["keys"])
        self.on_report: list[Callable[[Any], None]] = []
        """Who wants the reports of a scan."""
        self.known: dict[str, hci.Address] = {}
        """Addresses that were seen, by their text: it does not tell a random one from a public one."""
        self._device: Device | None = None
        self._controller: AirController | None = None
        self._generation = 0
        self._transport: Transport | None = None
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ready(self) -> Device:
        """The bumble device, opened if need be; raises AdapterError."""
        async with self._opening:
            if self._device is not None and not self._lost():
                return self._device
            await self._drop()
            if self._controller_off():
                raise AdapterError("Bluetooth is switched off", off=True)
            try:
                async with asyncio.timeout(OPEN_S):
                    return await self._open()
            except TimeoutError:
                await self._drop()
                raise AdapterError(f"{self.address.text}: nothing there answers as a Bluetooth adapter") from None
            except (OSError, ValueError, core.BaseBumbleError) as error:
                await self._drop()
                raise AdapterError(f"{self.address.text}: {getattr(error, 'strerror', None) or error}") from None

    async def close(self) -> None:
        """Leave nothing behind."""
        device = self._device
        try:
            for connection in list(device.connections.values()) if device is not None and not self._lost() else ():
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(END_S):
                        await connection.disconnect()
        finally:  # whoever closes it may have given up
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._drop()

    async def scan(self, wanted: bool, active: bool = True) -> None:
        """Start or stop the radio's scan; raises AdapterError."""
        if wanted:
            device = await self.ready()
        elif self._device is None or self._lost():
            return
        else:
            device = self._device
        try:
            async with asyncio.timeout(OPEN_S):
                await (device.start_scanning(active=active) if wanted else device.stop_scanning())
        except (hci.HCI_Error, core.BaseBumbleError, TimeoutError) as error:
            if wanted:
                raise AdapterError(f"{self.address.text}: cannot scan: {error or 'no answer'}") from None

    async def connect(self, peer: hci.Address, timeout_s: float) -> Connection:
        """A connection; raises AdapterError, TimeoutError."""
        async with self._connecting:
            if self._tasks:  # an attempt that was given up is still being taken back
                await asyncio.wait(self._tasks, timeout=END_S)
            device = await self.ready()
            preferences = ConnectionParametersPreferences(*INTERVAL_MS, supervision_timeout=TIMEOUT_MS)
            attempt = asyncio.ensure_future(device.connect_le(peer, {hci.Phy.LE_1M: preferences}, timeout=timeout_s))
            try:
                return await asyncio.shield(attempt)
            except asyncio.CancelledError:
                if attempt.cancelled():
                    raise AdapterError(f"{self.address.text}: the adapter went away") from None
                self._spawn(self._take_back(device, attempt))
                raise
            except core.TimeoutError:
                raise TimeoutError(f"{peer}: not found") from None
            except (hci.HCI_Error, core.BaseBumbleError) as error:
                raise AdapterError(f"{peer}: cannot be connected: {error}") from None

    async def _take_back(self, device: Device, attempt: asyncio.Future[Connection]) -> None:
        """Nobody waits for this connection any more."""
        with contextlib.suppress(Exception, asyncio.CancelledError):
            async with asyncio.timeout(END_S):
                if not attempt.done():
                    with contextlib.suppress(hci.HCI_Error):  # too late: it has come true already
                        await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
                await (await attempt).disconnect()
        attempt.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- opening and dropping -----------------------------------------------------------------------------------
    async def _open(self) -> Device:
        digest = bytearray(hashlib.sha256(self.address.identity.encode()).digest())
        digest[5] |= 0xC0  # a static random address
        if self.address.scheme == AIR:
            controller = self._controller = AirController("host", air(self.address.rest), adapter=True)
            self._generation = controller.generation
            host = QuietHost(controller, controller)
            controller.on_off = lambda: host.emit("flush")  # bumble itself waits on, for the peer or for an answer
        else:
            self._transport = await open_transport(f"{self.address.scheme}:{self.address.rest}")
            host = QuietHost(self._transport.source, self._transport.sink)
        config = DeviceConfiguration(
            name="host",
            address=hci.Address(bytes(digest[:6]), hci.Address.RANDOM_DEVICE_ADDRESS),
            irk=bytes(digest[6:22]),
            classic_smp_enabled=False,
        )
        device = Device(config=config, host=host)
        device.keystore = self.bonds
        device.pairing_config_factory = lambda _: PairingConfig(
            delegate=_Person(self.agent), identity_address_type=PairingConfig.AddressType.RANDOM
        )
        host.on("advertising_report", self._report)
        await device.power_on()
        self._device = device
        return device

    async def _drop(self) -> None:
        device, self._device = self._device, None
        if self._controller is not None:
            self._controller.remove()
        if device is not None:
            device.host.emit("flush")  # whatever waits for the radio is told
        transport, self._transport = self._transport, None
        if transport is not None:
            with contextlib.suppress(Exception):
                await transport.close()

    def _lost(self) -> bool:
        if self._controller is not None:
            return not self._controller.powered or self._controller.generation != self._generation
        terminated = getattr(self._transport.source, "terminated", None) if self._transport is not None else None
        return terminated is None or terminated.done()

    def _controller_off(self) -> bool:
        return self.address.scheme == AIR and not air(self.address.rest).adapters_on

    def _report(self, report: Any) -> None:
        self.known[report.address.to_string(False)] = report.address
        while len(self.known) > 256:
            del self.known[next(iter(self.known))]
        for listener in list(self.on_report):
            listener(report)


_ADAPTERS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Adapter]] = weakref.WeakKeyDictionary()


def acquire(address: Address) -> Adapter:
    """The adapter of this address in the running event loop; give it back with `release`."""
    here = _ADAPTERS.setdefault(asyncio.get_running_loop(), {})
    adapter = here.setdefault(address.text, Adapter(address))
    adapter.users += 1
    return adapter


async def release(adapter: Adapter) -> None:
    """The last user closes it."""
    adapter.users -= 1
    if adapter.users <= 0:
        here = _ADAPTERS.get(asyncio.get_running_loop(), {})
        if here.get(adapter.address.text) is adapter:
            del here[adapter.address.text]
        await adapter.close()
