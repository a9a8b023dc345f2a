"""The desktop program's entry: one window, as early as possible, everything heavy after it.

Until the first paint only Qt and the connect view are imported; a test holds that to the list of modules.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

from nexuslink.app.flow import Flow
from nexuslink.app.window import Window

if TYPE_CHECKING:
    from nexuslink.app.signals import Signals

REPORT = "NEXUSLINK_REPORT_FIRST_PAINT"  # 1: print "first-window" when it stands; exit: then leave as well
SIMULATED = "sim:?script=good-psoas"
STILL = "NEXUSLINK_REDUCED_MOTION"


class FirstPaint(QObject):
    """An event filter that calls ``then`` once, when the first paint of what it watches is on the screen."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """See the paint begin; by the next turn of the event loop it is complete."""
        if event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            QTimer.singleShot(0, self._then)
        return False


def run(
    device_url: str | None = None,
    site: str | None = None,
    theme: str = "system",
    autostart: bool = False,
    recording_dir: Path | None = None,
    record: bool = True,
    still: bool = False,
    sound: bool = True,
) -> int:
    """Show the window until it is closed; the exit status.

    With ``device_url`` it connects at once, with ``autostart`` it goes straight on to a hold at ``site``. Recordings
    go to ``recording_dir`` or, without one, to the user's data directory; ``record=False`` makes none. ``still``
    turns easing and tails off.
    """
    if autostart and device_url is None:
        device_url = SIMULATED
    QApplication.setStyle("fusion")
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName("nexuslink")
    still = still or os.environ.get(STILL, "") not in ("", "0")
    window = Window(theme)
    flow = Flow(window, device_url, site, autostart, recording_dir, record, still, sound)

    def stands() -> None:
        report = os.environ.get(REPORT, "")
        if report:
            print("first-window", flush=True)  # noqa: T201  (asked for by name)
        if report == "exit":
            application.quit()
        else:
            from nexuslink.app.signals import Signals

            signals.append(Signals(window.close, window))
            flow.begin()

    signals: list[Signals] = []
    watch = FirstPaint(stands)
    flow.connect_view.installEventFilter(watch)
    window.show()
    try:
        return application.exec()
    finally:
        flow.close()
        for one in signals:
            one.close()


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m nexuslink.app.main``: the same options as ``run``."""
    parser = argparse.ArgumentParser(prog="nexuslink gui", description="The window of nexuslink.")
    parser.add_argument("--device", metavar="URL", help="connect at once, for example sim:?script=good-psoas")
    parser.add_argument("--site", help="psoas-left, psoas-right, iliacus-left or iliacus-right")
    parser.add_argument("--theme", choices=("system", "dark", "light"), default="system")
    parser.add_argument("--start", action="store_true", help="go straight to the hold")
    parser.add_argument("--sessions", type=Path, metavar="DIR", help="where recordings go")
    parser.add_argument("--still", action="store_true", help="no easing, no tails")
    parser.add_argument("--silent", action="store_true", help="no sound")
    given = parser.parse_args(argv)
    return run(
        given.device,
        given.site,
        given.theme,
        given.start,
        given.sessions,
        still=given.still,
        sound=not given.silent,
    )


if __name__ == "__main__":
    sys.exit(main())
