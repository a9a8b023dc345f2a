"""Colours, type and unit of the window: the only place where a colour or a size is named.

Colours are *tokens*, one set for each theme and one for each state of the ground (stopped, done, stale): an
instrument asks for ``in_``, never for a green. Plain strings, so that the contrast test needs no window. This
module must never know what is shown, only how showing looks.

The state colours are told apart by lightness as well as by hue, so that they survive the common kinds of colour
blindness; every state also has a shape and a word of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QGuiApplication, QPalette

DESIGN_WIDTH = 1280
DESIGN_HEIGHT = 720  # the page on which every position and size in this room is written
MARGIN = 40  # design pixels
GRID = 8
RADIUS = 12


LEAST_TYPE = 12
"""Logical pixels: small print stays readable in a small window, where all else shrinks with the page."""


class Type(IntEnum):
    """The four sizes of type, in design pixels (at 720 lines)."""

    HUGE = 180
    BIG = 60
    MID = 24
    SMALL = 16


@dataclass(frozen=True, slots=True)
class Tokens:
    """One set of colours. ``*_fill`` carry the text ``on_fill``; all others are drawn on ground, panel or raised."""

    name: str
    ground: str  # the page
    panel: str  # a field on the page
    raised: str  # a track or a control on the page
    line: str  # hairlines
    text: str
    mute: str  # what recedes
    in_: str  # in band, on target
    in_soft: str  # the shaded target
    warn: str
    stop: str
    in_fill: str  # the main button
    stop_fill: str  # the stop button
    on_fill: str
    focus: str


DARK = Tokens(
    name="dark",
    ground="#0d1115",
    panel="#151a20",
    raised="#222a32",
    line="#36414b",
    text="#f0f3f6",
    mute="#9aa6b2",
    in_="#35b99e",
    in_soft="#17483f",
    warn="#f0b03a",
    stop="#f4694a",
    in_fill="#0c7d6a",
    stop_fill="#c63d17",
    on_fill="#ffffff",
    focus="#7cc4f5",
)

LIGHT = Tokens(
    name="light",
    ground="#f4f6f8",
    panel="#ffffff",
    raised="#dfe5ea",
    line="#bcc6cf",
    text="#10161c",
    mute="#515d69",
    in_="#007a64",
    in_soft="#b7e2d7",
    warn="#8f5600",
    stop="#bd330c",
    in_fill="#00705c",
    stop_fill="#bd330c",
    on_fill="#ffffff",
    focus="#0b62b0",
)

# A stop and a finished hold turn the whole ground, alike in both themes: across a room they must not be mistaken.
STOPPED = Tokens(
    name="stopped",
    ground="#7d1d0c",
    panel="#6b1809",
    raised="#98331f",
    line="#b8604c",
    text="#ffffff",
    mute="#ffd5c9",
    in_="#ffd5c9",
    in_soft="#8a2a18",
    warn="#ffd98a",
    stop="#ff9d80",
    in_fill="#ffffff",
    stop_fill="#ffffff",
    on_fill="#7d1d0c",
    focus="#ffffff",
)

DONE = Tokens(
    name="done",
    ground="#0a5246",
    panel="#08463c",
    raised="#1f6f61",
    line="#4f9486",
    text="#ffffff",
    mute="#c9ece4",
    in_="#a4f0dc",
    in_soft="#17695b",
    warn="#ffd98a",
    stop="#ffb9a6",
    in_fill="#ffffff",
    stop_fill="#ffffff",
    on_fill="#0a5246",
    focus="#ffffff",
)

THEMES = {"dark": DARK, "light": LIGHT}


def faded(tokens: Tokens) -> Tokens:
    """The same set with every state colour gone: what an instrument wears when its data are old."""
    return replace(
        tokens,
        name=f"{tokens.name}-stale",
        text=tokens.mute,
        in_=tokens.line,
        in_soft=tokens.raised,
        warn=tokens.line,
        stop=tokens.line,
    )


ALL_TOKENS = (DARK, LIGHT, STOPPED, DONE, faded(DARK), faded(LIGHT))

# Every pair (ink, paper) in which letters are set somewhere in the window. The test holds each to 4.5:1.
TEXT_PAIRS = (
    ("text", "ground"),
    ("text", "panel"),
    ("text", "raised"),
    ("text", "in_soft"),
    ("mute", "ground"),
    ("mute", "panel"),
    ("mute", "raised"),
    ("on_fill", "in_fill"),
    ("on_fill", "stop_fill"),
)
# State colours in which letters are set too, while the data are fresh.
STATE_TEXT_PAIRS = (("warn", "ground"), ("warn", "panel"), ("stop", "ground"), ("in_", "ground"), ("in_", "panel"))
# Shapes that carry meaning: 3:1 against what they are drawn on.
SHAPE_PAIRS = (
    ("in_", "ground"),
    ("warn", "ground"),
    ("stop", "ground"),
    ("focus", "ground"),
    ("focus", "panel"),
    ("focus", "in_soft"),
    ("in_", "raised"),
    ("text", "raised"),
)


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def contrast(ink: str, paper: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours after WCAG 2.2, 1 to 21."""
    light = []
    for colour in (ink, paper):
        red, green, blue = (_linear(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
        light.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(light) + 0.05) / (min(light) + 0.05)


def pick(name: str) -> Tokens:
    """Tokens for ``dark``, ``light`` or ``system``; a system that does not say gets the dark set."""
    if name == "system":
        light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
        return LIGHT if light else DARK
    return THEMES[name]


def palette(tokens: Tokens) -> QPalette:
    """A Fusion palette, for the few stock widgets (scroll bars, tool tips)."""
    role = QPalette.ColorRole
    colours = {
        role.Window: tokens.ground,
        role.WindowText: tokens.text,
        role.Base: tokens.panel,
        role.AlternateBase: tokens.raised,
        role.Text: tokens.text,
        role.PlaceholderText: tokens.mute,
        role.Button: tokens.raised,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.text,
        role.ToolTipBase: tokens.panel,
        role.ToolTipText: tokens.text,
        role.Highlight: tokens.in_fill,
        role.HighlightedText: tokens.on_fill,
        role.Link: tokens.focus,
    }
    made = QPalette()
    for which, colour in colours.items():
        made.setColor(which, QColor(colour))
    return made


def type_px(size: float, unit: float) -> int:
    """A size of type in whole logical pixels, ``unit`` of them to a design pixel."""
    return max(LEAST_TYPE, round(size * unit))


@lru_cache(maxsize=256)
def colour(token: str) -> QColor:
    """A colour of the given value. Shared: do not change it."""
    return QColor(token)


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """The platform's own sans family. Asking only for families that exist spares Qt a search at start."""
    return (QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family(), "sans-serif")


@lru_cache(maxsize=512)
def font(size: int, bold: bool = False) -> QFont:
    """The one family at ``size`` logical pixels, with digits of equal width. Shared: do not change it."""
    made = QFont(list(families()))
    made.setStyleHint(QFont.StyleHint.SansSerif)
    made.setPixelSize(max(1, size))
    made.setWeight(QFont.Weight.Bold if bold else QFont.Weight.Normal)
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


@lru_cache(maxsize=1024)
def fitted(text: str, size: int, width: int, bold: bool = False) -> QFont:
    """Like ``font``, smaller where ``text`` would be wider than ``width``."""
    made = font(size, bold)
    needed = QFontMetricsF(made).horizontalAdvance(text)
    if needed <= width or needed == 0:
        return made
    return font(int(size * width / needed), bold)
