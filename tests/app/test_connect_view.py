"""Which tool: every state says what is so and what to do; the choice stays still; keys do what they say."""

from dataclasses import replace

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtTest import QTest

from nexuslink.app.instruments.base import Pressable
from nexuslink.app.instruments.guide import Guide
from nexuslink.app.instruments.tool_card import AWAY, ToolCard, detail, signal_words
from nexuslink.app.near_list import Near, NearTool
from nexuslink.app.theme import DARK, LIGHT, colour
from nexuslink.app.views import guidance
from nexuslink.app.views.connect import LOOKING, NONE_NEAR, PICK, ConnectView, Mood
from nexuslink.device.course import State
from nexuslink.device.finders import SIMULATED_URL
from nexuslink.device.next_steps import PRESS_S, next_step, pairing_step
from nexuslink.device.verdict import Verdict

SIMULATED = NearTool("Simulated tool", SIMULATED_URL, "sim", None, True)
MINE = NearTool("Mine", "tool:NX-000123", "NX-000123", "NX-000123", False, ("Bluetooth",), -58, 4, True, True,
                "last used yesterday")  # fmt: skip
AWAY_ONE = replace(MINE, title="Old", url="tool:NX-000099", key="NX-000099", serial_number="NX-000099", rssi_dbm=None,
                   bars=0, present=False)  # fmt: skip
NEW = NearTool("Nexus 07", "tool:NX-000307", "NX-000307", "NX-000307", False, ("Bluetooth",), -91, 1, bonded=False)
WIRED = NearTool("Core Nexus", "serial:/dev/ttyACM7", "usb:1", None, False, ("USB",))
OFF = next_step(Verdict.RADIO_OFF)
SIZES = [(800, 450), (800, 600), (1280, 720), (1900, 600)]


def near(*tools: NearTool, **how) -> Near:
    return Near((*tools, SIMULATED), **{"settled": True, **how})


@pytest.fixture
def view(window, settle) -> ConnectView:
    made = ConnectView(window)
    window.add(made)
    window.go(made)
    settle()
    return made


def keys(view: ConnectView, *pressed: Qt.Key) -> None:
    for key in pressed:
        QTest.keyClick(view, key)


# -- the states --------------------------------------------------------------------------------------------------------


def test_from_looking_to_a_list(view):
    view.show_looking()
    assert (view.lead, view.listed, view.note) == (LOOKING, 0, "")
    assert view._picture.isVisible() and not view._connect.isEnabled()
    view.show_near(near(settled=False))
    assert (view.lead, view.listed, view.note) == (LOOKING, 1, "")
    view.show_near(near())
    assert view.lead == NONE_NEAR
    for step in guidance.NOTHING_NEAR.steps:
        assert step in view.note
    view.show_near(near(NEW))
    assert (view.lead, view.note) == (PICK, "")
    assert view._picture.isVisible() and not view._guide.isVisible()


def test_bluetooth_that_is_off_is_said_first_where_there_is_nothing_else(view):
    view.show_near(near(AWAY_ONE, radio=OFF))
    assert view._guide.isVisible() and not view._note.isVisible()
    assert OFF.words in view.note and OFF.step in view.note
    view.show_near(near(WIRED, radio=OFF))
    assert view._picture.isVisible() and view._note.isVisible()
    assert view.note == f"▲ {OFF.line}"
    view.show_near(near(WIRED))
    assert view.note == ""


def test_what_the_system_says_is_shown_where_it_says_more(view):
    view.show_near(near(radio=next_step(Verdict.NO_RADIO), radio_sentence="ble: the bus has gone"))
    assert "ble: the bus has gone." in view.note
    view.show_near(near(radio=OFF, radio_sentence="ble: the bus has gone"))
    assert "the bus has gone" not in view.note


def test_how_far_connecting_is(view):
    view.show_near(near(MINE, NEW))
    view.show_connecting(MINE.url)
    assert view.lead == "Connecting to Mine."
    assert guidance.FIRST_TIME not in view.note
    done = []
    for state in (State.SCANNING, State.CONNECTING, State.HANDSHAKING, State.READY):
        view.show_progress(state)
        done.append(view._guide.guidance.done)
    assert done == [0, 1, 2, 3]
    assert set(State) == set(guidance.STAGES)
    view.show_progress(State.LOST, next_step(Verdict.OUT_OF_REACH))
    assert next_step(Verdict.OUT_OF_REACH).line in view.note
    view.show_progress(State.CONNECTING, next_step(Verdict.OUT_OF_REACH))  # the next attempt: nothing flickers
    assert next_step(Verdict.OUT_OF_REACH).line in view.note
    view.show_progress(State.HANDSHAKING, next_step(Verdict.OUT_OF_REACH))
    assert next_step(Verdict.OUT_OF_REACH).words not in view.note


