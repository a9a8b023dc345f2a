"""Which tool: the list kept new while it is shown, connecting and what became of it, and going away on purpose.

A known tool that is the only one near is connected to unasked when the program starts; Escape ends that, as it ends
every connecting. On the path to the first paint: imports Qt and the connect view, nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from nexuslink.app.views.connect import ConnectView
from nexuslink.app.window import Window

if TYPE_CHECKING:
    from nexuslink.app.bridge import Bridge
    from nexuslink.app.nearby import Near, NearTool
    from nexuslink.device.progress import Progress
    from nexuslink.device.verdict import Verdict


class Finding(QObject):
    """``opened``: connected (simulated, to be calibrated)."""

    opened = Signal(bool, bool)

    def __init__(self, window: Window, url: str | None) -> None:
        super().__init__(window)
        self._window = window
        self._bridge: Bridge | None = None
        self._opening = ""
        self._to_calibrate = False
        self._unasked = url is None
        """Nobody has said anything yet about which tool it is to be."""
        view = self.view = ConnectView(window)
        view.picked.connect(self.open)
        view.calibrate.connect(self.open_to_calibrate)
        view.stopped.connect(self.stop)
        window.add(view)
        if url is not None:
            view.show_connecting(url)
        else:
            view.show_looking()
        window.go(view)

    def begin(self, bridge: Bridge) -> None:
        """The loop stands."""
        self._bridge = bridge
        self.view.renamed.connect(bridge.rename)
        self.view.forgotten.connect(bridge.forget)
        bridge.tools_near.connect(self._near)
        bridge.alone.connect(self._alone)
        bridge.opened.connect(self._opened)
        bridge.unreached.connect(self._unreached)
        bridge.progressed.connect(self._progressed)

    # -- wishes ---------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look for tools, again and again."""
        if self._bridge is not None:
            self.view.show_looking()
            self._bridge.look()

    def open(self, url: str) -> None:
        """Connect."""
        self._to_calibrate = False
        self._unasked = False
        if self._bridge is not None:
            self._opening = url
            self.view.show_connecting(url)
            self._bridge.open(url)

    def open_to_calibrate(self, url: str) -> None:
        """Connect, to calibrate then."""
        self.open(url)
        self._to_calibrate = True

    def stop(self) -> None:
        """Not this one."""
        if self._opening:
            self.leave()

    def leave(self) -> None:
        """Go away from the tool on purpose, back to the list."""
        self._opening = ""
        self._unasked = False
        self._window.go(self.view)
        if self._bridge is not None:
            self._bridge.leave()
            self.look()

    # -- what the bridge says -------------------------------------------------------------------------------------

    def _near(self, near: Near) -> None:
        if not self._opening:
            self.view.show_near(near)

    def _alone(self, tool: NearTool) -> None:
        if self._unasked and not self.view.touched:
            self.open(tool.url)

    def _opened(self, simulated: bool) -> None:
        self._opening = ""
        self.opened.emit(simulated, self._to_calibrate)

    def _unreached(self, verdict: Verdict | None, message: str) -> None:
        from nexuslink.device.next_steps import next_step

        self._opening = ""
        self._window.go(self.view)
        self.view.show_failed(message, next_step(verdict) if verdict is not None else None)
        if self._bridge is not None:
            self._bridge.look()

    def _progressed(self, progress: Progress) -> None:
        if not self._opening:
            return
        from nexuslink.device.course import State
        from nexuslink.device.next_steps import next_step, pairing_step

        if progress.state is State.PAIRING:
            self.view.show_progress(progress.state, pairing_step(progress.number))
            return
        self.view.show_progress(progress.state, next_step(progress.verdict) if progress.verdict is not None else None)
