"""What the long recording shows: numbers, times, lengths, STATUS."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from nexus_conformance.checks.facts import streams
from nexus_conformance.checks.recording import LENGTH_S, QUIET_S, recording, some_batches
from nexus_conformance.host import Host, Payload
from nexus_conformance.requirement import Failed, NotApplicable, Requirement, need
from nexus_conformance.session import Health, Session, is_stream, quickest, sample_size
from nexuslink.protocol.messages import (
    BATCH_FLUSH_US,
    MESSAGE_HEADER,
    STATUS_PERIOD_US,
    EventMessage,
    FaultMessage,
    LogMessage,
    MessageType,
    StatusMessage,
)

BEFORE_S: Final = 0.3
ROUNDING_US: Final = 2
"""Both stamps of a step are whole microseconds."""
STATUS_LATEST_US: Final = round(STATUS_PERIOD_US * 1.05)
RATE_TOLERANCE: Final = 0.01
PAYLOADS: Final[dict[int, type[Payload]]] = {
    MessageType.STATUS: StatusMessage,
    MessageType.LOG: LogMessage,
    MessageType.FAULT: FaultMessage,
    MessageType.EVENT: EventMessage,
}


async def _before(host: Host) -> str:
    """Silence between HELLO and START's response."""
    await host.fresh()
    first = len(host.heard)
    await host.pause(BEFORE_S)
    early = sum(map(is_stream, host.heard[first:]))
    need(early == 0, f"{early} stream messages came without START")
    return f"no stream message within {BEFORE_S:g} s without START"


async def _after(host: Host) -> str:
    """Silence after STOP's response."""
    made = await recording(host)
    late = sum(map(is_stream, host.heard[made.session.stopped_at : made.quiet_until]))
    need(late == 0, f"{late} stream messages came after STOP's response")
    return f"no stream message within {QUIET_S:g} s after STOP's response"


async def _seq(host: Host) -> str:
    """From 0, by one."""
    seqs = (await some_batches(host)).session.seqs
    jumps = [f"{a} to {b}" for a, b in pairwise(seqs) if (b - a) & 0xFFFF != 1]
    evidence = f"seq {seqs[0]} to {seqs[-1]} in {len(seqs)} messages, {len(jumps)} jumps"
    need(seqs[0] == 0 and not jumps, f"{evidence} {'; '.join(jumps[:3])}")
    return evidence


async def _index(host: Host) -> str:
    """From 0, each batch where the one before ended."""
    session = (await some_batches(host)).session
    dropped = session.stop.totals.dropped if session.stop else 0
    said = []
    for number in sorted({b.stream for b in session.batches}):
        batches = session.of(number)
        jumps = [
            f"{a.first_index} + {a.count} to {b.first_index}"
            for a, b in pairwise(batches)
            if b.first_index != (a.first_index + a.count) & 0xFFFFFFFF
            and not (dropped and b.first_index > a.first_index + a.count)
        ]
        evidence = f"stream {number} from {batches[0].first_index} in {len(batches)} batches, {len(jumps)} jumps"
        need(batches[0].first_index == 0 and not jumps, f"{evidence} {'; '.join(jumps[:3])}")
        said.append(evidence)
    return "; ".join(said)


async def _t0(host: Host) -> str:
    """t0_us goes on with the samples. A sensor with a clock of its own is a little off its nominal rate, no more."""
    session = (await some_batches(host)).session
    said, wrong = [], False
    for number, d in (await streams(host)).items():
        batches = session.of(number)
        if not batches:
            continue
        period_us = 1e6 / d.rate_hz
        begins = batches[0].t0_us - session.start.t_us - round(batches[0].first_index * period_us)
        worst = 0.0
        for a, b in pairwise(batches):
            due = ((b.first_index - a.first_index) & 0xFFFFFFFF) * period_us
            beyond = max(0.0, abs(b.t0_us - a.t0_us - due) - RATE_TOLERANCE * due)
            worst = max(worst, beyond)
        wrong = wrong or abs(begins) > period_us or worst > ROUNDING_US
        said.append(f"stream {number} begins {begins} us after START, {worst:.0f} us beyond its rate at worst")
    evidence = "; ".join(said)
    need(not wrong, evidence)
    return evidence