def test_the_first_time_the_button_and_the_digits_are_said(view):
    view.show_near(near(NEW, WIRED))
    view.show_connecting(NEW.url)
    view.show_progress(State.CONNECTING)
    assert f"button for {PRESS_S} s" in view.note and "six digits" in view.note
    view.show_progress(State.HANDSHAKING)  # it has been let in
    assert "button" not in view.note
    view.show_connecting(WIRED.url)  # a cable needs no pairing
    view.show_progress(State.CONNECTING)
    assert "button" not in view.note


def test_while_pairing_it_is_said_what_to_confirm(view):
    view.show_near(near(MINE))
    view.show_connecting(MINE.url)
    view.show_progress(State.PAIRING, pairing_step(None))
    assert view.note.startswith("Pairing. ") and view.note.endswith(pairing_step(None).step)
    assert view._guide.guidance.done == 1
    view.show_progress(State.PAIRING, pairing_step(4711))
    assert "Compare the number 004711 on the tool." in view.note
    view.show_progress(State.HANDSHAKING)
    assert "Compare" not in view.note


def test_words_of_a_connection_before_this_one_are_not_said(view):
    view.show_near(near(MINE))
    view.show_connecting(MINE.url)
    view.show_progress(State.OFF, next_step(Verdict.LET_GO))
    assert "Disconnected" not in view.note


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if next_step(verdict).step])
def test_a_failure_is_said_in_plain_words_with_the_next_step(view, verdict):
    view.show_near(near(MINE))
    view.show_connecting(MINE.url)
    step = next_step(verdict)
    view.show_failed("ble://NX-000123: the sentence of the error", step)
    assert view.lead == "Not connected to Mine."
    assert step.words in view.note and step.step in view.note
    assert ("sentence of the error" in view.note) is step.tell
    assert view._connect.text() == "Try again" and view._connect.isEnabled()


def test_an_address_that_somebody_wrote_is_named_in_the_failure(view):
    view.show_near(near())
    view.show_connecting("serial:/dev/no-such-port")
    view.show_failed("serial:/dev/no-such-port: there is nothing", next_step(Verdict.NOT_THERE))
    assert "serial:/dev/no-such-port: there is nothing" in view.note
    assert "/dev/no-such-port" in view.lead


def test_a_failure_stays_until_something_is_done(view):
    view.show_near(near(MINE, NEW))
    view.show_connecting(MINE.url)
    view.show_failed("x", next_step(Verdict.NOT_PAIRED))
    for _ in range(3):
        view.show_near(near(MINE, NEW))
        assert view.mood is Mood.FAILED
    picked = []
    view.picked.connect(picked.append)
    keys(view, Qt.Key.Key_Return)
    assert picked == [MINE.url]
    keys(view, Qt.Key.Key_Down)
    assert (view.mood, view._connect.text()) == (Mood.CHOOSING, "Connect")
    keys(view, Qt.Key.Key_Return)
    assert picked == [MINE.url, NEW.url]


def test_nothing_can_be_pressed_while_connecting_but_cancel(view):
    view.show_near(near(MINE, NEW))
    wishes = []
    for signal in (view.picked, view.calibrate):
        signal.connect(lambda *what: wishes.append(what))
    view.stopped.connect(lambda: wishes.append("stopped"))
    view.show_connecting(NEW.url)
    keys(view, Qt.Key.Key_Return, Qt.Key.Key_C, Qt.Key.Key_F2, Qt.Key.Key_Delete, Qt.Key.Key_Up)
    QTest.mouseClick(view._cards[0], Qt.MouseButton.LeftButton)
    assert wishes == []
    assert view.chosen == NEW
    QTest.mouseClick(view._cancel, Qt.MouseButton.LeftButton)
    assert wishes == ["stopped"]
    keys(view, Qt.Key.Key_Escape)
    assert wishes == ["stopped"]


# -- choosing ----------------------------------------------------------------------------------------------------------


