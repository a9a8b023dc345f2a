"""The parts behind ``./run`` that need no process of their own: tracked files, locks, bounded children."""

from __future__ import annotations

import io
import re
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runner.checks import forbidden_in  # noqa: E402
from runner.environment import LAYERS  # noqa: E402
from runner.progress import Progress, run_bounded  # noqa: E402

LOCKS = sorted({name for files in LAYERS.values() for name in files if name.endswith(".txt")})


def names(lock: str) -> set[str]:
    lines = (ROOT / lock).read_text().splitlines()
    return {line.split("==")[0] for line in lines if re.match(r"[a-z0-9]", line)}


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_and_hash_everything_and_carry_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert [entry for entry in entries if "==" not in entry.split("\n")[0] or "--hash=sha256:" not in entry] == []
    assert "://" not in text and "--index" not in text


def test_the_runtime_lock_holds_what_the_wheel_asks_for() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["dependencies"]
    asked = {re.split(r"[<>=!~ \[;]", entry)[0].lower().replace("_", "-") for entry in wanted}
    assert asked - names("requirements/runtime.txt") == set()


@pytest.mark.parametrize(
    "text",
    [
        "index-url = " + "https://mirror.example/x",
        "see https://files.python" + "hosted.org/packages/ab",
        "wheel from pypi" + ".org",
        'url = "http://host/' + 'simple/"',
        "open('/" + "work/shared/data')",
        "cd /" + "root/project",
        "/" + "home/anna/nexus",
    ],
)
def test_addresses_and_machine_paths_are_found(text: str) -> None:
    assert len(forbidden_in(f"first line\n{text}\n".encode())) == 1
    assert forbidden_in(f"first line\n{text}\n".encode())[0].startswith("2: ")


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/docs",
        "../shared/data",
        "tcp:127.0.0.1:9000",
        "src/work/x",
        "$HOME/home/x",
        "a simple/plain one",
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert forbidden_in(text.encode()) == []
    assert forbidden_in(b"\0 binary /" + b"root/x") == []


def test_a_child_that_hangs_is_ended() -> None:
    said: list[str] = []
    start = time.monotonic()
    command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    assert run_bounded(command, limit_s=2.0, on_line=said.append) == 1
    assert time.monotonic() - start < 60
    assert said[0] == "up" and "no result within 2 s" in said[-1]


def test_a_child_that_ends_gives_its_status_and_lines() -> None:
    said: list[str] = []
    command = [sys.executable, "-c", "import sys; print('one'); print('two', file=sys.stderr); sys.exit(5)"]
    assert run_bounded(command, limit_s=60.0, on_line=said.append) == 5
    assert sorted(said) == ["one", "two"]


def test_progress_tells_step_count_and_seconds() -> None:
    stream = io.StringIO()
    progress = Progress(2, stream)
    progress.step("packages")
    progress.done("19 packages")
    progress.step("checkout")
    progress.done()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[1/2] packages" and re.fullmatch(r"\[1/2\] packages  \d+ s  19 packages", lines[1])
    assert re.fullmatch(r"\[2/2\] checkout  \d+\.\d s", lines[-1])


def test_the_broken_qt_is_kept_out() -> None:
    """PySide6 6.12.0 loses references on Python 3.10 and 3.11 and aborts within seconds."""
    assert '"PySide6-Essentials>=6.8,!=6.12.0"' in (ROOT / "pyproject.toml").read_text()
    assert "\npyside6-essentials==6.11.3 " in (ROOT / "requirements/runtime.txt").read_text()
