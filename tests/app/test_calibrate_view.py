"""The calibration's views, looked at: what the form understands, what the picture shows, which state offers what."""

import math
from dataclasses import replace

import calibration_samples as samples
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest

from nexuslink.app.asked import (
    SIMULATED_CODE,
    FormError,
    code_text,
    latitude_deg,
    masses_kg,
    u_masses_kg,
    unlock_code,
)
from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.instruments.plateaus import SPAN_S, nice_step
from nexuslink.app.instruments.turning_tool import attitude
from nexuslink.app.theme import DARK, faded
from nexuslink.app.views.calibrate import ENDED, KEEP, LOST, SHOWN, SILENT, SURE, CalibrateView
from nexuslink.app.views.choose import CHOICES, ChooseView
from nexuslink.app.views.verdict import KEPT, State, VerdictView
from nexuslink.app.words import amount, decimals, number, spread
from nexuslink.calibration.picture import Stage
from nexuslink.calibration.procedure_poses import GYRO_TOO


@pytest.fixture
def show(window, settle):
    def run(view):
        window.add(view)
        window.go(view)
        settle()
        return view

    return run


@pytest.fixture
def choose(window, show):
    return show(ChooseView(window))


@pytest.fixture
def live(window, show):
    view = CalibrateView(window)
    view.begin("Weights", True)
    return show(view)


def near(seen: QColor, token: str, slack: int = 10) -> bool:
    wanted = QColor(token)
    return all(abs(a - b) <= slack for a, b in zip(seen.getRgb()[:3], wanted.getRgb()[:3], strict=True))


def inks(widget) -> set[str]:
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}


# -- what was written ------------------------------------------------------------------------------------------------


def test_masses_are_understood_in_every_unit_and_with_either_comma():
    assert masses_kg("1 2 5", "kg") == (1, 2, 5)
    assert masses_kg("1, 2, 5", "kg") == (1, 2, 5)
    assert masses_kg(" 0,5;1.5 ; 3 ", "kg") == (0.5, 1.5, 3)
    assert masses_kg("500 1500 3000", "g") == pytest.approx((0.5, 1.5, 3))
    assert masses_kg("2 5 10", "lb") == pytest.approx((0.907, 2.268, 4.536), abs=1e-3)
    assert masses_kg("5", "kg", 1) == (5,)


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("", "kg", "Name the masses"),
        ("heavy", "kg", "not a row of numbers"),
        ("1,2,5", "kg", "with blanks between"),
        ("1000 2000 5000", "kg", "is the unit right?"),
        ("1 2 5", "g", "too light"),
        ("1 2", "kg", "at least 3 different"),
        ("1 2 2 5", "kg", "twice"),
        ("-1 2 5", "kg", "too light"),
        ("nan 2 5", "kg", "too light"),
        ("inf 2 5", "kg", "too light"),
        ("1 " * 30, "kg", "too many"),
    ],
)
def test_masses_that_cannot_be_are_refused_in_one_line(text, unit, says):
    with pytest.raises(FormError, match=says.replace("?", r"\?")) as caught:
        masses_kg(text, unit)
    assert caught.value.field == "masses"
    assert len(str(caught.value).splitlines()) == 1


def test_tolerances():
    assert u_masses_kg("", "kg", (1.0, 2.0)) == pytest.approx((0.005 / math.sqrt(3), 0.01 / math.sqrt(3)))
    assert u_masses_kg("1 %", "kg", (2.0,)) == pytest.approx((0.02 / math.sqrt(3),))
    assert u_masses_kg("5", "g", (1.0, 2.0)) == pytest.approx((0.005 / math.sqrt(3),) * 2)
    for bad in ("50 %", "-1 %", "much", "1 2", "nan"):
        with pytest.raises(FormError) as caught:
            u_masses_kg(bad, "kg", (1.0,))
        assert caught.value.field == "tolerance"


def test_latitudes():
    assert latitude_deg("") is None
    assert latitude_deg("52,5") == 52.5
    assert latitude_deg("33.9 S") == -33.9
    assert latitude_deg("33.9° s") == -33.9
    assert latitude_deg("-33.9") == -33.9
    for bad in ("91", "north", "-3 S", "nan", "52 30"):
        with pytest.raises(FormError):
            latitude_deg(bad)


