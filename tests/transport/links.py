"""Links with both ends in hand: a transport as the program makes it, and a real peer at the other end.

Each kind says what it is and is not (`Kind`); the contract suite runs over all of them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import tty
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from nexuslink.protocol.chunk import Chunk
from nexuslink.transport.base import TICK_S, Transport
from nexuslink.transport.errors import TransportError
from nexuslink.transport.loopback import LoopbackTransport
from nexuslink.transport.url import make_transport

T = TypeVar("T")
BLUEZ = bool(os.environ.get("NEXUS_BLUEZ"))
"""In the guest of ``./run bluez``: the radio is BlueZ's, and the tools are outside."""
HANG_S = 40.0 if BLUEZ else 20.0
"""Guard against hanging; nothing here takes a fraction of it."""
STEP_S = 0.002
AT_END: list[Callable[[], Awaitable[None]]] = []
"""What a scenario has started on its loop, and `run` ends."""
LINK_ERRORS = (TransportError, OSError)
"""What a link may raise: its own errors, or from third parties (the simulator is one) the system's."""


class Log:
    """A sink that remembers, and checks what holds for every link."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.reasons: list[str] = []
        self.on_chunk: Callable[[Chunk], None] = lambda _: None
        self.on_closed: Callable[[str], None] = lambda _: None

    def chunk(self, chunk: Chunk) -> None:
        asyncio.get_running_loop()  # on the loop's thread, or this raises
        assert not self.reasons, "a chunk after closed()"
        self.chunks.append(chunk)
        self.on_chunk(chunk)

    def closed(self, reason: str) -> None:
        asyncio.get_running_loop()
        self.reasons.append(reason)
        self.on_closed(reason)

    @property
    def data(self) -> bytes:
        return b"".join(c.data for c in self.chunks)

    @property
    def ticks(self) -> list[Chunk]:
        return [c for c in self.chunks if not c.data]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the caller's guard bounds it."""
    while not condition():  # noqa: ASYNC110  (what is waited for has no event of its own)
        await asyncio.sleep(STEP_S)


def run(scenario: Coroutine[Any, Any, T], hang_s: float = HANG_S) -> T:
    """One scenario on a loop of its own. Afterwards no task and no timer may be left on it."""

    async def guarded() -> T:
        try:
            async with asyncio.timeout(hang_s):
                result = await scenario
        finally:
            while AT_END:
                await AT_END.pop()()
            if BLUEZ:
                from remote import let_go_of_the_bus

                await let_go_of_the_bus()
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left over"
        for _ in range(3):  # one that is only waiting to expire does no harm; one that renews itself is a leak
            if any(not timer.cancelled() for timer in loop._scheduled):  # type: ignore[attr-defined]
                await asyncio.sleep(TICK_S / 2)
        assert all(timer.cancelled() for timer in loop._scheduled), "a timer is left over"  # type: ignore[attr-defined]
        return result

    return asyncio.run(guarded())


class Peer(ABC):
    """The other end of a link."""

    transport: Transport

    async def ready(self) -> None:  # noqa: B027
        """Be there to be found, where that needs a loop."""

    async def accept(self) -> None:  # noqa: B027  (most have nothing to accept)
        """Take the connection that `open` has made, where there is such a thing."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Bytes to the host."""

    @abstractmethod
    async def take(self, n: int) -> bytes:
        """The next ``n`` bytes from the host."""

    @abstractmethod
    def hang_up(self) -> None:
        """End the link from this side."""

    @abstractmethod
    def release(self) -> None:
        """Let go of everything."""


class LoopbackPeer(Peer):
    def __init__(self, framed: bool = True) -> None:
        self._got = bytearray()
        self.link = self.transport = LoopbackTransport(self._got.extend, framed)

    async def send(self, data: bytes) -> None:
        self.link.send(data)

    async def take(self, n: int) -> bytes:
        await until(lambda: len(self._got) >= n)
        data = bytes(self._got[:n])
        del self._got[:n]
        return data

    def hang_up(self) -> None:
        self.link.hang_up("loopback: the peer hung up")

    def release(self) -> None:
        pass


async def _retry(step: Callable[[], int]) -> int:
    while True:
        try:
            return step()
        except BlockingIOError:
            await asyncio.sleep(STEP_S)
        except OSError as error:
            if error.errno != errno.EIO:  # a PTY without anybody at the other end
                raise
            await asyncio.sleep(STEP_S)


