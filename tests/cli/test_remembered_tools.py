"""``nexuslink tools``: the list, names, forgetting, and files that somebody has damaged or made up."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from test_misuse import refused

from nexuslink.cli.main import main
from nexuslink.device.remembered import USUAL, RememberedTool, RememberedTools

SERIAL = "NX-000123"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEXUSLINK_TOOLS", str(tmp_path))
    monkeypatch.setattr(USUAL, "_memory", {})  # what other tests have left in this process
    tools = RememberedTools(lambda: tmp_path)
    tools.keep(RememberedTool("NX-000007", model="Core Nexus", urls=("serial:/dev/ttyACM0",), last_seen="2026-01-02"))
    tools.keep(RememberedTool(SERIAL, model="Core Nexus", urls=(f"ble://{SERIAL}",), bonded=True))
    for path, at in zip(sorted(tmp_path.glob("*.json")), (1, 2), strict=True):
        os.utime(path, (at, at))
    return tmp_path


def said(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    assert main(words.split()) == 0
    out, err = capsys.readouterr()
    return out, err


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    rows = json.loads(said("tools --json", capsys)[0])
    assert isinstance(rows, list)
    return rows


def test_they_are_listed_latest_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said("tools", capsys)
    head, first, second = out.splitlines()
    assert err == ""
    assert head.split()[:3] == ["SERIAL", "NUMBER", "NAME"]
    assert first.split() == [SERIAL, "Core", "Nexus", "-", "yes", f"ble://{SERIAL}"]
    assert second.split() == ["NX-000007", "Core", "Nexus", "2026-01-02", "no", "serial:/dev/ttyACM0"]


def test_a_name_is_kept_and_does_not_make_it_the_latest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "name", "nx-000007", "The one in the kitchen"]) == 0
    capsys.readouterr()
    rows = listed(capsys)
    assert [row["serial_number"] for row in rows] == [SERIAL, "NX-000007"]
    assert rows[1]["name"] == "The one in the kitchen"
    assert rows[1]["urls"] == ["serial:/dev/ttyACM0"]
    assert main(["tools", "name", "NX-000007", ""]) == 0
    assert "is called NX-000007" in capsys.readouterr().out


def test_forgotten_it_is_gone_and_its_key_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(f"tools forget tool:{SERIAL}", capsys)
    assert f"{SERIAL} is forgotten" in out
    assert "still has the key" in out
    assert [row["serial_number"] for row in listed(capsys)] == ["NX-000007"]
    out, _ = said("tools forget NX-000007", capsys)
    assert "key" not in out
    assert "No tool is remembered yet" in said("tools", capsys)[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tools", "forget", "NX-9"], "NX-9: no such tool is remembered"),
        (["tools", "name", "NX-9", "x"], "no such tool"),
        (["tools", "name", SERIAL, "a\x1b[2Jb"], "printable"),
        (["tools", "name", SERIAL, "x" * 201], "200 characters"),
        (["tools", "name", SERIAL], "NAME"),
        (["tools", "dance"], "invalid choice"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in refused(words, capsys)


def test_damaged_and_hostile_files_are_named_and_stop_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {
        "cut": b'{"schema": 1, "serial_number": "NX-0',
        "list": b"[1, 2]",
        "deep": b"[" * 5000,
        "huge": b" " * 9000,
        "other": json.dumps({"schema": 1, "serial_number": SERIAL, "bonded": True}).encode(),  # another tool's file
        "escape": json.dumps({"schema": 1, "serial_number": "\x1b[2J\n"}).encode(),
        "bytes": bytes(range(256)),
    }
    for name, data in bad.items():
        (folder / f"tool-{name}.json").write_bytes(data)
    os.mkfifo(folder / "tool-pipe.json")
    out, err = said("tools", capsys)
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out + err
    assert err.count("\n") == len(bad) + 1
    for name in (*bad, "pipe"):
        assert f"tool-{name}.json: cannot be read" in err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that may not be written")
def test_a_folder_that_may_not_be_written_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.chmod(0o500)
    try:
        assert "cannot be removed" in refused(["tools", "forget", SERIAL], capsys)
        assert "cannot be written" in refused(["tools", "name", SERIAL, "x"], capsys)
    finally:
        folder.chmod(0o700)
