"""The live window: from a chunk's arrival to the end of the painting that shows it, and what the window costs.

A real hold: tool on a pseudo-terminal in another process, force and IMU at 1 kHz, 62 chunks a second, recorded; the
window is 1200 x 800 and painted off screen. The way starts at the transport's stamp of a chunk. The view takes what has
come at ``throttle.ready`` and Window says ``painted`` when all of it stands in its picture. Best of five rounds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is there

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from benchmarks.harness import Measure, quantile
from benchmarks.ptytool import on_pty
from nexuslink.app.bridge import Throttle
from nexuslink.app.flow import Flow
from nexuslink.app.window import Window
from nexuslink.live.session import LiveSession
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.release.hold import HoldState

PERIOD_US, PER_MESSAGE = 16_000, 16
WARM_UP_S = 3.0
ROUNDS = 5
ROUND_S = 3.0
START_BOUND_S = 30.0


class _Stopwatch:
    """Arrivals wait here, first for the view to take them, then for the window to be painted."""

    def __init__(self) -> None:
        self.on = False
        self.rounds_ms: list[list[float]] = []
        self.paints = 0
        self.busy_s = self.wall_s = 0.0
        self.ending = "not begun"
        self._arriving = 0
        self._arrived: list[int] = []
        self._taken: list[int] = []
        take, post = LiveSession._take, Throttle.post

        def stamped(session: LiveSession, chunk: Chunk, decoded: Decoded) -> None:
            # A chunk without samples (the answer to a time sync) has nothing that could be painted.
            self._arriving = chunk.arrival_ns if decoded.batches and self.on else 0
            take(session, chunk, decoded)

        def posted(throttle: Throttle) -> None:  # the chunk's samples are in the ring by now
            if self._arriving:
                self._arrived.append(self._arriving)
            post(throttle)

        LiveSession._take = stamped  # type: ignore[method-assign]
        Throttle.post = posted  # type: ignore[method-assign]

    def taken(self) -> None:
        count = len(self._arrived)  # the loop's thread goes on adding
        self._taken += self._arrived[:count]
        del self._arrived[:count]

    def painted(self) -> None:
        if self.on:
            now_ns = time.monotonic_ns()
            self.rounds_ms[-1] += [(now_ns - arrival_ns) / 1e6 for arrival_ns in self._taken]
            self._taken.clear()
            self.paints += 1

    def next_round(self) -> None:
        if not self.rounds_ms:
            self.busy_s, self.wall_s = time.process_time(), time.monotonic()
        self.rounds_ms.append([])
        self.on = True

    def stop(self, hold: HoldState) -> None:
        self.on = False
        self.busy_s, self.wall_s = time.process_time() - self.busy_s, time.monotonic() - self.wall_s
        self.ending = hold.phase.value + (f" ({hold.stop_reason.value})" if hold.stop_reason else "")


def measure() -> list[Measure]:
    """The keys ``latency.painted_*`` and ``cpu.window_*``."""
    watch = _Stopwatch()
    application = QApplication([])
    application.setStyle("fusion")
    with tempfile.TemporaryDirectory() as folder, on_pty(PERIOD_US, PER_MESSAGE) as port:
        window = Window("dark")
        window.resize(1200, 800)
        flow = Flow(window, f"serial:{port}", "psoas-left", True, Path(folder), sound=False)
        window.painted.connect(watch.painted)
        window.show()
        flow.begin()
        bridge = flow.bridge
        assert bridge is not None
        # After the flow's own slot: what it has fed to the view by then is what the next painting shows.
        bridge.throttle.ready.connect(watch.taken)

        def begun() -> None:
            for number in range(ROUNDS):
                QTimer.singleShot(int((WARM_UP_S + number * ROUND_S) * 1e3), watch.next_round)
            QTimer.singleShot(int((WARM_UP_S + ROUNDS * ROUND_S) * 1e3), ended)

        def ended() -> None:
            if bridge.snapshot is not None:
                watch.stop(bridge.snapshot.hold)
            application.quit()

        bridge.started.connect(begun)
        bridge.failed.connect(lambda what, line: (setattr(watch, "ending", f"{what}: {line}"), application.quit()))
        bridge.unreached.connect(lambda _, line: (setattr(watch, "ending", line), application.quit()))
        QTimer.singleShot(int((START_BOUND_S + WARM_UP_S + ROUNDS * ROUND_S) * 1e3), application.quit)
        application.exec()
        flow.close()
        window.close()
    painted, expected = sum(map(len, watch.rounds_ms)), ROUNDS * ROUND_S * 1e6 / PERIOD_US
    if painted < 0.8 * expected:
        raise AssertionError(f"{painted} of {expected:.0f} chunks were painted; the hold: {watch.ending}")
    p99, p50 = (min(quantile(found, share) for found in watch.rounds_ms) for share in (0.99, 0.50))
    worst = max(quantile(found, 0.99) for found in watch.rounds_ms)
    cost, frames = 100 * watch.busy_s / watch.wall_s, watch.paints / watch.wall_s
    spread = f"best of {ROUNDS} rounds; worst {worst:.0f}, p50 {p50:.1f} ms"
    return [
        Measure("latency.painted_p99_ms", p99, unit="ms", note=spread),
        Measure("cpu.window_percent", cost, unit="%", note=f"{frames:.0f} paints/s, hold {watch.ending}"),
    ]
