"""Whether anything on this computer can confirm a pairing: asked of BlueZ after a refusal, and of nobody else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from links import AT_END, BLUEZ, Log, run

if not BLUEZ:
    pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")

from ble_side import Method, RawTool, Security, new_air, url_of
from nexus_simulator.options import Options

from nexuslink.transport import ble_pairing
from nexuslink.transport.ble_backends import Backends
from nexuslink.transport.ble_nearby import Found
from nexuslink.transport.ble_pairing import Admission
from nexuslink.transport.errors import KeyLostError, NoAgentError, PairingError
from nexuslink.transport.pairing import Pairing
from nexuslink.transport.url import make_transport

AGENT = Path(__file__).parent.parent / "bluez" / "agent.py"
PATH = "/org/bluez/hci0/dev_00_11_22_33_44_55"


class Device:
    """As bleak describes one on BlueZ."""

    details: Any = {"path": PATH, "props": {}}  # noqa: RUF012


def admission(bonded: bool | None = False, device: object = None, radio: Any = None) -> Admission:
    found = Found(
        "Nexus", "NX-1", "00:11:22:33:44:55", -50.0, 0.0, False, bonded, None, "ble://NX-1", device or Device()
    )
    return Admission("ble://NX-1", Pairing(), Backends(radio=radio), found, "")


def judged(able: Any, asked: Admission, error: PairingError | None = None) -> Exception:
    """What becomes of a refusal where BlueZ says ``able``."""
    told: list[str] = []

    async def pairable(adapter: str) -> bool | None:
        told.append(adapter)
        if isinstance(able, Exception):
            raise able
        if able == "never":
            await asyncio.Event().wait()
        return bool(able)

    async def scenario() -> Exception:
        return await asked.judged(error or PairingError("refused"), False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ble_pairing, "pairable", pairable)
        patch.setattr(ble_pairing, "ASK_BUS_S", 0.05)
        patch.setattr(ble_pairing.sys, "platform", "linux")
        made = run(scenario())
    assert told in ([], ["/org/bluez/hci0"])
    return made


@pytest.mark.skipif(BLUEZ, reason="BlueZ itself is asked there")
@pytest.mark.parametrize("able", [True, False, None, "never", OSError("no bus"), RuntimeError("odd")])
def test_only_a_plain_no_means_that_nothing_confirms(able: Any) -> None:
    made = judged(able, admission()) if able is not None else judged(True, admission(device=object()))
    assert type(made) is (NoAgentError if able is False else PairingError)
    assert len(str(made).splitlines()) == 1


@pytest.mark.skipif(BLUEZ, reason="BlueZ itself is asked there")
def test_it_is_asked_only_where_it_can_be_the_cause() -> None:
    assert type(judged(False, admission(radio=object()))) is PairingError  # another radio than the system's
    assert type(judged(False, admission(bonded=True))) is PairingError  # nothing was to be confirmed
    assert type(judged(False, admission(), KeyLostError("x"))) is KeyLostError


@pytest.mark.skipif(not BLUEZ, reason="needs BlueZ: ./run bluez")
def test_a_computer_where_nothing_confirms_pairings() -> None:
    """As over SSH: no desktop is there. The tool would let it in."""

    async def scenario() -> None:
        tool = RawTool(new_air(), Options(seed=0), Security(method=Method.NOTHING, always_open=True))
        AT_END.append(tool.close)
        await tool.start()
        link = make_transport(url_of(tool.air, "//SIM-00000"))
        kill_agents()
        try:
            with pytest.raises(NoAgentError, match="leave `bluetoothctl` open in another terminal"):
                await link.open(Log())
            await link.close()
        finally:
            new_agent()
            await agent_is_back()
        await link.open(Log())
        await link.close()

    run(scenario(), 90.0)


@pytest.mark.skipif(not BLUEZ, reason="needs BlueZ: ./run bluez")
def test_given_up_and_connected_again_at_once() -> None:
    """bleak leaves a scan running that was broken off while it began, and BlueZ calls every other one busy."""

    async def scenario() -> None:
        tool = RawTool(new_air(), Options(seed=0), Security(method=Method.NOTHING, always_open=True))
        AT_END.append(tool.close)
        await tool.start()
        for after_s in (0.02, 0.1, 0.3):
            given_up = asyncio.create_task(make_transport(url_of(tool.air, "//SIM-00000")).open(Log()))
            await asyncio.sleep(after_s)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            link = make_transport(url_of(tool.air, "//SIM-00000"))
            await link.open(Log())
            await link.close()

    run(scenario(), 90.0)


def kill_agents() -> None:
    """Nobody is at the guest's computer."""
    agents = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and is_agent(path)]
    assert agents
    for pid in agents:
        os.kill(pid, signal.SIGKILL)


async def agent_is_back() -> None:
    """BlueZ has noticed."""
    async with asyncio.timeout(30.0):
        while not await ble_pairing.pairable("/org/bluez/hci0"):  # noqa: ASYNC110  (nobody tells it)
            await asyncio.sleep(0.2)


def new_agent() -> None:
    """Somebody is there again, and stays for the tests after this one."""
    subprocess.Popen([sys.executable, AGENT, "KeyboardDisplay"])


def is_agent(process: Path) -> bool:
    try:
        return b"bluez/agent.py" in (process / "cmdline").read_bytes()
    except OSError:
        return False
