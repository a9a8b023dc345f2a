"""The window and tools on a radio in software, with a real GATT stack on both sides, by clicks and keys."""

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("bumble", reason="BLE links: needs the package bumble, of the extra virtual-ble")

from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import air
from nexus_simulator.options import Options
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from nexuslink.app.flow import Flow
from nexuslink.app.views.connect import Mood
from nexuslink.app.views.prepare import PrepareView
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import NOBODY, RadioFinder, SimulatedFinder
from nexuslink.device.next_steps import next_step
from nexuslink.device.remembered import RememberedTool, RememberedTools
from nexuslink.device.verdict import Verdict

GUARD_S = 60.0
OPEN = Security(method=Method.NOTHING, always_open=True)
_numbers = itertools.count()


class WithoutBond(RadioFinder):
    """The radio in software does not say who has a key; BlueZ does: nobody."""

    async def find(self, wanted=NOBODY):
        return [replace(tool, bonded=False) for tool in await super().find(wanted)]


class Stage:
    """A window that looks for tools on an air of its own; the air lives on the program's loop."""

    def __init__(self, window, folder, remembered: RememberedTools | None = None, kind=RadioFinder) -> None:
        name = f"window-{next(_numbers)}"
        self.remembered = remembered or RememberedTools(lambda: None)
        finders = [kind(f"bumble:air:{name}"), SimulatedFinder()]
        self.flow = Flow(
            window, None, None, False, folder, sound=False, discovery=Discovery(finders), remembered=self.remembered
        )
        self.view = self.flow.connect_view
        self.air = air(name)
        self.tools = []

    def begin(self, *seeds: int, security: Security = OPEN) -> "Stage":
        self.flow.begin()
        for seed in seeds:
            self.tools.append(self.do(self._switch_on(seed, security)))
        return self

    async def _switch_on(self, seed: int, security: Security) -> NexusPeripheral:
        tool = NexusPeripheral(Options(seed=seed), self.air, security)
        await tool.start()
        return tool

    def do(self, work):
        return self.flow.bridge._thread.submit(work, GUARD_S).result(GUARD_S)

    def call(self, action) -> None:
        async def act():
            action()

        self.do(act())

    def end(self) -> None:
        if self.flow.bridge is not None:
            self.do(self.flow.bridge._desk.close())
            for tool in self.tools:
                self.do(tool.close())
        self.flow.close()

    def shown(self) -> dict[str | None, bool]:
        """Serial number -> is near, of all but the tool that is always there."""
        return {card.tool.serial_number: card.tool.present for card in self.view._cards if card.tool.carriers}

    def pick(self, serial: str) -> None:
        (card,) = [card for card in self.view._cards if card.tool.serial_number == serial]
        QTest.mouseClick(card, Qt.MouseButton.LeftButton)
        QTest.keyClick(self.view, Qt.Key.Key_Return)


