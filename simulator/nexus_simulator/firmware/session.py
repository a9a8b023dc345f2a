"""One streaming session: samples to batches, a bounded queue, numbers, totals.

A sequence number is given when a message leaves, so a message that finds the queue full shows in ``first_index`` and
not in ``seq``. Times are device microseconds of the firmware's own; ``shift_us`` is what the clock on the wire differs
by after it was set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nexus_simulator.firmware.identity import ANSWERING_US, BATCH_US, QUEUE_MAX
from nexuslink.protocol.envelope import StreamMessage, pack_data, pack_stream, samples_per_message
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MAX_STREAMS,
    SampleType,
    SessionTotals,
    StreamDescriptor,
)

NO_SESSION = SessionTotals(0, 0, 0, (0,) * MAX_STREAMS)


class Take(Protocol):
    """The samples of one streaming session, from START on."""

    @property
    def ends_us(self) -> int | None:
        """Device time at which there are no more samples; None: never."""

    def cut(self, stream: int, until_us: int) -> tuple[int, int, npt.NDArray[np.signedinteger]]:
        """Index and device time of the first sample not cut yet, and all (n, channels) samples before ``until_us``."""

    def time_us(self, stream: int, index: int) -> int:
        """Device time of a sample."""

    def mean_force(self, until_us: int, window_us: int) -> tuple[int, tuple[int, int]]:
        """How many force samples lie in the window that ends at ``until_us``, and their mean counts."""

    def temperature_c(self, t_us: int) -> float:
        """Temperature of the load cells."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A message that left the tool."""

    t_us: int
    message: bytes


@dataclass(frozen=True, slots=True)
class _Data:
    """A batch that waits for its sequence number."""

    stream: int
    first_index: int
    rows: npt.NDArray[np.signedinteger]


def channels_of(descriptor: StreamDescriptor) -> int:
    """Channels that are sent."""
    return sum(group.channels for group in descriptor.groups)


def _columns(mask: int) -> list[int]:
    return [bit for bit in range(16) if mask >> bit & 1]


class Session:
    """From START on. ``next_cut_us`` and ``next_status_us`` say when `produce` and the firmware's STATUS are due."""

    def __init__(
        self, number: int, now_us: int, active: tuple[StreamDescriptor, ...], take: Take, max_message: int
    ) -> None:
        self.take = take
        self.max_message = max_message
        self.high_water = 0
        self._active = active
        self._columns = {d.stream: _columns(d.channel_mask) for d in active}
        self._queue: deque[tuple[int, _Data | StreamMessage]] = deque()  # since when it waits, what
        self._number = number
        self._seq = 0
        self._dropped = 0
        self._samples = [0] * MAX_STREAMS
        self._period_us = min(BATCH_US, *(int(self._capacity(d) * 1e6 / d.rate_hz) for d in active))
        self.opens_us = now_us + ANSWERING_US
        """Nothing leaves before START's answer does."""
        self.next_cut_us = now_us + self._period_us
        self.next_status_us = now_us + self._period_us

    @property
    def totals(self) -> SessionTotals:
        """So far. What still waits in the queue is neither sent nor dropped."""
        return SessionTotals(self._number, self._seq, self._dropped, tuple(self._samples))

    @property
    def produced(self) -> int:
        """Stream messages made, sent, dropped or waiting."""
        return self._seq + self._dropped + len(self._queue)

    @property
    def waiting(self) -> int:
        """Messages in the queue."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """The next message would be dropped."""
        return len(self._queue) >= QUEUE_MAX

    @property
    def dropped(self) -> int:
        """Messages that found the queue full."""
        return self._dropped

    def _capacity(self, descriptor: StreamDescriptor) -> int:
        kind = SampleType(descriptor.sample_type)
        return max(1, samples_per_message(kind, channels_of(descriptor), self.max_message))

    def enqueue(self, now_us: int, item: _Data | StreamMessage) -> bool:
        """Queue a message; False: dropped, and counted."""
        if self.full:
            self._dropped += 1
            return False
        self._queue.append((now_us, item))
        self.high_water = max(self.high_water, len(self._queue))
        return True

    def produce(self, now_us: int) -> bool:
        """Cut the batches that are due; False where one of them was dropped."""
        kept = self.cut(self.next_cut_us, now_us)
        self.next_cut_us += self._period_us
        return kept

    def cut(self, until_us: int, now_us: int) -> bool:
        """One batch of every active stream, of all samples before ``until_us``; False where one was dropped."""
        kept = True
        for descriptor in self._active:
            stream = descriptor.stream
            first, _, rows = self.take.cut(stream, until_us)
            rows = np.ascontiguousarray(rows[:, self._columns[stream]])
            self._samples[stream] += len(rows)
            step = self._capacity(descriptor)
            for start in range(0, len(rows), step):
                kept &= self.enqueue(now_us, _Data(stream, first + start, rows[start : start + step]))
        return kept

    def depart(self, entered_us: int, shift_us: int) -> Departure | None:
        """The next message leaves, with its sequence number; None: the queue is empty.

        One that the link cannot carry (its MTU has shrunk under a single sample) is dropped and counted.
        """
        while self._queue:
            since_us, item = self._queue.popleft()
            seq = self._seq & 0xFFFF
            if isinstance(item, _Data):
                item = self._fitting(since_us, item)
                t0_us = (self.take.time_us(item.stream, item.first_index) + shift_us) & _U64
                first = item.first_index & 0xFFFFFFFF
                packed = pack_data(seq, item.stream, len(item.rows), first, t0_us, item.rows.tobytes())
            else:
                packed = pack_stream(seq, item)
            if len(packed) > self.max_message:
                self._dropped += 1
                continue
            self._seq = (self._seq + 1) & 0xFFFFFFFF
            return Departure(max(since_us, entered_us, self.opens_us), packed)
        return None

    def _fitting(self, since_us: int, item: _Data) -> _Data:
        """The part that the link takes now; the rest goes back to the front. For links whose MTU has shrunk."""
        room = max(1, (self.max_message - DATA_HEADER.size) // (item.rows.itemsize * item.rows.shape[1]))
        if len(item.rows) <= room:
            return item
        rest = replace(item, first_index=item.first_index + room, rows=item.rows[room:])
        self._queue.appendleft((since_us, rest))
        return replace(item, rows=item.rows[:room])

    def abandon(self) -> None:
        """The link is gone: what waits is dropped, and counted."""
        self._dropped += len(self._queue)
        self._queue.clear()


_U64 = (1 << 64) - 1


BeginTake = Callable[[int, tuple[StreamDescriptor, ...]], Take]
"""``begin(t_us, streams)``: the sensors start, configured as described."""
