"""The sheet that "?" shows: every key and what it does."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import QDialog, QWidget

from nexuslink.app.instruments.text import Text
from nexuslink.app.theme import Tokens, Type, colour

KEYS = (
    ("Space", "Stop the hold"),
    ("Esc", "Stop, or go back"),
    ("Enter", "The main button"),
    ("Up, Down", "Choose a tool"),
    ("C", "Calibrate the chosen tool"),
    ("F2, Del", "Rename it, forget it"),
    ("Backspace", "Calibrating: undo the last reading"),
    ("M", "Sound on or off"),
    ("L", "More about the link"),
    ("R", "Turn the hold upside down"),
    ("F", "Full screen"),
    ("?", "This sheet"),
)
_ROW = 44
_SIZE = (680, 96 + _ROW * len(KEYS) + 24)  # design pixels


class KeysSheet(QDialog):
    """Closed by Escape, or by ? again."""

    def __init__(self, tokens: Tokens, unit: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setAccessibleName("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._unit = unit
        clothes = self.palette()
        clothes.setColor(QPalette.ColorRole.Window, colour(tokens.ground))
        self.setPalette(clothes)
        self._head = Text("Keys", Type.BIG, bold=True, parent=self)
        self._rows = [
            (Text(key, Type.MID, bold=True, parent=self), Text(what, Type.MID, ink="mute", parent=self))
            for key, what in KEYS
        ]
        for part in (self._head, *(text for row in self._rows for text in row)):
            part.dress(tokens, unit)
        self.setFixedSize(*(round(side * unit) for side in _SIZE))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Two columns under the title."""
        unit = self._unit
        self._head.setGeometry(round(40 * unit), round(16 * unit), round(400 * unit), round(72 * unit))
        for at, (key, what) in enumerate(self._rows):
            top = round((96 + at * _ROW) * unit)
            key.setGeometry(round(40 * unit), top, round(150 * unit), round(_ROW * unit))
            what.setGeometry(round(200 * unit), top, round(440 * unit), round(_ROW * unit))
