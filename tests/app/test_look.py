"""What is painted can be read at the smallest size, and the keyboard gets everywhere."""

import importlib
import pkgutil

import pytest
from every_view import MORE, VIEWS, connect, connect_several
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit

from nexuslink.app import instruments, theme
from nexuslink.app.instruments.base import Pressable
from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.text import Text
from nexuslink.app.theme import DARK, DONE, LIGHT, STOPPED, contrast
from nexuslink.app.window import MINIMUM

SHARE = 0.75
"""A heading may shrink to this share of its size, so that it need not be broken."""


class Painting:
    """What was set smaller than meant, or cut short, while it was painted."""

    def __init__(self, monkeypatch) -> None:
        self.shrunk: set[tuple[str, int, int]] = set()
        self.cut: set[str] = set()
        for module in pkgutil.iter_modules(instruments.__path__, f"{instruments.__name__}."):
            loaded = importlib.import_module(module.name)
            if hasattr(loaded, "fitted"):
                monkeypatch.setattr(loaded, "fitted", self.fitted)
        noticed = self

        class Metrics(QFontMetricsF):
            def elidedText(self, text, *how):  # noqa: N802
                said = QFontMetricsF.elidedText(self, text, *how)
                if said != text:
                    noticed.cut.add(text)
                return said

        monkeypatch.setattr("nexuslink.app.instruments.tool_card.QFontMetricsF", Metrics)

    def fitted(self, text: str, size: int, width: int, bold: bool = False):
        made = theme.fitted(text, size, width, bold)
        if made.pixelSize() < max(theme.LEAST_TYPE, SHARE * size):
            self.shrunk.add((text, size, made.pixelSize()))
        return made


@pytest.mark.parametrize("make", [*VIEWS, *MORE], ids=lambda make: make.__name__)
def test_nothing_is_cut_short_or_too_small_in_the_smallest_window(window, settle, monkeypatch, make):
    painting = Painting(monkeypatch)
    window.resize(MINIMUM)
    view = make(window)
    window.add(view)
    window.go(view)
    settle()
    assert view.size() == MINIMUM
    said = getattr(getattr(view, "sentence", None), "said", ("", "", ""))[1]
    assert {text for text, _, _ in painting.shrunk} - {said} == set()  # a long reason is set in two small lines
    assert painting.cut == set()


def test_the_smallest_window_can_be_told_from_one_that_is_too_small(window, settle, monkeypatch):
    painting = Painting(monkeypatch)
    window.setMinimumSize(1, 1)
    window.resize(MINIMUM / 2)
    view = connect_several(window)
    window.add(view)
    window.go(view)
    settle()
    assert painting.shrunk and painting.cut


def reached(window) -> list[object]:
    """Who gets the keyboard, Tab by Tab, until it comes round."""
    seen: list[object] = []
    while True:
        QTest.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
        now = window.focusWidget()
        if now in seen or len(seen) > 60:
            return seen
        seen.append(now)


@pytest.mark.parametrize("make", [*VIEWS, *MORE], ids=lambda make: make.__name__)
def test_tab_reaches_every_control(window, settle, make):
    view = make(window)
    window.add(view)
    window.go(view)
    settle()
    wanted = {part for part in view.findChildren(Pressable) if part.isVisible() and part.isEnabled()}
    wanted |= {line for line in view.findChildren(QLineEdit) if line.isVisible()}
    names = {part: part.accessibleName() for part in wanted}
    assert all(names.values())
    one_of = {part for part in wanted if isinstance(part, Pressable) and part.group() and not part.isChecked()}
    seen = reached(window)
    assert [names[part] for part in wanted - one_of if part not in seen] == []


def test_tab_goes_from_the_list_to_the_main_button(window, settle):
    view = connect_several(window)
    window.add(view)
    window.go(view)
    settle()
    seen = [part for part in reached(window) if part is not view]
    first = next(at for at, part in enumerate(seen) if part is view._connect)
    assert [part in view._cards for part in seen[:first]] == [True] * first and first > 0
    assert seen[first + 1 : first + 3] == [view._calibrate, view._rename]


@pytest.mark.parametrize("tokens", [DARK, LIGHT, STOPPED, DONE], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize("weight", list(Weight))
def test_who_has_the_keyboard_is_seen_on_every_button(window, settle, tokens, weight):
    button = Button("Go", weight, parent=window)
    button.setGeometry(0, 0, 200, 72)
    button.dress(tokens, 1.0)
    button.show()
    settle()
    before = button.grab().toImage()
    button.setFocus()
    settle()
    after = button.grab().toImage()
    pairs = {
        (after.pixelColor(x, 36).name(), before.pixelColor(x, 36).name())
        for x in range(12)
        if after.pixelColor(x, 36) != before.pixelColor(x, 36)
    }
    assert max((contrast(*pair) for pair in pairs), default=1.0) >= 3.0
    button.deleteLater()


def test_nothing_of_another_view_shines_through_at_the_edges_where_a_pixel_is_no_whole_number(application):
    part = Text("x")
    part.resize(33, 21)
    part.dress(DARK, 1.0)
    image = QImage(51, 33, QImage.Format.Format_RGB32)  # of a screen at 150 %
    image.setDevicePixelRatio(1.5)
    image.fill(QColor("magenta"))
    part.render(image)
    seen = {image.pixelColor(x, y).name() for x in (0, 20, 49, 50) for y in (0, 31, 32)}
    assert seen == {DARK.ground, QColor("magenta").name()}  # the part, what is beside it, and no mixture of both


def test_what_cannot_be_undone_looks_like_it(window):
    view = connect(window)
    view._move(-2)
    assert view._connect._weight is Weight.MAIN
    view._forget.click()
    assert (view._connect.text(), view._connect._weight) == ("Forget", Weight.STOP)
    view._cancel.click()
    assert view._connect._weight is Weight.MAIN
