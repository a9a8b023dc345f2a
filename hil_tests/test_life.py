"""When data flows and when it must not: before START, after STOP, after coming back."""

from __future__ import annotations

import time

import numpy as np

from nexuslink import Nexus
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.testing.observation import pass_time
from nexuslink.testing.plugin import Bench, Measure

QUIET_S = 0.5
"""Some twenty batches of a stream would come in this time."""
FLOW_S = 0.3
CYCLES = 5


def test_no_data_before_start(nexus_bench: Bench, nexus_measure: Measure) -> None:
    async def watch(nexus: Nexus) -> int:
        await pass_time(nexus, QUIET_S)
        link = nexus.decoder.link
        return link.received + link.duplicate + link.late

    nexus_measure("data_before_start", nexus_bench.run(watch))


def test_stop_stops_the_data(nexus_bench: Bench, nexus_measure: Measure) -> None:
    async def watch(nexus: Nexus) -> tuple[int, float]:
        latest_ns = 0

        def look(chunk: Chunk, decoded: Decoded) -> None:
            nonlocal latest_ns
            if decoded.batches or decoded.statuses:
                latest_ns = chunk.arrival_ns

        nexus.add_listener(look)
        await nexus.start()
        await pass_time(nexus, FLOW_S)
        await nexus.stop()
        stopped_ns, flowed = nexus.transport.now_ns(), latest_ns
        await pass_time(nexus, QUIET_S)
        return flowed, max(0.0, (latest_ns - stopped_ns) / 1e6)

    flowed, tail_ms = nexus_bench.run(watch)
    assert flowed, "no data came before STOP: nothing is proven"
    nexus_measure("stop_tail_ms", tail_ms)


def test_start_after_stop_begins_anew(nexus_bench: Bench) -> None:
    async def watch(nexus: Nexus) -> list[int]:
        received = []
        for _ in range(2):
            await nexus.start()
            await pass_time(nexus, FLOW_S)
            received.append(nexus.decoder.link.received)
            assert nexus.decoder.link.restarts == 0, "the numbering did not begin at zero"
            await nexus.stop()
        return received

    assert min(nexus_bench.run(watch)) > 0


def test_reconnect(nexus_bench: Bench, nexus_measure: Measure) -> None:
    """Disconnect in mid-stream and come back, again and again: the same tool, not rebooted, and it streams."""

    async def visit(nexus: Nexus) -> tuple[str, int, float, float]:
        connected_s = time.monotonic() - began_s
        first_ns = 0

        def look(chunk: Chunk, decoded: Decoded) -> None:
            nonlocal first_ns
            if decoded.batches and not first_ns:
                first_ns = chunk.arrival_ns

        nexus.add_listener(look)
        asked_ns = nexus.transport.now_ns()
        await nexus.start()
        await pass_time(nexus, FLOW_S)
        first_ms = (first_ns - asked_ns) / 1e6 if first_ns else np.nan
        return nexus.info.serial_number, nexus.info.boot_id, connected_s, first_ms

    visits = []
    for _ in range(CYCLES):
        began_s = time.monotonic()
        visits.append(nexus_bench.run(visit))
    serials, boots, connected, first = zip(*visits, strict=True)
    assert len(set(serials)) == 1, f"another tool answered: {', '.join(sorted(set(serials)))}"
    assert len(set(boots)) == 1, "the tool rebooted while it was disconnected"
    nexus_measure("connect_s", max(connected))
    nexus_measure("first_data_ms", max(first, key=lambda ms: np.inf if np.isnan(ms) else ms))
