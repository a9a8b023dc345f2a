"""What went missing, and whose fault it was.

Every stream message carries ``seq`` (shared by all stream messages of a link) and DATA also ``first_index`` (per
stream). A gap in ``seq`` is loss on the link or in the host; a gap in ``first_index`` while ``seq`` is contiguous
is an overrun in the tool. Duplicates and messages that come after a newer one are refused and counted: what
leaves here is in order.

What went missing at the very end no later number shows. `settle` adds it from the tool's own totals, so that
received + lost + overrun == produced, exactly, for messages and for the samples of every stream.

Numbers begin anew at START only. Late messages without end are therefore behind a gap of more than half the numbers
there are (many minutes of silence): after `RESTART_AFTER` of them they are taken again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.protocol.envelope import SEQ_MODULUS
from nexuslink.protocol.messages import SessionTotals

INDEX_MODULUS: Final = 1 << 32
RESTART_AFTER: Final = 2048
"""This many "late" messages, ever forward, nothing between them, are not late: no chunk that came twice has as many."""
_HALF_SEQ: Final = SEQ_MODULUS // 2
_HALF_INDEX: Final = INDEX_MODULUS // 2
_RAMP: Final = np.arange(2048, dtype=np.uint16)
"""What contiguous numbers look like; comparing with it is cheaper than taking differences."""


@dataclass(slots=True)
class StreamCounts:
    """Samples of one stream since START."""

    received: int = 0
    lost: int = 0
    overrun: int = 0
    next_index: int | None = None
    """Expected first index of the next batch, without the 32-bit wrap; ``None`` after a restart."""
    lost_before: int = 0
    """``LinkCounts.lost`` when the latest batch came."""


@dataclass(slots=True)
class LinkCounts:
    """Messages since START."""

    received: int = 0
    lost: int = 0
    overrun: int = 0
    """Dropped in the tool's queue; the tool says so in its totals, no number shows it."""
    duplicate: int = 0
    late: int = 0
    restarts: int = 0
    settled: bool = False
    """The session is over, and what went missing at its end is in."""
    streams: dict[int, StreamCounts] = field(default_factory=dict)

    @property
    def loss_fraction(self) -> float:
        """Lost / (received + lost), 0 when nothing has come."""
        total = self.received + self.lost
        return self.lost / total if total else 0.0

    @property
    def overrun_samples(self) -> int:
        """Over all streams."""
        return sum(s.overrun for s in self.streams.values())


