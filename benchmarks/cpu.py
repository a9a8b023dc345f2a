"""What a headless client costs beyond a reader that throws the bytes away: force and IMU at 1 kHz each, over a PTY.

Every reader runs in a process of its own for SECONDS; its CPU time is taken inside it, once it streams. The client
connects, decodes and takes every batch; estimating, and a whole guided hold with its recording, are shown beside it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Measure
from benchmarks.ptytool import on_pty
from benchmarks.wire import RATE_HZ

ROUNDS = 3
SECONDS = 5.0
PERIOD_US, PER_MESSAGE = 16_000, 16
READER_BOUND_S = 60.0


def measure() -> list[Measure]:
    """The keys ``cpu.client_*``, percent of one core."""
    percent: dict[str, list[float]] = {name: [] for name in ("bare", *CLIENTS)}
    for number in range(ROUNDS):
        for name in percent if number % 2 == 0 else reversed(percent):
            with on_pty(PERIOD_US, PER_MESSAGE) as port:
                percent[name].append(_percent(name, port))
    over = {
        name: statistics.median(a - b for a, b in zip(percent[name], percent["bare"], strict=True)) for name in CLIENTS
    }
    reader = f"the bare reader: {statistics.median(percent['bare']):.2f} %"
    return [
        Measure("cpu.client_percent_over_reader", over["client"], unit="%", note=reader),
        Measure("cpu.estimating_percent_over_reader", over["estimating"], unit="%", note="with force and angle"),
        Measure("cpu.session_percent_over_reader", over["session"], unit="%", note="a guided hold, recorded"),
    ]


def _percent(name: str, port: str) -> float:
    command = [sys.executable, "-m", "benchmarks.cpu", name, port]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=READER_BOUND_S, check=True
    )
    return float(json.loads(done.stdout))


def _bare(port: str) -> float:
    from benchmarks.readers import bare

    start = time.process_time()
    bare(port, SECONDS)
    return time.process_time() - start


async def _client(port: str) -> float:
    import nexuslink

    async with nexuslink.connect(f"serial:{port}") as nexus:
        batches = aiter(nexus.stream())
        await anext(batches)
        start = time.process_time()
        end = time.monotonic() + SECONDS
        rows = 0
        while time.monotonic() < end:
            rows += len((await anext(batches)).raw)
        spent = time.process_time() - start
    if rows < 0.9 * SECONDS * 2 * RATE_HZ:
        raise AssertionError(f"only {rows} samples in {SECONDS} s")
    return spent


async def _estimating(port: str) -> float:
    import nexuslink
    from nexuslink.live.pipeline import Sensing
    from nexuslink.protocol.chunk import Chunk
    from nexuslink.protocol.decoder import Decoded

    async with nexuslink.connect(f"serial:{port}") as nexus:
        sensing = Sensing(nexus.info, nexus.calibration)

        def listen(_: Chunk, decoded: Decoded) -> None:
            sensing.update(decoded)

        nexus.add_listener(listen)
        await nexus.start()
        start = time.process_time()
        await asyncio.sleep(SECONDS)
        return time.process_time() - start


async def _session(port: str) -> float:
    import nexuslink
    from nexuslink.live.session import LiveSession
    from nexuslink.release.plans import load_plan

    with tempfile.TemporaryDirectory() as folder:
        async with nexuslink.connect(f"serial:{port}") as nexus:
            session = await LiveSession.start(nexus, load_plan("psoas-left"), Path(folder))
            start = time.process_time()
            await asyncio.sleep(SECONDS)
            spent = time.process_time() - start
            await session.stop()
    return spent


CLIENTS = {"client": _client, "estimating": _estimating, "session": _session}


def main(name: str, port: str) -> None:
    """In the reader's own process: percent of one core, as JSON."""
    spent = _bare(port) if name == "bare" else asyncio.run(CLIENTS[name](port))
    print(json.dumps(100 * spent / SECONDS))


if __name__ == "__main__":
    main(*sys.argv[1:])
