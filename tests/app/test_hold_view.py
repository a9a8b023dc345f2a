"""The hold view, looked at: pixels, keys, states."""

import dataclasses
import itertools
import math

import pytest
from drive import Driver, Sure, good, level
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from nexuslink.app.instruments.doubted import NOT_SURE
from nexuslink.app.instruments.force_ring import RADIUS, TRACK
from nexuslink.app.instruments.scale import DIAL_DEG
from nexuslink.app.theme import DARK, DONE, LIGHT, STOPPED, faded
from nexuslink.app.views.hold import BROKEN, HoldView
from nexuslink.estimation.doubt import Doubt
from nexuslink.release.hold import StopReason
from nexuslink.release.plans import SITES

TRACK_MIDDLE = RADIUS - TRACK / 2


@pytest.fixture
def view(window, settle):
    made = HoldView(window, still=True)  # no easing: what is fed is what is shown
    window.add(made)
    window.go(made)
    settle()
    return made


@pytest.fixture
def show(view, settle):
    """Begin a hold and show it after some seconds."""

    def run(driver: Driver, seconds: float = 3.0) -> Driver:
        view.begin(driver.plan, simulated=True, recording=True)
        driver.advance(seconds)
        view.refresh(driver.snapshot, driver.ring)
        settle()
        return driver

    return run


def near(seen: QColor, token: str, slack: int = 6) -> bool:
    wanted = QColor(token)
    return all(abs(a - b) <= slack for a, b in zip(seen.getRgb()[:3], wanted.getRgb()[:3], strict=True))


def pixel(widget, point) -> QColor:
    return widget.grab().toImage().pixelColor(QPoint(round(point.x()), round(point.y())))


def dial(view, degrees, radius=TRACK_MIDDLE) -> QColor:
    return pixel(view.ring, view.ring.at(degrees, radius))


def ink_of(view, widget) -> set[str]:
    """Every colour that covers more than a speck of a widget."""
    image = widget.grab().toImage()
    counts: dict[str, int] = {}
    for x in range(0, image.width(), 2):
        for y in range(0, image.height(), 2):
            name = image.pixelColor(x, y).name()
            counts[name] = counts.get(name, 0) + 1
    return {name for name, count in counts.items() if count > 20}


# -- what is seen ------------------------------------------------------------------------------------------------------


def test_needle_stands_where_the_force_is(view, show):
    show(Driver(path=level(22.5)))  # the middle of 10 to 35 N
    assert view.ring.degrees == pytest.approx(0.0)
    assert near(dial(view, 0.0), DARK.text)
    show(Driver(path=level(30.0)))
    assert near(dial(view, 0.0), DARK.in_)  # it has left: the band shows again
    assert near(dial(view, view.ring.degrees), DARK.text)
    assert view.ring.degrees == pytest.approx(54 * 7.5 / 12.5)


def test_band_warn_and_stop_have_their_colours(view, show):
    show(Driver(path=level(0.0)))
    for degrees in (DIAL_DEG[1] + 4, 0.0, DIAL_DEG[2] - 4):
        assert near(dial(view, degrees), DARK.in_)
    for degrees in (DIAL_DEG[1] - 8, DIAL_DEG[2] + 11):
        assert near(dial(view, degrees), DARK.raised)
    assert near(dial(view, (DIAL_DEG[3] + DIAL_DEG[4]) / 2, RADIUS - 4), DARK.warn)
    assert near(dial(view, DIAL_DEG[4] + 2), DARK.stop)


def test_number_and_words_follow(view, show):
    driver = show(Driver(path=level(22.4, 12.0)), 10.0)
    assert view.ring._number == "22"
    assert view.sentence.said[0] == driver.snapshot.cue.sentence == "Good. Stay here."
    assert view.countdown.clock == "0:51"  # rounded up: the first moment is contact, not hold
    assert view.disc._number == "12°"
    assert "battery 84 %" in view.status.text
    assert "loss 0.0 %" in view.status.text


