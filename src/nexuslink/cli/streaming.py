"""``stream`` and ``record``: a tool without a plan, until a limit, Ctrl-C, or the end of its link.

With ``--keep`` a lost link is a gap: the tool is waited for, and its stream goes on. A recording has a mark where each
gap began and ended, as that of a guided hold has.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nexuslink.cli.errors import UsageError
from nexuslink.cli.folders import sessions_folder
from nexuslink.cli.output import print_json, say, whisper
from nexuslink.cli.pairing import tell_pairing
from nexuslink.cli.terminal import LOST
from nexuslink.device.errors import DeviceError
from nexuslink.device.keeping import kept
from nexuslink.device.nexus import Nexus
from nexuslink.device.supervisor import Supervisor
from nexuslink.estimation.estimator import Estimates
from nexuslink.live.connections import Change, Connections
from nexuslink.live.pipeline import SILENCE_LOST_S, LinkMeter, Sensing
from nexuslink.live.session import header_for, session_name
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.recording.writer import SessionWriter
from nexuslink.transport.errors import LinkLostError, TransportError


class _Limit:
    """Ends a stream after so many seconds of device time, those of gaps included."""

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(f"--seconds {seconds:g}: write a positive number of seconds")
        self._limit_us = math.inf if seconds is None else seconds * 1e6
        self._first_us: int | None = None

    def begin(self, t_us: int) -> None:
        """A sample's time; the first one counts."""
        if self._first_us is None:
            self._first_us = t_us

    def left_s(self, t_us: int) -> float:
        """Seconds from this device time to the limit; infinite where there is none."""
        first = t_us if self._first_us is None else self._first_us
        return (self._limit_us - (t_us - first)) / 1e6


@dataclass(frozen=True, slots=True)
class _Ended:
    """How it ended. ``reason``: of a link that was lost for good; ``None``: as it was wanted."""

    reason: str | None
    gaps: int


Show = Callable[[Nexus, Estimates, int], None]
"""Gets the tool, new estimates, and how many messages have been lost."""


def stream(args: argparse.Namespace) -> int:
    """Print one line per chunk of estimates: the newest sample."""
    limit = _Limit(args.seconds)

    def show(nexus: Nexus, e: Estimates, lost: int) -> None:
        row = {
            "t_us": int(e.t_us[-1]), "force_n": e.force_n[-1].tolist(), "pressure_kpa": e.pressure_kpa[-1].tolist(),
            "tip_angle_deg": e.tip_angle_deg[-1].tolist(), "tip_direction_deg": e.tip_direction_deg[-1].tolist(),
            "lost_messages": lost, "simulated": nexus.simulated,
        }  # fmt: skip
        if args.json:
            print_json(row)
        else:
            f, a = e.force_n[-1], e.tip_angle_deg[-1]
            say(
                f"{row['t_us'] / 1e6:10.3f} s   psoas {f[0]:7.2f} N {a[0]:6.1f}°   iliacus {f[1]:7.2f} N {a[1]:6.1f}°"
                f"   lost {row['lost_messages']}{'   [SIMULATED]' if row['simulated'] else ''}"
            )

    ended = asyncio.run(_run(args, limit, show, None))
    if ended.reason is not None:
        raise LinkLostError(ended.reason)
    return 0


def record(args: argparse.Namespace) -> int:
    """Raw chunks and estimates into a session file. Ctrl-C is how it usually ends."""
    limit = _Limit(args.seconds)
    path = Path(args.out) if args.out else sessions_folder(None) / session_name("record")
    rows = 0

    def count(_nexus: Nexus, e: Estimates, _lost: int) -> None:
        nonlocal rows
        rows += len(e.t_us)

    ended = asyncio.run(_run(args, limit, count, path))
    if args.json:
        print_json({"session_file": path, "rows": rows, "gaps": ended.gaps, "ended": ended.reason})
    else:
        gaps = f", with {ended.gaps} gap{'s' * (ended.gaps > 1)}" if ended.gaps else ""
        say(f"{rows} force samples in {path}{gaps}")
    if ended.reason is not None:
        raise LinkLostError(ended.reason)
    return 0


