"""Who gets in: each refusal is a test, and where bumble alone would let somebody in, that is shown too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from air_bench import Central, run, until
from bumble import att, hci, smp
from bumble.core import UUID, ProtocolError
from bumble.device import Connection, Device
from bumble.gatt_server import Server
from bumble.keys import PairingKeys
from bumble.pairing import PairingDelegate
from nexus_simulator.ble.pairing import Level, Method, Security, ToolDevice
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air
from nexus_simulator.ble.table import StrictServer
from nexus_simulator.firmware.identity import UNLOCK_CODE

from nexuslink.protocol.messages import (
    NEXUS_CONTROL_UUID,
    NEXUS_STREAM_UUID,
    SMP_CHARACTERISTIC_UUID,
    UNLOCK_TRIES,
    CalibrationCommitRequest,
    CalibrationWriteRequest,
    HelloRequest,
    Opcode,
    Status,
    UnlockRequest,
)

KEYBOARD = PairingDelegate.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT
NOTHING = PairingDelegate.NO_OUTPUT_NO_INPUT


class Scene:
    """One tool, one host, connected and not paired."""

    def __init__(self, **security: Any) -> None:
        self.air = Air()
        self.tool = NexusPeripheral(None, self.air, Security(**security))
        self.host = Central(self.air)

    async def __aenter__(self) -> Scene:
        await self.tool.start()
        await self.host.connect(self.tool)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.host.gone()
        await self.tool.close()

    async def refused(self) -> smp.ErrorCode:
        """Pairing fails, the link stays as it was; why."""
        with pytest.raises(ProtocolError) as error:
            await self.host.connection.pair()
        await asyncio.sleep(0.1)
        assert self.tool.level is Level.OPEN
        assert not self.host.connection.encryption
        assert await self.tool.guard.bonds.get_all() == []
        return smp.ErrorCode(error.value.error_code)

    async def reconnect(self) -> None:
        """The same host comes again."""
        await self.host.connection.disconnect()
        await until(lambda: self.tool.connection is None)
        await self.host.connect(self.tool)


def scene(play: Any, **security: Any) -> None:
    async def scenario() -> None:
        async with Scene(**security) as stage:
            await play(stage)

    run(scenario(), limit_s=200.0)


def test_both_show_the_same_six_digits() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        await stage.host.connection.pair()
        assert stage.host.person.compared == stage.tool.guard.shown
        assert stage.tool.level is Level.AUTHENTICATED
        [(_, keys)] = await stage.tool.guard.bonds.get_all()
        assert keys.ltk is not None
        assert keys.ltk.authenticated
        await stage.host.listen()

    scene(play)


def test_the_passkey_that_the_tool_shows_is_typed_at_the_host() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.person.io_capability = KEYBOARD
        stage.host.person.typed = 123456
        await stage.host.connection.pair()
        assert stage.tool.level is Level.AUTHENTICATED
        await stage.host.listen()

    scene(play, method=Method.PASSKEY, passkey=123456)


def test_a_wrong_passkey_is_refused() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.person.io_capability = KEYBOARD
        stage.host.person.typed = 123457
        assert await stage.refused() == smp.ErrorCode.CONFIRM_VALUE_FAILED
        stage.host.person.typed = 123456  # on the same link, and now right
        await stage.reconnect()
        await stage.host.connection.pair()
        assert stage.tool.level is Level.AUTHENTICATED

    scene(play, method=Method.PASSKEY, passkey=123456)


@pytest.mark.parametrize("who", ["host", "tool"])
def test_different_digits_are_refused(who: str) -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.person.agrees = who != "host"
        assert await stage.refused() == smp.ErrorCode.CONFIRM_VALUE_FAILED

    scene(play, confirm=lambda _: who != "tool")


@pytest.mark.parametrize("mended", [True, False])
def test_a_key_that_nobody_has_agreed_to_opens_nothing(mended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person at the tool says no; the host encrypts all the same with the key that the exchange has given it."""
    if not mended:
        monkeypatch.setattr(ToolDevice, "get_long_term_key", Device.get_long_term_key)

    async def play(stage: Scene) -> None:
        if not mended:
            assert stage.tool._radio is not None
            stage.tool._radio.device.smp_session_proxy = smp.Session
        stage.tool.press_button()
        keys: list[smp.Session] = []
        start = stage.host.device.smp_manager.on_session_start
        stage.host.device.smp_manager.on_session_start = lambda s: (keys.append(s), start(s))[1]  # type: ignore[method-assign,func-returns-value]
        with pytest.raises(ProtocolError):
            await stage.host.connection.pair()
        assert keys[0].ltk
        assert await encrypts(stage.host.connection, keys[0].ltk) is not mended

    scene(play, confirm=lambda _: False)


