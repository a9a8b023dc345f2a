"""BLE on a real GATT stack: finding, tables that are not ours, peers that refuse, flood, or never answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from links import AT_END, BLUEZ, Log, run, until

if not BLUEZ:
    pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")

from ble_side import OPEN, Air, Method, RawTool, Security, in_process, new_air, url_of
from bleak import BleakClient
from nexus_simulator.options import Options

from nexuslink.protocol import messages as wire
from nexuslink.transport import ble as product
from nexuslink.transport.base import TICK_S
from nexuslink.transport.ble import BleTransport
from nexuslink.transport.ble_backends import Backends
from nexuslink.transport.ble_lifeline import Lifeline
from nexuslink.transport.errors import (
    KeyDoubtError,
    KeyLostError,
    LinkLostError,
    NotANexusError,
    OutOfReachError,
    PairingError,
    RadioOffError,
    SeveralToolsError,
    TransportError,
    UrlError,
)
from nexuslink.transport.url import make_transport

pytestmark = pytest.mark.filterwarnings("error")


def link_to(where: Air, target: str = "//SIM-00000", **params: str) -> BleTransport:
    transport = make_transport(url_of(where, target, **params))
    assert isinstance(transport, BleTransport)
    return transport


async def tool_on(
    where: Air, seed: int = 0, security: Security = OPEN, kind: type[RawTool] = RawTool, **attributes: Any
) -> RawTool:
    tool = kind(where, Options(seed=seed), security)
    for name, value in attributes.items():
        setattr(tool, name, value)
    AT_END.append(tool.close)
    await tool.start()
    return tool


async def refused(transport: BleTransport, kind: type[TransportError]) -> str:
    """What `open` says; afterwards nothing is left, and it can be closed."""
    log = Log()
    with pytest.raises(TransportError) as caught:
        await transport.open(log)
    assert type(caught.value) is kind, caught.value
    with pytest.raises(LinkLostError):
        await transport.write(b"x")
    await transport.close()
    assert log.chunks == [] and log.reasons == []
    text = str(caught.value)
    begin = f"{transport.url.removesuffix(':')}: "
    assert len(text.splitlines()) == 1 and text.startswith(begin)
    return text.removeprefix(begin)


async def works(transport: BleTransport, tool: RawTool) -> None:
    """A message each way, then closed."""
    log = Log()
    await transport.open(log)
    try:
        await transport.write(b"there")
        assert await tool.take(5) == b"there"
        await tool.send(b"back")
        await until(lambda: log.data == b"back")
    finally:
        await transport.close()
    assert log.reasons == []


# -- finding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["", "//ADDRESS", *in_process("//SIM-00042", "//sim-00042", "//Nexus 42")])
def test_the_ways_to_name_a_tool(target: str) -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where, seed=42)
        await works(link_to(where, target.replace("ADDRESS", str(tool.address).partition("/")[0])), tool)

    run(scenario())


@pytest.mark.in_process
def test_of_two_tools_the_named_one_is_taken() -> None:
    async def scenario() -> None:
        where = new_air()
        tools = [await tool_on(where, seed=seed) for seed in (1, 2)]
        for tool in tools:
            await works(link_to(where, f"//{tool.serial_number}"), tool)
        said = await refused(link_to(where, ""), SeveralToolsError)
        assert "ble://SIM-00001" in said and "ble://SIM-00002" in said and said.startswith("2 tools are near; choose")

    run(scenario())


@pytest.mark.in_process  # a second of real time may be too short to hear who else is there
def test_a_tool_that_is_not_there() -> None:
    async def scenario() -> None:
        where = new_air()
        assert "not heard within 0.3 s; is the tool on, near" in await refused(
            link_to(where, timeout="0.3"), OutOfReachError
        )
        await tool_on(where, seed=7)
        said = await refused(link_to(where, timeout="1"), OutOfReachError)
        assert said == "not heard within 1 s; near are SIM-00007"

    run(scenario())


def test_a_tool_that_advertises_and_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """In range to be heard, and gone when it is to be connected."""

    async def scenario() -> None:
        monkeypatch.setattr(product, "CONNECT_TIMEOUT_S", 0.5)
        where = new_air()
        tool = await tool_on(where)
        transport = link_to(where)
        connect = transport._connect

        async def too_late(*args: Any) -> None:
            tool.leave()
            await connect(*args)

        transport._connect = too_late  # type: ignore[method-assign]
        assert (await refused(transport, OutOfReachError)).startswith(
            "no connection within 0.5 s; is the tool on, near"
        )
        tool.return_()
        monkeypatch.undo()
        await works(link_to(where), tool)

    run(scenario())


def test_bluetooth_is_off() -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where)
        await works(link_to(where), tool)  # makes the adapter known
        where.adapter_off()
        assert await refused(link_to(where), RadioOffError) == "Bluetooth is off on this computer; switch it on"
        where.adapter_on()
        await asyncio.sleep(0.1)  # until the system has said so
        await works(link_to(where), tool)

    run(scenario())


@pytest.mark.in_process
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ble:?timeout=soon", "timeout='soon' is not a number of seconds from 0.1 to 600"),
        ("ble:?timeout=nan", "timeout='nan' is not a number of seconds from 0.1 to 600"),
        ("ble:?pairing=0", "pairing='0' is not a number of seconds from 0.1 to 600"),
        ("ble:?bond=maybe", "bond='maybe' is neither yes nor no, nor an address"),
        ("ble:?tmeout=3", "unknown parameter 'tmeout'; did you mean 'timeout'?"),
        ("ble:?radio=bumbel:air:x", "radio='bumbel:air:x': no radio is called 'bumbel'; did you mean bumble:?"),
    ],
)
def test_addresses_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises(UrlError) as caught:
        make_transport(url)
    assert str(caught.value) == f"{url!r}: {said}"


@pytest.mark.in_process
def test_the_radio_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where)
        monkeypatch.setenv("NEXUSLINK_BLE_RADIO", f"bumble:air:{where.name}")
        transport = make_transport("ble://SIM-00000")
        assert isinstance(transport, BleTransport) and transport.url == "ble://SIM-00000"
        await works(transport, tool)
        monkeypatch.setenv("NEXUSLINK_BLE_RADIO", "bumble:air:[nonsense=1]x")
        assert "nonsense" in await unusable("ble:")
        monkeypatch.setenv("NEXUSLINK_BLE_RADIO", "acme:1")
        assert "no radio is called 'acme'" in await unusable("ble:")

    async def unusable(url: str) -> str:
        with pytest.raises(TransportError) as caught:
            await make_transport(url).open(Log())
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    run(scenario())


# -- tables -----------------------------------------------------------------------------------------------------------


class Misshapen(RawTool):
    """A table that is not the one of gatt.toml; ``uuids``: UUID -> the one that stands there instead."""

    uuids: ClassVar[dict[str, str]] = {}
    flags: ClassVar[dict[str, str]] = {}

    def _fill(self, radio: Any) -> None:
        server = radio.server
        made = server.entry

        def entry(uuid: str, properties: str, *args: Any, **kwargs: Any) -> Any:
            return made(self.uuids.get(uuid, uuid), self.flags.get(uuid, properties), *args, **kwargs)

        server.entry = entry
        super()._fill(radio)


@pytest.mark.in_process
@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"flags": {wire.NEXUS_STREAM_UUID: "READ"}}, "its table lacks the characteristic STREAM (notify);"),
        ({"flags": {wire.NEXUS_CONTROL_UUID: "NOTIFY"}}, "its table lacks the characteristic CONTROL (write, notify);"),
        ({"uuids": {wire.NEXUS_CONTROL_UUID: wire.NEXUS_STREAM_UUID}}, "its table lacks the characteristic CONTROL"),
    ],
)
def test_a_table_that_lacks_something(attributes: dict[str, Any], said: str) -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where, kind=Misshapen, **attributes)
        assert (await refused(link_to(where), NotANexusError)).startswith(said)
        await until(lambda: tool.connection is None)

    run(scenario())


@pytest.mark.in_process
def test_on_bluez_a_table_that_lacks_something_is_read_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the word that it is complete may come before the rest of it."""
    monkeypatch.setattr(BleTransport, "_is_bluez", staticmethod(lambda _: True))
    read: list[BleakClient] = []
    characteristics = BleTransport._characteristics

    def too_early(transport: BleTransport, client: BleakClient) -> Any:
        read.append(client)
        if client is read[0]:
            raise NotANexusError("not yet")
        return characteristics(transport, client)

    monkeypatch.setattr(BleTransport, "_characteristics", too_early)

    async def scenario() -> None:
        where = new_air()
        await works(link_to(where), await tool_on(where))

    run(scenario())
    assert len(set(map(id, read))) == 2


