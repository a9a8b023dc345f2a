"""A link on its way to being open, with news of a pairing on that way: a person may have to confirm it first.

It knows neither which tool is meant nor what follows.
"""

from __future__ import annotations

import asyncio

from nexuslink.device.bounded import end
from nexuslink.device.nexus import Nexus
from nexuslink.transport.pairing import Pairing


class Opening:
    """Begins at once, and takes ``seconds`` at most. Whoever does not wait for its end calls `end`."""

    def __init__(self, nexus: Nexus, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._until_s = loop.time() + seconds
        self._changed = asyncio.Event()
        pairing = getattr(nexus.transport, "pairing", None)
        self._pairing = pairing if isinstance(pairing, Pairing) else Pairing()
        self._pairing.watch = self._changed.set
        self._task = loop.create_task(nexus.open_link(), name=f"open {nexus.url}")
        self._task.add_done_callback(lambda _: self._changed.set())

    @property
    def number(self) -> int | None:
        """The six digits that a person is to compare, where they are known."""
        return self._pairing.number

    async def news(self) -> bool:
        """True: it is open. False: a person is asked to confirm a pairing, or there is more to say of that.

        Raises what opening raises, and ``TimeoutError``.
        """
        async with asyncio.timeout_at(self._until_s):
            await self._changed.wait()
        self._changed.clear()
        if not self._task.done():
            return False
        self._task.result()
        return True

    async def end(self) -> None:
        """Wherever it is: bounded, and never raises."""
        self._pairing.watch = lambda: None
        if not self._task.done():
            await end(self._task)
        elif not self._task.cancelled():
            self._task.exception()  # looked at: nobody else will
