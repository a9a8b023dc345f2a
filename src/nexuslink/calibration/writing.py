"""A record into a tool, so that nothing is lost whatever happens on the way.

    read what the tool has, keep it as-found -> UNLOCK -> write, commit, read back, compare -> keep it as-left

A tool judges a whole new record before it lets go of the old one; so after a failure it has one of the two, and the
error says which. Knows a connected tool and the archive; how the record came about is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from nexuslink.calibration.archive import Archive, Event, Kind
from nexuslink.calibration.errors import (
    ArchiveError,
    InterruptedWriteError,
    LockedError,
    ReadBackError,
    UnsoundRecordError,
    WriteError,
    WrongCodeError,
    WrongToolError,
)
from nexuslink.calibration.soundness import unsound
from nexuslink.device.errors import BadAnswerError, DeviceError, NotNowError, RefusedError
from nexuslink.device.nexus import Nexus
from nexuslink.device.records import read_record, write_record
from nexuslink.protocol.exchange import LinkState
from nexuslink.protocol.messages import UNLOCK_TRIES, CalibrationRecord, Opcode, Status
from nexuslink.protocol.record import seal_record
from nexuslink.transport.errors import TransportError

ID_MAX: Final = 0xFFFFFFFF
_UNCONFIRMED: Final = "; over Bluetooth it opens only to a computer that was paired by comparing or typing six digits"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write has left: the record as the tool has it now, and both files of the archive."""

    record: CalibrationRecord
    as_found: Event
    as_left: Event


async def write_to_tool(
    nexus: Nexus,
    record: CalibrationRecord,
    code: int,
    archive: Archive,
    reason: str,
    observations: Mapping[str, Any] | None = None,
) -> Written:
    """Make ``record`` the tool's own, under a number that it never had. Raises `WriteError` or `ArchiveError`.

    ``code``: from inside the tool's base. ``reason``: one sentence for the archive. ``observations``: what the record
    was made from, in JSON's own types.
    """
    serial_number = nexus.info.serial_number
    _check(nexus, record, serial_number)
    found = await _read(nexus, "nothing was written")
    as_found = await asyncio.to_thread(
        archive.keep, Event(Kind.AS_FOUND, serial_number, reason, found, observations or {})
    )
    before = CalibrationRecord.unpack(found)
    assert before is not None  # it was read whole
    new_id = next_id(max(before.calibration_id, await asyncio.to_thread(archive.highest_id, serial_number)))
    data = seal_record(replace(record, calibration_id=new_id))
    await unlock(nexus, code)
    await _send(nexus, data, before)
    after = CalibrationRecord.unpack(data)
    assert after is not None  # it was packed here
    try:
        as_left = await asyncio.to_thread(
            archive.keep, Event(Kind.AS_LEFT, serial_number, reason, data, observations or {})
        )
    except ArchiveError as error:
        raise ArchiveError(f"the tool has its new record {new_id}, but {error}") from None
    return Written(after, as_found, as_left)


def next_id(highest: int) -> int:
    """The number after that one; never 0."""
    return highest + 1 if highest < ID_MAX else 1


def _check(nexus: Nexus, record: CalibrationRecord, serial_number: str) -> None:
    if record.serial_number != serial_number:
        raise WrongToolError(
            f"{nexus.url}: the record was made for {record.serial_number}, this tool is {serial_number}; "
            "nothing was written"
        )
    if (problem := unsound(replace(record, calibration_id=record.calibration_id or 1))) is not None:
        raise UnsoundRecordError(f"{nexus.url}: the record would give nonsense: {problem}; nothing was written")
    if nexus.state is LinkState.STREAMING:
        raise NotNowError(f"{nexus.url}: a calibration cannot be written while the tool streams; stop it first")


async def _read(nexus: Nexus, otherwise: str) -> bytes:
    try:
        return await read_record(nexus.url, nexus.request)
    except TransportError as error:
        raise InterruptedWriteError(f"{error}; {otherwise}") from None


async def unlock(nexus: Nexus, code: int) -> None:
    """Does the tool open with this code? To be asked before ten minutes of weights, too. Raises `WriteError`."""
    before = nexus.calibration
    over_radio = nexus.url.startswith("ble:")
    try:
        await nexus.unlock(code)
    except RefusedError as error:
        if error.status != Status.NOT_AUTHORISED:
            raise
        raise WrongCodeError(
            f"{nexus.url}: the tool does not open with this code; {_keeps(before)}. The right one stands inside its "
            f"base; after {UNLOCK_TRIES} wrong ones it must be restarted{_UNCONFIRMED if over_radio else ''}"
        ) from None
    except TransportError as error:
        raise InterruptedWriteError(f"{error}; {_keeps(before)}") from None


async def _send(nexus: Nexus, data: bytes, before: CalibrationRecord) -> None:
    committing = False

    async def ask(opcode: Opcode, payload: bytes) -> bytes:
        nonlocal committing
        committing |= opcode is Opcode.CALIBRATION_COMMIT
        return await nexus.request(opcode, payload)

    try:
        await write_record(nexus.url, ask, data, nexus.info.max_message)
        await nexus.refresh()
    except (DeviceError, TransportError) as error:
        await _explain(nexus, error, data, before, committing)


async def _explain(
    nexus: Nexus, error: Exception, data: bytes, before: CalibrationRecord, committing: bool
) -> NoReturn:
    """Say what went wrong, and which record the tool has now: by asking it, where that is still possible."""
    if isinstance(error, RefusedError) and error.status == Status.NOT_AUTHORISED:
        raise LockedError(f"{nexus.url}: the tool has locked itself meanwhile; {_keeps(before)}. Write again") from None
    try:
        now = await read_record(nexus.url, nexus.request)
    except BadAnswerError:
        raise ReadBackError(
            f"{nexus.url}: the tool's record is damaged now; restart the tool, then write back {_number(before)}, "
            "which is kept as-found"
        ) from None
    except (DeviceError, TransportError):
        if not committing:
            raise InterruptedWriteError(f"{error}; {_keeps(before)}") from None
        raise InterruptedWriteError(
            f"{error}; it happened while the tool took the new record over, so it has the old one or the new one, "
            f"never half: connect again and look; {_number(before)} is kept as-found"
        ) from None
    if now == data:
        raise InterruptedWriteError(
            f"{error}; the tool has the new record all the same, {_number(CalibrationRecord.unpack(data))}: "
            "write it again to have it confirmed"
        ) from None
    have = CalibrationRecord.unpack(now)
    if have is not None and have.calibration_id == before.calibration_id and seal_record(have) == seal_record(before):
        kind = ReadBackError if committing and isinstance(error, BadAnswerError) else WriteError
        raise kind(f"{error}; {_keeps(before)}") from None
    raise ReadBackError(
        f"{nexus.url}: the tool now has neither its old record nor the one that was written; {_number(before)} is kept "
        "as-found: write that one back"
    ) from None


def _keeps(before: CalibrationRecord) -> str:
    return f"the tool keeps {_number(before)}"


def _number(record: CalibrationRecord | None) -> str:
    return "its record" if record is None else f"record {record.calibration_id}"
