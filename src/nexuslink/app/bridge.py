"""From the loop's thread to Qt, and back.

One asyncio loop runs in a thread of its own and owns the tool. Samples go into a ring and the newest snapshot into an
attribute; all that crosses to Qt is *one* queued signal, "something arrived", however often it did (``Throttle``).
Commands go the other way as coroutines with a bound on each wait. Nothing here polls, and nothing here paints.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal

from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.desk import Desk
from nexuslink.app.ring import Ring

if TYPE_CHECKING:
    from nexuslink.app.asked import Asked
    from nexuslink.app.nearby import NearTool
    from nexuslink.calibration.picture import Picture
    from nexuslink.live.pipeline import LiveUpdate, Snapshot
    from nexuslink.release.plans import Plan

MIN_INTERVAL_MS = 6  # between two refreshes: this and one paint are the longest way from chunk to screen, 8 ms
RING_ROWS = 1 << 17  # half of it is readable: 65 s at 1 kHz, and the sweep shows 30
PICTURE_MS = 33  # between two pictures of a calibration: nothing in it is faster than a hand
FIND_S, OPEN_S, START_S, STOP_S, CLOSE_S = 10.0, 20.0, 15.0, 5.0, 6.0  # bounds of the waits
WRITE_S = 30.0

Result = TypeVar("Result")


class LoopThread:
    """An asyncio loop in its own thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="nexuslink-loop", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, work: Coroutine[Any, Any, Result], bound_s: float) -> Future[Result]:
        """Run ``work`` on the loop, for at most ``bound_s`` seconds."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, bound_s), self.loop)

    def close(self, bound_s: float) -> bool:
        """Stop the loop and wait for its thread; False when it did not end in time."""
        with contextlib.suppress(RuntimeError):  # already closed
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(bound_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            with contextlib.suppress(TimeoutError):
                self.loop.run_until_complete(self._wind_up())
            self.loop.close()

    async def _wind_up(self) -> None:
        """Let the cancelled tasks and the helper threads end."""
        async with asyncio.timeout(CLOSE_S / 2):
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            await asyncio.gather(*others, return_exceptions=True)
            await self.loop.shutdown_asyncgens()
            await self.loop.shutdown_default_executor()


class Throttle(QObject):
    """Many posts from any thread, few ``ready`` signals in Qt's: one pending flag and a minimum interval.

    A post that finds Qt idle is answered at once; what comes while one is pending is answered together with it.
    ``ready``: emitted in Qt's thread.
    """

    ready = Signal()
    _poke = Signal()

    def __init__(self, interval_ms: int = MIN_INTERVAL_MS, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.posts = 0
        self.readies = 0
        self.oldest_ns = 0  # perf_counter_ns of the first post that the last ready answers
        self._interval_ns = interval_ms * 1_000_000
        self._first_ns = 0
        self._last_ns = 0
        self._pending = False
        self._lock = threading.Lock()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._fire)
        self._poke.connect(self._poked, Qt.ConnectionType.QueuedConnection)

    def post(self) -> None:
        """Something arrived. Any thread; costs a lock and, once per refresh, a queued signal."""
        with self._lock:
            self.posts += 1
            if self._pending:
                return
            self._pending = True
            self._first_ns = time.perf_counter_ns()
        self._poke.emit()

    def _poked(self) -> None:
        left_ns = self._last_ns + self._interval_ns - time.perf_counter_ns()
        if left_ns <= 0:
            self._fire()
        else:
            self._timer.start(left_ns // 1_000_000)

    def _fire(self) -> None:
        with self._lock:
            self._pending = False
            self.oldest_ns = self._first_ns
        self._last_ns = time.perf_counter_ns()
        self.readies += 1
        self.ready.emit()


class Bridge(QObject):
    """The app's side of one loop. All signals are emitted in Qt's thread.

    ``tools_found`` (list of FoundTool), ``tools_near`` (list of NearTool, again and again), ``opened`` (simulated),
    ``started`` (), ``ended`` (SessionResult), ``described`` (one line about the tool), ``calibrating`` (),
    ``calibrated`` (Concluded), ``written`` ().
    ``failed`` (what was tried: "find" | "open" | "start" | "session" | "stop" | "about" | "calibrate" | "calibration" |
    "undo" | "give up" | "write", one plain line).
    """

    tools_found = Signal(list)
    tools_near = Signal(list)
    opened = Signal(bool)
    started = Signal()
    ended = Signal(object)
    described = Signal(str)
    calibrating = Signal()
    calibrated = Signal(object)
    written = Signal()
    failed = Signal(str, str)
    _settled = Signal(str, object, object)

    def __init__(self, recording_dir: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.throttle = Throttle(parent=self)
        self.pictures = Throttle(PICTURE_MS, self)
        self.log = CaptureLog()
        self.snapshot: Snapshot | None = None
        self.ring = Ring(RING_ROWS, 3)
        self._tip = 0
        self._thread = LoopThread()
        self._desk = Desk(recording_dir)
        self._waiting: set[Future[Any]] = set()
        self._settled.connect(self._on_settled, Qt.ConnectionType.QueuedConnection)
        self._outcomes: dict[str, Callable[[Any], None]] = {
            "find": self.tools_found.emit,
            "look": lambda _: None,
            "look no more": lambda _: None,
            "open": self.opened.emit,
            "start": self._on_started,
            "session": self.ended.emit,
            "stop": lambda _: None,
            "about": self.described.emit,
            "calibrate": self._on_calibrating,
            "calibration": self.calibrated.emit,
            "undo": lambda _: None,
            "give up": lambda _: None,
            "write": lambda _: self.written.emit(),
        }

    # -- commands, from Qt's thread -------------------------------------------------------------------------------

    def find(self) -> None:
        """Look for tools."""
        self._ask("find", self._desk.find(), FIND_S)

    def look(self) -> None:
        """Say which tools are near (``tools_near``), until `look_no_more` or `open`."""
        self._ask("look", self._desk.look(self._near), STOP_S)

    def look_no_more(self) -> None:
        """Nobody chooses any more."""
        self._ask("look no more", self._desk.look_no_more(), STOP_S)

    def open(self, url: str) -> None:
        """Connect to a tool, leaving any other."""
        self._ask("open", self._desk.open(url), OPEN_S)

    def start(self, plan: Plan) -> None:
        """Begin a hold of ``plan`` on the open tool."""
        self._tip = plan.tip
        self.ring = Ring(RING_ROWS, 3)
        self.snapshot = None
        self._ask("start", self._desk.start(plan, self.take), START_S)

    def stop(self) -> None:
        """End the hold."""
        self._ask("stop", self._desk.stop(), STOP_S)

    def ask_about(self) -> None:
        """Which tool is it?"""
        self._ask("about", self._desk.about(), STOP_S)

    def calibrate(self, asked: Asked) -> None:
        """Begin a calibration on the open tool."""
        log = self.log = CaptureLog()
        self._ask(
            "calibrate", self._desk.calibrate(asked, lambda t_us, picture: self._look(log, t_us, picture)), OPEN_S
        )

    def undo(self) -> None:
        """Take the latest captured point back."""
        self._ask("undo", self._desk.undo(), STOP_S)

    def give_up(self) -> None:
        """End the calibration."""
        self._ask("give up", self._desk.give_up(), STOP_S)

    def write(self, code: int) -> None:
        """Write what came out to the tool."""
        self._ask("write", self._desk.write(code), WRITE_S)

    def close(self, bound_s: float = CLOSE_S) -> bool:
        """End hold and tool, finish the recording, end the thread; False when something did not end in time."""
        clean = True
        if self._thread.alive:
            try:
                self._thread.submit(self._desk.close(), bound_s).result(bound_s + 0.5)
            except Exception:
                clean = False
        return self._thread.close(bound_s) and clean

    # -- samples, from the loop's thread --------------------------------------------------------------------------

    def take(self, update: LiveUpdate) -> None:
        """Keep what an update brought and say so. Called on the loop's thread; must stay cheap."""
        new = update.estimates
        if new is not None and len(new.t_us):
            tip = self._tip
            rows = np.stack((new.force_n[:, tip], new.tip_angle_deg[:, tip], new.tip_direction_deg[:, tip]), axis=1)
            self.ring.append(new.t_us, rows)
        self.snapshot = update.snapshot
        self.throttle.post()

    def _look(self, log: CaptureLog, t_us: int, picture: Picture) -> None:
        """A new picture of the calibration that ``log`` belongs to. Called on the loop's thread; must stay cheap."""
        log.take(t_us, picture)
        self.pictures.post()

    def _near(self, tools: list[NearTool]) -> None:
        """Called on the loop's thread."""
        with contextlib.suppress(RuntimeError):  # the window is gone
            self.tools_near.emit(tools)  # queued: this object lives in Qt's thread

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _ask(self, what: str, work: Coroutine[Any, Any, Any], bound_s: float) -> None:
        future = self._thread.submit(work, bound_s)
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._on_done(what, done))

    def _on_done(self, what: str, done: Future[Any]) -> None:
        """On the loop's thread: hand the outcome over to Qt's."""
        self._waiting.discard(done)
        with contextlib.suppress(RuntimeError):  # the window is gone: nobody is left to tell
            if done.cancelled():
                return
            error = done.exception()
            self._settled.emit(what, None if error else done.result(), error)

    def _on_settled(self, what: str, outcome: object, error: object) -> None:
        if error is None:
            self._outcomes[what](outcome)
        elif isinstance(error, TimeoutError):
            self.failed.emit(what, "The tool did not answer in time.")
        else:
            self.failed.emit(what, str(error) or type(error).__name__)

    def _on_started(self, bound_s: float) -> None:
        self.started.emit()
        self._ask("session", self._desk.finished(), bound_s)

    def _on_calibrating(self, bound_s: float) -> None:
        self.calibrating.emit()
        self._ask("calibration", self._desk.calibrated(), bound_s)
