"""``calibrate zero, weights, poses, gyro, check``: a procedure in the terminal. No key is needed on the way.

Those who have a hand free may type ``u`` to take the latest reading back, ``f`` to finish with what there is. Ctrl-C
ends it; what was captured is kept in the archive all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

from nexuslink.calibration.archive import plain
from nexuslink.calibration.document import to_document
from nexuslink.calibration.errors import WriteError
from nexuslink.calibration.picture import Picture, Stage
from nexuslink.calibration.procedure import Procedure, Setting
from nexuslink.calibration.procedure_gyro import GyroProcedure
from nexuslink.calibration.procedure_poses import PoseProcedure
from nexuslink.calibration.procedure_weights import KG_PER, CheckProcedure, WeightProcedure
from nexuslink.calibration.procedure_zero import ZeroProcedure
from nexuslink.calibration.writing import Written, unlock
from nexuslink.cli.calibrate_record import SESSION, archive_at, code_of, save, say_written, write, written_json
from nexuslink.cli.errors import UsageError
from nexuslink.cli.output import print_json, say
from nexuslink.cli.pairing import tell_pairing
from nexuslink.device.errors import DeviceError
from nexuslink.device.keeping import connection
from nexuslink.estimation.calibration import TIP_NAMES
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity, local_gravity
from nexuslink.live.calibrating import Calibrating, Outcome, Recorded, conclude, recorded, setting_for
from nexuslink.transport.errors import TransportError

BAR: Final = 10
Make = Callable[[Setting], Procedure]


def zero(args: argparse.Namespace) -> int:
    """Nothing on it."""
    return _on_tool(args, args.url, lambda setting: ZeroProcedure(setting, args.poses))


def weights(args: argparse.Namespace) -> int:
    """Several weights on one tip."""
    masses, share = [mass * KG_PER[args.unit] for mass in args.mass], _share(args)
    return _on_tool(args, args.url, lambda setting: WeightProcedure(TIP_NAMES.index(args.tip), masses, setting, share))


def poses(args: argparse.Namespace) -> int:
    """Six sides."""
    return _on_tool(args, args.url, PoseProcedure)


def check(args: argparse.Namespace) -> int:
    """One weight on one tip."""
    mass, share = args.mass * KG_PER[args.unit], _share(args)
    return _on_tool(args, args.url, lambda setting: CheckProcedure(TIP_NAMES.index(args.tip), mass, setting, share))


def gyro(args: argparse.Namespace) -> int:
    """Movement, now or recorded."""
    files = [Path(name) for name in args.sources if name.endswith(SESSION)]
    urls = [name for name in args.sources if not name.endswith(SESSION)]
    if len(urls) > 1:
        raise UsageError(f"{urls[0]} and {urls[1]}: name one tool, and sessions (.mcap)")
    if not urls and args.write:
        raise UsageError("--write needs the tool's address beside the sessions")
    code_of(args)
    sessions = [recorded(path) for path in files]
    for path, session in zip(files, sessions, strict=True):
        first = sessions[0].record.serial_number
        if session.record.serial_number != first:
            raise UsageError(f"{path}: it is of {session.record.serial_number}, {files[0]} of {first}; take one tool's")
    if urls:
        return _on_tool(args, urls[0], lambda setting: _turning(setting, sessions), sessions)
    procedure = _turning(sessions[0].setting, sessions)
    procedure.finish()
    procedure.conclude()
    outcome = conclude(procedure, sessions[-1].record, archive_at(args.archive), "")
    return _report(args, outcome, _save(args, outcome), None)


def _turning(setting: Setting, sessions: list[Recorded]) -> GyroProcedure:
    return GyroProcedure(setting, [session.recording for session in sessions])


def _share(args: argparse.Namespace) -> float:
    if args.u_mass is None:
        return 0.0
    if not 0 < args.u_mass < 50:
        raise UsageError(f"--u-mass {args.u_mass:g}: write percent, above 0 and below 50")
    return float(args.u_mass) / 100


def _gravity(args: argparse.Namespace) -> Gravity:
    if args.latitude is None:
        return UNKNOWN_PLACE
    try:
        return local_gravity(args.latitude, args.altitude)
    except CalibrationError as error:
        raise UsageError(f"--{error}") from None


def _on_tool(args: argparse.Namespace, url: str, make: Make, sessions: list[Recorded] | None = None) -> int:
    code = code_of(args) if "write" in args else None
    out = getattr(args, "out", None)
    if out is not None and Path(out).exists():
        raise UsageError(f"{out} is already there; name another file")
    if not (math.isfinite(args.patience) and args.patience > 0):
        raise UsageError(f"--patience {args.patience:g}: write a positive number of seconds")
    return asyncio.run(_run(args, url, make, code, _gravity(args), sessions or []))


@contextmanager
def _heeding(calibrating: Calibrating) -> Iterator[None]:
    """Obey what is typed meanwhile, where a terminal can be listened to."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32" or not sys.stdin or not sys.stdin.isatty():
        yield
        return
    loop.add_reader(sys.stdin.fileno(), lambda: obey(sys.stdin.readline(), calibrating))
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin.fileno())


