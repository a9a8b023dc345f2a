"""``scan``, ``info``, ``stream``, ``record``: a tool without a plan."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nexuslink.calibration.document import in_words
from nexuslink.cli.errors import UsageError
from nexuslink.cli.folders import sessions_folder
from nexuslink.cli.output import print_json, say, whisper
from nexuslink.device.discovery import FoundTool, find_tools
from nexuslink.device.errors import DeviceError
from nexuslink.device.nexus import Nexus, connect
from nexuslink.device.words import abilities, spoken, trouble
from nexuslink.estimation.estimator import Estimates
from nexuslink.live.pipeline import SILENCE_LOST_S, Sensing
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.protocol.messages import Capability, ErrorReport, StreamKind
from nexuslink.transport.errors import LinkLostError, TransportError

if TYPE_CHECKING:
    from nexuslink.recording.writer import SessionWriter

LISTEN_S: Final = 1.5
"""How long `scan` listens for tools that advertise: several times each one's period."""
_KINDS: Final = {int(kind): kind.name.lower() for kind in StreamKind}


def _tools_near() -> tuple[list[FoundTool], str | None]:
    """Who advertises over Bluetooth, and why nobody could be heard."""
    from nexuslink.transport.ble_scan import ble_tools

    try:
        near = asyncio.run(ble_tools(LISTEN_S))
    except TransportError as error:
        return [], str(error)
    found = []
    for tool in near:
        signal = "" if math.isnan(tool.rssi_dbm) else f", {tool.rssi_dbm:.0f} dBm"
        bond = ", paired" if tool.bonded else ""
        doubt = f"; {tool.doubt}" if tool.doubt else ""
        found.append(FoundTool(tool.name, tool.url, tool.simulated, f"Bluetooth{signal}{bond}{doubt}"))
    return found, None


def scan(args: argparse.Namespace) -> int:
    """List the tools."""
    near, trouble = _tools_near()
    *ports, simulated = find_tools()
    tools = [*ports, *near, simulated]
    if trouble is not None:
        whisper(f"Bluetooth tools are not listed: {trouble.removeprefix('ble: ')}")
    if args.json:
        print_json([{"name": t.name, "url": t.url, "simulated": t.simulated, "detail": t.detail} for t in tools])
        return 0
    for tool in tools:
        say(f"{tool.url:34} {tool.name}{'  [SIMULATED]' if tool.simulated else ''}  {tool.detail}")
    if all(t.simulated for t in tools):
        say("No tool is plugged in or near. The simulated one works without hardware.")
    return 0


def describe(nexus: Nexus, errors: tuple[ErrorReport, ...] | None) -> dict[str, object]:
    """Identity, streams and error reports of a connected tool."""
    info, fit = nexus.info, nexus.clock_fit
    return {
        "url": nexus.url, "serial_number": info.serial_number, "simulated": nexus.simulated,
        "model": info.info.model, "firmware": info.firmware_version,
        "hardware": ".".join(map(str, info.info.hardware_version)),
        "protocol": spoken(info.hello), "boot_id": f"{info.boot_id:08x}",
        "calibration_id": nexus.calibration.calibration_id, "calibration": in_words(nexus.calibration),
        "max_message": info.max_message,
        "can": abilities(info.capabilities),
        "round_trip_ms": fit.round_trip_ns / 1e6 if fit else math.nan,
        "streams": [
            {
                "stream": s.stream,
                "kind": _KINDS.get(s.kind, f"kind {s.kind}"),
                "rate_hz": s.rate_hz, "channels": sum(g.channels for g in s.groups),
            }
            for s in info.streams
        ],
        "errors": None if errors is None else [trouble(report) for report in errors],
    }  # fmt: skip


def info(args: argparse.Namespace) -> int:
    """Connect, say who it is, leave."""

    async def ask() -> dict[str, object]:
        async with connect(args.url, cache=None) as nexus:  # what it says now
            keeps = Capability.ERRORS in nexus.info.capabilities
            return describe(nexus, await nexus.errors() if keeps else None)

    known = asyncio.run(ask())
    if args.json:
        print_json(known)
        return 0
    simulated = "  [SIMULATED]" if known["simulated"] else ""
    say(f"{known['serial_number']}{simulated} at {known['url']}")
    for name in ("model", "firmware", "hardware", "protocol", "boot_id", "calibration", "max_message"):
        say(f"  {name.replace('_', ' '):15} {known[name]}")
    say(f"  {'round trip':15} {known['round_trip_ms']:.2f} ms")
    streams = known["streams"]
    for s in streams if isinstance(streams, list) else []:
        say(f"  stream {s['stream']}        {s['kind']}, {s['channels']} channels at {s['rate_hz']:g} Hz")
    can, errors = known["can"], known["errors"]
    say(f"  {'can':15} {', '.join(can) if isinstance(can, list) and can else 'only stream'}")
    for error in errors if isinstance(errors, list) else []:
        say(f"  {'error':15} {error}")
    if not errors:
        say(f"  {'errors':15} {'not kept' if errors is None else 'none'}")
    return 0


