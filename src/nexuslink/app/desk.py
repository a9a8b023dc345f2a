"""What the app does with a tool, on the loop's thread: find, open, hold, stop, close. Knows nothing of Qt."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexuslink.app.asked import Asked
    from nexuslink.app.bench import Bench, Concluded
    from nexuslink.app.connection import Connection
    from nexuslink.app.nearby import Near, Nearby, NearTool
    from nexuslink.calibration.picture import Picture
    from nexuslink.device.discovery import Discovery
    from nexuslink.device.nexus import Nexus
    from nexuslink.device.progress import Progress
    from nexuslink.device.remembered import RememberedTools
    from nexuslink.live.pipeline import LiveUpdate
    from nexuslink.live.session import LiveSession, SessionResult
    from nexuslink.release.plans import Plan

_WAIT_S = 120.0  # no contact for this long ends a hold by itself
_TIMEOUT_FACTOR = 5.0  # as does this many times the asked time after contact
_MARGIN_S = 30.0
_CALIBRATION_S = 3 * 3600.0  # a bound behind the procedure's own patience, which ends it long before
_END_S = 4.0  # for a session or a link to close


class DeskError(Exception):
    """Something was asked that is not possible now; one plain line."""


def rehearsal(url: str, site: str) -> str:
    """The address of a simulated tool on which the good hold is one of this site; any other address as it is."""
    muscle = site.partition("-")[0]
    return re.sub(r"(?<=[?&]script=good-)(psoas|iliacus)(?=&|$)", muscle, url)


class Desk:
    """One tool at a time, one session at a time. Every method runs on the loop's thread.

    ``watch``: told how the connection fares, see `Connection`. ``discovery`` and ``remembered``: the usual ones.
    """

    def __init__(
        self, recording_dir: Path | None, watch: Callable[[Progress], None],
        discovery: Discovery | None = None, remembered: RememberedTools | None = None,
    ) -> None:  # fmt: skip
        self._recording_dir = recording_dir
        self._watch = watch
        self._known = (discovery, remembered)
        self._bench: Bench | None = None
        self._calibration: asyncio.Task[Concluded] | None = None
        self._session: LiveSession | None = None

    # What these need is imported on the loop's thread, when it is first asked for: the window's has better to do.

    @cached_property
    def _remembered(self) -> RememberedTools:
        from nexuslink.device.remembered import USUAL

        return self._known[1] or USUAL

    @cached_property
    def _discovery(self) -> Discovery:
        from nexuslink.device.discovery import Discovery

        return self._known[0] or Discovery()

    @cached_property
    def _nearby(self) -> Nearby:
        from nexuslink.app.nearby import Nearby

        return Nearby(self._discovery, self._remembered)

    @cached_property
    def _connection(self) -> Connection:
        from nexuslink.app.connection import Connection

        return Connection(self._discovery.finders, self._remembered, self._watch)

    # -- which tool -----------------------------------------------------------------------------------------------

    async def look(self, near: Callable[[Near], None], alone: Callable[[NearTool], None]) -> None:
        """``near(now)`` again and again, until `look_no_more` or until one is opened.

        ``alone(tool)`` where there is one to connect to unasked.
        """

        def told(now: Near) -> None:
            near(now)
            if not now.settled:  # nobody is known yet to be the only one; the list comes first
                return
            from nexuslink.app.connection import only_one

            one = only_one(now, self._remembered)
            if one is not None:
                alone(one)

        self._nearby.start(told)

    async def look_no_more(self) -> None:
        """Nobody chooses any more."""
        await self._nearby.stop()

    async def rename(self, serial_number: str, name: str) -> None:
        """Call a remembered tool so."""
        await self._nearby.rename(serial_number, name)

    async def forget(self, serial_number: str) -> None:
        """Remember a tool no longer."""
        await self._nearby.forget(serial_number)

    async def open(self, url: str) -> bool:
        """Connect; whether the tool is simulated."""
        await self._nearby.stop()  # a radio cannot look and connect at once
        await self._end_all()
        return (await self._connection.open(url)).simulated

    async def leave(self) -> None:
        """The person goes away from this tool: let go, and do not come back by itself."""
        await self._end_all()
        await self._connection.leave()

    # -- holding --------------------------------------------------------------------------------------------------

    async def start(self, plan: Plan, callback: Callable[[LiveUpdate], None]) -> float:
        """Begin a hold; the longest it can take, in seconds."""
        from nexuslink.live.session import LiveSession

        await self._end_all()
        nexus = await self._ready(lambda url: rehearsal(url, plan.site))
        if self._recording_dir is not None:
            self._recording_dir.mkdir(parents=True, exist_ok=True)
        self._session = await LiveSession.start(nexus, plan, self._recording_dir, self._connection.keeper)
        self._session.subscribe(callback)
        return _WAIT_S + _TIMEOUT_FACTOR * plan.hold_s + _MARGIN_S

    async def _ready(self, acted: Callable[[str], str]) -> Nexus:
        """The tool, at rest. A simulated one is made anew, ``acted`` on its address: the simulated person begins when
        the tool is switched on, and must not have finished while this one was reading how to lie."""
        connection = self._connection
        if connection.in_process:
            return await connection.open(acted(connection.url))
        return await connection.ready()

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

        return about(await self._connection.up())

    async def calibrate(self, asked: Asked, watch: Callable[[int, Picture], None]) -> float:
        """Begin a calibration; the longest it can take, in seconds. A simulated tool is made anew for it."""
        from nexuslink.app.bench import Bench, acted

        await self._end_all()
        nexus = await self._ready(lambda url: acted(url, asked))
        self._bench = Bench(nexus, asked, watch)
        self._calibration = asyncio.create_task(self._calibrate(self._bench), name="calibration")
        return _CALIBRATION_S

    async def _calibrate(self, bench: Bench) -> Concluded:
        keeper = self._connection.keeper
        with keeper.holding() if keeper is not None else contextlib.nullcontext():
            return await bench.run()

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
        if self._connection.in_process:
            await self._bench.write(code)
        else:  # on the present link: the one that it was measured over may be gone
            await self._bench.write(code, await self._connection.ready())

    async def _end_calibration(self) -> None:
        bench, self._bench = self._bench, None
        task, self._calibration = self._calibration, None
        if bench is not None and task is not None and not task.done():
            bench.give_up()
            done, _ = await asyncio.wait([task], timeout=_END_S)
            if not done:
                task.cancel()

    # -- the end --------------------------------------------------------------------------------------------------

    async def _end_all(self) -> None:
        """End calibration and hold, each within its bound."""
        await self._end_calibration()
        session, self._session = self._session, None
        if session is not None:
            await asyncio.wait_for(session.stop(), _END_S)

    async def close(self) -> None:
        """The app ends: nothing is left, and nothing was left on purpose."""
        await self._nearby.stop()
        try:
            await self._end_all()
        finally:
            await self._connection.shut()
