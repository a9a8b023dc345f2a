"""Requests and their answers: opcodes, lengths, retries, crowds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from nexus_conformance.checks.facts import capabilities, info
from nexus_conformance.host import ANSWER_S, Answer, Host, name_of
from nexus_conformance.requirement import Failed, NotApplicable, Requirement, need
from nexus_conformance.session import ALL
from nexuslink.protocol.messages import (
    MAX_PENDING,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    CalibrationCommitRequest,
    CalibrationReadRequest,
    CalibrationWriteRequest,
    Capability,
    ConfigureRequest,
    DescribeRequest,
    ErrorsRequest,
    HapticRequest,
    HelloRequest,
    LightRequest,
    LogLevel,
    LogLevelRequest,
    Opcode,
    ResetRequest,
    SelfTestRequest,
    StartRequest,
    StartResponse,
    Status,
    StopReason,
    StopRequest,
    StopResponse,
    TareRequest,
    TimeSyncRequest,
    TimeSyncResponse,
    UnlockRequest,
)

UNKNOWN: Final = (0x00, 0x14, 0x40, 0x7F)
"""Opcodes that no tool of this version knows."""
ALWAYS: Final = Capability(0)
WHOLE: Final[dict[Opcode, tuple[Capability, bytes]]] = {
    Opcode.HELLO: (ALWAYS, HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR).pack()),
    Opcode.DESCRIBE: (ALWAYS, DescribeRequest(0).pack()),
    Opcode.TIME_SYNC: (ALWAYS, TimeSyncRequest(1).pack()),
    Opcode.START: (ALWAYS, StartRequest(ALL).pack()),
    Opcode.STOP: (ALWAYS, StopRequest(StopReason.USER).pack()),
    Opcode.CALIBRATION_READ: (ALWAYS, CalibrationReadRequest(0).pack()),
    Opcode.TARE: (Capability.TARE, TareRequest(100).pack()),
    Opcode.CONFIGURE: (Capability.CONFIGURE, ConfigureRequest(0, 0.0, (0.0, 0.0), 0).pack()),
    Opcode.UNLOCK: (Capability.CALIBRATION_WRITE, UnlockRequest(0).pack()),
    Opcode.CALIBRATION_WRITE: (Capability.CALIBRATION_WRITE, CalibrationWriteRequest(0, 4, bytes(4)).pack()),
    Opcode.CALIBRATION_COMMIT: (Capability.CALIBRATION_WRITE, CalibrationCommitRequest(0, 0).pack()),
    Opcode.HAPTIC: (Capability.HAPTIC, HapticRequest(0, 0, 0).pack()),
    Opcode.LIGHT: (Capability.LIGHT, LightRequest(0, 0, 0, 0, 0).pack()),
    Opcode.SELF_TEST: (Capability.SELF_TEST, SelfTestRequest(0).pack()),
    Opcode.ERRORS: (Capability.ERRORS, ErrorsRequest(0, 0).pack()),
    Opcode.LOG_LEVEL: (Capability.LOG, LogLevelRequest(LogLevel.OFF).pack()),
    Opcode.RESET: (Capability.RESET, ResetRequest(0).pack()),
}
"""Opcodes with a payload -> the capability that they need, and a payload that is long enough (and harmless)."""
PLAIN: Final = (Opcode.INFO, Opcode.TOTALS, Opcode.DESCRIBE, Opcode.TIME_SYNC, Opcode.CALIBRATION_READ)
"""Opcodes that succeed at any time."""
EXTRA: Final = bytes(range(1, 8))
"""Fields of a later minor version."""
CROWD: Final = 2 * MAX_PENDING
IDS: Final = (0xF234, 0xFFFF, 0x0001, 0x8000)
"""Beyond those that a host reaches in one run by counting."""
SHARED_ID: Final = 0xF123


async def _unknown(host: Host) -> str:
    """A status, not silence."""
    later = (await host.fresh()).protocol_minor > PROTOCOL_MINOR
    opcodes = UNKNOWN[:1] if later else UNKNOWN
    for opcode in opcodes:
        await host.refuse(opcode, b"", Status.UNKNOWN_OPCODE, f"opcode {opcode:#04x}")
    return f"{len(opcodes)} of {len(opcodes)} unknown opcodes got UNKNOWN_OPCODE"


async def _truncated(host: Host) -> str:
    """Every payload cut by one byte, and taken away."""
    able = await capabilities(host)
    wrong = []
    tried = 0
    for opcode, (needs, whole) in WHOLE.items():
        for payload in (b"", whole[:-1]) if needs & able == needs else ():
            status = (await host.ask(opcode, payload)).status
            tried += 1
            if status != Status.BAD_REQUEST:
                wrong.append(f"{opcode.name} with {len(payload)} of {len(whole)} bytes: {name_of(Status, status)}")
            if opcode in (Opcode.START, Opcode.STOP):
                await host.fresh()
    need(not wrong, "; ".join(wrong))
    return f"{tried} of {tried} short payloads got BAD_REQUEST"


async def _longer(host: Host) -> str:
    """What a later version appends is ignored."""
    for opcode in PLAIN:
        whole = WHOLE[opcode][1] if opcode in WHOLE else b""
        await host.refuse(opcode, whole + EXTRA, Status.OK, f"{opcode.name} with {len(EXTRA)} bytes more")
    return f"{len(PLAIN)} requests with {len(EXTRA)} bytes more were OK"


async def _flags(host: Host) -> str:
    """Bits of the header that a later version may set."""
    answer = await host.send_once(host.request(Opcode.TOTALS, flags=0xFF))
    need(answer is not None and answer.status == Status.OK, "a request with flags 0xff was not answered OK")
    return "a request with flags 0xff was answered OK"


async def _again(host: Host, message: bytes, what: str) -> tuple[Answer, Answer]:
    """Both answers to a request that is sent twice."""
    first = await host.send_once(message)
    if first is None:
        raise Failed(f"{what}: no answer to the first sending")
    second = await host.send_once(message)
    if second is None:
        raise Failed(f"{what}: no answer to the second sending within {ANSWER_S:g} s")
    return first, second


async def _retry_answered(host: Host) -> str:
    """The same bytes again are answered again."""
    opcodes = (Opcode.INFO, Opcode.TIME_SYNC, Opcode.TOTALS)
    for opcode in opcodes:
        await _again(host, host.request(opcode, WHOLE[opcode][1] if opcode in WHOLE else b""), opcode.name)
    return f"{len(opcodes)} requests were answered twice when sent twice"


async def _retry_same(host: Host) -> str:
    """And with the same content, stamps of the clock included. Silence is another requirement's matter."""
    message = host.request(Opcode.TIME_SYNC, TimeSyncRequest(7).pack())
    first, second = await host.send_once(message), await host.send_once(message)
    if first is None or second is None:
        raise NotApplicable("a retry got no answer, see NX-CTL-005")
    need(first.content == second.content, f"TIME_SYNC sent twice: {_stamps(first)}, then {_stamps(second)}")
    return f"TIME_SYNC sent twice: {_stamps(first)} both times"


