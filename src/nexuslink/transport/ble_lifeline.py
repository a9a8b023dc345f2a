"""Waiting for a radio: everything that is awaited has a bound, and ends at once when the connection does.

Bleak bounds hardly any of its calls, and most of them do not notice that the connection has gone. It knows neither
bleak nor tools; time is the event loop's, for waiting only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from nexuslink.transport.errors import LinkLostError, RadioBusyError

T = TypeVar("T")
CANCEL_S: Final = 3.0
"""How long a cancelled call may take to clean up behind itself; after that it is left to do so alone. BlueZ takes 2 s
to disconnect, and who connects again before that is disconnected too."""
BUSY_S: Final = 4.0
"""How long a radio that is still busy with what was before is asked again: BlueZ's 2 s to disconnect, twice."""
ASK_AGAIN_S: Final = 0.2

_left_alone: set[asyncio.Future[Any]] = set()


class Lifeline:
    """One connection's end: `cut` it, and every `hold` on it ends."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why it was cut, one line; ``None``: it has not been."""
        self._cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def cut(self, reason: str) -> None:
        """The connection has ended. Only the first reason counts."""
        if self.reason is None:
            self.reason = reason
            if not self._cut.done():
                self._cut.set_result(None)

    async def hold(self, call: Coroutine[Any, Any, T], seconds: float) -> T:
        """The call's result. Raises what it raises, `LinkLostError` when cut, ``TimeoutError`` after ``seconds``."""
        if self.reason is not None:
            call.close()
            raise LinkLostError(self.reason)
        task = asyncio.ensure_future(call)
        either: set[asyncio.Future[Any]] = {task, self._cut}
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _end(task)
            raise
        if not task.done():
            await _end(task)
            if self.reason is not None:
                raise LinkLostError(self.reason)
            raise TimeoutError
        if task.cancelled():  # not by us: some systems say so that the connection has gone
            raise LinkLostError(self.reason or "cancelled by the system")
        return task.result()


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """The attempt's result. One that finds the radio busy is made again, for at most `BUSY_S`; then it raises that."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + BUSY_S
    while True:
        try:
            return await attempt()
        except RadioBusyError:
            if loop.time() > until_s:
                raise
            await asyncio.sleep(ASK_AGAIN_S)


async def seen_through(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """The call's result. Whoever is cancelled waits for it all the same, at most ``seconds``: half of it is harmful."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            _left_alone.add(task)
            task.add_done_callback(_forget)
            await asyncio.wait({task}, timeout=seconds)
            task.cancel()
        raise


async def settled(call: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Wait for something that lets go: bounded, and what it says about a radio that has gone is of no use."""
    with contextlib.suppress(Exception):
        await Lifeline().hold(call, seconds)


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel, and wait for it: a bounded time."""
    task.cancel()
    _left_alone.add(task)
    task.add_done_callback(_forget)
    await asyncio.wait({task}, timeout=CANCEL_S)


def _forget(task: asyncio.Future[Any]) -> None:
    _left_alone.discard(task)
    if not task.cancelled():
        task.exception()  # nobody else will ask for it
