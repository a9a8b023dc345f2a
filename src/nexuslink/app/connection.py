"""The app's one tool, kept connected: opened, waited for, left on purpose. On the loop's thread; knows nothing of Qt.

A simulated tool inside this process is supervised too, but there is nothing to bring back: opened again it is another
one, which begins anew. So a hold on it has no keeper, and its silence is judged by the session alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nexuslink.app.link_words import away, is_away
from nexuslink.device.errors import NoToolError
from nexuslink.device.keeping import kept, meant
from nexuslink.protocol.exchange import LinkState
from nexuslink.transport.errors import TransportError

if TYPE_CHECKING:
    from nexuslink.app.nearby import Near, NearTool
    from nexuslink.device.finders import Finder
    from nexuslink.device.nexus import Nexus
    from nexuslink.device.progress import Progress
    from nexuslink.device.remembered import RememberedTools
    from nexuslink.device.supervisor import Supervisor

PATIENCE_S: Final = 15.0
"""A tool meant by its serial number is looked for so long [assumption]: it may be switched on only now."""
BACK_S: Final = 6.0
"""A tool that is away just when it is wanted may come back within this."""
NO_TOOL: Final = "No tool is connected. Go back and connect one."


def only_one(near: Near, remembered: RememberedTools) -> NearTool | None:
    """The tool to connect to unasked: the only known real one that is near, unless it was left on purpose."""
    known = [tool for tool in near.tools if tool.remembered and tool.present and not tool.simulated]
    if not near.settled or len(known) != 1 or known[0].serial_number is None or known[0].trouble:
        return None
    before = remembered.find(known[0].serial_number)
    return None if before is None or before.left else known[0]


class Connection:
    """``watch(progress)`` at each change, and each second while connected."""

    def __init__(
        self, finders: Iterable[Finder], remembered: RememberedTools, watch: Callable[[Progress], None]
    ) -> None:
        self.url = ""
        self._finders = finders
        self._remembered = remembered
        self._watch = watch
        self._supervisor: Supervisor | None = None
        self._way = ""
        """Where the tool was when it was there last."""
        self._turn = asyncio.Lock()

    @property
    def nexus(self) -> Nexus | None:
        """The tool, while it is there."""
        return self._supervisor.nexus if self._supervisor is not None else None

    @property
    def keeper(self) -> Supervisor | None:
        """Who brings this tool back in the middle of a hold."""
        return None if self.in_process else self._supervisor

    @property
    def in_process(self) -> bool:
        """A simulated tool inside this program: opened again it is another one."""
        return self._supervisor is not None and self._supervisor.once

    async def open(self, url: str) -> Nexus:
        """Connect, letting go of any other. Raises `UrlError` or `NoToolError`; bounded. Cancelled, it lets go."""
        async with self._turn:
            await self._let_go()
            self.url = url
            self._supervisor = await kept(
                url, bound_s=PATIENCE_S, finders=self._finders, remembered=self._remembered, watch=self._told
            )
            return await self._supervisor.up(0.0)

    async def up(self) -> Nexus:
        """The tool; waits a little for one that is just away. Raises `NoToolError`."""
        supervisor = self._supervisor
        if supervisor is None:
            raise NoToolError(NO_TOOL)
        supervisor.nudge()
        try:
            return await supervisor.up(BACK_S)
        except NoToolError as error:
            progress = self._put(supervisor.progress)
            if is_away(progress):
                raise NoToolError(away(progress), error.verdict) from None
            raise

    async def ready(self) -> Nexus:
        """The same, at rest."""
        nexus = await self.up()
        if nexus.state is LinkState.STREAMING:  # the STOP of what was before has been lost
            await nexus.stop()
        return nexus

    async def leave(self) -> None:
        """Left on purpose: let go, stay away, and do not come back by itself another day either."""
        async with self._turn:
            serial = self._serial_number()
            await self._let_go()
            self.url = ""
            if serial is not None:
                await asyncio.to_thread(self._remembered.leave, serial)

    async def shut(self) -> None:
        """Let go: the program ends."""
        async with self._turn:
            await self._let_go()

    def _told(self, progress: Progress) -> None:
        if progress.link is not None:
            self._way = progress.url
        self._watch(self._put(progress))

    def _put(self, progress: Progress) -> Progress:
        """A tool that is away is away from where it was, wherever it is being looked for."""
        return replace(progress, url=self._way) if is_away(progress) and self._way else progress

    def _serial_number(self) -> str | None:
        """Of the tool that is connected, or was to be."""
        if self._supervisor is not None:
            return self._supervisor.serial_number
        try:
            wanted = meant(self.url, self._remembered)
        except TransportError:
            return None
        return None if wanted.is_address else wanted.target

    async def _let_go(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.disconnect()