async def _retry_once(host: Host) -> str:
    """A START that is repeated starts one session; a STOP that is repeated ends none again."""
    message = host.request(Opcode.START, StartRequest(ALL).pack())
    host.streaming = True
    first = await host.send_once(message)
    second = await host.send_once(message)
    begun = StartResponse.unpack(first.payload) if first else None
    if first is None or begun is None:
        raise Failed("START: no answer with a session's number")
    await host.fresh()
    following = await host.demand(Opcode.START, StartResponse, StartRequest(ALL).pack())
    host.streaming = True
    await host.fresh()
    evidence = f"START sent twice began session {begun.session}, the next START session {following.session}"
    if second is not None:
        evidence = f"{evidence}; the repeated one said {name_of(Status, second.status)}"
        need(second.content == first.content, evidence)
    need(following.session == begun.session + 1, evidence)
    return evidence


async def _remembers(host: Host) -> str:
    """Not only the last one."""
    messages = [host.request(Opcode.TIME_SYNC, TimeSyncRequest(n).pack()) for n in range(MAX_PENDING)]
    firsts = [await host.send_once(message) for message in messages]
    again = await host.send_once(messages[0])
    if firsts[0] is None or again is None:
        raise NotApplicable("a retry got no answer, see NX-CTL-005")
    evidence = f"of {MAX_PENDING} TIME_SYNC the first one again: {_stamps(firsts[0])}, then {_stamps(again)}"
    need(again.content == firsts[0].content, evidence)
    return evidence


