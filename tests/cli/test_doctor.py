"""``nexuslink doctor`` as a process, on this machine and on machines that lack something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexuslink.cli.checks import QT_LIBRARIES, X11_LIBRARIES, check_bluetooth
from nexuslink.cli.requirements import Requirement
from nexuslink.recording.files import lock

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 100
HEAVY = ("PySide6", "pyqtgraph", "miniaudio", "bleak", "vqf", "mcap", "google")
"""Not needed for what most tests look at, and slow to import."""
BLOCKER = """
import os, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in os.environ["BLOCKED"].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


class Machine:
    """Where doctor is started: a folder in front of Python's path, and an environment."""

    def __init__(self, folder: Path) -> None:
        self.front = folder / "front"
        self.sessions = folder / "sessions"
        self.front.mkdir()
        self.environ: dict[str, str] = {"NEXUSLINK_SESSIONS": str(self.sessions)}

    def lacks(self, *modules: str) -> None:
        (self.front / "sitecustomize.py").write_text(BLOCKER)
        self.environ["BLOCKED"] = ",".join(modules)

    def doctor(self, *args: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, (str(self.front), os.environ.get("PYTHONPATH"))))
        return subprocess.run(
            [sys.executable, "-m", "nexuslink.cli.main", "doctor", *args],
            env=os.environ | {"PYTHONPATH": path} | self.environ,
            capture_output=True, text=True, timeout=HANG_S, check=False,
        )  # fmt: skip

    def rows(self, *args: str, status: int | None = None) -> dict[str, dict[str, str]]:
        done = self.doctor("--json", *args)
        assert not done.stderr, done.stderr
        rows = json.loads(done.stdout)
        missing = any(row["state"] == "missing" for row in rows)
        assert done.returncode == (1 if missing else 0)
        assert status is None or done.returncode == status, rows
        for row in rows:
            assert row["state"] in ("ok", "warn", "missing")
            assert row["found"]
            assert "\n" not in row["found"] + row["mend"]
            assert row["state"] != "missing" or row["mend"], row
        return {row["name"]: row for row in rows}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_here_everything_that_is_needed_is_there_and_a_lossy_link_is_seen(machine: Machine) -> None:
    rows = machine.rows("--device", "sim:?speed=max&drop=0.1", status=0)
    assert rows["tool"]["found"].startswith("SIM-00000 [SIMULATED], Core Nexus sim, firmware 1.")
    assert ", hardware 1." in rows["tool"]["found"]
    assert (rows["protocol"]["state"], rows["protocol"]["found"]) == ("ok", "1.0")
    assert rows["tool can"]["found"].startswith("tare, configure, ")
    assert rows["tool errors"]["found"] == "none"
    assert "250.0 Hz of 250" in rows["force rate"]["found"]
    assert rows["loss"]["state"] == "warn"
    assert rows["round trip"]["state"] == "ok"
    assert rows["numpy"]["state"] == rows["sim: addresses"]["state"] == rows["Qt"]["state"] == "ok"
    assert str(machine.sessions) in rows["sessions folder"]["found"]


def test_without_numpy_qt_and_sound_it_says_so_and_does_not_fall_over(machine: Machine) -> None:
    machine.lacks("PySide6", "miniaudio", "numpy")
    rows = machine.rows("--device", "sim:", status=1)
    for name in ("numpy", "PySide6-Essentials", "miniaudio", "Qt", "tool"):
        assert rows[name]["state"] == "missing"
        assert "No module named" in rows[name]["found"]
    assert rows["numpy"]["mend"].startswith('pip install "numpy')
    assert rows["sound"]["state"] == "warn"
    assert rows["protobuf"]["state"] == rows["sessions folder"]["state"] == "ok"


def test_without_anything_at_all_it_still_makes_its_table(machine: Machine) -> None:
    machine.lacks("PySide6", "miniaudio", "numpy", "serial", "platformdirs", "corncobs", "cobs", "mcap", "zstandard",
                  "google", "vqf", "bleak", "pyqtgraph")  # fmt: skip
    done = machine.doctor()
    assert done.returncode == 1
    assert not done.stderr
    assert "missing: " in done.stdout.splitlines()[-1]
    assert "frame codec" in done.stdout.splitlines()[-1]


def test_a_slow_codec_is_a_warning(machine: Machine) -> None:
    machine.lacks("corncobs", "numpy", *HEAVY)
    (machine.front / "cobs").mkdir()
    (machine.front / "cobs" / "__init__.py").touch()
    (machine.front / "cobs" / "cobs.py").touch()
    assert machine.rows()["frame codec"]["state"] == "warn"


@pytest.mark.parametrize(("package", "version"), [("numpy", "1.25.9"), ("pyside6_essentials", "6.12.0")])
def test_a_version_that_is_not_supported_is_named(machine: Machine, package: str, version: str) -> None:
    machine.lacks(*HEAVY)
    info = machine.front / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: {version}\n")
    row = machine.rows(status=1)["Qt" if "side" in package else package]
    assert row["state"] == "missing"
    assert version in row["found"]


def test_unfinished_recordings_are_named_but_not_one_that_is_being_written(machine: Machine) -> None:
    machine.lacks("numpy", *HEAVY)
    machine.sessions.mkdir()
    (machine.sessions / "old.mcap.part").write_bytes(b"x" * 2000)
    with (machine.sessions / "now.mcap.part").open("wb", buffering=0) as file:
        assert lock(file)
        said = machine.doctor().stdout
    assert "old.mcap.part was never finished, 2 kB" in said
    assert "now.mcap.part is being written now" in said
    assert (machine.sessions / "old.mcap.part").exists()


def test_a_sessions_folder_that_cannot_be_is_missing(machine: Machine) -> None:
    machine.lacks("numpy", *HEAVY)
    (machine.front / "file").touch()
    machine.environ["NEXUSLINK_SESSIONS"] = str(machine.front / "file" / "sessions")
    row = machine.rows(status=1)["sessions folder"]
    assert row["state"] == "missing"
    assert "NEXUSLINK_SESSIONS" in row["mend"]


def test_bluetooth_that_does_not_answer_is_no_lack_and_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUSLINK_BLE_RADIO", "bumble:tcp-client:127.0.0.1:1")
    (row,) = check_bluetooth()
    assert row.state == "warn"
    assert row.mend
    monkeypatch.setitem(sys.modules, "bleak", None)
    monkeypatch.delenv("NEXUSLINK_BLE_RADIO")
    (row,) = check_bluetooth()
    assert row.state == "warn"
    assert "bleak" in row.found


def test_a_tool_that_is_not_there_is_missing_and_a_mistyped_address_is_misuse(machine: Machine) -> None:
    machine.lacks(*HEAVY)
    row = machine.rows("--device", "serial:/dev/there-is-none", status=1)["tool"]
    assert "there is no such port" in row["found"]
    done = machine.doctor("--device", "sum:")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_the_system_libraries_are_those_that_run_installs() -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from runner.system import OFFSCREEN, WINDOW
    finally:
        sys.path.remove(str(ROOT))
    assert OFFSCREEN == QT_LIBRARIES
    assert WINDOW == QT_LIBRARIES | X11_LIBRARIES


@pytest.mark.parametrize(
    ("version", "good"),
    [("1.2", True), ("1.2.0", True), ("1.10", True), ("1.1.9", False), ("2.0", False), ("1.3.0", False), ("?", True)],
)
def test_ranges(version: str, good: bool) -> None:
    assert Requirement("x", "x", ">=1.2,<2,!=1.3").allows(version) is good
