"""Who is there: HELLO, and then either what is known of this tool already or INFO, DESCRIBE and its calibration record.

Knows no link: whoever calls hands in how to ask. What was read is checked against HELLO's description_crc, so that
what is used, and kept for the next time, is what the tool meant, whole and of one moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nexuslink.device.cache import Known, ToolCache
from nexuslink.device.errors import BadAnswerError, VersionError, refusal
from nexuslink.device.records import Ask, read_record
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.envelope import Response
from nexuslink.protocol.messages import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    DescribeRequest,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    Opcode,
    Status,
    StreamDescriptor,
)

AskRaw = Callable[[Opcode, bytes], Awaitable[Response]]
"""Like `Ask`, but any status is an answer."""


async def greet(url: str, ask: AskRaw) -> bytes:
    """HELLO's payload, of a tool that speaks this major version. Raises `DeviceError`."""
    response = await ask(Opcode.HELLO, HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR).pack())
    hello = HelloResponse.unpack(response.payload)
    told = response.status in (Status.OK, Status.UNSUPPORTED_VERSION)
    if told and hello is not None and hello.protocol_major != PROTOCOL_MAJOR:
        behind = "nexuslink" if hello.protocol_major > PROTOCOL_MAJOR else "the tool's firmware"
        raise VersionError(
            f"{url}: {hello.serial_number} speaks protocol {hello.protocol_major}.{hello.protocol_minor}, "
            f"this program speaks {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; update {behind}"
        )
    if response.status != Status.OK:
        raise refusal(url, Opcode.HELLO.name, response.status)
    if hello is None:
        raise BadAnswerError(f"{url}: the answer to HELLO is too short; is this a Nexus?")
    return response.payload


async def learn(url: str, ask: Ask, hello: bytes, cache: ToolCache | None) -> tuple[Known, bool]:
    """What the tool with this HELLO says about itself, and whether it was known. Raises `DeviceError`."""
    if cache is not None:  # a file is small, but its disk may be far away
        found = await asyncio.to_thread(cache.find, hello)
        if found is not None:
            return found, True
    said = HelloResponse.unpack(hello)
    for _ in range(2):  # the second time if it has changed since HELLO, or a carrier without checks has damaged it
        known = Known(await describe(url, ask, hello), await read_record(url, ask))
        if said is not None and known.crc == said.description_crc:
            if cache is not None:
                await asyncio.to_thread(cache.keep, known)
            return known, False
    raise BadAnswerError(
        f"{url}: what the tool says about itself does not fit the check in its HELLO; connect again, "
        "and if it stays update the tool's firmware"
    )


async def describe(url: str, ask: Ask, hello: bytes) -> ToolDescription:
    """INFO, and DESCRIBE for every stream. Raises `DeviceError`."""
    payload = await ask(Opcode.INFO, b"")
    info = InfoResponse.unpack(payload)
    if info is None:
        raise BadAnswerError(f"{url}: the answer to INFO is too short")
    if (problem := info.problem()) is not None:
        raise BadAnswerError(f"{url}: the answer to INFO cannot be right, {problem}")
    streams = [await ask(Opcode.DESCRIBE, DescribeRequest(number).pack()) for number in range(info.stream_count)]
    for number, stream in enumerate(map(StreamDescriptor.unpack, streams)):
        if stream is None:
            raise BadAnswerError(f"{url}: the answer to DESCRIBE of stream {number} is too short")
        if stream.stream != number:
            raise BadAnswerError(f"{url}: asked for stream {number}, DESCRIBE told of stream {stream.stream}")
    description = ToolDescription.of(hello, payload, streams)
    assert description is not None  # every part of it was looked at above
    return description
