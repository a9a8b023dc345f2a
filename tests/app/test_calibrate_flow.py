"""Calibrating through the whole program, on the real simulated tool, by clicks and keys, off screen."""

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from nexuslink.app.asked import Asked, code_text
from nexuslink.app.bench import acted
from nexuslink.app.flow import Flow
from nexuslink.app.nearby import Near, NearTool
from nexuslink.app.views.calibrate import CalibrateView
from nexuslink.app.views.choose import ChooseView
from nexuslink.app.views.connect import ConnectView
from nexuslink.app.views.verdict import State, VerdictView
from nexuslink.calibration.archive import Archive, Kind
from nexuslink.protocol.messages import CalibrationRecord

FAST = "sim:?seed=1&speed=max"
LOST = "sim:?seed=1&speed=max&script=lost-link"


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Archive:
    monkeypatch.setenv("NEXUSLINK_CALIBRATIONS", str(tmp_path / "calibrations"))
    return Archive(tmp_path / "calibrations")


@pytest.fixture
def begin(window, until, tmp_path, archive):
    """Start the program and connect to calibrate; the wizard."""
    flows = []

    def run(url: str = FAST):
        flow = Flow(window, None, "psoas-left", False, tmp_path, sound=False)
        flows.append(flow)
        flow.begin()
        until(lambda: flow.connect_view.listed)
        flow.bridge.look_no_more()
        flow.connect_view.show_near(Near((NearTool("Simulated tool", url, simulated=True),)))
        QTest.keyClick(window.view, Qt.Key.Key_C)
        until(lambda: isinstance(window.view, ChooseView))
        return flow.wizard

    yield run
    for flow in flows:
        flow.close()


def record_in(wizard) -> CalibrationRecord:
    """What the tool has now, asked through its own link."""
    desk, thread = wizard._bridge._desk, wizard._bridge._thread

    async def read() -> CalibrationRecord:
        nexus = desk._connection.nexus
        await nexus.refresh()
        return nexus.calibration

    return asyncio.run_coroutine_threadsafe(read(), thread.loop).result(10)


def run_to_verdict(window, wizard, until, choice: str) -> VerdictView:
    wizard.choose.pick(choice)
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: isinstance(window.view, CalibrateView))
    assert window.view.badge.isVisible()
    until(lambda: not isinstance(window.view, CalibrateView) or window.view._broken)
    assert isinstance(window.view, VerdictView), wizard.calibrate._why.text
    assert window.view.badge.isVisible()
    return window.view


def type_code(view: VerdictView, code: str) -> None:
    view.code.line.clear()
    QTest.keyClicks(view.code.line, code)
    QTest.keyClick(view.code.line, Qt.Key.Key_Return)


def test_weights_from_the_list_of_tools_into_the_tool(window, begin, until, archive):
    wizard = begin()
    until(lambda: "SIM-00001" in wizard.choose._tool.text)
    before = record_in(wizard)
    view = run_to_verdict(window, wizard, until, "weights")
    assert view.state is State.OFFERED, view.sentence.said
    assert view.sentence.said[0].lower().startswith("within ")
    assert view.points.fitted
    assert view.changes._rows
    assert record_in(wizard).calibration_id == before.calibration_id  # nothing is written without the step
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert view.state is State.ASKING
    assert "0x4E583031" in view.note
    type_code(view, "0x12AB34CD")
    until(lambda: view.state is State.FAILED)
    assert "code" in view._why.text
    assert record_in(wizard).calibration_id == before.calibration_id
    type_code(view, "4e583031")
    until(lambda: view.state is State.WRITTEN)
    after = record_in(wizard)
    assert after.calibration_id > before.calibration_id
    assert after.force[0].gain_n_per_count != before.force[0].gain_n_per_count
    assert after.gyro == before.gyro
    kinds = [event.kind for event in archive.events("SIM-00001")]
    assert kinds[-2:] == [Kind.AS_FOUND, Kind.AS_LEFT]
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert isinstance(window.view, ChooseView)
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, ConnectView)


