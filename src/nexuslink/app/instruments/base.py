"""What every painted thing in the window shares: its colours, its unit, and which way up it is.

An instrument is handed values and paints them; it holds no session and no timer. ``turned`` paints it upside down
(the person may lie with the head at the foot of the screen); the page that owns it mirrors its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QWidget

from nexuslink.app.theme import DARK, Tokens, colour, type_px

if TYPE_CHECKING:
    _Base = QWidget
else:
    _Base = object


class Painted(_Base):
    """Mixed into a QWidget: dress it, then it paints itself in ``draw``, in its own upright coordinates."""

    tokens: Tokens = DARK
    unit: float = 1.0  # logical pixels to one design pixel
    turned: bool = False
    dirty: QRectF = QRectF()  # what is being painted now, own upright coordinates
    paints: int = 0

    def dress(self, tokens: Tokens, unit: float, turned: bool = False) -> None:
        """Wear these colours at this size; repaints only when something is different."""
        if (tokens, unit, turned) != (self.tokens, self.unit, self.turned):
            self.tokens, self.unit, self.turned = tokens, unit, turned
            self.dressed()
            self.update()

    def dressed(self) -> None:
        """Colours or size have changed: throw away what was drawn in advance."""

    def px(self, design: float) -> int:
        """Design pixels to whole logical pixels, at least one."""
        return max(1, round(design * self.unit))

    def type_px(self, size: float) -> int:
        """A size of type in logical pixels, never too small to be read."""
        return type_px(size, self.unit)

    def draw(self, painter: QPainter) -> None:
        """Paint the whole instrument; the painter is clipped to what is out of date."""
        raise NotImplementedError

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Paint the ground, then the instrument, upright or turned."""
        self.paints += 1
        self.dirty = self._upright(QRectF(event.rect()))
        painter = QPainter(self)
        # Beyond the edge, which at 150 % lies within a pixel: half of what was there before would shine through.
        painter.fillRect(event.rect().adjusted(-1, -1, 1, 1), colour(self.tokens.ground))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._turn(painter)
        self.draw(painter)
        painter.end()

    def layer(self, draw: Callable[[QPainter], None]) -> QPixmap:
        """What never changes, drawn once by ``draw`` on the ground; show it with ``blit``."""
        ratio = self.devicePixelRatioF()
        made = QPixmap(max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio)))
        made.setDevicePixelRatio(ratio)
        made.fill(colour(self.tokens.ground))
        painter = QPainter(made)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._turn(painter)
        draw(painter)
        painter.end()
        return made

    def sticker(self, text: str, letters: QFont, ink: str, paper: str) -> QPixmap:
        """A line of text on its own piece of paper: setting type costs more than all else that moves."""
        ratio = self.devicePixelRatioF()
        metrics = QFontMetricsF(letters)
        width, height = math.ceil(metrics.horizontalAdvance(text)) + 2, math.ceil(metrics.height())
        made = QPixmap(round(width * ratio), round(height * ratio))
        made.setDevicePixelRatio(ratio)
        made.fill(colour(getattr(self.tokens, paper)))
        painter = QPainter(made)
        painter.setFont(letters)
        painter.setPen(colour(getattr(self.tokens, ink)))
        painter.drawText(QRectF(0, 0, width, height), Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()
        return made

    def blit(self, painter: QPainter, layer: QPixmap) -> None:
        """Copy a ``layer``. It was turned when drawn: copying it turned would resample every pixel."""
        turned = painter.worldTransform()
        painter.resetTransform()
        painter.drawPixmap(0, 0, layer)
        painter.setWorldTransform(turned)

    def _turn(self, painter: QPainter) -> None:
        if self.turned:
            painter.translate(self.width(), self.height())
            painter.rotate(180)

    def touch(self, area: QRectF) -> None:
        """Repaint ``area`` (own upright coordinates) and no more."""
        self.update(self._upright(area).toAlignedRect())

    def _upright(self, area: QRectF) -> QRectF:
        """From widget to upright coordinates, or back."""
        if not self.turned:
            return area
        return QRectF(self.width() - area.right(), self.height() - area.bottom(), area.width(), area.height())


class Instrument(Painted, QWidget):
    """Something painted that cannot be pressed."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def say(self, description: str) -> None:
        """What a screen reader finds here now."""
        if description != self.accessibleDescription():
            self.setAccessibleDescription(description)


class Pressable(Painted, QAbstractButton):
    """Something painted that can be pressed, by mouse, by key or by a screen reader."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(name)
        self.setAccessibleName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.toggled.connect(self._chosen)

    def _chosen(self, chosen: bool) -> None:
        group = self.group()
        if chosen and group is not None:
            one_tab_stop(group)

    def focus_frame(self, painter: QPainter, radius: float, inset: float = 0.0, ink: str = "focus") -> None:
        """The ring round the control that has the keyboard; ``inset`` inside a frame that says something else."""
        if self.hasFocus():
            width = self.px(3)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour(getattr(self.tokens, ink)), width))
            edge = width / 2 + inset
            radius = max(0.0, radius - inset)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(edge, edge, -edge, -edge), radius, radius)


def one_tab_stop(group: QButtonGroup) -> None:
    """The Tab key goes to what is chosen of a group and then past it; Qt itself would stop at the first."""
    chosen = group.checkedButton()
    for button in group.buttons():
        reached = chosen is None or button is chosen
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus if reached else Qt.FocusPolicy.ClickFocus)


def blend(first: str, second: str, share: float) -> QColor:
    """A colour ``share`` of the way from one token to another."""
    a, b = colour(first), colour(second)
    return QColor(
        round(a.red() + (b.red() - a.red()) * share),
        round(a.green() + (b.green() - a.green()) * share),
        round(a.blue() + (b.blue() - a.blue()) * share),
    )