def test_number_does_not_flicker_between_two(view, show):
    driver = show(Driver(path=level(22.0)))
    for force in (22.4, 22.6, 22.4, 22.6):
        view.ring.feed(force, False)
        assert view.ring._number == "22"
    view.ring.feed(22.7, False)
    assert view.ring._number == "23"
    assert driver.snapshot.force_n == 22.0


@pytest.mark.parametrize("site", SITES)
def test_dot_leans_to_the_side_where_the_mark_points(view, show, site):
    angle = 15.0 if site.startswith("psoas") else 40.0
    show(Driver(site, level(15.0, angle, 0.0)))
    right_of_middle = view.disc.dot.x() - view.disc.width() / 2
    # Psoas leans to the midline, iliacus away from it; the person's left is on the left of the screen.
    assert (right_of_middle > 10) == (site in ("psoas-left", "iliacus-right"))
    assert abs(view.disc.dot.y() - view.disc.height() / 2) < 0.5
    assert near(pixel(view.disc, view.disc.dot), DARK.text)


def test_target_sector_is_shaded(view, show):
    show(Driver(path=level(20.0, 3.0, 180.0)))
    spot = view.disc._at(*view.disc.split(17.0, 15.0))
    assert near(pixel(view.disc, spot), DARK.in_soft)
    beyond = view.disc._at(*view.disc.split(26.0, 25.0))
    assert near(pixel(view.disc, beyond), DARK.panel)
    wrong = view.disc._at(*view.disc.split(17.0, 170.0))
    assert near(pixel(view.disc, wrong), DARK.panel)


def test_direction_is_counterclockwise_seen_from_above(view, show):
    show(Driver(path=level(20.0, 15.0, 90.0)))
    assert view.disc.dot.y() < view.disc.height() / 2 - 10  # up on the screen: the mark points right
    assert abs(view.disc.dot.x() - view.disc.width() / 2) < 0.5


def test_way_back_is_shown_only_when_astray(view, show):
    show(Driver(path=level(50.0, 12.0)))
    assert near(dial(view, (view.ring.degrees + DIAL_DEG[2]) / 2, 162), DARK.warn)
    assert not view.disc._guided
    show(Driver(path=level(5.0, 30.0, 150.0)))
    assert near(dial(view, (view.ring.degrees + DIAL_DEG[1]) / 2, 162), DARK.text)
    assert view.disc._guided
    show(Driver(path=level(20.0, 12.0)))
    assert not view.ring._guided and not view.disc._guided


def test_unknown_lean_shows_no_dot(view, show):
    show(Driver(path=level(20.0, math.nan, math.nan)))
    assert view.disc.dot is None


def test_tail_shows_where_the_tip_was(window, settle):
    view = HoldView(window)
    window.add(view)
    driver = Driver(path=lambda t: (20.0, 12.0, 40.0 * t))
    view.begin(driver.plan, True, True)
    window.go(view)
    for _ in range(75):
        driver.batch()
        view.refresh(driver.snapshot, driver.ring)
    settle()
    assert len(view.disc._tail) == 12
    turns = [math.degrees(math.atan2(y, x)) for x, y in view._tail(driver.ring)]
    assert all(b > a for a, b in itertools.pairwise(turns))
    older = view.disc._tail[-3]
    assert not near(pixel(view.disc, older), DARK.in_soft) and not near(pixel(view.disc, older), DARK.panel)
    assert turns[-1] - turns[0] == pytest.approx(40.0 * 11 * 0.125, abs=1.0)


def test_reduced_motion_has_no_tail_and_no_easing(view, show):
    driver = show(Driver(path=lambda t: (20.0 + 10 * (t > 2.5), 12.0, 40.0 * t)))
    assert view.disc._tail == []
    assert view.ring.degrees == pytest.approx(54 * (driver.snapshot.force_n - 22.5) / 12.5)


def test_light_theme_is_light(window, view, show):
    window.set_theme("light")
    show(Driver(path=level(22.5)))
    assert near(dial(view, DIAL_DEG[1] + 4), LIGHT.in_)
    assert near(pixel(view, QPoint(5, 5)), LIGHT.ground)


