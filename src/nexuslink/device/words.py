"""What a tool says about itself, in words a person reads: its version, what it can do, what went wrong in it.

Values of a newer minor version have no words here and are shown as numbers.
"""

from __future__ import annotations

from typing import Final

from nexuslink.protocol.messages import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    Capability,
    ErrorCode,
    ErrorReport,
    HelloResponse,
)

_ERRORS: Final[dict[int, str]] = {
    ErrorCode.WATCHDOG: "restarted by its watchdog, cause {}",
    ErrorCode.QUEUE_OVERFLOW: "{} messages dropped because the link took none",
    ErrorCode.SAMPLE_LATE: "a sample taken {} us late",
    ErrorCode.FORCE_SENSOR: "the force converter of tip {} does not answer",
    ErrorCode.IMU_SENSOR: "the inertial unit does not answer",
    ErrorCode.CALIBRATION_LOST: "its calibration is damaged, the nominal one is in use",
    ErrorCode.BATTERY_LOW: "battery low, {} %",
    ErrorCode.OVERLOAD: "the load cell of tip {} was overloaded",
}
"""Code -> words, with a place for the detail."""


def spoken(hello: HelloResponse) -> str:
    """The tool's version of the protocol, and how it relates to this program's."""
    version, own = f"{hello.protocol_major}.{hello.protocol_minor}", f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"
    if hello.schema_hash == SCHEMA_HASH:
        return version
    if hello.protocol_minor == PROTOCOL_MINOR:
        return f"{version}, but not quite this program's {own}"
    age = "newer" if hello.protocol_minor > PROTOCOL_MINOR else "older"
    return f"{version}, {age} than this program's {own}"


def abilities(capabilities: int) -> list[str]:
    """Names of what a tool can do, but for being simulated; unknown bits as numbers."""
    known = [bit for bit in Capability if bit is not Capability.SIMULATED]
    names = [str(bit.name).lower().replace("_", " ") for bit in known if capabilities & bit]
    strange = capabilities & ~sum(Capability)
    return names + [f"0x{1 << place:x}" for place in range(32) if strange >> place & 1]


def trouble(report: ErrorReport) -> str:
    """One error report."""
    what = _ERRORS.get(report.code, f"error {report.code}, detail {{}}").format(report.detail)
    times = "" if report.count == 1 else f", {report.count} times, last"
    return f"{what}{times} at {report.t_us / 1e6:.1f} s after its start"
