"""Every misuse: one line on stderr, exit status 2, nothing on stdout."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexuslink.cli.main import main
from nexuslink.release.plans import load_plan, plan_text


def nexuslink(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real program in a real process."""
    return subprocess.run(
        [sys.executable, "-m", "nexuslink.cli.main", *words],
        capture_output=True, text=True, timeout=100, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command in this process; exit status 2, nothing on stdout, one line on stderr, which is returned."""
    try:
        status: object = main(words)
    except SystemExit as exit_:  # how argparse ends
        status = exit_.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    assert err.count("\n") == 1, err
    return err


@pytest.fixture
def mute_server() -> Iterator[int]:
    """A TCP server that takes everything and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def serve() -> None:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.close()
        thread.join(30)


PLAN = "release {plan} --device sim:?speed=max --no-record"
SITE = "release psoas-left --device"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "required"),
        ("dance", "invalid choice: 'dance'"),
        ("release psoas-left", "--device"),
        ("release psoas-middle --device sim:", "psoas-left"),
        ("release nowhere.toml --device sim:", "nowhere.toml"),
        (f"{SITE} simm:", "did you mean sim:"),
        (f"{SITE} nonsense", "scheme:target"),
        (f"{SITE} sim:?script", "name=value"),
        (f"{SITE} sim:?script=good&script=bad", "twice"),
        (f"{SITE} sim:?script=dancing", "dancing"),
        (f"{SITE} sim:?sped=max", "sped"),
        (f"{SITE} sim:?imu=/no/such/file.npz", "no such file"),
        (f"{SITE} serial:", "serial:PORT"),
        (f"{SITE} serial:/dev/no-such-port", "no such port"),
        (f"{SITE} serial:/etc/passwd", "not a serial port"),
        (f"{SITE} serial:/dev/tty?baud=fast", "baud"),
        (f"{SITE} tcp:localhost", "HOST:PORT"),
        (f"{SITE} tcp:127.0.0.1:1", "cannot connect"),
        ("info tcp:127.0.0.1:99999", "65535"),
        ("stream sim: --seconds -1", "--seconds"),
        ("stream sim: --seconds soon", "--seconds"),
        ("replay /no/such/session.mcap", "/no/such/session.mcap"),
        ("replay {foreign}", "not a session"),
        ("replay {folder}", "{folder}"),
        ("record sim:?speed=max --seconds 1 --out {folder}/no/where.mcap", "no/where.mcap"),
        ("release psoas-left --device sim: --sessions {foreign}", "foreign.txt"),
        ("gui --site psoas-middle", "psoas-middle"),
        ("sim serve --tcp here", "here"),
        ("sim serve", "--tcp"),
    ],
)
def test_one_line_says_what_where_and_what_to_do(
    command: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("not a session")
    places = {"{foreign}": str(foreign), "{folder}": str(tmp_path)}
    for name, place in places.items():
        command, words = command.replace(name, place), words.replace(name, place)
    said = refused(command.split(), capsys)
    assert words in said
    assert foreign.read_text() == "not a session"


def test_the_real_program_exits_with_two() -> None:
    ran = nexuslink("release", "psoas-left", "--device", "simm:")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("key", "figure"), [("hold_s", "0"), ("stop_n", "500"), ("band_low_n", "-5"), ("warn_n", "nan"), ("hold_s", None)]
)
def test_an_absurd_plan_is_refused_by_file_and_key(
    key: str, figure: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = plan_text(load_plan("psoas-left")).splitlines()
    absurd = [] if figure is None else [f'{key} = {{ value = {figure}, source = "assumption" }}']
    plan = tmp_path / "mine.toml"
    plan.write_text("\n".join([row for row in rows if not row.startswith(key)] + absurd))
    said = refused(PLAN.replace("{plan}", str(plan)).split(), capsys)
    assert key in said
    assert str(plan) in said


def test_a_tool_that_never_answers_is_given_up(mute_server: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no answer to HELLO" in refused(["info", f"tcp:127.0.0.1:{mute_server}"], capsys)


def test_a_busy_port_is_said() -> None:
    import pty

    import serial

    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    with serial.Serial(name, exclusive=True):
        ran = nexuslink("info", f"serial:{name}")
    os.close(ours)
    os.close(theirs)
    assert ran.returncode == 2
    assert "another program holds the port" in ran.stderr
    assert ran.stderr.count("\n") == 1
