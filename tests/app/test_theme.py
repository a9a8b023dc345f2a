"""Colours that can be read, for everybody."""

import dataclasses

import pytest
from PySide6.QtGui import QFontMetricsF

from nexuslink.app import theme

TEXT = 4.5
SHAPE = 3.0


@pytest.mark.parametrize("tokens", theme.ALL_TOKENS, ids=lambda tokens: tokens.name)
def test_all_text_is_readable(tokens):
    low = {
        pair: round(theme.contrast(getattr(tokens, pair[0]), getattr(tokens, pair[1])), 2) for pair in theme.TEXT_PAIRS
    }
    assert {pair: ratio for pair, ratio in low.items() if ratio < TEXT} == {}


@pytest.mark.parametrize("tokens", [theme.DARK, theme.LIGHT, theme.STOPPED, theme.DONE], ids=lambda tokens: tokens.name)
def test_state_colours_are_readable_and_seen(tokens):
    for pairs, least in ((theme.STATE_TEXT_PAIRS, TEXT), (theme.SHAPE_PAIRS, SHAPE)):
        low = {pair: theme.contrast(getattr(tokens, pair[0]), getattr(tokens, pair[1])) for pair in pairs}
        assert {pair: ratio for pair, ratio in low.items() if ratio < least} == {}


def test_contrast_is_that_of_wcag():
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known near miss
    assert theme.contrast("#777777", "#ffffff") < TEXT


def test_stale_instruments_keep_no_state_colour():
    for tokens in (theme.DARK, theme.LIGHT):
        grey = theme.faded(tokens)
        for name in ("in_", "in_soft", "warn", "stop"):
            assert getattr(grey, name) != getattr(tokens, name)
            assert getattr(grey, name) in {tokens.line, tokens.raised}


def test_stop_and_done_change_the_whole_ground():
    grounds = {tokens.ground for tokens in (theme.DARK, theme.LIGHT, theme.STOPPED, theme.DONE)}
    assert len(grounds) == 4


def test_every_pair_names_tokens():
    names = {field.name for field in dataclasses.fields(theme.Tokens)}
    for pairs in (theme.TEXT_PAIRS, theme.STATE_TEXT_PAIRS, theme.SHAPE_PAIRS):
        assert {name for pair in pairs for name in pair} <= names


def test_digits_are_tabular(application):
    metrics = QFontMetricsF(theme.font(40, bold=True))
    widths = {metrics.horizontalAdvance(digit) for digit in "0123456789"}
    assert len(widths) == 1
    assert metrics.horizontalAdvance("i") not in widths  # the test can tell


def test_text_shrinks_to_fit_and_never_grows(application):
    wide = theme.fitted("Lean to the hip bone.", 60, 300, bold=True)
    assert QFontMetricsF(wide).horizontalAdvance("Lean to the hip bone.") <= 300
    assert theme.fitted("no", 60, 300).pixelSize() == 60


def test_system_theme_is_one_of_the_two(application):
    assert theme.pick("system") in {theme.DARK, theme.LIGHT}
    assert theme.pick("light") is theme.LIGHT