def test_codes():
    for text in ("4E58-3031", "4e583031", "0x4E583031", " 4e58 3031 ", "1314402353"):
        assert unlock_code(text) == SIMULATED_CODE
    assert unlock_code(code_text(7)) == 7
    for bad in ("", "1234", "12345678X", "ghijklmn", "9999999999"):
        with pytest.raises(FormError):
            unlock_code(bad)


def test_numbers_say_no_more_than_is_true():
    assert amount(42.31, 0.3, "N", 1) == "42.3 ± 0.6 N"
    assert amount(42.31, 3.0, "N", 1) == "42 ± 6 N"
    assert amount(42.31, 0.001, "N", 1) == "42.3 ± 0.1 N"  # never rounded to nothing
    assert amount(42.31, math.nan, "N") == "42.31 N"
    assert amount(math.nan, 0.1, "N") == "– N"
    assert spread(0.2, "°", 1) == "± 0.4°"
    assert spread(math.nan, "N") == spread(0.0, "N") == spread(math.inf, "N") == ""
    assert decimals(0.03) == 2 and decimals(0.6) == 1 and decimals(30.0) == 0
    assert number(-0.001, 2) == "0.00" and number(-1.5, 1) == "−1.5" and number(0.2, 1, True) == "+0.2"


# -- choose ----------------------------------------------------------------------------------------------------------


def test_each_choice_says_what_it_needs_and_asks_only_for_that(choose, settle):
    for choice in CHOICES:
        choose.pick(choice.name)
        settle()
        assert choose._needs.text == choice.needs
        assert choose._masses.isVisible() == ("masses" in choice.form)
        assert choose._latitude.isVisible() == ("latitude" in choice.form)
        assert {name for name, part in choose._poses.items() if part.isVisible()} == set(choice.poses)


def test_what_is_written_is_said_back_or_marked(choose):
    begun = []
    choose.begin.connect(begun.append)
    choose.pick("weights")
    assert not choose.note.startswith("▲")  # empty is no mistake yet
    QTest.keyClicks(choose._masses.line, "1 2 5 m")
    assert choose.note.startswith("▲ ") and choose._masses._bad
    QTest.keyClick(choose._masses.line, Qt.Key.Key_Return)
    assert begun == []
    for _ in "m":
        QTest.keyClick(choose._masses.line, Qt.Key.Key_Backspace)
    assert "9.8, 19.6, 49.1 N" in choose.note and not choose._masses._bad
    QTest.mouseClick(choose._tips[1], Qt.MouseButton.LeftButton)
    QTest.keyClick(choose._masses.line, Qt.Key.Key_Return)
    (asked,) = begun
    assert (asked.choice, asked.tip, asked.masses_kg) == ("weights", 1, (1, 2, 5))
    assert asked.u_mass_share == pytest.approx(0.005 / math.sqrt(3))


def test_beginning_without_masses_says_which_entry_and_goes_there(choose, settle):
    choose.pick("check")
    QTest.keyClick(choose, Qt.Key.Key_Return)
    settle()
    assert choose.note.startswith("▲ Name the mass")
    assert choose._masses._bad


def test_letters_written_into_the_form_are_no_keys(window, choose, settle):
    muted = []
    window.mute.connect(lambda: muted.append(1))
    choose.pick("weights")
    choose._masses.line.setFocus()
    QTest.keyClicks(choose._masses.line, "mfc?")
    settle()
    assert choose._masses.text == "mfc?"
    assert muted == [] and not window.isFullScreen() and window._sheet is None


def test_each_choice_keeps_what_was_written_for_it(choose):
    choose.suggest("1 2 5", "3")
    choose.pick("check")
    assert choose._masses.text == "3"
    choose._masses.set_text("4")
    choose.pick("weights")
    assert choose._masses.text == "1 2 5"
    choose.pick("check")
    assert choose._masses.text == "4"


