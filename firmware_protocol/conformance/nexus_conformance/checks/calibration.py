"""The calibration record: read in pieces, whole and true; written only when unlocked, only whole, only possible.

What is written is the tool's own record: after a run the tool is as it was.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final
from zlib import crc32

from nexus_conformance.checks.facts import info, record, record_page
from nexus_conformance.host import Host, name_of
from nexus_conformance.requirement import Consent, Failed, Requirement, need
from nexus_conformance.session import streaming
from nexuslink.protocol.messages import (
    UNLOCK_S,
    CalibrationCommitRequest,
    CalibrationCommitResponse,
    CalibrationRecord,
    CalibrationWriteRequest,
    CalibrationWriteResponse,
    Capability,
    Opcode,
    Status,
    UnlockRequest,
    UnlockResponse,
)

CHECKED_FROM: Final = 8
"""The record's own CRC covers what follows its first eight bytes."""
PIECE: Final = 40
"""Bytes written at once: fits every link."""
ODD_OFFSET: Final = 13


def sealed(content: CalibrationRecord) -> bytes:
    """The record's bytes with size and CRC filled in."""
    sized = replace(content, size=len(content.pack()))
    return replace(sized, crc32=crc32(sized.pack()[CHECKED_FROM:])).pack()


def impossible(content: CalibrationRecord) -> dict[str, bytes]:
    """Records with a true CRC that no tool may take, by what is wrong with them."""
    first, second = content.force
    turned = (replace(first, cross_talk=9.0), second)
    return {
        "gravity of 5 m/s2": sealed(replace(content, gravity_m_s2=5.0)),
        "a temperature that is no number": sealed(replace(content, temperature_c=math.nan)),
        "cross-talk of 9": sealed(replace(content, force=turned)),
        "calibration id 0": sealed(replace(content, calibration_id=0)),
        "another tool's serial number": sealed(replace(content, serial_number="NOT-THIS-ONE")),
        "an unknown layout": sealed(replace(content, record_version=2)),
    }


async def _own(host: Host) -> tuple[bytes, CalibrationRecord]:
    data = await record(host)
    content = CalibrationRecord.unpack(data)
    if content is None:
        raise Failed(f"the record of {len(data)} bytes is too short")
    return data, content


async def _unlock(host: Host) -> UnlockResponse:
    return await host.demand(Opcode.UNLOCK, UnlockResponse, UnlockRequest(host.unlock_code).pack())


async def _write(host: Host, data: bytes) -> None:
    """All pieces in order; each must be taken."""
    for offset in range(0, len(data), PIECE):
        piece = data[offset : offset + PIECE]
        request = CalibrationWriteRequest(offset, len(piece), piece).pack()
        taken = await host.demand(Opcode.CALIBRATION_WRITE, CalibrationWriteResponse, request)
        need(taken.received == offset + len(piece), f"after {offset + len(piece)} bytes received is {taken.received}")


async def _commit(host: Host, data: bytes, check: int | None = None) -> int:
    """Write all and commit; the status."""
    await _write(host, data)
    request = CalibrationCommitRequest(len(data), crc32(data) if check is None else check)
    return (await host.ask(Opcode.CALIBRATION_COMMIT, request.pack())).status


async def _pages(host: Host) -> str:
    """Pieces that join, wherever one begins."""
    data = await record(host)
    size = (await info(host)).calibration_size
    need(len(data) == size, f"pages make {len(data)} bytes, INFO says {size}")
    page = await record_page(host, ODD_OFFSET)
    evidence = f"{len(data)} bytes, as INFO says"
    need(
        page.offset == ODD_OFFSET and page.size == size,
        f"{evidence}; a page at {ODD_OFFSET} says {page.offset} of {page.size}",
    )
    need(
        page.data == data[ODD_OFFSET : ODD_OFFSET + page.count], f"{evidence}; from {ODD_OFFSET} on it reads otherwise"
    )
    return f"{evidence}; from {ODD_OFFSET} on {page.count} bytes that fit"


async def _beyond(host: Host) -> str:
    """Reading on beyond the end ends."""
    size = (await info(host)).calibration_size
    counts = [(await record_page(host, offset)).count for offset in (size, size + 1, 0xFFFF)]
    evidence = f"at {size}, {size + 1} and 65535 of {size} bytes: {', '.join(map(str, counts))} bytes"
    need(not any(counts), evidence)
    return evidence


async def _whole(host: Host) -> str:
    """Its own length and check are true."""
    data, content = await _own(host)
    true = crc32(data[CHECKED_FROM:])
    evidence = f"size {content.size} of {len(data)} bytes, crc32 {content.crc32:#010x}, true {true:#010x}"
    need(content.size == len(data) and content.crc32 == true, evidence)
    return evidence


