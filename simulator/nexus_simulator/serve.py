"""A tool behind a TCP port or a pseudo-terminal, in real time: the simulated one, or another one through a proxy.

One host at a time. The tool is made once and keeps its clock and boot id while hosts come and go; a host that goes
away stops the streaming. Every buffer is bounded: while a host does not read, the tool's own queue fills and drops,
and counts what it drops, as a real one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from nexus_simulator.link import Link, joined
from nexuslink.protocol.framing import MAX_FRAME

PUMP_MAX_S = 0.02
"""Longest sleep between two looks at the tool, seconds."""
PUMP_MIN_S = 0.0005
OUTBOX_MAX = 16 * 1024
"""Bytes that wait for a host to read them, beyond the operating system's own buffers."""
PTY_POLL_S = 0.05
"""How often a pseudo-terminal without a host is looked at: the system does not tell when one opens it."""
READ_SIZE = 4096
HAND_OVER_S = 0.5
"""A new host waits this long for the one before it: who reconnects at once is here before its own going is noticed."""

Say = Callable[[str], None]


class Carrier(Protocol):
    """Where the frames of one connected host go."""

    @property
    def waiting(self) -> int:
        """Bytes not yet taken by the operating system."""

    def send(self, data: bytes) -> None:
        """Take bytes; never blocks."""


class Endpoint(Protocol):
    """What stands behind the port, whoever is connected."""

    @property
    def switched_off(self) -> bool:
        """It will not come back."""

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""

    async def pump(self, carrier: Carrier) -> str:
        """Send what there is to send until the link ends by itself; returns why."""

    def disconnect(self) -> None:
        """The host is gone."""


class Served:
    """One simulated tool in real time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._began_ns = time.monotonic_ns()
        self._wake = asyncio.Event()

    @property
    def switched_off(self) -> bool:
        """The tool will not come back."""
        return self._link.switched_off

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        self._link.receive(self._on_ns(), data)
        self._wake.set()

    async def pump(self, carrier: Carrier) -> str:
        """Send what the tool sends until the link ends by itself; returns why."""
        loop = asyncio.get_running_loop()
        while True:
            room = max(0, OUTBOX_MAX - carrier.waiting) // (MAX_FRAME + 1)
            arrived = self._link.poll(self._on_ns(), room)
            if self._link.splits:
                for _, data in joined(arrived):
                    carrier.send(data)
            elif arrived:
                carrier.send(b"".join(data for _, data in arrived))
            if self._link.ended is not None:
                return self._link.ended
            due = self._link.due_ns()
            wait = PUMP_MAX_S if due is None else (due - self._on_ns()) / 1e9
            timer = loop.call_later(min(max(wait, PUMP_MIN_S), PUMP_MAX_S), self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()

    def disconnect(self) -> None:
        """The host is gone."""
        self._link.poll(self._on_ns())
        self._link.disconnect()

    def _on_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def until_signal() -> AsyncIterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    added = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # not on Windows, not outside the main thread
            loop.add_signal_handler(number, stop.set)
            added.append(number)
    try:
        yield stop
    finally:
        for number in added:
            loop.remove_signal_handler(number)


async def first_of(*tasks: asyncio.Task[Any]) -> None:
    """Wait for the first, end the others."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# ---- TCP ------------------------------------------------------------------------------------------------------------
