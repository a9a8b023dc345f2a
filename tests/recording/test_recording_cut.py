"""A recording that was cut anywhere: everything whole before the cut is there, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mcap.reader import make_reader
from recording_samples import HEADER, SUMMARY, Sample, same_bits, write_part, write_session

from nexuslink.recording import RecordingError
from nexuslink.recording.container import MAGIC
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.recovery import recover
from nexuslink.recording.walk import walk_records
from nexuslink.recording.writer import SessionWriter


def chunk_ends(path: Path) -> list[int]:
    with path.open("rb") as file:
        return [record.end for record in walk_records(file, path.stat().st_size) if record.opcode == 0x06]


def header_end(path: Path) -> int:
    with path.open("rb") as file:
        return next(r.end for r in walk_records(file, path.stat().st_size) if r.opcode == 0x09)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return write_part(tmp_path / "a.mcap", Sample(120), drain_every=10)


def test_an_uncut_part_has_everything(part: Path) -> None:
    sample = Sample(120)
    reader = SessionReader(part)
    assert reader.truncated
    assert reader.cut is not None
    assert "byte" in reader.cut
    assert (reader.header, reader.summary) == (HEADER, None)
    assert list(reader.chunks()) == sample.chunks


def test_cut_at_every_byte(tmp_path: Path) -> None:
    """Every length from the last chunk but one on, coarser before; what is whole never shrinks and is never wrong."""
    sample = Sample(30)
    part = write_part(tmp_path / "a.mcap", sample, drain_every=3)
    whole = part.read_bytes()
    ends = chunk_ends(part)
    lengths = [*range(header_end(part), ends[-2] - 40, 97), *range(ends[-2] - 40, len(whole) + 1)]
    before = 0
    at_end: dict[int, int] = {}
    for length in lengths:
        part.write_bytes(whole[:length])
        reader = SessionReader(part)
        assert reader.truncated
        chunks = list(reader.chunks())
        assert chunks == sample.chunks[: len(chunks)]
        assert len(chunks) >= before
        before = at_end[length] = len(chunks)
    assert before == len(sample.chunks)
    for end in ends[-2:]:  # the last byte of a chunk is what makes its messages readable
        assert at_end[end] > at_end[end - 1]


def test_cut_in_the_header(part: Path) -> None:
    whole = part.read_bytes()
    for length in range(header_end(part)):
        part.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match="nothing was recorded") as caught:
            SessionReader(part)
        assert "\n" not in str(caught.value)


def test_a_finished_part_that_was_not_renamed_loses_nothing_at_any_cut_of_its_end(tmp_path: Path) -> None:
    sample = Sample(10)
    path = write_session(tmp_path / "a.mcap", sample)
    whole = path.read_bytes()
    part = path.rename(tmp_path / "a.mcap.part")
    reader = SessionReader(part)
    assert (reader.truncated, reader.summary) == (False, SUMMARY)
    data_end = chunk_ends(part)[-1]
    for length in [
        *range(data_end, data_end + 400),
        *range(data_end + 400, len(whole) - 200, 13),
        *range(len(whole) - 200, len(whole)),
    ]:
        part.write_bytes(whole[:length])
        reader = SessionReader(part)
        assert reader.truncated
        assert list(reader.chunks()) == sample.chunks


def test_a_finished_name_is_refused_when_cut_anywhere(tmp_path: Path) -> None:
    path = write_session(tmp_path / "a.mcap", Sample(40))
    whole = path.read_bytes()
    SessionReader(path)
    for length in [*range(1, len(whole) - 200, 97), *range(len(whole) - 200, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match="cut") as caught:
            SessionReader(path)
        assert str(path) in str(caught.value)
        assert ".part" in str(caught.value)


@pytest.mark.parametrize("keep", [1.0, 0.61])
def test_recover(tmp_path: Path, keep: float) -> None:
    sample = Sample(120)
    part = write_part(tmp_path / "a.mcap", sample, drain_every=10)
    whole = part.read_bytes()
    part.write_bytes(whole[: int(len(whole) * keep)])
    old = SessionReader(part)
    chunks, events, rows = list(old.chunks()), list(old.events()), list(old.estimates())
    path = recover(part)
    assert path == tmp_path / "a.mcap"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mcap"]
    new = SessionReader(path)
    assert (new.truncated, new.header) == (False, HEADER)
    assert (list(new.chunks()), list(new.events())) == (chunks, events)
    assert all(same_bits(a, b) for a, b in zip(new.estimates(), rows, strict=True))
    assert (len(chunks) == len(sample.chunks)) == (keep == 1.0)
    with path.open("rb") as file:
        assert len(list(make_reader(file, validate_crcs=True).iter_messages())) == len(chunks) + len(rows) + len(events)


def test_recover_a_part_that_only_lacks_its_name(tmp_path: Path) -> None:
    path = write_session(tmp_path / "a.mcap", Sample(40))
    whole = path.read_bytes()
    assert recover(path.rename(tmp_path / "a.mcap.part")) == path
    assert path.read_bytes() == whole


def test_recover_keeps_the_summary_of_a_part_cut_in_its_index(tmp_path: Path) -> None:
    path = write_session(tmp_path / "a.mcap", Sample(40))
    part = path.rename(tmp_path / "a.mcap.part")
    part.write_bytes(part.read_bytes()[:-40])
    assert SessionReader(recover(part)).summary == SUMMARY


def test_recover_refuses_and_touches_nothing(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a.mcap", Sample(10))
    before = part.read_bytes()
    (tmp_path / "a.mcap").write_bytes(b"mine")
    with pytest.raises(RecordingError, match="already there"):
        recover(part)
    assert part.read_bytes() == before
    with pytest.raises(RecordingError, match="not the name"):
        recover(tmp_path / "a.mcap")
    garbage = tmp_path / "b.mcap.part"
    garbage.write_bytes(b"\x00" * 500)
    with pytest.raises(RecordingError, match="not a session"):
        recover(garbage)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mcap", "a.mcap.part", "b.mcap.part"]


@pytest.mark.skipif(sys.platform == "win32", reason="advisory locks")
def test_a_recording_in_progress_can_be_read_but_not_recovered(tmp_path: Path) -> None:
    sample = Sample(20)
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        sample.feed(writer, drain_every=20)
        assert list(SessionReader(writer.part).chunks()) == sample.chunks
        with pytest.raises(RecordingError, match="being recorded"):
            recover(writer.part)
        assert SessionReader(writer.finish(None)).truncated is False


_LIVE = """
import sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, {tests!r})
from nexuslink.protocol.chunk import Chunk
from nexuslink.recording.writer import SessionWriter
from recording_samples import HEADER
writer = SessionWriter(Path(sys.argv[1]), HEADER)
rows = (np.arange(10), *(np.zeros((10, 2)),) * 4)
while True:
    now = time.monotonic_ns()
    writer.chunk(Chunk(now, now.to_bytes(8, "little") * 20))
    writer.estimates(*rows)
    print(now, flush=True)
    time.sleep(0.01)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("life_s", [0.55, 1.3])
def test_kill_9_loses_at_most_0_3_s(tmp_path: Path, life_s: float) -> None:
    script = _LIVE.format(tests=str(Path(__file__).parent))
    out = tmp_path / "handed-over"
    with out.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "a.mcap")], stdout=sink)
        try:
            deadline = time.monotonic() + 30
            while not out.stat().st_size and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(life_s)
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            assert process.wait(10) == -signal.SIGKILL
    handed_over = [int(line) for line in out.read_bytes().split(b"\n")[:-1]]
    part = tmp_path / "a.mcap.part"
    assert part.read_bytes()[: len(MAGIC)] == MAGIC
    recorded = [chunk.arrival_ns for chunk in SessionReader(part).chunks()]
    assert recorded == handed_over[: len(recorded)]
    lost_s = (handed_over[-1] - recorded[-1]) / 1e9
    assert lost_s <= 0.3
    assert [chunk.arrival_ns for chunk in SessionReader(recover(part)).chunks()] == recorded
