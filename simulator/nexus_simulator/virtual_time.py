"""An event loop whose clock jumps over every wait: minutes of a simulated radio take as long as their work takes.

Only for what lives on one loop alone: where another process or thread is waited for, real time is needed.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

HANG_S = 60.0
"""Real seconds that are waited where nothing is due at all: longer than any test's guard lets it take."""
BEGIN_S = 1000.0
"""What the clock shows first; not 0, which programs like to take for "never"."""


class _Jumping(selectors.DefaultSelector):
    """Where a loop would sleep, its clock jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(HANG_S)
        self.skipped_s += max(timeout, 0.0)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """``asyncio.Runner(loop_factory=JumpingLoop)``: virtual time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds of this loop's own clock."""
        return BEGIN_S + self._jumping.skipped_s

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Threads live in real time: since Python 3.12 a loop's runner would give them some of this loop's seconds."""
        await super().shutdown_default_executor()
