"""Frames: whole messages come through however the stream is cut; damage costs little, and no memory."""

from __future__ import annotations

import pickle
import random
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_samples import cut, steady, wire

from nexuslink.protocol.framing import (
    CRC_RESIDUE,
    CRC_SIZE,
    MAX_FRAME,
    MIN_MESSAGE,
    Deframer,
    cobs_encode,
    frame,
)
from nexuslink.protocol.messages import MAX_MESSAGE

messages_st = st.lists(
    st.binary(min_size=MIN_MESSAGE, max_size=MAX_MESSAGE)
    | st.builds(lambda n, b: bytes([b]) * n, st.integers(MIN_MESSAGE, MAX_MESSAGE), st.sampled_from((0, 1, 255))),
    max_size=12,
)
cuts_st = st.lists(st.integers(0, 3200), max_size=12)


def taken(deframer: Deframer, pieces: list[bytes]) -> list[bytes]:
    """Messages without their CRC."""
    return [m[:-CRC_SIZE] for piece in pieces for m in deframer.feed(piece)]


@given(messages_st, cuts_st)
@settings(max_examples=200, deadline=None)
def test_every_message_comes_through_whatever_the_cut(messages: list[bytes], at: list[int]) -> None:
    deframer = Deframer()
    assert taken(deframer, cut(wire(messages), at)) == messages
    assert (deframer.counts.good, deframer.counts.bad, deframer.counts.discarded_bytes) == (len(messages), 0, 0)


def test_byte_by_byte() -> None:
    messages = steady(12)
    stream = wire(messages)
    assert taken(Deframer(), [stream[k : k + 1] for k in range(len(stream))]) == messages


@pytest.mark.parametrize("fill", [0, 1, 255])
@pytest.mark.parametrize("length", [MIN_MESSAGE, 200, MAX_MESSAGE])
def test_a_frame_has_no_zero_but_its_last_and_is_never_too_long(length: int, fill: int) -> None:
    framed = frame(bytes([fill]) * length)
    assert framed.index(0) == len(framed) - 1
    assert len(framed) - 1 <= MAX_FRAME
    assert length + CRC_SIZE + 2 <= len(framed) <= length + CRC_SIZE + 3  # a constant overhead


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_the_residue_is_that_of_every_whole_message(message: bytes) -> None:
    assert zlib.crc32(message + zlib.crc32(message).to_bytes(CRC_SIZE, "little")) == CRC_RESIDUE


@given(st.binary(max_size=1500) | st.lists(st.sampled_from((0, 1, 2, 255)), max_size=1500).map(bytes), cuts_st)
@example(b"\x01" * (MAX_FRAME + 1) + b"\0" + frame(b"good"), [MAX_FRAME + 1])
@example(b"\x01" * (MAX_FRAME + 1) + b"\0" + frame(b"good"), [MAX_FRAME])
@settings(max_examples=200, deadline=None)
def test_bad_frames_are_counted_alike_whatever_the_cut(stream: bytes, at: list[int]) -> None:
    stream += b"\0" + frame(b"good")
    whole, pieces = Deframer(), Deframer()
    assert taken(whole, [stream]) == taken(pieces, cut(stream, at))
    assert whole.counts == pieces.counts
    assert whole.counts.bad == len([f for f in stream.split(b"\0") if f]) - whole.counts.good


def test_idle_zeros_are_not_damage() -> None:
    messages = steady(6)
    stream = b"\0\0\0" + b"\0\0".join(map(frame, messages)) + b"\0" * 50
    for pieces in ([stream], [stream[k : k + 1] for k in range(len(stream))]):
        deframer = Deframer()
        assert taken(deframer, pieces) == messages
        assert deframer.counts.bad == 0


BAD = {
    "broken COBS": (b"\x09ab\0", "bad_cobs"),
    "wrong CRC": (cobs_encode(b"message" + bytes(4)) + b"\0", "bad_crc"),
    "only a CRC": (frame(b""), "bad_length"),
    "less than a header": (frame(b"abc"), "bad_length"),
    "longer than a message": (frame(bytes(MAX_MESSAGE + 1)), "bad_length"),
    "half a kilobyte": (frame(random.Random(1).randbytes(500)), "bad_length"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_kind_of_damage_has_its_count(name: str) -> None:
    bad, counter = BAD[name]
    before, after = steady(2)
    deframer = Deframer()
    assert taken(deframer, [frame(before) + bad + frame(after)]) == [before, after]
    assert getattr(deframer.counts, counter) == deframer.counts.bad == 1


def test_one_wrong_byte_costs_one_frame_and_a_lost_boundary_two() -> None:
    """Every byte of the middle frame, changed in every way that matters."""
    messages = steady(4, (0,), 2)
    frames = list(map(frame, messages))
    start, end = len(frames[0]), len(frames[0]) + len(frames[1]) - 1
    for position in range(start, end + 1):
        for value in (0, 1, 255, frames[1][position - start] ^ 0x10):
            stream = bytearray(b"".join(frames))
            if stream[position] == value:
                continue
            stream[position] = value
            got = taken(Deframer(), [bytes(stream)])
            assert got == [m for k, m in enumerate(messages) if k != 1 and not (position == end and k == 2)]


def test_a_frame_that_never_ends_costs_no_memory_and_counts_once() -> None:
    deframer = Deframer()
    empty = len(pickle.dumps(deframer))
    total = 0
    for size in (1, 7, 100, MAX_FRAME, 5000, 65_536):
        for _ in range(5):
            assert deframer.feed(b"\x55" * size) == []
            total += size
            assert len(pickle.dumps(deframer)) <= empty + MAX_FRAME + 32
    assert deframer.counts.bad == 0
    message = steady(1)[0]
    assert taken(deframer, [b"\x55\0" + frame(message)]) == [message]
    assert (deframer.counts.bad_length, deframer.counts.discarded_bytes) == (1, total + 1)


@given(st.binary(max_size=700), st.booleans(), cuts_st)
@settings(max_examples=150, deadline=None)
def test_after_any_garbage_one_frame_brings_back_step(garbage: bytes, ended: bool, at: list[int]) -> None:
    """At most the frame that touches the garbage is lost; none where a zero stands between them."""
    messages = steady(4)
    stream = garbage + b"\0" * ended + wire(messages)
    got = taken(Deframer(), cut(stream, at))
    assert got[-3:] == messages[1:]
    assert not ended or got[-4:] == messages


def test_garbage_from_another_protocol_then_a_tool() -> None:
    """A modem's greeting, NMEA, and noise at the wrong baud rate, without a zero before the first frame."""
    messages = steady(3)
    noise = b"\r\nOK\r\n$GPGGA,123519,4807.038,N*47\r\n" + bytes(range(1, 256))
    deframer = Deframer()
    assert taken(deframer, [noise, wire(messages)]) == messages[1:]  # the first has no boundary before it
    assert deframer.counts.bad == 1
