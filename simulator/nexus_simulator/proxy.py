"""A proxy between a real tool and the host, with faults: what ``nexuslink fault-proxy`` runs.

The host's side is one of `serve`'s carriers. The tool's side is opened when a host comes and closed when it goes, so
that the tool sees what it would see without a proxy. Faults strike whole frames or their bytes; a frame that is
damaged already when it comes here ends here, and is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from nexus_simulator.faults.chain import Timed
from nexus_simulator.faults.plan import Faults
from nexus_simulator.link import joined
from nexus_simulator.serve import OUTBOX_MAX, Carrier
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame

DEFAULT_BAUD = 921_600
OPEN_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 0.05
"""How long the thread at a serial port blocks; also how long closing waits for it."""
FULL_S = 0.02
"""While the host does not read, it is looked at again after this long."""
UPSTREAM_MAX = 64 * 1024
"""Bytes that wait for a tool that takes nothing, before the link counts as broken."""

Arrived = Callable[[bytes], None]
Gone = Callable[[str], None]


class Upstream(Protocol):
    """The way to the real tool."""

    async def open(self, arrived: Arrived, gone: Gone) -> None:
        """Connect; from now on bytes are handed to ``arrived``. Raises OSError."""

    def write(self, data: bytes) -> None:
        """Send. Raises OSError where the tool takes nothing."""

    def flow(self, on: bool) -> None:
        """Hold the tool back, or let it go on."""

    async def close(self) -> None:
        """Let go. Idempotent."""


class TcpUpstream(asyncio.Protocol):
    """A tool that is served on a TCP port."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._link: asyncio.Transport | None = None
        self._arrived: Arrived = lambda data: None
        self._gone: Gone = lambda why: None

    async def open(self, arrived: Arrived, gone: Gone) -> None:
        """Connect."""
        self._arrived, self._gone = arrived, gone
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            self._link, _ = await asyncio.get_running_loop().create_connection(lambda: self, *self._address)

    def write(self, data: bytes) -> None:
        """Send."""
        if self._link is None or self._link.get_write_buffer_size() > UPSTREAM_MAX:
            raise OSError("the tool takes nothing")
        self._link.write(data)

    def flow(self, on: bool) -> None:
        """Read or do not."""
        if self._link is not None and not self._link.is_closing() and on != self._link.is_reading():
            (self._link.resume_reading if on else self._link.pause_reading)()

    async def close(self) -> None:
        """Drop the connection."""
        link, self._link = self._link, None
        if link is not None:
            self._gone = lambda why: None
            link.abort()
            await asyncio.sleep(0)  # lets the loop close the socket

    def data_received(self, data: bytes) -> None:
        """Bytes from the tool."""
        self._arrived(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The tool has hung up."""
        self._link = None
        self._gone("the tool closed the connection")


class SerialUpstream:
    """A tool at a serial port. A thread reads, because not every system can watch a port."""

    def __init__(self, path: str, baud: int) -> None:
        self._path = path
        self._baud = baud
        self._port: Any = None
        self._thread: threading.Thread | None = None
        self._flowing = threading.Event()
        self._flowing.set()

    async def open(self, arrived: Arrived, gone: Gone) -> None:
        """Open the port."""
        import serial

        loop = asyncio.get_running_loop()
        make = lambda: serial.Serial(  # noqa: E731  (only wraps the arguments for the executor)
            self._path, self._baud, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )
        self._port = await loop.run_in_executor(None, make)
        self._thread = threading.Thread(target=self._read, args=(loop, self._port, arrived, gone), daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Send."""
        if self._port is None:
            raise OSError("the port is closed")
        self._port.write(data)

    def flow(self, on: bool) -> None:
        """Read or do not."""
        (self._flowing.set if on else self._flowing.clear)()

    async def close(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None and self._thread is not None:
            self._flowing.set()
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 10 * READ_TIMEOUT_S)
            port.close()

    def _read(self, loop: asyncio.AbstractEventLoop, port: Any, arrived: Arrived, gone: Gone) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended
            try:
                while self._port is port:
                    if self._flowing.wait(READ_TIMEOUT_S) and (data := port.read(max(1, port.in_waiting))):
                        loop.call_soon_threadsafe(arrived, data)
            except (OSError, TypeError):  # TypeError: what pyserial raises on a port that was closed meanwhile
                loop.call_soon_threadsafe(gone, "the port has gone away")


class Proxy:
    """An endpoint for `serve`: one host, one tool, and what goes wrong between them."""

    switched_off = False

    def __init__(self, upstream: Upstream, faults: Faults) -> None:
        self._upstream = upstream
        self._faults = faults
        self._began_ns = time.monotonic_ns()
        self._wake = asyncio.Event()
        self._deframer = Deframer()
        self._ended: str | None = None
        self._counts = dict.fromkeys(
            ("connections", "frames_from_tool", "frames_from_host", "unreadable_from_tool", "unreadable_from_host"), 0
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """What passed, and how often each fault struck."""
        traffic = {**self._counts, "unreadable_from_host": self._faults.bad_requests}
        traffic["unreadable_from_tool"] += self._deframer.counts.bad
        return {"traffic": traffic, "faults": self._faults.counts()}

    async def probe(self) -> None:
        """Reach the tool once. Raises OSError: better now than when a host comes."""
        await self._upstream.open(lambda data: None, lambda why: None)
        await self._upstream.close()

    # ---- the host's side ----------------------------------------------------------------------------------------
    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        self._faults.bytes_to_messages.push(Timed(self._on_ns(), data))
        self._wake.set()

    async def pump(self, carrier: Carrier) -> str:
        """Carry both ways until one side or a fault ends it; returns why."""
        self._ended = None
        try:
            await self._upstream.open(self._from_tool, self._gone)
        except OSError as error:
            return self._failed(str(error) or "no answer")
        self._counts["connections"] += 1
        self._faults.cut_at(self._on_ns(), connected=False)
        try:
            loop = asyncio.get_running_loop()
            while self._ended is None:
                self._upstream.flow(carrier.waiting < OUTBOX_MAX)
                self._carry(carrier)
                timer = loop.call_later(self._wait_s(), self._wake.set)
                await self._wake.wait()
                timer.cancel()
                self._wake.clear()
            return self._ended
        except OSError as error:
            return self._failed(str(error))
        finally:
            await self._upstream.close()

    def disconnect(self) -> None:
        """The host is gone."""
        self._faults.disconnected()
        self._counts["unreadable_from_tool"] += self._deframer.counts.bad
        self._deframer = Deframer()

    # ---- inside -------------------------------------------------------------------------------------------------
    def _carry(self, carrier: Carrier) -> None:
        now = self._on_ns()
        for _, message in self._faults.bytes_to_messages.take(now):
            self._counts["frames_from_host"] += 1
            self._upstream.write(frame(message))
        pieces = joined([(t_ns, data) for t_ns, data in self._faults.messages_to_bytes.take(now)])
        if self._faults.splits:
            for _, data in pieces:
                carrier.send(data)
        elif pieces:
            carrier.send(b"".join(data for _, data in pieces))
        self._ended = self._ended or self._faults.cut_at(now)

    def _from_tool(self, data: bytes) -> None:
        """Bytes from the tool."""
        now = self._on_ns()
        for message in self._deframer.feed(data):
            self._counts["frames_from_tool"] += 1
            self._ended = self._ended or self._faults.cut_by(message)
            if self._ended is None:
                self._faults.messages_to_bytes.push(Timed(now, message[:-CRC_SIZE]))
        self._wake.set()

    def _wait_s(self) -> float:
        faults = self._faults
        due = min(faults.messages_to_bytes.due_ns, faults.bytes_to_messages.due_ns, faults.next_event_ns)
        return min(FULL_S, max(0.0, (due - self._on_ns()) / 1e9))

    def _on_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    def _gone(self, reason: str) -> None:
        """The tool's side has ended."""
        self._ended = reason
        self._wake.set()

    def _failed(self, why: str) -> str:
        import sys

        sys.stderr.write(f"fault-proxy: {why}\n")
        return why


def make_upstream(url: str, baud: str | None = None) -> Upstream:
    """The way to the tool at ``serial:PORT`` or ``tcp:HOST:PORT``; ValueError says what is wrong with it."""
    scheme, _, target = url.partition(":")
    if scheme == "tcp" and baud is None:
        host, _, port = target.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{url}: write tcp:HOST:PORT with a port from 1 to 65535")
        return TcpUpstream(host.strip("[]"), int(port))
    if scheme == "serial" and target:
        if baud is not None and not (baud.isdecimal() and 50 <= int(baud) <= 20_000_000):
            raise ValueError(f"--baud {baud}: not a baud rate from 50 to 20000000")
        return SerialUpstream(target, int(baud or DEFAULT_BAUD))
    if scheme == "tcp":
        raise ValueError(f"--baud {baud}: {url} is no serial port")
    raise ValueError(f"{url}: not a tool's address that a proxy can reach; write serial:PORT or tcp:HOST:PORT")
