"""A day through the ring and the recorder: does the process grow?

24 hours at the tool's default rates (force 250, IMU 500 a second), as fast as the recorder takes them, in pieces of
200 ms, which keeps the number of messages and of file chunks like that of a live day. What the process holds in memory
is compared between the first hour, when everything has been used once, and the end, after the file is finished.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Measure
from nexuslink.app.ring import Ring
from nexuslink.protocol.chunk import Chunk
from nexuslink.recording.header import SessionHeader
from nexuslink.recording.writer import SessionWriter

HOURS = 24
PIECE_S = 0.2
FORCE_HZ = 250
PIECE_BYTES = 1_900
"""What the two streams are in PIECE_S, framing included."""
RING_ROWS = 1 << 17
DRAIN_EVERY = 500
DRAIN_BOUND_S = 30.0
_ROWS = int(PIECE_S * FORCE_HZ)
_PIECES_AN_HOUR = int(3600 / PIECE_S)


def measure() -> list[Measure]:
    """The key ``memory.growth_mb``."""
    rng = np.random.default_rng(5)
    ring = Ring(RING_ROWS, 3)
    pool = [rng.bytes(PIECE_BYTES) for _ in range(64)]  # noise: the worst that compression can meet
    rows = rng.normal(20.0, 5.0, (64, _ROWS, 2))
    start = time.monotonic()
    held: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "day.mcap")
        writer = SessionWriter(path, SessionHeader("bench", "sim:", True, True, "", 0, b"", b"", None, ""))
        for number in range(HOURS * _PIECES_AN_HOUR):
            at = number % 64
            first_us = round(number * PIECE_S * 1e6)
            t_us = np.arange(_ROWS, dtype=np.int64) * (1_000_000 // FORCE_HZ) + first_us
            writer.chunk(Chunk(first_us * 1000, pool[at]))
            writer.estimates(t_us, rows[at], rows[at], rows[at], rows[at])
            ring.append(t_us, np.column_stack((rows[at], rows[at, :, 0])))
            if number % DRAIN_EVERY == DRAIN_EVERY - 1 and not writer.drain(DRAIN_BOUND_S):
                raise AssertionError(f"the recorder failed: {writer.failure}")
            if number % _PIECES_AN_HOUR == _PIECES_AN_HOUR - 1:
                held.append(_resident_mb())
        writer.finish({})
        held.append(_resident_mb())
        size = path.stat().st_size / 1e6
    if ring.count != HOURS * _PIECES_AN_HOUR * _ROWS:
        raise AssertionError("the ring lost rows")
    spent = time.monotonic() - start
    note = f"{held[0]:.1f} MB after 1 h, {held[-1]:.1f} after {HOURS} h; file {size:.0f} MB, made in {spent:.0f} s"
    return [Measure("memory.growth_mb", max(held[-2:]) - held[0], unit="MB", note=note)]


def _resident_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