@pytest.mark.in_process
def test_something_else_with_our_uuid_in_its_advertisement() -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where)
        radio = tool._radio
        assert radio is not None
        radio.server.attributes = [a for a in radio.server.attributes if a.handle < 6]
        radio.server.attributes_by_handle = {a.handle: a for a in radio.server.attributes}
        radio.server.services = radio.server.services[:1]
        said = await refused(link_to(where), NotANexusError)
        assert said == "it has no Nexus service; is this a Nexus? update its firmware"

    run(scenario())


# -- who may ----------------------------------------------------------------------------------------------------------


def test_a_host_that_may_not_pair_is_told_what_to_do() -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where, security=Security(method=Method.NOTHING))
        said = await refused(link_to(where), PairingError)
        assert said.startswith("the tool does not let this computer in; press the tool's button, connect again")
        await until(lambda: tool.connection is None)
        tool.press_button()
        await works(link_to(where), tool)
        await works(link_to(where), tool)  # bonded now: no button

    run(scenario())


def test_a_tool_that_has_forgotten_the_bond() -> None:
    """BlueZ ends the connection and tells no reason: there it is only a doubt, and each time the same one."""

    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where, security=Security(method=Method.NOTHING))
        tool.press_button()
        await works(link_to(where), tool)
        await tool.guard.forget()
        for _ in range(2):
            said = await refused(link_to(where), KeyDoubtError if BLUEZ else KeyLostError)
            assert ("it has another key or none: remove it in" if BLUEZ else "no longer knows this computer") in said

    run(scenario())


