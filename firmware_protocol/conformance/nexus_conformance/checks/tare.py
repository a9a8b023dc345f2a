"""TARE: the mean that the tool gives is the mean of what it sent."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from nexus_conformance.checks.facts import force_stream
from nexus_conformance.host import Host
from nexus_conformance.requirement import NotApplicable, Requirement, need
from nexus_conformance.session import begin, end, run_for
from nexuslink.protocol.dtypes import SAMPLES
from nexuslink.protocol.messages import Capability, Opcode, Status, TareRequest, TareResponse

WINDOW_MS: Final = 200
BEFORE_S: Final = 0.4
"""The session runs so long before TARE, device time."""
AFTER_S: Final = 0.1
OUTSIDE_MS: Final = (0, 9, 2001, 65535)


async def _mean(host: Host) -> str:
    """The very samples of the window, to the last count."""
    force = await force_stream(host)
    session = await begin(host)
    await run_for(host, session, BEFORE_S)
    tare = await host.demand(Opcode.TARE, TareResponse, TareRequest(WINDOW_MS).pack())
    await run_for(host, session, (tare.t_us - session.start.t_us) * 1e-6 + AFTER_S)
    await end(host, session)
    due = WINDOW_MS * 1e-3 * force.rate_hz
    count = f"{tare.samples} samples in {WINDOW_MS} ms, {due:.1f} due"
    need(abs(tare.samples - due) <= 1, count)
    channels = sum(group.channels for group in force.groups)
    kind = SAMPLES[force.sample_type]
    rows: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for batch in session.of(force.stream):
        whole = len(batch.samples) // (kind.itemsize * channels)
        numbers = np.frombuffer(batch.samples, kind, whole * channels).reshape(whole, channels)
        rows |= {batch.first_index + n: row for n, row in enumerate(numbers.tolist())}
        times |= {batch.first_index + n: batch.t0_us + n * 1e6 / force.rate_hz for n in range(whole)}
    # The window ends at t_us; whether a sample of that very microsecond is in it is left open.
    early = [n for n, t_us in times.items() if round(t_us) <= tare.t_us]
    upto = max(early, default=-1) + 1
    means = []
    for last in (upto, upto - 1):
        window = [rows.get(n) for n in range(last - tare.samples, last)]
        if any(row is None for row in window) or not window:
            raise NotApplicable(f"{count}; not all of them came, see NX-STR-003")
        means.append(tuple(round(Fraction(sum(tip), len(window))) for tip in zip(*filter(None, window), strict=True)))
    evidence = f"{count}; mean {tare.mean_counts}, of the samples sent {means[0]}"
    need(tuple(tare.mean_counts) in means, evidence)
    return evidence


async def _before_start(host: Host) -> str:
    """There is nothing to take a mean of."""
    return await host.refuse(Opcode.TARE, TareRequest(WINDOW_MS).pack(), Status.BAD_STATE, "TARE before START")


async def _window(host: Host) -> str:
    """Windows beyond the limits."""
    for window in OUTSIDE_MS:
        await host.refuse(Opcode.TARE, TareRequest(window).pack(), Status.OUT_OF_RANGE, f"TARE of {window} ms")
    return f"windows of {', '.join(map(str, OUTSIDE_MS))} ms: OUT_OF_RANGE"


REQUIREMENTS: Final = tuple(
    Requirement(id_, sentence, source, check, needs=Capability.TARE)
    for id_, sentence, source, check in (
        (
            "NX-TAR-001",
            "TARE gives the mean of the force samples in the window, rounded to the nearest, halves to even.",
            "TareResponse",
            _mean,
        ),
        ("NX-TAR-002", "TARE before START is BAD_STATE.", "BAD_STATE", _before_start),
        ("NX-TAR-003", "A window outside 10 to 2000 ms is OUT_OF_RANGE, streaming or not.", "TareRequest", _window),
    )
)
