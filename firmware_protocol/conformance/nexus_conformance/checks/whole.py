"""What must hold in every message of the whole run: judged at the end of it."""

from __future__ import annotations

from typing import Final

from nexus_conformance.host import Host
from nexus_conformance.requirement import Requirement, need
from nexuslink.protocol.messages import PROTOCOL_MINOR, MessageType

VENDOR_TYPES: Final = 0x80


async def _frames(host: Host) -> str:
    """Every frame's COBS and CRC."""
    c = host.reader.counts
    evidence = (
        f"{c.good} good frames, {c.bad_crc} with a wrong CRC, {c.bad_cobs} with wrong COBS, {c.too_short} too short"
    )
    need(c.bad == 0 and c.good > 0, evidence)
    return evidence


async def _longest(host: Host) -> str:
    """No message beyond what HELLO says."""
    size = (await host.fresh()).max_message
    evidence = f"longest of {host.tally.messages} messages has {host.tally.longest} bytes, max_message is {size}"
    need(host.tally.longest <= size, evidence)
    return evidence


async def _flags(host: Host) -> str:
    """Reserved bits."""
    evidence = f"{host.tally.flagged} of {host.tally.messages} messages with flags other than 0"
    need(host.tally.flagged == 0, evidence)
    return evidence


async def _types(host: Host) -> str:
    """Known messages only, each with a header."""
    later = (await host.fresh()).protocol_minor > PROTOCOL_MINOR
    tool_types = set(MessageType) - {MessageType.REQUEST}
    strange = {t: n for t, n in host.tally.types.items() if t not in tool_types and t < VENDOR_TYPES}
    short = strange.pop(-1, 0)
    evidence = ", ".join(f"{n} of type {t:#04x}" for t, n in sorted(host.tally.types.items()) if t >= 0)
    need(not short, f"{evidence}; {short} shorter than a header")
    need(later or not strange, f"{evidence}; {sum(strange.values())} that no tool of this version sends")
    return evidence


async def _strays(host: Host) -> str:
    """No answer without its request, nor two to one."""
    strays = host.tally.strays
    said = ", ".join(f"{n} to {what}" for what, n in strays.most_common(3))
    evidence = (
        f"{host.tally.requests} requests ({host.tally.retries} of them retries), {strays.total()} answers too many"
    )
    need(not strays, f"{evidence}: {said}")
    return evidence


async def _silent_refusals(host: Host) -> str:
    """Only OK carries a payload."""
    talkative = host.tally.talkative
    said = ", ".join(f"{n} {what}" for what, n in talkative.most_common(3))
    need(not talkative, f"refusals with a payload: {said}")
    return "no refusal carried a payload, but UNSUPPORTED_VERSION"


REQUIREMENTS: Final = (
    Requirement(
        "NX-RUN-001",
        "Every frame is the COBS of a message and its CRC-32, ended by a zero.",
        "framing",
        _frames,
        framed=True,
    ),
    Requirement("NX-RUN-002", "No message is longer than max_message.", "HelloResponse", _longest),
    Requirement("NX-RUN-003", "flags are 0.", "MessageHeader", _flags),
    Requirement("NX-RUN-004", "Only message types of this version, or a vendor's, are sent.", "MessageType", _types),
    Requirement(
        "NX-RUN-005",
        "Each sending of a request is answered once at most, and nothing else is.",
        "ResponseHeader",
        _strays,
    ),
    Requirement("NX-RUN-006", "Only OK, and UNSUPPORTED_VERSION, carry a payload.", "Status", _silent_refusals),
)