async def _onward(host: Host) -> str:
    """No stream's time runs backwards, nor that of STATUS."""
    session = (await some_batches(host)).session
    rows = {f"stream {n}": [b.t0_us for b in session.of(n)] for n in sorted({b.stream for b in session.batches})}
    rows["STATUS"] = [h.status.t_us for h in session.health]
    back = {who: sum(b <= a for a, b in pairwise(times)) for who, times in rows.items()}
    evidence = ", ".join(f"{who} {n} of {len(rows[who])} steps back" for who, n in back.items())
    need(not any(back.values()), evidence)
    return evidence


async def _shape(host: Host) -> str:
    """count samples, no more and no less; the stream is one that DESCRIBE knows."""
    session = (await some_batches(host)).session
    described = await streams(host)
    wrong = []
    for b in session.batches:
        size = sample_size(described[b.stream]) if b.stream in described else 0
        if not size or not b.count or len(b.samples) != b.count * size:
            wrong.append(f"stream {b.stream}: {b.count} samples in {len(b.samples)} bytes")
    short = sum(h.message[0] == MessageType.DATA for h in session.heard) - len(session.batches)
    evidence = f"{len(session.batches)} DATA messages, {len(wrong)} of a wrong shape, {short} shorter than their header"
    need(not wrong and not short, f"{evidence} {'; '.join(wrong[:2])}")
    silent = sorted(described.keys() - {b.stream for b in session.batches})
    need(not silent, f"{evidence}; streams {silent} were started and sent nothing")
    return evidence


async def _flush(host: Host) -> str:
    """A batch neither spans nor waits longer than BATCH_FLUSH_US."""
    made = await some_batches(host)
    described = await streams(host)
    batches = [b for b in made.session.batches if b.stream in described]
    spans = [(b.count - 1) * 1e6 / described[b.stream].rate_hz for b in batches]
    # Least, not longest: a busy host is late now and then, a tool that does not flush is late each time.
    # What STOP flushes tells nothing.
    stop_us = made.session.start.t_us + made.session.duration_us
    waits = [made.device_us(b.arrival_ns) - b.t0_us for b in batches if b.t0_us < stop_us - 2 * BATCH_FLUSH_US]
    need(bool(waits), f"no DATA of an earlier time than {2 * BATCH_FLUSH_US} us before STOP")
    flight = quickest(made.early).round_trip_ns / 1e3
    evidence = (
        f"longest batch {max(spans) / 1e3:.1f} ms, least time from first sample to host {min(waits) / 1e3:.1f} ms"
    )
    need(max(spans) <= BATCH_FLUSH_US and min(waits) <= BATCH_FLUSH_US + flight, evidence)
    return evidence


async def _status(host: Host) -> str:
    """Each second."""
    made = await some_batches(host)
    times = [h.status.t_us for h in made.session.health]
    ends = [made.session.start.t_us, *times, made.session.start.t_us + round(LENGTH_S * 1e6)]
    gap = max(b - a for a, b in pairwise(ends))
    evidence = f"{len(times)} STATUS in {LENGTH_S:g} s, longest time without one {gap / 1e6:.2f} s"
    need(gap <= STATUS_LATEST_US, evidence)
    return evidence


async def _payloads(host: Host) -> str:
    """STATUS, LOG, FAULT and EVENT are whole and within their ranges."""
    made = await some_batches(host)
    seen = 0
    for h in made.session.heard:
        kind = PAYLOADS.get(h.message[0])
        if kind is None:
            continue
        content = kind.unpack(h.message[MESSAGE_HEADER.size :])
        need(content is not None, f"a {kind.__name__} of {len(h.message)} bytes is too short")
        problem = content.problem() if content else None
        need(problem is None, f"{kind.__name__}: {problem}")
        seen += 1
    return f"{seen} messages beside DATA, each field within its range"


async def _produced(host: Host) -> str:
    """STATUS counts what was made: without drops that is what came before it, and itself."""
    health = _health((await some_batches(host)).session)
    wrong = [
        f"message {h.place} says produced {h.status.produced}, dropped {h.status.dropped}"
        for h in health
        if h.status.dropped > h.status.produced or (not h.status.dropped and h.status.produced != h.place)
    ]
    need(not wrong, f"STATUS: {'; '.join(wrong)}")
    last = health[-1]
    return f"STATUS as message {last.place}: produced {last.status.produced}, dropped {last.status.dropped}"


