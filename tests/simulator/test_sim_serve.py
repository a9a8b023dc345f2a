"""The simulated tool as a process of its own: real sockets, real pseudo-terminals, real signals."""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from nexus_simulator.serve import Carrier, serve_pty
from sim_host import Host, hello, start
from sim_process import GUARD_S, ROOT, command, process

from nexuslink.protocol.messages import HelloResponse


def finished(*args: str) -> tuple[int, str, str]:
    ran = command("sim", *args)
    out, err = ran.communicate(timeout=GUARD_S)
    return ran.returncode, out, err


class TcpPort:
    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("tcp:").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=GUARD_S)
        self.write = self.socket.sendall
        self.fd = self.socket.fileno()

    def read(self) -> bytes:
        return self.socket.recv(65536)

    def close(self) -> None:
        self.socket.close()


class PtyPort:
    def __init__(self, address: str) -> None:
        self.fd = os.open(address.removeprefix("serial:"), os.O_RDWR | os.O_NOCTTY)

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    def read(self) -> bytes:
        return os.read(self.fd, 65536)

    def close(self) -> None:
        os.close(self.fd)


Port = TcpPort | PtyPort
CARRIERS = [
    pytest.param(("--tcp", "127.0.0.1:0"), TcpPort, id="tcp"),
    pytest.param(("--pty",), PtyPort, id="pty", marks=pytest.mark.skipif(sys.platform == "win32", reason="no PTY")),
]


