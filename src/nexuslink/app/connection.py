"""The app's one tool, kept connected: opened, waited for, left on purpose. On the loop's thread; knows nothing of Qt.

A simulated tool inside this process is supervised too, but there is nothing to bring back: opened again it is another
one, which begins anew. So a hold on it has no keeper, and its silence is judged by the session alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from nexuslink.device.cache import USUAL as USUAL_CACHE
from nexuslink.device.course import UP, State
from nexuslink.device.discovery import Discovery
from nexuslink.device.errors import NoToolError
from nexuslink.device.supervisor import Supervisor
from nexuslink.device.verdict import Verdict
from nexuslink.protocol.exchange import LinkState

if TYPE_CHECKING:
    from nexuslink.device.nexus import Nexus
    from nexuslink.device.progress import Progress
    from nexuslink.device.remembered import RememberedTools

PATIENCE_S: Final = 15.0
"""A tool meant by its serial number is looked for so long before that has failed [assumption]: it may be switched on
only now."""
BACK_S: Final = 6.0
"""A tool that is away just when it is wanted may come back within this."""
PASSING: Final = frozenset({
    Verdict.NOT_THERE, Verdict.NO_LINK, Verdict.NO_ANSWER, Verdict.SILENT, Verdict.LINK_LOST, Verdict.BAD_ANSWER,
})  # fmt: skip
"""What may end otherwise at the next attempt, though nobody does anything in this program."""


class NotReachedError(NoToolError):
    """A tool could not be had. ``verdict``: of the latest attempt; ``None`` where none was judged."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.sentence)
        self.verdict = progress.verdict
        self.url = progress.url


def in_process(url: str) -> bool:
    """A simulated tool that lives in this program."""
    return url.partition(":")[0].strip().lower() == "sim"


class Connection:
    """``watch(progress)`` at each change, and each second while connected."""

    def __init__(self, discovery: Discovery, remembered: RememberedTools, watch: Callable[[Progress], None]) -> None:
        self.url = ""
        self._discovery = discovery
        self._remembered = remembered
        self._watch = watch
        self._supervisor: Supervisor | None = None
        self._turn = asyncio.Lock()

    @property
    def nexus(self) -> Nexus | None:
        """The tool, while it is there."""
        return self._supervisor.nexus if self._supervisor is not None else None

    @property
    def keeper(self) -> Supervisor | None:
        """Who brings this tool back in the middle of a hold."""
        return None if in_process(self.url) else self._supervisor

    async def open(self, url: str) -> Nexus:
        """Connect, letting go of any other. Raises `NotReachedError`; bounded. Cancelled, it lets go."""
        async with self._turn:
            await self._let_go()
            self.url = url
            # In this process and nowhere else: nobody need look for it, nor remember it.
            here = in_process(url)
            supervisor = self._supervisor = Supervisor(
                url, Discovery([]) if here else self._discovery, cache=USUAL_CACHE,
                remembered=None if here else self._remembered, asks=not here,
            )  # fmt: skip
            try:
                return await self._reached(supervisor)
            except BaseException:
                await self._let_go()
                raise

    async def ready(self) -> Nexus:
        """The tool, at rest; waits a little for one that is just away. Raises `NoToolError`."""
        supervisor = self._supervisor
        if supervisor is None:
            raise NoToolError("No tool is connected. Go back and connect one.")
        supervisor.nudge()
        nexus = await supervisor.up(BACK_S)
        if nexus.state is LinkState.STREAMING:  # the STOP of what was before has been lost
            await nexus.stop()
        return nexus

    async def leave(self) -> None:
        """Left on purpose: let go, stay away, and do not come back by itself another day either."""
        async with self._turn:
            supervisor = self._supervisor
            await self._let_go()
            if supervisor is not None and supervisor.serial_number is not None:
                await asyncio.to_thread(self._remembered.leave, supervisor.serial_number)

    async def shut(self) -> None:
        """Let go: the program ends."""
        async with self._turn:
            await self._let_go()

    async def _let_go(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.disconnect()

    async def _reached(self, supervisor: Supervisor) -> Nexus:
        loop = asyncio.get_running_loop()
        until = loop.time() + (PATIENCE_S if supervisor.serial_number is not None else 0.0)
        decided: asyncio.Future[Progress] = loop.create_future()

        def follow(progress: Progress) -> None:
            if not decided.done() and (progress.state in UP or self._is_over(progress, loop.time() >= until)):
                decided.set_result(progress)
            self._watch(progress)

        supervisor.subscribe(follow)
        supervisor.connect()
        progress = await decided
        nexus = supervisor.nexus
        if nexus is None:
            raise NotReachedError(progress)
        return nexus

    @staticmethod
    def _is_over(progress: Progress, late: bool) -> bool:
        """Nothing more is to be expected: a round of attempts has failed, and not of what passes."""
        if progress.state is State.OFF:
            return True
        return progress.next_try_s > 0 and (late or progress.verdict not in PASSING)