def obey(line: str, calibrating: Calibrating) -> None:
    """``u``: take the latest point back. ``f``: enough, do the sums. Anything else is nothing."""
    acts = {"u": calibrating.undo, "f": calibrating.finish}
    acts.get(line.strip().lower(), lambda: None)()


async def _run(
    args: argparse.Namespace, url: str, make: Make, code: int | None, gravity: Gravity, sessions: list[Recorded]
) -> int:
    async with connection(url, cache=None, watch=tell_pairing()) as nexus:
        for session in sessions:
            if session.record.serial_number != nexus.info.serial_number:
                raise UsageError(f"{url} is {nexus.info.serial_number}, the sessions are of "
                                 f"{session.record.serial_number}; take sessions of this tool")  # fmt: skip
        procedure = make(setting_for(nexus, gravity))
        if code is not None:
            await unlock(nexus, code)  # a wrong one is said before the weights are lifted
        line = None if args.json else ProgressLine(sys.stdout)
        calibrating = Calibrating(
            nexus, procedure, archive_at(args.archive), line.show if line else None, args.patience
        )
        try:
            with _heeding(calibrating):
                outcome = await calibrating.run()
        except asyncio.CancelledError:  # Ctrl-C: what was captured is kept
            if calibrating.outcome is None:
                raise
            outcome = calibrating.outcome
        if line is not None:
            line.end()
        saved = _save(args, outcome)
        written = None
        if code is not None and outcome.record is not None:
            observations = plain(outcome.event.observations)
            reason = outcome.event.reason
            try:
                written = await write(nexus, outcome.record, code, args.archive, reason, observations)
            except (WriteError, DeviceError, TransportError) as error:
                raise WriteError(f"{error}. The new record is kept in {outcome.event.path or saved}") from None
    return _report(args, outcome, saved, written)


def _save(args: argparse.Namespace, outcome: Outcome) -> Path | None:
    out = getattr(args, "out", None)
    return save(outcome.record, out) if out is not None and outcome.record is not None else None


def _report(args: argparse.Namespace, outcome: Outcome, saved: Path | None, written: Written | None) -> int:
    """Say how it went; exit status 0 if it was accepted."""
    status = 0 if outcome.accepted else 1
    picture = outcome.picture
    if args.json:
        print_json({
            "accepted": outcome.accepted, "verdict": picture.verdict, "reason": outcome.reason,
            "advice": picture.advice if outcome.accepted else "",
            "ended": outcome.ended, "points": [asdict(point) for point in picture.points], "unit": picture.unit,
            "kept": outcome.event.path, "unkept": outcome.unkept, "file": saved, "written": written_json(written),
            "record": None if outcome.record is None else to_document(outcome.record),
            "simulated": picture.simulated,
        })  # fmt: skip
        return status
    say(f"{picture.title}{'  [SIMULATED]' if picture.simulated else ''}")
    for point in picture.points:
        parts = [f"  {point.name:18} {point.measured:9.3f} {picture.unit}"]
        parts += [f"of {point.expected:.3f}"] if math.isfinite(point.expected) else []
        parts += [f"off by {point.residual:+.3f}"] if math.isfinite(point.residual) else []
        parts += [f"u {point.u:.3f}"] if math.isfinite(point.u) else []
        say("  ".join(parts))
    say(f"accepted: {picture.verdict}" if outcome.accepted else f"NOT accepted: {outcome.reason}")
    if outcome.accepted and picture.advice:
        say(picture.advice)
    say(f"NOT kept: {outcome.unkept}" if outcome.unkept else f"kept in {outcome.event.path}")
    if saved is not None:
        say(f"written to {saved}")
    if outcome.record is not None:
        say_written(written)
    return status


class ProgressLine:
    """What to do now: one line that is painted over on a terminal, a line for each change in a file."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._said = ("", -1)

    def show(self, picture: Picture) -> None:
        """Paint it, or write it if it says something new."""
        said = (picture.sentence, picture.step)
        if not self._live and said == self._said:
            return
        self._said = said
        simulated = "  [SIMULATED]" if picture.simulated else ""
        done = round(BAR * picture.progress_of_step)
        bar = f"[{'█' * done}{'·' * (BAR - done)}]" if picture.stage is not Stage.DONE else ""
        reading = "" if math.isnan(picture.reading) else f"{picture.reading:8.2f} {picture.unit}"
        steps = f"{min(picture.step + 1, picture.steps)}/{picture.steps}" if picture.steps else ""
        text = f"{steps:>5}  {picture.sentence:38} {reading}  {bar}{simulated}"
        if self._live:
            self._out.write("\r\x1b[2K" + text[: shutil.get_terminal_size().columns - 1])
        else:
            self._out.write(f"{steps:>5}  {picture.sentence}{simulated}\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            self._out.write("\r\x1b[2K")
            self._out.flush()
