"""CONFIGURE: what the tool says it does now, it does from the next START on. Each check leaves the stream as it was."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from nexus_conformance.checks.facts import description_crc, descriptor, info, streams
from nexus_conformance.host import Host
from nexus_conformance.requirement import Failed, NotApplicable, Requirement, need
from nexus_conformance.session import begin, run_for, sample_size, streaming
from nexuslink.protocol.messages import (
    Capability,
    ConfigureRequest,
    ConfigureResponse,
    Opcode,
    Status,
    StreamDescriptor,
)

SHORT_S: Final = 0.25
ROOM: Final = 2
"""A rate this many times beyond a limit is not possible."""


def _as_it_was(d: StreamDescriptor) -> ConfigureRequest:
    """The request that makes a stream again what a descriptor says."""
    limits = (d.groups[0].full_scale, d.groups[1].full_scale)
    return ConfigureRequest(d.stream, d.rate_hz, limits, d.channel_mask)


async def _adjustable(host: Host) -> StreamDescriptor:
    """A stream whose rate can be chosen."""
    for d in (await streams(host)).values():
        if d.rate_min_hz < d.rate_max_hz:
            return d
    raise NotApplicable("no stream has more than one rate")


def _other_rate(d: StreamDescriptor) -> float:
    """Half the present rate, or what comes nearest within the limits."""
    half = max(d.rate_min_hz, d.rate_hz / 2)
    return half if half < d.rate_hz * 0.99 else d.rate_max_hz


@asynccontextmanager
async def _halved(host: Host) -> AsyncIterator[StreamDescriptor]:
    """A stream at another rate for a few lines: its descriptor before."""
    before = await _adjustable(host)
    wanted = ConfigureRequest(before.stream, _other_rate(before), (0.0, 0.0), 0)
    await host.demand(Opcode.CONFIGURE, ConfigureResponse, wanted.pack())
    try:
        yield before
    finally:
        if host.streaming:
            await host.fresh()
        await host.demand(Opcode.CONFIGURE, ConfigureResponse, _as_it_was(before).pack())


async def _told(host: Host) -> str:
    """CONFIGURE answers with the descriptor that DESCRIBE gives from now on."""
    before = await _adjustable(host)
    rate = _other_rate(before)
    payload = ConfigureRequest(before.stream, rate, (0.0, 0.0), 0).pack()
    _, said = await host.demand_raw(Opcode.CONFIGURE, ConfigureResponse, payload)
    now = await descriptor(host, before.stream)
    await host.demand(Opcode.CONFIGURE, ConfigureResponse, _as_it_was(before).pack())
    again = await descriptor(host, before.stream)
    evidence = f"stream {before.stream} from {before.rate_hz:g} Hz, {rate:g} wanted: DESCRIBE says {now.rate_hz:g}"
    need(now.pack() == said[: len(now.pack())], f"{evidence}, which is not what CONFIGURE said")
    need(now.rate_hz != before.rate_hz and now.rate_min_hz <= now.rate_hz <= now.rate_max_hz, evidence)
    need(again == before, f"{evidence}; set back it is not what it was")
    return evidence


async def _done(host: Host) -> str:
    """The next session runs at the new rate."""
    async with _halved(host) as before:
        now = await descriptor(host, before.stream)
        async with streaming(host) as session:
            await run_for(host, session, SHORT_S)
    held = now.rate_hz * session.duration_us * 1e-6
    made = max((b.first_index + b.count for b in session.of(before.stream)), default=0)
    evidence = f"DESCRIBE says {now.rate_hz:g} Hz: {made} samples in {session.duration_us / 1e3:.1f} ms, {held:.1f} due"
    need(abs(made - held) <= 2 + 0.01 * held, evidence)
    return evidence


async def _nothing(host: Host) -> str:
    """Zeros leave everything."""
    for before in (await streams(host)).values():
        nothing = ConfigureRequest(before.stream, 0.0, (0.0, 0.0), 0).pack()
        made = await host.demand(Opcode.CONFIGURE, ConfigureResponse, nothing)
        need(made.pack() == before.pack(), f"stream {before.stream}: CONFIGURE with zeros changed it")
    return "CONFIGURE with zeros changed nothing"


async def _impossible(host: Host) -> str:
    """Values that the tool cannot do are refused, and change nothing."""
    before = await _adjustable(host)
    stream = before.stream
    channels = before.channel_mask.bit_length()
    wrong = {
        "a stream that is not there": ConfigureRequest((await info(host)).stream_count, 0.0, (0.0, 0.0), 0),
        "a rate too high": ConfigureRequest(stream, before.rate_max_hz * ROOM, (0.0, 0.0), 0),
        "a rate too low": ConfigureRequest(stream, before.rate_min_hz / ROOM, (0.0, 0.0), 0),
        "a rate below zero": ConfigureRequest(stream, -before.rate_hz, (0.0, 0.0), 0),
        "a rate that is no number": ConfigureRequest(stream, math.nan, (0.0, 0.0), 0),
        "an endless range": ConfigureRequest(stream, 0.0, (math.inf, 0.0), 0),
    }
    if channels < 16:
        wrong["a channel that is not there"] = ConfigureRequest(stream, 0.0, (0.0, 0.0), 0x8000)
    failed = []
    for what, request in wrong.items():
        answer = await host.ask(Opcode.CONFIGURE, request.pack())
        if answer.status != Status.OUT_OF_RANGE:
            failed.append(what)
            await host.ask(Opcode.CONFIGURE, _as_it_was(before).pack())
    need(not failed, f"not OUT_OF_RANGE: {', '.join(failed)}")
    need(await descriptor(host, stream) == before, "a refused CONFIGURE changed the stream")
    return f"{len(wrong)} impossible wishes: OUT_OF_RANGE, nothing changed"


async def _channels(host: Host) -> str:
    """Fewer channels, shorter samples."""
    for before in (await streams(host)).values():
        first, second = before.groups[0], before.groups[1]
        if not (first.channels and second.channels):
            continue
        mask = (1 << first.channels) - 1
        payload = ConfigureRequest(before.stream, 0.0, (0.0, 0.0), mask).pack()
        answer = await host.ask(Opcode.CONFIGURE, payload)
        now = ConfigureResponse.unpack(answer.payload) if answer.status == Status.OK else None
        if now is None:
            continue
        async with streaming(host, 1 << before.stream) as session:
            await run_for(host, session, SHORT_S)
        await host.demand(Opcode.CONFIGURE, ConfigureResponse, _as_it_was(before).pack())
        size = sample_size(StreamDescriptor.unpack(answer.payload) or before)
        batches = session.of(before.stream)
        wrong = sum(len(b.samples) != b.count * size for b in batches)
        seen = f"{len(batches)} batches, {wrong} not of {size} bytes a sample"
        evidence = f"stream {before.stream} with mask {now.channel_mask:#x}: {seen}"
        need(now.channel_mask.bit_count() == sum(g.channels for g in now.groups), f"{evidence}; mask and groups differ")
        need(bool(batches) and not wrong, evidence)
        return evidence
    raise NotApplicable("no stream sends fewer channels")


async def _checksum(host: Host) -> str:
    """HELLO's checksum follows."""
    old = (await host.fresh()).description_crc
    async with _halved(host):
        said = (await host.fresh()).description_crc
        true = await description_crc(host)
    evidence = f"description_crc {old:#010x}, after CONFIGURE {said:#010x}, true {true:#010x}"
    need(said == true and said != old, evidence)
    return evidence


