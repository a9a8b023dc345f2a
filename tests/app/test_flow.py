"""The whole program on the real simulated tool, by clicks and keys, off screen."""

import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from nexuslink.app.desk import rehearsal
from nexuslink.app.flow import Flow
from nexuslink.app.theme import DARK, DONE, STOPPED
from nexuslink.app.views.connect import ConnectView, Mood
from nexuslink.app.views.hold import HoldView
from nexuslink.app.views.prepare import PrepareView
from nexuslink.app.views.result import ResultView
from nexuslink.recording.reader import SessionReader
from nexuslink.release.hold import Phase, StopReason

GOOD = "sim:?script=good-psoas&speed=max&seed=1"


@pytest.fixture
def begin(window, until, tmp_path):
    """Start the program; the flow."""
    flows = []

    def run(url: str | None = None, site: str = "psoas-left", autostart: bool = True, **more) -> Flow:
        flow = Flow(window, url, site, autostart, more.pop("folder", tmp_path), sound=False, **more)
        flows.append(flow)
        flow.begin()
        return flow

    yield run
    for flow in flows:
        flow.close()


def phase(flow: Flow) -> Phase | None:
    snapshot = flow.bridge.snapshot if flow.bridge else None
    return snapshot.hold.phase if snapshot else None


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_from_the_list_of_tools_to_the_result(window, begin, until, settle, tmp_path):
    flow = begin(autostart=False)
    until(lambda: flow.connect_view.listed)
    flow.connect_view._cards[-1].click()  # the simulated tool is always the last
    assert window.view.badge.isVisible()
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: isinstance(window.view, PrepareView))
    assert window.view.badge.isVisible()
    window.view.pick("iliacus-right")
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: isinstance(window.view, HoldView))
    assert window.view.badge.isVisible()
    until(lambda: flow.bridge.snapshot and flow.bridge.snapshot.t_us > 1_500_000)
    until(lambda: "samples/s" in flow.hold.status.text)
    QTest.keyClick(window.view, Qt.Key.Key_Space)
    until(lambda: flow.hold.button.text() == "See result")
    assert flow.hold.tokens == STOPPED
    assert flow.bridge.snapshot.hold.stop_reason is StopReason.USER
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, ResultView)
    assert window.view.badge.isVisible()
    assert window.view.headline == "Stopped by you."
    (name,) = files(tmp_path)
    assert name in window.view.file_line
    reader = SessionReader(tmp_path / name)
    assert not reader.truncated
    assert reader.header.simulated
    assert reader.summary["stop_reason"] == "user"
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, PrepareView)
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, ConnectView)
    until(lambda: flow.connect_view.mood is Mood.CHOOSING and flow.connect_view._connect.isEnabled())


def test_a_whole_hold_is_done_and_can_be_held_again(window, begin, until, tmp_path, in_step):
    in_step.set()  # there is nothing to miss
    flow = begin(GOOD)
    until(lambda: flow.hold and flow.hold.button.text() == "See result")
    assert phase(flow) is Phase.DONE
    assert flow.hold.tokens == DONE
    assert flow.hold.countdown.clock == "0:00"
    # Samples do not go through signals: every one of them is in the ring, and the paints are as many as Qt can do.
    assert flow.bridge.ring.count > 15_000
    assert flow.hold.ring.paints <= flow.bridge.throttle.readies + 10
    assert flow.bridge.throttle.readies <= flow.bridge.throttle.posts
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    assert window.view.headline == "Done. Come off slowly."
    in_step.clear()
    QTest.keyClick(window.view, Qt.Key.Key_Return)  # again: the simulated person starts anew
    until(lambda: isinstance(window.view, HoldView))
    assert flow.hold.tokens == DARK
    until(lambda: phase(flow) not in {None, Phase.WAITING})
    flow.hold.press()
    until(lambda: flow.hold.button.text() == "See result")
    assert len(files(tmp_path)) == 2


def test_a_lost_link_is_shown_then_ends_the_hold_with_a_whole_file(window, begin, until, tmp_path, in_step):
    flow = begin("sim:?script=lost-link&speed=max&seed=1")
    until(lambda: flow.hold and flow.hold.stale)
    assert flow.hold.sentence.said[2] == "fault"
    until(lambda: flow.hold.button.text() == "See result")
    assert flow.bridge.snapshot.hold.stop_reason is StopReason.LINK_LOST
    assert not flow.hold.stale
    (name,) = files(tmp_path)
    assert name.endswith(".mcap")


