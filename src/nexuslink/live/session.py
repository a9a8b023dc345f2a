"""One guided hold on a connected tool: start, tare, guide, record, tell the tool how it ended.

The recorder takes each raw chunk before anything else sees it. The session ends by itself (done, stopped, or the
link lost); whoever waits for `finished` gets the result, and the session file is whole in every case.

With a supervisor a lost link is a gap and no end: meanwhile the session makes its own ticks, recorded like any
other chunk, so that silence is judged by the same rule live and in a replay. On the tool's next connection it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

import nexuslink
from nexuslink.device.errors import DeviceError
from nexuslink.device.nexus import Nexus
from nexuslink.device.supervisor import Supervisor
from nexuslink.live.connections import Change, Connections
from nexuslink.live.errors import SessionError
from nexuslink.live.pipeline import LiveUpdate, Pipeline, Snapshot
from nexuslink.protocol import messages
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.protocol.exchange import LinkState
from nexuslink.recording.header import SessionHeader
from nexuslink.recording.writer import SessionWriter
from nexuslink.release.hold import Phase, StopReason
from nexuslink.release.plans import Plan, plan_text
from nexuslink.release.summary import HoldSummary
from nexuslink.transport.base import TICK_S
from nexuslink.transport.errors import TransportError

TARE_AFTER_S: Final = 0.5
"""Seconds of samples that must look unloaded before the tare is asked for [assumption]."""
TARE_WINDOW_MS: Final = 250
TARE_LIMIT_N: Final = 5.0
"""Above this the tool counts as loaded: no tare, the calibration's own zero stays [assumption]."""
BACKLOG_HIGH_BYTES: Final = 4 << 20
"""A recorder this far behind holds the tool back, where it can be held back (a simulated one at full speed)."""
DRAIN_TIMEOUT_S: Final = 5.0
EVENT_STOP: Final = "stop"
"""Kind of the recorded event that says which chunk a stop command followed."""
EVENT_PHASE: Final = "phase"

_TOOL_REASON: Final = {
    Phase.DONE: messages.StopReason.DONE,
    StopReason.OVER_FORCE: messages.StopReason.OVER_FORCE,
    StopReason.SENSOR: messages.StopReason.FAULT,
    StopReason.LINK_LOST: messages.StopReason.FAULT,
}
"""How the tool is told; everything else is the user's doing."""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """How it went. ``told_tool``: the tool has confirmed that it knows."""

    summary: HoldSummary
    session_file: Path | None
    snapshot: Snapshot
    told_tool: bool
    gaps: int = 0
    """Times that the link was lost and came back, or was waited for in vain."""


def session_name(site: str) -> str:
    """File name of a new session: local time and site."""
    return f"{datetime.now():%Y-%m-%d_%H%M%S_%f}_{site}.mcap"


