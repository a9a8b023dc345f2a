"""Bytes from a tool to arrays and messages: the one way in, for live and for replayed data.

Theory of operation. A chunk becomes checked messages (`framing`), each stream message is judged by its numbers
(`accounting`), and neighbouring DATA messages of one stream become *one* array by one ``frombuffer``. Live chunks
hold one or a few messages, replayed and fast ones hundreds; both are worth their own path, `_few` and `_many`,
which must give the same samples and the same counts (tested against each other).

Sans-I/O: no socket, no thread, no clock. Nothing here raises on bytes from the wire: what is damaged, unknown or
not described is counted. It must never know what the samples mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.protocol import dtypes
from nexuslink.protocol.accounting import Accounting, LinkCounts
from nexuslink.protocol.envelope import (
    FIRST_STREAM_TYPE,
    FIRST_VENDOR_TYPE,
    Response,
    StreamMessage,
    take_response,
    take_stream,
)
from nexuslink.protocol.framing import CRC_SIZE, Deframer, FrameCounts
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MAX_MESSAGE,
    MESSAGE_HEADER,
    MessageType,
    SessionTotals,
    StatusMessage,
    StreamDescriptor,
)
from nexuslink.protocol.threshold import Threshold

FEW: Final = 8
"""Up to this many messages the per-message path is the faster one (measured)."""
_DATA_TYPE: Final = int(MessageType.DATA)
_RESPONSE_TYPE: Final = int(MessageType.RESPONSE)
_KNOWN_TYPES: Final = frozenset(MessageType) - {MessageType.REQUEST}
_HEAD: Final = np.dtype(dtypes.DATA_HEADER.descr[:5])
"""What every framed message has room for, its check included: type to count."""
MAX_TIME_US: Final = 0x7FFF_FFFF_FFFF_FFFF
"""Device times are int64 here: 292,000 years."""
Samples = NDArray[Any]
"""int16 or int32, as the stream's descriptor says."""


class Batch(NamedTuple):
    """``n`` consecutive samples of one stream: one DATA message, or several neighbours merged.

    ``first_index``: number of the first sample since START.
    ``t_us``: (n,) int64, device clock of every sample, microseconds: each message's stamp plus nominal periods.
    ``raw``: (n, channels) int16 or int32, counts; may be a view of the received bytes.
    """

    stream: int
    first_index: int
    t_us: NDArray[np.int64]
    raw: Samples


@dataclass(slots=True)
class Decoded:
    """What one chunk held, each list in order of arrival."""

    batches: list[Batch] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    statuses: list[StatusMessage] = field(default_factory=list)
    notices: list[StreamMessage] = field(default_factory=list)
    """LOG, FAULT and EVENT."""


@dataclass(slots=True)
class DecoderCounts:
    """Messages that were whole and still not used."""

    unknown_type: int = 0
    malformed: int = 0
    undescribed: int = 0


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the DATA of one stream is laid out."""

    dtype: np.dtype[Any]
    channels: int
    row_bytes: int
    offsets_us: NDArray[np.int64]


def _layout(descriptor: StreamDescriptor) -> _Layout | None:
    channels = sum(g.channels for g in descriptor.groups)
    rate = descriptor.rate_hz
    dtype = dtypes.SAMPLES.get(descriptor.sample_type)
    if dtype is None or not channels or not 0.01 <= rate <= 1e6:
        return None
    offsets = np.rint(np.arange(256) * (1e6 / rate)).astype(np.int64)
    return _Layout(dtype, channels, channels * dtype.itemsize, offsets)


@lru_cache(maxsize=256)
def _table(samples: np.dtype[Any], channels: int, count: int, tail: int) -> np.dtype[np.void]:
    """A whole DATA message, framing tail included, as one row. Kept: making one takes as long as reading a hundred."""
    return np.dtype([*dtypes.DATA_HEADER.descr, ("samples", samples, (count, channels)), ("tail", "V", tail)])


_kind: Final = itemgetter(0)


def _is_numbered(message: bytes) -> bool:
    """One of the stream's sequence."""
    return FIRST_STREAM_TYPE <= message[0] < FIRST_VENDOR_TYPE


def _seq(message: bytes) -> int:
    return message[2] | message[3] << 8


