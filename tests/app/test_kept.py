"""The window and a tool that comes and goes, on real sockets, pseudo-terminals and a radio in software."""

import asyncio
import itertools
import re
import time
from dataclasses import replace

import pytest
from nexus_simulator import tool as simulator
from nexus_simulator.factory import identity_of
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from reachable import Bus, OnTcp, OnWire, tool

from nexuslink.app.bridge import LoopThread
from nexuslink.app.flow import Flow
from nexuslink.app.sound import Cue, cue_for
from nexuslink.app.views.calibrate import CalibrateView
from nexuslink.app.views.choose import ChooseView
from nexuslink.app.views.connect import ConnectView, Mood
from nexuslink.app.views.prepare import PrepareView
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import RadioFinder, SerialFinder
from nexuslink.device.remembered import RememberedTool, RememberedTools
from nexuslink.live import pipeline
from nexuslink.live.connections import EVENT_GAP, EVENT_RESUME
from nexuslink.live.replay import replay
from nexuslink.recording.reader import SessionReader
from nexuslink.release.hold import StopReason

GUARD_S = 60.0
REAL = "NX-000005"
_numbers = itertools.count()


class World:
    """Tools on a loop of their own, and what the system lists."""

    def __init__(self) -> None:
        self.thread = LoopThread()
        self.bus = Bus()
        self.tools = []

    def do(self, work):
        return self.thread.submit(work, GUARD_S).result(GUARD_S)

    def add(self, kind, *args, seed: int = 5, **options: str):
        async def make():
            one = kind(tool(seed, **options), *args)
            await one.come()
            return one

        self.tools.append(self.do(make()))
        return self.tools[-1]

    def record(self, one) -> bytes:
        return bytes(one.tool.link.tool.firmware.calibration.data)

    def reset(self, one) -> None:
        self.thread.loop.call_soon_threadsafe(one.reset)

    def close(self) -> None:
        for one in self.tools:
            self.do(one.go())
        self.thread.close(5.0)


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def begin(window, tmp_path, world):
    """Start the program; nobody else's tools are looked for, or remembered."""
    flows = []

    def run(url: str | None = None, autostart: bool = True, remembered: RememberedTools | None = None, **more) -> Flow:
        discovery = more.pop("discovery", None) or Discovery([SerialFinder(world.bus)])
        remembered = remembered or RememberedTools(lambda: None)
        flow = Flow(window, url, "psoas-left", autostart, tmp_path, sound=False, discovery=discovery,
                    remembered=remembered, **more)  # fmt: skip
        flows.append(flow)
        flow.begin()
        return flow

    yield run
    for flow in flows:
        if flow.bridge is not None:
            assert not left_over(flow)
        flow.close()


