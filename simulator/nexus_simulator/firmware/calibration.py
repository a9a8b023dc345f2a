"""The calibration record in the tool's memory: read in pieces, written only when unlocked and only when it is whole.

A new record is kept aside while its pieces come; COMMIT judges it before the old one is touched.
"""

from __future__ import annotations

from zlib import crc32

from nexus_simulator.firmware.identity import UNLOCK_CODE
from nexuslink.protocol.messages import (
    CALIBRATION_MAX,
    UNLOCK_S,
    UNLOCK_TRIES,
    CalibrationCommitRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    CalibrationWriteRequest,
    Status,
)
from nexuslink.protocol.record import damage, seal_record


class CalibrationStore:
    """Survives a restart, except for what is kept aside and for the lock."""

    def __init__(self, record: CalibrationRecord) -> None:
        self.data = seal_record(record)
        self._serial_number = record.serial_number
        self._aside = bytearray()
        self._open_until_us: int | None = None
        self._wrong_codes = 0

    @property
    def calibration_id(self) -> int:
        """Of the record in use."""
        record = CalibrationRecord.unpack(self.data)
        assert record is not None  # sealed here, or judged by `commit`
        return record.calibration_id

    def restart(self) -> None:
        """Wrong codes are forgotten as well."""
        self.lock()
        self._wrong_codes = 0

    def lock(self) -> None:
        """A new connection: closed again, and nothing kept aside."""
        self._open_until_us = None
        self._aside.clear()

    def read(self, offset: int, room: int) -> CalibrationReadResponse:
        """The piece from ``offset`` on, at most ``room`` bytes."""
        piece = self.data[offset : offset + room]
        return CalibrationReadResponse(len(self.data), offset, len(piece), piece)

    def unlock(self, code: int, now_us: int) -> Status:
        """Open for UNLOCK_S, or count a wrong code."""
        if self._wrong_codes >= UNLOCK_TRIES:
            return Status.NOT_AUTHORISED
        if code != UNLOCK_CODE:
            self._wrong_codes += 1
            return Status.NOT_AUTHORISED
        self._open_until_us = now_us + UNLOCK_S * 1_000_000
        return Status.OK

    def _locked(self, now_us: int) -> bool:
        return self._open_until_us is None or now_us >= self._open_until_us

    def write(self, piece: CalibrationWriteRequest, now_us: int) -> tuple[Status, int]:
        """Keep a piece aside; how much is there."""
        if not piece.data or piece.offset + len(piece.data) > CALIBRATION_MAX:
            return Status.OUT_OF_RANGE, 0
        if self._locked(now_us):
            return Status.NOT_AUTHORISED, 0
        if piece.offset not in (0, len(self._aside)):
            return Status.OUT_OF_RANGE, 0
        del self._aside[piece.offset :]
        self._aside += piece.data
        return Status.OK, len(self._aside)

    def commit(self, request: CalibrationCommitRequest, now_us: int, streaming: bool) -> Status:
        """Make what was kept aside the tool's own, if it is whole, possible and for this tool."""
        if self._locked(now_us):
            return Status.NOT_AUTHORISED
        if streaming:
            return Status.BAD_STATE
        data = bytes(self._aside)
        record = CalibrationRecord.unpack(data)
        if request.size != len(data) or record is None:
            return Status.OUT_OF_RANGE
        if request.crc32 != crc32(data) or damage(data) is not None:
            return Status.BAD_CRC
        if record.problem() is not None or not record.calibration_id or record.serial_number != self._serial_number:
            return Status.OUT_OF_RANGE
        self.data = data
        self._aside.clear()
        return Status.OK