async def encrypts(connection: Connection, key: bytes) -> bool:
    """Whether the tool goes along with this key."""
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    connection.once(connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda: done.set_result(True))
    connection.once(connection.EVENT_CONNECTION_ENCRYPTION_FAILURE, lambda _: done.set_result(False))
    connection.once(connection.EVENT_DISCONNECTION, lambda _: done.done() or done.set_result(False))
    command = hci.HCI_LE_Enable_Encryption_Command(
        connection_handle=connection.handle, random_number=bytes(8), encrypted_diversifier=0, long_term_key=key
    )
    await connection.device.send_async_command(command)
    async with asyncio.timeout(5.0):
        return await done


def test_without_the_button_nobody_pairs() -> None:
    async def play(stage: Scene) -> None:
        assert await stage.refused() == smp.ErrorCode.PAIRING_NOT_SUPPORTED
        stage.tool.press_button()
        await asyncio.sleep(61.0)
        await stage.reconnect()
        assert await stage.refused() == smp.ErrorCode.PAIRING_NOT_SUPPORTED
        stage.tool.press_button()
        await stage.reconnect()
        await stage.host.connection.pair()
        assert not stage.tool.guard.window_open  # one window, one host

    scene(play)


def test_guessing_closes_the_window() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.person.io_capability = KEYBOARD
        stage.host.person.typed = 1
        for _ in range(3):
            assert await stage.refused() == smp.ErrorCode.CONFIRM_VALUE_FAILED
            await stage.reconnect()
        stage.host.person.typed = 123456
        assert await stage.refused() == smp.ErrorCode.PAIRING_NOT_SUPPORTED

    scene(play, method=Method.PASSKEY, passkey=123456)


@pytest.mark.parametrize("mended", [True, False])
def test_a_downgrade_to_legacy_pairing_is_refused(mended: bool) -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.sc = False
        if mended:
            assert await stage.refused() == smp.ErrorCode.AUTHENTICATION_REQUIREMENTS
        else:
            assert stage.tool._radio is not None
            stage.tool._radio.device.smp_session_proxy = smp.Session
            responses: list[Any] = []
            stage.host.person.accept = lambda: responses.append(0)  # type: ignore[assignment,method-assign,func-returns-value,return-value]
            pairing = asyncio.ensure_future(stage.host.connection.pair())
            await asyncio.sleep(1.0)
            session = stage.tool._radio.device.smp_manager.sessions[stage.tool.connection.handle]  # type: ignore[union-attr]
            assert not session.sc  # bumble by itself goes along
            pairing.cancel()
            await asyncio.gather(pairing, return_exceptions=True)

    scene(play)


def test_short_keys_are_refused() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.person.maximum_encryption_key_size = 7
        assert await stage.refused() == smp.ErrorCode.ENCRYPTION_KEY_SIZE

    scene(play)


def test_the_tools_own_key_sent_back_is_refused() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        assert stage.tool._radio is not None
        stage.host.device.smp_manager._ecc_key = stage.tool._radio.device.smp_manager.ecc_key
        assert await stage.refused() == smp.ErrorCode.INVALID_PARAMETERS

    scene(play)


ENCRYPTED = [NEXUS_STREAM_UUID, NEXUS_CONTROL_UUID, SMP_CHARACTERISTIC_UUID]