async def _id_and_opcode(host: Host) -> str:
    """An id is that of one opcode: with another one it is a new request."""
    totals = host.request(Opcode.TOTALS, request_id=SHARED_ID)
    sync = host.request(Opcode.TIME_SYNC, TimeSyncRequest(9).pack(), request_id=SHARED_ID)
    answers = await host.send_once(totals), await host.send_once(sync)
    need(None not in answers, f"TOTALS and TIME_SYNC with the id {SHARED_ID:#06x}: one was not answered")
    stamps = TimeSyncResponse.unpack(answers[1].payload) if answers[1] else None
    need(stamps is not None and stamps.host_send_ns == 9, "TIME_SYNC with TOTALS' id was not answered as TIME_SYNC")
    return f"TOTALS and TIME_SYNC with the id {SHARED_ID:#06x} were both carried out"


async def _forgets(host: Host) -> str:
    """HELLO begins a new conversation: ids of the old one mean nothing."""
    message = host.request(Opcode.TIME_SYNC, TimeSyncRequest(5).pack())
    first = await host.send_once(message)
    await host.fresh()
    second = await host.send_once(message)
    if first is None or second is None:
        raise Failed("TIME_SYNC before and after HELLO: one was not answered")
    evidence = f"the same TIME_SYNC before and after HELLO: {_stamps(first)}, then {_stamps(second)}"
    need(first.content != second.content, evidence)
    return evidence


async def _crowd(host: Host) -> str:
    """Too many at once: each is answered, the first ones with OK, and what was BUSY can be asked again."""
    messages = [host.request(Opcode.TIME_SYNC, TimeSyncRequest(n).pack()) for n in range(CROWD)]
    first = await _all_at_once(host, messages)
    busy = [m for m, answer in zip(messages, first, strict=True) if answer.status == Status.BUSY]
    good = [answer.status for answer in first].count(Status.OK)
    evidence = f"{CROWD} requests at once: {good} OK, {len(busy)} BUSY"
    need(good + len(busy) == CROWD and all(a.status == Status.OK for a in first[:MAX_PENDING]), evidence)
    for message in busy:
        again = await host.send_once(message)
        status = "nothing" if again is None else name_of(Status, again.status)
        need(status == Status.OK.name, f"{evidence}; a BUSY one asked again: {status}")
    return f"{evidence}; asked again {len(busy)} OK"


async def _matching(host: Host) -> str:
    """Each answer belongs to the request whose id it bears."""
    messages = [
        host.request(Opcode.TIME_SYNC, TimeSyncRequest(request_id << 8).pack(), request_id=request_id)
        for request_id in IDS[:MAX_PENDING]
    ]
    answers = await _all_at_once(host, messages)
    echoes = [stamps.host_send_ns >> 8 if (stamps := TimeSyncResponse.unpack(a.payload)) else 0 for a in answers]
    evidence = f"ids {_hex(IDS)} came back with the content of {_hex(echoes)}"
    need(tuple(echoes) == IDS, evidence)
    return evidence


async def _sequence(host: Host) -> str:
    """Responses are numbered."""
    seqs = [(await host.ask(Opcode.TOTALS)).seq for _ in range(6)]
    evidence = f"seq of {len(seqs)} responses: {', '.join(map(str, seqs))}"
    need(all((b - a) & 0xFFFF == 1 for a, b in pairwise(seqs)), evidence)
    return evidence