class Accounting:
    """Judges each stream message by its numbers alone. One per link; `reset` at START."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Both numberings begin at zero again."""
        self.counts = LinkCounts()
        self._next_seq = 0
        self._refused_seq = -1
        self._refused_run = 0

    def sequence(self, seq: int) -> bool:
        """Take the next stream message's ``seq``. False: a duplicate or late message, to be dropped."""
        counts = self.counts
        if seq == self._next_seq:  # nearly always
            counts.received += 1
            self._next_seq = (seq + 1) % SEQ_MODULUS
            self._refused_run = 0
            return True
        if counts.settled:
            counts.late += 1
            return False
        ahead = (seq - self._next_seq) % SEQ_MODULUS
        if ahead >= _HALF_SEQ:
            if not self._restarted(seq, ahead):
                return False
            ahead = 0
        counts.lost += ahead
        counts.received += 1
        self._next_seq = (seq + 1) % SEQ_MODULUS
        self._refused_run = 0
        return True

    def _restarted(self, seq: int, ahead: int) -> bool:
        if ahead == SEQ_MODULUS - 1 and self._refused_run == 0:
            self.counts.duplicate += 1
        else:
            self.counts.late += 1
        forward = 0 < (seq - self._refused_seq) % SEQ_MODULUS < _HALF_SEQ
        self._refused_run = self._refused_run + 1 if forward else 1
        self._refused_seq = seq
        if self._refused_run < RESTART_AFTER:
            return False
        self.counts.restarts += 1
        for stream in self.counts.streams.values():
            stream.next_index = None
        return True

    def settle(self, totals: SessionTotals, session: int | None = None) -> bool:
        """The session is over and has made this: what is still missing was lost at its end, or dropped in the tool.

        False, and nothing is touched, where these totals cannot be those of the session that was counted (number
        ``session``, if known): less was made than came. Afterwards every stream message is late, until `reset`.
        """
        counts = self.counts
        samples = dict(enumerate(totals.samples))
        came_too_much = any(mine.received > samples.get(stream, 0) for stream, mine in counts.streams.items())
        if came_too_much or counts.received > totals.sent or session not in (None, totals.session):
            return False
        counts.lost, counts.overrun = totals.sent - counts.received, totals.dropped
        for stream, made in samples.items():
            if made or stream in counts.streams:
                self._settle_stream(self._stream(stream), made)
        counts.settled = True
        self._next_seq = -1
        return True

    def _settle_stream(self, mine: StreamCounts, made: int) -> None:
        missing = made - mine.received - mine.lost - mine.overrun
        if missing < 0:  # a gap was counted that was none, for example by a restart
            mine.overrun -= max(0, -missing - mine.lost)
            mine.lost = made - mine.received - mine.overrun
        elif self.counts.lost > mine.lost_before:
            mine.lost += missing
        else:
            mine.overrun += missing
        mine.lost_before = self.counts.lost

    def batch(self, stream: int, first_index: int, count: int) -> int:
        """Take a kept batch's numbers; returns its first index without the wrap."""
        mine = self._stream(stream)
        start = mine.next_index
        if first_index != start:
            if start is None:
                start = first_index
            gap = (first_index - start) % INDEX_MODULUS
            if 0 < gap < _HALF_INDEX:  # else the tool renumbered: backwards with a forward seq; nothing known is lost
                if self.counts.lost > mine.lost_before:
                    mine.lost += gap
                else:
                    mine.overrun += gap
            start += gap
        mine.received += count
        mine.next_index = start + count
        mine.lost_before = self.counts.lost
        return start

    def _stream(self, stream: int) -> StreamCounts:
        """At START every stream begins at zero, after a restart anywhere."""
        mine = self.counts.streams.get(stream)
        if mine is None:
            mine = self.counts.streams[stream] = StreamCounts(next_index=None if self.counts.restarts else 0)
        return mine

    def sequences(self, seq: NDArray[np.uint16]) -> tuple[bool, NDArray[np.int64] | None]:
        """`sequence` for many messages at once, as long as their numbers only go forward.

        False: some do not, and nothing was taken; judge them one by one. True: all are to be kept; then comes
        ``counts.lost`` as it stood after each message (``None``: nothing was lost among them).
        """
        n = len(seq)
        if not n or self.counts.settled:
            return not n, None
        if n <= len(_RAMP) and (seq == _RAMP[:n] + np.uint16(self._next_seq)).all():  # nearly always
            self._advance(seq)
            return True, None
        step = np.diff(seq, prepend=np.uint16((self._next_seq - 1) % SEQ_MODULUS))
        ahead = (step - np.uint16(1)).astype(np.int64)
        if (ahead >= _HALF_SEQ).any():
            return False, None
        lost_at = np.cumsum(ahead) + self.counts.lost
        self.counts.lost = int(lost_at[-1])
        self._advance(seq)
        return True, lost_at

    def _advance(self, seq: NDArray[np.uint16]) -> None:
        self.counts.received += len(seq)
        self._next_seq = (int(seq[-1]) + 1) % SEQ_MODULUS
        self._refused_run = 0

    def batches(
        self, stream: int, first_index: NDArray[np.uint32], count: int, lost_at: NDArray[np.int64] | None
    ) -> int:
        """`batch` for consecutive batches of one stream, ``count`` samples each; returns the first one's index."""
        mine = self._stream(stream)
        start = int(first_index[0]) if mine.next_index is None else mine.next_index
        n, end = len(first_index), start + count * len(first_index)
        if (
            end < INDEX_MODULUS
            and n <= len(_RAMP)
            and (first_index == start + _RAMP[:n].astype(np.int64) * count).all()
        ):
            mine.received += count * n
            mine.next_index = end
            mine.lost_before = self.counts.lost if lost_at is None else int(lost_at[-1])
            return start
        expected = first_index + np.uint32(count)
        expected[1:] = expected[:-1]
        expected[0] = start % INDEX_MODULUS
        gap = (first_index - expected).astype(np.int64)
        if gap.any():
            lost = np.full(len(gap), self.counts.lost) if lost_at is None else lost_at
            on_link, forward = np.diff(lost, prepend=mine.lost_before) > 0, gap < _HALF_INDEX
            mine.lost += int(gap[on_link & forward].sum())
            mine.overrun += int(gap[~on_link & forward].sum())
        mine.received += count * len(gap)
        mine.next_index = start + int(gap.sum()) + count * len(gap)
        mine.lost_before = self.counts.lost if lost_at is None else int(lost_at[-1])
        return start + int(gap[0])
