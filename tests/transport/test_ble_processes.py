"""The simulated tool in a process of its own, on a virtual radio behind a socket; the program as people start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("bumble", reason="BLE between processes: needs the package bumble, of the extra virtual-ble")

GUARD_S = 60


def nexuslink(*args: str, radio: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nexuslink.cli.main", *args], capture_output=True, text=True, timeout=GUARD_S,
        check=False, env=os.environ | {"NEXUSLINK_BLE_RADIO": radio},
    )  # fmt: skip


@pytest.fixture
def radio() -> Iterator[str]:
    """The address of the radio on which a simulated tool advertises."""
    server = subprocess.Popen(
        [sys.executable, "-m", "nexuslink.cli.main", "sim", "serve", "--ble", "tcp-server:127.0.0.1:0", "--seed", "3",
         "--bonding", "always"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip().partition("?radio=")[2]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=GUARD_S)


def test_scan_info_and_stream(radio: str) -> None:
    ran = nexuslink("scan", "--json", radio=radio)
    (tool,) = [t for t in json.loads(ran.stdout) if t["carriers"] == ["Bluetooth"]]
    assert tool["url"] == "tool:SIM-00003" and tool["simulated"] and tool["rssi_dbm"] < 0
    ran = nexuslink("info", "ble://SIM-00003", "--json", radio=radio)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["serial_number"], said["max_message"], said["simulated"]) == ("SIM-00003", 244, True)
    ran = nexuslink("stream", "ble:", "--seconds", "1", "--json", radio=radio)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(rows) > 10 and rows[-1]["lost_messages"] == 0, ran.stderr


def test_a_radio_that_is_not_there_is_one_line() -> None:
    ran = nexuslink("info", "ble:", radio="bumble:tcp-client:127.0.0.1:1")
    assert ran.returncode != 0 and ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1 and "ble:" in ran.stderr, ran.stderr
    ran = nexuslink("scan", "--json", radio="bumble:tcp-client:127.0.0.1:1")
    assert ran.returncode == 0 and len(json.loads(ran.stdout)) >= 1
    assert len(ran.stderr.splitlines()) == 1 and ran.stderr.startswith("tools on Bluetooth are not listed: ")
