"""Who passes for a tool that this computer is paired with: real pairing, real keys, on the virtual air."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from air_kept import OPEN, Kept, new_air, on_the_air, on_the_radio
from ble_side import Impostor, SimTool
from bumble import hci
from bumble.keys import KeyStore
from nexus_simulator.ble.adapter import Address, acquire, release
from nexus_simulator.ble.pairing import Level, Method, Security
from nexus_simulator.ble.radio import Air
from nexus_simulator.options import Options
from reachable import GUARD_S, until

from nexuslink.device.course import State
from nexuslink.device.errors import NoToolError
from nexuslink.device.remembered import RememberedTools
from nexuslink.device.supervisor import Supervisor
from nexuslink.device.verdict import Verdict

OTHER_ADDRESS = hci.Address("F0:F1:F2:F3:F4:F5", hci.Address.RANDOM_DEVICE_ADDRESS)


def impostor_on(where: Air, address: hci.Address | None = None, keys: KeyStore | None = None) -> Impostor:
    """One that says the tool's serial number."""
    made = Impostor(where, Options(seed=3), OPEN)
    made.address = address or made.address
    if keys is not None:
        made.guard.bonds = keys
    return made


async def paired(where: Air, remembered: RememberedTools) -> KeyStore:
    """The real tool has been here, and has gone; its side of the bond."""
    k = Kept(remembered=remembered, where=where)
    async with k.connected():
        await k.data()
        assert k.tool.level is Level.ENCRYPTED
    known = remembered.find("SIM-00003")
    assert known is not None
    assert known.bonded
    assert known.bonded_at == f"ble:{str(k.tool.address).partition('/')[0]}"
    return k.tool.guard.bonds


async def tried(where: Air, remembered: RememberedTools | None, there: SimTool, verdict: Verdict) -> Kept:
    """Keep looking for the tool until that verdict."""
    k = Kept(remembered=remembered, where=where)
    k.tool = there
    async with k.connected():
        await until(lambda: verdict in k.verdicts)
        await asyncio.sleep(3.0)
    return k


def test_another_tool_with_the_same_serial_number_is_refused_before_a_word_is_said(tmp_path: Path) -> None:
    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        await paired(where, remembered)
        impostor = impostor_on(where, OTHER_ADDRESS)
        k = await tried(where, remembered, impostor, Verdict.IMPOSTOR)
        assert "it says that it is SIM-00003, but it is not the one" in k.said(Verdict.IMPOSTOR)
        assert k.supervisor.progress.connections == impostor.counts.received == 0

    on_the_air(work())


def test_without_what_is_remembered_it_would_be_taken(tmp_path: Path) -> None:
    """Control: nothing else than the bond that is known tells the two apart."""

    async def work() -> None:
        where = new_air()
        await paired(where, RememberedTools(lambda: tmp_path))
        k = await tried(where, None, impostor_on(where, OTHER_ADDRESS), Verdict.CONNECTED)
        assert k.supervisor.progress.connections == 1

    on_the_air(work())


def test_an_impostor_that_is_found_by_chance_is_refused_after_the_greeting(tmp_path: Path) -> None:
    """Named by the radio only, so that nobody could know before who is there."""

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        await paired(where, remembered)
        impostor = impostor_on(where, OTHER_ADDRESS)
        await impostor.start()
        named = f"ble:?radio=bumble:air:{where.name}"
        supervisor = Supervisor(named, on_the_radio(where), streaming=True, cache=None, remembered=remembered)
        told: list[str] = []
        supervisor.subscribe(lambda progress: told.append(progress.sentence))
        supervisor.connect()
        with pytest.raises(NoToolError):
            await supervisor.up(8.0)
        await supervisor.disconnect()
        assert any("not the one that this computer is paired with" in sentence for sentence in told)
        await impostor.close()
        assert impostor.tool.firmware.totals.session == 0  # it never streamed

    on_the_air(work())


def test_the_real_one_is_taken_while_the_impostor_shouts(tmp_path: Path) -> None:
    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        keys = await paired(where, remembered)
        impostor = impostor_on(where, OTHER_ADDRESS)
        impostor.rssi_dbm = -30.0
        await impostor.start()
        k = Kept(remembered=remembered, where=where)
        k.tool.guard.bonds = keys
        async with k.connected():
            nexus = await k.data(GUARD_S)
            assert nexus.transport.address == str(k.tool.address).partition("/")[0]  # type: ignore[attr-defined]
        await impostor.close()
        assert impostor.counts.received == 0

    on_the_air(work())


def test_the_same_address_without_the_key_is_refused(tmp_path: Path) -> None:
    """A downgrade: it asks for no encryption, and would stream over an open link."""

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        await paired(where, remembered)
        impostor = impostor_on(where)
        k = await tried(where, remembered, impostor, Verdict.KEY_LOST)
        assert "the tool has forgotten this computer" in k.said(Verdict.KEY_LOST)
        assert k.supervisor.progress.connections == impostor.counts.received == 0
        k = await tried(where, None, impostor_on(where), Verdict.CONNECTED)  # control: that is what it is refused by
        assert k.supervisor.progress.connections == 1

    on_the_air(work())


def test_an_old_key_is_of_no_use(tmp_path: Path) -> None:
    """The tool was paired anew; somebody has the key from before."""

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        old = await paired(where, remembered)
        adapter = acquire(Address.parse(f"air:{where.name}"))
        await adapter.bonds.delete_all()  # removed in the system's settings, and forgotten here
        await release(adapter)
        remembered.forget("SIM-00003")
        new = await paired(where, remembered)
        impostor = impostor_on(where, keys=old)
        k = await tried(where, remembered, impostor, Verdict.LINK_LOST)
        assert k.supervisor.progress.connections == impostor.counts.received == 0
        k = Kept(remembered=remembered, where=where)
        k.tool.guard.bonds = new
        async with k.connected():
            await k.data()

    on_the_air(work())


def test_a_person_is_asked_to_pair_once_and_not_again_and_again() -> None:
    async def work() -> None:
        k = Kept()
        k.tool = SimTool(k.air, Options(seed=3), Security(method=Method.NOTHING))
        async with k.connected():
            await until(lambda: Verdict.NOT_PAIRED in k.verdicts)
            await asyncio.sleep(5.0)
            assert k.supervisor.state is State.OFF
            states = [progress.state for progress in k.told]
            assert states.count(State.CONNECTING) == 1
            assert "press the tool's button" in k.said(Verdict.NOT_PAIRED)
            k.tool.press_button()
            k.supervisor.connect()
            await k.data()

    on_the_air(work())


@pytest.mark.parametrize("said", [True, False])
def test_where_the_system_says_who_has_a_key_that_counts(tmp_path: Path, said: bool, monkeypatch: Any) -> None:
    """As BlueZ does."""
    monkeypatch.setattr("nexuslink.transport.ble_nearby.bonded", lambda _: said)

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        monkeypatch.setattr("nexuslink.transport.ble_nearby.bonded", lambda _: True)
        keys = await paired(where, remembered)
        monkeypatch.setattr("nexuslink.transport.ble_nearby.bonded", lambda _: said)
        k = Kept(remembered=remembered, where=where)
        k.tool.guard.bonds = keys
        async with k.connected():
            if said:
                await k.data()
            else:
                await until(lambda: Verdict.IMPOSTOR in k.verdicts)
        assert k.supervisor.progress.connections == said

    on_the_air(work())
