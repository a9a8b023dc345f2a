"""From what a person writes to a connected tool: by address, by serial number, by name, or the one used last."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from driving import run
from reachable import Bus, OnTcp, OnWire, there, tool, until

from nexuslink.device.course import UP, State
from nexuslink.device.errors import NoToolError
from nexuslink.device.finders import RadioFinder, SerialFinder, SimulatedFinder
from nexuslink.device.keeping import FIND_S, address, connection, discovery_for, is_tool, kept, meant
from nexuslink.device.nexus import Nexus
from nexuslink.device.remembered import USUAL, RememberedTool, RememberedTools
from nexuslink.device.verdict import Verdict
from nexuslink.transport.errors import UrlError
from nexuslink.transport.url import make_transport

NOBODY = RememberedTools(lambda: None)


def known(folder: Path) -> RememberedTools:
    return RememberedTools(lambda: folder)


def test_one_tool_by_every_name_that_it_has(tmp_path: Path) -> None:
    remembered = known(tmp_path)

    async def work() -> None:
        one = OnTcp(tool(7))
        async with there(one):
            supervisor = await kept(one.url, remembered=remembered, cache=None)
            await supervisor.disconnect()
            remembered.rename("SIM-00007", "The one in the kitchen")
            names = ("SIM-00007", "tool:", "tool:SIM-00007", "tool:sim-00007", "TOOL:the one in the kitchen")
            for name in names:
                supervisor = await kept(name, finders=[], remembered=remembered, cache=None)
                assert supervisor.nexus is not None
                assert supervisor.nexus.info.serial_number == "SIM-00007", name
                assert supervisor.state in UP
                await supervisor.disconnect()
                assert supervisor.state is State.OFF

    run(work())


def test_it_is_kept_until_it_is_let_go(tmp_path: Path) -> None:
    async def work() -> None:
        one = OnTcp(tool(7))
        async with there(one):
            supervisor = await kept(one.url, finders=[], remembered=None, cache=None)
            await one.go()
            await until(lambda: supervisor.state is State.LOST)
            await one.come()
            await supervisor.up(10.0)
            await supervisor.disconnect()

    run(work())


def test_one_connection_is_one() -> None:
    async def work() -> None:
        one = OnTcp(tool(7))
        async with there(one), connection(one.url, remembered=None, cache=None) as nexus:
            assert nexus.info.serial_number == "SIM-00007"
            await one.go()
            await until(lambda: nexus.closed_reason is not None)
            await one.come()
            await asyncio.sleep(0.6)  # longer than the first pause of a supervisor that comes back
            assert one.tool.link.tool.firmware.greeted is False

    run(work())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "scheme:target"),
        ("simm:", "did you mean sim:"),
        ("tool:", "no tool has been used yet"),
        ("tool:a:b", "no colon"),
        ("tool:NX-1?speed=max", "speed"),
        ("tool:NX-1?radio=a&radio=b", "twice"),
        ("tool:\n", "no tool has been used yet"),
        ("tool:NX%0a1", "line break"),
        ("serial:", "serial:PORT"),
    ],
)
def test_what_cannot_be_a_tool_is_one_line(text: str, says: str) -> None:
    with pytest.raises(UrlError, match=says) as error:
        meant(text, NOBODY)
    assert "\n" not in str(error.value)


def test_a_name_that_two_tools_have_is_refused() -> None:
    remembered = RememberedTools(lambda: None)
    for serial in ("NX-1", "NX-2"):
        remembered.keep(RememberedTool(serial, "Blue"))
    with pytest.raises(UrlError, match="2 tools are called that; write one of NX-2, NX-1"):
        meant("tool:blue", remembered)
    assert meant("tool:", remembered).target == "NX-2"


def test_files_are_no_tools() -> None:
    assert [is_tool(text) for text in ("NX-000123", "tool:", "sim:", "good.json", "a-b", "NX-1.mcap")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_radios_on_which_a_tool_has_been_are_looked_on_again() -> None:
    remembered = RememberedTools(lambda: None)
    remembered.keep(RememberedTool("NX-1", urls=("ble://NX-1?radio=bumble:air:x", "ble://NX-1", "serial:/dev/a")))
    assert meant("NX-1", remembered).radios == ("bumble:air:x",)
    assert meant("tool:NX-1?radio=bumble:air:y", remembered).radios == ("bumble:air:y", "bumble:air:x")
    names = [finder.name for finder in discovery_for(meant("NX-1", remembered)).finders]
    assert names == ["the serial ports", "Bluetooth", "Bluetooth"]  # and not the simulated tool inside this program
    there = [RadioFinder("bumble:air:x"), SimulatedFinder()]
    assert discovery_for(meant("NX-1", remembered), there).finders == (there[0],)  # each radio once


def test_a_tool_that_is_nowhere_is_said_in_time_whoever_else_is_there() -> None:
    """Another tool at a port is asked; that it is another says nothing of this one. The simulated one is not asked."""

    async def work() -> None:
        bus = Bus()
        other = OnWire(tool(5), bus, named=False)
        async with there(other):
            with pytest.raises(NoToolError, match=r"^SIM-00099 is not to be found; is it switched on") as error:
                await kept(
                    "SIM-00099",
                    bound_s=0.7,
                    finders=[SerialFinder(bus), SimulatedFinder()],
                    remembered=NOBODY,
                    cache=None,
                )
            assert error.value.verdict is Verdict.NOT_THERE
            await until(lambda: not other.tool.link.tool.firmware.greeted)  # let go of again

    run(work())


def test_an_address_is_tried_once_and_says_why() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the connection, and says nothing
            url = f"tcp:127.0.0.1:{mute.getsockname()[1]}"
            with pytest.raises(NoToolError, match="no answer to HELLO") as error:
                await kept(url, remembered=None, cache=None)
        assert error.value.verdict is Verdict.NO_ANSWER
        with pytest.raises(NoToolError, match="cannot connect") as error:
            await kept(url, remembered=None, cache=None)
        assert error.value.verdict is Verdict.NOT_THERE

    run(work())


def test_a_link_that_came_to_nothing_is_closed_whenever_one_gives_up() -> None:
    """Given up while it closes: also then nothing stays open."""

    async def work() -> None:
        open_links = 0

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_links
            open_links += 1
            await reader.read()
            writer.close()
            open_links -= 1

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        async with server:
            url = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(NoToolError):
                await kept(url, remembered=None, cache=None)
            for turns in range(6):
                nexus = Nexus(make_transport(url))
                await nexus.open_link()
                closing = asyncio.create_task(nexus.close())
                for _ in range(turns):
                    await asyncio.sleep(0)
                closing.cancel()
                await asyncio.wait((closing,))
                if not turns:  # it had not begun
                    await nexus.close()
            await until(lambda: not open_links)

    run(work())


@pytest.mark.parametrize("target", ["address", "NX-4"])
def test_given_up_in_the_middle_it_leaves_nothing(target: str) -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"tcp:127.0.0.1:{mute.getsockname()[1]}"
            work = asyncio.create_task(
                kept(url if target == "address" else target, finders=[], remembered=None, cache=None)
            )
            await asyncio.sleep(0.2)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work

    run(work())


def test_where_it_is_for_those_who_open_the_link_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUSLINK_TOOLS", str(tmp_path))
    monkeypatch.setattr(USUAL, "_memory", {})

    async def work() -> None:
        assert await address("sim:?seed=4") == "sim:?seed=4"
        one = OnTcp(tool(7))
        async with there(one):
            async with connection(one.url, cache=None):
                pass
            assert await address("tool:") == one.url
            await until(lambda: not one.tool.link.tool.firmware.greeted)  # let go of again

    run(work())
    assert FIND_S <= 10.0


def test_a_tool_in_this_program_is_not_remembered_and_comes_back_as_another(tmp_path: Path) -> None:
    remembered = known(tmp_path)

    async def work() -> None:
        supervisor = await kept("sim:?seed=4", remembered=remembered, cache=None)
        assert supervisor.once
        await supervisor.disconnect()

    run(work())
    assert remembered.all() == []