def left_over(flow: Flow) -> list[str]:
    """Tasks that are there though the program's work has ended."""
    thread = flow.bridge._thread

    async def ended() -> list[str]:
        await flow.bridge._desk.close()
        await asyncio.sleep(0.05)
        return [task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-")]

    return thread.submit(ended(), GUARD_S).result(GUARD_S)


def rows(flow: Flow) -> int:
    return flow.bridge.ring.count if flow.bridge and flow.hold else 0


def ends_well(flow: Flow, until, tmp_path, gaps: int) -> None:
    """Stopped by the user; the file is whole and says the same again."""
    flow.hold.press()
    until(lambda: flow.hold.button.text() == "See result")
    assert flow.bridge.snapshot.hold.stop_reason is StopReason.USER
    (file,) = tmp_path.iterdir()
    kinds = [event.kind for event in SessionReader(file).events()]
    assert kinds.count(EVENT_GAP) == kinds.count(EVENT_RESUME) == gaps
    again = replay(file)
    assert again.rows_identical
    assert again.summary_identical


def lives_through(flow: Flow, until, goes, comes) -> float:
    """A fault that cannot be overlooked while it is away, and the hold goes on; how long the silence was by then."""
    until(lambda: rows(flow) > 200)
    assert not flow.hold.stale
    goes()
    until(lambda: flow.hold.stale and flow.hold.sentence.said[0] == "Tool lost. Reconnecting.")
    silent_s = flow.bridge.snapshot.link.silent_s
    assert flow.hold.sentence.said[2] == "fault"
    assert cue_for(flow.bridge.snapshot, flow.hold.stale) is Cue.LOST
    assert "roll off if unsure" in flow.hold.sentence.said[1]
    assert flow.hold.tokens_for(flow.hold.ring) != flow.hold.tokens
    so_far = rows(flow)
    comes()
    until(lambda: rows(flow) > so_far + 100 and not flow.hold.stale)
    assert flow.hold.sentence.said[2] != "fault"
    return silent_s


def test_a_tool_unplugged_in_mid_hold_and_plugged_in_elsewhere(begin, until, world, tmp_path):
    one = world.add(OnWire, world.bus, True)
    flow = begin(one.url)
    silent_s = lives_through(flow, until, lambda: world.do(one.go()), lambda: world.do(one.come()))
    assert silent_s < 2.0
    ends_well(flow, until, tmp_path, 1)


@pytest.mark.thorough
def test_a_tool_that_resets_in_mid_hold(begin, until, world, tmp_path):
    one = world.add(OnTcp)
    flow = begin(one.url)
    lives_through(flow, until, lambda: world.reset(one), lambda: None)
    ends_well(flow, until, tmp_path, 1)
    t_us = flow.bridge.ring.since(0)[1]
    assert (t_us[1:] > t_us[:-1]).all()


@pytest.mark.thorough
def test_away_for_too_long_ends_the_hold_and_the_next_one_begins_by_itself(begin, until, world, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "GAP_LOST_S", 3.0)
    one = world.add(OnTcp)
    flow = begin(one.url)
    until(lambda: rows(flow) > 200)
    world.do(one.go())
    until(lambda: flow.hold.button.text() == "See result")
    assert flow.bridge.snapshot.hold.stop_reason is StopReason.LINK_LOST
    assert not flow.hold.stale
    (file,) = tmp_path.iterdir()
    again = replay(file)
    assert again.rows_identical
    assert again.summary_identical
    world.do(one.come())
    QTest.keyClick(flow.hold, Qt.Key.Key_Return)
    QTest.keyClick(flow.result, Qt.Key.Key_Return)
    until(lambda: rows(flow) > 200 and not flow.hold.ended)
    assert not flow.hold.stale


def test_who_leaves_on_purpose_is_not_connected_again(window, begin, until, world):
    one = world.add(OnWire, world.bus, True)
    remembered = RememberedTools(lambda: None)
    flow = begin(one.url, autostart=False, remembered=remembered)
    until(lambda: isinstance(window.view, PrepareView))
    supervisor = flow.bridge._desk._connection._supervisor
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    until(lambda: flow.connect_view.listed and not supervisor._wanted and remembered.all()[0].left)
    assert isinstance(window.view, ConnectView)
    assert supervisor.nexus is None
    flow.connect_view._cards[0].click()
    QTest.keyClick(window.view, Qt.Key.Key_Return)  # one click, and one is forgiven
    until(lambda: isinstance(window.view, PrepareView))
    assert not remembered.all()[0].left


@pytest.mark.parametrize("left", [False, True])
def test_the_only_known_tool_is_connected_unasked_unless_it_was_left(window, begin, until, world, left, monkeypatch):
    monkeypatch.setattr(simulator, "identity_of", lambda *given: replace(identity_of(*given), serial_number=REAL))
    one = world.add(OnWire, world.bus, True)
    remembered = RememberedTools(lambda: None)
    remembered.keep(RememberedTool(one.serial_number, left=left, urls=(one.url,)))
    flow = begin(None, autostart=False, remembered=remembered)
    if left:
        until(lambda: flow.connect_view._near is not None and flow.connect_view._near.settled)
        assert not flow.finding._opening
    else:
        until(lambda: isinstance(window.view, PrepareView))


def test_connecting_unasked_can_be_stopped(window, begin, until, world):
    """Somebody listens there who never answers: Escape is heard all the same."""
    opened = []

    async def mute():
        return await asyncio.start_server(lambda reader, writer: opened.append(writer), "127.0.0.1", 0)

    server = world.do(mute())
    flow = begin(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}", autostart=False)
    until(lambda: opened)
    assert flow.connect_view.mood is Mood.CONNECTING
    assert flow.connect_view._cancel.isVisible()
    began = time.monotonic()
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert flow.connect_view.mood is Mood.CHOOSING
    until(lambda: not flow.bridge._waiting)
    assert time.monotonic() - began < GUARD_S / 6
    assert flow.connect_view.mood is Mood.CHOOSING
    tasks = [task.get_name() for task in asyncio.all_tasks(flow.bridge._thread.loop)]
    assert "nexuslink supervisor" not in tasks

    async def end():
        for writer in opened:
            writer.close()
        server.close()

    world.do(end())


@pytest.mark.thorough
def test_a_lost_link_ends_a_calibration_and_the_next_one_finds_the_tool(
    window, begin, until, world, monkeypatch, tmp_path
):
    monkeypatch.setenv("NEXUSLINK_CALIBRATIONS", str(tmp_path / "calibrations"))
    one = world.add(OnTcp, script="unloaded")
    flow = begin(None, autostart=False)
    flow.finding.open_to_calibrate(one.url)
    until(lambda: isinstance(window.view, ChooseView))
    flow.wizard.choose.pick("zero")
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: isinstance(window.view, CalibrateView) and flow.bridge.log.picture is not None)
    before = world.record(one)
    world.do(one.go())
    until(lambda: flow.wizard.calibrate._broken)
    assert flow.wizard.calibrate.stale
    assert flow.wizard.calibrate._why.text.startswith("▲ ")
    assert len(flow.wizard.calibrate._why.text.splitlines()) == 1
    assert world.record(one) == before
    world.do(one.come())
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: not flow.wizard.calibrate._broken and flow.bridge.log.picture is not None)
    QTest.keyClick(window.view, Qt.Key.Key_Escape)


