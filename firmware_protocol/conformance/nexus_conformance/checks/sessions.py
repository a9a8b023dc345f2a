"""START, STOP and what they may not do: short sessions, one matter each."""

from __future__ import annotations

from typing import Final

from nexus_conformance.checks.facts import streams
from nexus_conformance.host import Host, name_of
from nexus_conformance.requirement import Failed, NotApplicable, Requirement, need
from nexus_conformance.session import ALL, begin, end, is_stream, run_for, streaming
from nexuslink.protocol.messages import (
    MAX_STREAMS,
    Opcode,
    SessionTotals,
    StartRequest,
    Status,
    StopReason,
    StopRequest,
    StopResponse,
    TotalsResponse,
)

SHORT_S: Final = 0.1
"""Device time of a session that needs a few batches only."""
QUIET_S: Final = 0.1
NO_STREAMS: Final = 1 << MAX_STREAMS
"""A mask without any stream that can be."""


async def _restart(host: Host) -> str:
    """A second session begins at zero again."""
    async with streaming(host) as first:
        await run_for(host, first, SHORT_S)
    async with streaming(host) as second:
        await run_for(host, second, SHORT_S)
    need(bool(second.batches), f"no DATA came within {SHORT_S:g} s of a second START")
    indexes = {n: second.of(n)[0].first_index for n in sorted({b.stream for b in second.batches})}
    evidence = f"second session: seq from {second.seqs[0]}, first_index from {', '.join(map(str, indexes.values()))}"
    need(second.seqs[0] == 0 and not any(indexes.values()), evidence)
    return evidence


async def _number(host: Host) -> str:
    """Sessions are counted; STOP and TOTALS name the same one."""
    async with streaming(host) as first:
        pass
    async with streaming(host) as second:
        during = await host.demand(Opcode.TOTALS, TotalsResponse)
    assert second.stop is not None
    numbers = first.start.session, second.start.session
    evidence = (
        f"START said session {numbers[0]}, then {numbers[1]}; "
        f"TOTALS said {during.totals.session}, STOP {second.stop.totals.session}"
    )
    need(numbers[0] >= 1 and numbers[1] == numbers[0] + 1, evidence)
    need(during.totals.session == second.stop.totals.session == numbers[1], evidence)
    return evidence


async def _totals(host: Host) -> str:
    """TOTALS says whether a session runs, and afterwards what STOP said."""
    async with streaming(host) as session:
        await run_for(host, session, SHORT_S)
        during = await host.demand(Opcode.TOTALS, TotalsResponse)
    after = await host.demand(Opcode.TOTALS, TotalsResponse)
    stopped = session.stop.totals if session.stop else None
    flags = f"streaming {during.streaming} during and {after.streaming} after the session"
    need((during.streaming, after.streaming) == (1, 0), flags)
    evidence = f"{flags}; TOTALS afterwards {_brief(after.totals)}"
    need(after.totals == stopped, f"{evidence}, STOP said {_brief(stopped)}")
    need(during.totals.sent <= after.totals.sent, f"{evidence}, {during.totals.sent} sent during the session")
    return evidence


async def _stop_again(host: Host) -> str:
    """A second STOP says the same totals."""
    async with streaming(host) as session:
        await run_for(host, session, SHORT_S)
    again = await host.demand(Opcode.STOP, StopResponse, StopRequest(StopReason.USER).pack())
    stopped = session.stop.totals if session.stop else None
    need(again.totals == stopped, f"STOP said {_brief(stopped)}, a second one {_brief(again.totals)}")
    return f"STOP said {_brief(stopped)} twice"


async def _start_again(host: Host) -> str:
    """START within a session is refused, and does the session no harm."""
    session = await begin(host)
    await run_for(host, session, SHORT_S)
    answer = await host.ask(Opcode.START, StartRequest(ALL).pack())
    got = f"START while streaming: {name_of(Status, answer.status)}"
    need(answer.status == Status.BAD_STATE, f"{got}, wanted BAD_STATE")
    refused_at = len(host.heard)
    await run_for(host, session, 2 * SHORT_S)
    stop = await end(host, session)
    went_on = sum(map(is_stream, host.heard[refused_at:]))
    evidence = f"{got}; {went_on} messages came afterwards, STOP names session {stop.totals.session}"
    need(went_on > 0 and stop.totals.session == session.start.session, evidence)
    return evidence


