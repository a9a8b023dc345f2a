"""One tool kept connected: over real sockets and pseudo-terminals, through everything that ends a link."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Set
from pathlib import Path
from random import Random
from typing import Any

import pytest
from driving import run
from kept_tool import Kept
from reachable import GUARD_S, Bus, OnTcp, OnWire, Reachable, there, tool, until

from nexuslink.device.course import COURSE, JITTER, LONGEST_PAUSE_S, Action, Backoff, Event, State
from nexuslink.device.discovery import Discovery
from nexuslink.device.errors import NoToolError
from nexuslink.device.finders import NOBODY, FoundTool, SerialFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.remembered import RememberedTools
from nexuslink.device.supervisor import OFF_BOUND_S, STEADY_S
from nexuslink.device.verdict import Verdict
from nexuslink.protocol.exchange import LinkState
from nexuslink.protocol.messages import MessageType
from nexuslink.transport.errors import LinkLostError


# ---- the table ------------------------------------------------------------------------------------------------------
def test_every_outcome_of_an_action_has_a_row() -> None:
    outcomes = {
        Action.LOOK: {Event.FOUND, Event.NOBODY, Event.FAILED},
        Action.OPEN: {Event.ASKED, Event.OPENED, Event.FAILED},
        Action.LET_IN: {Event.ASKED, Event.OPENED, Event.FAILED},
        Action.GREET: {Event.GREETED, Event.FAILED},
        Action.PAUSE: {Event.WAITED, Event.FAILED},
        Action.SERVE: {Event.FAILED, Event.NEARER},
        Action.REST: {Event.WANTED},
    }
    reached = set(COURSE.values())
    for state, action in reached:
        for event in outcomes[action] | {Event.UNWANTED, Event.HOPELESS}:
            assert (state, event) in COURSE, (state, action, event)
    assert {state for state, _ in reached} == set(State)
    assert (State.READY, Event.STARTED) in COURSE
    assert (State.STREAMING, Event.STOPPED) in COURSE


def test_pauses_double_up_to_the_longest_and_are_the_same_for_the_same_seed() -> None:
    pauses = [Backoff(Random(7)) for _ in range(2)]
    first, second = ([backoff.pause_s() for _ in range(12)] for backoff in pauses)
    assert first == second
    whole = [min(LONGEST_PAUSE_S, 0.25 * 2**n) for n in range(12)]
    assert all(JITTER[0] * w <= pause <= JITTER[1] * w for pause, w in zip(first, whole, strict=True))
    assert len({round(pause / w, 6) for pause, w in zip(first, whole, strict=True)}) > 6  # it does jitter
    pauses[0].reset()
    assert pauses[0].pause_s() < 0.25


# ---- the usual way --------------------------------------------------------------------------------------------------
def test_an_address_becomes_a_tool_that_streams_and_disconnecting_is_for_good() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            assert k.supervisor.state is State.OFF
            k.supervisor.connect()
            nexus = await k.data(20)
            assert k.supervisor.serial_number == "SIM-00003"
            assert k.supervisor.progress.simulated
            assert k.supervisor.progress.link is not None
            states = [state for state, _ in itertools.groupby(progress.state for progress in k.told)]
            assert states == ["scanning", "connecting", "handshaking", "ready", "streaming"]
            await k.supervisor.disconnect()
            assert k.supervisor.state is State.OFF
            assert nexus.closed_reason == "closed by this program"
            told = len(k.told)
            await asyncio.sleep(0.6)
            assert k.supervisor.state is State.OFF  # and never comes back by itself
            assert len(k.told) == told
            k.supervisor.connect()
            await k.data()
            await k.supervisor.disconnect()
            assert not k.supervisor._candidates._discovery._held

    run(work())


def test_the_stream_is_the_users_where_nobody_asked_for_it() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url, streaming=False)
            k.supervisor.connect()
            nexus = await k.supervisor.up(GUARD_S)
            await asyncio.sleep(0.3)
            assert k.supervisor.state is State.READY
            await nexus.start()
            await k.until(State.STREAMING)
            await nexus.stop()
            await k.until(State.READY)
            k.supervisor.want_streaming(True)
            await k.data()
            await k.supervisor.disconnect()

    run(work())


def test_nobody_there_is_said_with_the_next_step_and_up_is_bounded() -> None:
    async def work() -> None:
        k = Kept("NX-000123", Discovery([]))
        k.supervisor.connect()
        with pytest.raises(NoToolError, match=r"NX-000123 is not to be found; is it switched on"):
            await k.supervisor.up(0.5)
        assert k.verdicts <= {None, Verdict.NOT_THERE}
        await k.supervisor.disconnect()
        with pytest.raises(NoToolError):
            await k.supervisor.up(5)

    run(work())


def test_an_address_that_cannot_be_is_given_up_at_once() -> None:
    async def work() -> None:
        k = Kept("seriel:/dev/ttyACM0")
        k.supervisor.connect()
        with pytest.raises(NoToolError, match="did you mean serial"):
            await k.supervisor.up(5)
        assert k.supervisor.state is State.OFF
        assert k.told[-1].verdict is Verdict.BAD_ADDRESS
        await k.supervisor.disconnect()

    run(work())


# ---- what ends a link -----------------------------------------------------------------------------------------------
def test_a_server_that_goes_and_comes_back_is_found_again() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            first = await k.data()
            await one.go()
            await k.until(State.LOST)
            assert k.supervisor.nexus is None
            await one.come()
            second = await k.data()
            assert second is not first
            assert k.tools == [first, second]
            assert Verdict.LINK_LOST in k.verdicts
            assert k.supervisor.progress.restarts == 0  # the same start of the same tool
            await k.supervisor.disconnect()

    run(work())


def test_a_reset_that_the_link_does_not_show_is_noticed_and_streams_begin_anew() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            first = await k.data()
            one.reset()
            await until(lambda: k.supervisor.nexus not in (first, None))
            second = await k.data()
            assert second.info.boot_id != first.info.boot_id
            assert k.supervisor.progress.restarts == 1
            assert Verdict.RESTARTED in k.verdicts
            assert any("begin anew" in progress.sentence for progress in k.told)
            assert second.decoder.link.lost == 0
            await k.supervisor.disconnect()

    run(work())


def test_who_reads_a_stream_that_is_given_up_learns_why() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            nexus = await k.data()
            reading = asyncio.create_task(read_to_the_end(nexus))
            one.reset()
            with pytest.raises(LinkLostError, match="the tool no longer streams; it has restarted"):
                await reading
            await k.supervisor.disconnect()

    async def read_to_the_end(nexus: Nexus) -> None:
        async for _ in nexus.stream():
            pass

    run(work())


@pytest.mark.parametrize("named", [True, False], ids=["usb-tells", "handshake-tells"])
def test_a_tool_plugged_in_again_under_another_name_is_found(named: bool) -> None:
    async def work() -> None:
        bus = Bus()
        others = [OnWire(tool(seed), bus, named=False) for seed in (8, 9)]
        one = OnWire(tool(3), bus, named)
        async with there(others[0], one, others[1]):
            k = Kept("tool:SIM-00003", Discovery([SerialFinder(bus)]))
            k.supervisor.connect()
            first = await k.data()
            assert first.url == one.url
            await one.go()
            await k.until(State.SCANNING)
            await one.come()
            second = await k.data()
            assert second.url == one.url != first.url
            if named:
                assert Verdict.OTHER_TOOL not in k.verdicts
            await k.supervisor.disconnect()

    run(work())


def test_another_tool_at_the_same_address_is_not_taken_for_it() -> None:
    async def work() -> None:
        one, other = OnTcp(tool(3)), OnTcp(tool(4))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            await k.data()
            before = len(k.tools)
            await one.go()
            other._port = one._port
            async with there(other):
                await until(lambda: Verdict.OTHER_TOOL in k.verdicts)
                assert any("SIM-00004 is there, not SIM-00003" in progress.sentence for progress in k.told)
                assert len(k.tools) == before
            await one.come()
            await k.data()
            assert len(k.tools) > before
            assert {nexus.info.serial_number for nexus in k.tools} == {"SIM-00003"}
            await k.supervisor.disconnect()

    run(work())


def test_another_tools_port_is_asked_once_and_not_again_while_it_is_there() -> None:
    async def work() -> None:
        bus = Bus()
        other = OnWire(tool(8), bus, named=False)
        async with there(other):
            k = Kept("SIM-00003", Discovery([SerialFinder(bus)]))
            k.supervisor.connect()
            await until(lambda: Verdict.OTHER_TOOL in k.verdicts)
            await asyncio.sleep(2.0)
            states = [state for state, _ in itertools.groupby(progress.state for progress in k.told)]
            assert states.count(State.CONNECTING) == 1
            await k.supervisor.disconnect()

    run(work())


def test_a_tool_that_answers_and_sends_nothing_is_reconnected() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            first = await k.data()
            inside = one.tool.link.tool
            sends = inside.advance

            def answers_only(on_ns: int, room: int | None = None) -> list[Any]:
                return [one for one in sends(on_ns, room) if one.message[0] == MessageType.RESPONSE]

            inside.advance = answers_only  # type: ignore[method-assign]
            await until(lambda: k.supervisor.nexus is not first)
            assert any("answers but sends no data" in progress.sentence for progress in k.told)
            inside.advance = sends  # type: ignore[method-assign]
            await until(lambda: k.supervisor.nexus is not None)
            await k.data()
            await k.supervisor.disconnect()

    run(work())


def test_pauses_begin_small_again_after_a_connection_that_lasted() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            await k.data()
            for lasts_s, begins_anew in ((0.3, False), (STEADY_S + 0.3, True)):
                await one.go()
                await until(lambda: k.supervisor.progress.attempt >= 2)
                await one.come()
                await k.data()
                await asyncio.sleep(lasts_s)
                assert (k.supervisor.progress.attempt == 0) == begins_anew
            await k.supervisor.disconnect()

    run(work())


# ---- bounds and hostility -------------------------------------------------------------------------------------------
class Deaf(Reachable):
    """Takes connections and never says a word."""

    async def _serve(self, say: Any) -> None:
        writers = []

        def connected(_reader: Any, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        say(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await self._stop.wait()
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(6))
def test_the_user_ends_it_at_any_moment_within_the_bound(seed: int) -> None:
    async def work() -> None:
        rng = Random(seed)
        deaf, one = Deaf(tool(9)), OnTcp(tool(3))
        async with there(deaf, one):
            url = rng.choice([deaf.url, one.url, "tcp:127.0.0.1:1"])
            k = Kept(url, rng=rng)
            for _ in range(5):
                k.supervisor.connect()
                await asyncio.sleep(rng.choice([0.0, rng.uniform(0, 0.01), rng.uniform(0, 0.3)]))
                async with asyncio.timeout(OFF_BOUND_S):
                    await k.supervisor.disconnect()
                assert k.supervisor.state is State.OFF

    run(work())


def test_a_watcher_that_fails_hurts_nobody() -> None:
    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)

            seen: list[Progress] = []

            def fail(_: object) -> None:
                raise ValueError("mine")

            k.supervisor.subscribe(fail)
            k.supervisor.add_tool_watch(fail)
            k.supervisor.subscribe(seen.append)
            k.supervisor.connect()
            await k.data()
            await k.supervisor.disconnect()
            assert k.supervisor.watcher_failures > 4
            assert seen[-1].state is State.OFF

    run(work())


def test_a_finder_that_fails_or_hangs_is_said_and_the_others_go_on() -> None:
    class Broken:
        name, quick = "Bluetooth", False

        async def find(self, wanted: Set[str] = NOBODY) -> list[FoundTool]:
            raise OSError("Bluetooth is off on this computer;\nswitch it on")

    async def work() -> None:
        k = Kept("NX-1", Discovery([Broken()]))
        k.supervisor.connect()
        with pytest.raises(NoToolError, match="Bluetooth is off on this computer; switch it on"):
            await k.supervisor.up(0.3)
        await k.supervisor.disconnect()

    run(work())


def test_what_was_connected_is_remembered_and_found_again_by_serial_number_alone(tmp_path: Path) -> None:
    async def work() -> None:
        remembered = RememberedTools(lambda: tmp_path)
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url, remembered=remembered)
            k.supervisor.connect()
            await k.data()
            await k.supervisor.disconnect()
            known = RememberedTools(lambda: tmp_path).find("SIM-00003")
            assert known is not None
            assert (known.urls, known.simulated, known.bonded) == ((one.url,), True, False)
            again = Kept("SIM-00003", Discovery([]), remembered=RememberedTools(lambda: tmp_path))
            again.supervisor.connect()
            await again.data()
            await again.supervisor.disconnect()

    run(work())


def test_a_session_that_its_owner_ends_is_not_a_lost_link() -> None:
    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            k = Kept(one.url)
            k.supervisor.connect()
            nexus = await k.data()
            await nexus.stop()
            await until(lambda: nexus.state is LinkState.STREAMING)  # started again by itself, on the same link
            assert k.supervisor.nexus is nexus
            await k.supervisor.disconnect()

    run(work())
