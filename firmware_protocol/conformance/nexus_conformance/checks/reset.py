"""RESET: what a restart forgets and what it keeps. Runs only where the person allows it, after everything else."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from nexus_conformance.checks.facts import descriptor, streams
from nexus_conformance.errors import LinkEndedError
from nexus_conformance.host import Host, look_alive, name_of
from nexus_conformance.requirement import Consent, Failed, NotApplicable, Requirement, need
from nexus_conformance.session import ALL, begin, look_at_clock, run_for, streaming
from nexuslink.protocol.messages import (
    RESET_MAGIC,
    UNLOCK_TRIES,
    Capability,
    ConfigureRequest,
    HelloResponse,
    Opcode,
    ResetRequest,
    SessionTotals,
    StartRequest,
    Status,
    StreamDescriptor,
    TotalsResponse,
    UnlockRequest,
    UnlockResponse,
)
from nexuslink.transport.errors import TransportError

RESTART_S: Final = 10.0
"""A tool that is not back after this long has not restarted."""
SHORT_S: Final = 0.1
"""Device time of the session whose totals must survive."""
REOPEN_S: Final = 0.2
LINK_TROUBLE: Final = (LinkEndedError, TransportError, OSError)
SETTLE_S: Final = 0.2
"""After RESET's answer, before the tool is asked again."""


@dataclass(frozen=True, slots=True)
class Restart:
    """What was before and after one restart."""

    before: HelloResponse
    after: HelloResponse
    early_start: int
    """Status of a START that came before HELLO."""
    totals_before: SessionTotals
    totals_after: SessionTotals
    session_after: int
    streams_before: dict[int, StreamDescriptor]
    streams_after: dict[int, StreamDescriptor]


async def _again(host: Host) -> None:
    """Ask until the tool answers; open the link again where it went with the tool. Bounded by RESTART_S."""
    for _ in range(round(RESTART_S / REOPEN_S)):
        try:
            if await look_alive(host, REOPEN_S):
                return
        except LINK_TROUBLE:
            await asyncio.sleep(REOPEN_S)
            with contextlib.suppress(*LINK_TROUBLE):
                await host.reopen()
    raise Failed(f"no answer within {RESTART_S:g} s after RESET")


async def _reset(host: Host) -> None:
    """RESET, and wait until the tool is back."""
    answer = await host.ask(Opcode.RESET, ResetRequest(RESET_MAGIC).pack())
    need(answer.status == Status.OK, f"RESET: {name_of(Status, answer.status)}")
    with contextlib.suppress(LinkEndedError):  # the port may go with the tool
        await host.pause(SETTLE_S)
    await _again(host)


async def _restart(host: Host) -> Restart:
    """One restart that the checks judge together, made at the first asking."""
    known = host.facts.get("restart")
    if isinstance(known, Failed):
        raise Failed(f"the tool did not restart: {known}")
    if isinstance(known, Restart):
        return known
    try:
        made = await _made(host)
    except Failed as failure:
        host.facts["restart"] = failure
        raise
    host.facts["restart"] = made
    return made


async def _made(host: Host) -> Restart:
    factory = dict(await streams(host))
    async with streaming(host) as session:
        await run_for(host, session, SHORT_S)
    for d in factory.values():
        other = d.rate_max_hz if d.rate_hz < d.rate_max_hz else d.rate_min_hz
        await host.ask(Opcode.CONFIGURE, ConfigureRequest(d.stream, other, (0.0, 0.0), 0).pack())
    before = await host.fresh()
    totals_before = (await host.demand(Opcode.TOTALS, TotalsResponse)).totals
    await _reset(host)
    early = (await host.ask(Opcode.START, StartRequest(ALL).pack())).status
    host.streaming = early == Status.OK
    after = await host.fresh()
    totals_after = (await host.demand(Opcode.TOTALS, TotalsResponse)).totals
    described = {number: await descriptor(host, number) for number in factory}
    following = await begin(host)
    await host.fresh()
    return Restart(before, after, early, totals_before, totals_after, following.start.session, factory, described)


