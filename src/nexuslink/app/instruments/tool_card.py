"""One tool to choose: its name, its serial number, how it is reached, how well it is heard, and what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.badge import WORD, paint_badge
from nexuslink.app.instruments.base import Pressable
from nexuslink.app.instruments.signs import Sign, paint_bars, paint_sign
from nexuslink.app.theme import RADIUS, Type, colour, fitted, font

if TYPE_CHECKING:
    from nexuslink.app.near_list import NearTool

_LEFT = 64  # design pixels
_SIGNAL = 76
_SMALLEST = 0.75  # a name shrinks to this share of its size before it is cut short
_STRENGTH = ("", "weak", "fair", "good", "strong")  # by bars
AWAY = "not near now"
_START = Qt.AlignmentFlag.AlignVCenter
_END = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_MIDDLE = Qt.AlignmentFlag.AlignCenter


def details(tool: NearTool) -> tuple[str, ...]:
    """The line under a tool's name; then what is left of it where there is less and less room."""
    bond = ""
    if "Bluetooth" in tool.carriers:
        bond = {True: "paired", False: "not paired yet", None: ""}[tool.bonded]
    serial = (tool.serial_number or "") if tool.serial_number != tool.title else ""
    if tool.simulated and not tool.carriers:
        return ("no hardware needed; shows a good hold", "no hardware needed")
    known = tool.last_seen or ("used before" if tool.remembered else "")
    carriers = " + ".join(tool.carriers)
    unpaired = "" if tool.bonded else bond
    fewer: tuple[tuple[str, ...], ...] = (
        (serial, carriers, bond, known),
        (serial, carriers, unpaired, known),
        (serial, unpaired, known),
        (serial, unpaired),
        (serial or carriers,),
    )
    return tuple(dict.fromkeys(" · ".join(word for word in words if word) for words in fewer))


def detail(tool: NearTool) -> str:
    """All of the line under a tool's name."""
    return details(tool)[0]


def signal_words(tool: NearTool) -> str:
    """How well it is heard, for whoever does not see the bars."""
    if not tool.present:
        return AWAY
    return f"signal {tool.bars} of 4" if tool.rssi_dbm is not None else ""