def test_the_likeliest_is_chosen_until_a_person_chooses(view):
    view.show_near(near(settled=False))
    assert view.chosen == SIMULATED
    view.show_near(near(AWAY_ONE, NEW))
    assert view.chosen == NEW
    view.show_near(near(AWAY_ONE, MINE, NEW))
    assert view.chosen == MINE
    QTest.mouseClick(view._cards[2], Qt.MouseButton.LeftButton)
    view.show_near(near(replace(AWAY_ONE, present=True), MINE, NEW))
    assert view.chosen == NEW
    view.show_near(near(MINE))  # gone: the likeliest again
    assert view.chosen == MINE


def test_the_list_lives_without_a_new_card_for_each_change(view, settle):
    view.show_near(near(MINE, NEW))
    cards = list(view._cards)
    settle()
    painted = [card.paints for card in cards]
    view.show_near(near(replace(MINE, rssi_dbm=-70, bars=3), NEW))
    settle()
    assert view._cards == cards
    assert [card.paints - before for card, before in zip(cards, painted, strict=True)][1:] == [0, 0]
    assert cards[0].paints == painted[0] + 1
    view.show_near(near(NEW))
    settle()
    assert view._cards == cards[1:]
    assert cards[0] not in view._parts


def test_arrows_choose_and_bring_into_view(view, settle):
    tools = [replace(NEW, key=f"{n}", url=f"tool:NX-{n}", title=f"Tool {n}") for n in range(12)]
    view.show_near(near(*tools))
    settle()
    bar = view._shelf.verticalScrollBar()
    assert bar.maximum() > 0 and bar.value() == 0
    keys(view, *[Qt.Key.Key_Down] * 14)
    assert view.chosen == SIMULATED and view.badge.isVisible()
    assert bar.value() > 0
    keys(view, Qt.Key.Key_Up)
    assert view.chosen == tools[-1] and not view.badge.isVisible()
    assert view._shelf.geometry().bottom() < view._connect.y()


def test_c_calibrates_the_chosen_tool_and_tries_that_again(view):
    view.show_near(near(MINE))
    asked, picked = [], []
    view.calibrate.connect(asked.append)
    view.picked.connect(picked.append)
    keys(view, Qt.Key.Key_C)
    view.show_connecting(MINE.url)
    view.show_failed("x", next_step(Verdict.OUT_OF_REACH))
    keys(view, Qt.Key.Key_Return)
    assert (asked, picked) == ([MINE.url, MINE.url], [])
    keys(view, Qt.Key.Key_Up, Qt.Key.Key_Return)
    assert picked == [MINE.url]


def test_simulated_is_said_while_a_simulated_tool_is_chosen_or_tried(view):
    on_air = replace(NEW, simulated=True, key="SIM-00003", url="tool:SIM-00003", serial_number="SIM-00003")
    view.show_near(near(MINE, on_air))
    assert not view.badge.isVisible()
    view.show_connecting(on_air.url)
    assert view.badge.isVisible()
    view.show_failed("x", next_step(Verdict.OUT_OF_REACH))
    assert view.badge.isVisible()
    view.show_connecting(MINE.url)
    assert not view.badge.isVisible()


# -- a remembered tool -------------------------------------------------------------------------------------------------


def test_renaming(view):
    view.show_near(near(MINE, NEW))
    named = []
    view.renamed.connect(lambda *what: named.append(what))
    keys(view, Qt.Key.Key_F2)
    assert view.mood is Mood.RENAMING
    line = view._name.line
    assert line.text() == "Mine"
    QTest.keyClicks(line, "  my  cool? one ")  # C and ? are letters here
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert named == [("NX-000123", "my cool? one")]
    assert view.mood is Mood.CHOOSING
    keys(view, Qt.Key.Key_F2, Qt.Key.Key_Escape)
    assert len(named) == 1


def test_forgetting_is_asked_first(view):
    view.show_near(near(MINE, NEW))
    forgotten, picked = [], []
    view.forgotten.connect(forgotten.append)
    view.picked.connect(picked.append)
    keys(view, Qt.Key.Key_Delete)
    assert "Forget Mine?" in view.note and forgotten == []
    keys(view, Qt.Key.Key_Escape, Qt.Key.Key_Delete, Qt.Key.Key_Delete)
    assert forgotten == []
    keys(view, Qt.Key.Key_Return)
    assert (forgotten, picked) == (["NX-000123"], [])


