"""received + lost + overrun == produced, exactly: a tool that says what it made, and a link that does what links do."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import FORCE, IMU, cut, data, described, feed, status, wire

from nexuslink.protocol.accounting import RESTART_AFTER, Accounting, LinkCounts
from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import MAX_STREAMS, SessionTotals

COUNT = 5
BOTH = pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])


class Tool:
    """Makes messages of two streams, drops some before they get a number, and knows what it has done."""

    def __init__(self, session: int = 1) -> None:
        self.sent: list[bytes] = []
        self.totals = SessionTotals(session, 0, 0, (0,) * MAX_STREAMS)

    def make(self, stream: int, dropped: bool = False) -> None:
        """The next batch of a stream."""
        made = list(self.totals.samples)
        made[stream] += COUNT
        first, dropped_before = made[stream] - COUNT, self.totals.dropped
        if not dropped:
            self.sent.append(data(len(self.sent), stream, COUNT, first))
        self.totals = replace(
            self.totals, sent=len(self.sent), dropped=dropped_before + dropped, samples=tuple(made)
        )  # fmt: skip

    def tell(self) -> None:
        """A message without samples."""
        self.sent.append(status(len(self.sent)))
        self.totals = replace(self.totals, sent=len(self.sent))


def holds(link: LinkCounts, totals: SessionTotals) -> bool:
    """The equation, for messages and for every stream; nothing below zero."""
    messages = link.received + link.lost + link.overrun == totals.sent + totals.dropped
    streams = {k: (s.received, s.lost, s.overrun) for k, s in link.streams.items()}
    samples = all(sum(streams.get(k, (0,))) == made for k, made in enumerate(totals.samples))
    return messages and samples and min(link.lost, link.overrun, *(min(s) for s in streams.values()), 0) == 0


def run(arrivals: list[bytes], at_once: bool) -> Decoder:
    decoder = described()
    feed(decoder, [wire(arrivals)] if at_once else map(frame, arrivals))
    return decoder


def batches(n: int, dropped: set[int] = frozenset()) -> Tool:  # type: ignore[assignment]
    """``n`` batches of alternating streams."""
    tool = Tool()
    for k in range(n):
        tool.make((FORCE, IMU)[k % 2], k in dropped)
    return tool


@BOTH
def test_nothing_missing(at_once: bool) -> None:
    tool = batches(40)
    decoder = run(tool.sent, at_once)
    assert decoder.settle(tool.totals)
    assert holds(decoder.link, tool.totals)
    assert decoder.link.settled
    assert (decoder.link.lost, decoder.link.overrun, decoder.link.overrun_samples) == (0, 0, 0)


@BOTH
def test_what_was_lost_at_the_end_is_loss(at_once: bool) -> None:
    tool = batches(40)
    decoder = run(tool.sent[:-7], at_once)
    assert not holds(decoder.link, tool.totals), "before the totals nobody knows"
    assert decoder.settle(tool.totals)
    assert holds(decoder.link, tool.totals)
    assert decoder.link.lost == 7
    assert {k: (s.lost, s.overrun) for k, s in decoder.link.streams.items()} == {FORCE: (15, 0), IMU: (20, 0)}


@BOTH
def test_what_was_dropped_at_the_end_is_overrun(at_once: bool) -> None:
    tool = batches(40, {36, 37, 38, 39})
    decoder = run(tool.sent, at_once)
    assert decoder.settle(tool.totals)
    assert holds(decoder.link, tool.totals)
    assert (decoder.link.lost, decoder.link.overrun) == (0, 4)
    assert {k: (s.lost, s.overrun) for k, s in decoder.link.streams.items()} == {FORCE: (0, 10), IMU: (0, 10)}


def test_a_session_of_which_nothing_came() -> None:
    for tool, expected in ((batches(10), (25, 0)), (batches(10, set(range(10))), (0, 25))):
        decoder = described()
        assert decoder.settle(tool.totals)
        assert holds(decoder.link, tool.totals)
        assert {(s.lost, s.overrun) for s in decoder.link.streams.values()} == {expected}


def test_settling_twice_changes_nothing() -> None:
    """STOP's answer, and TOTALS after it."""
    tool = batches(40, {5, 6, 30})
    decoder = run(tool.sent[:-3], True)
    assert decoder.settle(tool.totals)
    once = replace(decoder.link)
    assert decoder.settle(tool.totals)
    assert decoder.link == once