async def _possible(host: Host) -> str:
    """Its values are within their ranges, and it is this tool's."""
    _, content = await _own(host)
    serial = (await host.fresh()).serial_number
    problem = content.problem()
    need(problem is None, f"the record: {problem}")
    need(content.serial_number == serial, f"the record is of {content.serial_number!r}, the tool is {serial!r}")
    lengths = [math.sqrt(sum(x * x for x in tip.axis)) for tip in content.force]
    need(all(abs(n - 1.0) < 0.01 for n in lengths), f"the axes of the tips are {lengths} long, not 1")
    return f"layout {content.record_version} of {content.serial_number}, each field within its range"


async def _locked(host: Host) -> str:
    """Without UNLOCK nothing is written."""
    data = await record(host)
    piece = CalibrationWriteRequest(0, PIECE, data[:PIECE]).pack()
    first = await host.refuse(Opcode.CALIBRATION_WRITE, piece, Status.NOT_AUTHORISED, "CALIBRATION_WRITE")
    request = CalibrationCommitRequest(len(data), crc32(data)).pack()
    second = await host.refuse(Opcode.CALIBRATION_COMMIT, request, Status.NOT_AUTHORISED, "CALIBRATION_COMMIT")
    return f"locked: {first}, {second}"


async def _wrong_code(host: Host) -> str:
    """A wrong code opens nothing."""
    wrong = UnlockRequest(host.unlock_code ^ 0x00010000).pack()
    return await host.refuse(Opcode.UNLOCK, wrong, Status.NOT_AUTHORISED, "UNLOCK with a wrong code")


async def _opens(host: Host) -> str:
    """The right code opens, for so long."""
    open_s = (await _unlock(host)).open_s
    evidence = f"open for {open_s} s, UNLOCK_S is {UNLOCK_S}"
    need(0 < open_s <= UNLOCK_S, evidence)
    return evidence


async def _gap(host: Host) -> str:
    """Pieces follow each other."""
    data = await record(host)
    await _unlock(host)
    await _write(host, data[:PIECE])
    for offset in (PIECE - 1, PIECE + 1):
        piece = CalibrationWriteRequest(offset, 8, data[offset : offset + 8]).pack()
        await host.refuse(Opcode.CALIBRATION_WRITE, piece, Status.OUT_OF_RANGE, f"{offset} after {PIECE} bytes")
    await _write(host, data[:PIECE])
    return f"after {PIECE} bytes, offsets {PIECE - 1} and {PIECE + 1} OUT_OF_RANGE, 0 begins anew"


async def _count(host: Host) -> str:
    """A count that does not fit the payload."""
    await _unlock(host)
    piece = CalibrationWriteRequest(0, 9, bytes(8)).pack()
    return await host.refuse(Opcode.CALIBRATION_WRITE, piece, Status.BAD_REQUEST, "a count of 9 before 8 bytes")


async def _bad_crc(host: Host) -> str:
    """Neither a record that was damaged on its way nor one that was damaged before."""
    data, _ = await _own(host)
    spoilt = bytearray(data)
    spoilt[-1] ^= 1
    await _unlock(host)
    statuses = {
        "crc32 of COMMIT": await _commit(host, data, crc32(data) ^ 1),
        "the record's own": await _commit(host, bytes(spoilt)),
    }
    kept = await record(host) == data
    if not kept:
        await _commit(host, data)
    evidence = ", ".join(f"{what} wrong: {name_of(Status, status)}" for what, status in statuses.items())
    need(set(statuses.values()) == {Status.BAD_CRC}, f"{evidence}, wanted BAD_CRC")
    need(kept, f"{evidence}, but the old record was lost")
    return f"{evidence}; the old record is kept"


async def _impossible(host: Host) -> str:
    """A record whose CRC is true and whose values are not."""
    data, content = await _own(host)
    await _unlock(host)
    wrong = []
    for what, bad in impossible(content).items():
        status = await _commit(host, bad)
        if status != Status.OUT_OF_RANGE:
            wrong.append(f"{what}: {name_of(Status, status)}")
        if await record(host) != data:
            wrong.append(f"{what}: the old record was lost")
            await _commit(host, data)
    need(not wrong, f"wanted OUT_OF_RANGE; {'; '.join(wrong)}")
    return f"{len(impossible(content))} impossible records: OUT_OF_RANGE, the old one is kept"


async def _short(host: Host) -> str:
    """Half a record."""
    data = await record(host)
    await _unlock(host)
    await _write(host, data[:PIECE])
    whole = CalibrationCommitRequest(len(data), crc32(data)).pack()
    return await host.refuse(
        Opcode.CALIBRATION_COMMIT, whole, Status.OUT_OF_RANGE, f"COMMIT with {PIECE} of {len(data)} bytes"
    )


