"""The wire by its definition: fields to bytes, bytes to frames. What the golden vectors are made with.

Straight from the schema and the sentences of its reference, with `struct` and nothing else. It must never use the
generated codec or the host's framing: these are what it is compared with.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator.schema import CODES, FLOAT_LIMITS, Field

CRC_BYTES = 4
HEADER_BYTES = 4

Value = Any
"""An int, a float, a list of them, or text (``char``, and counted ``u8`` as hex)."""


@dataclass(frozen=True)
class Leaf:
    """One field that has no fields inside, at its place in a payload."""

    path: str
    """As in C: ``groups[1].scale``; an array of numbers is one leaf."""
    scalar: str
    """u8 ... f64, "char", or "bytes" for a counted array of u8."""
    length: int
    array: bool
    low: float | int | None
    high: float | int | None
    ranged: bool
    """The schema gives a range (and not only: floats are finite)."""
    enum: str
    counts: bool
    """Says how many elements follow at the end."""

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return self.length * (1 if self.scalar in ("char", "bytes") else struct.calcsize("<" + CODES[self.scalar]))

    @property
    def is_float(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.scalar in FLOAT_LIMITS


def leaves(schema: dict[str, Any], table: dict[str, Any], elements: int = 0) -> list[Leaf]:
    """The leaves of a struct or message in wire order, with ``elements`` in its counted array if it has one."""
    structs = {s["name"]: s for s in schema["structs"]}
    counters = {f.count for f in table["fields"] if f.count}

    def inside(field: Field, path: str) -> Iterator[Leaf]:
        many = elements if field.count else field.length
        if field.kind == "struct":
            for n in range(many):
                element = f"{path}[{n}]" if field.array or field.count else path
                for inner in structs[field.base]["fields"]:
                    yield from inside(inner, f"{element}.{inner.name}")
            return
        scalar = field.scalar or "char"
        if field.count and scalar == "u8":
            scalar = "bytes"
        floats_only = scalar in FLOAT_LIMITS and field.high == FLOAT_LIMITS[scalar]
        yield Leaf(
            path, scalar, many, field.array or bool(field.count), field.low, field.high,
            field.low is not None and not floats_only, field.base if field.kind == "enum" else "", path in counters,
        )  # fmt: skip

    return [leaf for field in table["fields"] for leaf in inside(field, field.name)]


def encode(leaf: Leaf, value: Value) -> bytes:
    """The bytes of one leaf."""
    if leaf.scalar == "bytes":
        return bytes.fromhex(value)
    if leaf.scalar == "char":
        return struct.pack(f"<{leaf.length}s", value.encode("ascii"))
    numbers = value if leaf.array else [value]
    return struct.pack(f"<{leaf.length}{CODES[leaf.scalar]}", *numbers)


def decode(leaf: Leaf, octets: bytes) -> Value:
    """The value in the bytes of one leaf, as the rows of the golden files show it."""
    if leaf.scalar == "bytes":
        return octets.hex()
    if leaf.scalar == "char":
        return octets.split(b"\0", 1)[0].decode("ascii", "replace")
    numbers = [shown(leaf, number) for number in struct.unpack(f"<{leaf.length}{CODES[leaf.scalar]}", octets)]
    return numbers if leaf.array else numbers[0]


def decode_payload(schema: dict[str, Any], table: dict[str, Any], payload: bytes) -> list[tuple[str, Value]]:
    """(place, value) of every leaf. The payload must be whole."""
    elements, at, found = 0, 0, []
    for leaf in leaves(schema, table):
        if leaf.counts:
            elements = payload[at]
        at += leaf.size
    at = 0
    for leaf in leaves(schema, table, elements):
        found.append((leaf.path, decode(leaf, payload[at : at + leaf.size])))
        at += leaf.size
    return found


def shown(leaf: Leaf, value: Value) -> Value:
    """A value as JSON can hold it."""
    if isinstance(value, list):
        return [shown(leaf, item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        bits = struct.pack(">" + CODES[leaf.scalar], value).hex()
        return f"nan {bits}" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def rounded(scalar: str, value: float) -> float:
    """A float as this type keeps it."""
    return float(struct.unpack("<" + CODES[scalar], struct.pack("<" + CODES[scalar], value))[0])


def problem(leaf: Leaf, value: Value) -> str | None:
    """The place of the first number that is out of range (for a float: or not finite), or ``None``."""
    if leaf.low is None or leaf.high is None:
        return None
    for n, number in enumerate(value if leaf.array else [value]):
        if not leaf.low <= number <= leaf.high:
            return f"{leaf.path}[{n}]" if leaf.array else leaf.path
    return None


def request(seq: int, request_id: int, opcode: int, payload: bytes) -> bytes:
    """A REQUEST message."""
    return struct.pack("<BBHHBB", 1, 0, seq, request_id, opcode, 0) + payload


def response(seq: int, request_id: int, opcode: int, status: int, payload: bytes) -> bytes:
    """A RESPONSE message."""
    return struct.pack("<BBHHBB", 2, 0, seq, request_id, opcode, status) + payload


def stream_message(kind: int, seq: int, payload: bytes) -> bytes:
    """A stream message that is not DATA."""
    return struct.pack("<BBH", kind, 0, seq) + payload


def data(seq: int, stream: int, count: int, first_index: int, t0_us: int, samples: bytes) -> bytes:
    """A DATA message."""
    return struct.pack("<BBHBBIQ", 0x10, 0, seq, stream, count, first_index, t0_us) + samples


def cobs(raw: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999), without the zero at the end."""
    out = bytearray()
    block = bytearray()
    for byte in raw:
        if byte:
            block.append(byte)
        if not byte or len(block) == 254:
            out += bytes([len(block) + 1]) + block
            block.clear()
            full = byte != 0
            continue
        full = False
    if block or not raw or not full:
        out += bytes([len(block) + 1]) + block
    return bytes(out)


