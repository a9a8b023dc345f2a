"""Serial ports that are not what one hoped for, on real files, PTYs and a driver that hangs."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from links import HANG_S, Log, PtyPeer, closing, run, until

from nexuslink.transport import serial as product
from nexuslink.transport.errors import PortBusyError, PortNotFoundError, TransportError
from nexuslink.transport.serial import SerialTransport
from nexuslink.transport.url import make_transport

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.skipif(sys.platform == "win32", reason="PTYs are POSIX"),
]
READERS = pytest.mark.parametrize("reader", ["loop", "thread"])
NOT_SERIAL = "that is not a serial port"


def refused(port: object, reader: str = "loop") -> TransportError:
    """The error of opening a port, in one line that begins with its address."""

    async def scenario() -> TransportError:
        transport = make_transport(f"serial:{port}?reader={reader}")
        log = Log()
        with pytest.raises(TransportError) as caught:
            await transport.open(log)
        await transport.close()
        assert log.chunks == [] and log.reasons == []
        return caught.value

    error = run(scenario())
    assert len(str(error).splitlines()) == 1
    assert str(error).startswith(f"serial:{port}: ")
    return error


@pytest.fixture
def pty(request: pytest.FixtureRequest) -> Iterator[PtyPeer]:
    peer = PtyPeer(getattr(request, "param", "loop"))
    yield peer
    peer.release()


@READERS
def test_no_such_port(tmp_path: Path, reader: str) -> None:
    error = refused(tmp_path / "ttyNOPE", reader)
    assert isinstance(error, PortNotFoundError)
    assert str(error).endswith(": there is no such port; `nexuslink scan` lists what is there")


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path / "no" / "ttyNOPE"), PortNotFoundError)


def test_a_plain_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a port\n")
    error = refused(path)
    assert isinstance(error, PortNotFoundError)
    assert str(error).endswith(NOT_SERIAL)
    assert path.read_bytes() == b"not a port\n"


def test_other_things_that_are_no_port(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/null"):
        error = refused(path)
        assert isinstance(error, PortNotFoundError) and str(error).endswith(NOT_SERIAL), path


def test_a_socket_file_is_no_port(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert isinstance(refused(tmp_path / "socket"), PortNotFoundError)


def test_a_port_without_a_device_behind_it() -> None:
    """What `/dev/ttyS0` is on most machines: there, and dead."""
    try:
        serial.Serial("/dev/ttyS0").close()
    except OSError as error:
        if "Input/output error" not in str(error):
            pytest.skip("no dead serial port on this machine")
    else:
        pytest.skip("/dev/ttyS0 is alive on this machine")
    assert str(refused("/dev/ttyS0")).endswith("there is no device behind it; is the tool plugged in?")


@READERS
def test_a_port_that_is_open_elsewhere_is_busy(pty: PtyPeer, reader: str) -> None:
    """In this program; then in another one."""

    async def scenario() -> None:
        await pty.transport.open(Log())
        second = make_transport(f"serial:{pty.port}?reader={reader}")
        with pytest.raises(PortBusyError) as caught:
            await second.open(Log())
        assert str(caught.value) == f"serial:{pty.port}: another program holds the port; close it first"
        await second.close()
        await pty.transport.close()
        await second.open(Log())
        await second.close()

    run(closing(pty, scenario))


def test_a_port_held_by_another_program(pty: PtyPeer) -> None:
    code = "import serial, sys; p = serial.Serial(sys.argv[1], exclusive=True); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, pty.port], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert isinstance(refused(pty.port), PortBusyError)
        holder.communicate(b"\n", timeout=HANG_S)


def test_a_name_that_points_to_a_port(pty: PtyPeer, tmp_path: Path) -> None:
    """As in /dev/serial/by-id."""
    (tmp_path / "usb-Nexus_CN-0001").symlink_to(pty.port)
    transport = make_transport(f"serial:{tmp_path}/usb-Nexus_CN-0001")
    log = Log()

    async def scenario() -> None:
        await transport.open(log)
        await pty.send(b"by name")
        await until(lambda: log.data == b"by name")
        await transport.close()

    run(scenario())


@READERS
def test_unplugged(reader: str) -> None:
    peer, log = PtyPeer(reader), Log()

    async def scenario() -> None:
        await peer.transport.open(log)
        peer.hang_up()
        await until(lambda: bool(log.reasons))

    run(closing(peer, scenario))
    assert log.reasons == [f"serial:{peer.port}: the port has gone away; plug the tool in again"]


@pytest.mark.parametrize("baud", [50, 9600, 123_456, 20_000_000])
def test_any_baud_rate_of_the_grammar_can_be_asked_for(pty: PtyPeer, baud: int) -> None:
    transport = make_transport(f"serial:{pty.port}?baud={baud}")

    async def scenario() -> None:
        await transport.open(Log())
        await transport.close()

    run(scenario())


# -- drivers that hang or fail in their own way -----------------------------------------------------------------------


class SlowDriver:
    """`serial.Serial` of a driver that blocks while it opens, as some Bluetooth ports do."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.ports: list[serial.Serial] = []

    def __call__(self, *args: Any, **kwargs: Any) -> serial.Serial:
        self.begun.set()
        assert self.go_on.wait(HANG_S)
        self.ports.append(serial.Serial(*args, **kwargs))
        return self.ports[-1]

    async def finish(self) -> None:
        self.go_on.set()
        await until(lambda: bool(self.ports))
        await until(lambda: not self.ports[0].is_open)