async def _mask(host: Host) -> str:
    """Only the streams that were asked for."""
    said = []
    for number in await streams(host):
        async with streaming(host, 1 << number) as session:
            await run_for(host, session, SHORT_S)
        came = {b.stream for b in session.batches}
        evidence = f"mask {1 << number:#x}: DATA of stream {', '.join(map(str, sorted(came))) or 'none'}"
        need(came == {number}, evidence)
        said.append(evidence)
    return "; ".join(said)


async def _no_mask(host: Host) -> str:
    """No stream that the tool has."""
    host.streaming = True
    for mask in (0, NO_STREAMS):
        await host.refuse(Opcode.START, StartRequest(mask).pack(), Status.OUT_OF_RANGE, f"START with mask {mask:#x}")
    return f"masks 0 and {NO_STREAMS:#x}: OUT_OF_RANGE"


async def _hello_ends(host: Host) -> str:
    """A new conversation is a quiet one."""
    session = await begin(host)
    came = await run_for(host, session, SHORT_S)
    host.streaming = False
    await host.fresh()
    first = len(host.heard)
    await host.pause(QUIET_S)
    late = sum(map(is_stream, host.heard[first:]))
    running = (await host.demand(Opcode.TOTALS, TotalsResponse)).streaming
    host.streaming = True
    if not came:
        raise NotApplicable("nothing was streamed before HELLO")
    need(not late and not running, f"after HELLO {late} stream messages came and TOTALS says streaming {running}")
    return f"no stream message within {QUIET_S:g} s after HELLO"


async def _settled(host: Host) -> str:
    """A session that HELLO ended has its totals too: received and unsent make what was produced."""
    session = await begin(host)
    await run_for(host, session, SHORT_S)
    host.streaming = False
    await host.fresh()
    answer = await host.demand(Opcode.TOTALS, TotalsResponse)
    if answer.streaming:
        host.streaming = True
        raise NotApplicable("HELLO did not end the session, see NX-SES-008")
    totals = answer.totals
    came = sum(map(is_stream, host.heard[session.first_heard :]))
    evidence = f"HELLO ended session {session.start.session}: TOTALS {_brief(totals)}, {came} came"
    need(totals.session == session.start.session and totals.sent == came, evidence)
    return evidence


def _brief(totals: SessionTotals | None) -> str:
    if totals is None:
        raise Failed("the session was not stopped")
    made = "+".join(str(n) for n in totals.samples if n) or "0"
    return f"session {totals.session} sent {totals.sent} dropped {totals.dropped} samples {made}"


REQUIREMENTS: Final = (
    Requirement("NX-SES-001", "Each START begins seq and every first_index at 0 again.", "START", _restart),
    Requirement(
        "NX-SES-002",
        "Sessions are numbered from 1 by one; START, TOTALS and STOP name the same.",
        "StartResponse",
        _number,
    ),
    Requirement(
        "NX-SES-003",
        "TOTALS says whether a session runs, and after it exactly what STOP said.",
        "TotalsResponse",
        _totals,
    ),
    Requirement("NX-SES-004", "STOP again says the totals of the latest session.", "StopResponse", _stop_again),
    Requirement(
        "NX-SES-005", "START while streaming is BAD_STATE and leaves the session as it is.", "BAD_STATE", _start_again
    ),
    Requirement("NX-SES-006", "Only the streams of START's mask send.", "StartRequest", _mask),
    Requirement("NX-SES-007", "START without any stream that the tool has is OUT_OF_RANGE.", "StartRequest", _no_mask),
    Requirement("NX-SES-008", "HELLO ends a running stream.", "HELLO", _hello_ends),
    Requirement("NX-SES-009", "TOTALS counts what left of a session that HELLO ended.", "TotalsResponse", _settled),
)
