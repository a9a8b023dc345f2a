"""One asynchronous test, which must leave no task and no thread behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it, bounded."""
    threads = threading.active_count()

    async def checked() -> None:
        before = asyncio.all_tasks()
        await work
        await asyncio.sleep(0)
        assert not asyncio.all_tasks() - before

    asyncio.run(asyncio.wait_for(checked(), 60))
    assert threading.active_count() <= threads
