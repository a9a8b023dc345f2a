"""A small session, the same every time, and what was put into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording import SessionHeader
from nexuslink.recording.messages import EstimateRows, SessionEvent
from nexuslink.recording.writer import SessionWriter

HEADER = SessionHeader(
    nexuslink_version="0.1.0",
    url="sim:?seed=1",
    simulated=True,
    framed=True,
    serial_number="CN-0001",
    boot_id=4711,
    info=bytes(range(256)),
    calibration=b"\x00\xff",
    plan_toml='site = "psoas-left"\n',
    started_utc="2025-01-01T00:00:00Z",
)
SUMMARY = {"held_s": 60.0, "phase": "done", "stop_reason": None}


class Sample:
    """Chunks (with ticks), estimates and events, as handed to a writer."""

    def __init__(self, count: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.chunks: list[Chunk] = []
        self.estimates: list[EstimateRows] = []
        self.events: list[SessionEvent] = []
        for k in range(count):
            data = b"" if k % 5 == 4 else rng.bytes(int(rng.integers(1, 120)))
            self.chunks.append(Chunk(1_000_000_000 + 10_000_000 * k, data))
            n = int(rng.integers(1, 12))
            t_us = np.arange(n, dtype=np.int64) + 4000 * k
            self.estimates.append(EstimateRows(t_us, *(rng.normal(size=(n, 2)) for _ in range(4))))
            if k % 10 == 0:
                self.events.append(SessionEvent(4000 * k, "phase", f"ramp → in band {k}"))

    def feed(self, writer: SessionWriter, drain_every: int = 0) -> None:
        events = iter(self.events)
        for k, (chunk, rows) in enumerate(zip(self.chunks, self.estimates, strict=True)):
            writer.chunk(chunk)
            writer.estimates(*rows)
            if k % 10 == 0:
                writer.event(*next(events))
            if drain_every and k % drain_every == drain_every - 1:
                assert writer.drain(10)


def same_bits(left: EstimateRows, right: EstimateRows) -> bool:
    return all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(left, right, strict=True)
    )


def write_session(path: Path, sample: Sample, drain_every: int = 0) -> Path:
    writer = SessionWriter(path, HEADER)
    sample.feed(writer, drain_every)
    return writer.finish(SUMMARY)


def write_part(path: Path, sample: Sample, drain_every: int = 0) -> Path:
    writer = SessionWriter(path, HEADER)
    sample.feed(writer, drain_every)
    writer.abort()
    return writer.part