async def _absent(host: Host) -> str:
    """What the tool has not got is UNSUPPORTED, not unknown."""
    able = await capabilities(host)
    absent = [(o, whole) for o, (needs, whole) in WHOLE.items() if needs & able != needs]
    if not absent:
        raise NotApplicable("the tool has every part")
    for opcode, whole in absent:
        await host.refuse(opcode, whole, Status.UNSUPPORTED, opcode.name)
    return f"{', '.join(o.name for o, _ in absent)}: UNSUPPORTED"


async def _no_stream(host: Host) -> str:
    """Streams that are not there."""
    count = (await info(host)).stream_count
    await host.refuse(Opcode.DESCRIBE, DescribeRequest(count).pack(), Status.OUT_OF_RANGE, f"DESCRIBE {count}")
    return f"DESCRIBE {count} of {count} streams: OUT_OF_RANGE"


async def _stop_idle(host: Host) -> str:
    """STOP may always be asked."""
    await host.demand(Opcode.STOP, StopResponse, StopRequest(StopReason.USER).pack())
    return "STOP without a stream: OK with totals"


async def _all_at_once(host: Host, messages: Iterable[bytes]) -> list[Answer]:
    """Send all in one write; the answer to each. Raises `Failed` where one is missing."""
    messages = list(messages)
    for message in messages:
        host.expect(message)
    await host.send(*messages)
    await host.wait(lambda: all(host.answers(m) for m in messages), ANSWER_S)
    missing = sum(not host.answers(m) for m in messages)
    need(not missing, f"{missing} of {len(messages)} requests sent at once were not answered")
    return [host.answers(m)[-1] for m in messages]


def _stamps(answer: Answer) -> str:
    stamps = TimeSyncResponse.unpack(answer.payload)
    return f"{stamps.device_receive_us} us" if stamps else name_of(Status, answer.status)


def _hex(numbers: Iterable[int]) -> str:
    return " ".join(f"{n:#06x}" for n in numbers)


REQUIREMENTS: Final = (
    Requirement("NX-CTL-001", "An unknown opcode is answered with UNKNOWN_OPCODE.", "UNKNOWN_OPCODE", _unknown),
    Requirement(
        "NX-CTL-002",
        "A payload that is too short is BAD_REQUEST, before anything else about it is judged.",
        "BAD_REQUEST",
        _truncated,
    ),
    Requirement("NX-CTL-003", "A payload longer than known is read as far as it is known.", "control.toml", _longer),
    Requirement("NX-CTL-004", "Flags of the header that are not known are ignored.", "MessageHeader", _flags),
    Requirement("NX-CTL-005", "A request sent again is answered again.", "MAX_PENDING", _retry_answered),
    Requirement(
        "NX-CTL-006",
        "The answer to a repeated request has the same content, time stamps included.",
        "MAX_PENDING",
        _retry_same,
    ),
    Requirement("NX-CTL-007", "A repeated request is carried out once.", "MAX_PENDING", _retry_once),
    Requirement("NX-CTL-008", "The last MAX_PENDING responses are remembered.", "MAX_PENDING", _remembers),
    Requirement(
        "NX-CTL-009", "The same request id with another opcode is another request.", "RequestHeader", _id_and_opcode
    ),
    Requirement("NX-CTL-010", "HELLO forgets remembered responses.", "HELLO", _forgets),
    Requirement(
        "NX-CTL-011",
        "Of more than MAX_PENDING requests at once each is answered, OK or BUSY; BUSY is not remembered.",
        "BUSY",
        _crowd,
    ),
    Requirement("NX-CTL-012", "A response bears the id and opcode of its own request.", "ResponseHeader", _matching),
    Requirement("NX-CTL-013", "seq of responses counts up by one.", "MessageHeader", _sequence),
    Requirement("NX-CTL-014", "A known opcode without the part for it is UNSUPPORTED.", "UNSUPPORTED", _absent),
    Requirement("NX-CTL-015", "DESCRIBE of a stream that is not there is OUT_OF_RANGE.", "DescribeRequest", _no_stream),
    Requirement(
        "NX-CTL-016", "STOP without a running stream is OK, with the latest totals.", "StopResponse", _stop_idle
    ),
)
