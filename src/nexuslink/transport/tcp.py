"""``tcp:HOST:PORT``: the framed byte stream over a socket. Used by simulators, bridges and rig hosts."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import cast

from nexuslink.protocol.chunk import ChunkSink
from nexuslink.transport.base import OPEN_TIMEOUT_S, WRITE_TIMEOUT_S, Inlet
from nexuslink.transport.errors import LinkLostError, PortNotFoundError, TransportError
from nexuslink.transport.url import take_params


def open_tcp(target: str, params: Mapping[str, str]) -> TcpTransport:
    """Factory of the scheme ``tcp``: ``HOST:PORT``, IPv6 hosts in square brackets. No parameters."""
    take_params(params, {})
    host, colon, port = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("write tcp:HOST:PORT with a port from 1 to 65535")
    return TcpTransport(host, int(port))


class TcpTransport(asyncio.Protocol):
    """One TCP connection."""

    framed = True

    def __init__(self, host: str, port: int) -> None:
        self.url = f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"
        self._address = (host, port)
        self._inlet = Inlet()
        self._sink: ChunkSink | None = None
        self._link: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def now_ns(self) -> int:
        """Host's monotonic clock."""
        return time.monotonic_ns()

    async def open(self, sink: ChunkSink) -> None:
        """Connect, at most `OPEN_TIMEOUT_S`."""
        if self._sink is not None:
            raise TransportError(f"{self.url}: is open already; close it first")
        loop = asyncio.get_running_loop()
        self._sink = sink
        self._writable = asyncio.Event()
        self._writable.set()
        connected = False
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await loop.create_connection(lambda: self, *self._address)
            connected = True
        except TimeoutError:
            raise TransportError(f"{self.url}: no answer within {OPEN_TIMEOUT_S:g} s; is the host on?") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: no host can have that name
            reason = getattr(error, "strerror", None) or str(error)
            raise PortNotFoundError(f"{self.url}: cannot connect ({reason}); is the tool's server running?") from None
        finally:
            if not connected:
                self._let_go()

    async def write(self, data: bytes) -> None:
        """Send; waits while the socket is full, at most `WRITE_TIMEOUT_S`."""
        link = self._link
        if link is None:
            raise LinkLostError(f"{self.url}: the link is closed")
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._writable.wait()  # nothing is added to a full buffer
                link.write(data)
                await self._writable.wait()
        except TimeoutError:
            raise LinkLostError(f"{self.url}: the peer took nothing for {WRITE_TIMEOUT_S:g} s") from None
        if self._link is not link:
            raise LinkLostError(f"{self.url}: the link ended during a write")

    async def close(self) -> None:
        """Drop the connection at once."""
        if self._let_go():
            await asyncio.sleep(0)  # lets the loop close the socket

    def _let_go(self) -> bool:
        """True: there was a connection, and it is being dropped."""
        self._inlet.stop()
        self._sink = None
        link, self._link = self._link, None
        if link is not None:
            link.abort()
        return link is not None

    def pause(self) -> None:
        """The kernel's buffers fill, then the peer's."""
        if self._link is not None and self._link.is_reading():
            self._link.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._link is not None and not self._link.is_reading():
            self._link.resume_reading()

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._link = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._sink is not None:
            self._inlet.start(self._sink)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._inlet.arrived(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket has ended."""
        self._sink = self._link = None
        self._writable.set()
        self._inlet.ended(f"{self.url}: the peer closed the connection" + (f" ({exc})" if exc else ""))

    def pause_writing(self) -> None:
        """The socket is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._writable.set()
