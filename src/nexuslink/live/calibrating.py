"""A calibration procedure on a connected tool, or on what was recorded: samples in, every wait bounded, nothing lost.

What was captured goes into the archive however it ends: done, refused, given up, or with the link gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from nexuslink.calibration.archive import Archive, Event, Kind
from nexuslink.calibration.convert import tool_calibration
from nexuslink.calibration.errors import ArchiveError, ProcedureError
from nexuslink.calibration.picture import Picture
from nexuslink.calibration.procedure import Procedure, Setting
from nexuslink.calibration.procedure_gyro import imu_recording
from nexuslink.device.errors import DeviceError
from nexuslink.device.nexus import Nexus
from nexuslink.estimation import ImuRecording
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.gravity import UNKNOWN_PLACE, Gravity
from nexuslink.live.connections import EVENT_GAP
from nexuslink.live.errors import SessionError
from nexuslink.live.pipeline import SILENCE_LOST_S, imu_scale
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Batch, Decoded, Decoder
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.messages import CalibrationRecord, StreamKind
from nexuslink.protocol.record import seal_record
from nexuslink.recording.reader import SessionReader
from nexuslink.transport.errors import TransportError

PATIENCE_S: Final = 300.0
"""So long, on the tool's clock, without one more point captured, and it is given up [assumption]."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. ``record``: what may be written; None where there is none.

    ``ended``: why it ended before everything was captured; empty where it did not. ``event``: what the archive keeps
    of it. ``unkept``: why it could not be kept, with all of it still in ``event``; empty where it was.
    """

    picture: Picture
    accepted: bool
    reason: str
    ended: str
    record: CalibrationRecord | None
    event: Event
    unkept: str = ""


def setting_for(nexus: Nexus, gravity: Gravity = UNKNOWN_PLACE) -> Setting:
    """What a procedure must know of a connected tool. Raises `SessionError`."""
    return _setting(nexus.info, nexus.calibration, gravity)


def _setting(info: ToolDescription, record: CalibrationRecord, gravity: Gravity) -> Setting:
    force, imu = (
        next((s for s in info.streams if s.kind == kind), None) for kind in (StreamKind.FORCE, StreamKind.IMU)
    )
    if force is None or imu is None or sum(group.channels for group in force.groups) != 2:
        raise SessionError(f"{info.serial_number} does not stream force of two tips and an IMU; update its firmware")
    return Setting(tool_calibration(record), imu_scale(imu), force.rate_hz, gravity, info.simulated)


class Calibrating:
    """One procedure on one tool. ``watch`` is told on the loop's thread whenever the picture may have changed."""

    def __init__(
        self, nexus: Nexus, procedure: Procedure, archive: Archive, watch: Callable[[Picture], None] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self._nexus, self.procedure, self._archive, self._watch = nexus, procedure, archive, watch
        self._patience_us = patience_s * 1e6
        force, imu = nexus.stream_of(StreamKind.FORCE), nexus.stream_of(StreamKind.IMU)
        assert force is not None and imu is not None  # `setting_for` has looked
        self._force, self._imu = force.stream, imu.stream
        self._over = asyncio.Event()
        self.outcome: Outcome | None = None
        """After `run`, also after one that was cancelled."""
        self._ended = ""
        self._heard_ns = nexus.transport.now_ns()
        self._captured = (0, 0)
        self._captured_us = 0

    def give_up(self, reason: str = "given up") -> None:
        """End now; what was captured is kept."""
        self._end(reason)

    def finish(self) -> None:
        """Enough: do the sums with what is there."""
        self.procedure.finish()
        self._over.set()

    def undo(self) -> None:
        """Take the latest point back."""
        self.procedure.undo()
        self._show()

    async def run(self) -> Outcome:
        """Stream until everything is captured, or until it ends for another reason; then conclude and keep.

        Cancelled, it keeps what it has before it lets go. Raises `ArchiveError` before anything is measured.
        """
        await asyncio.to_thread(self._archive.prepare, self._nexus.info.serial_number)
        try:
            await self._stream()
        finally:
            self._end("stopped by hand")
            self.outcome = await asyncio.to_thread(self._conclude)
        return self.outcome

    async def _stream(self) -> None:
        nexus = self._nexus
        nexus.add_listener(self._take)
        nexus.add_closer(self._end)
        try:
            await nexus.start()
            try:
                await self._over.wait()  # until captured, silent, out of patience, or the link has closed
            finally:
                await nexus.stop()
        except (DeviceError, TransportError) as error:
            self._end(str(error))
        finally:
            nexus.remove(self._take)
            nexus.remove(self._end)

    def _take(self, chunk: Chunk, decoded: Decoded) -> None:
        if self._over.is_set():
            return
        procedure = self.procedure
        for status in decoded.statuses:
            procedure.set_temperature(0.01 * status.temperature_cdeg)
        force, imu = _joined(decoded.batches, self._force), _joined(decoded.batches, self._imu)
        if force is None:
            if chunk.arrival_ns - self._heard_ns > SILENCE_LOST_S * 1e9:
                self._end(f"{self._nexus.url}: no force data for {SILENCE_LOST_S:g} s; is the tool still in reach?")
            if imu is None:
                return
        else:
            self._heard_ns = chunk.arrival_ns
        if procedure.update(force, imu):
            self._be_patient(procedure.still.t_us)
            self._show()
        if procedure.complete:
            self._over.set()

    def _be_patient(self, t_us: int) -> None:
        captured = self.procedure.step
        if captured != self._captured or not self._captured_us:
            self._captured, self._captured_us = captured, t_us
        elif t_us - self._captured_us > self._patience_us:
            self._end(f"nothing more was captured for {self._patience_us / 1e6:.0f} s")

    def _show(self) -> None:
        if self._watch is not None:
            self._watch(self.procedure.picture)

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        self._over.set()

    def _conclude(self) -> Outcome:
        procedure, nexus = self.procedure, self._nexus
        ended = "" if procedure.complete else self._ended
        if not ended:
            try:
                procedure.conclude()
            except (CalibrationError, ProcedureError) as error:
                ended = str(error)
        return conclude(procedure, nexus.calibration, self._archive, ended)


def conclude(procedure: Procedure, before: CalibrationRecord, archive: Archive, ended: str) -> Outcome:
    """Keep what a procedure has, and the record that came out if it was accepted."""
    made = None
    if procedure.calibration is not None:
        made = procedure.record(before, int(datetime.now(UTC).timestamp()))
    reason = ended or procedure.reason or procedure.verdict
    event = Event(
        Kind.MEASURED, before.serial_number, f"{procedure.title}: {reason}",
        None if made is None else seal_record(made),
        {"calibration_id_before": before.calibration_id, "simulated": procedure.setting.simulated}
        | procedure.observations(),
    )  # fmt: skip
    unkept = ""
    try:
        event = archive.keep(event)
    except ArchiveError as error:  # what was measured is not thrown away for that
        unkept = str(error)
    accepted = bool(procedure.accepted) and not ended
    return Outcome(procedure.picture, accepted, ended or procedure.reason, ended, made, event, unkept)


def _joined(batches: list[Batch], stream: int) -> tuple[np.ndarray, np.ndarray] | None:
    mine = [batch for batch in batches if batch.stream == stream and len(batch.raw)]
    if not mine:
        return None
    return np.concatenate([b.t_us for b in mine]), np.concatenate([b.raw for b in mine])


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a session file knows for a calibration of the inertial unit."""

    record: CalibrationRecord
    setting: Setting
    recording: ImuRecording


def recorded(path: Path) -> Recorded:
    """The inertial unit's samples of a session. Raises `RecordingError`, `SessionError` or `ProcedureError`."""
    reader = SessionReader(path)
    info, record = ToolDescription.unpack(reader.header.info), CalibrationRecord.unpack(reader.header.calibration)
    if info is None or record is None:
        raise SessionError(f"{path}: the tool's description in it cannot be read; it was made by another version")
    if any(event.kind == EVENT_GAP for event in reader.events()):  # its clock may have begun anew
        raise SessionError(f"{path}: the tool was lost in the middle of it; take a recording without a gap")
    setting = _setting(info, record, UNKNOWN_PLACE)
    stream = next(s.stream for s in info.streams if s.kind == StreamKind.IMU)
    batches = list(_batches(reader, info, stream))
    if not batches:
        raise SessionError(f"{path}: it holds no samples of the inertial unit")
    t_us, raw = np.concatenate([b.t_us for b in batches]), np.concatenate([b.raw for b in batches])
    try:
        return Recorded(record, setting, imu_recording(t_us, raw, setting.imu))
    except ProcedureError as error:
        raise ProcedureError(f"{path}: {error}") from None


def _batches(reader: SessionReader, info: ToolDescription, stream: int) -> Iterator[Batch]:
    decoder = Decoder(framed=reader.header.framed)
    decoder.describe(info.streams)
    for chunk in reader.chunks():
        for batch in decoder.feed(chunk.data).batches:
            if batch.stream == stream and len(batch.raw):
                yield batch
