"""The way through the program: which view follows which, and what each wish of a view asks of the bridge.

Made before the first paint, so it imports nothing heavy; ``begin`` brings in the rest once the window stands.
"""

from __future__ import annotations

import gc
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from nexuslink.app.finding import Finding
from nexuslink.app.window import Window

if TYPE_CHECKING:
    from nexuslink.app.bridge import Bridge
    from nexuslink.app.sound import Cueing, Speaker
    from nexuslink.app.views.connect import ConnectView
    from nexuslink.app.views.hold import HoldView
    from nexuslink.app.views.prepare import PrepareView
    from nexuslink.app.views.result import ResultView
    from nexuslink.app.wizard import Wizard
    from nexuslink.device.discovery import Discovery
    from nexuslink.device.progress import Progress
    from nexuslink.device.remembered import RememberedTools
    from nexuslink.live.session import SessionResult
    from nexuslink.release.plans import Plan


class Flow(QObject):
    """Owns the views and the bridge of one window."""

    def __init__(
        self,
        window: Window,
        device_url: str | None = None,
        site: str | None = None,
        autostart: bool = False,
        recording_dir: Path | None = None,
        record: bool = True,
        still: bool = False,
        sound: bool = True,
        discovery: Discovery | None = None,
        remembered: RememberedTools | None = None,
    ) -> None:
        """``discovery`` and ``remembered``: the usual ones, see `Desk`."""
        super().__init__(window)
        self.window_ = window
        self._device_url = device_url
        self._site = site
        self._autostart = autostart
        self._recording_dir = recording_dir
        self._record = record
        self._still = still
        self._with_sound = sound
        self._known = (discovery, remembered)
        self._simulated = False
        self._plan: Plan | None = None
        self._result: SessionResult | None = None
        self.bridge: Bridge | None = None
        self.speaker: Speaker | None = None
        self._cueing: Cueing | None = None
        self.prepare: PrepareView | None = None
        self.hold: HoldView | None = None
        self.result: ResultView | None = None
        self.wizard: Wizard | None = None
        self.finding = Finding(window, device_url)
        self.finding.opened.connect(self._opened)
        window.leaving.connect(self.close)
        window.mute.connect(self.toggle_mute)

    @property
    def connect_view(self) -> ConnectView:
        """The list of tools."""
        return self.finding.view

    # -- after the first paint ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The window stands: bring in the loop, then look for tools or go straight to the one that was named."""
        from nexuslink.app.bridge import Bridge

        if self._record and self._recording_dir is None:
            self._recording_dir = default_recording_dir()
        bridge = self.bridge = Bridge(self._recording_dir if self._record else None, self, *self._known)
        self.finding.begin(bridge)
        bridge.progressed.connect(self._progressed)
        bridge.started.connect(self._started)
        bridge.ended.connect(self._ended)
        bridge.failed.connect(self._failed)
        bridge.throttle.ready.connect(self._refresh)
        if self._device_url is None or not self._site_known():
            bridge.look()
        else:
            self.finding.open(self._device_url)

    def _site_known(self) -> bool:
        """A site that was named must exist before a tool is asked for anything."""
        from nexuslink.release.errors import PlanError
        from nexuslink.release.plans import load_plan

        try:
            if self._site is not None:
                load_plan(self._site)
        except PlanError as error:
            self._site, self._autostart = None, False
            self.connect_view.show_failed(str(error))
            return False
        return True

    def close(self) -> None:
        """End hold, recording, tool, loop and sound, each within its bound."""
        bridge, self.bridge = self.bridge, None
        if bridge is not None:
            bridge.close()
        speaker, self.speaker = self.speaker, None
        if speaker is not None:
            speaker.close()

    # -- wishes ---------------------------------------------------------------------------------------------------

    def start(self, plan: Plan) -> None:
        """Begin a hold."""
        if self.bridge is None:
            return
        self._plan, self._result = plan, None
        self._hold_view()  # made while the tool starts
        if self.prepare is not None:
            self.prepare.show_starting()
        self.bridge.start(plan)

    def toggle_mute(self) -> None:
        """Sound on or off."""
        if self.speaker is not None:
            self.speaker.set_muted(not self.speaker.muted)
            if self.hold is not None:
                self.hold.set_sound(f"{self.speaker.status} (M)")
                self._refresh()

    def _again(self) -> None:
        if self._plan is not None:
            self.go_prepare()
            self.start(self._plan)

    def go_prepare(self) -> None:
        """To the sites."""
        view = self._prepare_view()
        view.set_simulated(self._simulated)
        view.show_ready()
        self.window_.go(view)

    def go_connect(self) -> None:
        """To the tools."""
        self.finding.leave()

    def _go_result(self) -> None:
        if self._result is None:
            return
        if self.result is None:
            from nexuslink.app.views.result import ResultView

            self.result = ResultView(self.window_)
            self.result.again.connect(self._again)
            self.result.other_site.connect(self.go_prepare)
            self.window_.add(self.result)
        self.result.show_result(self._result, self.bridge.ring if self.bridge else None)
        self.window_.go(self.result)

    def _broke(self) -> None:
        """Away from a hold that broke: whatever is left of it is ended, and another can begin."""
        self._stop()
        self.go_prepare()

    # -- what the bridge says -------------------------------------------------------------------------------------

    def _opened(self, simulated: bool, to_calibrate: bool) -> None:
        self._simulated = simulated
        if to_calibrate:
            self._the_wizard().enter(simulated)
            return
        view = self._prepare_view()
        if self._site is not None:
            view.pick(self._site)
        self.go_prepare()
        if self._autostart:
            self._autostart = False
            self.start(view.plan)

    def _progressed(self, progress: Progress) -> None:
        """The connection: news for whoever is shown."""
        if self.hold is not None:
            self.hold.hear(progress)
        if self.prepare is not None:
            from nexuslink.app.link_words import away, is_away

            self.prepare.show_link(away(progress) if is_away(progress) else "")

    def _started(self) -> None:
        view, plan = self._hold_view(), self._plan
        if plan is None:
            return
        if self.speaker is None and self._with_sound:
            from nexuslink.app.sound import Cueing, Speaker

            self.speaker, self._cueing = Speaker(), Cueing()
        view.begin(plan, self._simulated, self._record)
        self.window_.go(view)
        self._refresh()
        # A full collection looks at every object of every import, 45 ms with all threads waiting. What stands now will
        # stand until the end: left out, a collection in mid hold takes microseconds.
        gc.collect()
        gc.freeze()

    def _refresh(self) -> None:
        bridge, view = self.bridge, self.hold
        if bridge is None or view is None or bridge.snapshot is None or self.window_.view is not view:
            return
        snapshot = bridge.snapshot
        view.refresh(snapshot, bridge.ring)
        if self.speaker is not None and self._cueing is not None:
            from nexuslink.app.sound import cue_for

            moment_s = snapshot.t_us * 1e-6 + snapshot.link.silent_s
            due = self._cueing.update(cue_for(snapshot, view.stale), moment_s, view.ended)
            if due is not None:
                self.speaker.play(due)
            view.set_sound(f"{self.speaker.status} (M)" if self.speaker.status != "sound off" else "sound off")

    def _ended(self, result: SessionResult) -> None:
        self._result = result
        if self.bridge is not None and self.hold is not None:
            self.bridge.snapshot = result.snapshot
            self._refresh()
            self.hold.result_ready()

    def _failed(self, what: str, message: str) -> None:
        if what == "look":
            self.connect_view.show_failed(message)
        elif what == "start":
            self.go_prepare()
            self._prepare_view().show_failed(message)
        elif what in ("session", "stop") and self.hold is not None:
            self.hold.fail(message)

    # -- views ----------------------------------------------------------------------------------------------------

    def _prepare_view(self) -> PrepareView:
        if self.prepare is None:
            from nexuslink.app.views.prepare import PrepareView
            from nexuslink.release.plans import SITES, load_plan

            self.prepare = PrepareView([load_plan(site) for site in SITES], self.window_)
            self.prepare.start.connect(self.start)
            self.prepare.back.connect(self.go_connect)
            self.window_.add(self.prepare)
        return self.prepare

    def _the_wizard(self) -> Wizard:
        if self.wizard is None:
            from nexuslink.app.wizard import Wizard

            assert self.bridge is not None  # it has opened the tool
            self.wizard = Wizard(self.window_, self.bridge)
            self.wizard.left.connect(self.go_connect)
        return self.wizard

    def _hold_view(self) -> HoldView:
        if self.hold is None:
            module = importlib.import_module("nexuslink.app.views.hold")
            self.hold = module.HoldView(self.window_, self._still)
            self.hold.stop.connect(self._stop)
            self.hold.leave.connect(self._go_result)
            self.hold.back.connect(self._broke)
            self.window_.add(self.hold)
        return self.hold

    def _stop(self) -> None:
        if self.bridge is not None:
            self.bridge.stop()


def default_recording_dir() -> Path:
    """Where sessions live on this machine."""
    named = os.environ.get("NEXUSLINK_SESSIONS")
    if named:
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("nexuslink", appauthor=False) / "sessions"
