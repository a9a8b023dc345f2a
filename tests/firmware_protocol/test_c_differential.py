"""C = Python on thousands of generated messages and damaged streams, with the sanitizers watching.

What is compared with what: values -> C bytes, values -> Python bytes, bytes -> C values -> C bytes, and what each of
the two refuses or finds out of range. Streams are cut anywhere for Python; C takes them byte by byte.
"""

from __future__ import annotations

import random
import struct
from typing import Any
from zlib import crc32

import pytest
from firmware_protocol.c_codec import CODES, Leaf, ask, hexed, leaves, payloads, schema, word

from nexuslink.protocol import messages
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import MAX_MESSAGE

CASES = 150
STREAMS = 1500
TEXT = b" !09AZaz~"
MESSAGES = {name: payload for name, payload in payloads().items() if "direction" in payload}
EDGES = {
    "f32": [0x0, 0x80000000, 0x1, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000,
            0xFFC12345],
    "f64": [0x0, 1 << 63, 0x1, 0x0010 << 48, 0x3FF0 << 48, (0x7FF0 << 48) - 1, (0xFFF0 << 48) - 1, 0x7FF0 << 48,
            0xFFF0 << 48, 0x7FF8 << 48, 0xFFF8000012345678],
}  # fmt: skip
"""Bits of floats at which a codec goes wrong. Signalling NaN only where Python's `struct` is not asked."""


def _value(chance: random.Random, leaf: Leaf) -> bytes:
    """One value's bytes: an edge, a limit of its range, or anything."""
    size = struct.calcsize(CODES[leaf.scalar])
    draw = chance.random()
    if leaf.low is not None and leaf.high is not None and draw < 0.4:
        return struct.pack(f"<{CODES[leaf.scalar]}", chance.choice((leaf.low, leaf.high)))
    if draw < 0.6:
        edges = EDGES.get(leaf.scalar, [0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1])
        return chance.choice(edges).to_bytes(size, "little")
    if leaf.is_float:
        return struct.pack(f"<{CODES[leaf.scalar]}", chance.uniform(-2, 2) * 10 ** chance.randint(-6, 6))
    return chance.randbytes(size)


def _message(chance: random.Random, payload: dict[str, Any]) -> tuple[bytes, list[str]]:
    """A payload and its values as the harness speaks them."""
    counted = payload["counted"]
    elements = chance.choice((0, 1, counted.maximum, chance.randint(0, counted.maximum))) if counted else 0
    made, words = b"", []
    for leaf in leaves(schema(), payload, elements):
        if leaf.scalar == "char":
            text = bytes(chance.choice(TEXT) for _ in range(chance.randint(0, leaf.length)))
            octets = text.ljust(leaf.length, b"\0")
            words.append(octets.hex())
        elif leaf.scalar == "bytes":
            octets = chance.randbytes(leaf.length)
            words.append(hexed(octets))
        else:
            each = [bytes([elements]) if leaf.counts else _value(chance, leaf) for _ in range(leaf.length)]
            words += [word(leaf.scalar, value) for value in each]
            octets = b"".join(each)
        made += octets
    return made, words


@pytest.mark.parametrize("seed", [1, 2])
def test_every_message(seed: int) -> None:
    chance = random.Random(seed)
    lines, expected = [], []
    for name, payload in MESSAGES.items():
        cls = getattr(messages, payload["name"])
        for _ in range(CASES):
            octets, words = _message(chance, payload)
            message = cls.unpack(octets)
            assert message.pack() == octets
            valid = "-" if not payload["checked"] else "0" if message.problem() else "1"
            lines += [f"get {name} {hexed(octets)}", f"put {name} {len(octets)} {' '.join(words)}"]
            expected += [[valid, octets.hex(), *words], [octets.hex()]]
    assert len(lines) > 10_000
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        assert found == wanted, line
    assert {wanted[0] for wanted in expected[::2]} == {"-", "0", "1"}


def test_any_bytes() -> None:
    """No message for Python is none for C; what is one comes out as the bytes that went in, every NaN included."""
    chance = random.Random(3)
    lines, expected = [], []
    for name, payload in MESSAGES.items():
        cls = getattr(messages, payload["name"])
        for _ in range(CASES):
            octets = bytearray(chance.randbytes(chance.randint(0, payload["longest"] + 4)))
            counted = payload["counted"]
            if (
                counted and len(octets) >= payload["size"]
            ):  # a count that may fit: it stands at the end of the fixed part
                octets[payload["size"] - 1] = chance.randint(0, counted.maximum + 1)
            message = cls.unpack(bytes(octets))
            lines.append(f"get {name} {hexed(octets)}")
            expected.append(None if message is None else (octets[: len(message.pack())].hex(), message.problem()))
    refused = 0
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        refused += wanted is None
        if wanted is None:
            assert found == ["none"], line
        else:
            assert found[1] == wanted[0], line
            assert found[0] in ("-", "0" if wanted[1] else "1"), line
    assert 0.1 < refused / len(lines) < 0.9