async def _wrong_word(host: Host) -> str:
    """No accident restarts a tool."""
    before = (await look_at_clock(host))[-1].answer.device_send_us
    for magic in (0, RESET_MAGIC ^ 1):
        await host.refuse(Opcode.RESET, ResetRequest(magic).pack(), Status.OUT_OF_RANGE, f"RESET with {magic:#x}")
    await host.pause(SETTLE_S)
    after = (await look_at_clock(host))[0].answer.device_send_us
    need(after > before, "RESET with a wrong word was refused, and the clock began anew: the tool restarted")
    return "two wrong words: OUT_OF_RANGE, the clock runs on"


async def _boot(host: Host) -> str:
    """Another start, another boot id; the same tool."""
    made = await _restart(host)
    evidence = f"boot id {made.before.boot_id:#010x}, then {made.after.boot_id:#010x}"
    need(made.before.boot_id != made.after.boot_id, evidence)
    need(made.before.serial_number == made.after.serial_number, f"{evidence}; another serial number")
    return evidence


async def _early_start(host: Host) -> str:
    """START needs HELLO."""
    status = (await _restart(host)).early_start
    need(status == Status.BAD_STATE, f"START before HELLO after a restart: {name_of(Status, status)}, wanted BAD_STATE")
    return "START before HELLO after a restart: BAD_STATE"


async def _totals(host: Host) -> str:
    """What was made before the restart can still be settled."""
    made = await _restart(host)
    before, after = made.totals_before, made.totals_after
    if made.early_start == Status.OK:
        raise NotApplicable("another session ran before HELLO, see NX-RST-003")
    evidence = (
        f"session {before.session} sent {before.sent}, after the restart session {after.session} sent {after.sent}"
    )
    need(before == after, evidence)
    return evidence


async def _number(host: Host) -> str:
    """Sessions go on counting."""
    made = await _restart(host)
    early = made.early_start == Status.OK
    wanted = made.totals_before.session + 1 + early
    evidence = f"session {made.totals_before.session} before the restart, {made.session_after} after it"
    need(made.session_after == wanted, evidence)
    return evidence


async def _configuration(host: Host) -> str:
    """CONFIGURE holds until a restart."""
    made = await _restart(host)
    different = [n for n, d in made.streams_before.items() if made.streams_after[n] != d]
    need(not different, f"streams {different} are not as they were before CONFIGURE and the restart")
    return f"{len(made.streams_before)} streams are as they were before CONFIGURE and the restart"


async def _tries(host: Host) -> str:
    """Guessing the code ends soon; a restart allows it again."""
    wrong, right = (UnlockRequest(host.unlock_code ^ flip).pack() for flip in (1, 0))
    for _ in range(UNLOCK_TRIES):
        await host.refuse(Opcode.UNLOCK, wrong, Status.NOT_AUTHORISED, "UNLOCK with a wrong code")
    answer = await host.ask(Opcode.UNLOCK, right)
    await _reset(host)
    await host.fresh()
    got = f"after {UNLOCK_TRIES} wrong codes the right one: {name_of(Status, answer.status)}"
    need(answer.status == Status.NOT_AUTHORISED, f"{got}, wanted NOT_AUTHORISED")
    await host.demand(Opcode.UNLOCK, UnlockResponse, right)
    return f"{got}; after a restart: OK"


_R: Final = (Consent.RESET,)

_ROWS: Final = tuple(
    Requirement(id_, sentence, source, check, needs=Capability.RESET, consents=_R)
    for id_, sentence, source, check in (
        (
            "NX-RST-001",
            "RESET with another word than RESET_MAGIC is OUT_OF_RANGE and restarts nothing.",
            "ResetRequest",
            _wrong_word,
        ),
        ("NX-RST-002", "RESET is answered, and the tool comes back with a new boot id.", "RESET", _boot),
        ("NX-RST-003", "START before the first HELLO after a restart is BAD_STATE.", "BAD_STATE", _early_start),
        ("NX-RST-004", "Totals of the latest session outlive a warm restart.", "TotalsResponse", _totals),
        ("NX-RST-005", "Session numbers go on over a warm restart.", "SessionTotals", _number),
        ("NX-RST-006", "What CONFIGURE changed ends with a restart.", "ConfigureRequest", _configuration),
    )
)
REQUIREMENTS: Final = (
    *_ROWS,
    Requirement(
        "NX-RST-007",
        "After UNLOCK_TRIES wrong codes UNLOCK is refused until the tool restarts.",
        "UNLOCK_TRIES",
        _tries,
        Capability.RESET | Capability.CALIBRATION_WRITE,
        (Consent.WRITE, Consent.RESET),
    ),
)