def header_for(nexus: Nexus, plan: Plan | None) -> SessionHeader:
    """What a replay needs besides the chunks."""
    info = nexus.info
    return SessionHeader(
        nexuslink_version=nexuslink.__version__, url=nexus.url, simulated=nexus.simulated,
        framed=nexus.transport.framed, serial_number=info.serial_number, boot_id=info.boot_id,
        info=info.pack(), calibration=nexus.calibration_bytes,
        plan_toml=plan_text(plan) if plan is not None else None,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


class LiveSession:
    """Made by `start`; ends by itself or by `stop`."""

    def __init__(self, nexus: Nexus, plan: Plan, writer: SessionWriter | None) -> None:
        self.plan = plan
        self._writer = writer
        self._pipeline = Pipeline(nexus.info, nexus.calibration, nexus.decoder, plan)
        self._callbacks: list[Callable[[LiveUpdate], None]] = []
        self._events_written = 0
        self._loads: list[np.ndarray] = []
        self._unloaded_us = 0
        self._tare: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[SessionResult] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._ticks: asyncio.TimerHandle | None = None
        self._heard_ns = nexus.now_ns
        """Arrival of the latest chunk."""
        self._connections = Connections(nexus, writer, self._take, self._changed, lambda: self._pipeline.t_us)

    @classmethod
    async def start(
        cls, nexus: Nexus, plan: Plan, recording_dir: Path | None, keeper: Supervisor | None = None
    ) -> LiveSession:
        """Begin: open the recording (none with ``None``), START, tare as soon as the tool is seen unloaded.

        ``keeper``: who keeps this tool connected, and does not start its stream itself; on its next connection the
        session goes on. Until the end of the session it is told that somebody holds.
        """
        if nexus.state is LinkState.STREAMING:
            raise SessionError(f"{nexus.url}: a session is running already; stop it first")
        writer = None
        if recording_dir is not None:
            writer = SessionWriter(recording_dir / session_name(plan.site), header_for(nexus, plan))
        session = None
        try:
            session = cls(nexus, plan, writer)
            await nexus.start()
            if keeper is not None:
                session._connections.keep(keeper)
        except BaseException:
            if session is not None:
                session._connections.unwatch()
            if writer is not None:
                writer.abort()
            raise
        return session

    @property
    def snapshot(self) -> Snapshot:
        """The state after the latest chunk."""
        return self._pipeline.snapshot()

    @property
    def gaps(self) -> int:
        """Times that the link was lost and waited for."""
        return self._connections.gaps

    @property
    def _nexus(self) -> Nexus:
        """The tool, on its newest connection."""
        return self._connections.nexus

    def subscribe(self, callback: Callable[[LiveUpdate], None]) -> None:
        """``callback`` is called on the loop's thread for every chunk and tick."""
        self._callbacks.append(callback)

    async def stop(self, reason: StopReason = StopReason.USER) -> SessionResult:
        """End now; returns when the recording is whole and the tool has been told (bounded)."""
        self._command_stop(reason)
        return await self.finished()

    async def finished(self) -> SessionResult:
        """Wait for the end; every hold has one (the plan's own limits, on device time, or silence)."""
        await self._ended.wait()
        assert self._ending is not None  # set before the event is
        return await asyncio.shield(self._ending)

    # -- chunks ---------------------------------------------------------------------------------------------------

    def _take(self, chunk: Chunk, decoded: Decoded) -> None:
        self._heard_ns = chunk.arrival_ns
        update = self._pipeline.process(chunk, decoded, self._nexus.clock_fit)
        estimates = update.estimates
        if estimates is not None:
            if self._writer is not None:
                self._writer.estimates(
                    estimates.t_us, estimates.force_n, estimates.pressure_kpa, estimates.tip_angle_deg,
                    estimates.tip_direction_deg,
                )  # fmt: skip
            if self._tare is None:
                self._watch_for_tare(estimates.t_us, estimates.force_n)
        self._record_events()
        self._hold_back()
        for callback in self._callbacks:
            callback(update)
        if self._pipeline.engine.ended:
            self._finish()

    def _watch_for_tare(self, t_us: np.ndarray, force_n: np.ndarray) -> None:
        """Ask for the tare once, when the tool has looked unloaded for long enough and nobody is on it."""
        unloaded = bool((np.abs(force_n) < TARE_LIMIT_N).all()) and self._pipeline.engine.state.phase is Phase.WAITING
        self._unloaded_us = (self._unloaded_us or int(t_us[0])) if unloaded else 0
        if self._unloaded_us and int(t_us[-1]) - self._unloaded_us >= TARE_AFTER_S * 1e6:
            self._tare = asyncio.get_running_loop().create_task(self._ask_tare())

    async def _ask_tare(self) -> None:
        """The answer itself is obeyed where it is decoded, so that a replay obeys it too."""
        try:
            await self._nexus.tare(TARE_WINDOW_MS)
        except (DeviceError, TransportError) as error:
            if self._writer is not None and not self._ended.is_set():
                self._writer.event(self._pipeline.t_us, "tare-failed", str(error))

    def _hold_back(self) -> None:
        """Let the recorder catch up; a live tool cannot wait, and its backlog never comes near this."""
        writer = self._writer
        if writer is None or self._draining is not None or writer.backlog_bytes < BACKLOG_HIGH_BYTES:
            return

        async def drain() -> None:
            self._nexus.pause()
            await asyncio.to_thread(writer.drain, DRAIN_TIMEOUT_S)
            self._nexus.resume()
            self._draining = None

        self._draining = asyncio.get_running_loop().create_task(drain())

    def _record_events(self) -> None:
        events = self._pipeline.events
        for event in events[self._events_written :]:
            if self._writer is not None:
                self._writer.event(event.t_us, EVENT_PHASE, f"{event.phase_from.value} to {event.phase_to.value}")
        self._events_written = len(events)

    # -- a gap ----------------------------------------------------------------------------------------------------

    def _changed(self, change: Change, why: str) -> None:
        match change:
            case Change.LOST:
                self._pipeline.begin_gap()
                self._ticks = asyncio.get_running_loop().call_later(TICK_S, self._tick)
            case Change.BACK | Change.RESTARTED:
                self._end_ticks()
                self._pipeline.resume(self._nexus.decoder, change is Change.RESTARTED)
                if not self._pipeline.sensing.tared:
                    self._tare, self._unloaded_us = None, 0
            case Change.UNWILLING:
                self._connections.lose(why)
            case Change.OTHER | Change.ENDED:
                self._end_ticks()
                self._command_stop(StopReason.LINK_LOST)

    def _tick(self) -> None:
        """In a gap nobody else says that time passes."""
        self._ticks = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self._connections.tick(self._heard_ns + round(TICK_S * 1e9))  # may end the session, and with it this

    def _end_ticks(self) -> None:
        if self._ticks is not None:
            self._ticks.cancel()
            self._ticks = None

    # -- the end --------------------------------------------------------------------------------------------------

    def _command_stop(self, reason: StopReason) -> None:
        if self._pipeline.engine.ended:
            return
        self._connections.note(EVENT_STOP, reason=reason.value)
        self._pipeline.stop(reason)
        self._record_events()
        self._finish()

    def _finish(self) -> None:
        if self._ending is None:
            self._connections.release()
            self._ending = asyncio.get_running_loop().create_task(self._wind_up())
            self._ended.set()

    async def _wind_up(self) -> SessionResult:
        self._end_ticks()
        state = self._pipeline.engine.state
        told = await self._tell_tool(_TOOL_REASON.get(state.stop_reason or state.phase, messages.StopReason.USER))
        helpers = [task for task in (self._tare, self._draining) if task is not None]
        await asyncio.gather(self._connections.settled(), *helpers, return_exceptions=True)
        self._connections.unwatch()
        summary = self._pipeline.summary()
        path = None
        if self._writer is not None:
            path = await asyncio.get_running_loop().run_in_executor(None, self._writer.finish, summary.as_dict())
        update = LiveUpdate(None, self._pipeline.snapshot())
        for callback in self._callbacks:
            callback(update)
        return SessionResult(summary, path, update.snapshot, told, self.gaps)

    async def _tell_tool(self, reason: messages.StopReason) -> bool:
        try:
            await self._nexus.stop(reason)
        except (DeviceError, TransportError):
            return False  # a dead link cannot be told; the result says so
        return True