def test_choice_starting_and_failing(choose):
    left = []
    choose.back.connect(lambda: left.append(1))
    choose.show_starting()
    assert not choose._begin.isEnabled()
    choose.show_failed("no tool; plug it in")
    assert choose.note == "▲ no tool; plug it in"
    assert choose._begin.isEnabled()
    QTest.keyClick(choose, Qt.Key.Key_Escape)
    assert left == [1]


# -- live ------------------------------------------------------------------------------------------------------------


def test_the_picture_is_shown(live, settle):
    live.refresh(samples.weights_log())
    settle()
    assert live.sentence.said == (KEEP, *reversed(SHOWN[Stage.CAPTURING]))
    live.refresh(samples.weights_log(samples.WAITING))
    assert live.sentence.said[0] == samples.WAITING.sentence
    live.refresh(samples.log_of(samples.TURNING))  # which is one long capture
    assert live.sentence.said[0] == samples.TURNING.sentence
    live.refresh(samples.weights_log())
    assert live.step_line == "step 3 of 5"
    assert live.reading.text == "34.36 N ± 0.10"
    assert live.reading.note == "64 % of this reading"
    assert "11°" in live.tool.accessibleDescription()
    assert live.points.accessibleDescription().startswith("1 kg: ")
    assert DARK.in_soft in inks(live.trace)
    assert live.badge.isVisible()


def test_every_stage_has_a_tone_and_a_line(live):
    for stage in Stage:
        live.refresh(samples.log_of(replace(samples.WAITING, stage=stage), 1.0))
        assert live.sentence.said[1] and live.sentence.said[2] in ("calm", "good", "warn")


def test_captured_stretches_are_marked_where_they_were(live, settle):
    log = samples.weights_log()
    live.refresh(log)
    settle()
    trace = live.trace
    image = trace.grab().toImage()
    low = image.height() - 3
    for mark in log.marks:
        inside = (trace._x(mark.begin_us) + trace._x(mark.end_us)) // 2
        assert near(image.pixelColor(inside, low), DARK.in_soft), mark
        assert near(image.pixelColor(trace._x(mark.begin_us) - 6, low), DARK.panel)
    assert log.marks[0].name == "1 kg"
    assert (log.marks[0].end_us - log.marks[0].begin_us) / 1e6 == pytest.approx(3.0, abs=0.1)


def test_trace_pushed_along_is_the_trace_drawn_at_once(live, settle):
    whole, log = samples.weights_log(samples.WAITING, 4), CaptureLog()
    for at, (t_us, row) in enumerate(zip(*whole.ring.since(0)[1:], strict=True)):
        log.take(int(t_us), replace(samples.SETTLING, points=(), reading=float(row[0])))
        live.refresh(log)
        if at % 40 == 0:
            settle()
    settle()
    pushed = live.trace.grab().toImage()
    live.trace.dressed()
    live.trace.update()
    settle()
    drawn = live.trace.grab().toImage()
    width = live.trace._wide
    different = sum(
        not near(pushed.pixelColor(x, y), drawn.pixelColor(x, y).name(), 60)
        for x in range(12, width - 12)
        for y in range(drawn.height())
    )
    assert different < 0.003 * width * drawn.height()
    assert log.ring.count == whole.ring.count


def test_undo_takes_the_mark_away(live):
    log = samples.weights_log()
    assert len(log.marks) == 2
    log.take(log.marks[-1].end_us + 10**6, replace(samples.WAITING, points=samples.points(1)))
    live.refresh(log)
    assert [mark.name for mark in log.marks] == ["1 kg"]
    log.take(log.marks[-1].end_us + 2 * 10**6, samples.WAITING)
    assert len(log.marks) == 2  # and captured again


def test_keys_of_the_live_view(window, live):
    asked = []
    live.undo.connect(lambda: asked.append("undo"))
    live.leave.connect(lambda: asked.append("leave"))
    QTest.keyClick(live, Qt.Key.Key_Backspace)
    assert asked == []  # nothing to undo yet
    live.refresh(samples.weights_log())
    QTest.keyClick(live, Qt.Key.Key_Backspace)
    assert asked == ["undo"]
    QTest.keyClick(live, Qt.Key.Key_Escape)
    assert asked == ["undo"] and live.sentence.said[1] == SURE
    QTest.keyClick(live, Qt.Key.Key_Escape)
    assert asked == ["undo", "leave"]


