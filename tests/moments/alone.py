"""A story on a loop of its own, in virtual time; afterwards nothing of it may be left: no task, no timer, no thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

from nexus_simulator.virtual_time import JumpingLoop

T = TypeVar("T")


@contextlib.contextmanager
def host_clock() -> Iterator[None]:
    """While inside, the clock of BLE links is that of the loop on which they run."""
    clock = SimpleNamespace(monotonic_ns=lambda: round(asyncio.get_running_loop().time() * 1e9))
    with mock.patch("nexuslink.transport.base.time", clock), mock.patch("nexuslink.transport.ble.time", clock):
        yield


def alone(story: Coroutine[Any, Any, T]) -> tuple[T, list[str]]:
    """On a loop of its own, in virtual time: the result, and what is left over afterwards."""
    threads = set(threading.enumerate())

    async def whole() -> tuple[T, list[str]]:
        result = await story
        await asyncio.sleep(0.0)
        left = [f"a task is left over: {task!r}" for task in asyncio.all_tasks() - {asyncio.current_task()}]
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return result, left + [f"a timer is left over: {timer!r}" for timer in timers if not timer.cancelled()]

    with host_clock(), asyncio.Runner(loop_factory=JumpingLoop) as runner:
        result, left = runner.run(whole())
    return result, left + [f"a thread is left over: {one.name}" for one in set(threading.enumerate()) - threads]
