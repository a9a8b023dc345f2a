"""Real windows, off screen where there is no display; nothing may be left running behind a test."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if not os.environ.get("DISPLAY") and sys.platform.startswith("linux"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))

from nexus_simulator.transport import SimTransport
from PySide6.QtWidgets import QApplication

from nexuslink.app import bridge
from nexuslink.app.window import Window

HANG_S = 60.0
AHEAD_NS = 250_000_000
"""So much virtual time a tool may be ahead of what the window has shown: far less than anything here lasts."""


@pytest.fixture(scope="session")
def application() -> QApplication:
    QApplication.setStyle("fusion")
    made = QApplication.instance() or QApplication([])
    assert isinstance(made, QApplication)
    return made


@pytest.fixture
def until(application: QApplication) -> Callable[[Callable[[], object]], None]:
    """Run Qt until something is so; asleep in between, because tools and program run in this process and need it."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + HANG_S
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            application.processEvents()
            time.sleep(0.005)

    return wait


@pytest.fixture
def settle(application: QApplication) -> Callable[[], None]:
    """Let everything that is due be painted."""

    def run() -> None:
        for _ in range(4):
            application.processEvents()

    return run


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Simulated tools at ``speed=max`` wait for the window: nothing is over before it is shown.

    Without it a window that comes late to its turn, on a busy machine, misses seconds of a tool that is fast. While the
    event is set they do not wait.
    """
    throttles: list[bridge.Throttle] = []
    free = threading.Event()

    class Known(bridge.Throttle):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, **more)  # type: ignore[arg-type]
            throttles.append(self)

    step, close = SimTransport._step_virtual, bridge.Bridge.close
    shown_ns: dict[SimTransport, int] = {}

    async def step_if_shown(transport: SimTransport, sink: object) -> None:
        while any(throttle._pending for throttle in throttles) and not free.is_set():
            if transport.now_ns() < shown_ns.setdefault(transport, transport.now_ns()) + AHEAD_NS:
                break
            await asyncio.sleep(0.001)
        else:
            shown_ns[transport] = transport.now_ns()
        await step(transport, sink)  # type: ignore[arg-type]

    def close_unseen(self: bridge.Bridge, *args: float) -> bool:
        free.set()  # Qt waits for the tool now
        try:
            return close(self, *args)
        finally:
            free.clear()

    monkeypatch.setattr(bridge, "Throttle", Known)
    monkeypatch.setattr(SimTransport, "_step_virtual", step_if_shown)
    monkeypatch.setattr(bridge.Bridge, "close", close_unseen)
    return free


@pytest.fixture
def window(application: QApplication, settle: Callable[[], None]) -> Iterator[Window]:
    made = Window("dark")
    made.show()
    settle()
    yield made
    made.close()
    made.deleteLater()
    settle()


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]
    assert not left, f"still running: {left}"