@pytest.mark.in_process
def test_a_tool_that_never_answers_a_subscription() -> None:
    """The worst that other projects saw: nothing comes, and bleak waits for ever."""

    async def scenario() -> None:
        where = new_air()
        tool = await mute_tool(where)
        said = await refused(link_to(where, pairing="0.5"), PairingError)
        assert said.startswith("the tool did not let this computer in within 0.5 s; press the tool's button")
        await until(lambda: tool.connection is None)

    run(scenario())


async def mute_tool(where: Air) -> RawTool:
    from bumble import att

    tool = await tool_on(where)
    radio = tool._radio
    assert radio is not None
    answer = radio.server.send_response

    def mute(connection: Any, pdu: Any) -> None:
        if not isinstance(pdu, att.ATT_Write_Response):
            answer(connection, pdu)

    radio.server.send_response = mute  # type: ignore[method-assign]
    return tool


@pytest.mark.in_process
def test_without_its_lifeline_that_would_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: it is the bound that ends it, and not bleak or the radio."""
    monkeypatch.setattr(Lifeline, "hold", lambda _, call, __: call)

    async def scenario() -> None:
        where = new_air()
        await mute_tool(where)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.0):
                await link_to(where, pairing="0.5").open(Log())

    run(scenario())


# -- notifications ----------------------------------------------------------------------------------------------------


async def opened_on(where: Air, log: Log) -> tuple[BleTransport, RawTool]:
    tool = await tool_on(where)
    transport = link_to(where)
    await transport.open(log)
    return transport, tool


@pytest.mark.in_process
def test_values_that_no_attribute_can_have_are_counted() -> None:
    async def scenario() -> tuple[int, int]:
        where, log = new_air(), Log()
        transport, tool = await opened_on(where, log)
        radio = tool._radio
        assert radio is not None and tool.connection is not None
        for size in (0, 513, 2000, 512, 1):
            tool.notify(b"\x11" * size)
        await until(lambda: len(log.data) >= 513)
        assert [len(c.data) for c in log.chunks if c.data] == [512, 1]
        live = transport.odd
        await transport.close()
        assert log.reasons == []
        return live, transport.odd

    assert run(scenario()) == (3, 3)


@pytest.mark.in_process
def test_a_flood_arrives_or_is_counted_and_the_link_can_be_closed() -> None:
    log = Log()

    async def scenario() -> int:
        where = new_air()
        where.paced = False
        transport, tool = await opened_on(where, log)
        flooding = asyncio.create_task(flood(tool))
        await until(lambda: len(log.data) > 500_000)
        await transport.close()
        count = len(log.chunks)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert transport.dropped == transport.odd == 0
        return count

    async def flood(tool: RawTool) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await tool.send(b"\x77" * 244)

    assert run(scenario()) == len(log.chunks)
    assert log.reasons == []


@pytest.mark.in_process
def test_a_receiver_that_fails_does_not_end_the_radio() -> None:
    caught: list[dict[str, Any]] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: caught.append(context))
        log = Log()
        transport, tool = await opened_on(new_air(), log)

        def fail(chunk: Any) -> None:
            if chunk.data == b"bad":
                raise RuntimeError("a mistake")

        log.on_chunk = fail
        await tool.send(b"bad")
        await tool.send(b"good")
        await until(lambda: log.data == b"badgood")
        await transport.close()

    run(scenario())
    assert [str(c["exception"]) for c in caught] == ["a mistake"]


@pytest.mark.in_process
def test_a_message_that_is_too_long_is_not_sent() -> None:
    async def scenario() -> None:
        transport, _ = await opened_on(new_air(), Log())
        with pytest.raises(TransportError, match="513 bytes are no message"):
            await transport.write(bytes(513))
        await transport.close()

    run(scenario())


# -- the end ----------------------------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[RawTool], object]] = {
    "hangs up": RawTool.hang_up,
    "crashes": RawTool.crash,
    "leaves": RawTool.leave,
    "restarts": RawTool.restart,
    "adapter": lambda tool: tool.air.adapter_off(),
}


@pytest.mark.parametrize("end", ["hangs up", "crashes", "adapter", *in_process("leaves", "restarts")])
def test_every_end_is_told_once_and_a_write_under_way_with_it(end: str) -> None:
    log = Log()

    async def scenario() -> None:
        transport, tool = await opened_on(new_air(), log)
        tool.inbox += bytes(8192)  # full: the next write waits for its answer
        writing = asyncio.create_task(transport.write(b"anybody?"))
        await asyncio.sleep(0.05)
        ENDS[end](tool)
        with pytest.raises(LinkLostError) as caught:
            await writing
        assert len(str(caught.value).splitlines()) == 1
        await until(lambda: bool(log.reasons))
        await transport.close()
        await transport.close()
        await asyncio.sleep(2 * TICK_S)

    run(scenario())
    (reason,) = log.reasons
    assert reason.endswith(": the Bluetooth connection has ended; is the tool on, and within reach?")


@pytest.mark.in_process  # BlueZ takes 2 s to end what is given up, and refuses to scan or connect meanwhile
def test_close_ends_an_open_that_is_under_way() -> None:
    """At every stage of it."""

    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where)
        await works(link_to(where), tool)
        for wait_s in (0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
            transport, log = link_to(where), Log()
            opening = asyncio.create_task(transport.open(log))
            await asyncio.sleep(wait_s)
            await transport.close()
            with contextlib.suppress(LinkLostError):
                await opening
            assert opening.done()
            await transport.close()
            assert log.reasons == []
        await works(link_to(where), tool)

    run(scenario())


def test_the_radio_is_let_go_of_only_when_nothing_uses_it_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    async def scenario() -> None:
        where = new_air()
        await tool_on(where)
        transport = link_to(where)
        let_go = Backends.close

        async def connect(*_: Any) -> None:
            order.append("connects")
            try:
                await asyncio.sleep(9.0)
            finally:
                await asyncio.sleep(0.1)
                order.append("has ended")

        async def close(backends: Backends) -> None:
            order.append("let go")
            await let_go(backends)

        monkeypatch.setattr(BleakClient, "connect", connect)
        monkeypatch.setattr(Backends, "close", close)
        opening = asyncio.create_task(transport.open(Log()))
        await until(lambda: order == ["connects"])
        await transport.close()
        with pytest.raises(LinkLostError):
            await opening

    run(scenario())
    assert order == ["connects", "has ended", "let go"]


@pytest.mark.in_process
def test_an_end_in_the_very_moment_of_opening_is_not_missed() -> None:
    async def scenario() -> None:
        where, log = new_air(), Log()
        await tool_on(where)
        transport = link_to(where)
        subscribe = transport._subscribe

        async def and_gone(connection: Any) -> None:
            await subscribe(connection)
            transport._gone(connection)

        transport._subscribe = and_gone  # type: ignore[method-assign]
        with pytest.raises(LinkLostError, match="the Bluetooth connection has ended"):
            await transport.open(log)
        assert log.reasons == [] and transport._connection is None

    run(scenario())


def test_giving_up_while_it_opens() -> None:
    async def scenario() -> None:
        where = new_air()
        tool = await tool_on(where)
        for wait_s in (0.0, 0.1, 0.3) if BLUEZ else (0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3):
            transport = link_to(where)
            opening = asyncio.create_task(transport.open(Log()))
            await asyncio.sleep(wait_s)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            await transport.close()
        await works(link_to(where), tool)

    run(scenario())


@pytest.mark.in_process
def test_a_radio_that_does_not_let_go_does_not_hold_up_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "DISCONNECT_TIMEOUT_S", 0.2)
    stuck: list[asyncio.Event] = []

    async def scenario() -> None:
        log = Log()
        transport, _ = await opened_on(new_air(), log)
        connection = transport._connection
        assert connection is not None and connection.client is not None
        disconnect: Callable[[], Awaitable[None]] = connection.client.disconnect

        async def never() -> None:
            stuck.append(asyncio.Event())
            try:
                await stuck[0].wait()
            finally:
                await disconnect()

        connection.client.disconnect = never  # type: ignore[method-assign]
        await transport.close()
        with pytest.raises(LinkLostError):
            await transport.write(b"x")

    run(scenario())
    assert len(stuck) == 1