def read_until(port: Port, host: Host, condition: Callable[[], bool], guard_s: float = GUARD_S) -> bool:
    end = time.monotonic() + guard_s
    while not condition():
        ready, _, _ = select.select([port.fd], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        data = port.read()
        if not data:
            return condition()
        host.feed(data)
    return True


def greet(port: Port, host: Host) -> HelloResponse:
    port.write(hello())
    assert read_until(port, host, lambda: bool(host.responses)), "no answer to HELLO"
    answer = HelloResponse.unpack(host.responses[0].payload)
    assert answer
    return answer


@pytest.mark.parametrize(("where", "open_port"), CARRIERS)
def test_serves_one_host_after_another_and_stays_the_same_tool(
    where: tuple[str, ...], open_port: Callable[[str], Port]
) -> None:
    with process("sim", "serve", *where, "--seed", "3") as (server, address):
        boots = []
        for _ in range(2):
            port, host = open_port(address), Host()
            boots.append(greet(port, host).boot_id)
            assert not read_until(port, host, lambda h=host: bool(h.stream_messages), 0.3), "data before START"
            port.write(start())
            assert read_until(port, host, lambda h=host: len(h.data(1)) > 20), "no data"
            assert host.sequence()[0] == 0 and host.deframer.counts.bad == 0
            port.close()
            time.sleep(1.5)  # who comes before a pseudo-terminal's server has looked is taken for the host before
        assert boots[0] == boots[1]
        server.send_signal(signal.SIGTERM)
        assert server.wait(GUARD_S) == 0


@pytest.mark.parametrize(("where", "open_port"), CARRIERS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_even_in_mid_stream(
    where: tuple[str, ...], open_port: Callable[[str], Port], number: signal.Signals
) -> None:
    with process("sim", "serve", *where) as (server, address):
        port, host = open_port(address), Host()
        greet(port, host)
        port.write(start())
        assert read_until(port, host, lambda: bool(host.data(0)))
        server.send_signal(number)
        assert server.wait(GUARD_S) == 0
        port.close()
        assert server.stderr and server.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no PTY")
def test_a_host_that_does_not_read_makes_the_tool_drop_and_count() -> None:
    # On a pseudo-terminal: the kernel's buffers of a TCP connection take minutes of this stream.
    with process("sim", "serve", "--pty", "--force-rate", "1000", "--imu-rate", "1000") as (_, address):
        port, host = PtyPort(address), Host()
        greet(port, host)
        port.write(start())
        time.sleep(4.0)
        assert read_until(port, host, lambda: any(s.dropped for s in host.statuses)), "no drop was counted"
        assert host.deframer.counts.bad == 0
        assert host.sequence() == list(range(len(host.sequence()))), "dropped in the tool, not on the way"
        port.close()


def test_a_second_tcp_host_is_turned_away() -> None:
    with process("sim", "serve", "--tcp", "127.0.0.1:0") as (_, address):
        first, host = TcpPort(address), Host()
        greet(first, host)
        second = TcpPort(address)
        assert second.read() == b""
        second.close()
        first.write(start())
        assert read_until(first, host, lambda: bool(host.data(0))), "the first host must not notice"
        first.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no PTY")
@pytest.mark.parametrize("turns", [*range(8), None])
def test_the_next_host_is_heard_from_its_first_byte(turns: int | None) -> None:
    """Who opens the terminal and speaks when the one before has just gone, as a program started again does: so many
    turns of the server's loop later, or while that one is being dismissed."""

    class Tool:
        """Answers the second host, if it is not dismissed before that."""

        switched_off = False

        def __init__(self) -> None:
            self.path = ""
            self.host = -1
            self.answered = self.asked = self.second = False
            self.question, self.over = asyncio.Event(), asyncio.Event()

        def open(self, said: bytes) -> None:
            self.host = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            os.write(self.host, said)

        def come_back(self, turns: int | None) -> None:
            if turns:
                asyncio.get_running_loop().call_soon(self.come_back, turns - 1)
            elif turns == 0 and not self.second:
                self.second = True
                self.open(b"second")

        def receive(self, data: bytes) -> None:
            if data == b"first":
                os.close(self.host)
                self.come_back(turns)
            else:
                self.asked = True
                self.question.set()

        async def pump(self, carrier: Carrier) -> str:
            await self.question.wait()
            await asyncio.sleep(0.02)
            self.answered = True
            self.over.set()
            return ""

        def disconnect(self) -> None:
            if self.asked:
                self.over.set()
            self.come_back(0)

    async def both() -> bool:
        tool = Tool()

        def say(line: str) -> None:
            tool.path = line.removeprefix("serial:")
            tool.open(b"first")

        async with asyncio.timeout(GUARD_S):
            await serve_pty(tool, tool.over, say)
        os.close(tool.host)
        return tool.answered

    assert asyncio.run(both()), "what it said was lost"


def test_every_start_of_the_process_is_another_boot_unless_said() -> None:
    def boot(*args: str) -> int:
        with process("sim", "serve", "--tcp", "127.0.0.1:0", *args) as (_, address):
            port = TcpPort(address)
            boot_id = greet(port, Host()).boot_id
            port.close()
            return boot_id

    assert boot() != boot()
    assert boot("--boot", "5") == boot("--boot", "5")


def test_bad_values_are_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        cases = {
            ("serve", "--tcp", "nonsense"): "HOST:PORT",
            ("serve", "--tcp", "127.0.0.1:99999"): "HOST:PORT",
            ("serve", "--tcp", busy): "cannot be served",
            ("serve", "--pty", "--script", "nope"): "good-psoas",
            ("serve", "--pty", "--drop", "7"): "0 to 1",
            ("serve", "--pty", "--imu", "/nowhere.npz"): "no such file",
        }
        for args, words in cases.items():
            status, out, err = finished(*args)
            assert (status, out, err.count("\n")) == (2, "", 1), err
            assert words in err


def test_scripts_are_listed_for_people_and_machines() -> None:
    status, out, _ = finished("scripts")
    assert status == 0 and "good-psoas" in out and "(default)" in out
    status, out, _ = finished("scripts", "--json")
    rows = json.loads(out)
    assert status == 0 and [row["name"] for row in rows if row["default"]] == ["good-psoas"]
    assert {"good-iliacus", "too-hard", "wrong-angle", "wobbling", "contract-relax", "letting-go", "dying-battery",
            "lost-link", "idle"} <= {row["name"] for row in rows}  # fmt: skip


def test_the_command_imports_nothing_heavy() -> None:
    code = "import sys, nexus_simulator.command; sys.exit('numpy' in sys.modules)"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "simulator")])
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert result.returncode == 0