def test_leaving_without_anything_captured_asks_nothing(live):
    left = []
    live.leave.connect(lambda: left.append(1))
    live.refresh(samples.log_of(replace(samples.WAITING, points=(), step=0), 1.0))
    QTest.keyClick(live, Qt.Key.Key_Escape)
    assert left == [1]


def test_silence_and_a_lost_link_are_unmistakable(live, settle, until):
    live.refresh(samples.weights_log())
    live._watch.start(20)
    until(lambda: live.stale)
    settle()
    assert live.sentence.said == (*SILENT, "fault")
    for part in (live.trace, live.points, live.reading, live.tool):
        assert not {DARK.in_, DARK.in_soft} & inks(part)
    assert faded(DARK).line in inks(live.trace) | inks(live.points)
    live.refresh(samples.weights_log())
    assert not live.stale
    again = []
    live.again.connect(lambda: again.append(1))
    live.fail("port: the link has gone", lost=True)
    assert live.sentence.said == (*LOST, "fault") and "the link has gone" in live._why.text
    live.refresh(samples.weights_log())  # a late picture changes nothing
    assert live.stale
    QTest.keyClick(live, Qt.Key.Key_Return)
    assert again == [1]
    live.begin("Weights", True)
    assert not live.stale and not live._why.isVisible()


def test_an_end_for_another_reason_is_not_called_a_lost_tool(live):
    live.fail("nothing more was captured for 300 s", lost=False)
    assert live.sentence.said == (*ENDED, "warn")


def test_unknown_values_are_shown_as_unknown(live, settle):
    live.refresh(samples.log_of(replace(samples.WAITING, reading=math.nan, up=None, points=()), 0.5))
    settle()
    assert live.reading.text.startswith("–")
    assert live.tool.up is None
    live.refresh(samples.log_of(replace(samples.WAITING, reading=math.inf, up=(0.0, 0.0, 0.0), points=()), 0.5))
    settle()
    assert live.tool.up is None


def test_the_same_picture_paints_nothing(live, settle):
    log = samples.weights_log()
    live.refresh(log)
    settle()
    before = [part.paints for part in live._parts]
    for _ in range(20):
        live.refresh(log)
        settle()
    assert [part.paints for part in live._parts] == before


# -- instruments -----------------------------------------------------------------------------------------------------


def test_up_is_up_whatever_the_pose_and_nothing_spins_upside_down():
    rng = np.random.default_rng(1)
    for up in (*rng.normal(size=(200, 3)), *np.eye(3), *-np.eye(3)):
        turn = attitude(up / np.linalg.norm(up))
        assert turn @ (up / np.linalg.norm(up)) == pytest.approx([0, 0, 1], abs=1e-9)
        assert np.linalg.det(turn) == pytest.approx(1.0)
    for pole in (1.0, -1.0):
        turns = []
        for at in np.linspace(0, 2 * math.pi, 12):
            up = np.array([0.02 * math.cos(at), 0.02 * math.sin(at), pole])
            turns.append(attitude(up / np.linalg.norm(up)))
        assert np.abs(np.array(turns) - turns[0]).max() < 0.1


def test_a_point_outside_its_interval_is_a_triangle_of_another_colour(window, show, settle):
    view = VerdictView(window)
    view.show_end(samples.weights_log(samples.DONE, 4), samples.DONE, samples.CHANGES, False, None)
    show(view)
    assert DARK.warn not in inks(view.points)
    view.show_end(samples.weights_log(samples.REFUSED, 4), samples.REFUSED, (), False, None)
    settle()
    assert DARK.warn in inks(view.points)
    assert "off by +2.1" in view.points.accessibleDescription()


def test_nice_steps():
    assert [nice_step(x) for x in (0.9, 1.1, 3.0, 7.0, 0.03)] == pytest.approx([1.0, 2.0, 5.0, 10.0, 0.05])
    assert nice_step(0.0) == nice_step(math.nan) == nice_step(math.inf) == 1.0
    assert SPAN_S > 0