async def _rewrite(host: Host) -> str:
    """Its own record, written and read back."""
    data, content = await _own(host)
    await _unlock(host)
    await _write(host, data)
    request = CalibrationCommitRequest(len(data), crc32(data)).pack()
    made = await host.demand(Opcode.CALIBRATION_COMMIT, CalibrationCommitResponse, request)
    evidence = f"{len(data)} bytes committed as calibration {made.calibration_id}"
    need(made.calibration_id == content.calibration_id, f"{evidence}, the record says {content.calibration_id}")
    need(await record(host) == data, f"{evidence}, and read back otherwise")
    return f"{evidence} and read back the same"


async def _while_streaming(host: Host) -> str:
    """Not while streaming."""
    data = await record(host)
    await _unlock(host)
    await _write(host, data)
    request = CalibrationCommitRequest(len(data), crc32(data)).pack()
    async with streaming(host):
        return await host.refuse(Opcode.CALIBRATION_COMMIT, request, Status.BAD_STATE, "COMMIT while streaming")


async def _hello_locks(host: Host) -> str:
    """A new conversation begins locked."""
    data = await record(host)
    await _unlock(host)
    await _write(host, data[:PIECE])
    await host.fresh()
    piece = CalibrationWriteRequest(0, PIECE, data[:PIECE]).pack()
    return await host.refuse(Opcode.CALIBRATION_WRITE, piece, Status.NOT_AUTHORISED, "CALIBRATION_WRITE after HELLO")


async def _hello_forgets(host: Host) -> str:
    """And with nothing kept aside."""
    data = await record(host)
    await _unlock(host)
    await _write(host, data[:PIECE])
    await host.fresh()
    await _unlock(host)
    piece = CalibrationWriteRequest(PIECE, 8, data[PIECE : PIECE + 8]).pack()
    return await host.refuse(Opcode.CALIBRATION_WRITE, piece, Status.OUT_OF_RANGE, f"offset {PIECE} after HELLO")


_W: Final = Capability.CALIBRATION_WRITE
_K: Final = (Consent.WRITE,)
_R: Final = (Consent.RESET,)
"""It spends one of UNLOCK_TRIES, which only a restart gives back."""

REQUIREMENTS: Final = (
    Requirement(
        "NX-CAL-001",
        "CALIBRATION_READ gives the record piece by piece from any offset, as long as INFO says.",
        "CalibrationReadResponse",
        _pages,
    ),
    Requirement(
        "NX-CAL-002",
        "At or after the record's end CALIBRATION_READ is OK with 0 bytes.",
        "CalibrationReadResponse",
        _beyond,
    ),
    Requirement("NX-CAL-003", "The record's size and crc32 are true.", "CalibrationRecord", _whole),
    Requirement(
        "NX-CAL-004",
        "The record's values are within their ranges, and it is made for this tool.",
        "CalibrationRecord",
        _possible,
    ),
    Requirement(
        "NX-CAL-005", "Without UNLOCK, writing and committing are NOT_AUTHORISED.", "NOT_AUTHORISED", _locked, _W
    ),
    Requirement("NX-CAL-006", "UNLOCK with a wrong code is NOT_AUTHORISED.", "UnlockRequest", _wrong_code, _W, _R),
    Requirement(
        "NX-CAL-007", "UNLOCK with the right code opens for UNLOCK_S at most.", "UnlockResponse", _opens, _W, _K
    ),
    Requirement(
        "NX-CAL-008",
        "A piece that does not follow the last one is OUT_OF_RANGE; offset 0 begins anew.",
        "CalibrationWriteRequest",
        _gap,
        _W,
        _K,
    ),
    Requirement("NX-CAL-009", "A count that does not fit its payload is BAD_REQUEST.", "BAD_REQUEST", _count, _W, _K),
    Requirement(
        "NX-CAL-010",
        "A record whose CRC is wrong, inside or in COMMIT, is BAD_CRC; the old one is kept.",
        "BAD_CRC",
        _bad_crc,
        _W,
        _K,
    ),
    Requirement(
        "NX-CAL-011",
        "A record with impossible values, or another tool's, is OUT_OF_RANGE; the old one is kept.",
        "CalibrationRecord",
        _impossible,
        _W,
        _K,
    ),
    Requirement(
        "NX-CAL-012", "COMMIT of fewer bytes than it names is OUT_OF_RANGE.", "CalibrationCommitRequest", _short, _W, _K
    ),
    Requirement("NX-CAL-013", "A committed record reads back byte by byte.", "CALIBRATION_COMMIT", _rewrite, _W, _K),
    Requirement("NX-CAL-014", "COMMIT while streaming is BAD_STATE.", "CALIBRATION_COMMIT", _while_streaming, _W, _K),
    Requirement("NX-CAL-015", "HELLO locks again.", "HELLO", _hello_locks, _W, _K),
    Requirement("NX-CAL-016", "HELLO forgets a half-written record.", "HELLO", _hello_forgets, _W, _K),
)
