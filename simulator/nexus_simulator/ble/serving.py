"""The virtual air behind a socket: what connects is a host, and speaks HCI to an adapter of its own on that air.

Real time. Each host has its own adapter; one that goes away, however it does, leaves nothing connected. What is sent to
a host that does not read is bounded: such a host is cut off. It knows nothing of tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from bumble.core import BaseBumbleError, InvalidPacketError
from bumble.transport import open_transport
from bumble.transport.common import PacketParser

from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air
from nexus_simulator.options import AirOptions, Options
from nexus_simulator.serve import Carrier, Say, first_of, say, serve_pty, until_signal

HOSTS_MAX = 8
OUTBOX_MAX = 256 * 1024
"""Bytes that wait for a host to read them."""
EARLY_MAX = 64
"""Packets; what a host asks in one go before it is served."""
SERVERS = ("tcp-server", "unix-server", "pty", "udp", "ws-server", "vhci", "serial")


class HostSide:
    """One host at the other end of a line of bytes: HCI packets both ways."""

    def __init__(self, air: Air, send: Callable[[bytes], None]) -> None:
        self._send = send
        self.controller = AirController("host", air, adapter=True, host_sink=self)
        self._parser = PacketParser(self.controller)

    def on_packet(self, packet: bytes) -> None:
        """From the controller to the host."""
        self._send(packet)

    def feed(self, data: bytes) -> bool:
        """Bytes from the host; False: that is not HCI."""
        try:
            self._parser.feed_data(data)
        except InvalidPacketError:
            return False
        return True

    def close(self) -> None:
        """The host is gone, and with it whatever it had connected."""
        self.controller.remove()


class _Socket(asyncio.Protocol):
    """A host on a TCP or Unix socket."""

    def __init__(self, air: Air, hosts: set[_Socket]) -> None:
        self._air = air
        self._hosts = hosts
        self._transport: asyncio.Transport | None = None
        self._side: HostSide | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new host."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._hosts) >= HOSTS_MAX:
            transport.abort()
            return
        self._hosts.add(self)
        self._side = HostSide(self._air, self._write)

    def data_received(self, data: bytes) -> None:
        """Something from it."""
        if self._side is not None and not self._side.feed(data):
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._hosts.discard(self)
        if self._side is not None:
            self._side.close()
            self._side = None

    def cut(self) -> None:
        """Cut it off."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, packet: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > OUTBOX_MAX:
            self.cut()
        else:
            self._transport.write(packet)


class _Line:
    """A host on a pseudo-terminal: an `Endpoint`, as `serve` has them."""

    switched_off = False

    def __init__(self, air: Air) -> None:
        self._air = air
        self._side: HostSide | None = None
        self._carrier: Carrier | None = None
        self._cut = asyncio.Event()
        self._early: list[bytes] = []
        """Answers to what came before `pump`."""

    def receive(self, data: bytes) -> None:
        """Bytes from the host; the first ones may come before `pump`."""
        if self._side is None:
            self._side = HostSide(self._air, self._write)
        if not self._side.feed(data):
            self._cut.set()

    async def pump(self, carrier: Carrier) -> str:
        """Wait for the host's end."""
        self._carrier = carrier
        early, self._early = self._early, []
        for packet in early:
            self._write(packet)
        await self._cut.wait()
        return "that was not HCI"

    def disconnect(self) -> None:
        """The host is gone."""
        self._carrier = None
        self._early.clear()
        self._cut.clear()
        if self._side is not None:
            self._side.close()
            self._side = None

    def _write(self, packet: bytes) -> None:
        if self._carrier is None:
            self._early = [*self._early, packet][-EARLY_MAX:]
        elif self._carrier.waiting > OUTBOX_MAX:
            self._cut.set()
        else:
            self._carrier.send(packet)


