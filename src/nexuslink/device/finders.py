"""Who looks where: each finder lists the tools that it can see, and nothing else.

A finder is bounded and may fail; what failed is said by whoever asks (see `discovery`). What a finder says of a tool is
a hint: only the handshake tells who it is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from nexuslink.transport.ble_nearby import Found
    from nexuslink.transport.ble_scan import BleScan

SIMULATED_URL: Final = "sim:?script=good-psoas"
SIMULATED_SERIAL: Final = "SIM-"
"""How the serial numbers of simulated tools begin."""
MARK: Final = "tool:"
"""May stand before a serial number, where an address is expected."""
CARRIERS: Final = ("serial", "tcp", "ble", "sim")
"""Schemes, the best way to a tool first."""

NOBODY: Final[Set[str]] = frozenset()
HEARD_S: Final = 2.0
"""A radio that was off in the middle of listening may hear nothing any more until it is asked again."""
LISTEN_S: Final = 1.5
"""A tool advertises several times a second; its scan response, with the serial number, is not heard every time."""


@dataclass(frozen=True, slots=True)
class FoundTool:
    """One line in the list of tools."""

    name: str
    url: str
    simulated: bool
    detail: str
    serial_number: str | None = None
    """As it says from afar; a handshake has not confirmed it."""
    identity: str = ""
    """The hardware: a USB device, a radio's address; empty where that is not known."""
    rssi_dbm: float | None = None
    """How well a radio hears it, smoothed."""
    bonded: bool | None = None
    """This computer has a bond with it; ``None``: the system does not say."""

    @property
    def scheme(self) -> str:
        """How it is reached."""
        return self.url.partition(":")[0].lower()

    @property
    def dial(self) -> str:
        """The address to connect to: what was heard just now is near, or gone again, and is not waited for long."""
        if self.scheme != "ble" or not self.identity or "timeout=" in self.url:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}timeout={HEARD_S:g}"

    @property
    def rank(self) -> int:
        """The lower the better the way to it."""
        return CARRIERS.index(self.scheme) if self.scheme in CARRIERS else len(CARRIERS)


class Finder(Protocol):
    """Somewhere to look."""

    name: str
    """In words: "looking on NAME"."""
    quick: bool
    """It may be asked several times a second, also while a tool is connected."""

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        """Who is there now. ``wanted``: serial numbers, and it may grow; where all of them are seen one may stop.

        May raise; whoever calls bounds it.
        """


class Port(Protocol):
    """What pyserial says of a port."""

    device: str
    description: str | None
    manufacturer: str | None
    product: str | None
    serial_number: str | None
    vid: int | None
    pid: int | None


def _system_ports() -> Iterable[Any]:
    from serial.tools import list_ports

    return list(list_ports.comports())


def serial_ports(ports: Callable[[], Iterable[Port]] = _system_ports) -> list[FoundTool]:
    """Ports with a USB device behind them: a Nexus is one of these. May block."""
    return [
        FoundTool(
            p.product or p.description or p.device, f"serial:{p.device}", False,
            f"{p.device}, {p.manufacturer}" if p.manufacturer else p.device,
            p.serial_number or None,
            f"usb:{p.vid:04x}:{p.pid or 0:04x}:{p.serial_number}" if p.serial_number else "",
        )
        for p in sorted((p for p in ports() if p.vid is not None), key=lambda p: p.device)
    ]  # fmt: skip


class SerialFinder:
    """USB serial ports. ``ports``: whoever lists them; the system does."""

    name = "the serial ports"
    quick = True

    def __init__(self, ports: Callable[[], Iterable[Port]] = _system_ports) -> None:
        self._ports = ports
        self._asking: asyncio.Future[list[FoundTool]] | None = None

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        """The system is asked in a thread, in one at a time: some drivers take long, and some never answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(None, serial_ports, self._ports)
        return await asyncio.shield(self._asking)


class FixedFinder:
    """Addresses that somebody named. That they are listed does not say that anybody is there."""

    name = "the named addresses"
    quick = True

    def __init__(self, urls: Iterable[str], serial_number: str | None = None) -> None:
        self._tools = [FoundTool(url, url, url.startswith("sim:"), "named", serial_number) for url in urls]

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        """All of them."""
        return self._tools


class SimulatedFinder:
    """The tool that is always there, and says that it is simulated."""

    name = "the simulated tool"
    quick = True

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        """One."""
        return [FoundTool("Simulated tool", SIMULATED_URL, True, "no hardware needed; shows a good hold")]


class RadioFinder:
    """Bluetooth LE: whoever advertises within `LISTEN_S`. ``radio``: as in ``ble:?radio=``."""

    name = "Bluetooth"
    quick = False

    def __init__(self, radio: str | None = None) -> None:
        self.radio = radio

    async def find(self, wanted: Set[str] = NOBODY) -> Sequence[FoundTool]:
        """Everybody near, the strongest first."""
        async with self.scan() as scan:
            await scan.find(lambda _: bool(wanted) and wanted <= {t.serial_number for t in scan.tools()}, LISTEN_S)
            scan.sort()
            return [heard(tool) for tool in scan.tools()]

    def scan(self) -> BleScan:
        """For whoever listens for longer: not yet entered."""
        from nexuslink.transport.ble_scan import BleScan

        return BleScan(self.radio)


def heard(tool: Found) -> FoundTool:
    """What a radio has heard, as a line in the list."""
    known = not math.isnan(tool.rssi_dbm)
    words = [f"Bluetooth, {tool.rssi_dbm:.0f} dBm" if known else "Bluetooth", *([tool.doubt] if tool.doubt else [])]
    return FoundTool(
        tool.name, tool.url, tool.simulated, "; ".join(words), tool.serial_number, f"ble:{tool.address}",
        tool.rssi_dbm if known else None, tool.bonded,
    )  # fmt: skip
