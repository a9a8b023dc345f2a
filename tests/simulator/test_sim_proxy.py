"""``nexuslink fault-proxy``: processes, sockets and pseudo-terminals, a tool on one side and a host on the other."""

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
from sim_host import Host, hello, start, stop
from sim_process import GUARD_S, command, process

from nexuslink.protocol.messages import Opcode, Status, StopResponse

PTY = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on this system")


def ended(running: subprocess.Popen[str]) -> list[str]:
    """What a process says when it is asked to end."""
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=GUARD_S)
    assert running.returncode == 0
    return out.splitlines()


class Client:
    """A host at a TCP port."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("tcp:").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=GUARD_S)
        self.host = Host()
        self.closed = False

    def until(self, condition: Callable[[], bool], guard_s: float = GUARD_S) -> bool:
        end = time.monotonic() + guard_s
        while not condition() and not self.closed:
            ready, _, _ = select.select([self.socket], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return False
            data = self.socket.recv(65536)
            self.closed = not data
            self.host.feed(data)
        return condition()

    def ask(self, request: bytes) -> None:
        before = len(self.host.responses)
        self.socket.sendall(request)
        assert self.until(lambda: len(self.host.responses) > before), "no answer"

    def stream(self, messages: int) -> StopResponse:
        """Greet, start, read, stop; what the tool says that it has made."""
        self.ask(hello())
        self.ask(start())
        assert self.until(lambda: len(self.host.stream_messages) >= messages), "no data"
        self.ask(stop())
        answer = self.host.responses[-1]
        assert (answer.opcode, answer.status) == (Opcode.STOP, Status.OK)
        made = StopResponse.unpack(answer.payload)
        assert made is not None
        return made

    def close(self) -> None:
        self.socket.close()


@pytest.mark.parametrize(
    "where", [pytest.param(["--tcp", "127.0.0.1:0"], id="tcp"), pytest.param(["--pty"], id="serial", marks=PTY)]
)
def test_without_faults_everything_passes_and_host_after_host_is_served(where: list[str]) -> None:
    with (
        process("sim", "serve", *where) as (_, tool),
        process("fault-proxy", tool, "--tcp", "127.0.0.1:0", "--json") as (proxy, said),
    ):
        for _ in range(2):
            client = Client(json.loads(said)["said"])
            made = client.stream(60)
            assert client.host.sequence() == list(range(made.totals.sent)) and client.host.deframer.counts.bad == 0
            client.close()
            time.sleep(0.3)  # a pseudo-terminal's server looks for its host 20 times a second
        document = json.loads(ended(proxy)[-1])
        assert document["faults"] == {}
        assert document["traffic"]["connections"] == 2 and document["traffic"]["frames_from_host"] == 6
        assert document["traffic"]["frames_from_tool"] >= 126 and document["traffic"]["unreadable_from_tool"] == 0


def test_faults_strike_and_are_counted() -> None:
    with (
        process("sim", "serve", "--tcp", "127.0.0.1:0") as (_, tool),
        process("fault-proxy", tool, "--tcp", "127.0.0.1:0", "--duplicate", "0.3", "--split", "20..40", "--seed", "2",
                "--delay", "1ms..5ms", "--request-duplicate", "1") as (proxy, address),
    ):  # fmt: skip
        client = Client(address)
        made = client.stream(150)
        numbers = client.host.sequence()
        assert set(numbers) <= set(range(made.totals.sent)) and len(numbers) > len(set(numbers))
        assert made.totals.session == 1, "START came twice and did nothing twice"
        client.close()
        traffic, faults = ended(proxy)[-2:]
        assert traffic.startswith("traffic: connections 1, ") and "request_duplicate 3" in faults


def test_a_cut_reaches_the_host_and_it_may_come_again() -> None:
    with (
        process("sim", "serve", "--tcp", "127.0.0.1:0") as (_, tool),
        process("fault-proxy", tool, "--tcp", "127.0.0.1:0", "--handshake", "1") as (_, address),
    ):
        for _ in range(2):
            client = Client(address)
            for request_id in range(1, 10):
                client.socket.sendall(hello(request_id))
            assert not client.until(lambda c=client: len(c.host.responses) >= 9) and client.closed
            client.close()


@PTY
def test_a_host_that_does_not_read_makes_the_tool_drop_not_the_proxy_grow() -> None:
    with (
        process("sim", "serve", "--pty", "--force-rate", "1000", "--imu-rate", "1000") as (_, tool),
        process("fault-proxy", tool, "--pty", "--json") as (proxy, said),
    ):
        fd = os.open(json.loads(said)["said"].removeprefix("serial:"), os.O_RDWR | os.O_NOCTTY)
        host = Host()
        os.write(fd, hello() + start())
        time.sleep(5.0)
        end = time.monotonic() + GUARD_S
        while not any(status.dropped for status in host.statuses):
            ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, "no drop was counted"
            host.feed(os.read(fd, 65536))
        os.close(fd)
        assert host.sequence() == list(range(len(host.sequence()))), "dropped in the tool, not on the way"
        assert json.loads(ended(proxy)[-1])["faults"] == {}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["ble:xy"], ["ble:xy", "serial:PORT or tcp:HOST:PORT"]),
        (["tcp:nowhere"], ["tcp:nowhere", "tcp:HOST:PORT"]),
        (["tcp:127.0.0.1:1"], ["tcp:127.0.0.1:1", "cannot be reached"]),
        (["serial:/nowhere"], ["serial:/nowhere", "cannot be reached"]),
        (["serial:/nowhere", "--baud", "9"], ["--baud 9"]),
        (["tcp:127.0.0.1:1", "--baud", "9600"], ["--baud 9600", "no serial port"]),
        (["tcp:127.0.0.1:1", "--drop", "2"], ["drop=2", "0 to 1"]),
        (["tcp:127.0.0.1:1", "--tcp", "x"], ["--tcp x"]),
    ],
)
def test_misuse_is_one_line_and_status_2(args: list[str], words: list[str]) -> None:
    running = command("fault-proxy", *args, *([] if "--tcp" in args else ["--tcp", "127.0.0.1:0"]))
    out, err = running.communicate(timeout=GUARD_S)
    assert running.returncode == 2 and out == "" and err.count("\n") == 1
    assert all(word in err for word in words), err


def test_faults_that_need_a_hand_inside_the_tool_are_not_offered() -> None:
    running = command("fault-proxy", "tcp:127.0.0.1:1", "--tcp", "127.0.0.1:0", "--reset", "@1s")
    _, err = running.communicate(timeout=GUARD_S)
    assert running.returncode == 2 and "--reset" in err
