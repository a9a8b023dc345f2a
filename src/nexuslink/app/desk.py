"""What the app does with a tool, on the loop's thread: find, open, hold, stop, close. Knows nothing of Qt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexuslink.app.asked import Asked
    from nexuslink.app.bench import Bench, Concluded
    from nexuslink.app.nearby import Nearby, NearTool
    from nexuslink.calibration.picture import Picture
    from nexuslink.device.discovery import FoundTool
    from nexuslink.device.nexus import Nexus
    from nexuslink.live.pipeline import LiveUpdate
    from nexuslink.live.session import LiveSession, SessionResult
    from nexuslink.release.plans import Plan

_WAIT_S = 120.0  # no contact for this long ends a hold by itself
_TIMEOUT_FACTOR = 5.0  # as does this many times the asked time after contact
_MARGIN_S = 30.0
_CALIBRATION_S = 3 * 3600.0  # a bound behind the procedure's own patience, which ends it long before
NO_TOOL = "No tool is connected. Go back and connect one."
_END_S = 4.0  # for a session or a link to close


class DeskError(Exception):
    """Something was asked that is not possible now; one plain line."""


def rehearsal(url: str, site: str) -> str:
    """The address of a simulated tool on which the good hold is one of this site; any other address as it is."""
    muscle = site.partition("-")[0]
    return re.sub(r"(?<=[?&]script=good-)(psoas|iliacus)(?=&|$)", muscle, url)


class Desk:
    """One tool at a time, one session at a time. Every method runs on the loop's thread."""

    def __init__(self, recording_dir: Path | None) -> None:
        self._recording_dir = recording_dir
        self._link: asyncio.Task[None] | None = None
        self._leave: asyncio.Event | None = None
        self._nexus: Nexus | None = None
        self._url = ""
        self._bench: Bench | None = None
        self._calibration: asyncio.Task[Concluded] | None = None
        self._session: LiveSession | None = None
        self._nearby: Nearby | None = None

    async def look(self, callback: Callable[[list[NearTool]], None]) -> None:
        """Tell of the tools that are near, again and again, until `look_no_more` or until one is opened."""
        from nexuslink.app.nearby import Nearby
        from nexuslink.device.discovery import Discovery
        from nexuslink.device.remembered import USUAL

        if self._nearby is None:
            self._nearby = Nearby(Discovery(), USUAL)
        self._nearby.start(callback)

    async def look_no_more(self) -> None:
        """Nobody chooses any more."""
        if self._nearby is not None:
            await self._nearby.stop()

    async def find(self) -> list[FoundTool]:
        """Tools that can be reached, the simulated one last. Asking the system may block: done in a thread."""
        from nexuslink.device.discovery import find_tools

        return await asyncio.to_thread(find_tools)

    async def open(self, url: str) -> bool:
        """Connect; whether the tool is simulated."""
        self._url = url
        await self.look_no_more()  # a radio cannot look and connect at once
        return await self._connect(url)

    async def _connect(self, url: str) -> bool:
        await self.shut()
        ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        # Entered and left in one task of its own: the link's context may not be left by another.
        self._link = asyncio.create_task(self._stay(url, ready, self._leave), name=f"link {url}")
        try:
            return await ready
        except BaseException:
            self._link.cancel()
            raise

    async def _stay(self, url: str, ready: asyncio.Future[bool], leave: asyncio.Event) -> None:
        import nexuslink

        try:
            async with nexuslink.connect(url) as nexus:
                self._nexus = nexus
                if not ready.done():
                    ready.set_result(nexus.simulated)
                await leave.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)
        finally:
            self._nexus = None

    async def start(self, plan: Plan, callback: Callable[[LiveUpdate], None]) -> float:
        """Begin a hold; the longest it can take, in seconds."""
        from nexuslink.live.session import LiveSession

        nexus = self._nexus
        if nexus is not None and (nexus.closed_reason is not None or nexus.simulated):
            # A link that was lost in the last hold is made anew. So is a simulated tool: the simulated person begins
            # when the tool is switched on, and must not have finished while this one was reading how to lie.
            await self._connect(rehearsal(self._url, plan.site))
        if self._nexus is None:
            raise DeskError(NO_TOOL)
        if self._recording_dir is not None:
            self._recording_dir.mkdir(parents=True, exist_ok=True)
        self._session = await LiveSession.start(self._nexus, plan, self._recording_dir)
        self._session.subscribe(callback)
        return _WAIT_S + _TIMEOUT_FACTOR * plan.hold_s + _MARGIN_S

    async def finished(self) -> SessionResult:
        """Wait for the hold's end."""
        if self._session is None:
            raise DeskError("No hold is running.")
        return await self._session.finished()

    async def stop(self) -> None:
        """The user ends the hold."""
        if self._session is not None:
            await self._session.stop()

    # -- calibrating ----------------------------------------------------------------------------------------------

    async def about(self) -> str:
        """Which tool is connected, and how it was calibrated last."""
        from nexuslink.app.bench import about

        if self._nexus is None:
            raise DeskError(NO_TOOL)
        return about(self._nexus)

    async def calibrate(self, asked: Asked, watch: Callable[[int, Picture], None]) -> float:
        """Begin a calibration; the longest it can take, in seconds. A simulated tool is made anew for it."""
        from nexuslink.app.bench import Bench, acted

        await self._end_calibration()
        nexus = self._nexus
        if nexus is not None and (nexus.closed_reason is not None or nexus.simulated):
            await self._connect(acted(self._url, asked))
        if self._nexus is None:
            raise DeskError(NO_TOOL)
        self._bench = Bench(self._nexus, asked, watch)
        self._calibration = asyncio.create_task(self._bench.run(), name="calibration")
        return _CALIBRATION_S

    async def calibrated(self) -> Concluded:
        """Wait for the calibration's end."""
        if self._calibration is None:
            raise DeskError("No calibration is running.")
        return await asyncio.shield(self._calibration)

    async def undo(self) -> None:
        """Take the latest captured point back."""
        if self._bench is not None:
            self._bench.undo()

    async def give_up(self) -> None:
        """End the calibration; what was captured is kept in the archive."""
        await self._end_calibration()

    async def write(self, code: int) -> None:
        """Write what came out to the tool."""
        if self._bench is None:
            raise DeskError("There is nothing to write. Calibrate first.")
        await self._bench.write(code)

    async def _end_calibration(self) -> None:
        bench, self._bench = self._bench, None
        task, self._calibration = self._calibration, None
        if bench is not None and task is not None and not task.done():
            bench.give_up()
            done, _ = await asyncio.wait([task], timeout=_END_S)
            if not done:
                task.cancel()

    # -- the end --------------------------------------------------------------------------------------------------

    async def shut(self) -> None:
        """End calibration, hold and link, each within its bound."""
        await self._end_calibration()
        session, self._session = self._session, None
        if session is not None:
            await asyncio.wait_for(session.stop(), _END_S)
        link, self._link = self._link, None
        if link is not None and self._leave is not None:
            self._leave.set()
            done, _ = await asyncio.wait([link], timeout=_END_S)
            if not done:
                link.cancel()

    async def close(self) -> None:
        """The app ends."""
        await self.look_no_more()
        await self.shut()
