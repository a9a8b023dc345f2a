"""TIME_SYNC: the tool's clock, and that every stamp is of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from nexus_conformance.checks.facts import capabilities
from nexus_conformance.checks.recording import recording
from nexus_conformance.host import Host
from nexus_conformance.requirement import NotApplicable, Requirement, need
from nexus_conformance.session import Sync, quickest
from nexuslink.protocol.messages import Capability, Opcode, TimeSyncRequest, TimeSyncResponse

TOLERANCE: Final = 0.01
"""How far a clock may be off: a hundred times what any crystal is. Wrong units are far beyond."""
SIMULATED_PACE: Final = (0.2, 100.0)
"""A simulated tool may run slower or faster than the host's clock, within reason."""
ECHOES: Final = (0, 1, 0x0123456789ABCDEF, 0xFFFFFFFFFFFFFFFF)


async def _echo(host: Host) -> str:
    """host_send_ns comes back, whatever it is."""
    for value in ECHOES:
        stamps = await host.demand(Opcode.TIME_SYNC, TimeSyncResponse, TimeSyncRequest(value).pack())
        need(stamps.host_send_ns == value, f"host_send_ns {value:#x} came back as {stamps.host_send_ns:#x}")
    return f"{len(ECHOES)} values of host_send_ns came back"


async def _order(host: Host) -> str:
    """Received before sent, and never before the exchange before."""
    syncs = (await recording(host)).syncs
    turned = [s for s in syncs if s.answer.device_send_us < s.answer.device_receive_us]
    back = [b for a, b in pairwise(syncs) if b.answer.device_receive_us < a.answer.device_send_us]
    evidence = f"{len(syncs)} exchanges, {len(turned)} sent before they were received, {len(back)} before the last one"
    need(not turned and not back, evidence)
    return evidence


async def _pace(host: Host) -> str:
    """A microsecond is a microsecond."""
    low, high = (await recording(host)).pace
    evidence = f"the device clock runs at {low:.5f} to {high:.5f} of the host's"
    if low <= 1.0 + TOLERANCE and high >= 1.0 - TOLERANCE:
        return evidence
    simulated = bool(await capabilities(host) & Capability.SIMULATED)
    slowest, fastest = SIMULATED_PACE
    need(simulated and low <= fastest and high >= slowest, evidence)
    raise NotApplicable(f"{evidence}: a simulated tool with a time of its own")


def _between(first: list[Sync], t_us: int, then: list[Sync]) -> str | None:
    """None where a stamp lies between two looks at the clock, else by how much it does not."""
    earliest, latest = first[-1].answer.device_receive_us, then[0].answer.device_send_us
    return None if earliest <= t_us <= latest else f"{t_us} us is not within {earliest} to {latest} us"


async def _stamps(host: Host) -> str:
    """START and STOP are stamped with the clock that TIME_SYNC shows."""
    made = await recording(host)
    session = made.session
    wrong = _between(made.before, session.start.t_us, made.early)
    need(wrong is None, f"START: {wrong}")
    assert session.stop is not None
    wrong = _between(made.late, session.stop.t_us, made.after)
    need(wrong is None, f"STOP: {wrong}")
    best = quickest(made.syncs).round_trip_ns / 1e6
    return f"START and STOP lie between their neighbours; quickest round trip {best:.2f} ms"


REQUIREMENTS: Final = (
    Requirement("NX-CLK-001", "TIME_SYNC echoes host_send_ns.", "TimeSyncResponse", _echo),
    Requirement(
        "NX-CLK-002",
        "The device clock never runs backwards; a request is received before its answer is sent.",
        "TimeSyncResponse",
        _order,
    ),
    Requirement("NX-CLK-003", "The device clock counts microseconds.", "TimeSyncResponse", _pace),
    Requirement("NX-CLK-004", "START and STOP are stamped with the same clock.", "StartResponse", _stamps),
)
