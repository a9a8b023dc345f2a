"""Result: how was it? How long, how much of it in band, why it ended, where the recording is, and what next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.figure import SIZE as FIGURE_SIZE
from nexuslink.app.instruments.figure import Figure
from nexuslink.app.instruments.scale import scale_of
from nexuslink.app.instruments.sweep import SPAN_S, Sweep
from nexuslink.app.instruments.text import Text
from nexuslink.app.ring import Ring
from nexuslink.app.theme import MARGIN, Type
from nexuslink.app.views.base import View
from nexuslink.app.words import clock, ending, newtons, percent

if TYPE_CHECKING:
    from nexuslink.live.session import SessionResult

_CAPTIONS = ("Held", "In band", "Most force", "Mean force")


class ResultView(View):
    """One finished hold."""

    title = "How was it?"
    again = Signal()
    other_site = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        top = Qt.AlignmentFlag.AlignTop
        self._site = self.add(Text("", Type.MID, bold=True, parent=self))
        self._head = self.add(Text("", Type.BIG, bold=True, parent=self))
        self._why = self.add(Text("", Type.MID, ink="mute", wrap=True, align=top, parent=self))
        self._figures = [self.add(Figure(caption, self)) for caption in _CAPTIONS]
        self._trace = self.add(Sweep(self))
        self._file = self.add(Text("", Type.SMALL, ink="mute", wrap=True, align=top, parent=self))
        self._again = self.add(Button("Again", Weight.MAIN, key="Enter", parent=self))
        self._other = self.add(Button("Other site", Weight.QUIET, key="Esc", parent=self))
        self._again.clicked.connect(self.again)
        self._other.clicked.connect(self.other_site)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """Return holds again, Escape goes to the sites."""
        return {"Return": self._again.click, "Enter": self._again.click, "Escape": self._other.click}

    @property
    def headline(self) -> str:
        """How it ended, in words."""
        return self._head.text

    @property
    def file_line(self) -> str:
        """Where the recording is."""
        return self._file.text

    def show_result(self, result: SessionResult, ring: Ring | None = None) -> None:
        """Fill the page; ``ring`` still holds the samples."""
        summary, plan = result.summary, result.snapshot.plan
        words = ending(summary.phase.value, summary.stop_reason.value if summary.stop_reason else None)
        self._site.set_text(f"{plan.title}, {plan.tip_name}, level {plan.level}")
        self._head.set_text(result.snapshot.cue.sentence)
        self._why.set_text(f"{words.why} {words.next_step}")
        held, banded, most, mean = self._figures
        share = summary.held_s / summary.hold_s if summary.hold_s > 0 else 0.0
        held.feed(clock(summary.held_s), f"of {clock(summary.hold_s)} asked", share)
        banded.feed(
            percent(summary.in_band_fraction), f"of {clock(summary.duration_s)} in all", summary.in_band_fraction
        )
        most.feed(newtons(summary.peak_force_n), f"stop at {plan.stop_n:g} N", summary.peak_force_n / plan.stop_n)
        mean.feed(newtons(summary.mean_force_n), f"band {plan.band_low_n:g} to {plan.band_high_n:g} N")
        self._trace.setVisible(ring is not None)
        if ring is not None:
            _, t_us, _ = ring.since(0)
            seconds = math.ceil((t_us[-1] - t_us[0]) * 1e-6) if len(t_us) else 0
            self._trace.set_scale(scale_of(plan))
            self._trace.set_span(max(SPAN_S, seconds))
            self._trace.feed(ring)
        where = f"Recording: {result.session_file}" if result.session_file else "Not recorded."
        times = {1: "once", 2: "twice"}.get(result.gaps, f"{result.gaps} times")
        self._file.set_text(f"The tool was lost {times}; that time is not counted. {where}" if result.gaps else where)
        self.set_simulated(result.snapshot.simulated)

    def arrange(self) -> None:
        """Words at the top, four figures in a row, the file, buttons at the foot."""
        width, height = self.page_width, self.page_height
        foot = height - 100
        self.place(self._site, MARGIN, 28, 700, 32)
        self.place(self._head, MARGIN, 104, width - 2 * MARGIN, 72)
        self.place(self._why, MARGIN, 180, width - 2 * MARGIN, 60)
        step = (width - 2 * MARGIN + 20) / len(self._figures)
        top = max(248.0, (foot + 184) / 2 - 152)
        for at, figure in enumerate(self._figures):
            self.place(figure, MARGIN + at * step, top, step - 20, FIGURE_SIZE[1])
        top += FIGURE_SIZE[1] + 20
        self.place(self._trace, MARGIN, top, width - 2 * MARGIN, 96)
        self.place(self._file, MARGIN, top + 114, width - 2 * MARGIN, 44)
        self.place(self._again, width - MARGIN - 300, foot, 300, 72)
        self.place(self._other, MARGIN, foot, 240, 72)
