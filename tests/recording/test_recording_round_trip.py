"""What goes in comes out, to the bit, for us and for every other MCAP reader."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import NonSeekingReader, make_reader
from mcap.stream_reader import StreamReader
from recording_samples import HEADER, SUMMARY, Sample, same_bits, write_session

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording import RecordingError
from nexuslink.recording.messages import EstimateRows, decode_rows, encode_rows, pack_rows
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.writer import SessionWriter


def recorder_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("nexuslink-recorder")]


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    sample = Sample(300)
    path = write_session(tmp_path / "a.mcap", sample)
    reader = SessionReader(path)
    assert reader.header == HEADER
    assert reader.summary == SUMMARY
    assert (reader.truncated, reader.cut) == (False, None)
    assert list(reader.chunks()) == sample.chunks
    assert list(reader.events()) == sample.events
    read = list(reader.estimates())
    assert len(read) == len(sample.estimates)
    assert all(same_bits(a, b) for a, b in zip(read, sample.estimates, strict=True))
    # negative control: one flipped bit is seen
    read[7].force_n.view(np.uint8)[0, 0] ^= 1
    assert not same_bits(read[7], sample.estimates[7])


def test_nan_with_a_payload_infinity_and_negative_zero_survive() -> None:
    bits = np.array([0x7FF8000000000123, 0xFFF8000000000000, 0x7FF0000000000000, 0x8000000000000000], dtype=np.uint64)
    column = np.stack([bits.view(np.float64), bits[::-1].view(np.float64)], axis=1)
    rows = EstimateRows(np.array([-1, 0, 2**62, 5], dtype=np.int64), column, -column, column, column)
    assert same_bits(decode_rows(encode_rows(pack_rows(*rows))), rows)


def test_our_encoding_of_rows_is_the_protobuf_librarys(tmp_path: Path) -> None:
    sample = Sample(3)
    path = write_session(tmp_path / "a.mcap", sample)
    with path.open("rb") as file:
        schema, channel, message = next(iter(make_reader(file).iter_messages("/nexus/estimates")))
    assert schema is not None
    assert (channel.message_encoding, schema.encoding) == ("protobuf", "protobuf")
    pool = descriptor_pool.DescriptorPool()
    for description in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
        pool.Add(description)
    parsed = message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name)).FromString(message.data)
    assert list(parsed.t_us) == sample.estimates[0].t_us.tolist()
    assert list(parsed.iliacus_tip_direction_deg) == sample.estimates[0].tip_direction_deg[:, 1].tolist()
    assert parsed.SerializeToString() == message.data


def test_rows_are_copied_when_handed_over(tmp_path: Path) -> None:
    ring = np.ones((4, 2))
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        writer.estimates(np.arange(4), ring[::-1], ring, ring, ring)
        ring[:] = 7
        reader = SessionReader(writer.finish(None))
    assert next(reader.estimates()).force_n.tolist() == [[1, 1]] * 4


def test_stock_readers_agree_and_every_crc_holds(tmp_path: Path) -> None:
    sample = Sample(400)
    path = write_session(tmp_path / "a.mcap", sample)
    total = len(sample.chunks) + len(sample.estimates) + len(sample.events)
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "nexuslink"
        messages = list(reader.iter_messages(log_time_order=False))
        assert len(messages) == total
        assert [m.log_time for _, c, m in messages if c.topic == "/nexus/chunks"] == [
            c.arrival_ns for c in sample.chunks
        ]
        assert {a.name for a in reader.iter_attachments()} == {"nexuslink.session.json", "nexuslink.summary.json"}
        summary = reader.get_summary()
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.message_count == total
    assert summary.statistics.chunk_count == len(summary.chunk_indexes) > 20
    assert summary.statistics.channel_message_counts == {1: 400, 2: 400, 3: 40}
    with path.open("rb") as file:
        assert len(list(NonSeekingReader(file, validate_crcs=True).iter_messages())) == total
    with path.open("rb") as file:  # the CRC of the whole data section is there, and is checked
        ends = [r for r in StreamReader(file, validate_crcs=True).records if type(r).__name__ == "DataEnd"]
    assert ends[0].data_section_crc != 0


def test_the_chunk_index_points_at_chunks_and_their_message_indexes(tmp_path: Path) -> None:
    path = write_session(tmp_path / "a.mcap", Sample(200))
    raw = path.read_bytes()
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    for index in summary.chunk_indexes:
        assert raw[index.chunk_start_offset] == 0x06
        for channel, offset in index.message_index_offsets.items():
            assert raw[offset] == 0x07
            assert int.from_bytes(raw[offset + 9 : offset + 11], "little") == channel


def test_a_time_range_can_be_sought(tmp_path: Path) -> None:
    sample = Sample(400)
    path = write_session(tmp_path / "a.mcap", sample)
    start, end = sample.chunks[100].arrival_ns, sample.chunks[110].arrival_ns
    with path.open("rb") as file:
        found = [
            m for _, _, m in make_reader(file).iter_messages("/nexus/chunks", starting_at=start, ending_before=end)
        ]
    assert [m.log_time for m in found] == [c.arrival_ns for c in sample.chunks[100:110]]


def test_part_until_finished_and_finish_twice(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "a.mcap", HEADER)
    assert writer.part == tmp_path / "a.mcap.part"
    assert writer.part.exists()
    assert not writer.path.exists()
    assert len(recorder_threads()) == 2
    assert writer.finish(None) == writer.finish(None) == tmp_path / "a.mcap"
    writer.abort()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mcap"]
    assert recorder_threads() == []
    reader = SessionReader(tmp_path / "a.mcap")
    assert (reader.summary, list(reader.chunks())) == (None, [])
    with (tmp_path / "a.mcap").open("rb") as file:
        assert list(make_reader(file).iter_messages()) == []


def test_leaving_without_finish_leaves_a_whole_part(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        writer.chunk(Chunk(1, b"x"))
    assert recorder_threads() == []
    reader = SessionReader(writer.part)
    assert reader.truncated
    assert list(reader.chunks()) == [Chunk(1, b"x")]
    with pytest.raises(RecordingError, match="given up"):
        writer.finish(None)
    with pytest.raises(RecordingError, match="closed"):
        writer.chunk(Chunk(2, b"y"))


def test_wrong_shapes_are_the_callers_mistake(tmp_path: Path) -> None:
    good = np.zeros((3, 2))
    with SessionWriter(tmp_path / "a.mcap", HEADER) as writer:
        with pytest.raises(ValueError, match="shape"):
            writer.estimates(np.arange(3), good, good, good, np.zeros((2, 2)))
        with pytest.raises(ValueError, match="shape"):
            writer.estimates(np.zeros((3, 1)), good, good, good, good)
        writer.estimates(np.zeros(0), *(np.zeros((0, 2)),) * 4)
        assert writer.failure is None
        assert list(SessionReader(writer.finish({"mean_force_n": np.float64(3.5)})).estimates()) == []


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    path = write_session(tmp_path / "a.mcap", Sample(3))
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="already there"):
        SessionWriter(path, HEADER)
    with SessionWriter(tmp_path / "b.mcap", HEADER), pytest.raises(RecordingError, match="unfinished"):
        SessionWriter(tmp_path / "b.mcap", HEADER)
    # one that appears while recording: the recording stays in its .part, the other is untouched
    writer = SessionWriter(tmp_path / "c.mcap", HEADER)
    (tmp_path / "c.mcap").write_bytes(b"mine")
    with pytest.raises(RecordingError, match="already there"):
        writer.finish(None)
    assert (tmp_path / "c.mcap").read_bytes() == b"mine"
    assert not SessionReader(writer.part).truncated
    assert path.read_bytes() == before
    assert recorder_threads() == []


@pytest.mark.parametrize(("name", "word"), [("nowhere/a.mcap", "no such"), ("file/a.mcap", "folder")])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=word) as caught:
        SessionWriter(tmp_path / name, HEADER)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