async def _run(args: argparse.Namespace, limit: _Limit, show: Show, path: Path | None) -> _Ended:
    """Stream until the limit, an interrupt, or the end of the link."""
    supervisor = await kept(args.url, once=not args.keep, watch=tell_pairing())
    try:
        with supervisor.holding():
            nexus = await supervisor.up(0.0)
            flow = _Flow(nexus, limit, show, path, None if supervisor.once else supervisor)
            try:
                await flow.run()
            except asyncio.CancelledError:  # Ctrl-C
                if path is None:
                    raise
            finally:
                await flow.end()
    finally:
        await supervisor.disconnect()
    if flow.broken is not None:
        raise flow.broken
    return _Ended(flow.reason, flow.connections.gaps)


class _Flow:
    """One tool's estimates, connection after connection. ``keeper``: who brings a lost link back, if anybody does."""

    def __init__(self, nexus: Nexus, limit: _Limit, show: Show, path: Path | None, keeper: Supervisor | None) -> None:
        self.reason: str | None = None
        self.broken: BrokenPipeError | None = None
        self._limit = limit
        self._show = show
        self._keeper = keeper
        self._sensing = Sensing(nexus.info, nexus.calibration)
        self._meter = LinkMeter(nexus.decoder)
        self._done = asyncio.Event()
        self._t_us = 0
        self._anew = False
        """The clock of the next samples is another one."""
        self._timer: asyncio.TimerHandle | None = None
        self._writer = SessionWriter(path, header_for(nexus, None)) if path is not None else None
        self.connections = Connections(nexus, self._writer, self._take, self._changed, lambda: self._t_us)
        if keeper is not None:
            self.connections.keep(keeper)

    async def run(self) -> None:
        """Start the stream; returns when it is over."""
        await self.connections.nexus.start()
        await self._done.wait()
        if not self.connections.in_gap:
            with contextlib.suppress(TransportError, DeviceError):  # a dead link cannot be told
                await self.connections.nexus.stop()

    async def end(self) -> None:
        """Let go, and finish the file."""
        self._finish()
        self._cancel_timer()
        self.connections.cancel()
        await self.connections.settled()
        self.connections.unwatch()
        if self._writer is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._writer.finish, None)

    def _take(self, chunk: Chunk, decoded: Decoded) -> None:
        if self._anew and decoded.batches:
            self._anew = False
            self._sensing.begin_anew(decoded, self._t_us, self._meter.since_data_s(chunk))
        estimates = self._sensing.update(decoded)
        self._meter.take(chunk, decoded, self._sensing, None)
        if self._done.is_set():
            return
        if estimates is None or not len(estimates.t_us):
            if self._keeper is None and self._meter.silent_s > SILENCE_LOST_S:
                url = self.connections.nexus.url
                self._over(f"{url}: no force data for {SILENCE_LOST_S:g} s; is the tool still in reach?")
            return
        self._limit.begin(int(estimates.t_us[0]))
        self._t_us = int(estimates.t_us[-1])
        if self._writer is not None:
            self._writer.estimates(
                estimates.t_us, estimates.force_n, estimates.pressure_kpa, estimates.tip_angle_deg,
                estimates.tip_direction_deg,
            )  # fmt: skip
        try:
            self._show(self.connections.nexus, estimates, self._meter.quality().lost_messages)
        except BrokenPipeError as error:  # whoever read our output has gone
            self.broken = error
            self._finish()
        if self._limit.left_s(self._t_us) <= 0:
            self._finish()

    def _finish(self) -> None:
        self._done.set()
        self.connections.release()

    def _over(self, reason: str) -> None:
        if not self._done.is_set():
            self.reason = reason
            self._finish()

    # -- a gap ----------------------------------------------------------------------------------------------------

    def _changed(self, change: Change, why: str) -> None:
        match change:
            case Change.LOST:
                whisper(LOST)
                left_s = self._limit.left_s(self._t_us)
                if math.isfinite(left_s):
                    self._cancel_timer()
                    self._timer = asyncio.get_running_loop().call_later(left_s, self._stayed_away)
            case Change.BACK | Change.RESTARTED:
                self._cancel_timer()
                restarted = change is Change.RESTARTED
                self._anew |= restarted
                self._meter.resume(self.connections.nexus.decoder)
                whisper("The tool is back." + (" It has restarted." if restarted else ""))
            case Change.UNWILLING | Change.OTHER | Change.ENDED:
                self._over(why)

    def _stayed_away(self) -> None:
        why = f"; {self._keeper.progress.sentence}" if self._keeper is not None else ""
        self._over(f"{self.connections.nexus.info.serial_number} did not come back before the time was over{why}")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
