"""The four message kinds as bytes: header first, payload after.

Both ends of the link build and take messages here; `messages` holds what is inside. Knows no carrier: framing
is another file's noun. Nothing here raises on bytes from the wire: `None` means "not such a message".
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from nexuslink.protocol.messages import MAX_MESSAGE, MessageType, SampleType, Status, StatusMessage

HEADER: Final = Struct("<BBH")
"""type u8, flags u8, seq u16."""
CONTROL: Final = Struct("<BBHHBB")
"""Header, then request_id u16, opcode u8, and reserved u8 (request) or status u8 (response)."""
DATA: Final = Struct("<BBHBBIQ")
"""Header, then stream u8, count u8, first_index u32, t0_us u64."""
FIRST_STREAM_TYPE: Final = int(MessageType.DATA)
"""Types from here to 0x7F share the stream's sequence number."""
SEQ_MODULUS: Final = 1 << 16

SAMPLE_SIZE: Final = {SampleType.I16: 2, SampleType.I32: 4}
"""Bytes of one channel of one sample."""

_REQUEST, _RESPONSE, _DATA, _STATUS = (int(t) for t in MessageType)


@dataclass(frozen=True, slots=True)
class Request:
    """Host to tool."""

    seq: int
    request_id: int
    opcode: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """Tool to host: the answer to the request with the same id and opcode."""

    seq: int
    request_id: int
    opcode: int
    status: int
    payload: bytes


def pack_request(seq: int, request_id: int, opcode: int, payload: bytes = b"") -> bytes:
    """A REQUEST message."""
    return CONTROL.pack(_REQUEST, 0, seq, request_id, opcode, 0) + payload


def take_request(message: bytes) -> Request | None:
    """The message as a request, or ``None``."""
    if len(message) < CONTROL.size or len(message) > MAX_MESSAGE or message[0] != _REQUEST:
        return None
    _, _, seq, request_id, opcode, _ = CONTROL.unpack_from(message)
    return Request(seq, request_id, opcode, message[CONTROL.size :])


def pack_response(seq: int, request_id: int, opcode: int, status: Status, payload: bytes = b"") -> bytes:
    """A RESPONSE message."""
    return CONTROL.pack(_RESPONSE, 0, seq, request_id, opcode, status) + payload


def take_response(message: bytes) -> Response | None:
    """The message as a response, or ``None``."""
    if len(message) < CONTROL.size or message[0] != _RESPONSE:
        return None
    _, _, seq, request_id, opcode, status = CONTROL.unpack_from(message)
    return Response(seq, request_id, opcode, status, message[CONTROL.size :])


def pack_data(seq: int, stream: int, count: int, first_index: int, t0_us: int, samples: bytes) -> bytes:
    """A DATA message; ``samples`` are ``count`` rows of little-endian integers."""
    return DATA.pack(_DATA, 0, seq, stream, count, first_index & 0xFFFFFFFF, t0_us) + samples


def samples_per_message(sample_type: SampleType, channels: int, max_message: int = MAX_MESSAGE) -> int:
    """How many samples of ``channels`` channels fit one DATA message of ``max_message`` bytes (0 to 255)."""
    return max(0, min(255, (max_message - DATA.size) // (SAMPLE_SIZE[sample_type] * channels)))


def pack_status(seq: int, status: StatusMessage) -> bytes:
    """A STATUS message."""
    return HEADER.pack(_STATUS, 0, seq) + status.pack()


def take_status(message: bytes) -> StatusMessage | None:
    """The message as a status, or ``None``."""
    if len(message) < HEADER.size or message[0] != _STATUS:
        return None
    return StatusMessage.unpack(message[HEADER.size :])
