"""From a radio's callbacks to the event loop: bounded, counted, in order, whichever thread they come on.

On the loop's own thread a notification goes straight on; anywhere else, and before the link is open, it waits in a
queue. A full queue drops the newest, because the oldest are part of what has been taken already. Nothing here waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

QUEUE_MAX: Final = 1024
"""Notifications that may wait: about 4 s of a tool that streams as fast as it can."""
TURNS_MAX: Final = 1024
"""Turns of the loop that an answer lets pass at most: more than a system queues for one characteristic."""
VALUE_MAX: Final = 512
"""Longest value that an attribute can have (Core specification, vol. 3, part F, 3.2.9)."""


class Intake:
    """One connection's notifications. ``deliver`` is called on the thread of the loop that is running now."""

    def __init__(self, deliver: Callable[[bytes], None], bound: int = QUEUE_MAX) -> None:
        self.dropped = 0
        """Dropped because the queue was full."""
        self.odd = 0
        """Dropped because they were empty or longer than a value can be."""
        self._deliver = deliver
        self._bound = bound
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._flowing = False
        self._called = False
        """The loop has been asked to come and fetch."""

    def put(self, data: bytes) -> None:
        """One notification, on any thread."""
        with self._lock:
            if not 0 < len(data) <= VALUE_MAX:
                self.odd += 1
                return
            straight = self._flowing and not self._waiting and threading.get_ident() == self._thread
            if not straight:
                if len(self._waiting) >= self._bound:
                    self.dropped += 1
                    return
                self._waiting.append(data)
                if self._called or not self._flowing:
                    return
                self._called = True
        if straight:
            self._hand_on(data)
        else:
            with contextlib.suppress(RuntimeError):  # the loop may have ended
                self._loop.call_soon_threadsafe(self._fetch)

    def open(self) -> None:
        """The link is open: what has waited goes on now, the rest as it comes. On the loop's thread."""
        self._flowing = True
        self._fetch()

    def close(self) -> None:
        """Nothing goes on any more. On the loop's thread."""
        with self._lock:
            self._flowing = False
            self._waiting.clear()

    def _fetch(self) -> None:
        with self._lock:
            self._called = False
            now = len(self._waiting)  # what comes meanwhile calls again: nobody else on the loop is kept waiting
        for _ in range(now):
            if self._flowing and self._waiting:
                self._hand_on(self._waiting.popleft())

    def _hand_on(self, data: bytes) -> None:
        try:
            self._deliver(data)
        except Exception as error:  # a receiver's mistake must not end the radio that called
            self._loop.call_exception_handler({"message": "a receiver of notifications failed", "exception": error})


class Rear:
    """Where each characteristic has a queue of its own, and the loop takes one value of each in turn (BlueZ), an answer
    overtakes the data that left before it. Here it goes on when the loop went round without data. On its thread only.
    """

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._answers: deque[bytes] = deque()
        self._came = 0

    def data(self, value: bytes) -> None:
        """Goes on at once."""
        self._came += 1
        self._put(value)

    def answer(self, value: bytes) -> None:
        """Goes on behind the data that are there already."""
        self._answers.append(value)
        if len(self._answers) == 1:
            asyncio.get_running_loop().call_soon(self._turn, -1, TURNS_MAX)

    def _turn(self, came: int, left: int) -> None:
        if came != self._came and left:
            asyncio.get_running_loop().call_soon(self._turn, self._came, left - 1)
            return
        while self._answers:
            self._put(self._answers.popleft())
