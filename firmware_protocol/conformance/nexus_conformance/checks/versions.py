"""HELLO: who is there, and which protocol it speaks."""

from __future__ import annotations

from typing import Final

from nexus_conformance.host import Host, name_of
from nexus_conformance.requirement import Failed, Requirement, need
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    MIN_LINK_MESSAGE,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    HelloRequest,
    HelloResponse,
    Opcode,
    Status,
)

OTHER_MAJORS: Final = (0, PROTOCOL_MAJOR + 1, 255)
LATER_MINOR: Final = 255
_SERIAL_AT: Final = slice(14, 30)
"""Where HELLO's payload has the serial number."""


async def _hello(host: Host) -> str:
    """HELLO succeeds and speaks this major version."""
    hello = await host.fresh()
    version = f"protocol {hello.protocol_major}.{hello.protocol_minor}, boot id {hello.boot_id:#010x}"
    need(hello.protocol_major == PROTOCOL_MAJOR, f"{version}; this suite is for major version {PROTOCOL_MAJOR}")
    return version


async def _hash(host: Host) -> str:
    """The same version is the same wire."""
    hello = await host.fresh()
    same = hello.schema_hash == SCHEMA_HASH
    what = f"{hello.protocol_major}.{hello.protocol_minor} with schema {hello.schema_hash:016x}"
    if (hello.protocol_major, hello.protocol_minor) == (PROTOCOL_MAJOR, PROTOCOL_MINOR):
        need(same, f"{what}, but {PROTOCOL_MAJOR}.{PROTOCOL_MINOR} is {SCHEMA_HASH:016x}")
    else:
        need(not same, f"{what}, which is that of {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}")
    return what


async def _wrong_major(host: Host) -> str:
    """Another major version is refused by name, and HELLO's payload says what would fit."""
    for major in OTHER_MAJORS:
        answer = await host.ask(Opcode.HELLO, HelloRequest(major, 0).pack())
        got = f"major {major}: {name_of(Status, answer.status)} with {len(answer.payload)} bytes"
        need(answer.status == Status.UNSUPPORTED_VERSION, f"{got}, wanted UNSUPPORTED_VERSION")
        said = HelloResponse.unpack(answer.payload)
        if said is None or said.protocol_major != PROTOCOL_MAJOR:
            raise Failed(f"{got}: no HELLO payload that names major {PROTOCOL_MAJOR}")
    await host.fresh()
    return f"majors {', '.join(map(str, OTHER_MAJORS))} refused with HELLO's payload, then {PROTOCOL_MAJOR} accepted"


async def _later_minor(host: Host) -> str:
    """A host of a later minor version is welcome."""
    await host.demand(Opcode.HELLO, HelloResponse, HelloRequest(PROTOCOL_MAJOR, LATER_MINOR).pack())
    return f"{PROTOCOL_MAJOR}.{LATER_MINOR} accepted"


async def _identity(host: Host) -> str:
    """The serial number is a name, and does not change."""
    answers = [await host.ask(Opcode.HELLO, HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR).pack()) for _ in range(2)]
    first, second = (answer.payload[_SERIAL_AT] for answer in answers)
    name = first.rstrip(b"\0")
    need(bool(name) and all(0x20 < byte < 0x7F for byte in name), f"serial number {first!r} is no name in ASCII")
    need(first == second, f"serial number {first!r}, then {second!r}")
    return f"serial number {name.decode()} twice"


async def _boot(host: Host) -> str:
    """The boot id is that of this start."""
    first, second = await host.fresh(), await host.fresh()
    need(first.boot_id == second.boot_id, f"boot id {first.boot_id:#x}, then {second.boot_id:#x} without a restart")
    return f"boot id {first.boot_id:#010x} twice"


async def _max_message(host: Host) -> str:
    """What the link carries is within the protocol's limits."""
    size = (await host.fresh()).max_message
    evidence = f"max_message is {size} bytes, of {MIN_LINK_MESSAGE} to {MAX_MESSAGE}"
    need(MIN_LINK_MESSAGE <= size <= MAX_MESSAGE, evidence)
    return evidence


REQUIREMENTS: Final = (
    Requirement(
        "NX-VER-001", "HELLO of the same major version is answered OK with the whole payload.", "HELLO", _hello
    ),
    Requirement("NX-VER-002", "schema_hash is that of the version that HELLO names.", "HelloResponse", _hash),
    Requirement(
        "NX-VER-003",
        "HELLO of another major version is UNSUPPORTED_VERSION with HELLO's payload.",
        "UNSUPPORTED_VERSION",
        _wrong_major,
    ),
    Requirement("NX-VER-004", "HELLO of a later minor version is OK.", "HelloRequest", _later_minor),
    Requirement(
        "NX-VER-005", "The serial number is printable ASCII, zero padded, and stays.", "HelloResponse", _identity
    ),
    Requirement("NX-VER-006", "The boot id stays while the tool does not restart.", "HelloResponse", _boot),
    Requirement(
        "NX-VER-007", "max_message lies between MIN_LINK_MESSAGE and MAX_MESSAGE.", "MIN_LINK_MESSAGE", _max_message
    ),
)