class ToolCard(Pressable):
    """``feed`` it with what is known now; it repaints only what has changed."""

    def __init__(self, tool: NearTool, parent: QWidget | None = None) -> None:
        super().__init__(tool.title, parent)
        self.setCheckable(True)
        self._tool = tool
        self._describe()

    @property
    def tool(self) -> NearTool:
        """What it shows."""
        return self._tool

    def feed(self, tool: NearTool) -> None:
        """The same tool, as it is now."""
        if tool != self._tool:
            self._tool = tool
            self._describe()
            self.update()

    def _describe(self) -> None:
        tool = self._tool
        self.setText(tool.title)
        self.setAccessibleName(tool.title)
        words = ("simulated" if tool.simulated else "", detail(tool), signal_words(tool), tool.trouble)
        self.setAccessibleDescription(". ".join(word for word in words if word))

    def draw(self, painter: QPainter) -> None:
        """Field, mark, name, line, signal."""
        tokens, tool, chosen = self.tokens, self._tool, self.isChecked()
        width = self.px(3 if chosen else 1.5)
        box = QRectF(self.rect()).adjusted(width / 2, width / 2, -width / 2, -width / 2)
        pen = QPen(colour(tokens.in_ if chosen else tokens.line), width)
        if not tool.present and not chosen:
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setBrush(colour(tokens.panel))
        painter.setPen(pen)
        painter.drawRoundedRect(box, self.px(RADIUS), self.px(RADIUS))
        self._draw_mark(painter, chosen)
        unit = self.unit
        left, right, half = _LEFT * unit, box.right() - 20 * unit, self.height() / 2
        aside = self._draw_signal(painter, QRectF(left, 0, right - left, self.height()))
        room = right - left - aside - (16 * unit if aside else 0)
        self._draw_title(painter, QRectF(left, 11 * unit, room, half - 5 * unit))
        line = QRectF(left, half + unit, room, half - 11 * unit)
        if tool.trouble:
            self._line(painter, line, (f"▲ {tool.trouble}",), tokens.warn)
        else:
            self._line(painter, line, details(tool), tokens.mute)
        self.focus_frame(painter, self.px(RADIUS), inset=self.px(6) if chosen else 0)

    def _draw_mark(self, painter: QPainter, chosen: bool) -> None:
        radius = 11 * self.unit
        x, y = 34 * self.unit, self.height() / 2
        painter.setPen(QPen(colour(self.tokens.in_ if chosen else self.tokens.mute), self.px(2)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QRectF(x - radius, y - radius, 2 * radius, 2 * radius))
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(self.tokens.in_))
            radius *= 0.55
            painter.drawEllipse(QRectF(x - radius, y - radius, 2 * radius, 2 * radius))

    def _draw_title(self, painter: QPainter, area: QRectF) -> None:
        """The name, and right behind it the badge of a simulated tool, which is never what is left out."""
        unit = self.unit
        letters = font(self.type_px(Type.MID), bold=True)
        small = font(self.type_px(Type.SMALL), bold=True)
        badge = QFontMetricsF(small).horizontalAdvance(WORD) + 28 * unit if self._tool.simulated else 0.0
        room = area.width() - (badge + 14 * unit if badge else 0.0)
        letters = fitted(self._tool.title, letters.pixelSize(), int(room), bold=True)
        if letters.pixelSize() < _SMALLEST * self.type_px(Type.MID):
            letters = font(round(_SMALLEST * self.type_px(Type.MID)), bold=True)
        name = QFontMetricsF(letters).elidedText(self._tool.title, Qt.TextElideMode.ElideRight, room)
        painter.setFont(letters)
        painter.setPen(colour(self.tokens.text if self._tool.present else self.tokens.mute))
        painter.drawText(area, _START, name)
        if badge:
            x = area.left() + QFontMetricsF(letters).horizontalAdvance(name) + 14 * unit
            height = 26 * unit
            tag = QRectF(x, area.center().y() - height / 2 + unit, badge, height)
            paint_badge(painter, tag, self.tokens, unit)

    def _line(self, painter: QPainter, area: QRectF, texts: tuple[str, ...], ink: str) -> None:
        """The first of ``texts`` that there is room for."""
        letters = font(self.type_px(Type.SMALL))
        metrics = QFontMetricsF(letters)
        text = next((one for one in texts if metrics.horizontalAdvance(one) <= area.width()), texts[-1])
        painter.setFont(letters)
        painter.setPen(colour(ink))
        painter.drawText(area, _START, metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width()))

    def _draw_signal(self, painter: QPainter, area: QRectF) -> float:
        """At the right a plug, or bars with their word under them, or that it is away; the room that it takes."""
        tokens, tool, unit = self.tokens, self._tool, self.unit
        letters = font(self.type_px(Type.SMALL))
        painter.setFont(letters)
        if not tool.present:
            painter.setPen(colour(tokens.mute))
            painter.drawText(area, _END, AWAY)
            return painter.fontMetrics().horizontalAdvance(AWAY)
        wide = _SIGNAL * unit
        middle = area.right() - wide / 2
        if "USB" in tool.carriers:
            paint_sign(
                painter, QRectF(middle - 17 * unit, 14 * unit, 34 * unit, 34 * unit), Sign.PLUG, colour(tokens.text)
            )
            words = "USB"
        elif tool.rssi_dbm is not None:
            ink = colour(tokens.warn if tool.bars <= 1 else tokens.text)
            signal = QRectF(middle - 22 * unit, 16 * unit, 44 * unit, 30 * unit)
            paint_bars(painter, signal, tool.bars, ink, colour(tokens.mute))
            words = _STRENGTH[max(1, min(4, tool.bars))]
        else:
            return 0.0
        painter.setPen(colour(tokens.mute))
        painter.drawText(QRectF(area.right() - wide, 50 * unit, wide, 24 * unit), _MIDDLE, words)
        return wide
