"""What a person types or switches: a line with its label, and a row of few words of which one is chosen."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPalette, QPen
from PySide6.QtWidgets import QLineEdit, QWidget

from nexuslink.app.instruments.base import Instrument, Pressable
from nexuslink.app.theme import RADIUS, Type, colour, fitted, font

LABEL = 28  # design pixels above the box
HEIGHT = LABEL + 48


class Field(Instrument):
    """A labelled line of text. ``edited`` carries what stands in it now."""

    edited = Signal(str)

    def __init__(self, label: str, hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(label, parent)
        self._label = label
        self._bad = False
        self._line = QLineEdit(self)
        self._line.setFrame(False)
        self._line.setAccessibleName(label)
        self._line.setPlaceholderText(hint)
        self._line.setMaxLength(120)
        self._line.textEdited.connect(self.edited)
        self._line.installEventFilter(self)
        self.setFocusProxy(self._line)
        self.dressed()  # else it would not be before the first change of colours or size

    @property
    def text(self) -> str:
        """What was typed."""
        return self._line.text()

    @property
    def line(self) -> QLineEdit:
        """The stock widget inside, for focus and for tests."""
        return self._line

    def set_text(self, text: str) -> None:
        """Put something in."""
        if text != self._line.text():
            self._line.setText(text)

    def set_label(self, label: str) -> None:
        """Another label."""
        if label != self._label:
            self._label = label
            self.setAccessibleName(label)
            self._line.setAccessibleName(label)
            self.update()

    def set_hint(self, hint: str) -> None:
        """What stands in it while it is empty."""
        self._line.setPlaceholderText(hint)

    def set_bad(self, bad: bool) -> None:
        """Mark what cannot be used."""
        if bad != self._bad:
            self._bad = bad
            self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """The frame shows who has the keyboard."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        return False

    def dressed(self) -> None:
        """The line wears the same."""
        tokens = self.tokens
        clothes = self._line.palette()
        role = QPalette.ColorRole
        for which, token in (
            (role.Base, tokens.panel), (role.Text, tokens.text), (role.PlaceholderText, tokens.mute),
            (role.Highlight, tokens.in_fill), (role.HighlightedText, tokens.on_fill),
        ):  # fmt: skip
            clothes.setColor(which, colour(token))
        self._line.setPalette(clothes)
        self._line.setFont(font(self.type_px(Type.MID)))
        self._place()

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        """The line keeps inside its box."""
        self._place()

    def _box(self) -> QRectF:
        return QRectF(0, LABEL * self.unit, self.width(), self.height() - LABEL * self.unit)

    def _place(self) -> None:
        inner = self._box().adjusted(14 * self.unit, 5 * self.unit, -14 * self.unit, -5 * self.unit)
        self._line.setGeometry(inner.toRect())

    def draw(self, painter: QPainter) -> None:
        """Label and box."""
        tokens, unit = self.tokens, self.unit
        painter.setPen(colour(tokens.mute))
        painter.setFont(fitted(self._label, self.type_px(Type.SMALL), self.width()))
        painter.drawText(QRectF(0, 0, self.width(), (LABEL - 6) * unit), Qt.AlignmentFlag.AlignVCenter, self._label)
        focused = self._line.hasFocus()
        width = self.px(3 if focused or self._bad else 1.5)
        ink = tokens.warn if self._bad else tokens.focus if focused else tokens.mute
        painter.setPen(QPen(colour(ink), width))
        painter.setBrush(colour(tokens.panel))
        half = width / 2
        painter.drawRoundedRect(self._box().adjusted(half, half, -half, -half), self.px(RADIUS), self.px(RADIUS))


class Segment(Pressable):
    """One word of a row; put those of a row into one exclusive group, side by side."""

    def __init__(self, word: str, parent: QWidget | None = None) -> None:
        super().__init__(word, parent)
        self.setCheckable(True)

    def draw(self, painter: QPainter) -> None:
        """The chosen one stands out by its frame, its weight and its ground."""
        tokens = self.tokens
        chosen = self.isChecked()
        width = self.px(3 if chosen else 1.5)
        box = QRectF(self.rect()).adjusted(width / 2, width / 2, -width / 2, -width / 2)
        painter.setBrush(colour(tokens.in_soft if chosen else tokens.panel))
        painter.setPen(QPen(colour(tokens.in_ if chosen else tokens.line), width))
        painter.drawRoundedRect(box, self.px(RADIUS), self.px(RADIUS))
        painter.setPen(colour(tokens.text))
        painter.setFont(fitted(self.text(), self.type_px(Type.SMALL), int(box.width() - 8), bold=chosen))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.text())
        self.focus_frame(painter, self.px(RADIUS), inset=self.px(6) if chosen else 0)