class Decoder:
    """One link's bytes to `Decoded`. ``framed``: a stream of frames (serial, TCP); else one message a chunk (BLE)."""

    def __init__(self, framed: bool = True) -> None:
        self._deframer = Deframer() if framed else None
        self._tail = CRC_SIZE if framed else 0
        self._accounting = Accounting()
        self._threshold = Threshold()
        self._layouts: dict[int, _Layout] = {}
        self._unframed = FrameCounts()
        self.counts = DecoderCounts()

    @property
    def frames(self) -> FrameCounts:
        """Good and bad frames (without framing: messages by length)."""
        return self._deframer.counts if self._deframer else self._unframed

    @property
    def link(self) -> LinkCounts:
        """Loss and overrun since `begin`."""
        return self._accounting.counts

    def describe(self, streams: Iterable[StreamDescriptor]) -> None:
        """Take the stream descriptors of INFO. A descriptor that makes no sense leaves its stream undescribed."""
        self._layouts = {d.stream: layout for d in streams if (layout := _layout(d)) is not None}

    def begin(self) -> None:
        """A START was sent: sequence numbers and indexes begin at zero."""
        self._accounting.reset()
        self._threshold.begin()

    def settle(self, totals: SessionTotals, session: int | None = None) -> bool:
        """The session has ended with these totals: see `Accounting.settle`."""
        return self._accounting.settle(totals, session)

    def feed(self, data: bytes) -> Decoded:
        """Everything that became whole with these bytes."""
        decoded = Decoded()
        if self._deframer is not None:
            messages = self._deframer.feed(data)
        elif MESSAGE_HEADER.size <= len(data) <= MAX_MESSAGE:
            self._unframed.good += 1
            messages = [data]
        else:
            self._unframed.bad_length += bool(data)  # a tick is no message
            return decoded
        if len(messages) <= FEW or self._threshold.open:
            self._each(messages, decoded)
        else:
            self._many(messages, decoded)
        return decoded

    # -- one message at a time ------------------------------------------------------------------------------------

    def _each(self, messages: list[bytes], decoded: Decoded) -> None:
        for message in messages:
            self._few(message, decoded)

    def _few(self, message: bytes, decoded: Decoded) -> None:
        kind = message[0]
        if kind < FIRST_STREAM_TYPE or kind >= FIRST_VENDOR_TYPE:
            self._other(message, decoded)
            return
        if self._threshold.open and self._threshold.too_early(message):
            self._accounting.counts.late += 1
            return
        if not self._accounting.sequence(message[2] | message[3] << 8):
            return
        if kind != _DATA_TYPE:
            self._other(message, decoded)
            return
        if not self._is_data(message):
            return
        _, _, _, stream, count, first_index, t0_us = DATA_HEADER.unpack_from(message)
        layout = self._layouts[stream]
        first = self._accounting.batch(stream, first_index, count)
        t_us = layout.offsets_us[:count] + (t0_us & MAX_TIME_US)
        raw: Samples = np.ndarray((count, layout.channels), layout.dtype, message, DATA_HEADER.size)
        decoded.batches.append(Batch(stream, first, t_us, raw))

    def _is_data(self, message: bytes) -> bool:
        """A DATA message whose length is what its count says, of a described stream. Else counted."""
        if len(message) < DATA_HEADER.size + self._tail:
            self.counts.malformed += 1
            return False
        layout = self._layouts.get(message[4])
        if layout is None:
            self.counts.undescribed += 1
            return False
        count = message[5]
        if not count or len(message) != DATA_HEADER.size + count * layout.row_bytes + self._tail:
            self.counts.malformed += 1
            return False
        return True

    def _other(self, whole: bytes, decoded: Decoded) -> None:
        """Responses and stream messages without samples; what is newer than this program is counted and skipped."""
        body = whole[: -self._tail] if self._tail else whole
        if body[0] == _RESPONSE_TYPE and (response := take_response(body)) is not None:
            self._threshold.answered(response)
            decoded.responses.append(response)
        elif isinstance(message := take_stream(body), StatusMessage):
            decoded.statuses.append(message)
        elif message is not None:
            decoded.notices.append(message)
        elif body[0] in _KNOWN_TYPES:
            self.counts.malformed += 1
        else:
            self.counts.unknown_type += 1

    # -- hundreds at once -----------------------------------------------------------------------------------------

    def _many(self, messages: list[bytes], decoded: Decoded) -> None:
        kinds = list(map(_kind, messages))
        others: list[int] = []
        if kinds.count(_DATA_TYPE) != len(kinds):
            others = [place for place, kind in enumerate(kinds) if kind != _DATA_TYPE]
        if not self._regular(messages, others, decoded):
            self._mixed(messages, decoded)

    def _regular(self, messages: list[bytes], others: list[int], decoded: Decoded) -> bool:
        """DATA all of one stream and length, and at ``others`` what is no DATA. False: not so, nothing was taken."""
        data = messages
        if others:
            data = messages[: others[0]]
            for begin, end in pairwise([*others, len(messages)]):
                data += messages[begin + 1 : end]
        if not data or len(data[0]) <= DATA_HEADER.size:
            return False
        size, stream, count = len(data[0]), data[0][4], data[0][5]
        layout = self._layouts.get(stream)
        if layout is None or not count or size != DATA_HEADER.size + count * layout.row_bytes + self._tail:
            return False
        if not (self._deframer and self._deframer.uniform) and len(set(map(len, data))) > 1:
            return False
        table = np.frombuffer(b"".join(data), _table(layout.dtype, layout.channels, count, self._tail))
        if not ((table["stream"] == stream) & (table["count"] == count)).all():
            return False
        # The one sequence, with the numbers of the others where they came.
        numbered = [(n, place) for n, place in enumerate(others) if _is_numbered(messages[place])]
        before = [place - n for n, place in numbered]
        seq = table["seq"]
        if before:  # by hand: `np.insert` takes four times as long
            among = [at + n for n, at in enumerate(before)]
            is_data = np.ones(len(seq) + len(among), np.bool_)
            is_data[among] = False
            seq = np.empty(len(is_data), np.uint16)
            seq[is_data], seq[among] = table["seq"], [_seq(messages[place]) for _, place in numbered]
        forward, lost_at = self._accounting.sequences(seq)
        if not forward:
            self._each(messages, decoded)
            return True
        for place in others:
            self._other(messages[place], decoded)
        if lost_at is not None and before:
            lost_at = lost_at[is_data]
        self._merge(table, stream, layout, count, lost_at, decoded)
        return True

    def _mixed(self, messages: list[bytes], decoded: Decoded) -> None:
        """Messages of several kinds and streams: judged together, merged per stream and length."""
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        heads = np.frombuffer(b"".join([message[: _HEAD.itemsize] for message in messages]), _HEAD)
        kinds = heads["type"]
        streamed = (kinds >= FIRST_STREAM_TYPE) & (kinds < FIRST_VENDOR_TYPE)
        forward, lost_at = self._accounting.sequences(heads["seq"][streamed])
        if not forward:
            self._each(messages, decoded)
            return
        data = kinds == _DATA_TYPE
        for place in np.flatnonzero(~data).tolist():
            self._other(messages[place], decoded)
        short = data & (sizes < DATA_HEADER.size + self._tail)
        if short.any():
            self.counts.malformed += int(short.sum())
            data &= ~short
        streams, counts = heads["stream"], heads["count"].astype(np.int64)
        for stream in dict.fromkeys(streams[data].tolist()):  # in order of arrival
            mine = data & (streams == stream)
            layout = self._layouts.get(stream)
            if layout is None:
                self.counts.undescribed += int(mine.sum())
                continue
            whole = mine & (counts > 0) & (sizes == DATA_HEADER.size + counts * layout.row_bytes + self._tail)
            self.counts.malformed += int(mine.sum() - whole.sum())
            places = np.flatnonzero(whole)
            if not len(places):
                continue
            edges = (np.flatnonzero(np.diff(counts[places])) + 1).tolist()
            for begin, end in zip([0, *edges], [*edges, len(places)], strict=True):
                same = places[begin:end]
                count = int(counts[same[0]])
                table = np.frombuffer(
                    b"".join([messages[n] for n in same.tolist()]),
                    _table(layout.dtype, layout.channels, count, self._tail),
                )
                lost = None if lost_at is None else lost_at[(np.cumsum(streamed) - 1)[same]]
                self._merge(table, stream, layout, count, lost, decoded)

    def _merge(
        self, table: NDArray[np.void], stream: int, layout: _Layout, count: int,
        lost_at: NDArray[np.int64] | None, decoded: Decoded,
    ) -> None:  # fmt: skip
        first = self._accounting.batches(stream, table["first_index"], count, lost_at)
        t0_us = (table["t0_us"] & np.uint64(MAX_TIME_US)).astype(np.int64)
        t_us = np.add.outer(t0_us, layout.offsets_us[:count]).ravel()
        raw = table["samples"].reshape(-1, layout.channels)
        gap = np.diff(table["first_index"]) - np.uint32(count)  # modulo 2^32, as the tool counts
        cuts = np.flatnonzero(gap) + 1
        if not len(cuts):  # nearly always
            decoded.batches.append(Batch(stream, first, t_us, raw))
            return
        # A batch is consecutive samples: where some are missing another one begins.
        firsts = first + np.concatenate([[0], np.cumsum(gap.astype(np.int64) + count)])
        for a, b in pairwise([0, *cuts.tolist(), len(table)]):
            rows = slice(a * count, b * count)
            decoded.batches.append(Batch(stream, int(firsts[a]), t_us[rows], raw[rows]))