def slow(monkeypatch: pytest.MonkeyPatch) -> SlowDriver:
    driver = SlowDriver()
    module = type("Module", (), {"Serial": driver})
    monkeypatch.setattr(product, "serial", module)
    return driver


def test_a_driver_that_hangs_is_given_up_and_closed_when_it_comes(
    pty: PtyPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = slow(monkeypatch)
    monkeypatch.setattr(product, "OPEN_TIMEOUT_S", 0.05)

    async def scenario() -> None:
        with pytest.raises(TransportError) as caught:
            await pty.transport.open(Log())
        assert str(caught.value) == f"serial:{pty.port}: the port did not open within 0.05 s"
        await driver.finish()

    run(closing(pty, scenario))


def test_nobody_waits_any_more_and_the_port_is_closed_when_it_comes(
    pty: PtyPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = slow(monkeypatch)

    async def scenario() -> None:
        opening = asyncio.create_task(pty.transport.open(Log()))
        await until(driver.begun.is_set)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled()
        await driver.finish()

    run(closing(pty, scenario))


def test_an_error_of_the_terminal_layer_is_an_error_of_the_port(pty: PtyPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`termios.error` is no OSError, and pyserial lets it through."""
    termios = pytest.importorskip("termios")

    def failing(*_: object, **__: object) -> None:
        raise termios.error(5, "Input/output error")

    monkeypatch.setattr(product, "serial", type("Module", (), {"Serial": failing}))
    assert str(refused(pty.port)).endswith("there is no device behind it; is the tool plugged in?")


def test_a_failure_without_a_number_is_told_as_it_is(pty: PtyPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise serial.SerialException("the dongle said no")

    monkeypatch.setattr(product, "serial", type("Module", (), {"Serial": failing}))
    assert str(refused(pty.port)) == f"serial:{pty.port}: cannot be opened (the dongle said no)"


def test_the_reading_thread_ends_with_the_loop(pty: PtyPeer) -> None:
    """A program that dies without closing leaves no thread that keeps it alive, and none that raises."""
    transport = SerialTransport(pty.port, 115_200, threaded=True)
    log = Log()

    async def scenario() -> None:
        await transport.open(log)
        await pty.send(b"x")
        await until(lambda: log.data == b"x")
        for timer in asyncio.get_running_loop()._scheduled:  # type: ignore[attr-defined]
            timer.cancel()

    asyncio.run(scenario())
    thread = transport._thread
    assert thread is not None and thread.daemon
    os.write(pty.master, b"nobody is there")
    asyncio.run(transport.close())
    assert not thread.is_alive()
