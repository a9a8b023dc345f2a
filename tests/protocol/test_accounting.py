"""Loss, overrun, duplicates and restarts: judged by numbers alone, one by one or many at once alike."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import FORCE, IMU, data, described, seen, wire

from nexuslink.protocol.accounting import RESTART_AFTER, Accounting
from nexuslink.protocol.framing import frame

COUNT = 5
BOTH = pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])


def numbers(rows: list[tuple[int, int]], at_once: bool, stream: int = FORCE) -> tuple[object, list[int]]:
    """Counts after messages of (seq, first_index), and which first indexes were kept."""
    decoder = described()
    messages = [data(seq, stream, COUNT, index % 2**32, k) for k, (seq, index) in enumerate(rows)]
    chunks = [wire(messages)] if at_once else list(map(frame, messages))
    decoded = [decoder.feed(chunk) for chunk in chunks]
    times = [t for t, _ in seen(decoder, decoded).samples.get(stream, [])][::COUNT]
    return decoder.link, [(t - stream) // 2000 for t in times]


def run(seqs: list[int]) -> list[tuple[int, int]]:
    """Messages that carry the index that belongs to their seq."""
    return [(s, COUNT * s) for s in seqs]


@BOTH
def test_nothing_missing(at_once: bool) -> None:
    link, kept = numbers(run(list(range(40))), at_once)
    assert (link.received, link.lost, link.duplicate, link.late, link.restarts) == (40, 0, 0, 0, 0)
    assert (link.streams[FORCE].received, link.streams[FORCE].lost, link.streams[FORCE].overrun) == (200, 0, 0)
    assert kept == [COUNT * s for s in range(40)]
    assert link.loss_fraction == 0.0


@BOTH
def test_a_gap_in_seq_is_loss(at_once: bool) -> None:
    link, _ = numbers(run([*range(10), *range(13, 40)]), at_once)
    assert (link.received, link.lost) == (37, 3)
    assert (link.streams[FORCE].lost, link.streams[FORCE].overrun) == (15, 0)
    assert link.loss_fraction == pytest.approx(3 / 40)


@BOTH
def test_a_gap_in_index_alone_is_overrun(at_once: bool) -> None:
    rows = [(s, COUNT * s + (35 if s >= 20 else 0)) for s in range(40)]
    link, _ = numbers(rows, at_once)
    assert (link.received, link.lost) == (40, 0)
    assert (link.streams[FORCE].lost, link.streams[FORCE].overrun) == (0, 35)
    assert link.overrun_samples == 35


@BOTH
def test_duplicates_and_late_ones_are_refused_and_counted(at_once: bool) -> None:
    seqs = [*range(10), 9, *range(10, 20), 15, 12, *range(20, 40)]
    link, kept = numbers(run(seqs), at_once)
    assert (link.received, link.lost, link.duplicate, link.late) == (40, 0, 1, 2)
    assert kept == [COUNT * s for s in range(40)]


@BOTH
def test_reordered_neighbours(at_once: bool) -> None:
    """The earlier one of a swapped pair is lost: what leaves is in order, and nothing is counted twice."""
    link, kept = numbers(run([*range(20), 21, 20, *range(22, 40)]), at_once)
    assert (link.received, link.lost, link.duplicate + link.late) == (39, 1, 1)
    assert kept == [COUNT * s for s in range(40) if s != 20]
    assert link.streams[FORCE].lost == COUNT


@BOTH
def test_seq_wraps(at_once: bool) -> None:
    """Once around from START, with a gap across the edge."""
    seqs = np.array([s % 65536 for s in range(65_560) if s not in (65_534, 65_535, 65_536, 65_550)], np.uint16)
    accounting = Accounting()
    if at_once:
        assert all(accounting.sequences(part)[0] for part in np.array_split(seqs, 7))
    else:
        assert all(map(accounting.sequence, seqs.tolist()))
    assert (accounting.counts.received, accounting.counts.lost) == (len(seqs), 4)
    assert (accounting.counts.duplicate, accounting.counts.late, accounting.counts.restarts) == (0, 0, 0)


@BOTH
def test_long_streams_wrap_both_numbers(at_once: bool) -> None:
    """Both numberings, carried past their ends with a gap right at the edge."""
    accounting = Accounting()
    accounting.counts.restarts = 1  # take the indexes from wherever they are
    accounting._next_seq = 65_530
    rows = [(65_530 + k, 2**32 - 30 + COUNT * k) for k in range(20) if k not in (5, 6)]
    seq = np.array([s % 65536 for s, _ in rows], np.uint16)
    index = np.array([i % 2**32 for _, i in rows], np.uint32)
    if at_once:
        taken, lost_at = accounting.sequences(seq)
        assert taken
        first = accounting.batches(FORCE, index, COUNT, lost_at)
    else:
        firsts = []
        for s, i in zip(seq.tolist(), index.tolist(), strict=True):
            assert accounting.sequence(s)
            firsts.append(accounting.batch(FORCE, i, COUNT))
        first = firsts[0]
        assert firsts == [i for _, i in rows]
    assert first == 2**32 - 30
    assert accounting.counts.lost == 2
    assert accounting.counts.streams[FORCE].lost == 2 * COUNT
    assert accounting.counts.streams[FORCE].overrun == 0
    assert accounting.batch(FORCE, (2**32 - 30 + 20 * COUNT) % 2**32, COUNT) == 2**32 - 30 + 20 * COUNT


@BOTH
def test_a_gap_over_half_the_circle_is_survived(at_once: bool) -> None:
    """What follows looks late; when it does not end, it is taken again."""
    jump, n = 40_000, RESTART_AFTER + 50
    link, kept = numbers([(s % 65536, COUNT * s) for s in (*range(30), *range(jump, jump + n))], at_once)
    assert link.restarts == 1
    assert link.late == RESTART_AFTER
    assert link.received == 30 + n - (RESTART_AFTER - 1)
    assert kept == [COUNT * s for s in (*range(30), *range(jump + RESTART_AFTER - 1, jump + n))]


@BOTH
def test_a_burst_that_comes_twice_is_no_new_beginning(at_once: bool) -> None:
    """Hundreds of messages in one chunk, and the chunk again."""
    link, kept = numbers(run([*range(600), *range(600), *range(600, 620)]), at_once)
    assert (link.restarts, link.received, link.lost, link.duplicate + link.late) == (0, 620, 0, 600)
    assert kept == [COUNT * s for s in range(620)]


@BOTH
def test_late_ones_that_do_not_follow_each_other_are_no_restart(at_once: bool) -> None:
    late = [3 * k % 90 for k in range(RESTART_AFTER + 4)]
    link, _ = numbers(run([*range(100), *late, *range(100, 120)]), at_once)
    assert (link.restarts, link.late, link.received) == (0, len(late), 120)


@BOTH
def test_a_tool_that_renumbers_its_samples_still_shows_its_overruns(at_once: bool) -> None:
    """Index 500, then from 0 again with a whole seq: that jump says nothing, a gap after it does."""
    rows = [(s, 400 + COUNT * s) for s in range(20)]
    rows += [(20 + k, COUNT * k + (10 if k >= 10 else 0)) for k in range(20)]
    link, _ = numbers(rows, at_once)
    assert link.lost == 0
    assert (link.streams[FORCE].lost, link.streams[FORCE].overrun) == (0, 400 + 10)


@BOTH
def test_loss_on_the_link_is_shared_by_the_streams_it_hit(at_once: bool) -> None:
    """Alternating streams; four messages lost, two of each."""
    messages = [data(s, (FORCE, IMU)[s % 2], COUNT, COUNT * (s // 2)) for s in range(40) if s not in (10, 11, 12, 13)]
    decoder = described()
    for chunk in [wire(messages)] if at_once else map(frame, messages):
        decoder.feed(chunk)
    assert decoder.link.lost == 4
    assert {k: (v.lost, v.overrun) for k, v in decoder.link.streams.items()} == {FORCE: (10, 0), IMU: (10, 0)}


STEPS = st.sampled_from((1,) * 12 + (0, 2, 5, -1, -4, 300, 32_768, 32_769, 40_000))
INDEX_STEPS = st.sampled_from((COUNT,) * 12 + (0, COUNT + 5, 3, -40, 2**31 - 1, 2**31, 2**31 + COUNT))


@given(
    st.sampled_from((0, 0, 7, 65_520)), st.sampled_from((0, 0, 2**32 - 30)),
    st.lists(st.tuples(STEPS, INDEX_STEPS, st.booleans()), min_size=1, max_size=60),
    st.lists(st.integers(1, 60), max_size=4),
)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_many_at_once_is_one_by_one(seq: int, index: int, steps: list[tuple[int, int, bool]], at: list[int]) -> None:
    rows = []
    for step, index_step, reboot in steps:
        rows.append((seq % 65536, index % 2**32))
        seq, index = seq + step, index + index_step
        if reboot and len(rows) % 13 == 0:
            seq = index = 0
    single, bulk = Accounting(), Accounting()
    kept = [single.batch(FORCE, i, COUNT) if single.sequence(s) else None for s, i in rows]
    edges = [0, *sorted(a for a in set(at) if a < len(rows)), len(rows)]
    for a, b in pairwise(edges):
        chunk = rows[a:b]
        taken, lost_at = bulk.sequences(np.array([s for s, _ in chunk], np.uint16))
        if taken:
            first = bulk.batches(FORCE, np.array([i for _, i in chunk], np.uint32), COUNT, lost_at)
            assert first == kept[a]
        else:
            assert [bulk.batch(FORCE, i, COUNT) if bulk.sequence(s) else None for s, i in chunk] == kept[a:b]
        assert bulk.counts.received + bulk.counts.duplicate + bulk.counts.late - bulk.counts.restarts == b
    assert bulk.counts == single.counts


@given(st.integers(0, 2**32), st.integers(1, 300), st.floats(0, 0.5), st.floats(0, 0.3))
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_twice_and_nothing_is_forgotten(seed: int, n: int, loss: float, copies: float) -> None:
    """Drops, copies and small delays: accepted + lost = the newest number, refused = what came too much."""
    rng = random.Random(seed)
    sent = sorted((s + (rng.randrange(6) if rng.random() < copies else 0), s) for s in range(n) if rng.random() >= loss)
    order = [s for _, s in sent for _ in range(2 if rng.random() < copies else 1)]
    accounting = Accounting()
    kept = [s for s in order if accounting.sequence(s)]
    counts = accounting.counts
    assert kept == sorted(set(kept))
    assert counts.received + counts.lost == (max(order) + 1 if order else 0)
    assert counts.duplicate + counts.late == len(order) - len(kept)
    assert counts.restarts == 0
