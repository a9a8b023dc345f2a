"""The commands on an air that another process serves, as the README says it; and everything that one may do wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from at_a_terminal import PROGRAM
from test_commands import free_port, served
from test_misuse import nexuslink, refused

from nexuslink.cli.main import main
from nexuslink.device.remembered import USUAL

pytest.importorskip("bumble", reason="BLE commands: need the package bumble, of the extra virtual-ble")

ANY = "tcp-server:127.0.0.1:0"


@contextmanager
def air(*words: str) -> Iterator[str]:
    """A served air; yields the radio's address."""
    with served("--ble", ANY, "--seed", "3", *words) as line:
        yield line.partition("?radio=")[2]


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """It works, in this process, and whispers of nothing but a pairing."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert all(": Pairing. " in line for line in err.splitlines())
    return out


def refused_in_the_end(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """After it was said that there is a pairing to confirm, once: the line that says why not."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    pairing, line = err.splitlines()
    assert out == "" and "Pairing. Confirm the pairing" in pairing
    return line


@pytest.mark.thorough
def test_by_radio_then_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's two commands; then the tool is known, and found again on its radio."""
    monkeypatch.setenv("NEXUSLINK_TOOLS", str(tmp_path))
    monkeypatch.setattr(USUAL, "_memory", {})
    with air("--bonding", "always") as radio:
        ran = nexuslink("info", f"ble:?radio={radio}")
        assert ran.returncode == 0
        confirm, compare = ran.stderr.splitlines()  # this computer is new to the tool
        assert confirm.startswith("nexuslink: ") and "Pairing. Confirm the pairing on the tool" in confirm
        assert re.fullmatch(r"nexuslink: .* Pairing\. Compare the number \d{6} on the tool\.", compare)
        assert ran.stdout.startswith("SIM-00003  [SIMULATED] at ble:?radio=bumble:tcp-client:")
        streamed = said(["stream", "tool:", "--seconds", "0.5", "--json"], capsys)
        rows = [json.loads(line) for line in streamed.splitlines()]
        assert rows[-1]["lost_messages"] == 0
        assert all(row["simulated"] for row in rows)
        monkeypatch.setenv("NEXUSLINK_BLE_RADIO", radio)
        tools = json.loads(said(["scan", "--json"], capsys))
        (mine,) = (tool for tool in tools if tool["serial_number"] == "SIM-00003")
        assert (mine["carriers"], mine["remembered"], mine["simulated"]) == (["Bluetooth"], True, True)
        assert -127 < mine["rssi_dbm"] < 0
        assert mine["url"] == "tool:SIM-00003"
        nobody = refused(["info", f"ble://NX-9?radio={radio}&timeout=1"], capsys)
        assert "not heard within 1 s; near are SIM-00003" in nobody


@pytest.mark.thorough
def test_a_taken_tool_that_then_dies_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    serve = [*PROGRAM, "sim", "serve", "--ble", ANY, "--bonding", "always"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        stream = [*PROGRAM, "stream", url]
        with subprocess.Popen(stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "psoas" in process.stdout.readline()
            other = url.replace("client:", "client:[host=2]")
            assert "not heard within 1 s" in refused(["info", f"{other}&timeout=1"], capsys)
            server.kill()
            _, err = process.communicate(timeout=30)
        assert process.returncode == 2
        *pairing, last = err.splitlines()
        assert all(": Pairing. " in line for line in pairing)
        assert "the Bluetooth connection has ended" in last


@pytest.mark.thorough
def test_a_wrong_passkey_and_a_link_that_is_too_small_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--bonding", "always", "--pairing", "passkey", "--passkey", "4711", "--air-mtu", "23")
    with air(*words) as radio:
        wrong = radio.replace("client:", "client:[passkey=1]")
        assert "press the tool's button" in refused_in_the_end(["info", f"ble:?radio={wrong}"], capsys)
        right = radio.replace("client:", "client:[passkey=4711]")
        said = refused_in_the_end(["info", f"ble:?radio={right}"], capsys)
        assert "the tool refused HELLO: the link carries less" in said


def test_nobody_serves_the_air_there(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["info", f"ble:?radio=bumble:tcp-client:127.0.0.1:{free_port()}"], capsys)
    assert "nothing answers at the virtual radio's address; is `nexuslink sim serve --ble` running there?" in line


@pytest.mark.parametrize(
    ("radio", "says"),
    [("bumblee:x", "did you mean bumble:?"), ("bumble:", "write air:NAME"), ("bumble:tcp-client", "write air:NAME")],
)
def test_a_mistyped_radio_is_one_line(radio: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in refused(["info", f"ble:?radio={radio}"], capsys)


def test_without_bumble_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['bumble'] = None")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = nexuslink("info", "ble:?radio=bumble:tcp-client:127.0.0.1:9", PYTHONPATH=path)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "pip install nexuslink[virtual-ble]" in ran.stderr