@pytest.fixture
def stage(window, tmp_path):
    made = []

    def make(*args, **kwargs) -> Stage:
        made.append(Stage(window, tmp_path, *args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_one_of_several_by_a_click_and_next_time_it_is_remembered(window, stage, until):
    on = stage().begin(3, 4, 5)
    until(lambda: on.shown() == {"SIM-00003": True, "SIM-00004": True, "SIM-00005": True})
    assert not any(card.tool.remembered for card in on.view._cards)
    on.pick("SIM-00004")
    assert on.view.mood is Mood.CONNECTING
    until(lambda: isinstance(window.view, PrepareView))
    assert window.view.badge.isVisible()
    on.call(on.tools[1].leave)
    QTest.keyClick(window.view, Qt.Key.Key_Escape)
    until(lambda: window.view is on.view and on.view._cards[0].tool.remembered)
    first = on.view._cards[0].tool
    assert (first.serial_number, first.last_seen) == ("SIM-00004", "last used today")
    until(lambda: on.shown().get("SIM-00003") and not on.shown()["SIM-00004"])


def test_a_closed_bonding_window_is_said_with_the_next_step(window, stage, until):
    on = stage().begin(3, security=Security())
    until(lambda: on.shown() == {"SIM-00003": True})
    on.pick("SIM-00003")
    until(lambda: on.view.mood is Mood.FAILED)
    said = next_step(Verdict.NOT_PAIRED)
    assert said.words in on.view.note and said.step in on.view.note
    chosen = []
    on.flow.bridge.tools_near.connect(lambda _: chosen.append(on.view.chosen.serial_number))
    until(lambda: len(chosen) > 2 and on.shown() == {"SIM-00003": True})  # it looks on meanwhile
    assert on.view.mood is Mood.FAILED
    assert set(chosen) == {"SIM-00003"}
    on.call(on.tools[0].press_button)
    QTest.mouseClick(on.view._connect, Qt.MouseButton.LeftButton)
    until(lambda: isinstance(window.view, PrepareView))


def test_bluetooth_off_and_on(stage, until):
    on = stage()
    on.air.adapter_off()
    on.begin(3)
    until(lambda: on.view._near and on.view._near.radio)
    assert "Bluetooth is off." in on.view.note
    assert on.view.listed == 1
    on.air.adapter_on()
    until(lambda: on.shown() == {"SIM-00003": True})
    assert on.view.note == ""


def test_a_tool_that_claims_to_be_ours_is_refused(window, stage, until):
    remembered = RememberedTools(lambda: None)
    remembered.keep(RememberedTool("SIM-00003", bonded=True, left=True))
    on = stage(remembered, WithoutBond).begin(3)
    until(lambda: on.shown() == {"SIM-00003": True} or on.view.listed > 1)
    on.pick("SIM-00003")
    until(lambda: on.view.mood is Mood.FAILED)
    assert next_step(Verdict.IMPOSTOR).words in on.view.note
    assert window.view is on.view


def test_a_name_for_a_tool_and_forgetting_it(stage, until):
    remembered = RememberedTools(lambda: None)
    remembered.keep(RememberedTool("SIM-00003", urls=("ble://SIM-00003",), left=True))
    on = stage(remembered).begin()
    until(lambda: on.shown() == {"SIM-00003": False})
    QTest.mouseClick(on.view._rename, Qt.MouseButton.LeftButton)
    QTest.keyClicks(on.view._name.line, "Studio")
    QTest.mouseClick(on.view._connect, Qt.MouseButton.LeftButton)
    until(lambda: on.view._cards[0].tool.title == "Studio")
    assert remembered.find("SIM-00003").name == "Studio"
    QTest.mouseClick(on.view._forget, Qt.MouseButton.LeftButton)
    QTest.mouseClick(on.view._connect, Qt.MouseButton.LeftButton)
    until(lambda: on.shown() == {})
    assert remembered.all() == []


@pytest.mark.thorough
def test_cancelling_goes_back_to_the_list(stage, until):
    remembered = RememberedTools(lambda: None)
    remembered.keep(RememberedTool("SIM-00009", urls=("ble://SIM-00009",), left=True))
    on = stage(remembered).begin(3)
    until(lambda: on.shown() == {"SIM-00009": False, "SIM-00003": True})
    on.pick("SIM-00009")  # it is not there
    until(lambda: next_step(Verdict.NOT_THERE).words in on.view.note)
    QTest.keyClick(on.view, Qt.Key.Key_Escape)
    assert on.view.mood is Mood.CHOOSING
    on.pick("SIM-00003")
    until(lambda: on.flow.prepare is not None and on.flow.window_.view is on.flow.prepare)


@pytest.mark.thorough
def test_a_tool_that_went_out_of_range_is_said(stage, until):
    on = stage().begin(3)
    until(lambda: on.shown() == {"SIM-00003": True})
    on.call(on.tools[0].leave)
    on.pick("SIM-00003")
    until(lambda: on.view.mood is Mood.FAILED)
    assert on.view._guide.guidance.head in {next_step(v).words for v in (Verdict.NOT_THERE, Verdict.OUT_OF_REACH)}
    on.call(on.tools[0].return_)
    until(lambda: on.shown() == {"SIM-00003": True})
