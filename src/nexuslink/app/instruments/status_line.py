"""The small grey line at the foot of a hold: rate, loss, latency, battery, recording time, sound.

What is wrong is set in the warning colour with a mark before it; all else recedes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument
from nexuslink.app.theme import Type, colour, font
from nexuslink.app.words import clock, percent

if TYPE_CHECKING:
    from nexuslink.app.link_words import Figures
    from nexuslink.live.pipeline import LinkQuality

_LOSS_WARN = 0.005  # share of messages [A]
_LATENCY_WARN_MS = 100.0  # [A]
_BATTERY_WARN = 15  # per cent [A]
_GAP = 26  # design pixels between two entries


class Entry(NamedTuple):
    """One figure; a ``bad`` one is marked."""

    text: str
    bad: bool = False


def entries(
    link: LinkQuality,
    recording_s: float,
    recording: bool,
    sound: str,
    doubt: str = "",
    figures: Figures | None = None,
    expert: bool = False,
    away: bool = False,
) -> tuple[Entry, ...]:
    """The figures of one moment, in the order in which they are shown. A doubt takes the place of most of them.

    ``figures``: of the connection, where they are known; most of them for the ``expert`` only. ``away``: the tool is
    being brought back, and figures from before would be misread.
    """
    recorded = Entry(f"recording {clock(recording_s)}" if recording else "not recording", not recording)
    if away:
        return (Entry("no connection", True), recorded, Entry(sound))
    if doubt:
        return (Entry(doubt, True), recorded)
    latency = (
        Entry("– ms")
        if math.isnan(link.latency_ms)
        else Entry(f"{link.latency_ms:.0f} ms", link.latency_ms >= _LATENCY_WARN_MS)
    )
    battery = (
        Entry("battery –")
        if link.battery_percent is None
        else Entry(f"battery {link.battery_percent} %", link.battery_percent <= _BATTERY_WARN)
    )
    rates = " + ".join("–" if math.isnan(rate) else f"{rate:.0f}" for rate in (link.force_rate_hz, link.imu_rate_hz))
    loss = Entry(f"loss {percent(link.loss_fraction, 1)}", link.loss_fraction >= _LOSS_WARN)
    poor = Entry(figures.poor, True) if figures is not None and figures.poor else None
    if figures is None or not expert:
        return (Entry(f"{rates} samples/s"), poor or loss, latency, battery, recorded, Entry(sound))
    more = tuple(Entry(text) for text in figures.more)
    return (
        *((poor,) if poor is not None else ()),
        Entry(figures.way),
        Entry(f"{rates} samples/s"),
        loss,
        latency,
        *more,
        battery,
        recorded,
        Entry(sound),
    )


class StatusLine(Instrument):
    """Figures about the link, changed twice a second at most so that they can be read."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Link and recording", parent)
        self._entries: tuple[Entry, ...] = ()

    @property
    def text(self) -> str:
        """All of it as one line."""
        return ", ".join(entry.text for entry in self._entries)

    def feed(self, shown: tuple[Entry, ...]) -> None:
        """Show these figures."""
        if shown != self._entries:
            self._entries = shown
            self.say(self.text)
            self.update()

    def draw(self, painter: QPainter) -> None:
        """The figures, from the left; in two rows if they need more than one, smaller if those do not hold them."""
        gap = _GAP * self.unit
        texts = [f"▲ {entry.text}" if entry.bad else entry.text for entry in self._entries]
        letters = font(self.type_px(Type.SMALL))
        widths = [QFontMetricsF(letters).horizontalAdvance(text) + gap for text in texts]
        needed = sum(widths)
        if (
            len(self._entries) == 2 and self._entries[0].bad and needed > self.width()
        ):  # a reason is read, not made small
            painter.setFont(letters)
            painter.setPen(colour(self.tokens.warn))
            both = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), both, texts[0])
            return
        rows = [range(len(texts))]
        if needed > self.width() + gap:
            cut = _cut(widths)
            rows = [range(cut), range(cut, len(texts))]
            needed = max(sum(widths[:cut]), sum(widths[cut:]))
        if needed > self.width() + gap:
            shrink = self.width() / needed
            letters, gap = font(int(self.type_px(Type.SMALL) * shrink)), gap * shrink
        painter.setFont(letters)
        metrics = QFontMetricsF(letters)
        line = min(self.height() / len(rows), 1.6 * metrics.height())
        top = (self.height() - line * len(rows)) / 2
        for number, row in enumerate(rows):
            left = 0.0
            for at in row:
                width = metrics.horizontalAdvance(texts[at])
                painter.setPen(colour(self.tokens.warn if self._entries[at].bad else self.tokens.mute))
                box = QRectF(left, top + number * line, width + 2, line)
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, texts[at])
                left += width + gap


def _cut(widths: list[float]) -> int:
    """Where to break a row in two, so that the longer half is as short as can be."""
    return min(range(1, max(2, len(widths))), key=lambda at: max(sum(widths[:at]), sum(widths[at:])))
