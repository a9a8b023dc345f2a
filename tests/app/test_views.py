"""Every view at every size: whole, apart, readable, named; and what connect, prepare and result show."""

import itertools

import pytest
from drive import Driver, level
from every_view import VIEWS, connect, hold, prepare, result
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest

from nexuslink.app.instruments.base import Pressable
from nexuslink.app.instruments.text import Text
from nexuslink.app.theme import font
from nexuslink.app.views.keys import KEYS
from nexuslink.app.views.prepare import PrepareView
from nexuslink.app.views.result import ResultView
from nexuslink.app.words import ENDINGS, ending, side_word
from nexuslink.release.hold import StopReason
from nexuslink.release.plans import SITES, load_plan

SIZES = [(800, 450), (800, 600), (1280, 720), (1920, 1080), (1900, 600)]


@pytest.fixture(params=VIEWS, ids=lambda make: make.__name__)
def view(request, window, settle):
    made = request.param(window)
    made.set_simulated(True)
    window.add(made)
    window.go(made)
    settle()
    return made


def shown(view) -> dict[str, tuple[object, QRect]]:
    parts = {}
    for at, part in enumerate(view._parts):
        if part.isVisible():
            place = QRect(part.mapTo(view, part.rect().topLeft()), part.size())
            parts[f"{at} {type(part).__name__} {part.accessibleName()}"] = (part, place)
    return parts


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_nothing_is_cut_off_and_nothing_overlaps(view, window, settle, size):
    window.resize(QSize(*size))
    settle()
    assert (view.width(), view.height()) == size
    parts = shown(view)
    outside = [name for name, (_, place) in parts.items() if not view.rect().contains(place)]
    assert outside == []
    on_top = {getattr(view, "disc", None), getattr(view, "ring", None)}
    overlaps = [
        (one, other)
        for (one, (a, at)), (other, (b, place)) in itertools.combinations(parts.items(), 2)
        if at.intersects(place) and {a, b} != on_top
    ]
    assert overlaps == []


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_broken_text_fits_its_box(view, window, settle, size):
    window.resize(QSize(*size))
    settle()
    sites = range(len(SITES)) if isinstance(view, PrepareView) else [None]
    for site in sites:
        if site is not None:
            view.pick(SITES[site])
        for part in view._parts:
            if isinstance(part, Text) and part._wrap and part.text:
                metrics = QFontMetricsF(font(part.type_px(part._size), part._bold))
                room = part.rect().toRectF()
                room.setHeight(10_000)
                needed = metrics.boundingRect(room, Qt.TextFlag.TextWordWrap, part.text).height()
                assert needed <= part.height() + 1, part.text


def test_badge_is_at_the_top_right(view, window):
    assert view.badge.isVisible()
    assert view.badge.geometry().right() >= view.width() - 42
    assert view.badge.y() < 40
    view.set_simulated(False)
    assert not view.badge.isVisible()


def test_controls_have_names_and_can_be_reached_by_keyboard(view):
    controls = [part for part in view._parts if isinstance(part, Pressable)]
    assert controls
    for control in controls:
        assert control.accessibleName()
        others = control.group() is not None and not control.isChecked()  # of a row, only the chosen one is on the way
        assert control.focusPolicy() == (Qt.FocusPolicy.ClickFocus if others else Qt.FocusPolicy.StrongFocus)
    assert view.accessibleName() == view.title


def test_instruments_say_what_they_show(window, settle):
    view = hold(window)
    window.add(view)
    window.go(view)
    for part in (view.ring, view.disc, view.countdown, view.status):
        assert part.accessibleName()
        assert part.accessibleDescription()
    assert "newtons" in view.ring.accessibleDescription()


# -- prepare -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", SITES)
def test_prepare_says_where_and_how(window, site):
    view = prepare(window)
    started = []
    view.start.connect(started.append)
    view.pick(site)
    plan = load_plan(site)
    texts = [text.text for text in view._texts]
    assert texts[:2] == [plan.position, plan.place]
    assert texts[2] == f"Point the mark to the {side_word(plan.mark_toward)}."
    assert "ilium" not in texts[2] + view._asked.text
    assert f"{plan.band_low_n:g} to {plan.band_high_n:g} N" in view._asked.text
    assert "assumptions" in view._assumed.text
    assert plan.place in view._map.accessibleDescription()
    QTest.mouseClick(view._start, Qt.MouseButton.LeftButton)
    assert started == [plan]


def test_prepare_keys(window):
    view = prepare(window)
    window.add(view)
    window.go(view)
    started, left = [], []
    view.start.connect(started.append)
    view.back.connect(lambda: left.append(1))
    QTest.keyClick(view, Qt.Key.Key_Return)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert len(started) == len(left) == 1
    view.show_starting()
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert len(started) == 1
    view.show_failed("no tool; plug it in")
    assert "no tool" in view.note
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert len(started) == 2


# -- result ------------------------------------------------------------------------------------------------------------


def test_result_of_a_done_hold(window):
    view = result(window)
    assert view.headline == "Done. Come off slowly."
    assert "psoas-left.mcap" in view.file_line
    assert view._figures[0]._value == "0:02"
    assert view._figures[2]._value == "20 N"


@pytest.mark.parametrize("reason", list(StopReason))
def test_result_says_why_it_stopped(window, reason):
    view = ResultView(window)
    driver = Driver(path=level(20.0)).advance(2).stop(reason)
    view.show_result(driver.result(None), driver.ring)
    assert view.headline == driver.snapshot.cue.sentence
    why = ending("stopped", reason.value)
    assert why in ENDINGS.values()
    assert view._why.text == f"{why.why} {why.next_step}"
    assert view.file_line == "Not recorded."


def test_result_keys(window):
    view = result(window)
    window.add(view)
    window.go(view)
    asked = []
    view.again.connect(lambda: asked.append("again"))
    view.other_site.connect(lambda: asked.append("other"))
    QTest.keyClick(view, Qt.Key.Key_Return)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert asked == ["again", "other"]


# -- window ------------------------------------------------------------------------------------------------------------


def test_question_mark_shows_the_keys_and_puts_them_away(window, settle):
    view = connect(window)
    window.add(view)
    window.go(view)
    QTest.keyClick(view, "?")
    settle()
    sheet = window._sheet
    assert sheet is not None and sheet.isVisible()
    said = [part.text for row in sheet._rows for part in row]
    assert said == [word for row in KEYS for word in row]
    QTest.keyClick(sheet, Qt.Key.Key_Escape)
    settle()
    assert window._sheet is None
    window.show_keys()
    assert window._sheet is not None
    window._sheet.close()


def test_f_fills_the_screen(window, settle):
    view = connect(window)
    window.add(view)
    window.go(view)
    QTest.keyClick(view, Qt.Key.Key_F)
    assert window.isFullScreen()
    QTest.keyClick(view, Qt.Key.Key_F)
    assert not window.isFullScreen()


def test_m_mutes(window):
    view = connect(window)
    window.add(view)
    window.go(view)
    muted = []
    window.mute.connect(lambda: muted.append(1))
    QTest.keyClick(view, Qt.Key.Key_M)
    assert muted == [1]


def test_theme_reaches_every_view(window, view, settle):
    window.set_theme("light")
    settle()
    corner = view.grab().toImage().pixelColor(3, view.height() - 3)
    assert corner.lightness() > 200
    window.set_theme("dark")
    settle()
    assert view.grab().toImage().pixelColor(3, view.height() - 3).lightness() < 60
