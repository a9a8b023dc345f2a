"""Ctrl-C and SIGTERM close the window, so that a hold ends and its recording is finished.

Qt's event loop sits in C, where Python's own handlers do not get a turn; the interpreter writes each signal to a
socket, and Qt wakes up on it.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

from PySide6.QtCore import QObject, QSocketNotifier


class Signals(QObject):
    """Calls ``leave`` in Qt's thread. Made in the main thread, where alone Python allows it."""

    def __init__(self, leave: Callable[[], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._leave = leave
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)
        self._outer.setblocking(False)
        self._notifier = QSocketNotifier(self._inner.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._woken)
        self._wakeup_before = signal.set_wakeup_fd(self._outer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}

    def close(self) -> None:
        """Put back what was there."""
        self._notifier.setEnabled(False)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._inner.close()
        self._outer.close()

    def _woken(self) -> None:
        numbers = self._inner.recv(64)
        if any(number in self._before for number in numbers):
            self._leave()