def test_a_hold_that_has_ended_keeps_its_dot_and_its_bar_when_the_window_changes(window, view, show, settle):
    driver = show(Driver(path=level(20.0, 15.0, 40.0)), 20.0)
    view.refresh(driver.stop(StopReason.USER).snapshot, driver.ring)
    for size in ((960, 540), (1280, 720)):
        window.resize(*size)
        settle()
        assert view.disc.dot == view.disc._at(*view.disc.split(15.0, 40.0))
        bar = view.countdown._bar()
        assert near(pixel(view.countdown, QPoint(round(0.2 * bar.width()), round(bar.center().y()))), STOPPED.in_)
        assert not near(pixel(view.countdown, QPoint(round(0.6 * bar.width()), round(bar.center().y()))), STOPPED.in_)


# -- states ------------------------------------------------------------------------------------------------------------


def test_old_data_grey_the_instruments_and_are_named(view, show, settle):
    driver = show(Driver(path=level(22.5)))
    assert DARK.in_ in ink_of(view, view.ring)
    driver.silent_s = 2.0
    view.refresh(driver.snapshot, driver.ring)
    settle()
    assert view.stale
    for part in (view.ring, view.disc, view.sweep, view.countdown):
        assert not {DARK.in_, DARK.in_soft, DARK.warn, DARK.stop, DARK.text} & ink_of(view, part)
    assert faded(DARK).in_ in ink_of(view, view.ring)
    assert view.sentence.said[2] == "fault"
    assert view.sentence.said[0] == "No data from tool."
    driver.silent_s = 0.0
    view.refresh(driver.batch().snapshot, driver.ring)
    settle()
    assert not view.stale
    assert DARK.in_ in ink_of(view, view.ring)


def test_silence_of_the_loop_itself_is_noticed(view, show, until, monkeypatch):
    show(Driver(path=level(22.5)))
    view._watch.start(20)  # instead of 1500 ms
    until(lambda: view.stale)
    assert view.sentence.said[2] == "fault"


def test_a_stop_turns_the_whole_ground(view, show):
    driver = show(Driver(path=level(200.0)))
    assert driver.snapshot.hold.stop_reason is StopReason.OVER_FORCE
    for part in (view, view.ring, view.sentence, view.countdown, view.status):
        assert near(pixel(part, QPoint(2, 2)), STOPPED.ground)
    assert view.sentence.said[0] == "Stopped: too hard."
    assert view.button.text() == "Saving"
    view.result_ready()
    assert view.button.text() == "See result"


def test_done_turns_it_too_but_otherwise(view, show):
    show(Driver(path=level(22.5), hold_s=2.0), 5.0)
    assert near(pixel(view, QPoint(2, 2)), DONE.ground)
    assert view.countdown.clock == "0:00"


@pytest.mark.parametrize("reason", list(StopReason))
def test_every_stop_reason_has_words(view, show, reason):
    driver = show(Driver(path=level(22.5)))
    view.refresh(driver.stop(reason).snapshot, driver.ring)
    sentence, detail, _ = view.sentence.said
    assert sentence.startswith("Stopped") and 1 < len(sentence.split()) <= 5
    assert detail
    assert near(pixel(view, QPoint(2, 2)), STOPPED.ground)


def test_a_new_hold_forgets_the_last(view, show):
    show(Driver(path=level(200.0)))
    show(Driver(path=level(22.5)))
    assert near(pixel(view, QPoint(2, 2)), DARK.ground)
    assert view.button.text() == "Stop"
    assert not view.ended


def test_simulated_is_said(view, show):
    show(Driver())
    assert view.badge.isVisible()
    assert DARK.warn in ink_of(view, view.badge)
    view.set_simulated(False)
    assert not view.badge.isVisible()


def test_broken_session_is_said(view, show):
    show(Driver(path=level(22.5)))
    view.fail("disk full: /tmp; free some space")
    assert view.stale
    assert view.sentence.said == (BROKEN, "disk full: /tmp; free some space", "fault")