class _Limit:
    """Ends a stream after so many seconds of device time."""

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(f"--seconds {seconds:g}: write a positive number of seconds")
        self._limit_us = math.inf if seconds is None else seconds * 1e6
        self._first_us: int | None = None

    def reached(self, estimates: Estimates) -> bool:
        """Has the limit passed with these samples?"""
        if self._first_us is None:
            self._first_us = int(estimates.t_us[0])
        return int(estimates.t_us[-1]) - self._first_us >= self._limit_us


def stream(args: argparse.Namespace) -> int:
    """Print one line per chunk of estimates: the newest sample."""
    limit = _Limit(args.seconds)

    def show(nexus: Nexus, e: Estimates) -> None:
        row = {
            "t_us": int(e.t_us[-1]), "force_n": e.force_n[-1].tolist(), "pressure_kpa": e.pressure_kpa[-1].tolist(),
            "tip_angle_deg": e.tip_angle_deg[-1].tolist(), "tip_direction_deg": e.tip_direction_deg[-1].tolist(),
            "lost_messages": nexus.decoder.link.lost, "simulated": nexus.simulated,
        }  # fmt: skip
        if args.json:
            print_json(row)
        else:
            f, a = e.force_n[-1], e.tip_angle_deg[-1]
            say(
                f"{row['t_us'] / 1e6:10.3f} s   psoas {f[0]:7.2f} N {a[0]:6.1f}°   iliacus {f[1]:7.2f} N {a[1]:6.1f}°"
                f"   lost {row['lost_messages']}{'   [SIMULATED]' if row['simulated'] else ''}"
            )

    asyncio.run(_run(args.url, limit, show, None))
    return 0


def record(args: argparse.Namespace) -> int:
    """Raw chunks and estimates into a session file."""
    from nexuslink.live.session import session_name  # dear to import, and only recording needs it

    limit = _Limit(args.seconds)
    path = Path(args.out) if args.out else sessions_folder(None) / session_name("record")
    rows = 0

    def count(_nexus: Nexus, e: Estimates) -> None:
        nonlocal rows
        rows += len(e.t_us)

    ended = asyncio.run(_run(args.url, limit, count, path))
    if args.json:
        print_json({"session_file": path, "rows": rows, "ended": ended})
    else:
        say(f"{rows} force samples in {path}" + (f"; {ended}" if ended else ""))
    return 0


def _writer(path: Path, nexus: Nexus) -> SessionWriter:
    from nexuslink.live.session import header_for
    from nexuslink.recording.writer import SessionWriter

    return SessionWriter(path, header_for(nexus, None))


async def _run(url: str, limit: _Limit, show: Callable[[Nexus, Estimates], None], path: Path | None) -> str | None:
    """Stream until the limit, an interrupt, or the end of the link (whose reason is returned)."""
    done = asyncio.Event()
    reason: str | None = None
    broken: BrokenPipeError | None = None

    async with connect(url) as nexus:
        sensing = Sensing(nexus.info, nexus.calibration)
        writer = _writer(path, nexus) if path is not None else None

        heard_ns = nexus.now_ns

        def take(chunk: Chunk, decoded: Decoded) -> None:
            nonlocal heard_ns
            estimates = sensing.update(decoded)
            if estimates is None and chunk.arrival_ns - heard_ns > SILENCE_LOST_S * 1e9:
                closed(f"{nexus.url}: no force data for {SILENCE_LOST_S:g} s; is the tool still in reach?")
            if estimates is None or done.is_set():
                return
            heard_ns = chunk.arrival_ns
            if writer is not None:
                writer.estimates(
                    estimates.t_us, estimates.force_n, estimates.pressure_kpa, estimates.tip_angle_deg,
                    estimates.tip_direction_deg,
                )  # fmt: skip
            try:
                show(nexus, estimates)
            except BrokenPipeError as error:  # whoever read our output has gone
                nonlocal broken
                broken = error
                done.set()
            if limit.reached(estimates):
                done.set()

        def closed(why: str) -> None:
            nonlocal reason
            reason = why
            done.set()

        if writer is not None:
            nexus.add_tap(writer.chunk)
        nexus.add_listener(take)
        nexus.add_closer(closed)
        try:
            await nexus.start()
            await done.wait()  # the limit, the end of the link, or Ctrl-C
            with contextlib.suppress(LinkLostError, DeviceError):  # a dead link cannot be told
                await nexus.stop()
        finally:
            for callback in (take, closed, *((writer.chunk,) if writer is not None else ())):
                nexus.remove(callback)
            if writer is not None:
                await asyncio.get_running_loop().run_in_executor(None, writer.finish, None)
    if broken is not None:
        raise broken
    if reason is not None and path is None:
        raise LinkLostError(reason)
    return reason