@pytest.mark.parametrize("uuid", ENCRYPTED)
def test_bumbles_own_server_would_let_anybody_subscribe(uuid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the next two: it is the tool's own check that refuses."""
    monkeypatch.setattr(StrictServer, "on_gatt_pdu", Server.on_gatt_pdu)

    async def play(stage: Scene) -> None:
        await stage.host.find(uuid).subscribe(lambda _: None)

    scene(play)


@pytest.mark.parametrize("uuid", ENCRYPTED)
def test_a_bonded_host_without_encryption_is_as_good_as_a_stranger(uuid: str) -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        await stage.host.connection.pair()
        await stage.host.find(uuid).subscribe(lambda _: None)
        await stage.reconnect()
        with pytest.raises(att.ATT_Error) as error:
            await stage.host.find(uuid).subscribe(lambda _: None)
        assert error.value.error_code == att.ErrorCode.INSUFFICIENT_AUTHENTICATION
        await stage.host.connection.encrypt()
        await stage.host.find(uuid).subscribe(lambda _: None)

    scene(play)


@pytest.mark.parametrize("uuid", ENCRYPTED)
def test_without_pairing_nothing_but_identity_and_battery(uuid: str) -> None:
    async def play(stage: Scene) -> None:
        with pytest.raises(att.ATT_Error) as error:
            await stage.host.find(uuid).subscribe(lambda _: None)
        assert error.value.error_code == att.ErrorCode.INSUFFICIENT_AUTHENTICATION
        if uuid == NEXUS_CONTROL_UUID:
            with pytest.raises(att.ATT_Error) as error:
                await stage.host.find(uuid).write_value(b"hello", with_response=True)
            assert error.value.error_code == att.ErrorCode.INSUFFICIENT_AUTHENTICATION
        await stage.host.find(uuid).write_value(b"hello", with_response=False)
        await asyncio.sleep(0.1)
        assert stage.tool.counts.received == 0

    scene(play)


def test_an_old_bond_opens_nothing_once_the_tool_has_forgotten_it() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        await stage.host.connection.pair()
        await stage.reconnect()
        await stage.host.connection.encrypt()
        assert stage.tool.level is Level.AUTHENTICATED
        await stage.tool.guard.forget()
        await stage.reconnect()
        with pytest.raises(hci.HCI_Error) as error:
            await stage.host.connection.encrypt()
        assert error.value.error_code == hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR
        assert stage.tool.level is Level.OPEN
        with pytest.raises(att.ATT_Error):
            await stage.host.listen()

    scene(play)


def test_a_key_that_is_not_the_bonds_ends_the_link() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        await stage.host.connection.pair()
        [(_, keys)] = await stage.tool.guard.bonds.get_all()
        assert keys.ltk is not None
        await stage.reconnect()
        assert await encrypts(stage.host.connection, keys.ltk.value)
        await stage.reconnect()
        assert not await encrypts(stage.host.connection, bytes(16))
        await until(lambda: stage.tool.connection is None)

    scene(play)


def test_a_link_that_nobody_has_confirmed_streams_and_changes_nothing() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        stage.host.person.io_capability = NOTHING
        await stage.host.connection.pair()
        assert stage.tool.connection is not None
        assert stage.tool.connection.authenticated  # what bumble says of any encrypted link
        assert stage.tool.level is Level.ENCRYPTED
        await stage.host.listen()
        await stage.host.start()
        await asyncio.sleep(1.0)
        assert stage.host.stream
        for code in (*range(UNLOCK_TRIES), UNLOCK_CODE):
            asked = UnlockRequest(code)
            assert (await stage.host.ask(Opcode.UNLOCK, asked.pack())).status == Status.NOT_AUTHORISED
        assert stage.tool.tool.firmware.calibration._wrong_codes == 0  # nothing is learnt, and nobody locked out
        assert await change(stage.host) == [Status.NOT_AUTHORISED, Status.NOT_AUTHORISED]
        with pytest.raises(att.ATT_Error) as error:
            await stage.host.find(SMP_CHARACTERISTIC_UUID).subscribe(lambda _: None)
        assert error.value.error_code == att.ErrorCode.INSUFFICIENT_AUTHENTICATION
        await stage.reconnect()
        await stage.host.connection.encrypt()
        assert stage.tool.level is Level.ENCRYPTED  # the bond remembers how it came about

    scene(play)


def test_a_confirmed_link_may_change_the_calibration() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        await stage.host.connection.pair()
        await stage.host.listen()
        assert await change(stage.host) == [Status.NOT_AUTHORISED, Status.NOT_AUTHORISED]  # not yet unlocked
        await stage.host.ask(Opcode.HELLO, HelloRequest(1, 0).pack())
        assert (await stage.host.ask(Opcode.UNLOCK, UnlockRequest(UNLOCK_CODE).pack())).status == Status.OK
        write, commit = await change(stage.host)
        assert write == Status.OK
        assert commit == Status.OUT_OF_RANGE  # four bytes are no record, but the tool has looked at it

    scene(play)


async def change(host: Central) -> list[int]:
    asked = (
        (Opcode.CALIBRATION_WRITE, CalibrationWriteRequest(0, 4, b"1234").pack()),
        (Opcode.CALIBRATION_COMMIT, CalibrationCommitRequest(4, 0).pack()),
    )
    return [(await host.ask(opcode, payload)).status for opcode, payload in asked]


@pytest.mark.parametrize("where", ["in memory", "in a file"])
def test_a_bonded_host_is_still_subscribed_when_it_comes_again(where: str, tmp_path: Path) -> None:
    """Also to another process's tool, where the bonds are in a file. Other hosts, and later bonds, begin with none."""
    security = Security(keys=tmp_path / "bonds.json" if where == "in a file" else None, always_open=True)

    async def scenario() -> None:
        air = Air()
        tool = NexusPeripheral(None, air, security)
        await tool.start()
        host = await Central(air).connect(tool)
        await host.connection.pair()
        await host.listen()
        await host.find(SMP_CHARACTERISTIC_UUID).subscribe(lambda _: None)
        await host.find(SMP_CHARACTERISTIC_UUID).unsubscribe()
        await leave(host, tool)
        if where == "in a file":
            await tool.close()
            tool = NexusPeripheral(None, air, security)
            await tool.start()
        stranger = await Central(air, 2).connect(tool)
        await stranger.connection.pair()
        assert await subscribed(stranger) == [0, 0, 0]
        await leave(stranger, tool)
        await host.connect(tool)
        assert subscriptions(tool) == {}  # until it has shown that it is the one
        await host.connection.encrypt()
        assert await subscribed(host) == [1, 1, 0]
        await leave(host, tool)
        await host.connect(tool)
        await host.connection.pair()
        assert await subscribed(host) == [0, 0, 0]
        await leave(host, tool)
        await tool.close()
        for one in (host, stranger):
            one.gone()

    async def leave(host: Central, tool: NexusPeripheral) -> None:
        await host.connection.disconnect()
        await until(lambda: tool.connection is None)

    def subscriptions(tool: NexusPeripheral) -> dict[int, bytes]:
        assert tool._radio is not None and tool.connection is not None
        return tool._radio.server.subscribers.get(tool.connection, {})

    async def subscribed(host: Central) -> list[int]:
        values = []
        for uuid in (NEXUS_STREAM_UUID, NEXUS_CONTROL_UUID, SMP_CHARACTERISTIC_UUID):
            [cccd] = [d for d in await host.find(uuid).discover_descriptors() if d.type == UUID("2902")]
            values.append((await cccd.read_value())[0])
        return values

    run(scenario())


def test_bonds_in_a_file_outlive_the_tool(tmp_path: Path) -> None:
    security = Security(keys=tmp_path / "bonds.json")

    async def scenario() -> None:
        air = Air()
        host = Central(air)
        for visit in range(2):
            tool = NexusPeripheral(None, air, security)
            await tool.start()
            if visit == 0:
                tool.press_button()
                await host.connect(tool)
                await host.connection.pair()
            else:
                await host.connect(tool)
                await host.connection.encrypt()
            assert tool.level is Level.AUTHENTICATED
            await tool.close()
            await until(lambda: len(host.lost) > visit)  # noqa: B023
        host.gone()

    run(scenario())


def test_another_hosts_bond_is_of_no_use() -> None:
    async def play(stage: Scene) -> None:
        stage.tool.press_button()
        await stage.host.connection.pair()
        [(name, keys)] = await stage.host.bonds.get_all()
        await stage.host.connection.disconnect()
        await until(lambda: stage.tool.connection is None)
        thief = Central(stage.air, 2)
        await thief.bonds.update(name, PairingKeys(ltk=PairingKeys.Key(bytes(16))))
        await thief.connect(stage.tool)
        with pytest.raises(hci.HCI_Error):
            await thief.connection.encrypt()
        assert keys.ltk is not None
        assert not await encrypts(thief.connection, keys.ltk.value)  # the tool knows no such host
        thief.gone()

    scene(play)
