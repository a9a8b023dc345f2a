"""When the disk does not play along: said once, in one line, counted, and what is written stays whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from recording_samples import HEADER, Sample

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording import RecordingError
from nexuslink.recording import writer as writer_module
from nexuslink.recording.container import MAX_MESSAGE_BYTES
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.recovery import recover
from nexuslink.recording.writer import SessionWriter

_SMALL_DISK = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from nexuslink.recording import RecordingError
from nexuslink.recording.writer import SessionWriter
from recording_samples import HEADER, Sample
writer = SessionWriter(Path(sys.argv[1]), HEADER)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
sample = Sample(400)
drained = True
for chunk in sample.chunks:
    writer.chunk(chunk)
    drained = drained and writer.drain(10)
failure, lost = writer.failure, writer.lost_messages
try:
    writer.finish({{}})
    line = ""
except RecordingError as error:
    line = str(error)
print(json.dumps([drained, failure and str(failure), lost, line]))
"""


def small_disk(path: Path, size: int) -> tuple[bool, str | None, int, str]:
    """Record 400 chunks in a process whose files may not grow beyond ``size``."""
    script = _SMALL_DISK.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(size)], capture_output=True, timeout=60, check=True
    )
    drained, failure, lost, line = json.loads(done.stdout)
    return drained, failure, lost, line


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
@pytest.mark.parametrize("size", [9_000, 20_011, 30_500])
def test_a_disk_that_fills_up(tmp_path: Path, size: int) -> None:
    drained, failure, lost, line = small_disk(tmp_path / "a.mcap", size)
    assert not drained
    assert failure is not None
    assert "largest size" in failure
    assert "\n" not in line
    assert "a.mcap.part" in line
    assert f"{lost} messages are not recorded" in line
    part = tmp_path / "a.mcap.part"
    assert part.stat().st_size <= size
    sample = Sample(400)
    chunks = list(SessionReader(part).chunks())
    assert chunks == sample.chunks[: len(chunks)]
    assert 0 < len(chunks) == len(sample.chunks) - lost
    assert list(SessionReader(recover(part)).chunks()) == chunks


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
def test_a_disk_that_fills_up_only_at_the_end(tmp_path: Path) -> None:
    """The data fit, the index does not: every message is there."""
    assert small_disk(tmp_path / "fits.mcap", 1 << 20) == (True, None, 0, "")
    size = (tmp_path / "fits.mcap").stat().st_size
    _, failure, lost, line = small_disk(tmp_path / "a.mcap", size - 100)
    assert failure is None  # it came up while finishing
    assert lost == 0
    assert "largest size" in line
    assert list(SessionReader(tmp_path / "a.mcap.part").chunks()) == Sample(400).chunks


_FULL_DISK = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from nexuslink.recording import RecordingError
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.writer import SessionWriter
from recording_samples import HEADER, Sample
writer = SessionWriter(Path(sys.argv[1]), HEADER)
sample = Sample(4000)
for chunk in sample.chunks:
    writer.chunk(chunk)
    writer.drain(10)
try:
    writer.finish({{}})
    line = ""
except RecordingError as error:
    line = str(error)