def test_counts_beyond_the_maximum_are_not_put() -> None:
    rows = [(name, payload) for name, payload in MESSAGES.items() if payload["counted"]]
    assert len(rows) >= 4
    lines = []
    for name, payload in rows:
        words = _message(random.Random(4), {**payload, "fields": payload["fields"][:-1], "counted": None})[1]
        counted = payload["counted"]
        tail = ["-"] if counted.base == "u8" else ["0"] * (counted.maximum * 4)
        lines.append(f"put {name} 9999 {' '.join(words[:-1])} {counted.maximum + 1} {' '.join(tail)}")
    assert ask(lines) == [["none"]] * len(lines)


# -- streams ----------------------------------------------------------------------------------------------------------


def _flip(chance: random.Random, stream: bytearray) -> None:
    stream[chance.randrange(len(stream))] ^= 1 << chance.randrange(8)


def _drop(chance: random.Random, stream: bytearray) -> None:
    at = chance.randrange(len(stream))
    del stream[at : at + chance.choice((1, 2, 30))]


def _duplicate(chance: random.Random, stream: bytearray) -> None:
    at = chance.randrange(len(stream))
    stream[at:at] = stream[at : at + chance.choice((1, 2, 30, 300))]


def _garbage(chance: random.Random, stream: bytearray) -> None:
    at = chance.randrange(len(stream))
    stream[at:at] = chance.randbytes(chance.choice((1, 5, 100)))


def _zeros(chance: random.Random, stream: bytearray) -> None:
    at = chance.randrange(len(stream))
    stream[at:at] = bytes(chance.choice((1, 2, 40)))


def _long(chance: random.Random, stream: bytearray) -> None:
    at = chance.randrange(len(stream))
    stream[at:at] = bytes([chance.randint(1, 255)]) * chance.choice((248, 249, 250, 600))


def _short(chance: random.Random, stream: bytearray) -> None:
    stream += chance.choice((frame(b""), frame(b"abc"), b"\x01\x00", b"\x02\x00", frame(chance.randbytes(248))))


def _swap_crc(chance: random.Random, stream: bytearray) -> None:
    stream += frame(chance.randbytes(20)).replace(b"\x15", b"\x16", 1)


DAMAGE = (_flip, _drop, _duplicate, _garbage, _zeros, _long, _short, _swap_crc)


def _stream(chance: random.Random) -> bytes:
    stream = bytearray()
    for _ in range(chance.randint(0, 8)):
        longest = MAX_MESSAGE if chance.random() < 0.3 else 30
        body = chance.randbytes(chance.randint(4, longest))
        if chance.random() < 0.3:
            body = bytes(byte if chance.random() < 0.5 else 0 for byte in body)
        stream += frame(body)
    for _ in range(chance.randint(0, 5)):
        if stream:
            chance.choice(DAMAGE)(chance, stream)
    return bytes(stream)


def _in_python(stream: bytes, cuts: list[int]) -> list[str]:
    """The words that the harness should answer, from the host's reader fed in pieces."""
    reader = Deframer()
    found: list[str] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += [message[:-CRC_SIZE].hex() for message in reader.feed(stream[begin:end])]
    counts = reader.counts
    return [*map(str, (counts.good, counts.bad_cobs, counts.bad_crc, counts.bad_length)), *found]


def test_streams_damaged_and_cut_anywhere() -> None:
    chance = random.Random(5)
    streams = [_stream(chance) for _ in range(STREAMS)]
    totals = [0, 0, 0, 0]
    for stream, found in zip(streams, ask([f"deframe {hexed(s)}" for s in streams]), strict=True):
        pieces = sorted(chance.choices(range(len(stream) + 1), k=chance.randint(0, 12)))
        for cuts in ([], pieces, list(range(1, len(stream)))):
            assert found == _in_python(stream, cuts), (stream.hex(), cuts)
        totals = [a + int(b) for a, b in zip(totals, found[:4], strict=True)]
    assert min(totals) > STREAMS / 10, totals


def test_a_reader_is_in_step_one_frame_after_any_garbage() -> None:
    chance = random.Random(6)
    message = b"\x10\x00\x01\x00payload"
    streams = [chance.randbytes(chance.randint(0, 900)) + frame(message) + frame(message) for _ in range(500)]
    for stream, found in zip(streams, ask([f"deframe {hexed(s)}" for s in streams]), strict=True):
        assert found[-1] == message.hex(), stream.hex()


def test_framing_in_both_directions() -> None:
    chance = random.Random(7)
    bodies = [chance.randbytes(n) for n in range(4, MAX_MESSAGE + 1)] + [bytes(n) for n in range(4, MAX_MESSAGE + 1)]
    found = ask([f"frame {len(body) + 6} {body.hex()}" for body in bodies] + [f"crc {hexed(body)}" for body in bodies])
    assert found[: len(bodies)] == [[frame(body).hex()] for body in bodies]
    crcs = [int(words[0]) for words in found[len(bodies) :]]
    assert crcs == [crc32(body) for body in bodies]