def test_there_is_a_way_out_of_a_broken_session(view, show):
    driver = show(Driver(path=level(22.5)))
    asked = []
    view.stop.connect(lambda: asked.append("stop"))
    view.back.connect(lambda: asked.append("back"))
    view.fail("disk full: /tmp; free some space")
    view.refresh(driver.batch().snapshot, driver.ring)  # a late picture changes nothing
    assert view.sentence.said[0] == BROKEN and view.stale
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert view.button.text() == "Back" and asked == ["back"]
    show(driver)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert asked == ["back", "stop"]


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Escape])
def test_keys_stop_once(window, view, show, key):
    show(Driver(path=level(22.5)))
    stops = []
    view.stop.connect(lambda: stops.append(1))
    QTest.keyClick(window.view, key)
    QTest.keyClick(window.view, key)
    assert stops == [1]
    assert view.button.text() == "Stopping"
    assert view.sentence.said[0] == "Stopping. Roll off."


def test_space_stops_with_the_button_focused_too(view, show):
    show(Driver(path=level(22.5)))
    stops = []
    view.stop.connect(lambda: stops.append(1))
    view.button.setFocus()
    QTest.keyClick(view.button, Qt.Key.Key_Space)
    assert stops == [1]


def test_a_click_stops(view, show):
    show(Driver(path=level(22.5)))
    stops = []
    view.stop.connect(lambda: stops.append(1))
    QTest.mouseClick(view.button, Qt.MouseButton.LeftButton)
    assert stops == [1]


def test_after_the_end_keys_lead_to_the_result_once_it_is_there(view, show):
    show(Driver(path=level(200.0)))
    left = []
    view.leave.connect(lambda: left.append(1))
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert left == []  # the recording is still being closed
    view.result_ready()
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert left == [1]


