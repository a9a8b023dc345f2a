"""A wait with an end, whatever is waited for: third parties' code may hang, and may even refuse to be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
CANCEL_BOUND_S: Final = 1.0
"""How long something that was cancelled may take to end; after that nobody waits for it."""


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Its result, or its error. Raises ``TimeoutError`` after ``seconds``, and at most `CANCEL_BOUND_S` more."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=seconds)
    except asyncio.CancelledError:
        await end(task)
        raise
    if not done:
        await end(task)
        if not task.done() or task.cancelled():
            raise TimeoutError
    return task.result()


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel it, and wait until it has ended: at most `CANCEL_BOUND_S`."""
    task.cancel()
    await asyncio.wait((task,), timeout=CANCEL_BOUND_S)
    if task.done():
        if not task.cancelled():
            task.exception()  # looked at: nobody else will
    else:
        task.add_done_callback(lambda late: late.cancelled() or late.exception())
