"""The tools that a person has had: kept whole, read with suspicion, bounded, bonds last."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from nexuslink.device import remembered as module
from nexuslink.device.errors import ImpostorError
from nexuslink.device.remembered import FILE_MAX, TEXT_MAX, TOOLS_MAX, URLS_MAX, RememberedTool, RememberedTools
from nexuslink.device.verdict import Verdict, judge

ONE = RememberedTool("NX-000123", "blue", "Nexus 1", ("serial:/dev/ttyACM0",), "usb:1209:0001:NX-000123")


def tools(folder: Path) -> RememberedTools:
    return RememberedTools(lambda: folder)


def test_another_process_knows_what_this_one_kept(tmp_path: Path) -> None:
    tools(tmp_path).keep(ONE)
    again = tools(tmp_path)
    assert again.find("NX-000123") == ONE
    assert again.all() == [ONE]
    assert again.at("serial:/dev/ttyACM0") == ONE
    assert again.at("serial:/dev/ttyACM1") is None
    assert again.find("NX-000124") is None
    again.forget("NX-000123")
    assert tools(tmp_path).all() == []


def test_what_is_not_said_stays_and_addresses_are_few_latest_first(tmp_path: Path) -> None:
    known = tools(tmp_path)
    known.keep(RememberedTool("NX-1", "blue", "Nexus 1", ("a:1",), "usb:1", bonded=True, last_seen="2026"))
    for number in range(2, 9):
        known.keep(RememberedTool("NX-1", urls=(f"a:{number}",)))
    tool = known.find("NX-1")
    assert tool is not None
    assert (tool.name, tool.model, tool.identity, tool.bonded, tool.last_seen) == (
        "blue",
        "Nexus 1",
        "usb:1",
        True,
        "2026",
    )
    assert tool.urls == tuple(f"a:{number}" for number in range(8, 8 - URLS_MAX, -1))
    known.rename("NX-1", "green")
    assert [tool.name for tool in known.all()] == ["green"]


def test_latest_first(tmp_path: Path) -> None:
    known = tools(tmp_path)
    for at, serial in enumerate(("NX-1", "NX-2", "NX-3", "NX-1")):
        known.keep(RememberedTool(serial))
        file = next(path for path in tmp_path.iterdir() if serial.encode().hex() in path.name)
        os.utime(file, (1000 + at, 1000 + at))
    assert [tool.serial_number for tool in known.all()] == ["NX-1", "NX-3", "NX-2"]


def test_the_oldest_go_first_and_bonds_last(tmp_path: Path) -> None:
    known = tools(tmp_path)
    known.keep(RememberedTool("BONDED", bonded=True))
    for number in range(TOOLS_MAX + 20):
        known.keep(RememberedTool(f"NX-{number}"))
    assert len(list(tmp_path.iterdir())) == len(known.all()) == TOOLS_MAX
    assert known.find("BONDED") is not None
    assert RememberedTools(lambda: None).all() == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"schema": 2}', b'{"schema": 1}',
        b'{"schema": 1, "serial_number": 5}', b'{"schema": 1, "serial_number": "NX-999"}',
        b'{"schema": 1, "serial_number": "' + b"x" * (FILE_MAX + 1) + b'"}', b'{"schema": 1e999}',
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    known = tools(tmp_path)
    known.keep(ONE)
    path = next(tmp_path.iterdir())
    path.write_bytes(content)
    assert tools(tmp_path).find("NX-000123") is None
    assert tools(tmp_path).all() == []
    tools(tmp_path).keep(ONE)
    assert tools(tmp_path).find("NX-000123") == ONE


def test_fields_that_make_no_sense_are_left_out_one_by_one(tmp_path: Path) -> None:
    tools(tmp_path).keep(ONE)
    path = next(tmp_path.iterdir())
    values = json.loads(path.read_text())
    values |= {
        "name": "two\nlines", "model": "x" * (TEXT_MAX + 1), "urls": ["serial:A", 5, None, "ok:1", "", "z:2"],
        "bonded": "yes", "simulated": 1, "more": {},
    }  # fmt: skip
    path.write_text(json.dumps(values))
    tool = tools(tmp_path).find("NX-000123")
    assert tool == RememberedTool("NX-000123", "", "", ("serial:A", "ok:1"), ONE.identity)


def test_folders_that_cannot_be_used_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    known = tools(file / "under")
    known.keep(ONE)
    assert known.find("NX-000123") == ONE  # in memory
    assert known.all() == [ONE]
    pipe = tmp_path / "tools"
    pipe.mkdir()
    os.mkfifo(pipe / ("tool-" + b"NX-000123".hex() + ".json"))
    assert tools(pipe).find("NX-000123") is None  # and nobody waits for the pipe
    assert tools(pipe).all() == []


def test_a_serial_number_is_never_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    for serial in ("../../etc/passwd", "a/b", "NUL", "x" * 5000, "\udcff", "\0"):
        tools(folder).keep(RememberedTool(serial))
    assert {path.parent for path in tmp_path.rglob("*.json")} == {folder}


def test_nobody_else_may_read_the_folder(tmp_path: Path) -> None:
    tools(tmp_path / "tools").keep(ONE)
    assert stat.S_IMODE((tmp_path / "tools").stat().st_mode) & 0o077 == 0


def test_many_writers_leave_whole_files(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for turn in range(20):
            tools(tmp_path).keep(RememberedTool("NX-1", f"name {number} {turn}", urls=(f"a:{number}",)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["tool-" + b"NX-1".hex() + ".json"]
    assert tools(tmp_path).find("NX-1") is not None


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.SWITCH, str(tmp_path))
    assert module.usual_folder() == tmp_path
    monkeypatch.setenv(module.SWITCH, "off")
    assert module.usual_folder() is None
    monkeypatch.delenv(module.SWITCH)
    folder = module.usual_folder()
    assert folder is not None
    assert folder.name == "tools"


def test_an_unbonded_radio_that_claims_a_bonded_tool_is_refused(tmp_path: Path) -> None:
    remembered = RememberedTools(lambda: tmp_path)
    remembered.keep(RememberedTool("SIM-00003", bonded=True, bonded_at="ble:AA"))
    refused = pytest.raises(ImpostorError, match="it says that it is SIM-00003, but it is not the one")
    with refused as caught:
        remembered.refuse_impostor("SIM-00003", "ble://SIM-00003", "ble:AA", False)
    assert judge(caught.value).verdict is Verdict.IMPOSTOR
    assert "\n" not in str(caught.value)
    with refused:
        remembered.refuse_impostor("SIM-00003", "ble://SIM-00003", "ble:BB", None)  # macOS, Windows: by the address
    for bonded, address in ((True, "ble:AA"), (True, "ble:BB"), (None, "ble:AA"), (None, ""), (None, "usb:1")):
        remembered.refuse_impostor("SIM-00003", "ble://SIM-00003", address, bonded)
    remembered.refuse_impostor("SIM-00004", "ble://SIM-00004", "ble:AA", False)  # never bonded with
    remembered.forget("SIM-00003")
    remembered.refuse_impostor("SIM-00003", "ble://SIM-00003", "ble:BB", False)
