"""Motor, light, self-test, error reports, log: whatever of these the tool says it has."""

from __future__ import annotations

from typing import Final

from nexus_conformance.host import Host, name_of
from nexus_conformance.requirement import Consent, Requirement, need
from nexus_conformance.session import run_for, streaming
from nexuslink.protocol.messages import (
    MESSAGE_HEADER,
    Capability,
    ErrorCode,
    ErrorReport,
    ErrorsRequest,
    ErrorsResponse,
    HapticPattern,
    HapticRequest,
    LightPattern,
    LightRequest,
    LogLevel,
    LogLevelRequest,
    LogMessage,
    MessageType,
    Opcode,
    SelfTest,
    SelfTestRequest,
    SelfTestResponse,
    Status,
)

ALL_TESTS: Final = 0xFFFFFFFF
VENDOR_CODES: Final = 0x8000
REPORTS_MAX: Final = 255
SHORT_S: Final = 0.1


async def _all(host: Host, opcode: Opcode, payloads: dict[str, bytes], status: Status) -> str:
    """Each payload must end with the same status."""
    wrong = []
    for what, payload in payloads.items():
        got = (await host.ask(opcode, payload)).status
        if got != status:
            wrong.append(f"{what}: {name_of(Status, got)}")
    need(not wrong, f"{opcode.name} wanted {status.name}; {'; '.join(wrong)}")
    return f"{opcode.name} {', '.join(payloads)}: {status.name}"


async def _haptic(host: Host) -> str:
    payloads = {p.name: HapticRequest(p, 20, 30).pack() for p in HapticPattern}
    return await _all(host, Opcode.HAPTIC, payloads, Status.OK)


async def _haptic_range(host: Host) -> str:
    payloads = {
        "pattern 4": HapticRequest(4, 0, 0).pack(),
        "101 %": HapticRequest(HapticPattern.TICK, 101, 10).pack(),
        "5001 ms": HapticRequest(HapticPattern.TICK, 10, 5001).pack(),
    }
    return await _all(host, Opcode.HAPTIC, payloads, Status.OUT_OF_RANGE)


async def _light(host: Host) -> str:
    payloads = {p.name: LightRequest(p, 10, 20, 30, 50).pack() for p in (*reversed(LightPattern),)}
    return await _all(host, Opcode.LIGHT, payloads, Status.OK)


async def _light_range(host: Host) -> str:
    return await _all(host, Opcode.LIGHT, {"pattern 4": LightRequest(4, 0, 0, 0, 0).pack()}, Status.OUT_OF_RANGE)


async def _self_test(host: Host) -> str:
    """Only what was asked and is there; what was run passes."""
    said = []
    for tests in (0, ALL_TESTS, *SelfTest):
        made = await host.demand(Opcode.SELF_TEST, SelfTestResponse, SelfTestRequest(tests).pack())
        evidence = f"asked {int(tests):#x}: ran {made.run:#x}, passed {made.passed:#x}"
        need(not made.run & ~tests and not made.passed & ~made.run, evidence)
        need(made.passed == made.run, evidence)
        said.append(evidence)
    return said[1]


async def _self_test_streaming(host: Host) -> str:
    async with streaming(host):
        payload = SelfTestRequest(0).pack()
        return await host.refuse(Opcode.SELF_TEST, payload, Status.BAD_STATE, "SELF_TEST while streaming")


async def _reports(host: Host) -> tuple[list[ErrorReport], int]:
    """All reports, page by page, and how many the tool says there are."""
    reports: list[ErrorReport] = []
    while True:
        first = len(reports)
        page = await host.demand(Opcode.ERRORS, ErrorsResponse, ErrorsRequest(first, 0).pack())
        need(
            page.first == first and page.count == len(page.reports),
            f"page {first} says first {page.first}, count {page.count}",
        )
        reports += page.reports
        if not page.count or len(reports) >= REPORTS_MAX:
            return reports, page.total


