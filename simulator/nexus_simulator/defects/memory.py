"""Defects of what outlives a conversation: the calibration record with its lock, and restarts."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from nexus_simulator.defects.base import Answer, Defective
from nexus_simulator.firmware.calibration import CalibrationStore
from nexus_simulator.firmware.session import NO_SESSION
from nexuslink.protocol.envelope import Request
from nexuslink.protocol.messages import (
    CalibrationCommitRequest,
    CalibrationWriteRequest,
    ErrorCode,
    Opcode,
    Status,
)


class Store(CalibrationStore):
    """The calibration store with its own defects."""

    defect = ""

    def write(self, piece: CalibrationWriteRequest, now_us: int) -> tuple[Status, int]:
        """Perhaps without UNLOCK."""
        if self.defect == "unlocked" and self._locked(now_us):
            return Status.OK, len(piece.data)
        return super().write(piece, now_us)

    def unlock(self, code: int, now_us: int) -> Status:
        """Perhaps with any code, or after any number of tries."""
        if self.defect == "any code":
            self._open_until_us = now_us + 1_000_000
            return Status.OK
        if self.defect == "any tries":
            self._wrong_codes = 0
        return super().unlock(code, now_us)

    def lock(self) -> None:
        """Perhaps not at all, or not what is kept aside."""
        if self.defect == "stays open":
            self._aside.clear()
        elif self.defect == "keeps aside":
            self._open_until_us = None
        else:
            super().lock()

    def commit(self, request: CalibrationCommitRequest, now_us: int, streaming: bool) -> Status:
        """Perhaps without looking."""
        data = bytes(self._aside)
        whole = request.size == len(data) and not self._locked(now_us) and not streaming
        if self.defect == "commits while streaming":
            return super().commit(request, now_us, False)
        if whole and (self.defect == "any record" and request.crc32 == crc32(data)):
            status = super().commit(request, now_us, streaming)
            return Status.OK if status is Status.OUT_OF_RANGE else status
        if self.defect == "any length" and request.size != len(data) and not self._locked(now_us):
            return Status.OK
        if whole and self.defect == "any crc":
            status = super().commit(request, now_us, streaming)
            return Status.OK if status is Status.BAD_CRC else status
        status = super().commit(request, now_us, streaming)
        if status is Status.OK and self.defect == "spoils":
            self.data = self.data[:-1] + bytes([self.data[-1] ^ 1])
        return status


def storing(defect: str) -> type[Defective]:
    """A firmware with one of the store's defects."""

    class Kept(Store):
        pass

    Kept.defect = defect

    class Storing(Defective):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.calibration = Kept(self.identity.record)

    return Storing


class SpoiltRecord(Defective):
    """The record's CRC does not fit."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        data = self.calibration.data
        self.calibration.data = data[:4] + bytes([data[4] ^ 1]) + data[5:]


class LateStart(Defective):
    """START needs no HELLO."""

    def restart(self, cause: ErrorCode | None = None) -> None:
        """Greeted from the beginning."""
        super().restart(cause)
        self.greeted = True


class SameBoot(Defective):
    """The boot id stays over a restart."""

    def restart(self, cause: ErrorCode | None = None) -> None:
        """Not a new one."""
        super().restart(cause)
        self.boot_id = self.identity.boot_id


class ForgetsTotals(Defective):
    """A restart loses the totals of the latest session."""

    def restart(self, cause: ErrorCode | None = None) -> None:
        """But not the number of sessions."""
        super().restart(cause)
        self._latest = NO_SESSION


class ForgetsSessions(Defective):
    """A restart begins sessions at 1 again."""

    def restart(self, cause: ErrorCode | None = None) -> None:
        """But keeps the totals."""
        super().restart(cause)
        self._sessions = 0


class KeepsConfiguration(Defective):
    """What CONFIGURE changed outlives a restart."""

    def restart(self, cause: ErrorCode | None = None) -> None:
        """Streams as they were."""
        kept = self.streams
        super().restart(cause)
        self.streams = kept


class AnyWord(Defective):
    """RESET restarts the tool whatever the word is."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """And says no."""
        if request.opcode == Opcode.RESET and status is Status.OUT_OF_RANGE:
            self.restart_at(self._now + 1000)
        return status, payload
