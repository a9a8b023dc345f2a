"""Moments of real processes, each ended by SIGKILL: the simulated tool behind its radio, and the host that streams.

Nothing is said to anybody and nothing is tidied up. A tool that is killed is started again; after a host's death the
tool must advertise again and let the next host in.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Final

from .plan import GUARD_S, Phase, Told, drawn

LEVEL: Final = "process"
LASTS_S: Final = {Phase.SCAN: 0.1, Phase.CONNECT: 0.5, Phase.HANDSHAKE: 0.2, Phase.STREAM: 1.0, Phase.DISCONNECT: 0.03}
OUTAGE_S: Final = 1.0
COMPLAINTS: Final = ("/nexuslink/", "/nexus_simulator/", "never retrieved", "destroyed but it is pending")
ROOT: Final = Path(__file__).parents[2]
SERVE: Final = """
import argparse, sys
from nexus_simulator.command import register
parser = argparse.ArgumentParser()
register(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""


class Process:
    """One, and the lines that it says, each with the time at which it came."""

    def __init__(self, *command: str) -> None:
        path = os.pathsep.join([*(str(ROOT / part) for part in ("tests", "src", "simulator"))])
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environ
        )
        self._lines: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        self.complaints = ""
        self._readers = [threading.Thread(target=one) for one in (self._read, self._read_complaints)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put((line.strip(), time.monotonic()))

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        self.complaints = self._process.stderr.read()

    def until(self, wanted: Callable[[str], bool]) -> tuple[str, float]:
        """The first line that is wanted; raises ``TimeoutError``, with what the process complained of."""
        end = time.monotonic() + GUARD_S
        while (left := end - time.monotonic()) > 0:
            try:
                line, at = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if wanted(line):
                return line, at
        self.kill()
        raise TimeoutError(f"it never said so; it complained: {self.complaints[-2000:]}")

    def go(self) -> None:
        """One line of input."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Told to stop."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """At once. Idempotent."""
        self._process.kill()
        self._process.wait(GUARD_S)
        for reader in self._readers:
            reader.join(GUARD_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


class Scene:
    """One served tool, one host, and another one that is ready to take its place."""

    def __init__(self, seed: int, rng: Random) -> None:
        self.rng = rng
        self._seed, self._starts = seed, 0
        self._folder = tempfile.TemporaryDirectory(prefix="nexus-moment-")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self._port = taken.getsockname()[1]
        self._processes: list[Process] = []
        self.tool, self.host, self.spare = self._tool(), self._host(), self._host()
        self._wait_for(self.tool, self.host, self.spare)

    @staticmethod
    def _wait_for(*processes: Process) -> None:
        """Until they are ready: a tool says its address then, a host that it is."""
        for process in processes:
            process.until(lambda line: line == "ready" or line.startswith("ble://SIM-"))

    def _started(self, *command: str) -> Process:
        self._processes.append(Process(*command))
        return self._processes[-1]

    def _tool(self) -> Process:
        tool = self._started(
            "-c", SERVE, "sim", "serve", "--ble", f"tcp-server:127.0.0.1:{self._port}", "--bonding", "always",
            "--bonds", f"{self._folder.name}/bonds", "--seed", str(self._seed), "--boot", str(self._starts),
        )  # fmt: skip
        self._starts += 1
        return tool

    def _host(self) -> Process:
        radio = f"bumble:tcp-client:127.0.0.1:{self._port}"
        return self._started("-m", "moments.host", radio, f"SIM-{self._seed:05}")

    def tool_killed(self) -> float:
        """It comes back after a while, as after its power was cut."""
        self.tool.kill()
        time.sleep(self.rng.uniform(0.0, OUTAGE_S))
        self.tool = self._tool()
        self._wait_for(self.tool)
        return time.monotonic()

    def host_killed(self) -> float:
        """Another one comes; it has no bond."""
        return self.next_host()

    def next_host(self) -> float:
        """The one that waits takes over."""
        self.host.kill()
        self.host = self.spare
        self.host.go()
        return time.monotonic()

    def close(self) -> None:
        """All of them are gone."""
        for process in self._processes:
            process.kill()
        self._folder.cleanup()


CAUSES: Final[tuple[Callable[[Scene], float], ...]] = (Scene.tool_killed, Scene.host_killed)


def struck(seeds: Iterable[int]) -> list[Told]:
    """One after the other."""
    return [_struck(seed) for seed in seeds]


def _struck(seed: int) -> Told:
    cause, phase, rng = drawn(seed, LEVEL, CAUSES)
    told = Told(LEVEL, seed, cause.__name__.replace("_", " "), phase)
    threads = set(threading.enumerate())
    scene = Scene(seed, rng)
    try:
        host = scene.host
        host.go()
        if phase is Phase.DISCONNECT:
            host.until(lambda line: line == "data")
            host.end()
        host.until(lambda line: line == phase)
        time.sleep(rng.uniform(0.0, LASTS_S[phase]))
        ended = cause(scene)
        if scene.host is host and phase is Phase.DISCONNECT:  # that one has had its day
            ended = scene.next_host()
        at = 0.0
        while at < ended:
            _, at = scene.host.until(lambda line: line == "data")
        told.back_s = at - ended
        scene.close()
        for process in scene._processes:
            if any(ours in process.complaints for ours in COMPLAINTS):  # bumble logs tracebacks of its own
                told.problems.append(f"a process complained: {process.complaints[-2000:]}")
    except TimeoutError as error:
        told.problems.append(str(error))
    finally:
        scene.close()
    told.problems += [f"a thread is left over: {one.name}" for one in set(threading.enumerate()) - threads]
    return told.judge()
