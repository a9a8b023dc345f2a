"""The way through a calibration: choice, live picture, verdict, writing. Made when somebody wants to calibrate.

Owns its three views; the bridge is handed in and asked. It never decides whether a calibration is good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from nexuslink.app.asked import SIMULATED_CODE, Asked
from nexuslink.app.bridge import Bridge
from nexuslink.app.views.calibrate import CalibrateView
from nexuslink.app.views.choose import CHOICES, ChooseView
from nexuslink.app.views.verdict import VerdictView
from nexuslink.app.window import Window

if TYPE_CHECKING:
    from nexuslink.app.bench import Concluded

SIMULATED_MASSES: Final = "0.5 1.5 3 6 11"
"""What the simulated hand puts on, in kilograms."""
SIMULATED_CHECK: Final = "0.5"


class Wizard(QObject):
    """``left``: back to the tools."""

    left = Signal()

    def __init__(self, window: Window, bridge: Bridge) -> None:
        super().__init__(window)
        self._window, self._bridge = window, bridge
        self._simulated = False
        self._asked: Asked | None = None
        self._running = False
        self.choose = ChooseView(window)
        self.calibrate = CalibrateView(window)
        self.verdict = VerdictView(window)
        for view in (self.choose, self.calibrate, self.verdict):
            window.add(view)
        self.choose.begin.connect(self._begin)
        self.choose.back.connect(self.left)
        self.calibrate.undo.connect(bridge.undo)
        self.calibrate.leave.connect(self._give_up)
        self.calibrate.again.connect(self._again)
        self.verdict.write.connect(bridge.write)
        self.verdict.again.connect(self._again)
        self.verdict.leave.connect(self._to_choice)
        bridge.described.connect(self.choose.show_about)
        bridge.calibrating.connect(self._begun)
        bridge.calibrated.connect(self._concluded)
        bridge.written.connect(self.verdict.show_written)
        bridge.failed.connect(self._failed)
        bridge.pictures.ready.connect(self._look)

    def enter(self, simulated: bool) -> None:
        """A tool is connected: what is to be calibrated?"""
        self._simulated = simulated
        for view in (self.choose, self.calibrate, self.verdict):
            view.set_simulated(simulated)
        self.choose.suggest(SIMULATED_MASSES if simulated else "", SIMULATED_CHECK if simulated else "")
        self._to_choice()

    # -- wishes ---------------------------------------------------------------------------------------------------

    def _to_choice(self) -> None:
        self.choose.show_ready()
        self._bridge.ask_about()
        self._window.go(self.choose)

    def _begin(self, asked: Asked) -> None:
        self._asked = asked
        self._running = False
        self.choose.show_starting()
        self._bridge.calibrate(asked)

    def _again(self) -> None:
        if self._asked is not None:
            self._begin(self._asked)
            self._show_live()

    def _give_up(self) -> None:
        self._running = False
        self._bridge.give_up()
        self._to_choice()

    # -- what the bridge says -------------------------------------------------------------------------------------

    def _begun(self) -> None:
        self._running = True
        if self._window.view is not self.calibrate:
            self._show_live()
        self._look()

    def _show_live(self) -> None:
        asked = self._asked
        name = next(choice.title for choice in CHOICES if asked is not None and choice.name == asked.choice)
        self.calibrate.begin(name, self._simulated)
        self._window.go(self.calibrate)

    def _look(self) -> None:
        if self._running and self._window.view is self.calibrate:
            self.calibrate.refresh(self._bridge.log)

    def _concluded(self, concluded: Concluded) -> None:
        if not self._running:  # given up: the archive has it, nobody here wants it
            return
        self._running = False
        if concluded.broken:
            self.calibrate.fail(concluded.broken, concluded.lost)
            return
        checked = self._asked is not None and self._asked.choice == "check"
        code = SIMULATED_CODE if concluded.simulated else None
        self.verdict.show_end(self._bridge.log, concluded.picture, concluded.changes, checked, code)
        self._window.go(self.verdict)

    def _failed(self, what: str, message: str) -> None:
        view = self._window.view
        if what in ("calibrate", "about") and view is self.choose:
            self.choose.show_failed(message)
        elif what == "calibrate" and view is self.calibrate:
            self.calibrate.fail(message, lost=True)
        elif what in ("calibration", "undo") and self._running:
            self._running = False
            self.calibrate.fail(message, lost=False)
        elif what == "write":
            self.verdict.show_failed(message)
