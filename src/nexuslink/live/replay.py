"""A session file through decoder, estimator and hold engine again: the same code, the same result, to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from nexuslink.calibration.document import in_words
from nexuslink.estimation.estimator import Estimates
from nexuslink.live.connections import EVENT_GAP, EVENT_RESUME
from nexuslink.live.errors import SessionError
from nexuslink.live.pipeline import LiveUpdate, Pipeline
from nexuslink.live.session import EVENT_STOP
from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.messages import CalibrationRecord
from nexuslink.recording.messages import EstimateRows
from nexuslink.recording.reader import SessionReader
from nexuslink.release.hold import StopReason
from nexuslink.release.plans import parse_plan
from nexuslink.release.summary import HoldSummary


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What came out, and whether it is what was recorded.

    ``rows_identical``: every recorded estimate came out again with the same bits. ``summary_identical``: so did the
    summary; ``None`` for a recording that was cut before it had one.
    """

    summary: HoldSummary
    rows: int
    recorded_rows: int
    rows_identical: bool
    summary_identical: bool | None
    truncated: bool
    simulated: bool
    lost_messages: int
    calibration: str
    """Which record the session used, in words."""


def replay(path: Path, watch: Callable[[LiveUpdate], None] | None = None) -> ReplayResult:
    """Run a recorded hold again. Raises `RecordingError` for the file, `SessionError` for what it lacks."""
    reader = SessionReader(path)
    header = reader.header
    info, record = ToolDescription.unpack(header.info), CalibrationRecord.unpack(header.calibration)
    if info is None or record is None:
        raise SessionError(f"{path}: the tool's description in it cannot be read; it was made by another version")
    if header.plan_toml is None:
        raise SessionError(f"{path}: a recording without a plan has no hold to replay; `nexuslink release` makes one")
    decoder = Decoder(framed=header.framed)
    streams = info.streams
    decoder.describe(streams)
    pipeline = Pipeline(info, record, decoder, parse_plan(header.plan_toml, f"the plan in {path}"))
    comparison = _Comparison(reader.estimates())
    commands = [_command(e.kind, e.detail, path) for e in reader.events() if e.kind in _COMMANDS]

    def obey(command: _Command) -> None:
        """What was done to the session between two chunks."""
        nonlocal decoder
        if command.kind == EVENT_STOP:
            pipeline.stop(command.reason)
        elif command.kind == EVENT_GAP:
            pipeline.begin_gap()
        else:
            decoder = Decoder(framed=command.framed)
            decoder.describe(streams)
            pipeline.resume(decoder, command.restarted)

    done = 0
    for done, chunk in enumerate(reader.chunks(), start=1):
        while commands and commands[0].after_chunks < done:
            obey(commands.pop(0))
        update = pipeline.process(chunk, decoder.feed(chunk.data))
        if update.estimates is not None:
            comparison.take(update.estimates)
        if watch is not None:
            watch(update)
    for command in commands:
        if command.after_chunks <= done:
            obey(command)
    summary = pipeline.summary()
    as_recorded = json.loads(json.dumps(summary.as_dict()))
    return ReplayResult(
        summary=summary, rows=comparison.rows, recorded_rows=comparison.finish(),
        rows_identical=comparison.identical,
        summary_identical=None if reader.summary is None else reader.summary == as_recorded,
        truncated=reader.truncated, simulated=header.simulated, lost_messages=pipeline.snapshot().link.lost_messages,
        calibration=in_words(record),
    )  # fmt: skip


_COMMANDS: Final = (EVENT_STOP, EVENT_GAP, EVENT_RESUME)


@dataclass(frozen=True, slots=True)
class _Command:
    """A recorded event that a replay obeys, after so many chunks."""

    kind: str
    after_chunks: int
    reason: StopReason = StopReason.USER
    framed: bool = True
    restarted: bool = False


def _command(kind: str, detail: str, path: Path) -> _Command:
    try:
        said = json.loads(detail)
        after = int(said["after_chunks"])
        if kind == EVENT_STOP:
            return _Command(kind, after, StopReason(said["reason"]))
        if kind == EVENT_RESUME:
            return _Command(kind, after, framed=bool(said["framed"]), restarted=bool(said["restarted"]))
        return _Command(kind, after)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SessionError(f"{path}: a {kind} command in it cannot be read: {detail[:200]!r}") from None


class _Comparison:
    """Estimates against the recorded ones, batch by batch, in constant memory."""

    def __init__(self, recorded: Iterator[EstimateRows]) -> None:
        self._recorded = recorded
        self._recorded_rows = 0
        self._exhausted = False
        self.rows = 0
        self.identical = True

    def take(self, made: Estimates) -> None:
        """Compare one batch with the next recorded one."""
        self.rows += len(made.t_us)
        expected = next(self._recorded, None)
        if expected is None:  # a cut file may hold the chunk but not yet its estimates
            self._exhausted = True
            return
        self._recorded_rows += len(expected.t_us)
        self.identical &= not self._exhausted and all(
            np.array_equal(getattr(made, name), getattr(expected, name), equal_nan=name != "t_us")
            for name in EstimateRows._fields
        )

    def finish(self) -> int:
        """Number of recorded rows, those never reached included (which is a difference)."""
        left = sum(len(rows.t_us) for rows in self._recorded)
        if left:
            self.identical = False
        return self._recorded_rows + left
