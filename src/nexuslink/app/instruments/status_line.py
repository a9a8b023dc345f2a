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
    from nexuslink.live.pipeline import LinkQuality

_LOSS_WARN = 0.005  # share of messages [A]
_LATENCY_WARN_MS = 100.0  # [A]
_BATTERY_WARN = 15  # per cent [A]
_GAP = 26  # design pixels between two entries


class Entry(NamedTuple):
    """One figure; a ``bad`` one is marked."""

    text: str
    bad: bool = False


def entries(link: LinkQuality, recording_s: float, recording: bool, sound: str, doubt: str = "") -> tuple[Entry, ...]:
    """The figures of one moment, in the order in which they are shown. A doubt takes the place of most of them."""
    recorded = Entry(f"recording {clock(recording_s)}" if recording else "not recording", not recording)
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
    return (
        Entry(f"{rates} samples/s"),
        Entry(f"loss {percent(link.loss_fraction, 1)}", link.loss_fraction >= _LOSS_WARN),
        latency,
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
        """The figures, from the left; all of them a size smaller if they would not fit."""
        gap = _GAP * self.unit
        texts = [f"▲ {entry.text}" if entry.bad else entry.text for entry in self._entries]
        letters = font(self.px(Type.SMALL))
        needed = sum(QFontMetricsF(letters).horizontalAdvance(text) + gap for text in texts)
        if self._entries and self._entries[0].bad and needed > self.width():  # a reason is read, not made small
            painter.setFont(letters)
            painter.setPen(colour(self.tokens.warn))
            both = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), both, texts[0])
            return
        if needed > self.width():
            shrink = self.width() / needed
            letters, gap = font(int(self.px(Type.SMALL) * shrink)), gap * shrink
        painter.setFont(letters)
        metrics = QFontMetricsF(letters)
        left = 0.0
        for entry, text in zip(self._entries, texts, strict=True):
            width = metrics.horizontalAdvance(text)
            painter.setPen(colour(self.tokens.warn if entry.bad else self.tokens.mute))
            painter.drawText(QRectF(left, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
            left += width + gap
