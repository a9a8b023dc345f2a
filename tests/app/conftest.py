"""Real windows, off screen where there is no display; nothing may be left running behind a test."""

from __future__ import annotations

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

from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication

from nexuslink.app.window import Window

HANG_S = 30.0


@pytest.fixture(scope="session")
def application() -> QApplication:
    QApplication.setStyle("fusion")
    made = QApplication.instance() or QApplication([])
    assert isinstance(made, QApplication)
    return made


@pytest.fixture
def until(application: QApplication) -> Callable[[Callable[[], object]], None]:
    """Run Qt until something is so."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + HANG_S
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)

    return wait


@pytest.fixture
def settle(application: QApplication) -> Callable[[], None]:
    """Let everything that is due be painted."""

    def run() -> None:
        for _ in range(4):
            application.processEvents()

    return run


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
