"""A small tool's worth of messages, made by hand: no simulator, no generator behind them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from nexuslink.protocol.decoder import Decoded, Decoder
from nexuslink.protocol.envelope import pack_data, pack_response, pack_stream
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import (
    MESSAGE_HEADER,
    ChannelGroup,
    ErrorCode,
    ErrorReport,
    EventKind,
    EventMessage,
    FaultMessage,
    LogLevel,
    LogMessage,
    MessageType,
    Quantity,
    SampleType,
    Status,
    StatusMessage,
    StreamDescriptor,
    StreamKind,
)

FORCE, IMU, TINY, UNDESCRIBED = 0, 1, 2, 9
NO_GROUP = ChannelGroup(Quantity.NONE, 0, 0.0, 0.0)
STREAMS = (
    StreamDescriptor(FORCE, StreamKind.FORCE, SampleType.I32, 250.0, 7,
                     (ChannelGroup(Quantity.FORCE_N, 2, 1e-4, 200.0), NO_GROUP), 3, 50.0, 1000.0),
    StreamDescriptor(IMU, StreamKind.IMU, SampleType.I16, 500.0, 0,
                     (ChannelGroup(Quantity.ANGULAR_RATE_RAD_S, 3, 1e-3, 8.7),
                      ChannelGroup(Quantity.ACCELERATION_M_S2, 3, 5e-3, 78.0)), 63, 50.0, 1000.0),
    StreamDescriptor(TINY, 200, SampleType.I16, 285.7, 0, (ChannelGroup(200, 1, 1.0, 1.0), NO_GROUP), 1, 1.0, 1000.0),
)  # fmt: skip
ROW_BYTES = {FORCE: 8, IMU: 12, TINY: 2, UNDESCRIBED: 4}
STATUS = StatusMessage(1_000_000, 87, 2512, 40, 0, 3, 244, 0, 0, 0)


def described(framed: bool = True) -> Decoder:
    """A decoder that has had INFO and START."""
    decoder = Decoder(framed)
    decoder.describe(STREAMS)
    decoder.begin()
    return decoder


def data(seq: int, stream: int = FORCE, count: int = 5, first_index: int = 0, seed: int | None = None) -> bytes:
    """A DATA message whose samples, and whose time, say which one it is."""
    rng = random.Random(seq if seed is None else seed)
    t0_us = first_index * 2000 + stream
    return pack_data(seq % 65536, stream, count, first_index, t0_us, rng.randbytes(count * ROW_BYTES[stream]))


def status(seq: int) -> bytes:
    return pack_stream(seq % 65536, replace(STATUS, produced=seq))


def notice(seq: int, kind: int | None = None) -> bytes:
    """LOG, FAULT or EVENT; without ``kind`` in turn."""
    kinds = (
        LogMessage(seq, LogLevel.INFO, 5, b"hello"), FaultMessage(ErrorReport(seq, ErrorCode.OVERLOAD, 1, 0)),
        EventMessage(seq, EventKind.TAP, 900),
    )  # fmt: skip
    return pack_stream(seq % 65536, kinds[seq % 3 if kind is None else kind])


def response(seq: int, request_id: int = 1, payload: bytes = b"") -> bytes:
    return pack_response(seq % 65536, request_id, 4, Status.OK, payload)


def steady(count: int, streams: Sequence[int] = (FORCE, IMU), samples: int = 5) -> list[bytes]:
    """``count`` DATA messages of alternating streams, without a gap."""
    index = dict.fromkeys(streams, 0)
    messages = []
    for seq in range(count):
        stream = streams[seq % len(streams)]
        messages.append(data(seq, stream, samples, index[stream]))
        index[stream] += samples
    return messages


def wire(messages: Iterable[bytes]) -> bytes:
    return b"".join(map(frame, messages))


def cut(stream: bytes, at: Iterable[int]) -> list[bytes]:
    """The stream in pieces; positions may repeat and lie outside."""
    edges = [0, *sorted(min(max(a, 0), len(stream)) for a in at), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@dataclass
class Seen:
    """Everything that came out of a decoder, however it was fed: comparable with ``==``."""

    samples: dict[int, list[tuple[int, tuple[int, ...]]]] = field(default_factory=dict)
    """Stream -> (device time, channels), in order."""
    responses: list[object] = field(default_factory=list)
    statuses: list[object] = field(default_factory=list)
    notices: list[object] = field(default_factory=list)
    counts: tuple[object, ...] = ()


def feed(decoder: Decoder, pieces: Iterable[bytes]) -> list[Decoded]:
    return [decoder.feed(piece) for piece in pieces]


def seen(decoder: Decoder, decoded: Iterable[Decoded]) -> Seen:
    """What the pieces held together, and what the decoder counts now."""
    out = Seen()
    for part in decoded:
        for batch in part.batches:
            assert batch.t_us.dtype == np.int64
            assert batch.t_us.shape == (len(batch.raw),)
            rows = zip(batch.t_us.tolist(), map(tuple, batch.raw.tolist()), strict=True)
            out.samples.setdefault(batch.stream, []).extend(rows)
        out.responses += part.responses
        out.statuses += part.statuses
        out.notices += part.notices
    out.counts = (replace(decoder.counts), replace(decoder.frames), deepcopy(decoder.link))
    return out


def indexes(decoded: Iterable[Decoded]) -> dict[int, dict[int, int]]:
    """Stream -> {position of a batch's first sample among the stream's samples: its index}."""
    out: dict[int, dict[int, int]] = {}
    length: dict[int, int] = {}
    for part in decoded:
        for batch in part.batches:
            at = length.get(batch.stream, 0)
            out.setdefault(batch.stream, {})[at] = batch.first_index
            length[batch.stream] = at + len(batch.raw)
    return out


# -- whole conversations, good and bad --------------------------------------------------------------------------------

KINDS = ("data",) * 12 + (
    "status", "notice", "response", "newer", "vendor", "undescribed", "short", "empty", "stub", "reboot",
)  # fmt: skip
"""What a tool may send; mostly data."""
SEQ_STEPS = (0,) * 20 + (1, 3, 200, -1, -2, -3, -9, 40_000)
"""Added to the next seq: gaps, duplicates, late ones, and a jump of more than half the circle."""
INDEX_STEPS = (0,) * 20 + (5, 50, -5, 2**31, -(2**31) + 7)
"""Added to the next first_index: overruns, renumbering."""


def conversation(seed: int, length: int) -> list[bytes]:
    """Messages of one link, with everything that can be odd about their numbers and lengths, from a seed."""
    rng = random.Random(seed)
    seq = rng.choice((0, 0, 65_530))
    index = dict.fromkeys((FORCE, IMU, TINY), rng.choice((0, 0, 2**32 - 12)))
    streams = rng.choice(((FORCE,), (FORCE, IMU), (FORCE, IMU, TINY)))
    calm = rng.random() < 0.5  # long runs of one kind reach the path for many messages alike
    counts = (5,) if rng.random() < 0.5 else (1, 5, 12)
    messages: list[bytes] = []
    for k in range(length):
        kind = "data" if calm and rng.random() < 0.9 else rng.choice(KINDS)
        seq = (seq + (0 if calm and rng.random() < 0.9 else rng.choice(SEQ_STEPS))) % 65536
        if kind == "reboot":
            seq, index = 0, dict.fromkeys(index, 0)
        if kind == "response":
            messages.append(response(seq, rng.choice((0, 1, 2, 300)), rng.randbytes(rng.choice((0, 8, 40)))))
            continue
        if kind == "vendor":
            messages.append(MESSAGE_HEADER.pack(0x80 + rng.randrange(128), 0, seq) + rng.randbytes(20))
            continue
        if kind == "status":
            messages.append(status(seq))
        elif kind == "notice":
            messages.append(notice(seq))
        elif kind == "newer":
            messages.append(MESSAGE_HEADER.pack(rng.randrange(0x15, 0x80), 0, seq) + rng.randbytes(12))
        elif kind == "undescribed":
            messages.append(data(seq, UNDESCRIBED, 3, 0, k))
        elif kind == "short":
            messages.append(data(seq, FORCE, 5, index[FORCE], k)[: -rng.randrange(1, 9)])
        elif kind == "empty":
            messages.append(data(seq, FORCE, 0, index[FORCE], k))
        elif kind == "stub":
            messages.append(
                MESSAGE_HEADER.pack(rng.choice(list(MessageType)), 0, seq) + rng.randbytes(rng.randrange(4))
            )
        else:
            stream, count = rng.choice(streams), rng.choice(counts)
            step = 0 if calm and rng.random() < 0.9 else rng.choice(INDEX_STEPS)
            index[stream] = (index[stream] + step) % 2**32
            messages.append(data(seq, stream, count, index[stream], k))
            index[stream] = (index[stream] + count) % 2**32
        seq = (seq + 1) % 65536
    return messages


conversations = st.builds(conversation, st.integers(0, 2**32), st.integers(0, 60))
