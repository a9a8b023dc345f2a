"""The calibration record's way out of a tool and into it: in pages, checked whole.

Knows no link: whoever calls hands in how to ask. What the values mean is not judged here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from zlib import crc32

from nexuslink.device.errors import BadAnswerError, BadValueError
from nexuslink.protocol.messages import (
    CALIBRATION_MAX,
    REQUEST_HEADER,
    CalibrationCommitRequest,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    CalibrationWriteRequest,
    CalibrationWriteResponse,
    Opcode,
)
from nexuslink.protocol.record import damage

Ask = Callable[[Opcode, bytes], Awaitable[bytes]]
"""Opcode and payload to the answer's payload. Raises `DeviceError`."""
READINGS: Final = 3
"""A record that changes while it is read is read this often at most."""
_PIECE_HEAD: Final = 3
"""Offset and count before the bytes of a piece."""
_PIECE_MAX: Final = 224


async def read_record(url: str, ask: Ask) -> bytes:
    """The record, whole. Raises `BadAnswerError` where it is damaged, or changes all the time."""
    previous = None
    for _ in range(READINGS):
        record = await _read_pages(url, ask)
        problem = None if record is None else damage(record)
        if record is not None and problem is None:
            return record
        if record is not None and record == previous:
            raise BadAnswerError(f"{url}: the calibration record is damaged, {problem}; calibrate the tool again")
        previous = record
    raise BadAnswerError(
        f"{url}: the calibration record changes while it is read; connect again when nobody writes to the tool"
    )


async def _read_pages(url: str, ask: Ask) -> bytes | None:
    """What the pages hold together, whole or not; ``None`` where its length changed meanwhile."""
    record, size = b"", None
    while size is None or len(record) < size:
        page = CalibrationReadResponse.unpack(
            await ask(Opcode.CALIBRATION_READ, CalibrationReadRequest(len(record)).pack())
        )
        if page is None or page.offset != len(record):
            raise BadAnswerError(f"{url}: the answer to CALIBRATION_READ is not what was asked for")
        if max(page.size, len(record) + len(page.data)) > CALIBRATION_MAX:
            raise BadAnswerError(
                f"{url}: the calibration record is longer than {CALIBRATION_MAX} bytes; update its firmware"
            )
        if size not in (None, page.size):
            return None
        size = page.size
        record += page.data
        if not page.data:
            break
    return record


async def write_record(url: str, ask: Ask, data: bytes, max_message: int) -> None:
    """Send a whole record, make it the tool's own, read it back, compare. Raises `DeviceError`."""
    record, problem = CalibrationRecord.unpack(data), damage(data)
    if record is None or problem is not None:
        raise BadValueError(f"{url}: this is not a whole calibration record, {problem}; nothing was written")
    if (problem := record.problem()) is not None:
        raise BadValueError(f"{url}: this calibration record is impossible, {problem}; nothing was written")
    room = max(1, min(_PIECE_MAX, max_message - REQUEST_HEADER.size - _PIECE_HEAD))
    for offset in range(0, len(data), room):
        piece = data[offset : offset + room]
        answer = await ask(Opcode.CALIBRATION_WRITE, CalibrationWriteRequest(offset, len(piece), piece).pack())
        progress = CalibrationWriteResponse.unpack(answer)
        if progress is None or progress.received != offset + len(piece):
            raise BadAnswerError(f"{url}: the tool does not have all that was written; the old record is still in use")
    await ask(Opcode.CALIBRATION_COMMIT, CalibrationCommitRequest(len(data), crc32(data)).pack())
    if await read_record(url, ask) != data:
        raise BadAnswerError(f"{url}: the calibration record that was written reads back differently; write it again")
