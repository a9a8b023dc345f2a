"""The suite: every requirement in its order, and the run over one tool. Knows no single check.

Control comes first, the long recording before short sessions, what writes and restarts last, and what holds over the
whole run at the very end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from nexus_conformance.checks import (
    calibration,
    clock,
    configure,
    control,
    description,
    framing,
    parts,
    reset,
    sessions,
    stream,
    tare,
    versions,
    whole,
)
from nexus_conformance.checks.facts import capabilities
from nexus_conformance.errors import LinkEndedError, MisuseError
from nexus_conformance.host import Host, name_of
from nexus_conformance.report import Finding, Report, Verdict
from nexus_conformance.requirement import Consent, Failed, NotApplicable, Requirement
from nexuslink.protocol.messages import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Capability,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    Opcode,
    Status,
)
from nexuslink.transport.base import Transport
from nexuslink.transport.url import make_transport

REQUIREMENTS: Final[tuple[Requirement, ...]] = tuple(
    requirement
    for noun in (
        versions, framing, control, description, clock, stream, sessions, tare, configure, calibration, parts, reset,
        whole,
    )
    for requirement in noun.REQUIREMENTS
)  # fmt: skip
CHECK_S: Final = 60.0
"""Guard over one check, seconds."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person allows and wants."""

    write: bool = False
    """Checks may write the tool's own calibration record again, and clear its error reports."""
    reset: bool = False
    """Checks may restart the tool."""
    code: int = 0x4E583031
    """UNLOCK's code; this is that of every simulated and reference tool."""
    only: Collection[str] = ()
    """Ids, or their beginnings (NX-STR); none: all."""

    def allows(self, consent: Consent) -> bool:
        """May a check that needs this run?"""
        return {Consent.NOTHING: True, Consent.WRITE: self.write, Consent.RESET: self.reset}[consent]


Say = Callable[[str], None]
"""Gets each line for people as soon as it is known."""


def run_conformance(url: str, wishes: Wishes | None = None, say: Say | None = None) -> Report:
    """Run the suite on the tool at an address. Raises `ConformanceError`, or as the transport does: no link, no run."""
    return asyncio.run(examine(lambda: make_transport(url), wishes or Wishes(), say))


def selected(only: Iterable[str]) -> tuple[Requirement, ...]:
    """The requirements with these ids, or whose ids begin so. Raises `MisuseError`."""
    wanted = [text.upper() for text in only]
    for text in wanted:
        if not any(r.id.startswith(text) for r in REQUIREMENTS):
            close = get_close_matches(text, [r.id for r in REQUIREMENTS], n=1)
            hint = f"did you mean {close[0]}?" if close else "--list says which there are"
            raise MisuseError(f"no requirement is called {text}; {hint}")
    return tuple(r for r in REQUIREMENTS if not wanted or r.id.startswith(tuple(wanted)))


async def examine(make: Callable[[], Transport], wishes: Wishes, say: Say | None = None) -> Report:
    """Run the suite over the transports that ``make`` gives (one, unless the link goes with a restart)."""
    requirements = selected(wishes.only)
    host = Host(make)
    host.unlock_code = wishes.code
    url = host.transport.url
    try:
        await host.open()
        tool = await _introduce(host, url)
        if say is not None:
            say(f"{tool} at {url}")
        findings = []
        for requirement in requirements:
            findings.append(await _judge(host, requirement, wishes))
            if say is not None:
                say("\n".join(findings[-1].lines()))
        await host.say_goodbye()
    finally:
        await host.transport.close()
    return Report(url, tool, tuple(findings))


async def _introduce(host: Host, url: str) -> str:
    """Who is there, in words. Raises `LinkEndedError` where nobody is."""
    try:
        hello = await host.ask(Opcode.HELLO, HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR).pack())
    except Failed:
        raise LinkEndedError(f"{url}: nothing there answers HELLO; is it the right port, and the tool on?") from None
    if hello.status == Status.LINK_TOO_SMALL:
        raise LinkEndedError(f"{url}: the link carries too little; let it negotiate a larger MTU")
    said = HelloResponse.unpack(hello.payload)
    if said is None:
        return f"a tool that answers HELLO with {name_of(Status, hello.status)}"
    name = f"{said.serial_number}, protocol {said.protocol_major}.{said.protocol_minor}"
    try:
        told = await host.demand(Opcode.INFO, InfoResponse)
    except Failed:
        return name
    mark = " [SIMULATED]" if told.capabilities & Capability.SIMULATED else ""
    return f"{name}, {told.model}, firmware {'.'.join(map(str, told.firmware_version))}{mark}"


async def _judge(host: Host, requirement: Requirement, wishes: Wishes) -> Finding:
    """One check, from a fresh conversation on."""
    try:
        async with asyncio.timeout(CHECK_S):
            verdict, evidence = Verdict.PASS, await _checked(host, requirement, wishes)
    except Failed as failure:
        verdict, evidence = Verdict.FAIL, str(failure)
    except NotApplicable as reason:
        verdict, evidence = Verdict.NOT_APPLICABLE, str(reason)
    except TimeoutError:
        verdict, evidence = Verdict.FAIL, f"the check did not end within {CHECK_S:g} s"
    return Finding(requirement.id, requirement.sentence, verdict, evidence)


async def _checked(host: Host, requirement: Requirement, wishes: Wishes) -> str:
    """The check's evidence, where it applies."""
    missing = [f"--{consent}" for consent in requirement.consents if not wishes.allows(consent)]
    if missing:
        raise NotApplicable(f"needs {' and '.join(missing)}")
    if requirement.framed and not host.framed:
        raise NotApplicable("this carrier has no frames")
    await host.fresh()
    absent = requirement.needs & ~await capabilities(host) if requirement.needs else requirement.needs
    if absent:
        raise NotApplicable(f"the tool has no {absent.name}")
    return await requirement.check(host)
