"""One session as the host counted it, and what must be true of it once it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nexuslink.protocol.decoder import Batch, Decoder
from nexuslink.protocol.messages import SessionTotals

from .truth import Witness


@dataclass(slots=True)
class Counted:
    """A session in the making: from the sending of START until its totals are known."""

    decoder: Decoder
    after: int
    """Number of the session before."""
    number: int | None = None
    """As START's response says; None while that has not come."""
    samples: dict[int, int] = field(default_factory=dict)
    """Stream -> samples that were handed to listeners."""
    ends: dict[int, int] = field(default_factory=dict)
    """Stream -> index behind the newest sample."""
    reached: int = 0
    """Messages received or lost before the totals were known."""
    wrong: list[str] = field(default_factory=list)

    def take(self, batches: Iterable[Batch], witness: Witness) -> None:
        """What one chunk became: in order, never twice, and the very values that left the tool."""
        link = self.decoder.link
        if not link.settled:
            self.reached = link.received + link.lost
        for batch in batches:
            if witness.session <= self.after:
                self.wrong.append(f"stream {batch.stream}: samples came, and the session had not begun")
            stream, first, n = batch.stream, batch.first_index, len(batch.raw)
            if first < self.ends.get(stream, 0):
                self.wrong.append(f"stream {stream}: sample {first} came after {self.ends[stream] - 1}")
            self.ends[stream] = first + n
            self.samples[stream] = self.samples.get(stream, 0) + n
            if not np.array_equal(batch.raw, witness.rows(stream, first, n)):
                self.wrong.append(f"stream {stream}: samples {first} to {first + n - 1} are not those that left")

    def judge(self, made: SessionTotals, witness: Witness) -> list[str]:
        """Everything that is wrong with a settled session, one line each."""
        return [f"session {made.session}: {line}" for line in (*self.wrong, *self._problems(made, witness))]

    def _problems(self, made: SessionTotals, witness: Witness) -> Iterator[str]:
        link = self.decoder.link
        if not link.settled:
            yield f"the host refused the totals: {made}"
        produced = made.sent + made.dropped
        if (witness.session, witness.made, witness.sent) != (made.session, produced, made.sent):
            yield f"messages: {witness.made} made, {witness.sent} left; the firmware counts {produced} and {made.sent}"
        if link.received + link.lost + link.overrun != produced:
            yield f"messages: {link.received} + {link.lost} + {link.overrun} is not {produced}"
        if self.reached > made.sent or link.lost < 0 or link.overrun != made.dropped:
            yield f"messages: reached {self.reached} of {made.sent}, lost {link.lost}, {link.overrun} of {made.dropped}"
        for stream, samples in enumerate(made.samples):
            counts = link.streams.get(stream)
            received, lost, overrun = (counts.received, counts.lost, counts.overrun) if counts else (0, 0, 0)
            name = f"samples of stream {stream}"
            if received + lost + overrun != samples:
                yield f"{name}: {received} + {lost} + {overrun} is not {samples}"
            if received != self.samples.get(stream, 0):
                yield f"{name}: {received} counted, {self.samples.get(stream, 0)} handed on"
            if self.ends.get(stream, 0) > samples:
                yield f"{name}: reached {self.ends[stream]} of {samples}"
            left = witness.samples_sent[stream]
            # Where a loss and an overrun fall into one gap, the host cannot tell them apart and says: lost.
            if not 0 <= overrun <= samples - left or lost < left - received:
                yield f"{name}: {left} left the tool, {received} came; lost {lost} and overrun {overrun} cannot be"
