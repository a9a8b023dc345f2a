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

HOURS = 0.1


def peak_mb(path: Path, *options: str) -> float:
    """What Python holds at most while recording: of the tracer, since resident memory also moves for other reasons."""
    script = Path(__file__).with_name("recording_day.py")
    command = [sys.executable, str(script), str(HOURS), str(path), "--trace", *options]
    done = subprocess.run(command, capture_output=True, timeout=100, check=True)
    return float(json.loads(done.stdout)["python_peak_mb"])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the script also reads resident memory from /proc")
def test_recording_does_not_grow_the_process(tmp_path: Path) -> None:
    """With mcap's own writer as control: it keeps an index in memory, and the measurement sees it."""
    assert peak_mb(tmp_path / "a.mcap") < 0.5 < peak_mb(tmp_path / "b.mcap", "--stock")


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
