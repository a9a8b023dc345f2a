"""The last samples of a hold, for drawing: a mirrored ring.

Every row is written twice, one capacity apart, so that the newest ``n`` rows are always one contiguous slice and
reading copies nothing. One thread writes (the loop's), one reads (Qt's), and nothing locks: the count is published
after the rows, and a slice of at most half the capacity stays whole for as long as the other half lasts.
This module must never know what the columns mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ring:
    """``columns`` float64 series on one int64 time axis in microseconds."""

    def __init__(self, capacity: int, columns: int) -> None:
        self.capacity = capacity
        self._t = np.zeros(2 * capacity, np.int64)
        self._rows = np.full((2 * capacity, columns), np.nan)
        self._count = 0

    @property
    def count(self) -> int:
        """Rows ever written."""
        return self._count

    @property
    def readable(self) -> int:
        """The longest slice that a reader may hold on to while the writer goes on."""
        return min(self._count, self.capacity // 2)

    def append(self, t_us: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Add ``rows`` (n, columns) at ``t_us`` (n,). Of more than a whole ring only the newest rows are kept."""
        given = len(t_us)
        count = self._count + given
        kept = min(given, self.capacity)
        t_us, rows = t_us[given - kept :], rows[given - kept :]
        start = (count - kept) % self.capacity
        first = min(kept, self.capacity - start)
        for at, part in ((start, slice(0, first)), (0, slice(first, kept))):
            length = part.stop - part.start
            if length:
                for base in (at, at + self.capacity):
                    self._t[base : base + length] = t_us[part]
                    self._rows[base : base + length] = rows[part]
        self._count = count

    def since(self, index: int) -> tuple[int, NDArray[np.int64], NDArray[np.float64]]:
        """Rows from the absolute ``index`` on: (index of the first one given, t_us (n,), rows (n, columns)).

        What is no longer readable is left out; compare the returned index with the one asked for.
        """
        count = self._count
        first = max(index, count - min(count, self.capacity // 2))
        start = first % self.capacity
        stop = start + max(0, count - first)
        return first, self._t[start:stop], self._rows[start:stop]
