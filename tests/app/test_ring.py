"""The ring against the plainest list."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nexuslink.app.ring import Ring


def block(start: int, count: int):
    t_us = np.arange(start, start + count, dtype=np.int64)
    return t_us, np.stack((t_us * 1.5, -t_us.astype(float)), axis=1)


@given(st.lists(st.integers(0, 70), max_size=30), st.integers(0, 500))
def test_newest_rows_are_those_of_a_list(sizes, asked):
    ring, everything = Ring(32, 2), []
    for size in sizes:
        ring.append(*block(len(everything), size))
        everything += range(len(everything), len(everything) + size)
    first, t_us, rows = ring.since(asked)
    assert ring.count == len(everything)
    assert first >= min(asked, ring.count) or first == max(asked, ring.count - 16)
    assert t_us.tolist() == everything[first:]
    assert len(t_us) <= 16
    assert rows[:, 0].tolist() == [1.5 * value for value in everything[first:]]


def test_reading_copies_nothing():
    ring = Ring(64, 2)
    for start in range(0, 500, 7):
        ring.append(*block(start, 7))
    _, t_us, rows = ring.since(0)
    assert np.shares_memory(t_us, ring._t)
    assert np.shares_memory(rows, ring._rows)
    assert len(t_us) == 32


def test_memory_does_not_grow():
    ring = Ring(64, 2)
    before = (ring._t.nbytes, ring._rows.nbytes)
    for start in range(0, 10_000, 100):  # more than a ring at once
        ring.append(*block(start, 100))
    assert (ring._t.nbytes, ring._rows.nbytes) == before
    assert ring.since(0)[1][-1] == 9_999