class _TcpCarrier:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    @property
    def waiting(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        self._writer.write(data)


async def serve_tcp(host: str, port: int, served: Endpoint, stop: asyncio.Event | None = None, say: Say = say) -> None:
    """Serve one host after another on a TCP port (0: any free one) until a signal, ``stop``, or an empty battery.

    Says the address when it can be reached. Raises OSError where the port cannot be had.
    """
    free = asyncio.Lock()
    off = asyncio.Event()
    hosts: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(one_host(reader, writer))
        hosts.add(task)
        task.add_done_callback(hosts.discard)

    async def one_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HAND_OVER_S):
                await free.acquire()
        except TimeoutError:
            writer.close()
            return
        carrier = _TcpCarrier(writer)

        async def listen() -> None:
            while data := await reader.read(READ_SIZE):
                served.receive(data)

        try:
            loop = asyncio.get_running_loop()
            if not served.switched_off:
                await first_of(loop.create_task(listen()), loop.create_task(served.pump(carrier)))
        finally:
            served.disconnect()
            free.release()
            if carrier.waiting:
                writer.transport.abort()  # a host that does not read must not keep the socket for ever
            writer.close()
            if served.switched_off:
                off.set()

    async with until_signal() as signalled:
        server = await asyncio.start_server(connected, host, port)
        async with server:
            name = server.sockets[0].getsockname()
            shown = f"[{name[0]}]" if ":" in name[0] else name[0]
            say(f"tcp:{shown}:{name[1]}")
            loop = asyncio.get_running_loop()
            events = [event for event in (signalled, off, stop) if event is not None]
            await first_of(*(loop.create_task(event.wait()) for event in events))
            for task in hosts:
                task.cancel()
            await asyncio.gather(*hosts, return_exceptions=True)
    if served.switched_off:
        say("the tool has switched itself off")


# ---- pseudo-terminal ------------------------------------------------------------------------------------------------
class _PtyCarrier:
    """The master's side while a host has the other side open."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._outbox = bytearray()
        self._armed = False

    @property
    def waiting(self) -> int:
        return len(self._outbox)

    def send(self, data: bytes) -> None:
        self._outbox += data
        self._flush()

    def close(self) -> None:
        self._outbox.clear()
        self._arm(False)

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # a host that has gone is noticed by the reader
            while self._outbox:
                del self._outbox[: os.write(self._fd, self._outbox)]
        self._arm(bool(self._outbox))

    def _arm(self, wanted: bool) -> None:
        loop = asyncio.get_running_loop()
        if wanted and not self._armed:
            loop.add_writer(self._fd, self._flush)
        elif self._armed and not wanted:
            loop.remove_writer(self._fd)
        self._armed = wanted


async def serve_pty(served: Endpoint, stop: asyncio.Event | None = None, say: Say = say) -> None:
    """Serve one host after another on a pseudo-terminal until a signal, ``stop``, or an empty battery.

    Says the device's path. Raises OSError where the system has no pseudo-terminals.
    """
    try:
        import termios
        import tty
    except ImportError:
        raise OSError("this system has no pseudo-terminals: use --tcp HOST:PORT") from None
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        path = os.ttyname(slave)
    finally:
        # Not kept open: only then does the master see that a host has come or gone.
        os.close(slave)
    os.set_blocking(master, False)

    async def hosts() -> None:
        while not served.switched_off:
            first = _read(master)
            if first is None:
                await asyncio.sleep(PTY_POLL_S)
                continue
            await _serve_host(master, served, first)
            # Only what that host has not read: what is there to be read is already the next host's first request.
            with contextlib.suppress(termios.error):
                termios.tcflush(master, termios.TCOFLUSH)

    try:
        async with until_signal() as signalled:
            loop = asyncio.get_running_loop()
            say(f"serial:{path}")
            events = [event for event in (signalled, stop) if event is not None]
            await first_of(loop.create_task(hosts()), *(loop.create_task(event.wait()) for event in events))
    finally:
        served.disconnect()
        os.close(master)
    if served.switched_off:
        say("the tool has switched itself off")


def _read(fd: int) -> bytes | None:
    """What the host has written (b"" for nothing yet); None while no host has the device open."""
    try:
        return os.read(fd, READ_SIZE)
    except BlockingIOError:
        return b""
    except OSError:
        return None


async def _serve_host(fd: int, served: Endpoint, first: bytes) -> None:
    """One host, from its opening of the device to its closing, or to the link's own end."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    carrier = _PtyCarrier(fd)

    def readable() -> None:
        data = _read(fd)
        if data is None:
            loop.remove_reader(fd)  # at once: what comes from now on is the next host's
            gone.set()
        elif data:
            served.receive(data)

    if first:
        served.receive(first)
    loop.add_reader(fd, readable)
    try:
        await first_of(loop.create_task(gone.wait()), loop.create_task(served.pump(carrier)))
    finally:
        loop.remove_reader(fd)
        carrier.close()
        served.disconnect()