async def _streaming(host: Host) -> str:
    """Not while streaming."""
    before = await _adjustable(host)
    await begin(host)
    request = ConfigureRequest(before.stream, _other_rate(before), (0.0, 0.0), 0)
    answer = await host.ask(Opcode.CONFIGURE, request.pack())
    await host.fresh()
    if answer.status == Status.OK:
        await host.ask(Opcode.CONFIGURE, _as_it_was(before).pack())
        raise Failed("CONFIGURE while streaming: OK, wanted BAD_STATE")
    need(answer.status == Status.BAD_STATE, f"CONFIGURE while streaming: status {answer.status}, wanted BAD_STATE")
    return "CONFIGURE while streaming: BAD_STATE"


REQUIREMENTS: Final = tuple(
    Requirement(id_, sentence, source, check, needs=Capability.CONFIGURE)
    for id_, sentence, source, check in (
        (
            "NX-CFG-001",
            "CONFIGURE answers with the descriptor that DESCRIBE gives from then on.",
            "ConfigureResponse",
            _told,
        ),
        ("NX-CFG-002", "The next session is as CONFIGURE said.", "ConfigureRequest", _done),
        ("NX-CFG-003", "A field of 0 leaves what it is about.", "ConfigureRequest", _nothing),
        (
            "NX-CFG-004",
            "A stream, rate, range or channel that cannot be is OUT_OF_RANGE and changes nothing.",
            "OUT_OF_RANGE",
            _impossible,
        ),
        ("NX-CFG-005", "Channels that are not sent are left out of DATA.", "ConfigureRequest", _channels),
        ("NX-CFG-006", "description_crc follows what CONFIGURE changed.", "HelloResponse", _checksum),
        ("NX-CFG-007", "CONFIGURE while streaming is BAD_STATE.", "CONFIGURE", _streaming),
    )
)