async def serve_ble(where: str, tool: NexusPeripheral, stop: asyncio.Event | None = None, say: Say = say) -> None:
    """Serve the air of this tool under a name of bumble's transports until a signal or ``stop``.

    Says the address that a host uses. Raises ValueError with one line for a name that cannot be, OSError where it
    cannot be had. SIGUSR1 presses the tool's button.
    """
    scheme, _, rest = where.partition(":")
    if scheme not in SERVERS:
        raise ValueError(f"--ble {where}: no such transport; there are: {', '.join(SERVERS)}")
    loop = asyncio.get_running_loop()
    try:
        await tool.start()
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError):  # not on Windows
            loop.add_signal_handler(signal.SIGUSR1, tool.press_button)
        if scheme == "pty":
            line = _Line(tool.air)
            await serve_pty(line, stop, lambda text: say(_url(tool, text)))
            return
        async with until_signal() as signalled:
            events = [event for event in (signalled, stop) if event is not None]
            waiting = [loop.create_task(event.wait()) for event in events]
            if scheme in ("tcp-server", "unix-server"):
                await _serve_sockets(scheme, rest, tool, waiting, say)
            else:
                await _serve_other(where, tool, waiting, say)
    finally:
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError):
            loop.remove_signal_handler(signal.SIGUSR1)
        await tool.close()


async def _serve_sockets(
    scheme: str, rest: str, tool: NexusPeripheral, waiting: list[asyncio.Task[Any]], say: Say
) -> None:
    loop = asyncio.get_running_loop()
    hosts: set[_Socket] = set()
    server: asyncio.Server
    if scheme == "tcp-server":
        host, colon, port = rest.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"--ble tcp-server:{rest}: not an address; write tcp-server:HOST:PORT")
        server = await loop.create_server(lambda: _Socket(tool.air, hosts), None if host == "_" else host, int(port))
        name = server.sockets[0].getsockname()
        client = f"tcp-client:{name[0]}:{name[1]}"
    else:
        if not rest:
            raise ValueError("--ble unix-server: it has no path; write unix-server:PATH")
        if not hasattr(loop, "create_unix_server"):
            raise ValueError("--ble unix-server: not on this system; use tcp-server:HOST:PORT")
        server = await loop.create_unix_server(lambda: _Socket(tool.air, hosts), rest)
        client = f"unix-client:{rest}"
    try:
        say(_url(tool, client))
        await first_of(*waiting)
    finally:
        server.close()
        for host_socket in list(hosts):
            host_socket.cut()
        await asyncio.sleep(0)
        await server.wait_closed()
        if scheme == "unix-server":
            with contextlib.suppress(OSError):
                os.unlink(rest)  # noqa: PTH108  (a path object may not be used in a coroutine)


async def _serve_other(where: str, tool: NexusPeripheral, waiting: list[asyncio.Task[Any]], say: Say) -> None:
    """Whatever else bumble has. It does not tell when a host goes away: the next one's reset ends what it left."""
    try:
        transport = await open_transport(where)
    except (BaseBumbleError, ValueError, ImportError) as error:
        raise ValueError(f"--ble {where}: cannot be served: {error}") from None
    controller = AirController("host", tool.air, adapter=True, host_source=transport.source, host_sink=transport.sink)
    try:
        say(_url(tool, where))
        await first_of(*waiting)
    finally:
        controller.remove()
        await transport.close()


def run_ble(where: str, options: Options, settings: AirOptions) -> None:
    """A process's work: make the tool, serve it. Raises ValueError and OSError as `serve_ble` does."""

    def told(line: str) -> None:
        say(line)
        if not settings.always_pair and hasattr(signal, "SIGUSR1"):
            press = f"kill -USR1 {os.getpid()}"
            sys.stderr.write(f"a host that is not paired needs the tool's button: `{press}` presses it\n")

    async def run() -> None:
        air = Air("served", options.seed)
        air.loss, air.interval_ms, air.mtu_max = settings.loss, settings.interval_ms, settings.mtu
        security = Security(
            Method[settings.pairing.upper()],
            settings.passkey,
            always_open=settings.always_pair,
            keys=settings.bonds,
        )
        await serve_ble(where, NexusPeripheral(options, air, security), say=told)

    asyncio.run(run())


def _url(tool: NexusPeripheral, client: str) -> str:
    """What a host is to write."""
    return f"ble://{tool.serial_number}?radio=bumble:{client}"
