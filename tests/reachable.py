"""Simulated tools on real carriers that can be killed, reset, unplugged and plugged in again under another name.

Everything runs on the test's own loop, behind real sockets and pseudo-terminals. A `Bus` is what the system's list of
serial ports would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nexus_simulator.assembly import make_link
from nexus_simulator.link import Link
from nexus_simulator.options import parse_options
from nexus_simulator.serve import Served, serve_pty, serve_tcp

GUARD_S = 60.0
"""Against hanging."""


async def until(condition: Callable[[], bool], guard_s: float = GUARD_S) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(guard_s):
        while not condition():  # noqa: ASYNC110  (what is waited for has no event of its own)
            await asyncio.sleep(0.003)


@dataclass
class Plugged:
    """A port as the system lists it."""

    device: str
    serial_number: str | None = None
    description: str | None = "Nexus"
    manufacturer: str | None = None
    product: str | None = "Nexus"
    vid: int | None = 0x1209
    pid: int | None = 1


@dataclass(eq=False)
class Bus:
    """The list of serial ports."""

    ports: list[Plugged] = field(default_factory=list)
    folder: str = field(default_factory=lambda: tempfile.mkdtemp(prefix="nexus-bus-"))
    count: int = 0

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def plug(self, path: str, serial_number: str | None) -> Plugged:
        """A port with a name that none had before."""
        name = f"{self.folder}/ttyACM{self.count}"
        self.count += 1
        Path(name).symlink_to(path)
        self.ports.append(Plugged(name, serial_number))
        return self.ports[-1]

    def unplug(self, port: Plugged) -> None:
        """It vanishes."""
        self.ports.remove(port)
        Path(port.device).unlink()

    def __call__(self) -> Iterable[Plugged]:
        return list(self.ports)


class Tool(Served):
    """One tool, switched on when it is made; on whatever carriers it is, its clock goes on."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.link = link
        self.serial_number = link.tool.identity.serial_number


def tool(seed: int, **options: str) -> Tool:
    return Tool(make_link(parse_options({"seed": str(seed), **options})))


class Reachable:
    """One tool that is there or not. ``url`` is where it is, or was."""

    url = ""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.serial_number = tool.serial_number
        self._serving: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def come(self) -> None:
        """Be there."""
        self._stop = asyncio.Event()
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(self._serve(lambda line: said.done() or said.set_result(line)))
        self.url = await asyncio.wait_for(said, 10)

    async def go(self) -> None:
        """Vanish: whoever is connected loses the link."""
        if self._serving is not None:
            self._stop.set()
            await self._serving
            self._serving = None

    def reset(self) -> None:
        """The watchdog bites; the carrier notices nothing."""
        self.tool.link.tool.restart()

    async def _serve(self, say: Callable[[str], object]) -> None:
        raise NotImplementedError


class OnTcp(Reachable):
    """Always on the same port."""

    _port = 0

    async def _serve(self, say: Callable[[str], object]) -> None:
        def told(line: str) -> None:
            self._port = int(line.rpartition(":")[2])
            say(line)

        await serve_tcp("127.0.0.1", self._port, self.tool, self._stop, told)


class OnWire(Reachable):
    """On another port whenever it is plugged in. ``named``: USB says its serial number."""

    def __init__(self, tool: Tool, bus: Bus, named: bool) -> None:
        super().__init__(tool)
        self._bus = bus
        self._named = named

    async def _serve(self, say: Callable[[str], object]) -> None:
        port: Plugged | None = None

        def told(line: str) -> None:
            nonlocal port
            port = self._bus.plug(line.removeprefix("serial:"), self.serial_number if self._named else None)
            say(f"serial:{port.device}")

        try:
            await serve_pty(self.tool, self._stop, told)
        finally:
            if port is not None:
                self._bus.unplug(port)


@contextlib.asynccontextmanager
async def there(*tools: Reachable) -> AsyncIterator[None]:
    """All of them are there, and gone in the end."""
    try:
        for one in tools:
            await one.come()
        yield
    finally:
        for one in tools:
            await one.go()
