"""A day-long recording must not grow the process, and reading must not load the file."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from recording_samples import HEADER

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.writer import SessionWriter

HOURS = 0.15


def growth_mb(path: Path, *options: str) -> float:
    script = Path(__file__).with_name("recording_day.py")
    done = subprocess.run(
        [sys.executable, str(script), str(HOURS), str(path), *options], capture_output=True, timeout=100, check=True
    )
    return float(json.loads(done.stdout)["growth_with_finish_mb"])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_recording_does_not_grow_the_process(tmp_path: Path) -> None:
    """With mcap's own writer as control: it keeps an index in memory, and the measurement sees it."""
    assert growth_mb(tmp_path / "a.mcap") < 0.5 < growth_mb(tmp_path / "b.mcap", "--stock")


def test_reading_streams(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        for n in range(4000):
            writer.chunk(Chunk(n, rng.bytes(2000)))
        path = writer.finish({})
    assert path.stat().st_size > 8e6
    tracemalloc.start()
    try:
        reader = SessionReader(path)
        assert sum(len(chunk.data) for chunk in reader.chunks()) == 8_000_000
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
