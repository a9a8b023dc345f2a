"""The reference firmware in C as a process: built, started with its bench, ended. Two boards: ``native``, a program of
this machine that serves TCP or a pseudo-terminal itself, and ``qemu``, a Cortex-M4 whose UART comes out here.

Knows compilers, processes and where the sources are (in a checkout of the repository, nowhere else); nothing of what
the firmware says. No process stays behind, however its parent went: QEMU gets a parent-death signal, the native board
looks for its parent itself; and no file, because it is removed as soon as the board has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nexus_simulator.options import Options
from nexus_simulator.physics import FILE_SIZE, Physics

SOURCES: Final = Path(__file__).resolve().parents[2] / "firmware_protocol" / "firmware"
BUILD_S = 120.0
"""Longest time for compiling, seconds: some seconds on an idle machine."""
START_S = 20.0
"""Longest time from spawning a board to its first sign of life, seconds: a tenth of a second on an idle machine."""
END_S = 5.0
HOW_TO_GET = "on Debian `./run test --emulated` installs what is missing"
PIPE_SIZE = 1 << 20
"""Bytes from the emulated UART that wait for a reader, at most."""
_F_SETPIPE_SZ = 1031


class EmulatorError(ValueError):
    """A board that cannot be built or started: one line, what is missing and how to get it."""


_LINUX_NEEDS = ("setpriv",) if sys.platform.startswith("linux") else ()
TARGETS: Final = {
    "native": ("nexus_native", ("make", "cc")),
    "qemu": ("nexus_mps2_an386.elf", ("make", "arm-none-eabi-gcc", "qemu-system-arm", *_LINUX_NEEDS)),
}
"""By board: the file that is built, and the programs that it takes. `make` target = the file's name."""


def missing(board: str) -> str | None:
    """Why this board cannot be had here, in one line; ``None``: it can."""
    if not (SOURCES / "Makefile").is_file():
        return f"--firmware {board}: its sources are only in a checkout of the repository, not in the installed package"
    absent = [program for program in TARGETS[board][1] if shutil.which(program) is None]
    if absent:
        return f"--firmware {board}: {', '.join(absent)} not found; {HOW_TO_GET}"
    return None


def build(board: str) -> Path:
    """The board's program, compiled if anything changed. Safe when several processes ask at once."""
    problem = missing(board)
    if problem is not None:
        raise EmulatorError(problem)
    folder = _build_folder()
    with _locked(folder / "lock"):
        command = ["make", "--silent", "-C", str(SOURCES), f"OUT={folder}", str(folder / TARGETS[board][0])]
        environ = {
            name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "CFLAGS")
        }
        try:
            done = subprocess.run(
                command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_S,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EmulatorError(f"--firmware {board}: compiling did not end within {BUILD_S:.0f} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise EmulatorError(f"--firmware {board}: does not compile: {lines[0] if lines else 'make failed'}")
    return folder / TARGETS[board][0]


def _build_folder() -> Path:
    """One for each checkout, the user's own: what is run from there must not be another's."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "nexuslink" / f"firmware-{sha256(str(SOURCES).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; it goes with its holder."""
    until = time.monotonic() + BUILD_S
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise EmulatorError(f"another process has been compiling for {BUILD_S:.0f} s") from None
                select.select([], [], [], 0.05)
        yield


def _with_parent(command: list[str]) -> list[str]:
    """The command, made to be killed when its parent is gone, however that went (Linux only)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command


class Board:
    """One emulated tool: a process and its bench. Made running; ``close`` or leave the ``with`` to end it.

    A parent-death signal comes with the end of the thread that made the process: make it in one that lives as long.
    """

    def __init__(self, board: str, options: Options, fast: bool = False) -> None:
        program = build(board)
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        handle, name = tempfile.mkstemp(prefix=f"nexus-physics-{os.getpid()}-", dir=folder)
        os.close(handle)
        try:
            self.physics = Physics(Path(name), options, fast)
        except BaseException:
            Path(name).unlink()
            raise
        self._board = board
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> str | None:
        """Why the process is no more, one line; ``None`` while it runs."""
        status = None if self._process is None else self._process.poll()
        return None if status is None else f"--firmware {self._board}: the emulated tool ended (status {status})"

    def close(self) -> None:
        """End process and bench."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(END_S)
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
        self.physics.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(
        self, command: list[str], stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        try:
            self._process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
            )  # fmt: skip
        except OSError as error:
            raise EmulatorError(f"--firmware {self._board}: {command[0]}: {error.strerror or error}") from None
        return self._process

    def _begin(self) -> None:
        """The board runs and has its file."""
        self.physics.path.unlink()
        self.physics.start(START_S)

    def _failed(self, process: subprocess.Popen[bytes], what: str) -> EmulatorError:
        process.kill()
        process.wait(END_S)
        said = process.stderr.read().decode(errors="replace").strip().splitlines() if process.stderr else []
        return EmulatorError(f"--firmware {self._board}: {said[-1] if said else what}")


class NativeBoard(Board):
    """The firmware as a program of this machine, at ``address``."""

    def __init__(self, options: Options, tcp: tuple[str, int] | None) -> None:
        """``tcp``: host and port (0: any free one); ``None``: a pseudo-terminal."""
        super().__init__("native", options)
        where = ["--pty"] if tcp is None else ["--tcp", tcp[0], str(tcp[1])]
        try:
            process = self._spawn([str(self._program), str(self.physics.path), *where])
            self.address = self._first_line(process)
            """What the program printed: ``tcp:HOST:PORT`` or ``serial:/dev/...``."""
        except BaseException:
            self.close()
            raise
        self._begin()

    def _first_line(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        line = process.stdout.readline().decode().strip() if ready else ""
        if not line:
            raise self._failed(process, f"said nothing within {START_S:.0f} s")
        return line


class QemuBoard(Board):
    """The firmware on an emulated Cortex-M4; ``uart_in`` and ``uart_out`` are the ends of its serial line: write to
    the one, read from the other, neither blocks."""

    def __init__(self, options: Options, fast: bool = False) -> None:
        """``fast``: as fast as this machine can, not in real time."""
        super().__init__("qemu", options, fast)
        # Pipes, because the UART sends byte by byte: a socket's buffer is full after some hundred writes.
        their_in, self.uart_in = os.pipe()
        self.uart_out, their_out = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(their_out, _F_SETPIPE_SZ, PIPE_SIZE)
        memory = f"memory-backend-file,id=physics,size={FILE_SIZE},mem-path={self.physics.path},share=on"
        command = [
            "qemu-system-arm", "-nodefaults", "-display", "none", "-M", "mps2-an386,memory-backend=physics",
            "-object", memory, "-chardev", "stdio,id=uart,signal=off", "-serial", "chardev:uart",
            "-kernel", str(self._program), *(["-icount", "shift=5,sleep=off"] if fast else []),
        ]  # fmt: skip
        try:
            process = self._spawn(_with_parent(command), their_in, their_out)
            until = time.monotonic() + START_S
            while not self.physics.shared["plan"]["generation"]:
                if process.poll() is not None or time.monotonic() > until:
                    raise self._failed(process, f"gave no sign of life within {START_S:.0f} s")
                select.select([], [], [], 0.005)
            self._begin()
        except BaseException:
            self.close()
            raise
        finally:
            os.close(their_in)
            os.close(their_out)
        os.set_blocking(self.uart_in, False)
        os.set_blocking(self.uart_out, False)

    def close(self) -> None:
        """End process, bench and line."""
        super().close()
        os.close(self.uart_in)
        os.close(self.uart_out)