class PtyPeer(Peer):
    """The master side of a PTY; the transport opens the slave by its name, as it would a serial port."""

    def __init__(self, reader: str) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        self.port = os.ttyname(slave)
        os.close(slave)
        self.transport = make_transport(f"serial:{self.port}?reader={reader}")

    async def send(self, data: bytes) -> None:
        while data:
            data = data[await _retry(lambda rest=data: os.write(self.master, rest)) :]

    async def take(self, n: int) -> bytes:
        got = bytearray()

        def read() -> int:
            got.extend(os.read(self.master, n - len(got)))
            return len(got)

        while await _retry(read) < n:
            pass
        return bytes(got)

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    def release(self) -> None:
        if self.master >= 0:
            os.close(self.master)


class TcpPeer(Peer):
    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._client: socket.socket | None = None
        self.transport = make_transport(f"tcp:127.0.0.1:{self._server.getsockname()[1]}")

    async def accept(self) -> None:
        self.drop()
        self._client, _ = await asyncio.get_running_loop().sock_accept(self._server)

    @property
    def client(self) -> socket.socket:
        assert self._client is not None
        return self._client

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.client, data)

    async def take(self, n: int) -> bytes:
        got = b""
        while len(got) < n:
            part = await asyncio.get_running_loop().sock_recv(self.client, n - len(got))
            assert part, "the host hung up"
            got += part
        return got

    def drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def hang_up(self) -> None:
        self.drop()

    def release(self) -> None:
        self.drop()
        self._server.close()


class SimPeer(Peer):
    """The simulated tool: it speaks for itself, so nothing raw can be sent through it."""

    def __init__(self, **params: str) -> None:
        from nexus_simulator.transport import open_sim  # with numpy, for which the guest of ./run bluez takes seconds

        self.transport = open_sim("", params)

    async def send(self, data: bytes) -> None:
        raise NotImplementedError

    async def take(self, n: int) -> bytes:
        raise NotImplementedError

    def hang_up(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        pass


class BlePeer(Peer):
    """A tool on the virtual air: real GATT on both sides."""

    def __init__(self) -> None:
        from ble_side import new_air, url_of  # only where it is wanted: bumble may not be there

        self._air = new_air()
        self._tool: Any = None
        self.transport = make_transport(url_of(self._air, "//SIM-00000"))

    async def ready(self) -> None:
        from ble_side import RawTool

        if self._tool is None:
            self._tool = RawTool(self._air)
            AT_END.append(self._tool.close)
            await self._tool.start()

    async def send(self, data: bytes) -> None:
        await self._tool.send(data)

    async def take(self, n: int) -> bytes:
        data: bytes = await self._tool.take(n)
        return data

    def hang_up(self) -> None:
        self._tool.hang_up()

    def release(self) -> None:
        pass


@dataclass(frozen=True)
class Kind:
    """One carrier, and its declared quirks."""

    name: str
    make: Callable[[], Peer]
    raw: bool = True
    """A test can send any bytes through it, and hang up."""
    framed: bool = True
    revives: bool = True
    """The same address can be opened again after the peer hung up."""
    real_time: bool = True
    """Its clock is the machine's."""
    longest: int = 1_000_000
    """Bytes that it carries in one piece."""
    needs: str | None = None
    """A package that it cannot do without."""

    def part(self, data: bytes) -> bytes:
        """As much of it as goes in one piece."""
        return data[: self.longest]

    @property
    def missing(self) -> str | None:
        """Why it cannot be tested here."""
        if self.needs is None or find_spec(self.needs) is not None:
            return None
        return f"{self.name}: needs the package {self.needs}, of the extra virtual-ble"


KINDS = (
    Kind("loopback", LoopbackPeer),
    Kind("loopback-unframed", lambda: LoopbackPeer(framed=False), framed=False),
    Kind("serial-loop", lambda: PtyPeer("loop"), revives=False),
    Kind("serial-thread", lambda: PtyPeer("thread"), revives=False),
    Kind("tcp", TcpPeer),
    Kind("ble", BlePeer, framed=False, longest=244, needs=None if BLUEZ else "bumble"),
    Kind("sim", SimPeer, raw=False),
    Kind("sim-max", lambda: SimPeer(speed="max"), raw=False, real_time=False),
)
if BLUEZ:
    import remote  # noqa: F401  (opens the line to the tools, once)

    KINDS = tuple(kind for kind in KINDS if kind.name == "ble")


async def opened(peer: Peer, log: Log) -> None:
    await peer.ready()
    await peer.transport.open(log)
    await peer.accept()


async def closing(peer: Peer, scenario: Callable[[], Awaitable[T]]) -> T:
    """The scenario, then `close`, whatever happens."""
    try:
        return await scenario()
    finally:
        await peer.transport.close()