async def _errors(host: Host) -> str:
    """One report a code, each counted, all pages together as many as it says."""
    reports, total = await _reports(host)
    codes = [r.code for r in reports]
    said = ", ".join(ErrorCode(c).name if c in set(ErrorCode) else f"{c:#06x}" for c in codes) or "none"
    evidence = f"{len(reports)} of {total} reports: {said}"
    need(len(reports) == total and len(set(codes)) == len(codes), evidence)
    need(all((r.code in set(ErrorCode) or r.code >= VENDOR_CODES) and r.count for r in reports), evidence)
    return evidence


async def _errors_range(host: Host) -> str:
    return await _all(host, Opcode.ERRORS, {"clear 2": ErrorsRequest(0, 2).pack()}, Status.OUT_OF_RANGE)


async def _errors_clear(host: Host) -> str:
    """The answer that clears still tells."""
    _, before = await _reports(host)
    told = await host.demand(Opcode.ERRORS, ErrorsResponse, ErrorsRequest(0, 1).pack())
    _, after = await _reports(host)
    evidence = f"{before} reports, {told.total} in the answer that clears, {after} afterwards"
    need(told.total == before and after == 0, evidence)
    return evidence


async def _log_count(host: Host, level: int) -> tuple[int, list[int]]:
    """A short session at a level: LOG messages that came, and levels among them below the asked one."""
    await _all(host, Opcode.LOG_LEVEL, {f"level {level}": LogLevelRequest(level).pack()}, Status.OK)
    async with streaming(host) as session:
        await run_for(host, session, SHORT_S)
    logs = [
        LogMessage.unpack(h.message[MESSAGE_HEADER.size :]) for h in session.heard if h.message[0] == MessageType.LOG
    ]
    need(None not in logs, "a LOG message is too short")
    return len(logs), [line.level for line in logs if line and line.level < level]


async def _log(host: Host) -> str:
    """Lines of the level asked for and above; none when OFF."""
    counts = {}
    for level in (*LogLevel,):
        counts[level.name], below = await _log_count(host, level)
        need(not below, f"at level {level.name} lines of level {below} came")
    evidence = ", ".join(f"{n} lines at {name}" for name, n in counts.items())
    need(counts[LogLevel.OFF.name] == 0, evidence)
    return evidence


REQUIREMENTS: Final = (
    Requirement("NX-HAP-001", "Every haptic pattern is OK.", "HapticRequest", _haptic, Capability.HAPTIC),
    Requirement(
        "NX-HAP-002",
        "A pattern, strength or duration beyond its range is OUT_OF_RANGE.",
        "HapticRequest",
        _haptic_range,
        Capability.HAPTIC,
    ),
    Requirement("NX-LGT-001", "Every light pattern is OK.", "LightRequest", _light, Capability.LIGHT),
    Requirement(
        "NX-LGT-002", "An unknown light pattern is OUT_OF_RANGE.", "LightRequest", _light_range, Capability.LIGHT
    ),
    Requirement(
        "NX-SLF-001",
        "SELF_TEST runs only what is asked, reports as passed only what ran, and all of it passes.",
        "SelfTestResponse",
        _self_test,
        Capability.SELF_TEST,
    ),
    Requirement(
        "NX-SLF-002", "SELF_TEST while streaming is BAD_STATE.", "SELF_TEST", _self_test_streaming, Capability.SELF_TEST
    ),
    Requirement(
        "NX-ERR-001",
        "ERRORS gives one report for each code, page by page, as many as total says.",
        "ErrorsResponse",
        _errors,
        Capability.ERRORS,
    ),
    Requirement(
        "NX-ERR-002", "clear other than 0 and 1 is OUT_OF_RANGE.", "ErrorsRequest", _errors_range, Capability.ERRORS
    ),
    Requirement(
        "NX-ERR-003",
        "clear = 1 answers with the reports and then forgets them.",
        "ErrorsRequest",
        _errors_clear,
        Capability.ERRORS,
        (Consent.WRITE,),
    ),
    Requirement(
        "NX-LOG-001",
        "LOG carries lines of the level asked for and above; none when OFF.",
        "LogLevelRequest",
        _log,
        Capability.LOG,
    ),
)
