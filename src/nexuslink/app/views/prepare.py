"""Prepare: where and how? Pick one of the sites; the page shows how to lie, where the tip goes, how to turn it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QWidget

from nexuslink.app.instruments.body_map import BodyMap, Place
from nexuslink.app.instruments.button import Button, Card, Weight
from nexuslink.app.instruments.text import Text
from nexuslink.app.theme import MARGIN, Type
from nexuslink.app.views.base import View
from nexuslink.app.words import asked, mark_on_right, side_word

if TYPE_CHECKING:
    from nexuslink.release.plans import Plan

ASSUMED = "Band, angle and time are assumptions of this version, not medical advice."
_STEPS = ("1", "2", "3")
_TOP = 168


class PrepareView(View):
    """Lists plans; ``start`` carries the plan to hold."""

    title = "Where, and how?"
    start = Signal(object)
    back = Signal()

    def __init__(self, plans: Sequence[Plan], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plans = list(plans)
        self._away = ""
        self._head = self.add(Text(self.title, Type.BIG, bold=True, parent=self))
        self._map = self.add(BodyMap(self))
        self._group = QButtonGroup(self)
        self._cards: list[Card] = []
        for at, plan in enumerate(self._plans):
            card = self.add(Card(plan.title, plan.tip_name, parent=self))
            self._group.addButton(card, at)
            self._cards.append(card)
        top = Qt.AlignmentFlag.AlignTop
        self._steps = [self.add(Text(word, Type.MID, ink="in_", bold=True, parent=self)) for word in _STEPS]
        self._texts = [self.add(Text("", Type.MID, wrap=True, align=top, parent=self)) for _ in _STEPS]
        self._asked = self.add(Text("", Type.SMALL, ink="mute", wrap=True, align=top, parent=self))
        self._assumed = self.add(Text(ASSUMED, Type.SMALL, ink="mute", wrap=True, align=top, parent=self))
        self._note = self.add(Text("", Type.SMALL, ink="warn", wrap=True, parent=self))
        self._start = self.add(Button("Start", Weight.MAIN, key="Enter", parent=self))
        self._back = self.add(Button("Other tool", Weight.QUIET, key="Esc", parent=self))
        self._start.clicked.connect(self._begin)
        self._back.clicked.connect(self.back)
        self._group.idToggled.connect(self._changed)
        self._cards[0].setChecked(True)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Return starts, Escape goes back."""
        return {"Return": self._start.click, "Enter": self._start.click, "Escape": self.back.emit}

    @property
    def plan(self) -> Plan:
        """The plan picked."""
        return self._plans[self._group.checkedId()]

    @property
    def note(self) -> str:
        """What went wrong at the last start, if anything."""
        return self._note.text

    def pick(self, site: str) -> None:
        """Pick a site by name; an unknown one changes nothing."""
        for at, plan in enumerate(self._plans):
            if plan.site == site:
                self._cards[at].setChecked(True)

    def show_ready(self) -> None:
        """A start is possible."""
        self._start.setEnabled(True)
        self._start.set_word("Start")
        self._note.set_text(f"▲ {self._away}" if self._away else "")

    def show_starting(self) -> None:
        """The tool has been asked to send."""
        self._start.setEnabled(False)
        self._start.set_word("Starting")
        self._note.set_text("")

    def show_failed(self, message: str) -> None:
        """The start failed: what went wrong, as one line."""
        self.show_ready()
        self._note.set_text(f"▲ {message}")

    def show_link(self, words: str) -> None:
        """The tool is away, and what to do; or it is back (empty)."""
        if words != self._away:
            self._away = words
            self._note.set_text(f"▲ {words}" if words else "")

    def _begin(self) -> None:
        self.start.emit(self.plan)

    def _changed(self, _at: int, checked: bool) -> None:
        if not checked:
            return
        plan = self.plan
        turn = f"Point the mark to the {side_word(plan.mark_toward)}."
        for text, words in zip(self._texts, (plan.position, plan.place, turn), strict=True):
            text.set_text(words)
        self._asked.set_text(f"Then hold {asked(plan)}.")
        place = Place(plan.site.partition("-")[0], plan.side == "left", mark_on_right(plan))
        self._map.show_place(place, f"{plan.title}. {plan.place} {turn}")

    def arrange(self) -> None:
        """Sites on the left, the map in the middle, three steps on the right, buttons at the foot."""
        width, height = self.page_width, self.page_height
        foot = height - 100
        self.place(self._head, MARGIN, 64, 760, 66)
        for at, card in enumerate(self._cards):
            self.place(card, MARGIN, _TOP + at * 100, 330, 88)
        right = max(800.0, width * 0.62)
        self.place(self._map, 400, _TOP - 16, right - 440, foot - _TOP - 8)
        rows = (0, 78, 184)
        tall = (68, 100, 68)
        for step, text, top, room in zip(self._steps, self._texts, rows, tall, strict=True):
            self.place(step, right, _TOP + top, 32, 30)
            self.place(text, right + 36, _TOP + top, width - MARGIN - right - 36, room)
        self.place(self._asked, right, _TOP + 276, width - MARGIN - right, 48)
        self.place(self._assumed, right, _TOP + 336, width - MARGIN - right, 48)
        self.place(self._note, MARGIN + 264, foot, right - MARGIN - 288, 72)
        self.place(self._start, right, foot, width - MARGIN - right, 72)
        self.place(self._back, MARGIN, foot, 248, 72)