@BOTH
def test_what_comes_afterwards_is_late(at_once: bool) -> None:
    """A message that the link held back was counted as lost; it must not be counted again."""
    tool = batches(40)
    decoder = run(tool.sent[:20], at_once)
    assert decoder.settle(tool.totals)
    decoded = feed(decoder, [wire(tool.sent[20:])] if at_once else map(frame, tool.sent[20:]))
    assert not any(part.batches for part in decoded)
    assert holds(decoder.link, tool.totals)
    assert decoder.link.late == 20
    decoder.begin()
    assert run(tool.sent, at_once).link.received == 40


@pytest.mark.parametrize(
    ("why", "wrong"),
    [
        ("fewer messages than came", {"sent": 39}),
        ("fewer samples than came", {"samples": (99, 100, 0, 0)}),
        ("no session", {"sent": 0, "samples": (0,) * 4}),
        ("another session", {"session": 2}),
    ],
)
def test_totals_that_cannot_be_true_are_not_believed(why: str, wrong: dict[str, object]) -> None:
    tool = batches(40)
    decoder = run(tool.sent, True)
    before = replace(decoder.link)
    assert not decoder.settle(replace(tool.totals, **wrong), 1), why  # type: ignore[arg-type]
    assert decoder.link == before
    assert decoder.settle(tool.totals, 1)


@given(
    st.integers(0, 2**32), st.integers(0, 120), st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0, 0.2),
    st.floats(0, 0.2), st.floats(0, 0.2), st.lists(st.integers(0, 9000), max_size=6),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_over_any_link(
    seed: int, n: int, drop: float, loss: float, copies: float, delayed: float, damaged: float, at: list[int]
) -> None:
    """Drops in the tool, losses, copies, delays, damage and garbage on the link, cut anywhere: the equation holds."""
    rng = random.Random(seed)
    tool = Tool()
    for _ in range(n):
        if rng.random() < 0.1:
            tool.tell()
        else:
            tool.make(rng.choice((FORCE, IMU)), rng.random() < drop)
    placed = [
        (place + (rng.randrange(12) if rng.random() < delayed else 0), copy, message)
        for place, message in enumerate(tool.sent)
        for copy in range(1 + (rng.random() < copies))
        if rng.random() >= loss
    ]
    stream = bytearray()
    for _, _, message in sorted(placed):
        framed = bytearray(frame(message))
        if rng.random() < damaged:
            framed[rng.randrange(len(framed))] ^= 1 << rng.randrange(8)
        stream += framed
        if rng.random() < damaged:
            stream += rng.randbytes(rng.randrange(40))
    decoder = described()
    decoded = feed(decoder, cut(bytes(stream), at))
    kept = {k: s.received for k, s in decoder.link.streams.items()}
    assert decoder.settle(tool.totals)
    assert holds(decoder.link, tool.totals)
    for stream_id, received in kept.items():
        assert received == sum(len(b.raw) for part in decoded for b in part.batches if b.stream == stream_id)
    if not tool.totals.dropped:
        assert decoder.link.overrun_samples == 0
    if not decoder.link.lost:
        assert all(s.lost == 0 for s in decoder.link.streams.values())


@pytest.mark.parametrize("seed", range(3))
def test_over_many_wraps(seed: int) -> None:
    """200,000 messages; indexes begin just before their own wrap; gaps of every length, one over half the circle."""
    rng = np.random.default_rng(seed)
    n, start = 200_000, 2**32 - 500_000
    kept = rng.random(n) >= 0.01
    for at, gap in ((20_000, 1000), (70_000, 30_000), (110_000, 40_000)):
        kept[at : at + gap] = False
    kept[-100:] = False
    overrun = np.cumsum(rng.random(n) < 0.001) * COUNT
    index = start + np.arange(n) * COUNT + overrun
    accounting = Accounting()
    accounting._stream(FORCE).next_index = start
    numbers = np.flatnonzero(kept)
    refused = 0
    for part in np.array_split(numbers, 999):
        seqs, indexes = (part % 65536).astype(np.uint16), (index[part] % 2**32).astype(np.uint32)
        taken, lost_at = accounting.sequences(seqs)
        if taken:
            accounting.batches(FORCE, indexes, COUNT, lost_at)
            continue
        for seq, first in zip(seqs.tolist(), indexes.tolist(), strict=True):
            if accounting.sequence(seq):
                accounting.batch(FORCE, first, COUNT)
            else:
                refused += 1
    made = n * COUNT + int(overrun[-1])
    totals = SessionTotals(1, n, int(overrun[-1]) // COUNT, (made, 0, 0, 0))
    assert accounting.settle(totals)
    link = accounting.counts
    assert holds(link, totals)
    assert refused == RESTART_AFTER - 1 == link.late - link.restarts
    assert link.received == len(numbers) - refused
    assert link.streams[FORCE].received == COUNT * link.received
    assert link.streams[FORCE].overrun <= int(overrun[-1])
