"""The real host, living with one tool for hours of its time: connect, start, stop, lose the link, connect again.

Every session is settled: by STOP, or by TOTALS once there is a connection again. What a user's program may see
(errors of the link and of the tool) is counted; anything else that is raised is a failure.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nexus_simulator.transport import SimTransport

from nexuslink.device.errors import DeviceError
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.protocol.messages import Opcode, StartResponse, Status, TotalsResponse
from nexuslink.transport.errors import TransportError
from nexuslink.transport.url import make_transport

from .session import Counted
from .truth import Witness

S = 1_000_000_000
EVERY_FAULT = {
    "drop": "0.01", "duplicate": "0.01", "reorder": "0.02", "delay": "0..20ms", "corrupt": "2e-5",
    "coalesce": "1ms..20ms", "split": "16..300", "stall": "0.2s..2s~30s", "interval": "8ms..50ms~20s",
    "mtu": "60..247~20s", "jump": "-2s..2s~60s", "reset": "~600s", "disconnect": "~300s", "handshake": "0.1",
    "request_drop": "0.02", "request_duplicate": "0.02", "request_reorder": "0.02", "request_delay": "0..10ms",
    "request_corrupt": "2e-4", "request_coalesce": "1ms..10ms", "request_split": "1..40",
    "request_stall": "0.1s..1.5s~60s",
}  # fmt: skip
RATES = (("250", "500"), ("100", "200"), ("1000", "1000"), ("500", "500"))
ROW_TYPES = {0: ("<i4", 2), 1: ("<i2", 6)}
SILENT_NS = 3 * S
"""A stream that is silent for so long is given up: longer than a standstill, and a tool that restarted says nothing."""
SESSION_S = (1.0, 90.0)
LONG_SESSION_S = 900.0
"""One session in ten may last this long, so that sequence numbers wrap."""
MEMORY_GROWTH_MB = 16.0
"""From the first tenth of the time, when everything has been imported and used, to the last."""
BACK_OFF_NS = 1 * S
"""After a connection that failed a person or a program waits."""
MAX_FUTILE = 300
"""Connections in a row without a handshake, after which something is wrong: minutes, with BACK_OFF_NS."""


@dataclass
class Outcome:
    """What one seed came to."""

    seed: int
    device_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """What the host was told went wrong, by the kind of error."""
    faults: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    """Resident memory at each tenth of the time, MB; empty where the system does not tell."""


def resident_mb() -> float | None:
    """Memory of this process that is really there, without what only waits to be collected."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * 4096 / 1e6


def grown(memory_mb: list[float]) -> list[str]:
    """What is wrong with the memory, if anything."""
    if memory_mb and memory_mb[-1] - memory_mb[0] > MEMORY_GROWTH_MB:
        return [f"memory grew from {memory_mb[0]} to {memory_mb[-1]} MB"]
    return []


class Waiting:
    """Receives a link's chunks until some time."""

    def __init__(self, until_ns: int) -> None:
        self._until_ns = until_ns
        self.over = asyncio.Event()

    def chunk(self, chunk: Chunk) -> None:
        if chunk.arrival_ns >= self._until_ns:
            self.over.set()

    def closed(self, reason: str) -> None:
        self.over.set()