def test_closing_the_window_in_mid_hold_finishes_the_recording(window, begin, until, tmp_path, in_step):
    flow = begin(GOOD)
    until(lambda: phase(flow) is Phase.IN_BAND)
    assert files(tmp_path)[0].endswith(".part")
    window.close()
    (name,) = files(tmp_path)
    assert name.endswith(".mcap")
    assert SessionReader(tmp_path / name).summary["stop_reason"] == "user"
    assert "nexuslink-loop" not in {thread.name for thread in threading.enumerate()}


def test_a_tool_that_is_not_there(window, begin, until):
    flow = begin("serial:/dev/no-such-port")
    until(lambda: flow.connect_view.note and flow.connect_view.listed)
    assert window.view is flow.connect_view
    assert "/dev/no-such-port" in flow.connect_view.note
    assert flow.connect_view._cards[-1].tool.simulated
    assert flow.connect_view._connect.isEnabled()


@pytest.mark.parametrize("url", ["sim:?scirpt=good-psoas", "smi:", "tcp:127.0.0.1:1"])
def test_a_url_with_a_typo(window, begin, until, url):
    flow = begin(url)
    until(lambda: flow.connect_view.note and flow.connect_view.listed)
    assert flow.connect_view.mood is Mood.FAILED
    assert url in flow.connect_view.note or url.partition("?")[2].partition("=")[0] in flow.connect_view.note
    assert len(flow.connect_view.note.splitlines()) == 1


def test_a_site_that_does_not_exist(window, begin, until):
    flow = begin(GOOD, site="psaos-left")
    until(lambda: flow.connect_view.listed)
    assert "psoas-left" in flow.connect_view.note
    assert window.view is flow.connect_view


def test_a_folder_that_cannot_be_written(window, begin, until, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    flow = begin(GOOD, folder=blocked)
    until(lambda: flow.prepare and flow.prepare.note)
    assert isinstance(window.view, PrepareView)
    assert str(blocked) in flow.prepare.note


def test_without_recording_nothing_is_written(window, begin, until, tmp_path, in_step):
    flow = begin(GOOD, record=False)
    until(lambda: phase(flow) is Phase.IN_BAND)
    flow.hold.press()
    until(lambda: flow.hold.button.text() == "See result")
    assert "not recording" in flow.hold.status.text
    assert files(tmp_path) == []


def test_the_simulated_person_does_what_was_picked():
    assert rehearsal("sim:?script=good-psoas", "iliacus-left") == "sim:?script=good-iliacus"
    assert (
        rehearsal("sim:?seed=3&script=good-psoas&drop=0.1", "iliacus-left")
        == "sim:?seed=3&script=good-iliacus&drop=0.1"
    )
    assert rehearsal("sim:?script=too-hard", "iliacus-left") == "sim:?script=too-hard"
    assert rehearsal("serial:/dev/script=good-psoas", "iliacus-left") == "serial:/dev/script=good-psoas"


def test_commands_are_bounded(application, until):
    from nexuslink.app.bridge import Bridge

    bridge = Bridge()
    said = []
    bridge.failed.connect(lambda *words: said.append(words))

    async def never() -> None:
        import asyncio

        await asyncio.Event().wait()

    bridge._ask("start", never(), 0.05)
    until(lambda: said)
    assert said == [("start", "The tool did not answer in time.")]
    assert bridge.close()


def test_closing_does_not_wait_for_a_stuck_loop(application):
    from nexuslink.app.bridge import LoopThread

    stuck = LoopThread()
    release = threading.Event()
    stuck.loop.call_soon_threadsafe(release.wait, 20.0)
    began = time.monotonic()
    assert not stuck.close(0.1)
    assert time.monotonic() - began < 10
    release.set()
    assert stuck.close(10.0)


def test_closing_twice_is_closing_once(application):
    from nexuslink.app.bridge import Bridge

    bridge = Bridge()
    assert bridge.close()
    assert bridge.close()