read = list(SessionReader(writer.part).chunks())
print(json.dumps([line, len(read), writer.lost_messages, read == sample.chunks[: len(read)]]))
"""


def test_a_real_disk_that_is_full(tmp_path: Path) -> None:
    """A file system of 128 KiB, in a name space of its own: the scratch file runs full as well."""
    inside = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    try:
        subprocess.run([*inside, f"mount -t tmpfs -o size=128k tmpfs {tmp_path}"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system does not let us mount a small disk")
    script = tmp_path.parent / f"{tmp_path.name}.py"
    script.write_text(_FULL_DISK.format(tests=str(Path(__file__).parent)))
    mount = f"mount -t tmpfs -o size=128k tmpfs {tmp_path} && exec {sys.executable} {script} {tmp_path}/a.mcap"
    done = subprocess.run([*inside, mount], capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    line, read, lost, same = json.loads(done.stdout)
    assert "the disk is full" in line
    assert same
    assert 0 < read == 4000 - lost


def test_a_disk_slower_than_the_tool(tmp_path: Path) -> None:
    chunks = [Chunk(n, bytes(100)) for n in range(20_000)]
    with SessionWriter(tmp_path / "a.mcap", HEADER, backlog_limit=100_000) as writer:
        for chunk in chunks:
            writer.chunk(chunk)
        assert writer.failure is not None
        with pytest.raises(RecordingError, match="too slow") as caught:
            writer.finish({})
        read = list(SessionReader(writer.part).chunks())
        assert read == chunks[: len(read)]
        assert 200 <= len(read) == len(chunks) - writer.lost_messages
        assert f"{writer.lost_messages} messages" in str(caught.value)
        with pytest.raises(RecordingError, match="too slow"):
            writer.finish({})
    # negative control: with the usual room the same burst is recorded whole
    with SessionWriter(tmp_path / "b.mcap", HEADER) as writer:
        for chunk in chunks:
            writer.chunk(chunk)
        assert list(SessionReader(writer.finish({})).chunks()) == chunks
        assert writer.lost_messages == 0


def test_a_message_over_the_bound_ends_the_recording_visibly(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        writer.chunk(Chunk(1, bytes(4 << 20)))
        writer.chunk(Chunk(2, bytes(MAX_MESSAGE_BYTES)))
        writer.chunk(Chunk(3, b"after"))
        with pytest.raises(RecordingError, match="single message"):
            writer.finish({})
        assert writer.lost_messages == 2
        assert list(SessionReader(writer.part).chunks()) == [Chunk(1, bytes(4 << 20))]


def test_a_time_that_cannot_be_written_ends_the_recording_visibly(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        writer.chunk(Chunk(1, b"good"))
        assert writer.drain(10)
        writer.chunk(Chunk(-1, b"bad"))
        assert not writer.drain(10)
        with pytest.raises(RecordingError, match="recording stopped"):
            writer.finish({})
        assert writer.lost_messages == 1
        assert list(SessionReader(writer.part).chunks()) == [Chunk(1, b"good")]


def test_a_summary_json_cannot_hold_leaves_the_recording_open(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        with pytest.raises(TypeError, match="cannot hold"):
            writer.finish({"x": object()})
        writer.chunk(Chunk(1, b"still open"))
        assert SessionReader(writer.finish({"x": 1})).summary == {"x": 1}


def test_closing_does_not_wait_for_ever_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    fsync = os.fsync

    def hanging(descriptor: int) -> None:
        assert answers.wait(60)
        fsync(descriptor)

    monkeypatch.setattr(writer_module.os, "fsync", hanging)
    monkeypatch.setattr(writer_module, "CLOSE_TIMEOUT_S", 0.2)
    writer = SessionWriter(tmp_path / "a.mcap", HEADER)
    writer.chunk(Chunk(1, b"x"))
    assert writer.drain(10)  # a hanging sync does not hold up writing
    assert list(SessionReader(writer.part).chunks()) == [Chunk(1, b"x")]
    with pytest.raises(RecordingError, match="has not answered"):
        writer.finish({})
    answers.set()
    for thread in (writer._thread, writer._syncer):
        thread.join(10)
        assert not thread.is_alive()


def test_many_threads_may_not_corrupt_but_one_feeder_is_enough(tmp_path: Path) -> None:
    """Chunks from one thread, events from another: nothing is lost or torn."""
    sample = Sample(500)
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        noter = threading.Thread(target=lambda: [writer.event(n, "note", str(n)) for n in range(500)])
        noter.start()
        for chunk in sample.chunks:
            writer.chunk(chunk)
        noter.join(30)
        reader = SessionReader(writer.finish({}))
    assert list(reader.chunks()) == sample.chunks
    assert [event.t_us for event in reader.events()] == list(range(500))
