"""The four message kinds as bytes: header first, payload after.

Both ends of the link build and take messages here; `messages` holds what is inside. Knows no carrier: framing
is another file's noun. Nothing here raises on bytes from the wire: `None` means "not such a message".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nexuslink.protocol.dtypes import SAMPLES
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MAX_MESSAGE,
    MESSAGE_HEADER,
    REQUEST_HEADER,
    RESPONSE_HEADER,
    EventMessage,
    FaultMessage,
    LogMessage,
    MessageType,
    SampleType,
    Status,
    StatusMessage,
)

FIRST_STREAM_TYPE: Final = int(MessageType.DATA)
"""Types from here to 0x7F share the stream's sequence number."""
FIRST_VENDOR_TYPE: Final = 0x80
SEQ_MODULUS: Final = 1 << 16

StreamMessage = StatusMessage | LogMessage | FaultMessage | EventMessage
"""What travels in the stream's sequence beside DATA."""
_STREAM_TYPES: Final[dict[type, MessageType]] = {
    StatusMessage: MessageType.STATUS,
    LogMessage: MessageType.LOG,
    FaultMessage: MessageType.FAULT,
    EventMessage: MessageType.EVENT,
}
_STREAM_PAYLOADS: Final[dict[int, type[StreamMessage]]] = {
    int(MessageType.STATUS): StatusMessage,
    int(MessageType.LOG): LogMessage,
    int(MessageType.FAULT): FaultMessage,
    int(MessageType.EVENT): EventMessage,
}
_REQUEST, _RESPONSE, _DATA = int(MessageType.REQUEST), int(MessageType.RESPONSE), int(MessageType.DATA)


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
    return REQUEST_HEADER.pack(_REQUEST, 0, seq, request_id, opcode, 0) + payload


def take_request(message: bytes) -> Request | None:
    """The message as a request, or ``None``."""
    if len(message) < REQUEST_HEADER.size or len(message) > MAX_MESSAGE or message[0] != _REQUEST:
        return None
    _, _, seq, request_id, opcode, _ = REQUEST_HEADER.unpack_from(message)
    return Request(seq, request_id, opcode, message[REQUEST_HEADER.size :])


def pack_response(seq: int, request_id: int, opcode: int, status: Status, payload: bytes = b"") -> bytes:
    """A RESPONSE message."""
    return RESPONSE_HEADER.pack(_RESPONSE, 0, seq, request_id, opcode, status) + payload


def take_response(message: bytes) -> Response | None:
    """The message as a response, or ``None``."""
    if len(message) < RESPONSE_HEADER.size or message[0] != _RESPONSE:
        return None
    _, _, seq, request_id, opcode, status = RESPONSE_HEADER.unpack_from(message)
    return Response(seq, request_id, opcode, status, message[RESPONSE_HEADER.size :])


def pack_data(seq: int, stream: int, count: int, first_index: int, t0_us: int, samples: bytes) -> bytes:
    """A DATA message; ``samples`` are ``count`` rows of little-endian integers."""
    return DATA_HEADER.pack(_DATA, 0, seq, stream, count, first_index & 0xFFFFFFFF, t0_us) + samples


def samples_per_message(sample_type: SampleType, channels: int, max_message: int = MAX_MESSAGE) -> int:
    """How many samples of ``channels`` channels fit one DATA message of ``max_message`` bytes (0 to 255)."""
    return max(0, min(255, (max_message - DATA_HEADER.size) // (SAMPLES[sample_type].itemsize * channels)))


def pack_stream(seq: int, message: StreamMessage) -> bytes:
    """A STATUS, LOG, FAULT or EVENT message."""
    return MESSAGE_HEADER.pack(_STREAM_TYPES[type(message)], 0, seq) + message.pack()


def take_stream(message: bytes) -> StreamMessage | None:
    """The message as one of those, or ``None``."""
    payload = _STREAM_PAYLOADS.get(message[0]) if len(message) >= MESSAGE_HEADER.size else None
    return None if payload is None else payload.unpack(message[MESSAGE_HEADER.size :])
