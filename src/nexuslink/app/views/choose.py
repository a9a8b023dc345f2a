"""Choose: what to calibrate? Five ways, what each needs and how long it takes, and the little that must be known.

What is written is understood while it is written: the line below the form says it back, or what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QWidget

from nexuslink.app import asked
from nexuslink.app.asked import Asked, FormError
from nexuslink.app.instruments.button import Button, Card, Weight
from nexuslink.app.instruments.field import HEIGHT as FIELD_HEIGHT
from nexuslink.app.instruments.field import LABEL, Field, Segment
from nexuslink.app.instruments.text import Text
from nexuslink.app.instruments.turning_tool import TurningTool
from nexuslink.app.theme import MARGIN, Type
from nexuslink.app.views.base import View

_TOP: Final = 168
_CARD: Final = (88, 76)  # step and height
_TIPS: Final = ("Psoas, broad", "Iliacus, narrow")
POSES: Final = {
    "tips up": (0.0, 0.0, 1.0), "base up": (0.0, 0.0, -1.0), "mark up": (1.0, 0.0, 0.0),
    "mark down": (-1.0, 0.0, 0.0), "left side up": (0.0, 1.0, 0.0), "right side up": (0.0, -1.0, 0.0),
}  # fmt: skip
"""Name of a side -> up in the tool's frame."""
_ANY: Final = (0.35, -0.45, 0.82)


class Choice(NamedTuple):
    """One row of what can be calibrated. ``form``: which entries it asks for. ``poses``: what is shown of the tool."""

    name: str
    title: str
    takes: str
    needs: str
    form: frozenset[str]
    poses: tuple[str, ...] = ()


CHOICES: Final = (
    Choice(
        "zero", "Zero", "half a minute, no tools",
        "A table. Stand the tool on it, upright, with nothing on the tips. "
        "Takes out what the cells read when nothing presses.",
        frozenset(), ("tips up",),
    ),
    Choice(
        "weights", "Weights", "ten minutes, three to eight weights",
        "Weights of known mass, from light to heavy, to stand on the tip or to hang from it. The tip may lean: "
        "the tool knows its angle. Makes force true.",
        frozenset({"tip", "masses", "tolerance", "latitude"}),
    ),
    Choice(
        "poses", "Six poses", "three minutes, no tools",
        "A level table. Lay the tool on each of its six sides and let it rest. Makes the tip angle true.",
        frozenset({"latitude"}), tuple(POSES),
    ),
    Choice(
        "turning", "Turning", "two minutes, no tools",
        "Your hands. Turn and swing the tool through every direction, with short rests. Makes the angle true while "
        "the tool moves.",
        frozenset(), ("through every direction",),
    ),
    Choice(
        "check", "Check with a weight", "one minute, one weight",
        "One weight of known mass. Says whether the tool is still within its claim. Changes nothing.",
        frozenset({"tip", "masses", "tolerance", "latitude"}),
    ),
)  # fmt: skip


