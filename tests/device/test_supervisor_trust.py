"""Who passes for a tool that this computer is paired with: real pairing, real keys, on the virtual air."""

from __future__ import annotations

import asyncio
import itertools
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
from nexuslink.device.next_steps import next_step
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


async def tried(
    where: Air, remembered: RememberedTools | None, there: SimTool, verdict: Verdict, stay_s: float = 3.0
) -> Kept:
    """Keep looking for the tool until that verdict, and a while longer."""
    k = Kept(remembered=remembered, where=where)
    k.tool = there
    async with k.connected():
        await until(lambda: verdict in k.verdicts)
        await asyncio.sleep(stay_s)
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
        assert "the tool no longer knows this computer" in k.said(Verdict.KEY_LOST)
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
        k = await tried(where, remembered, impostor, Verdict.KEY_DOUBTED)
        assert k.supervisor.progress.connections == impostor.counts.received == 0
        verdicts = [progress.verdict for progress in k.told if progress.state is State.LOST]
        assert verdicts.index(Verdict.LINK_LOST) < verdicts.index(Verdict.KEY_DOUBTED)  # once says little
        said = k.said(Verdict.KEY_DOUBTED)
        assert "it has another key or none" in said and "(2 times in a row now)" in said
        adapter = acquire(Address.parse(f"air:{where.name}"))
        assert len(await adapter.bonds.get_all()) == 1  # nothing is removed on a suspicion
        await release(adapter)
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


def test_a_link_that_ends_at_once_says_nothing_of_a_key_that_nobody_has(tmp_path: Path, monkeypatch: Any) -> None:
    """Control: the same end, without a bond; and with one, but once only."""

    class Shy(SimTool):
        ends = 9

        def _connected(self, connection: Any) -> None:
            super()._connected(connection)
            self.ends -= 1
            if self.ends >= 0:
                self._spawn(self._hang_up(connection))

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        for said in (False, None):  # by the system: that it has none, or nothing
            with monkeypatch.context() as system:
                system.setattr("nexuslink.transport.ble_nearby.bonded", lambda _, said=said: said)
                k = await tried(where, remembered, Shy(where, Options(seed=3), OPEN), Verdict.LINK_LOST)
            assert not k.verdicts & {Verdict.KEY_DOUBTED, Verdict.NOT_PAIRED}
        keys = await paired(where, remembered)
        shy = Shy(where, Options(seed=3), OPEN)
        shy.ends, shy.guard.bonds = 1, keys
        k = await tried(where, remembered, shy, Verdict.CONNECTED, 0.0)
        assert Verdict.LINK_LOST in k.verdicts and Verdict.KEY_DOUBTED not in k.verdicts
        shy.ends = 2
        k = await tried(where, remembered, shy, Verdict.CONNECTED, 0.0)
        assert Verdict.KEY_DOUBTED in k.verdicts  # in a row it is doubted, and tried again all the same

    on_the_air(work())


def test_the_next_step_after_a_forgotten_bond_leads_back(tmp_path: Path, monkeypatch: Any) -> None:
    """On a system that says who has a key: removed there and forgotten here. Removed there only it is another tool."""
    key: list[bool | None] = [None]
    monkeypatch.setattr("nexuslink.transport.ble_nearby.bonded", lambda _: key[0])

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        await paired(where, remembered)
        key[0] = True
        tool = SimTool(where, Options(seed=3), Security(method=Method.NOTHING))
        await tried(where, remembered, tool, Verdict.KEY_LOST, 0.0)
        adapter = acquire(Address.parse(f"air:{where.name}"))
        await adapter.bonds.delete_all()
        await release(adapter)
        key[0] = False
        tool.press_button()
        await tried(where, remembered, tool, Verdict.IMPOSTOR, 0.0)
        assert "Forget it in the Bluetooth settings and here." in next_step(Verdict.KEY_LOST, "linux").step
        remembered.forget("SIM-00003")
        await tried(where, remembered, tool, Verdict.CONNECTED, 0.0)

    on_the_air(work())


def test_a_system_that_has_a_key_and_a_tool_that_lets_nobody_in(tmp_path: Path, monkeypatch: Any) -> None:
    """As BlueZ tells of its keys: what has been removed by hand from the tool only is not paired again by itself."""
    monkeypatch.setattr("nexuslink.transport.ble_nearby.bonded", lambda _: True)

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        there = SimTool(where, Options(seed=3), Security(method=Method.NOTHING, always_open=True))
        k = await tried(where, remembered, there, Verdict.KEY_LOST)
        assert k.supervisor.state is State.OFF and State.PAIRING not in {progress.state for progress in k.told}

    on_the_air(work())


@pytest.mark.parametrize("method", [Method.NUMERIC, Method.NOTHING])
def test_pairing_is_a_state_and_says_the_number_where_it_is_known(tmp_path: Path, method: Method) -> None:
    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
        k = Kept(remembered=remembered, where=where)
        tool = k.tool = SimTool(where, Options(seed=3), Security(method=method, always_open=True))
        async with k.connected():
            await k.data()
        pairing = [progress for progress in k.told if progress.state is State.PAIRING]
        states = [state for state, _ in itertools.groupby(progress.state for progress in k.told)]
        at = states.index(State.PAIRING)
        assert states[at - 1 : at + 2] == [State.CONNECTING, State.PAIRING, State.HANDSHAKING]
        assert pairing[0].number is None
        assert pairing[0].sentence.endswith(
            "Confirm the pairing on the tool and in the system's window, where they ask."
        )
        if method is Method.NUMERIC:
            assert pairing[-1].number == tool.guard.shown is not None
            assert pairing[-1].sentence == f"SIM-00003: Pairing. Compare the number {tool.guard.shown:06d} on the tool."
        else:
            assert {progress.number for progress in pairing} == {None}
        assert {progress.number for progress in k.told if progress.state is not State.PAIRING} == {None}
        again = Kept(remembered=remembered, where=where)
        again.tool = tool
        async with again.connected():  # bonded now
            await again.data()
        assert State.PAIRING not in {progress.state for progress in again.told}

    on_the_air(work())


def test_a_pairing_can_be_given_up_and_tried_again_at_once() -> None:
    """While a person is asked, at both ends."""

    async def work() -> None:
        k = Kept()
        asked = asyncio.Event()
        k.tool = SimTool(k.air, Options(seed=3), Security(always_open=True))
        adapter = acquire(Address.parse(f"air:{k.air.name}"))
        adapter.agent.compare = lambda _: asked.set() or False  # type: ignore[func-returns-value]
        async with k.connected():
            await until(lambda: k.supervisor.state is State.PAIRING)
            await k.supervisor.disconnect()
            assert k.supervisor.state is State.OFF
            k.supervisor.connect()
            await asked.wait()
            await until(lambda: k.supervisor.state is State.OFF)
            assert k.supervisor.progress.verdict is Verdict.NOT_PAIRED
            adapter.agent.compare = lambda _: True
            k.supervisor.connect()
            await k.data()
        await release(adapter)

    on_the_air(work())


@pytest.mark.parametrize("said", [True, False])
def test_where_the_system_says_who_has_a_key_that_counts(tmp_path: Path, said: bool, monkeypatch: Any) -> None:
    """As BlueZ does."""

    async def work() -> None:
        where, remembered = new_air(), RememberedTools(lambda: tmp_path)
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
