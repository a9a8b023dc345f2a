"""Emulated tools as processes: none stays behind, builds do not disturb each other, mistakes are one line."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from firmware_host import FirmwareHost
from nexus_simulator import emulators
from nexus_simulator.emulators import EmulatorError, NativeBoard, build, missing
from nexus_simulator.options import Options

from nexuslink.cli.main import main
from nexuslink.protocol.messages import HelloResponse, Status

native = pytest.mark.skipif(missing("native") is not None, reason=str(missing("native")))
COMMAND = [sys.executable, "-c", "from nexuslink.cli.main import main; raise SystemExit(main())", "sim", "serve"]


def emulated(board: str) -> pytest.MarkDecorator:
    """Whether this board can and shall be tried."""
    reason = missing(board)
    if board == "qemu" and not os.environ.get("NEXUS_EMULATED"):
        reason = "the emulated processor is tried by `./run test --emulated`"
    return pytest.mark.skipif(reason is not None, reason=str(reason))


BOARDS = [pytest.param(board, marks=emulated(board)) for board in ("native", "qemu")]


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return True


def served(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 90.0)[0], "no address"
    return process, process.stdout.readline().strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_and_no_file_stays_behind(board: str, number: signal.Signals) -> None:
    """Also where the serving process had no chance to clean up."""
    process, address = served("--firmware", board, "--tcp", "127.0.0.1:0")
    try:
        with FirmwareHost.connect(address) as host:
            assert host.hello().status == Status.OK
            (child,) = children(process.pid)
            process.send_signal(number)
            process.wait(20.0)
            end = time.monotonic() + 20.0
            while not gone(child):
                assert time.monotonic() < end, "the emulated tool lives on"
                time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert not list(Path("/dev/shm").glob(f"nexus-physics-{process.pid}-*"))
    assert process.returncode == (-number if number == signal.SIGKILL else 0)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("carrier", [("--tcp", "127.0.0.1:0"), ("--pty",)])
def test_command_serves_one_host_after_another(board: str, carrier: tuple[str, ...]) -> None:
    """The same address line as ever, and a tool that streams behind it."""
    process, address = served("--firmware", board, *carrier, "--seed", "3", "--force-rate", "500")
    try:
        assert address.startswith("tcp:127.0.0.1:" if len(carrier) == 2 else "serial:/dev/")
        for _ in range(2):
            with FirmwareHost.connect(address) as host:
                host.start()
                host.until(lambda host=host: len(host.data(0, "<i4", 2)) > 10, "samples")
                hello = HelloResponse.unpack(host.responses[0].payload)
                assert hello is not None
                assert hello.serial_number == "SIM-00003"
                if not _:
                    assert host.stop().totals.dropped == 0
    finally:
        process.terminate()
        process.communicate(timeout=20.0)


@native
def test_board_that_ends_is_said(tmp_path: Path) -> None:
    """The serving process ends too, with one line and status 2."""
    process, _ = served("--firmware", "native", "--pty")
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=20.0)
    assert process.returncode == 2
    assert said == "nexuslink: --firmware native: the emulated tool ended (status -9)\n"


@native
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--firmware", "native", "--pty", "--drop", "0.1"), "--drop 0.1: only --firmware python"),
        (("--firmware", "native", "--pty", "--delay", "5"), "--delay 5: only --firmware python"),
        (("--firmware", "native", "--pty", "--script", "lost-link"), "--script lost-link: "),
        (("--firmware", "native", "--pty", "--script", "dying-battery"), "--script dying-battery: "),
        (("--firmware", "native", "--pty", "--speed", "max"), "--speed: --firmware native runs in real time"),
        (("--firmware", "qemu", "--pty", "--speed", "3"), "--speed: --firmware qemu runs in real time or with max"),
        (("--firmware", "python", "--pty", "--speed", "3"), "--speed 3: "),
        (("--firmware", "native", "--tcp", "203.0.113.7:1"), "--firmware native: "),
        (("--firmware", "native", "--pty", "--imu", "nowhere.npz"), "imu=nowhere.npz: no such file"),
    ],
)
def test_what_is_not_possible_is_refused_by_name(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, status 2."""
    assert main(["sim", "serve", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_missing_compiler_and_sources_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing, and how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        EmulatorError, match=r"arm-none-eabi-gcc, qemu-system-arm.* not found; .*\./run test --emulated"
    ):
        build("qemu")
    monkeypatch.setattr(emulators, "SOURCES", tmp_path)
    with pytest.raises(EmulatorError, match="only in a checkout"):
        build("native")


@native
def test_source_that_does_not_compile_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The compiler's first error, not a page of it."""
    (tmp_path / "Makefile").write_text("%:\n\t@echo 'app.c:3:1: error: unknown type' >&2; echo more >&2; exit 1\n")
    monkeypatch.setattr(emulators, "SOURCES", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EmulatorError, match=r"^--firmware native: does not compile: app\.c:3:1: error: unknown type$"):
        build("native")


@native
def test_two_processes_build_one_after_the_other(tmp_path: Path) -> None:
    """Two at once on an empty folder: one compiles, the other waits and finds it made."""
    log = tmp_path / "log"
    (tmp_path / "Makefile").write_text(f"$(OUT)/nexus_native:\n\techo made >> {log}; sleep 0.5; echo > $@\n")
    script = (
        "import sys, pathlib; from nexus_simulator import emulators; "
        "emulators.SOURCES = pathlib.Path(sys.argv[1]); print(emulators.build('native'))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    both = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = {process.communicate(timeout=60.0)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    (path,) = made
    assert Path(path).is_relative_to(tmp_path)
    assert log.read_text() == "made\n"


@native
def test_program_that_is_given_another_memory_says_so(tmp_path: Path) -> None:
    """A file that is not the physics is refused before anything is served."""
    other = tmp_path / "other"
    other.write_bytes(bytes(emulators.FILE_SIZE))
    done = subprocess.run(
        [str(build("native")), str(other), "--pty"], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert "not what this program understands" in done.stderr


@native
def test_board_is_closed_twice_without_harm() -> None:
    """Closing is for every way out."""
    board = NativeBoard(Options(), None)
    board.close()
    board.close()
