"""The page of the connect view: its parts and where each one goes. Which tools there are and what is said of them is
the view's.

On the path to the first window: imports Qt and nothing heavy, and makes the parts that come later when they do.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.button import Button, Weight
from nexuslink.app.instruments.text import Text
from nexuslink.app.instruments.tool_picture import SIZE as PICTURE_SIZE
from nexuslink.app.instruments.tool_picture import ToolPicture
from nexuslink.app.theme import MARGIN, Type
from nexuslink.app.views.base import Part, View

if TYPE_CHECKING:
    from nexuslink.app.instruments.field import Field
    from nexuslink.app.instruments.guide import Guide
    from nexuslink.app.instruments.tool_shelf import ToolShelf

_LIST = (40, 186, 660)  # design pixels
_GUIDE = 500
_GUIDE_TOP = 84  # under the badge
_FIELD = 76
_FOOT = 100
_ASIDE = 48


class ConnectPage(View):
    """Title and list on the left, the tool's picture or what to do on the right, buttons at the foot.

    ``touched_list``: a person has chosen a tool on the list. ``changed_list``: another one is chosen, by whomever.
    """

    title = "Which tool?"
    touched_list = Signal()
    changed_list = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._head = self.add(Text(self.title, Type.BIG, bold=True, parent=self))
        self._lead = self.add(Text("", Type.MID, ink="mute", parent=self))
        self._note = self.add(Text("", Type.SMALL, ink="mute", wrap=True, parent=self, align=Qt.AlignmentFlag.AlignTop))
        self._picture = self.add(ToolPicture(self))
        self._hint = self.add(Text("? shows the keys", Type.SMALL, ink="mute", parent=self))
        self._cancel = self.add(Button("Cancel", Weight.QUIET, key="Esc", parent=self))
        self._rename = self.add(Button("Rename", Weight.QUIET, key="F2", parent=self, size=Type.SMALL))
        self._forget = self.add(Button("Forget", Weight.QUIET, key="Del", parent=self, size=Type.SMALL))
        self._calibrate = self.add(Button("Calibrate", Weight.QUIET, key="C", parent=self))
        self._connect = self.add(Button("Connect", Weight.MAIN, key="Enter", parent=self))

    # -- parts that not every window needs ------------------------------------------------------------------------

    @cached_property
    def _shelf(self) -> ToolShelf:
        from nexuslink.app.instruments.tool_shelf import ToolShelf

        shelf = ToolShelf(self.add, self._parts.remove, self)
        shelf.touched.connect(self.touched_list)
        shelf.changed.connect(self.changed_list)
        shelf.show()
        return shelf

    @cached_property
    def _guide(self) -> Guide:
        from nexuslink.app.instruments.guide import Guide

        return self._late(Guide(self))

    @cached_property
    def _name(self) -> Field:
        from nexuslink.app.instruments.field import Field

        name = self._late(Field("Name", "", self))
        self.setTabOrder(name.line, self._connect)
        return name

    def _late(self, part: Part) -> Part:
        part.hide()
        part.dress(self.tokens, self.unit, self.turned)
        return self.add(part)

    def _has(self, part: str) -> bool:
        """That part has been made."""
        return part in self.__dict__

    def order(self) -> None:
        """The Tab key goes as the eye does: list, name, what to do, and the quiet buttons last."""
        parts: list[QWidget] = [*self._shelf.cards, *([self._name.line] if self._has("_name") else [])]
        parts += [self._connect, self._calibrate, self._rename, self._forget, self._cancel]
        for one, other in pairwise(parts):
            self.setTabOrder(one, other)

    def redress(self) -> None:
        """The list's own ground, too."""
        super().redress()
        if self._has("_shelf"):
            self._shelf.dress(self.tokens, self.unit)

    # -- places ---------------------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """Title and list on the left, the tool's picture or what to do on the right, buttons at the foot."""
        x, _, list_width = _LIST
        width, height = PICTURE_SIZE
        self.place(self._head, MARGIN, 64, 700, 66)
        self.place(self._lead, MARGIN, 130, list_width, 34)
        middle = (x + list_width + self.page_width - MARGIN) / 2 + 12
        self.place(self._picture, middle - width / 2, (self.page_height - height) / 2 - 24, width, height)
        if self._has("_shelf"):
            self._place_shelf()
        if self._has("_guide"):
            self._place_guide()
        self._place_foot()

    def _place_shelf(self) -> None:
        """The list, and under it what else is to be said."""
        x, y, width = _LIST
        aside = _ASIDE if self._note.isVisibleTo(self) else 0
        height = self._shelf.height_for(self.page_height - _FOOT - 32 - y - aside)
        self.place(self._shelf, x, y, width, height)
        self.place(self._note, x + 4, y + height, width - 8, _ASIDE)
        self._shelf.lay(self.unit)

    def _place_guide(self) -> None:
        x, y, list_width = _LIST
        left = max(x + list_width + 40, (x + list_width + self.page_width - MARGIN - _GUIDE) / 2)
        asks = self._has("_name") and self._name.isVisibleTo(self)
        bottom = self.page_height - _FOOT - 24 - (_FIELD + 16 if asks else 0)
        self._guide.dress(self.tokens, self.unit, self.turned)
        height = min(bottom - _GUIDE_TOP, self._guide.height_for(_GUIDE * self.unit) / self.unit)
        top = min(y, bottom - height)  # a long word begins higher than the list does
        self.place(self._guide, left, top, _GUIDE, height)
        if asks:
            self.place(self._name, left, top + height + 16, _GUIDE, _FIELD)

    def _place_foot(self) -> None:
        """The quiet buttons stand at the left, as many as there are."""
        width, foot = self.page_width, self.page_height - _FOOT
        self.place(self._connect, width - MARGIN - 300, foot, 300, 72)
        self.place(self._calibrate, width - MARGIN - 300 - 232, foot, 216, 72)
        left = float(MARGIN)
        for button, least, tall in ((self._cancel, 176.0, 72), (self._rename, 152.0, 44), (self._forget, 152.0, 44)):
            if button.isVisibleTo(self):
                breadth = max(least, button.breadth())
                self.place(button, left, foot + (72 - tall) / 2, breadth, tall)
                left += breadth + 16
        self.place(self._hint, left + 4, foot, self._hint.breadth(), 72)