@pytest.mark.parametrize("choice", ["zero", "poses", pytest.param("turning", marks=pytest.mark.thorough)])
def test_the_others_end_with_a_verdict(window, begin, until, choice):
    wizard = begin()
    view = run_to_verdict(window, wizard, until, choice)
    assert view.state is State.OFFERED, view.sentence.said
    assert view.changes._rows
    assert view.points.isVisible() == (choice != "turning")


def test_a_check_offers_nothing_to_write(window, begin, until, archive):
    wizard = begin()
    view = run_to_verdict(window, wizard, until, "check")
    assert view.state is State.CHECKED
    assert not view.code.isVisible() and not view.changes.isVisible()
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert isinstance(window.view, ChooseView)
    assert [event.kind for event in archive.events("SIM-00001")] == [Kind.MEASURED]


def test_undo_and_give_up(window, begin, until, archive, in_step):
    wizard = begin()
    wizard.choose.pick("weights")
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: isinstance(window.view, CalibrateView) and len(wizard._bridge.log.marks) >= 2)
    until(wizard.calibrate._undo.isEnabled)
    seen = len(wizard._bridge.log.picture.points)
    QTest.keyClick(window.view, Qt.Key.Key_Backspace)
    until(lambda: len(wizard._bridge.log.picture.points) < seen)
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, CalibrateView)  # asked once more
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, ChooseView)
    until(lambda: archive.events("SIM-00001"))
    assert "given up" in archive.events("SIM-00001")[0].reason
    QTest.keyClick(window.view, Qt.Key.Key_Return)  # and the next one begins as if nothing had been
    until(lambda: isinstance(window.view, CalibrateView) and wizard._bridge.log.picture is not None)


def test_a_lost_link_is_said_and_leads_on(window, begin, until, in_step):
    wizard = begin(LOST)
    wizard.choose.pick("turning")
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: wizard.calibrate._broken)
    assert wizard.calibrate.stale
    assert wizard.calibrate._why.text.startswith("▲ ")
    assert len(wizard.calibrate._why.text.splitlines()) == 1
    QTest.keyClick(window.view, Qt.Key.Key_Return)  # start again
    until(lambda: not wizard.calibrate._broken and wizard._bridge.log.picture is not None)
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    assert isinstance(window.view, ChooseView)


def test_closing_the_window_in_mid_calibration_keeps_what_was_captured(window, begin, until, archive, in_step):
    wizard = begin()
    wizard.choose.pick("weights")
    QTest.keyClick(window.view, Qt.Key.Key_Return)
    until(lambda: wizard._bridge.log.marks)
    bridge = wizard._bridge
    window.close()
    assert not bridge._thread.alive
    (event,) = archive.events("SIM-00001")
    assert event.kind is Kind.MEASURED and event.record is None
    assert event.observations["readings"]


def test_a_simulated_tool_is_handled_as_the_calibration_needs():
    weights = Asked("weights", 1)
    assert acted("sim:", weights) == "sim:?script=weights-iliacus"
    assert acted("sim:?speed=3", Asked("poses")) == "sim:?speed=3&script=poses"
    assert acted("sim:?script=good-psoas&seed=2", Asked("zero")) == "sim:?script=unloaded&seed=2"
    assert acted("sim:?script=weights-psoas", weights) == "sim:?script=weights-iliacus"
    assert acted("sim:?script=lost-link", weights) == "sim:?script=lost-link"
    assert acted("serial:/dev/script=good-psoas", weights) == "serial:/dev/script=good-psoas"


def test_the_simulated_code_is_the_simulators():
    from nexus_simulator.firmware.identity import UNLOCK_CODE

    from nexuslink.app.asked import SIMULATED_CODE

    assert SIMULATED_CODE == UNLOCK_CODE
    assert code_text(UNLOCK_CODE) == "0x4E583031"
