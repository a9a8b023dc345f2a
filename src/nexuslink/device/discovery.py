"""Which tools are there: all finders asked at once, in one round that everybody who asks meanwhile shares.

A finder that fails or takes too long spoils nothing for the others; what it failed of is kept in words. This also keeps
the list of who has which address: two supervisors never open the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from nexuslink.device.bounded import CANCEL_BOUND_S, within
from nexuslink.device.finders import (
    SIMULATED_URL,
    Finder,
    FoundTool,
    RadioFinder,
    SerialFinder,
    SimulatedFinder,
)
from nexuslink.device.verdict import one_line

__all__ = ["LOOK_BOUND_S", "SIMULATED_URL", "Discovery", "FoundTool", "usual_finders"]

LOOK_BOUND_S: Final = 8.0
"""No finder is waited for any longer."""
FOUND_MAX: Final = 256
"""Tools of one finder that are looked at: the air can be full of hostile names."""


def usual_finders() -> list[Finder]:
    """The system's serial ports and radio, and the simulated tool."""
    return [SerialFinder(), RadioFinder(), SimulatedFinder()]


class Discovery:
    """Several finders as one, shared by all who look for a tool. Belongs to one event loop."""

    def __init__(self, finders: Iterable[Finder] | None = None) -> None:
        self.finders = tuple(usual_finders() if finders is None else finders)
        self.troubles: dict[str, str] = {}
        """Name of a finder -> why its latest look failed, one line."""
        self.rounds = 0
        """Looks that were really taken."""
        self._running: dict[bool, asyncio.Task[list[FoundTool]]] = {}
        self._waiting: dict[bool, int] = {}
        self._wanted: dict[str, int] = {}
        self._held: dict[str, object] = {}

    async def look(self, quick: bool = False, wanted: str | None = None) -> list[FoundTool]:
        """Everybody whom any finder sees, in the finders' order; ``quick``: only those that cost nothing. Bounded.

        ``wanted``: a serial number; a finder need not look any further once it sees all who are wanted.
        """
        if wanted is None:
            return await self._shared(quick)
        self._wanted[wanted] = self._wanted.get(wanted, 0) + 1
        try:
            return await self._shared(quick)
        finally:
            self._wanted[wanted] -= 1
            if not self._wanted[wanted]:
                del self._wanted[wanted]

    async def _shared(self, quick: bool) -> list[FoundTool]:
        running = self._running.get(quick)
        if running is None or running.done():
            running = asyncio.create_task(self._round(quick), name="nexuslink discovery")
            self._running[quick], self._waiting[quick] = running, 0
        self._waiting[quick] += 1
        try:
            return await asyncio.shield(running)  # who gives up must not end it for the others
        finally:
            if self._running.get(quick) is running:
                self._waiting[quick] -= 1
                if not self._waiting[quick]:  # nobody wants to know any more
                    del self._running[quick]
                    running.cancel()
                    await asyncio.wait((running,), timeout=CANCEL_BOUND_S)

    def hold(self, url: str, owner: object) -> bool:
        """``owner`` uses this address now; False: somebody else does."""
        return self._held.setdefault(url, owner) is owner

    def held(self, url: str, owner: object) -> bool:
        """Somebody else than ``owner`` uses this address."""
        return self._held.get(url, owner) is not owner

    def release(self, url: str, owner: object) -> None:
        """Undo `hold`."""
        if self._held.get(url) is owner:
            del self._held[url]

    async def _round(self, quick: bool) -> list[FoundTool]:
        self.rounds += 1
        asked = [finder for finder in self.finders if finder.quick or not quick]
        answers = await asyncio.gather(*(self.ask(finder) for finder in asked))
        found: dict[str, FoundTool] = {}
        for tools in answers:
            for tool in tools[:FOUND_MAX]:
                found.setdefault(tool.url, tool)
        return list(found.values())

    async def ask(self, finder: Finder) -> Sequence[FoundTool]:
        """Whom one finder sees; what it failed of is in `troubles`. Bounded, never raises."""
        try:
            found = await within(finder.find(self._wanted.keys()), LOOK_BOUND_S)
        except TimeoutError:
            self.troubles[finder.name] = f"{finder.name}: no answer within {LOOK_BOUND_S:g} s"
            return []
        except Exception as error:  # a driver's, a third party's: the others go on
            self.troubles[finder.name] = one_line(str(error) or f"{finder.name}: {type(error).__name__}")
            return []
        self.troubles.pop(finder.name, None)
        return found
