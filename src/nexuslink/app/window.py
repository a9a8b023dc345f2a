"""The window: one view at a time, one theme, one table of keys. What happens behind it is the flow's.

On the path to the first paint: imports Qt and the connect view, nothing heavy. The other views come when needed.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QStackedLayout, QWidget

from nexuslink.app.theme import Tokens, palette, pick
from nexuslink.app.views.base import View

MINIMUM = QSize(800, 450)  # 1280 x 720 at 160 %
NORMAL = QSize(1280, 720)


class Window(QWidget):
    """Shows views and turns keys into their actions.

    ``painted``: the window has been painted, all of it that was out of date. ``leaving``: it is being closed.
    ``mute``: the M key.
    """

    painted = Signal()
    leaving = Signal()
    mute = Signal()

    def __init__(self, theme: str = "system") -> None:
        super().__init__()
        self._theme = theme
        self.tokens: Tokens = pick(theme)
        self.setWindowTitle("nexuslink")
        self.setMinimumSize(MINIMUM)
        self.resize(NORMAL)
        self._pages = QStackedLayout(self)
        self._pages.setContentsMargins(0, 0, 0, 0)
        self._shortcuts: list[QShortcut] = []
        self._sheet: QWidget | None = None
        everywhere: dict[str, Callable[[], None]] = {
            "M": self.mute.emit,
            "F": self.toggle_full_screen,
            "?": self.show_keys,
        }
        for key, action in everywhere.items():
            self._bind(key, action, self)
        self._dress()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._scheme_changed)

    # -- views ----------------------------------------------------------------------------------------------------

    def add(self, view: View) -> None:
        """Take in a view; it is shown by ``go``."""
        view.dress(self.tokens)
        self._pages.addWidget(view)
        for key, action in view.keys.items():
            self._bind(key, action, view)

    def go(self, view: View) -> None:
        """Show a view and give it the keyboard."""
        self._pages.setCurrentWidget(view)
        self.setWindowTitle(f"nexuslink: {view.title}")
        view.setFocus()

    @property
    def view(self) -> View | None:
        """The view shown."""
        shown = self._pages.currentWidget()
        return shown if isinstance(shown, View) else None

    # -- keys -----------------------------------------------------------------------------------------------------

    def _bind(self, key: str, action: Callable[[], object], where: QWidget) -> None:
        shortcut = QShortcut(QKeySequence(key), where)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.setAutoRepeat(False)  # a key held down is one wish
        shortcut.activated.connect(action)
        self._shortcuts.append(shortcut)

    def toggle_full_screen(self) -> None:
        """Full screen and back."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def show_keys(self) -> None:
        """The sheet of keys. Opened, never executed: a nested loop would hold up the live window."""
        from nexuslink.app.views.keys import KeysSheet

        if self._sheet is None:
            view = self.view
            sheet = KeysSheet(self.tokens, view.unit if view else 1.0, self)
            self._bind("?", sheet.close, sheet)
            sheet.destroyed.connect(self._sheet_closed)
            self._sheet = sheet
            sheet.open()

    def _sheet_closed(self) -> None:
        self._sheet = None

    # -- looks ----------------------------------------------------------------------------------------------------

    def set_theme(self, theme: str) -> None:
        """``dark``, ``light`` or ``system``."""
        self._theme = theme
        self._dress()

    def _scheme_changed(self) -> None:
        if self._theme == "system":
            self._dress()

    def _dress(self) -> None:
        self.tokens = pick(self._theme)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.setPalette(palette(self.tokens))
        for view in self._views():
            view.dress(self.tokens)

    def _views(self) -> list[View]:
        pages = [self._pages.widget(at) for at in range(self._pages.count())]
        return [page for page in pages if isinstance(page, View)]

    # -- events ---------------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Tell when a paint is complete: Qt paints all that is out of date while it handles this one event."""
        handled = super().event(event)
        kind = event.type()
        if kind == QEvent.Type.UpdateRequest:
            self.painted.emit()
        elif (
            kind == QEvent.Type.DevicePixelRatioChange
        ):  # on to another screen: what was drawn in advance is too coarse
            for view in self._views():
                view.refresh_layers()
        return handled

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Whoever listens to ``leaving`` ends hold and tool, within its bounds, before the window goes."""
        self.leaving.emit()
        super().closeEvent(event)
