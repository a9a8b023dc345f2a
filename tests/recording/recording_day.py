"""Records hours of synthetic data as fast as the disk takes it, and says how much the process grew.

    python recording_day.py HOURS PATH [--stock]

The cadence is a live one: 50 chunks of 280 bytes a second, ten batches of 25 estimates a second, a flush each 0.1 s.
``--stock`` records the same chunks with mcap's own writer, for comparison. The file is removed at the end.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
from mcap.writer import Writer
from recording_samples import HEADER

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording.messages import encode_chunk
from nexuslink.recording.writer import SessionWriter

_NOISE = np.random.default_rng(1).bytes(1 << 16)
_ROWS = np.random.default_rng(2).normal(size=(25, 2))
_WARM_S = 60


def resident_bytes() -> int:
    """What the process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def tenth(at: int) -> list[Chunk]:
    return [Chunk(at * 100_000_000 + k * 20_000_000, _NOISE[(at * 7 + k) % 60_000 :][:280]) for k in range(5)]


def run(hours: float, path: Path, stock: bool, traced: bool) -> dict[str, float]:
    if stock:
        sink = path.open("wb")
        stock_writer = Writer(sink, chunk_size=4096)
        stock_writer.start()
        channel = stock_writer.register_channel("/nexus/chunks", "protobuf", 0)
    else:
        writer = SessionWriter(path, HEADER)
    times = np.arange(25, dtype=np.int64)
    begin = time.perf_counter()
    before = 0
    for at in range(int(hours * 36_000) + _WARM_S * 10):
        if at == _WARM_S * 10:
            if traced:
                tracemalloc.start()
            before = resident_bytes()
        if stock:
            for chunk in tenth(at):
                stock_writer.add_message(channel, chunk.arrival_ns, encode_chunk(chunk), chunk.arrival_ns)
            stock_writer.flush()
            continue
        for chunk in tenth(at):
            writer.chunk(chunk)
        writer.estimates(times + at * 100_000, _ROWS, _ROWS, _ROWS, _ROWS)
        if not writer.drain(30):
            raise SystemExit(str(writer.failure))
    recorded = resident_bytes()
    if stock:
        stock_writer.finish()
        sink.close()
    else:
        writer.finish({})
    result = {
        "hours": hours,
        "wall_s": time.perf_counter() - begin,
        "growth_recording_mb": (recorded - before) / 1e6,
        "growth_with_finish_mb": (resident_bytes() - before) / 1e6,
        "file_mb": path.stat().st_size / 1e6,
    }
    if traced:
        result["python_peak_mb"] = tracemalloc.get_traced_memory()[1] / 1e6
    path.unlink()
    return result


if __name__ == "__main__":
    print(json.dumps(run(float(sys.argv[1]), Path(sys.argv[2]), "--stock" in sys.argv, "--trace" in sys.argv)))
