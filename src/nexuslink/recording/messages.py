"""The three messages of a session: their protobuf descriptors, and arrays to bytes and back.

The descriptors are built here from one table, so that a session carries its own schema and no compiler is needed.
Nothing here knows a file.

Rows of estimates travel as packed 64-bit fields whose bytes are the arrays' own: a replay can compare bit for bit,
NaN included. Writing them is therefore a join of byte strings; everything else goes through the protobuf library,
and reading always does, because what is read is hostile.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike, NDArray

from nexuslink.protocol.chunk import Chunk

TIPS = ("psoas", "iliacus")
"""The columns of every per-tip array, in order."""

_PACKAGE = "nexuslink"
_FILE = "nexuslink/session.proto"
_FIELD = descriptor_pb2.FieldDescriptorProto


class Channel(IntEnum):
    """The channels of a session; the value is the MCAP channel and schema id."""

    CHUNKS = 1
    ESTIMATES = 2
    EVENTS = 3


TOPICS: Mapping[Channel, str] = {
    Channel.CHUNKS: "/nexus/chunks",
    Channel.ESTIMATES: "/nexus/estimates",
    Channel.EVENTS: "/nexus/events",
}
_NAMES: Mapping[Channel, str] = {Channel.CHUNKS: "Chunk", Channel.ESTIMATES: "Estimates", Channel.EVENTS: "Event"}


class EstimateRows(NamedTuple):
    """Rows as recorded. Float columns are float64 in the order of :data:`TIPS`; NaN means unknown."""

    t_us: NDArray[np.int64]
    """(n,) device time, microseconds since the tool's boot"""
    force_n: NDArray[np.float64]
    """(n, 2) newtons of compression"""
    pressure_kpa: NDArray[np.float64]
    """(n, 2) kilopascals"""
    tip_angle_deg: NDArray[np.float64]
    """(n, 2) degrees of the tip's axis from vertical"""
    tip_direction_deg: NDArray[np.float64]
    """(n, 2) degrees, the way the tip leans"""


class SessionEvent(NamedTuple):
    """Something that happened: a transition of the hold, a note."""

    t_us: int
    kind: str
    detail: str


class PackedRows(NamedTuple):
    """A copy of some rows, owned by the recorder: little-endian bytes, each column of a tip contiguous."""

    size: int
    """number of rows"""
    t_us: bytes
    columns: tuple[bytes, ...]
    """one item for each float array of :class:`EstimateRows`: first tip's column, then the second's"""


# Field names and numbers of each message. Numbers stay below 16: a tag is then one byte.
_COLUMNS = tuple(f"{tip}_{name}" for name in EstimateRows._fields[1:] for tip in TIPS)
_FIELDS: Mapping[str, tuple[tuple[str, Any, bool], ...]] = {
    "Chunk": (("arrival_ns", _FIELD.TYPE_FIXED64, False), ("data", _FIELD.TYPE_BYTES, False)),
    "Estimates": (
        ("t_us", _FIELD.TYPE_SFIXED64, True),
        *((name, _FIELD.TYPE_DOUBLE, True) for name in _COLUMNS),
    ),
    "Event": (
        ("t_us", _FIELD.TYPE_SFIXED64, False),
        ("kind", _FIELD.TYPE_STRING, False),
        ("detail", _FIELD.TYPE_STRING, False),
    ),
}


def _describe() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for number, (name, kind, repeated) in enumerate(fields, start=1):
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            message.field.add(name=name, number=number, type=kind, label=label)
    return file


_DESCRIPTION = _describe()
DESCRIPTOR_SET: bytes = descriptor_pb2.FileDescriptorSet(file=[_DESCRIPTION]).SerializeToString()
"""The binary FileDescriptorSet that each channel's schema holds."""

_INT, _FLOAT = np.dtype("<i8"), np.dtype("<f8")

# A pool of our own: the process may hold other versions of the same names.
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_DESCRIPTION)


def _message_class(channel: Channel) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(schema_name(channel)))


def schema_name(channel: Channel) -> str:
    """The full protobuf name of the channel's message."""
    return f"{_PACKAGE}.{_NAMES[channel]}"


_CHUNK = _message_class(Channel.CHUNKS)
_ESTIMATES = _message_class(Channel.ESTIMATES)
_EVENT = _message_class(Channel.EVENTS)


class MessageError(ValueError):
    """The bytes are not this message; the text says why, without the place."""


def encode_chunk(chunk: Chunk) -> bytes:
    """A raw chunk, or a tick (empty data)."""
    return bytes(_CHUNK(arrival_ns=chunk.arrival_ns, data=chunk.data).SerializeToString())


def decode_chunk(payload: bytes) -> Chunk:
    """The inverse of :func:`encode_chunk`."""
    message = _parse(_CHUNK, payload)
    return Chunk(message.arrival_ns, message.data)


def encode_event(event: SessionEvent) -> bytes:
    """An event; lone surrogates in the text become question marks, a note must not end a recording."""
    kind, detail = (text.encode(errors="replace").decode() for text in event[1:])
    return bytes(_EVENT(t_us=event.t_us, kind=kind, detail=detail).SerializeToString())


def decode_event(payload: bytes) -> SessionEvent:
    """The inverse of :func:`encode_event`."""
    message = _parse(_EVENT, payload)
    return SessionEvent(message.t_us, message.kind, message.detail)


def pack_rows(t_us: ArrayLike, *columns: ArrayLike) -> PackedRows:
    """Copy the arrays of :class:`EstimateRows`; raises ValueError unless they are (n,) and four times (n, 2)."""
    times = np.asarray(t_us, dtype=_INT)
    count = times.size
    if times.shape != (count,):
        raise ValueError(f"t_us must have shape (n,), not {times.shape}")
    packed = []
    for values in columns:
        array = np.asarray(values, dtype=_FLOAT)
        if array.shape != (count, 2):
            raise ValueError(f"every column must have shape ({count}, 2), not {array.shape}")
        packed.append(array.T.tobytes())
    return PackedRows(count, times.tobytes(), tuple(packed))


def encode_rows(rows: PackedRows) -> bytes:
    """The Estimates message: every field is length-delimited and equally long."""
    size = 8 * rows.size
    length = _varint(size)
    parts = [_tag(1), length, rows.t_us]
    number = 2
    for column in rows.columns:
        parts += [_tag(number), length, column[:size], _tag(number + 1), length, column[size:]]
        number += 2
    return b"".join(parts)


def decode_rows(payload: bytes) -> EstimateRows:
    """The inverse of :func:`encode_rows`."""
    message = _parse(_ESTIMATES, payload)
    count = len(message.t_us)
    pairs = np.empty((len(_COLUMNS) // len(TIPS), count, len(TIPS)))
    for at, name in enumerate(_COLUMNS):
        column = getattr(message, name)
        if len(column) != count:
            raise MessageError("estimates whose columns differ in length")
        pairs[at // len(TIPS), :, at % len(TIPS)] = np.fromiter(column, np.float64, count)
    return EstimateRows(np.fromiter(message.t_us, np.int64, count), *pairs)


def _parse(kind: Any, payload: bytes) -> Any:
    try:
        return kind.FromString(payload)
    except DecodeError:
        raise MessageError(f"a message that is not a {kind.DESCRIPTOR.full_name}") from None


def _tag(number: int) -> bytes:
    return bytes((number << 3 | 2,))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
