"""``stream`` and ``record``: a tool without a plan, until a limit, Ctrl-C, or the end of its link.

With ``--keep`` a lost link is a gap: the tool is waited for, and its stream goes on. A recording has a mark where each
gap began and ended, by the number of chunks before it, as that of a guided hold has.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
from nexuslink.live.pipeline import SILENCE_LOST_S, Sensing
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.transport.errors import LinkLostError, TransportError

if TYPE_CHECKING:
    from nexuslink.recording.writer import SessionWriter


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
    from nexuslink.live.session import session_name  # dear to import, and only recording needs it

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


def _writer(path: Path, nexus: Nexus) -> SessionWriter:
    from nexuslink.live.session import header_for
    from nexuslink.recording.writer import SessionWriter

    return SessionWriter(path, header_for(nexus, None))


async def _run(args: argparse.Namespace, limit: _Limit, show: Show, path: Path | None) -> _Ended:
    """Stream until the limit, an interrupt, or the end of the link."""
    supervisor = await kept(args.url, once=not args.keep, watch=tell_pairing())
    try:
        with supervisor.holding():
            nexus = await supervisor.up(0.0)
            flow = _Flow(nexus, limit, show, None if supervisor.once else supervisor)
            flow.writer = _writer(path, nexus) if path is not None else None
            end_watch = supervisor.add_tool_watch(flow.resume)
            try:
                await flow.run()
            except asyncio.CancelledError:  # Ctrl-C
                if path is None:
                    raise
            finally:
                end_watch()
                await flow.end()
    finally:
        await supervisor.disconnect()
    if flow.broken is not None:
        raise flow.broken
    return _Ended(flow.reason, flow.gaps)


class _Flow:
    """One tool's estimates, connection after connection. ``keeper``: who brings a lost link back, if anybody does."""

    def __init__(self, nexus: Nexus, limit: _Limit, show: Show, keeper: Supervisor | None) -> None:
        self.writer: SessionWriter | None = None
        self.reason: str | None = None
        self.broken: BrokenPipeError | None = None
        self.gaps = 0
        self._nexus = nexus
        self._limit = limit
        self._show = show
        self._keeper = keeper
        self._sensing = Sensing(nexus.info, nexus.calibration)
        self._done = asyncio.Event()
        self._heard_ns = nexus.now_ns
        self._t_us = 0
        self._chunks = 0
        self._lost = 0
        """Messages lost on the links before this one."""
        self._in_gap = self._anew = False
        self._timer: asyncio.TimerHandle | None = None
        self._starting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Start the stream; returns when it is over."""
        self._watch()
        await self._nexus.start()
        await self._done.wait()
        if not self._in_gap:
            with contextlib.suppress(TransportError, DeviceError):  # a dead link cannot be told
                await self._nexus.stop()

    async def end(self) -> None:
        """Let go, and finish the file."""
        self._done.set()
        self._cancel_timer()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        self._unwatch()
        if self.writer is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.writer.finish, None)

    def _watch(self) -> None:
        if self.writer is not None:
            self._nexus.add_tap(self.writer.chunk)
        self._nexus.add_listener(self._take)
        self._nexus.add_closer(self._closed)

    def _unwatch(self) -> None:
        for callback in (self._take, self._closed, *((self.writer.chunk,) if self.writer is not None else ())):
            self._nexus.remove(callback)

    def _take(self, chunk: Chunk, decoded: Decoded) -> None:
        self._chunks += 1
        if self._anew and decoded.batches:
            self._anew = False
            self._sensing.begin_anew(decoded, self._t_us, max(0, chunk.arrival_ns - self._heard_ns) / 1e9)
        estimates = self._sensing.update(decoded)
        if self._done.is_set():
            return
        if estimates is None or not len(estimates.t_us):
            if self._keeper is None and chunk.arrival_ns - self._heard_ns > SILENCE_LOST_S * 1e9:
                self._over(f"{self._nexus.url}: no force data for {SILENCE_LOST_S:g} s; is the tool still in reach?")
            return
        self._limit.begin(int(estimates.t_us[0]))
        self._heard_ns, self._t_us = chunk.arrival_ns, int(estimates.t_us[-1])
        if self.writer is not None:
            self.writer.estimates(
                estimates.t_us, estimates.force_n, estimates.pressure_kpa, estimates.tip_angle_deg,
                estimates.tip_direction_deg,
            )  # fmt: skip
        try:
            self._show(self._nexus, estimates, self._lost + self._nexus.decoder.link.lost)
        except BrokenPipeError as error:  # whoever read our output has gone
            self.broken = error
            self._done.set()
        if self._limit.left_s(self._t_us) <= 0:
            self._done.set()

    def _over(self, reason: str) -> None:
        if not self._done.is_set():
            self.reason = reason
            self._done.set()

    # -- a gap ----------------------------------------------------------------------------------------------------

    def _closed(self, reason: str) -> None:
        if self._keeper is None or self._done.is_set():
            self._over(reason)
            return
        whisper(LOST)
        self._unwatch()
        self.gaps += 1
        self._in_gap = True
        self._lost += self._nexus.decoder.link.lost
        self._note("gap", reason=reason)
        left_s = self._limit.left_s(self._t_us)
        if math.isfinite(left_s):
            self._cancel_timer()
            self._timer = asyncio.get_running_loop().call_later(left_s, self._stayed_away)

    def _stayed_away(self) -> None:
        why = f"; {self._keeper.progress.sentence}" if self._keeper is not None else ""
        self._over(f"{self._nexus.info.serial_number} did not come back before the time was over{why}")

    def resume(self, nexus: Nexus) -> None:
        """The same tool on a new connection, which does not stream yet. Nothing happens without a gap."""
        if not self._in_gap or self._done.is_set():
            return
        known, found = self._nexus, nexus
        if (known.calibration_bytes, known.info.streams) != (found.calibration_bytes, found.info.streams):
            self._over(f"{found.url}: the tool has come back with another calibration or other streams; start again")
            return
        self._in_gap = False
        self._cancel_timer()
        restarted = found.info.boot_id != known.info.boot_id
        self._anew |= restarted
        self._note("resume", framed=found.transport.framed, restarted=restarted, url=found.url)
        whisper("The tool is back." + (" It has restarted." if restarted else ""))
        self._nexus = found
        self._watch()
        self._starting = asyncio.get_running_loop().create_task(self._start(found))

    async def _start(self, nexus: Nexus) -> None:
        try:
            await nexus.start()
        except (DeviceError, TransportError) as error:
            if nexus is self._nexus and not self._in_gap and nexus.closed_reason is None:
                self._over(str(error))

    def _note(self, kind: str, **values: object) -> None:
        if self.writer is not None:
            self.writer.event(self._t_us, kind, json.dumps({"after_chunks": self._chunks, **values}))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