def test_nobody_else_is_forgotten_in_the_place_of_one_that_is_gone(view):
    view.show_near(near(MINE, AWAY_ONE))
    forgotten = []
    view.forgotten.connect(forgotten.append)
    keys(view, Qt.Key.Key_Delete)
    view.show_near(near(AWAY_ONE))  # another program has forgotten it meanwhile
    assert view.mood is Mood.CHOOSING
    keys(view, Qt.Key.Key_Return)
    assert forgotten == []


def test_only_what_is_remembered_can_be_renamed_or_forgotten(view):
    view.show_near(near(NEW))
    assert not view._rename.isVisible() and not view._forget.isVisible()
    keys(view, Qt.Key.Key_F2, Qt.Key.Key_Delete)
    assert view.mood is Mood.CHOOSING


# -- how it looks ------------------------------------------------------------------------------------------------------


def all_guidance():
    for platform in ("linux", "darwin", "win32"):
        for verdict in Verdict:
            step = next_step(verdict, platform)
            yield guidance.failed("ble://NX-000123: " + "a sentence as long as they come, " * 9, step, True)
            yield guidance.radio_trouble(step, "ble: a sentence as long as they come, " * 9)
            yield guidance.connecting("scanning", True, step)
    for number in (None, 123456):
        yield guidance.connecting("pairing", True, pairing_step(number))
    yield guidance.NOTHING_NEAR
    yield guidance.connecting("connecting", True, None)
    yield guidance.forgetting(replace(MINE, title="A name of thirty-two letters, so"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_whatever_is_to_be_said_fits_its_panel(view, window, settle, size):
    window.resize(QSize(*size))
    view.show_near(near(MINE))
    view.show_connecting(MINE.url)
    settle()
    for said in all_guidance():
        view._guide.feed(said)
        view.arrange()
        assert view._guide.height() >= view._guide.height_for(500 * view.unit) - 1, said
        assert view._guide.y() >= view.badge.geometry().bottom()
        assert view._guide.geometry().bottom() < view._connect.y()
    view._guide.feed(replace(guidance.NOTHING_NEAR, body="word " * 300))  # negative control
    view.arrange()
    assert view._guide.height() < view._guide.height_for(500 * view.unit)


def test_a_card_says_to_a_screen_reader_what_it_shows(view):
    view.show_near(near(MINE, AWAY_ONE, replace(NEW, trouble="another one near has the same serial number")))
    said = [card.accessibleDescription() for card in view._cards]
    assert said[0] == "NX-000123 · Bluetooth · paired · last used yesterday. signal 4 of 4"
    assert AWAY in said[1]
    assert "another one near" in said[2] and "signal 1 of 4" in said[2]
    assert said[3].startswith("simulated")


def test_words_on_a_card():
    assert detail(NEW) == "NX-000307 · Bluetooth · not paired yet"
    assert detail(WIRED) == "USB"
    assert detail(replace(MINE, title="NX-000123", bonded=None, last_seen="")) == "Bluetooth · used before"
    assert signal_words(WIRED) == ""


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda tokens: tokens.name)
def test_bars_differ_by_shape_and_not_by_colour_alone(application, tokens):
    """What is painted of the strongest bar: a field where it is heard well, an outline where it is not."""
    inked = []
    for bars in (4, 3):
        card = ToolCard(replace(NEW, bars=bars, rssi_dbm=-60))
        card.resize(660, 84)
        card.dress(tokens, 1.0)
        image = card.grab().toImage()
        inked.append(sum(image.pixelColor(x, y) == colour(tokens.text) for x in range(560, 650) for y in range(14, 48)))
        card.deleteLater()
    assert inked[0] > 1.3 * inked[1] > 0


def test_a_hostile_name_stays_on_its_card(view, settle):
    view.show_near(near(replace(NEW, title="W" * 200), replace(NEW, key="b", title="\u202e" + "x" * 60)))
    settle()
    for card in view._cards:
        assert card.width() <= view._shelf.width()
    assert view.grab().toImage().pixelColor(720, 220) == colour(view.tokens.ground)


def test_everything_has_a_name_and_the_keyboard_reaches_it(view):
    view.show_near(near(MINE))
    controls = [part for part in view._parts if isinstance(part, Pressable)]
    assert all(control.accessibleName() for control in controls)
    on_the_way = [control for control in controls if control.focusPolicy() == Qt.FocusPolicy.StrongFocus]
    assert [control for control in controls if control not in on_the_way] == view._cards[1:]
    assert isinstance(view._guide, Guide)