class Soak:
    """One tool, one host, one seed."""

    def __init__(self, seed: int, minutes: float, faults: dict[str, str] | None = None) -> None:
        self._rng = random.Random(f"soak {seed}")
        force, imu = RATES[seed % len(RATES)]
        params = {"seed": str(seed), "speed": "max", "force_rate": force, "imu_rate": imu}
        params |= EVERY_FAULT if faults is None else faults
        transport = make_transport("sim:?" + "&".join(f"{name}={value}" for name, value in params.items()))
        assert isinstance(transport, SimTransport)
        self._transport = transport
        self._witness = Witness(transport.tool, ROW_TYPES)
        self._began_ns = transport.now_ns()
        self._length_ns = round(minutes * 60 * S)
        self._open: Counted | None = None
        self._sessions = 0
        self.outcome = Outcome(seed)

    @property
    def _on_ns(self) -> int:
        return self._transport.now_ns() - self._began_ns

    async def run(self) -> Outcome:
        """Until the time is over and the last session is settled."""
        outcome, futile = self.outcome, 0
        while self._on_ns < self._length_ns or self._open is not None:
            nexus = Nexus(self._transport)
            try:
                await nexus.open()
                futile = 0
                await self._live(nexus)
            except (DeviceError, TransportError) as error:
                outcome.errors[type(error).__name__] += 1
                futile += 1
                if futile > MAX_FUTILE:
                    outcome.problems.append(f"{MAX_FUTILE} connections failed one after the other, at last: {error}")
                    break
                await nexus.close()
                await self._wait(BACK_OFF_NS)
            finally:
                await nexus.close()
                outcome.counts["connections"] += 1
        outcome.problems += grown(outcome.memory_mb)
        outcome.device_s = self._on_ns / S
        outcome.faults = self._transport.fault_counts()
        return outcome

    async def _wait(self, ns: int) -> None:
        """Let device time pass. It only does while the link is open."""
        waiting = Waiting(self._transport.now_ns() + ns)
        await self._transport.open(waiting)
        await waiting.over.wait()
        await self._transport.close()

    async def _live(self, nexus: Nexus) -> None:
        """One connection: settle what the one before left open, then session after session."""
        await self._settle_by_totals(nexus)
        while self._on_ns < self._length_ns:
            if not await self._session(nexus):
                return
            self._note_memory()
            if self._rng.random() < 0.3:
                return

    async def _session(self, nexus: Nexus) -> bool:
        """From START to STOP; False where the stream fell silent or the link ended."""
        self._open = counted = Counted(nexus.decoder, self._sessions)
        longest = LONG_SESSION_S if self._rng.random() < 0.1 else SESSION_S[1]
        until_ns = self._on_ns + round(self._rng.uniform(SESSION_S[0], longest) * S)
        over = asyncio.Event()
        heard_ns = self._on_ns

        def listen(chunk: Chunk, decoded: Decoded) -> None:
            nonlocal heard_ns
            for response in decoded.responses:
                if response.opcode == Opcode.START and response.status == Status.OK and counted.number is None:
                    started = StartResponse.unpack(response.payload)
                    if started is not None and started.session > self._sessions:
                        counted.number = started.session
            counted.take(decoded.batches, self._witness)
            if decoded.batches:
                heard_ns = self._on_ns
            if self._on_ns > until_ns or self._on_ns - heard_ns > SILENT_NS:
                over.set()

        def closed(reason: str) -> None:
            over.set()

        nexus.add_listener(listen)
        nexus.add_closer(closed)
        await nexus.start()
        await over.wait()
        if nexus.closed_reason is not None or self._on_ns <= until_ns:
            self.outcome.counts["broken"] += 1
            return False  # the listener stays: what comes until the link is closed is counted too
        await nexus.stop()
        if counted.decoder.link.settled:
            self._judge("settled_by_stop")
        else:
            await self._settle_by_totals(nexus)
        nexus.remove(listen)
        nexus.remove(closed)
        return True

    async def _settle_by_totals(self, nexus: Nexus) -> None:
        """The session that a broken link left open; the tool knows what it has made."""
        counted = self._open
        if counted is None:
            return
        answer = TotalsResponse.unpack(await nexus.request(Opcode.TOTALS))
        assert answer is not None
        if answer.totals.session == self._sessions:
            # START never reached the tool.
            self._open = None
            self.outcome.counts["never_began"] += 1
            if counted.samples or counted.number is not None:
                self.outcome.problems.append(f"samples came, and session {counted.number} is unknown to the tool")
            return
        if not counted.decoder.link.settled:  # closing may have done it: STOP got through in the end
            counted.decoder.settle(answer.totals, counted.number)
        self._judge("settled_by_totals")

    def _judge(self, how: str) -> None:
        counted, made = self._open, self._witness.totals
        assert counted is not None
        self._open = None
        self._sessions = made.session
        outcome, link = self.outcome, counted.decoder.link
        outcome.problems += counted.judge(made, self._witness)
        lost = sum(s.lost for s in link.streams.values())
        outcome.counts.update({
            how: 1, "sessions": 1, "wrapped": made.sent > 0xFFFF, "produced": made.sent + made.dropped,
            "received": link.received, "lost": link.lost, "overrun": link.overrun, "duplicate": link.duplicate,
            "late": link.late, "restarts": link.restarts, "samples_produced": sum(made.samples),
            "samples_received": sum(counted.samples.values()), "samples_lost": lost,
            "samples_overrun": link.overrun_samples,
        })  # fmt: skip

    def _note_memory(self) -> None:
        tenths = int(10 * self._on_ns / self._length_ns)
        if tenths > len(self.outcome.memory_mb) and (now := resident_mb()) is not None:
            self.outcome.memory_mb.append(round(now, 1))


def soak(seed: int, minutes: float, faults: dict[str, str] | None = None) -> Outcome:
    """Run one seed; never raises: what was raised is a problem like any other."""
    running = Soak(seed, minutes, faults)
    raised: list[str] = []

    def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raised.append(f"in the event loop: {context.get('message')}: {context.get('exception')!r}")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(on_error)
        await running.run()

    try:
        asyncio.run(run())
    except Exception as error:  # whatever it is, it is a finding
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        raised.append(f"raised: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")
    running.outcome.problems += raised
    return running.outcome


def heed_no_interrupt() -> None:
    """For a worker process: an interrupt from the keyboard reaches every process; only the parent heeds it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
