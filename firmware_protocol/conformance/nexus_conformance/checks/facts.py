"""What many checks need to know about the tool, asked once and kept. What cannot be had fails whoever asks."""

from __future__ import annotations

from zlib import crc32

from nexus_conformance.host import Host
from nexus_conformance.requirement import Failed, NotApplicable, need
from nexuslink.protocol.messages import (
    CALIBRATION_MAX,
    CalibrationReadRequest,
    CalibrationReadResponse,
    Capability,
    DescribeRequest,
    InfoResponse,
    Opcode,
    StreamDescriptor,
    StreamKind,
)

STREAMS_MAX = 8
"""More streams than this are not asked for, whatever INFO says."""


async def info(host: Host) -> InfoResponse:
    """INFO, as it was the first time."""
    known = host.facts.get("info")
    if not isinstance(known, InfoResponse):
        host.facts["info"] = known = await host.demand(Opcode.INFO, InfoResponse)
    return known


async def capabilities(host: Host) -> Capability:
    """What the tool says it can do."""
    return Capability((await info(host)).capabilities)


async def streams(host: Host) -> dict[int, StreamDescriptor]:
    """Number -> descriptor, as they were the first time."""
    known = host.facts.get("streams")
    if not isinstance(known, dict):
        count = min((await info(host)).stream_count, STREAMS_MAX)
        host.facts["streams"] = known = {n: await descriptor(host, n) for n in range(count)}
    if not known:
        raise NotApplicable("the tool has no streams")
    return known


async def descriptor(host: Host, stream: int) -> StreamDescriptor:
    """What one stream carries now."""
    return await host.demand(Opcode.DESCRIBE, StreamDescriptor, DescribeRequest(stream).pack())


async def force_stream(host: Host) -> StreamDescriptor:
    """The stream of the tips."""
    for found in (await streams(host)).values():
        if found.kind == StreamKind.FORCE:
            return found
    raise NotApplicable("the tool has no force stream")


async def record_page(host: Host, offset: int) -> CalibrationReadResponse:
    """One piece of the calibration record."""
    payload = CalibrationReadRequest(offset).pack()
    return await host.demand(Opcode.CALIBRATION_READ, CalibrationReadResponse, payload)


async def record(host: Host) -> bytes:
    """The calibration record as it is now, page by page."""
    whole = b""
    while True:
        page = await record_page(host, len(whole))
        whole += page.data
        if not page.count or len(whole) >= page.size:
            break
        need(len(whole) <= CALIBRATION_MAX, f"the calibration record does not end within {CALIBRATION_MAX} bytes")
    if not whole:
        raise Failed("the calibration record is empty")
    return whole


async def description_crc(host: Host) -> int:
    """CRC-32 over what INFO, DESCRIBE and the record say now."""
    told, payload = await host.demand_raw(Opcode.INFO, InfoResponse)
    check = crc32(payload)
    for number in range(min(told.stream_count, STREAMS_MAX)):
        request = DescribeRequest(number).pack()
        check = crc32((await host.demand_raw(Opcode.DESCRIBE, StreamDescriptor, request))[1], check)
    return crc32(await record(host), check)