async def _link(host: Host) -> str:
    """STATUS and HELLO say the same about the link."""
    wanted = (await host.fresh()).max_message
    said = {h.status.max_message for h in _health((await some_batches(host)).session)}
    evidence = f"HELLO says max_message {wanted}, STATUS {', '.join(map(str, sorted(said)))}"
    need(said == {wanted}, evidence)
    return evidence


async def _rate(host: Host) -> str:
    """As many samples as the time between START and STOP holds."""
    session = (await some_batches(host)).session
    said, wrong = [], False
    for number, d in (await streams(host)).items():
        held = d.rate_hz * session.duration_us * 1e-6
        made = max((b.first_index + b.count for b in session.of(number)), default=0)
        wrong = wrong or abs(made - held) > 2 + RATE_TOLERANCE * held
        said.append(f"stream {number}: {made} samples, {held:.1f} due")
    need(not wrong, "; ".join(said))
    return f"{'; '.join(said)} in {session.duration_us / 1e6:.3f} s"


def _health(session: Session) -> list[Health]:
    if not session.health:
        raise NotApplicable("no STATUS came, see NX-STR-008")
    return session.health


def _totals(session: Session) -> tuple[int, int]:
    if session.stop is None:
        raise Failed("the session was not stopped")
    return session.stop.totals.sent, session.stop.totals.dropped


async def _sent(host: Host) -> str:
    """STOP says how many messages left."""
    session = (await some_batches(host)).session
    sent, dropped = _totals(session)
    evidence = f"STOP says {sent} sent and {dropped} dropped, {len(session.heard)} came"
    need(sent == len(session.heard), evidence)
    return evidence


async def _samples(host: Host) -> str:
    """STOP says how many samples were made."""
    session = (await some_batches(host)).session
    _, dropped = _totals(session)
    assert session.stop is not None
    said, wrong = [], False
    for number, made in enumerate(session.stop.totals.samples):
        came = max((b.first_index + b.count for b in session.of(number)), default=0)
        wrong = wrong or came > made or (came < made and not dropped)
        if made or came:
            said.append(f"stream {number}: {made} made, {came} came")
    need(not wrong, "; ".join(said))
    return "; ".join(said)


REQUIREMENTS: Final = (
    Requirement("NX-STR-001", "Nothing is streamed before START.", "START", _before),
    Requirement("NX-STR-002", "seq begins at 0 and counts every stream message by one.", "MessageHeader", _seq),
    Requirement(
        "NX-STR-003",
        "first_index begins at 0 and goes on where the batch before ended; only a counted drop may leave a gap.",
        "DataHeader",
        _index,
    ),
    Requirement(
        "NX-STR-004",
        "t0_us begins at START and advances by the samples between, at rate_hz within 1 %.",
        "DataHeader",
        _t0,
    ),
    Requirement("NX-STR-005", "Times of a stream, and of STATUS, only grow.", "DataHeader", _onward),
    Requirement(
        "NX-STR-006",
        "DATA holds count samples, 1 or more, of a described stream, and nothing else; every started stream sends.",
        "DataHeader",
        _shape,
    ),
    Requirement(
        "NX-STR-007", "A batch leaves at the latest BATCH_FLUSH_US after its first sample.", "BATCH_FLUSH_US", _flush
    ),
    Requirement("NX-STR-008", "STATUS comes every STATUS_PERIOD_US.", "STATUS_PERIOD_US", _status),
    Requirement(
        "NX-STR-009", "STATUS, LOG, FAULT and EVENT are whole, each field within its range.", "stream.toml", _payloads
    ),
    Requirement(
        "NX-STR-010",
        "STATUS.produced counts the stream messages since START, itself included.",
        "StatusMessage",
        _produced,
    ),
    Requirement("NX-STR-011", "STATUS.max_message is what HELLO says.", "StatusMessage", _link),
    Requirement(
        "NX-STR-012", "Streams run at their rate on the device clock from START to STOP.", "StreamDescriptor", _rate
    ),
    Requirement("NX-STR-013", "STOP's totals count exactly the stream messages that left.", "SessionTotals", _sent),
    Requirement("NX-STR-014", "STOP's totals count exactly the samples made.", "SessionTotals", _samples),
    Requirement("NX-STR-015", "Nothing is streamed after STOP's response.", "STOP", _after),
)
