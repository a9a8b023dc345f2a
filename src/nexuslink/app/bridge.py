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
    from nexuslink.app.nearby import Near, NearTool
    from nexuslink.calibration.picture import Picture
    from nexuslink.device.discovery import Discovery
    from nexuslink.device.progress import Progress
    from nexuslink.device.remembered import RememberedTools
    from nexuslink.device.verdict import Verdict
    from nexuslink.live.pipeline import LiveUpdate, Snapshot
    from nexuslink.release.plans import Plan

MIN_INTERVAL_MS = 6  # between two refreshes: this and one paint are the longest way from chunk to screen, 8 ms
RING_ROWS = 1 << 17  # half of it is readable: 65 s at 1 kHz, and the sweep shows 30
PICTURE_MS = 33  # between two pictures of a calibration: nothing in it is faster than a hand
PROGRESS_MS = 50  # between two words about the connection
START_S, STOP_S, CLOSE_S, WRITE_S = 15.0, 5.0, 8.0, 30.0  # bounds of the waits
OPEN_S = 90.0  # behind the connection's own bounds: a person may be comparing digits
LEAVE_S = 15.0

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

    ``tools_near`` (Near, again and again), ``alone`` (the NearTool to connect to unasked), ``opened``
    (simulated), ``unreached`` (Verdict or None, one plain line), ``progressed`` (Progress of the connection),
    ``started`` (), ``ended`` (SessionResult), ``described`` (one line about the tool), ``calibrating`` (),
    ``calibrated`` (Concluded), ``written`` ().
    ``failed`` (what was tried: "look" | "remember" | "leave" | "start" | "session" | "stop" | "about" | "calibrate" |
    "calibration" | "undo" | "give up" | "write", one plain line).
    """

    tools_near = Signal(object)
    alone = Signal(object)
    opened = Signal(bool)
    unreached = Signal(object, str)
    progressed = Signal(object)
    started = Signal()
    ended = Signal(object)
    described = Signal(str)
    calibrating = Signal()
    calibrated = Signal(object)
    written = Signal()
    failed = Signal(str, str)
    _settled = Signal(str, object, object, object)

    def __init__(
        self,
        recording_dir: Path | None = None,
        parent: QObject | None = None,
        discovery: Discovery | None = None,
        remembered: RememberedTools | None = None,
    ) -> None:
        super().__init__(parent)
        self.throttle = Throttle(parent=self)
        self.pictures = Throttle(PICTURE_MS, self)
        self.log = CaptureLog()
        self.snapshot: Snapshot | None = None
        self.ring = Ring(RING_ROWS, 3)
        self._tip = 0
        self._thread = LoopThread()
        self._desk = Desk(recording_dir, self._progressed, discovery, remembered)
        self._waiting: set[Future[Any]] = set()
        self._opening: Future[Any] | None = None
        self._progress: Progress | None = None
        self._progresses = Throttle(PROGRESS_MS, self)
        self._progresses.ready.connect(lambda: self.progressed.emit(self._progress))
        self._settled.connect(self._on_settled, Qt.ConnectionType.QueuedConnection)
        self._outcomes: dict[str, Callable[[Any], None]] = {
            "look": lambda _: None,
            "look no more": lambda _: None,
            "remember": lambda _: None,
            "leave": lambda _: None,
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

    def look(self) -> None:
        """Say which tools are near (``tools_near``, ``alone``), until `look_no_more` or `open`."""
        self._ask("look", self._desk.look(self._near, self._alone), STOP_S)

    def look_no_more(self) -> None:
        """Nobody chooses any more."""
        self._ask("look no more", self._desk.look_no_more(), STOP_S)

    def rename(self, serial_number: str, name: str) -> None:
        """Call a remembered tool so."""
        self._ask("remember", self._desk.rename(serial_number, name), STOP_S)

    def forget(self, serial_number: str) -> None:
        """Remember a tool no longer."""
        self._ask("remember", self._desk.forget(serial_number), STOP_S)

    def open(self, url: str) -> None:
        """Connect to a tool, leaving any other: ``opened`` or ``unreached``, unless `leave` comes first."""
        self._cancel_opening()
        self._opening = self._ask("open", self._desk.open(url), OPEN_S)

    def leave(self) -> None:
        """Go away from the tool on purpose, or cease to connect to it."""
        self._cancel_opening()
        self._ask("leave", self._desk.leave(), LEAVE_S)

    def _cancel_opening(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()

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
        self._ask("about", self._desk.about(), START_S)

    def calibrate(self, asked: Asked) -> None:
        """Begin a calibration on the open tool."""
        log = self.log = CaptureLog()
        self._ask(
            "calibrate", self._desk.calibrate(asked, lambda t_us, picture: self._look(log, t_us, picture)), START_S
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
        self._cancel_opening()
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

    def _near(self, near: Near) -> None:
        """Called on the loop's thread."""
        with contextlib.suppress(RuntimeError):  # the window is gone
            self.tools_near.emit(near)  # queued: this object lives in Qt's thread

    def _alone(self, tool: NearTool) -> None:
        """Called on the loop's thread."""
        with contextlib.suppress(RuntimeError):
            self.alone.emit(tool)

    def _progressed(self, progress: Progress) -> None:
        """Called on the loop's thread; must stay cheap."""
        self._progress = progress
        with contextlib.suppress(RuntimeError):
            self._progresses.post()

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _ask(self, what: str, work: Coroutine[Any, Any, Any], bound_s: float) -> Future[Any]:
        future = self._thread.submit(work, bound_s)
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._on_done(what, done))
        return future

    def _on_done(self, what: str, done: Future[Any]) -> None:
        """On the loop's thread: hand the outcome over to Qt's."""
        self._waiting.discard(done)
        with contextlib.suppress(RuntimeError):  # the window is gone: nobody is left to tell
            if done.cancelled():
                return
            error = done.exception()
            self._settled.emit(what, None if error else done.result(), error, done)

    def _on_settled(self, what: str, outcome: object, error: BaseException | None, done: object) -> None:
        if what == "open":
            if done is not self._opening:  # somebody has thought better of it
                return
            self._opening = None
        if error is None:
            self._outcomes[what](outcome)
            return
        late = isinstance(error, TimeoutError)
        message = "The tool did not answer in time." if late else str(error) or type(error).__name__
        if what == "open":
            self.unreached.emit(None if late else _verdict(error), message)
        else:
            self.failed.emit(what, message)

    def _on_started(self, bound_s: float) -> None:
        self.started.emit()
        self._ask("session", self._desk.finished(), bound_s)

    def _on_calibrating(self, bound_s: float) -> None:
        self.calibrating.emit()
        self._ask("calibration", self._desk.calibrated(), bound_s)


def _verdict(error: BaseException) -> Verdict | None:
    """What a connection was judged to have failed of, or what the error itself means."""
    from nexuslink.device.errors import NoToolError
    from nexuslink.device.verdict import judge

    return error.verdict if isinstance(error, NoToolError) else judge(error).verdict
