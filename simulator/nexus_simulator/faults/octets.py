"""Filters of bytes. Where a frame begins or ends they do not know."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import ClassVar

from nexus_simulator.faults.chain import Timed
from nexus_simulator.faults.values import Between

OCTET_NS = 10_000
"""Bytes of a split stream follow each other at this distance: a line of 1 Mbaud."""


class Corrupt:
    """Damages bytes, each with the same probability: one of its bits or several are wrong."""

    delays: ClassVar[bool] = False

    def __init__(self, probability: float, rng: random.Random) -> None:
        # The distance to the next damaged byte is drawn, not each byte's fate: it is the same and costs nothing.
        self._log_spared = math.log1p(-probability) if probability < 1.0 else -math.inf
        self._rng = rng
        self._spared = self._distance()
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The bytes, some of them wrong."""
        n = len(item.data)
        if self._spared >= n:
            self._spared -= n
            return (item,)
        data = bytearray(item.data)
        while self._spared < n:
            data[self._spared] ^= self._rng.randint(1, 255)
            self.struck += 1
            self._spared += 1 + self._distance()
        self._spared -= n
        return (Timed(item.t_ns, bytes(data)),)

    def _distance(self) -> int:
        """How many bytes stay whole before the next damaged one: geometrically distributed."""
        if not self._log_spared:
            return 1 << 62
        return min(1 << 62, int(math.log(1.0 - self._rng.random()) / self._log_spared))


class Coalesce:
    """Delivers bytes only at the end of a window: what a driver's latency timer does."""

    delays: ClassVar[bool] = True

    def __init__(self, window_ns: Between, rng: random.Random) -> None:
        self._window = window_ns
        self._rng = rng
        self._ends_ns = -1
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The bytes, together with all others of the window that the first of them opened."""
        if item.t_ns > self._ends_ns:
            self._ends_ns = item.t_ns + self._window.pick(self._rng)
            self.struck += 1
        return (Timed(self._ends_ns, item.data),)


class Split:
    """Cuts the stream into pieces, each of which arrives by itself; bytes that came together may stay together."""

    delays: ClassVar[bool] = True

    def __init__(self, length: Between, rng: random.Random) -> None:
        self._length = length
        self._rng = rng
        self._got_ns = -1
        self._sent_ns = 0
        self._left = 0
        self.struck = 0

    def __call__(self, item: Timed) -> Iterable[Timed]:
        """The same bytes in pieces, one after the other."""
        if item.t_ns != self._got_ns:
            self._got_ns, self._left = item.t_ns, 0
        pieces: list[Timed] = []
        at, n = 0, len(item.data)
        while at < n:
            if not self._left:
                self._left = self._length.pick(self._rng)
                self._sent_ns = max(self._sent_ns, item.t_ns) + self._left * OCTET_NS
                self.struck += 1
            piece = item.data[at : at + self._left]
            pieces.append(Timed(self._sent_ns, piece))
            at += len(piece)
            self._left -= len(piece)
        return pieces