def test_r_turns_the_view(view, show, settle):
    show(Driver(path=level(30.0, 15.0)))
    upright = view.grab().toImage()
    place = view.button.geometry()
    QTest.keyClick(view, Qt.Key.Key_R)
    settle()
    turned = view.grab().toImage()
    assert view.button.geometry().center() != place.center()
    assert view.badge.y() > view.height() / 2
    again = turned.transformed(_half_turn())
    different = sum(
        not near(upright.pixelColor(x, y), again.pixelColor(x, y).name(), 60)
        for x in range(0, upright.width(), 7)
        for y in range(0, upright.height(), 7)
    )
    total = (upright.width() // 7) * (upright.height() // 7)
    assert different < 0.02 * total  # the same picture, but for the hinting of letters
    QTest.keyClick(view, Qt.Key.Key_R)
    settle()
    assert view.button.geometry() == place


def _half_turn():
    from PySide6.QtGui import QTransform

    return QTransform().rotate(180)


# -- the sweep ---------------------------------------------------------------------------------------------------------


def trace_rows(view, column: int) -> list[int]:
    image = view.sweep.grab().toImage()
    return [y for y in range(image.height()) if near(image.pixelColor(column, y), DARK.text, 40)]


def test_sweep_draws_the_force_at_its_height(view, show, settle):
    show(Driver(path=level(22.5)), 10.0)
    width = view.sweep._wide
    rows = trace_rows(view, width - 40)
    assert rows
    assert sum(rows) / len(rows) == pytest.approx(view.sweep._y(22.5), abs=1.5)
    assert trace_rows(view, width // 3) == []  # thirty seconds fill the paper; ten do not
    band = view.sweep.grab().toImage().pixelColor(width // 3, round(view.sweep._y(15.0)))
    assert near(band, DARK.in_soft)


def test_sweep_drawn_live_is_the_sweep_drawn_at_once(window, view, show, settle):
    driver = Driver(path=good)
    view.begin(driver.plan, True, True)
    window.go(view)
    for step in range(41 * 25):
        driver.batch()
        view.refresh(driver.snapshot, driver.ring)
        if step % 25 == 0:
            settle()
    settle()
    live = view.sweep.grab().toImage()
    view.sweep.dressed()
    view.sweep.update()
    settle()
    whole = view.sweep.grab().toImage()
    width = view.sweep._wide
    different = sum(
        not near(live.pixelColor(x, y), whole.pixelColor(x, y).name(), 40)
        for x in range(8, width - 12)
        for y in range(live.height())
    )
    assert different < 0.002 * width * live.height()


def test_a_single_peak_is_seen(view, show):
    peak_us = 5_000_000
    show(Driver(path=lambda t: (34.0 if abs(t * 1e6 - peak_us) < 2_100 else 12.0, 12.0, 0.0)), 10.0)
    newest = view.sweep._columns[-1].number
    column = view.sweep._wide - 1 - (newest - peak_us // view.sweep._column_us)
    reached = [min(trace_rows(view, column + shift), default=999) for shift in (-1, 0, 1)]
    assert min(reached) <= view.sweep._y(34.0) + 2


def test_a_silence_is_a_gap(view, show, settle):
    driver = show(Driver(path=level(22.5)), 5.0)
    driver.t_us += 4_000_000
    driver.advance(5.0)
    view.refresh(driver.snapshot, driver.ring)
    settle()
    newest = view.sweep._columns[-1].number
    silent = view.sweep._wide - 1 - (newest - 7_000_000 // view.sweep._column_us)
    assert trace_rows(view, silent) == []
    heard = view.sweep._wide - 1 - (newest - 4_000_000 // view.sweep._column_us)
    assert trace_rows(view, heard)


def test_a_high_force_makes_the_paper_taller(view, show):
    show(Driver(path=level(22.5)), 2.0)
    low = view.sweep.top_n
    show(Driver(path=level(70.0)), 2.0)
    assert view.sweep.top_n > 70.0 > low


def test_unknown_forces_are_left_out(view, show, settle):
    driver = show(Driver(path=lambda t: (math.nan if t > 1 else 22.5, 12.0, 0.0)), 1.2)
    view.refresh(driver.snapshot, driver.ring)
    settle()
    assert view.ring._number == "–"
    assert all(not math.isnan(column.most) for column in view.sweep._columns)


# -- cost --------------------------------------------------------------------------------------------------------------


def test_nothing_is_painted_when_nothing_changed(view, show, settle):
    driver = show(Driver(path=level(22.5)))
    settle()
    parts = view._parts
    before = [part.paints for part in parts]
    for _ in range(50):
        view.refresh(driver.snapshot, driver.ring)
        settle()
    assert [part.paints for part in parts] == before


def test_steady_force_repaints_the_sweep_and_neither_ring_nor_disc(view, show, settle):
    driver = show(Driver(path=level(22.5)))
    ring, disc, sweep = view.ring.paints, view.disc.paints, view.sweep.paints
    for _ in range(50):
        driver.batch()
        view.refresh(driver.snapshot, driver.ring)
        settle()
    assert view.ring.paints - ring <= 1
    assert view.disc.paints - disc <= 1
    assert 10 < view.sweep.paints - sweep <= 50


def test_small_figures_change_twice_a_second_at_most(view, show, settle):
    driver = show(Driver(path=level(22.5)))
    before = view.status.paints
    for step in range(50):
        driver.latency_ms = 10.0 + step
        driver.batch()
        view.refresh(driver.snapshot, driver.ring)
        settle()
    assert 3 <= view.status.paints - before <= 5  # two seconds


def test_bad_figures_are_marked(view, show):
    driver = Driver(path=level(22.5))
    driver.loss = 0.02
    show(driver)
    assert [entry.bad for entry in view.status._entries if entry.text.startswith("loss")] == [True]
    quiet = dataclasses.replace(driver.snapshot.link, force_rate_hz=math.nan, latency_ms=math.nan, battery_percent=None)
    view.refresh(dataclasses.replace(driver.snapshot, link=quiet, t_us=driver.t_us + 10**6), driver.ring)
    assert "nan" not in view.status.text
    assert "battery –" in view.status.text


# -- odd input ---------------------------------------------------------------------------------------------------------


def test_infinite_force_is_shown_as_far_too_much(view, show):
    show(Driver(path=lambda t: (math.inf if t > 1 else 22.5, 12.0, 0.0)), 1.2)
    assert view.ring.degrees == DIAL_DEG[-1]
    assert view.ring._number == "9999"
    assert trace_rows(view, view.sweep._wide - 3)


def test_a_clock_that_begins_again_begins_the_trace_again(view, show, settle):
    driver = show(Driver(path=level(22.5)), 8.0)
    driver.t_us = 0
    driver.advance(2.0)
    view.refresh(driver.snapshot, driver.ring)
    settle()
    assert view.sweep._columns[-1].number == driver.t_us // view.sweep._column_us
    assert trace_rows(view, view.sweep._wide - 20)
    assert not trace_rows(view, view.sweep._wide - 20 - 4_000_000 // view.sweep._column_us)


def test_another_screen_draws_all_layers_anew(window, view, show, settle):
    show(Driver(path=level(22.5)))
    before = view.ring._back
    QApplication.sendEvent(window, QEvent(QEvent.Type.DevicePixelRatioChange))
    settle()
    assert view.ring._back is not None and view.ring._back is not before


# -- how sure ----------------------------------------------------------------------------------------------------------


def test_uncertainty_is_said_quietly(view, show):
    driver = Driver(path=level(22.4, 12.0))
    driver.sure = Sure(0.3, 0.2, 14.0, 2.0)
    show(driver, 10.0)
    assert view.ring.exact == "22.4 ± 0.6 N"
    assert view.ring._number == "22"
    assert view.disc.aside == "± 0.4°"
    assert view.disc.turned_by == (14, 4)
    assert DARK.warn not in ink_of(view, view.disc)


def test_a_force_that_moves_is_not_said_to_a_tenth(view, show):
    driver = Driver(path=lambda t: (10.0 + 8.0 * max(0.0, t - 2.0), 12.0, 0.0))
    driver.sure = Sure(0.3, 0.2, 14.0, 2.0)
    show(driver, 2.0)
    assert view.ring.exact == "10.0 ± 0.6 N"
    for _ in range(25):
        driver.batch()
        view.refresh(driver.snapshot, driver.ring)
        shown = view.ring.exact.partition(" ±")[0]
        assert view.ring.exact.endswith("± 0.6 N")
        assert shown == "" or shown.startswith("±") or abs(float(shown) - float(view.ring._number)) <= 1.3
    assert view.ring.exact == "± 0.6 N"


def test_without_a_known_uncertainty_nothing_is_claimed(view, show):
    show(Driver(path=level(22.4, 12.0)), 10.0)
    assert view.ring.exact == "" and view.disc.aside == "" and view.disc.turned_by is None


@pytest.mark.parametrize("doubt", list(Doubt))
def test_every_doubt_is_marked_by_word_and_shape_and_stops_nothing(view, show, doubt):
    driver = Driver(path=level(22.4, 12.0))
    driver.sure = Sure(0.3, 0.2, doubt=doubt)
    show(driver, 10.0)
    marks = (view.ring.exact, view.disc.aside)
    assert NOT_SURE in marks
    assert (marks == (NOT_SURE, "± 0.4°")) == (doubt.name.partition("_")[0] in ("FORCE", "TEMPERATURE", "NOT"))
    assert doubt.value in view.status.text
    assert not view.ended and not view.stale
    assert view.sentence.said[0] == driver.snapshot.cue.sentence


def test_a_doubt_stays_to_be_read_then_goes(view, show):
    driver = Driver(path=level(22.4, 12.0))
    driver.sure = Sure(0.3, 0.2, doubt=Doubt.IMU_CLIPPED)
    show(driver)
    driver.sure = Sure(0.3, 0.2)
    for seconds, doubted in ((0.5, True), (1.0, False)):
        driver.advance(seconds)
        view.refresh(driver.snapshot, driver.ring)
        assert (view.disc.aside == NOT_SURE) == doubted
    assert "samples/s" in view.status.text