class ChooseView(View):
    """``begin`` carries an `Asked`."""

    title = "Calibrate what?"
    begin = Signal(object)
    back = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        top = Qt.AlignmentFlag.AlignTop
        self._head = self.add(Text(self.title, Type.BIG, bold=True, parent=self))
        self._tool = self.add(Text("", Type.SMALL, ink="mute", parent=self))
        self._group = QButtonGroup(self)
        self._cards = [self.add(Card(choice.title, choice.takes, parent=self)) for choice in CHOICES]
        for at, card in enumerate(self._cards):
            self._group.addButton(card, at)
        self._needs = self.add(Text("", Type.MID, wrap=True, align=top, parent=self))
        self._tips = self._row(_TIPS)
        self._units = self._row(tuple(asked.KG_PER))
        self._masses = self.add(Field("Masses, in the order you put them on", "1 2 5", self))
        self._tolerance = self.add(Field("Tolerance of each", "0.5 %", self))
        self._latitude = self.add(Field("Latitude, for local gravity", "unknown", self))
        self._tip_label = self.add(Text("Tip", Type.SMALL, ink="mute", parent=self))
        self._unit_label = self.add(Text("Unit", Type.SMALL, ink="mute", parent=self))
        self._note = self.add(Text("", Type.SMALL, ink="mute", wrap=True, align=top, parent=self))
        self._poses = {name: self.add(TurningTool(self, name)) for name in (*POSES, "through every direction")}
        for name, picture in self._poses.items():
            picture.feed(POSES.get(name, _ANY))
        self._begin = self.add(Button("Begin", Weight.MAIN, key="Enter", parent=self))
        self._back = self.add(Button("Other tool", Weight.QUIET, key="Esc", parent=self))
        self._fields = {"masses": self._masses, "tolerance": self._tolerance, "latitude": self._latitude}
        for field in self._fields.values():
            field.edited.connect(self._changed)
        self._begin.clicked.connect(self._go)
        self._back.clicked.connect(self.back)
        self._group.idToggled.connect(self._picked)
        self._suggested: dict[str, str] = {}
        self._written: dict[str, str] = {}
        self._form = ""
        self._cards[0].setChecked(True)

    def _row(self, words: tuple[str, ...]) -> list[Segment]:
        group = QButtonGroup(self)
        row = [self.add(Segment(word, self)) for word in words]
        for at, segment in enumerate(row):
            group.addButton(segment, at)
        row[0].setChecked(True)
        group.idToggled.connect(lambda _at, on: self._changed() if on else None)
        return row

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Return begins, Escape goes back."""
        return {"Return": self._begin.click, "Enter": self._begin.click, "Escape": self._back.click}

    @property
    def choice(self) -> Choice:
        """The way picked."""
        return CHOICES[self._group.checkedId()]

    @property
    def note(self) -> str:
        """What stands under the form."""
        return self._note.text

    def pick(self, name: str) -> None:
        """Pick a way by name."""
        for at, choice in enumerate(CHOICES):
            if choice.name == name:
                self._cards[at].setChecked(True)

    def fill(self, masses: str = "", unit: str = "kg", tolerance: str = "", latitude: str = "", tip: int = 0) -> None:
        """Put something into the form."""
        for field, text in zip(self._fields.values(), (masses, tolerance, latitude), strict=True):
            field.set_text(text)
        self._units[list(asked.KG_PER).index(unit)].setChecked(True)
        self._tips[tip].setChecked(True)
        self._changed()

    def suggest(self, masses: str, check: str) -> None:
        """What stands in the form at first, in kilograms: for weights and for a check."""
        self._suggested = {"weights": masses, "check": check}
        self._written = {}
        self.fill(self._suggested.get(self._form, ""))

    def show_about(self, about: str) -> None:
        """Which tool is there, and how it was calibrated last."""
        self._tool.set_text(about)

    def show_ready(self) -> None:
        """A beginning is possible."""
        self._begin.set_word("Begin")
        self._changed()

    def show_starting(self) -> None:
        """The tool has been asked to send."""
        self._begin.set_word("Starting")
        self._begin.setEnabled(False)

    def show_failed(self, message: str) -> None:
        """It could not begin: what went wrong, as one line."""
        self._begin.set_word("Begin")
        self._begin.setEnabled(True)
        self._note.set_text(f"▲ {message}", ink="warn")

    # -- inside ---------------------------------------------------------------------------------------------------

    def _unit(self) -> str:
        return next((segment.text() for segment in self._units if segment.isChecked()), "kg")

    def _tip(self) -> int:
        return next((at for at, segment in enumerate(self._tips) if segment.isChecked()), 0)

    def understood(self) -> Asked:
        """What the form says. Raises `FormError`."""
        choice = self.choice
        masses: tuple[float, ...] = ()
        u_masses: tuple[float, ...] = ()
        if "masses" in choice.form:
            fewest = 1 if choice.name == "check" else asked.FEWEST_WEIGHTS
            masses = asked.masses_kg(self._masses.text, self._unit(), fewest)
            u_masses = asked.u_masses_kg(self._tolerance.text, self._unit(), masses)
        latitude = asked.latitude_deg(self._latitude.text) if "latitude" in choice.form else None
        return Asked(choice.name, self._tip() if "tip" in choice.form else 0, masses, u_masses, latitude)

    def _picked(self, _at: int, checked: bool) -> None:
        if not checked:
            return
        choice = self.choice
        self._needs.set_text(choice.needs)
        for name, field in self._fields.items():
            field.setVisible(name in choice.form)
        for name, parts in (("tip", [self._tip_label, *self._tips]), ("masses", [self._unit_label, *self._units])):
            for part in parts:
                part.setVisible(name in choice.form)
        for name, picture in self._poses.items():
            picture.setVisible(name in choice.poses)
        if "masses" in choice.form and choice.name != self._form:  # each keeps what was written for it
            if self._form:
                self._written[self._form] = self._masses.text
            self._form = choice.name
            self._masses.set_text(self._written.get(choice.name, self._suggested.get(choice.name, "")))
        one = choice.name == "check"
        self._masses.set_hint("5" if one else "1 2 5")
        self._masses.set_label("Mass" if one else "Masses, in the order you put them on")
        self._changed()
        self.relayout()

    def _changed(self) -> None:
        """Say back what was understood; an empty entry is no mistake yet."""
        bad = ""
        try:
            self._note.set_text(_said(self.understood()), ink="mute")
        except FormError as error:
            started = bool(self._fields[error.field].text.strip())
            bad = error.field if started else ""
            self._note.set_text(f"▲ {error}" if started else str(error), ink="warn" if started else "mute")
        for name, field in self._fields.items():
            field.set_bad(name == bad)
        self._begin.setEnabled(True)

    def _go(self) -> None:
        try:
            wanted = self.understood()
        except FormError as error:
            self._note.set_text(f"▲ {error}", ink="warn")
            field = self._fields[error.field]
            field.set_bad(True)
            field.setFocus()
            return
        self.begin.emit(wanted)

    def arrange(self) -> None:
        """Five cards on the left; on the right what is needed, the form, and what was understood."""
        width, height = self.page_width, self.page_height
        foot = height - 100
        self.place(self._head, MARGIN, 64, 760, 66)
        self.place(self._tool, MARGIN, 132, 760, 26)
        step, high = _CARD
        for at, card in enumerate(self._cards):
            self.place(card, MARGIN, _TOP + at * step, 432, high)
        left = 504.0
        room = width - MARGIN - left
        tall = 104 if "masses" in self.choice.form else 80
        self.place(self._needs, left, _TOP, room, tall)
        top = _TOP + tall + 16
        half = (room - 24) / 2
        has_form = "masses" in self.choice.form
        if has_form:
            self.place(self._tip_label, left, top, half, 22)
            for at, segment in enumerate(self._tips):
                self.place(segment, left + at * (half / 2 + 4), top + LABEL, half / 2 - 4, 48)
            self.place(self._unit_label, left + half + 24, top, half, 22)
            third = (half - 16) / 3
            for at, segment in enumerate(self._units):
                self.place(segment, left + half + 24 + at * (third + 8), top + LABEL, third, 48)
            top += FIELD_HEIGHT + 16
            self.place(self._masses, left, top, room, FIELD_HEIGHT)
            top += FIELD_HEIGHT + 16
            self.place(self._tolerance, left, top, half, FIELD_HEIGHT)
            self.place(self._latitude, left + half + 24, top, half, FIELD_HEIGHT)
            top += FIELD_HEIGHT + 12
        elif "latitude" in self.choice.form:
            self.place(self._latitude, left, top, half, FIELD_HEIGHT)
            top += FIELD_HEIGHT + 12
        if self.choice.poses:
            self._arrange_poses(left, top, room, foot - 24 - top)
            self.place(self._note, MARGIN + 264, foot, width - 2 * MARGIN - 264 - 324, 72)
        else:
            self.place(self._note, left, top, room, max(24.0, min(48.0, foot - 12 - top)))
        self.place(self._begin, width - MARGIN - 300, foot, 300, 72)
        self.place(self._back, MARGIN, foot, 248, 72)

    def _arrange_poses(self, left: float, top: float, room: float, tall: float) -> None:
        """One picture, or two rows of three."""
        shown = [self._poses[name] for name in self.choice.poses]
        across = 3 if len(shown) > 1 else 2
        rows = -(-len(shown) // across)
        wide, high = (room - 16 * (across - 1)) / across, min(240.0, (tall - 16 * (rows - 1)) / rows)
        for at, picture in enumerate(shown):
            self.place(picture, left + at % across * (wide + 16), top + at // across * (high + 16), wide, high)


def _said(wanted: Asked) -> str:
    """What was understood, in SI units."""
    gravity = 9.81
    if not wanted.masses_kg:
        return ""
    forces = ", ".join(f"{gravity * kg:.1f}" for kg in wanted.masses_kg)
    worst = math.sqrt(3) * wanted.u_mass_share
    latitude = wanted.latitude_deg
    where = "standard gravity" if latitude is None else f"gravity at {abs(latitude):g}° {'S' if latitude < 0 else 'N'}"
    return f"Understood: about {forces} N, each within {100 * worst:.2g} %, {where}."