def uncobs(encoded: bytes) -> bytes | None:
    """The bytes again, or ``None`` where a code points past the end."""
    out = bytearray()
    at = 0
    while at < len(encoded):
        code = encoded[at]
        block = encoded[at + 1 : at + code]
        if len(block) != code - 1:
            return None
        at += code
        out += block
        if code < 255 and at < len(encoded):
            out.append(0)
    return bytes(out)


def framed(message: bytes, wrong_crc: int = 0) -> bytes:
    """A message as a frame, with its zero; the CRC XORed with ``wrong_crc``."""
    return cobs(message + struct.pack("<I", zlib.crc32(message) ^ wrong_crc)) + b"\0"


def faults(encoded: bytes, max_message: int) -> set[str]:
    """What is wrong with one frame (without its zero): names of the counters that may count it, empty if good."""
    raw = uncobs(encoded)
    found = set()
    if raw is None:
        found.add("bad_cobs")
        if len(encoded) > max_message + CRC_BYTES + 1:
            found.add("bad_length")
        return found
    if not HEADER_BYTES <= len(raw) - CRC_BYTES <= max_message:
        found.add("bad_length")
    if len(raw) < CRC_BYTES or zlib.crc32(raw[:-CRC_BYTES]) != int.from_bytes(raw[-CRC_BYTES:], "little"):
        found.add("bad_crc")
    return found


def read_frames(stream: bytes, max_message: int) -> tuple[list[bytes], dict[str, int]]:
    """What a reader gets out of these bytes: the messages and its counts.

    A frame that is wrong in two ways may be counted as either: then there is only the sum, ``bad``.
    """
    messages = []
    counts = {"good": 0, "bad_cobs": 0, "bad_crc": 0, "bad_length": 0}
    unclear = 0
    for encoded in stream.split(b"\0")[:-1]:
        if not encoded:
            continue
        wrong = faults(encoded, max_message)
        if not wrong:
            messages.append((uncobs(encoded) or b"")[:-CRC_BYTES])
            counts["good"] += 1
        elif len(wrong) == 1:
            counts[wrong.pop()] += 1
        else:
            unclear += 1
    if unclear:
        counts = {"good": counts["good"], "bad": sum(counts.values()) - counts["good"] + unclear}
    return messages, counts