# -- verdict ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def verdict(window, show):
    view = VerdictView(window)
    view.show_end(samples.weights_log(samples.DONE, 4), samples.DONE, samples.CHANGES, False, SIMULATED_CODE)
    return show(view)


def test_nothing_is_written_without_a_code_that_can_be_one(verdict):
    written = []
    verdict.write.connect(written.append)
    assert verdict.sentence.said[0] == "Within 0.4 N up to 60 N."
    assert verdict.note == KEPT
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    assert verdict.state is State.ASKING and written == []
    assert code_text(SIMULATED_CODE) in verdict.note
    QTest.keyClick(verdict.code.line, Qt.Key.Key_Return)
    assert written == [] and verdict.note.startswith("▲ ")
    QTest.keyClicks(verdict.code.line, "4e58-3031")
    QTest.keyClick(verdict.code.line, Qt.Key.Key_Return)
    assert written == [SIMULATED_CODE] and verdict.state is State.WRITING
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    QTest.keyClick(verdict, Qt.Key.Key_Escape)  # while it writes there is no way out
    assert written == [SIMULATED_CODE] and verdict.state is State.WRITING
    verdict.show_written()
    assert verdict.state is State.WRITTEN


def test_what_else_has_to_be_calibrated_is_said_once_it_is_written(verdict, settle):
    verdict.show_written()
    settle()
    assert not verdict._note.isVisible()
    done = replace(samples.DONE, advice=GYRO_TOO)
    verdict.show_end(samples.weights_log(done, 4), done, samples.CHANGES, False, None)
    assert verdict.note == KEPT
    verdict.show_written()
    settle()
    assert verdict._note.isVisible() and verdict.note == GYRO_TOO


def test_a_real_tools_code_is_not_said(verdict):
    verdict.show_end(samples.weights_log(samples.DONE, 4), samples.DONE, samples.CHANGES, False, None)
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    assert code_text(SIMULATED_CODE) not in verdict.note


def test_a_write_that_failed_says_why_and_can_be_tried_again(verdict):
    written = []
    verdict.write.connect(written.append)
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    verdict.code.set_text("4e583031")
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    verdict.show_failed("the tool has locked itself meanwhile")
    assert verdict.state is State.FAILED and "locked itself" in verdict._why.text
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    assert len(written) == 2


def test_a_refused_calibration_offers_only_to_start_again(verdict):
    asked = []
    verdict.again.connect(lambda: asked.append("again"))
    verdict.leave.connect(lambda: asked.append("leave"))
    verdict.write.connect(asked.append)
    verdict.show_end(samples.weights_log(samples.REFUSED, 4), samples.REFUSED, (), False, SIMULATED_CODE)
    assert verdict.state is State.REFUSED
    assert "swapped" in verdict.sentence.said[1]
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    QTest.keyClick(verdict, Qt.Key.Key_Escape)
    assert asked == ["again", "leave"]


def test_a_check_writes_nothing(verdict):
    asked = []
    verdict.write.connect(asked.append)
    verdict.leave.connect(lambda: asked.append("leave"))
    verdict.show_end(samples.weights_log(samples.CHECK_GOOD, 0), samples.CHECK_GOOD, (), True, SIMULATED_CODE)
    assert verdict.state is State.CHECKED and verdict.sentence.said[0] == "Within its claim."
    QTest.keyClick(verdict, Qt.Key.Key_Return)
    assert asked == ["leave"]
    bad = replace(samples.CHECK_GOOD, stage=Stage.REFUSED)
    verdict.show_end(samples.weights_log(bad, 0), bad, (), True, SIMULATED_CODE)
    assert verdict.sentence.said[0] == "Outside its claim." and verdict.sentence.said[2] == "warn"


def test_corner_of_the_page_is_the_themes_ground(window, verdict, settle):
    window.set_theme("light")
    settle()
    assert verdict.grab().toImage().pixelColor(QPoint(3, verdict.height() - 3)).lightness() > 200
