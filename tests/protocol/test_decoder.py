"""The decoder: the same answer however the bytes are cut, and a count for everything that is not used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import (
    FORCE,
    IMU,
    STREAMS,
    TINY,
    UNDESCRIBED,
    conversations,
    cut,
    data,
    described,
    feed,
    indexes,
    notice,
    response,
    seen,
    status,
    steady,
    wire,
)

from nexuslink.protocol.decoder import FEW, Decoder
from nexuslink.protocol.envelope import pack_data, take_response
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import MESSAGE_HEADER, SampleType

MANY = 5 * FEW
"""Messages in one chunk that are certainly more than a few."""


# -- one answer, whatever the cut -------------------------------------------------------------------------------------


@given(conversations, st.lists(st.integers(0, 6000), max_size=8))
@settings(max_examples=300, deadline=None)
def test_one_at_a_time_and_hundreds_at_once_give_the_same(messages: list[bytes], at: list[int]) -> None:
    stream = wire(messages)
    single, bulk, pieces = described(), described(), described()
    one_by_one = feed(single, map(frame, messages))
    at_once = feed(bulk, [stream])
    in_pieces = feed(pieces, cut(stream, at))
    expected = seen(single, one_by_one)
    assert seen(bulk, at_once) == expected
    assert seen(pieces, in_pieces) == expected
    every = indexes(one_by_one)
    for some in (indexes(at_once), indexes(in_pieces)):
        for number, batches in some.items():
            assert batches.items() <= every[number].items()


@given(conversations)
@settings(max_examples=100, deadline=None)
def test_without_framing_a_chunk_is_a_message(messages: list[bytes]) -> None:
    framed, unframed = described(), described(framed=False)
    expected = seen(framed, feed(framed, map(frame, messages)))
    assert seen(unframed, feed(unframed, messages)) == expected


@pytest.mark.parametrize("streams", [(FORCE,), (FORCE, IMU), (FORCE, IMU, TINY)], ids=len)
@pytest.mark.parametrize("count", [1, FEW, FEW + 1, MANY])
def test_samples_times_and_numbers_are_what_was_sent(streams: tuple[int, ...], count: int) -> None:
    messages = steady(count, streams)
    decoder = described()
    decoded = decoder.feed(wire(messages))
    for stream in streams:
        mine = [m for m in messages if m[4] == stream]
        batches = [b for b in decoded.batches if b.stream == stream]
        if not mine:
            assert not batches
            continue
        dtype, channels = {FORCE: ("<i4", 2), IMU: ("<i2", 6), TINY: ("<i2", 1)}[stream]
        raw = np.frombuffer(b"".join(m[18:] for m in mine), dtype).reshape(-1, channels)
        assert np.array_equal(np.concatenate([b.raw for b in batches]), raw)
        assert batches[0].raw.dtype == np.dtype(dtype)
        period = {FORCE: 4000.0, IMU: 2000.0, TINY: 1e6 / 285.7}[stream]
        starts = [int.from_bytes(m[10:18], "little") for m in mine]
        times = [start + round(k * period) for start in starts for k in range(5)]
        assert np.concatenate([b.t_us for b in batches]).tolist() == times
        assert batches[0].first_index == 0
    assert decoder.link.received == count
    assert decoder.link.lost == 0


def test_neighbours_become_one_array() -> None:
    """Otherwise the path for many would be no faster than the other."""
    assert len(described().feed(wire(steady(MANY, (FORCE,)))).batches) == 1
    assert len(described().feed(wire(steady(MANY, (FORCE, IMU)))).batches) == 2


def test_what_is_not_a_sample_keeps_its_order() -> None:
    messages = [m for k in range(MANY) for m in (status(2 * k), response(k, k + 1), data(2 * k + 1, FORCE, 1, k))]
    decoded = described().feed(wire(messages))
    assert [r.request_id for r in decoded.responses] == list(range(1, MANY + 1))
    assert [s.produced for s in decoded.statuses] == list(range(0, 2 * MANY, 2))
    assert len(np.concatenate([b.raw for b in decoded.batches])) == MANY


@pytest.mark.parametrize("chunk", [1, MANY], ids=["one by one", "at once"])
def test_every_message_type_among_samples(chunk: int) -> None:
    """DATA of two streams with a status, a log line, a fault and an event between: all come, in order, in sequence."""
    messages, index = [], {FORCE: 0, IMU: 0}
    for seq in range(8 * MANY):
        if seq % 8 == 3:
            messages.append(status(seq))
        elif seq % 8 == 7:
            messages.append(notice(seq))
        else:
            stream = (FORCE, IMU)[seq % 2]
            messages.append(data(seq, stream, 5, index[stream]))
            index[stream] += 5
    decoder = described()
    out = seen(decoder, feed(decoder, [wire(messages[k : k + chunk]) for k in range(0, len(messages), chunk)]))
    assert {stream: len(rows) for stream, rows in out.samples.items()} == index
    assert (len(out.statuses), len(out.notices)) == (MANY, MANY)
    assert {type(n).__name__ for n in out.notices} == {"LogMessage", "FaultMessage", "EventMessage"}
    assert (decoder.link.received, decoder.link.lost, decoder.link.overrun_samples) == (8 * MANY, 0, 0)


# -- what is counted --------------------------------------------------------------------------------------------------

ODD = {
    "newer stream type": (lambda seq: MESSAGE_HEADER.pack(0x42, 0, seq) + b"news", "unknown_type"),
    "vendor type": (lambda seq: MESSAGE_HEADER.pack(0xC0, 0, seq) + b"own", "unknown_type"),
    "request from a tool": (lambda seq: MESSAGE_HEADER.pack(1, 0, seq) + b"\1\0\1\0", "unknown_type"),
    "type zero": (lambda seq: MESSAGE_HEADER.pack(0, 0, seq), "unknown_type"),
    "stream without a descriptor": (lambda seq: data(seq, UNDESCRIBED, 3), "undescribed"),
    "no sample": (lambda seq: data(seq, FORCE, 0), "malformed"),
    "count above length": (lambda seq: data(seq, FORCE, 3)[:-8], "malformed"),
    "count below length": (lambda seq: data(seq, FORCE, 3) + bytes(8), "malformed"),
    "half a sample": (lambda seq: data(seq, FORCE, 3)[:-1], "malformed"),
    "half a data header": (lambda seq: data(seq, FORCE, 3)[:12], "malformed"),
    "half a response": (lambda seq: response(seq)[:6], "malformed"),
    "half a log": (lambda seq: notice(seq, 0)[:-1], "malformed"),
    "half a fault": (lambda seq: notice(seq, 1)[:-1], "malformed"),
    "half an event": (lambda seq: notice(seq, 2)[:-1], "malformed"),
    "half a status": (lambda seq: status(seq)[:20], "malformed"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("count", [1, FEW + 1, MANY])
def test_each_odd_message_is_counted_once(name: str, count: int) -> None:
    make, counter = ODD[name]
    decoder = described()
    decoded = decoder.feed(wire([make(seq) for seq in range(count)]))
    assert not decoded.batches and not decoded.responses and not decoded.statuses and not decoded.notices
    counts = {"unknown_type": 0, "malformed": 0, "undescribed": 0, counter: count}
    assert {name: getattr(decoder.counts, name) for name in counts} == counts
    assert decoder.frames.good == count


@pytest.mark.parametrize("count", [FEW + 1, MANY])
def test_answers_that_look_like_a_stream_are_not_malformed(count: int) -> None:
    """Equal lengths, and a request id whose first byte is the number of a stream."""
    decoder = described()
    decoded = decoder.feed(wire([response(k, 256 * k + FORCE, bytes(30)) for k in range(count)]))
    assert len(decoded.responses) == count
    assert decoder.counts.malformed == 0


@pytest.mark.parametrize("first", [0, 1])
def test_odd_ones_among_many_good_ones_cost_nothing_else(first: int) -> None:
    """One of each kind, at the front or further back, between good messages."""
    makers = [make for make, _ in ODD.values()]
    odd = [make(0) for make in makers]
    good = steady(MANY, (FORCE,))
    stream_kinds = [k for k, m in enumerate(odd) if 0x10 <= m[0] < 0x80]
    messages, seq = [], 0
    for k in range(MANY):
        if k >= first and k - first < len(odd):
            messages.append(makers[k - first](seq))
            seq += (k - first) in stream_kinds
        messages.append(data(seq, FORCE, 5, 5 * k, k))
        seq += 1
    decoder = described()
    decoded = decoder.feed(wire(messages))
    assert np.concatenate([b.raw for b in decoded.batches]).tobytes() == b"".join(
        data(0, FORCE, 5, 0, k)[18:] for k in range(len(good))
    )
    assert decoder.link.lost == decoder.link.overrun_samples == 0
    assert decoder.counts.unknown_type == 4 and decoder.counts.undescribed == 1 and decoder.counts.malformed == 10


@pytest.mark.parametrize(
    "change",
    [
        {"sample_type": 0}, {"sample_type": 77}, {"rate_hz": 0.0}, {"rate_hz": -5.0}, {"rate_hz": float("nan")},
        {"rate_hz": float("inf")}, {"rate_hz": 1e-300}, {"groups": ()},
    ],
    ids=str,
)  # fmt: skip
def test_a_descriptor_that_makes_no_sense_leaves_its_stream_undescribed(change: dict[str, object]) -> None:
    decoder = Decoder()
    decoder.describe([replace(STREAMS[FORCE], **change), STREAMS[IMU]])
    decoded = decoder.feed(wire(steady(4)))
    assert [b.stream for b in decoded.batches] == [IMU, IMU]
    assert decoder.counts.undescribed == 2


@given(
    st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.floats(width=64), st.integers(0, 255),
    st.integers(0, 255), st.binary(max_size=226), st.integers(1, 2 * FEW), st.integers(0, 2**64 - 1),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_descriptor_and_any_samples(
    stream: int, sample_type: int, channels: int, rate: float, more: int, count: int, samples: bytes, n: int, t0: int
) -> None:
    """A hostile INFO and hostile DATA: whatever they say, nothing raises."""
    groups = (replace(STREAMS[FORCE].groups[0], channels=channels), replace(STREAMS[FORCE].groups[1], channels=more))
    for kind in (sample_type, SampleType.I16, SampleType.I32):
        decoder = Decoder()
        decoder.describe([replace(STREAMS[FORCE], stream=stream, sample_type=kind, rate_hz=rate, groups=groups)])
        decoded = decoder.feed(wire(pack_data(seq, stream, count, 7 * seq, t0, samples) for seq in range(n)))
        for batch in decoded.batches:
            assert batch.raw.shape == (len(batch.t_us), channels + more)


def test_device_time_beyond_int64_does_not_raise() -> None:
    for n in (1, MANY):
        messages = [pack_data(k, FORCE, 2, 2 * k, 2**64 - 1, bytes(16)) for k in range(n)]
        decoded = described().feed(wire(messages))
        assert sum(len(b.t_us) for b in decoded.batches) == 2 * n


# -- begin, describe --------------------------------------------------------------------------------------------------


def test_begin_starts_the_numbers_again_and_keeps_the_rest() -> None:
    decoder = described()
    decoder.feed(wire([*steady(3, (FORCE,)), data(9, UNDESCRIBED, 3)]) + b"\1\2\3\0")
    assert (decoder.link.received, decoder.link.lost) == (4, 6)
    decoder.begin()
    assert (decoder.link.received, decoder.link.lost) == (0, 0)
    (batch,) = decoder.feed(wire(steady(1, (FORCE,)))).batches
    assert batch.first_index == 0
    assert (decoder.link.received, decoder.link.lost) == (1, 0)
    assert decoder.counts.undescribed == 1 and decoder.frames.bad == 1


def test_messages_lost_before_the_first_one_are_seen() -> None:
    """START begins both numberings at zero, so what is missing at the front is missing."""
    decoder = described()
    decoder.feed(frame(data(3, FORCE, 5, 15)))
    assert decoder.link.lost == 3
    assert decoder.link.streams[FORCE].lost == 15


def test_a_response_is_delivered_whole() -> None:
    message = response(5, 77, b"payload")
    for n in (1, MANY):
        decoded = described().feed(wire([message] * n))
        assert decoded.responses == [take_response(message)] * n
        assert decoded.responses[0].payload == b"payload"
        assert isinstance(decoded.responses[0].payload, bytes)


def test_a_tick_is_nothing() -> None:
    for framed in (True, False):
        decoder = described(framed)
        before = seen(decoder, [])
        assert seen(decoder, [decoder.feed(b"")]) == before


@pytest.mark.parametrize("length", [1, 3, 245, 4096])
def test_without_framing_a_wrong_length_is_counted(length: int) -> None:
    decoder = described(framed=False)
    decoder.feed(bytes(length))
    assert decoder.frames.bad_length == 1
    assert decoder.frames.good == 0