@pytest.mark.thorough
def test_a_weak_link_is_said_in_one_small_line_and_more_of_it_behind_a_key(begin, until, world):
    one = world.add(OnTcp, drop="0.05")
    flow = begin(one.url)
    until(lambda: "weak link" in flow.hold.status.text if flow.hold else False)
    assert "network" not in flow.hold.status.text
    QTest.keyClick(flow.hold, Qt.Key.Key_L)
    assert "network" in flow.hold.status.text
    assert "round trip" in flow.hold.status.text
    flow.hold.press()


class InTheAir:
    """A tool on a radio in software. It must live on the program's own loop, where its radio is."""

    def __init__(self, monkeypatch) -> None:
        pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")
        from nexus_simulator.ble.radio import air

        monkeypatch.setattr(simulator, "identity_of", lambda *given: replace(identity_of(*given), serial_number=REAL))
        self.air = air(f"window-{next(_numbers)}")
        self.discovery = Discovery([RadioFinder(f"bumble:air:{self.air.name}")])
        self.remembered = RememberedTools(lambda: None)
        self.remembered.keep(RememberedTool(REAL))

    def switch_on(self, flow: Flow) -> None:
        from nexus_simulator.ble.pairing import Method, Security
        from nexus_simulator.ble.peripheral import NexusPeripheral
        from nexus_simulator.options import Options

        async def made() -> None:
            self.tool = NexusPeripheral(Options(seed=5), self.air, Security(method=Method.NOTHING, always_open=True))
            await self.tool.start()

        self.thread = flow.bridge._thread
        self.thread.submit(made(), GUARD_S).result(GUARD_S)

    def do(self, action) -> None:
        self.thread.loop.call_soon_threadsafe(action)

    def off(self) -> None:
        self.thread.submit(self.tool.close(), GUARD_S).result(GUARD_S)


@pytest.fixture
def radio(monkeypatch):
    return InTheAir(monkeypatch)


@pytest.mark.thorough
def test_over_the_air_from_no_click_at_all_through_an_absence(begin, until, radio, tmp_path):
    flow = begin(None, discovery=radio.discovery, remembered=radio.remembered)
    radio.switch_on(flow)
    silent_s = lives_through(flow, until, lambda: radio.do(radio.tool.leave), lambda: radio.do(radio.tool.return_))
    assert silent_s < 4.0  # until then it was only silent, and that was said: see below
    figures = flow.hold._figures
    assert re.fullmatch(r"Bluetooth, −(5\d|6[0-7]) dBm", figures.way)  # -58, and three deviations
    assert any(text.startswith("interval ") for text in figures.more)
    ends_well(flow, until, tmp_path, 1)
    radio.off()


@pytest.mark.thorough
@pytest.mark.parametrize("goes", ["leave", "crash"])
def test_over_the_air_silence_is_a_fault_within_two_seconds(begin, until, radio, goes):
    flow = begin(None, discovery=radio.discovery, remembered=radio.remembered)
    radio.switch_on(flow)
    until(lambda: rows(flow) > 200)
    radio.do(getattr(radio.tool, goes))
    until(lambda: flow.hold.stale)
    assert flow.bridge.snapshot.link.silent_s < 2.0
    assert flow.hold.sentence.said[2] == "fault"
    flow.hold.press()
    until(lambda: flow.hold.button.text() == "See result")
    radio.off()
