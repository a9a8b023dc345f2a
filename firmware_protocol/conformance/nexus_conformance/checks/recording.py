"""The one long session that the checks of clock and stream judge together, each its own matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nexus_conformance.host import Host
from nexus_conformance.requirement import Failed, need
from nexus_conformance.session import Session, Sync, begin, end, look_at_clock, quickest, run_for

LENGTH_S: Final = 2.3
"""Device time: long enough for two STATUS."""
QUIET_S: Final = 0.2
"""Listened to afterwards."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A session, and looks at the clock before, within and after it."""

    session: Session
    before: list[Sync]
    early: list[Sync]
    late: list[Sync]
    after: list[Sync]
    quiet_until: int
    """Where in `Host.heard` the listening afterwards ended."""

    @property
    def syncs(self) -> list[Sync]:
        """All of them, in order."""
        return [*self.before, *self.early, *self.late, *self.after]

    @property
    def pace(self) -> tuple[float, float]:
        """Lowest and highest device seconds a host second that the stamps allow."""
        first, last = quickest(self.early), quickest(self.late)
        host_us = (last.middle_ns - first.middle_ns) / 1e3
        doubt_us = (last.round_trip_ns + first.round_trip_ns) / 2e3
        device_us = last.middle_us - first.middle_us
        return device_us / (host_us + doubt_us), device_us / max(host_us - doubt_us, 1.0)

    def device_us(self, host_ns: float) -> float:
        """Device time at a time of the host, by the straight line through the two looks within the session."""
        first, last = quickest(self.early), quickest(self.late)
        share = (host_ns - first.middle_ns) / max(last.middle_ns - first.middle_ns, 1.0)
        return first.middle_us + share * (last.middle_us - first.middle_us)


async def recording(host: Host) -> Recording:
    """The session, recorded at the first asking. Raises `Failed` where there could be none."""
    known = host.facts.get("recording")
    if isinstance(known, Failed):
        raise Failed(f"no session could be recorded: {known}")
    if isinstance(known, Recording):
        return known
    try:
        before = await look_at_clock(host)
        session = await begin(host)
        early = await look_at_clock(host)
        await run_for(host, session, LENGTH_S)
        late = await look_at_clock(host)
        await end(host, session)
        after = await look_at_clock(host)
        await host.pause(QUIET_S)
    except Failed as failure:
        host.facts["recording"] = failure
        raise
    host.facts["recording"] = made = Recording(session, before, early, late, after, len(host.heard))
    return made


async def some_batches(host: Host) -> Recording:
    """The recording, where anything was streamed in it."""
    made = await recording(host)
    need(bool(made.session.batches), f"no DATA came in {LENGTH_S:g} s")
    return made
