"""Golden streams: frames with everything that a carrier does to them, and messages whose numbers wrap.

What comes out is written down or worked out with `wire`; never with the host's code, which is what is tested.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

from generator.wire import cobs, data, framed, read_frames, response, stream_message

DATA, STATUS, LATER, VENDOR, LATER_CONTROL = 0x10, 0x11, 0x15, 0x85, 0x03
HALF = 1 << 31
TINY = {"stream": 0, "sample_type": "I16", "channels": 1, "rate_hz": 1000.0}
"""The stream of the sessions: small samples, whole periods of 1000 us."""


# -- frames -----------------------------------------------------------------------------------------------------------


def _frame_rows(limit: int) -> list[tuple[str, bytes]]:
    rng = random.Random(3)
    first, second, third = (data(n, 0, 4, 4 * n, 4000 * n, bytes(range(8))) for n in range(3))
    answer = response(1, 2, 1, 0, bytes(16))
    ones, long = b"\x11" * 40, bytes(rng.randrange(1, 256) for _ in range(limit))
    one, two, three = framed(first), framed(second), framed(third)
    noise = bytes(rng.randrange(1, 256) for _ in range(70))
    return [
        ("three good frames", one + two + framed(answer)),
        ("zeros between frames are idle fill", b"\0\0\0" + one + b"\0\0" + two + b"\0"),
        ("the shortest message", framed(b"\x15\x00\x00\x00")),
        ("the longest message", framed(long)),
        ("the longest message, all zeros", framed(bytes(limit))),
        ("a wrong CRC", one + framed(second, wrong_crc=1) + three),
        ("a wrong CRC, the highest bit", framed(second, wrong_crc=0x80000000)),
        ("the CRC's bytes turned around", cobs(ones + crc_bytes(ones)[::-1]) + b"\0"),
        ("a bit of the payload changed", one + cobs(flipped(second) + crc_bytes(second)) + b"\0" + three),
        ("a code that points past the end", one + b"\x40" + ones[:20] + b"\0" + two),
        ("a code that points past the end by one", b"\x16" + ones[:20] + b"\0"),
        ("a code of 255 and too few bytes", b"\xff" + ones + b"\0" + one),
        ("a message of three bytes", framed(b"\x10\x00\x00") + one),
        ("a message of no bytes", framed(b"") + one),
        ("fewer bytes than a CRC", b"\x03\x01\x02\0" + one),
        ("one byte", b"\x01\0" + one + b"\x02\0" + two),
        ("one byte too long", framed(long + b"\x01") + one),
        ("one byte too long, all zeros", framed(bytes(limit + 1)) + one),
        ("254 bytes without a zero and its CRC", framed(b"\x22" * 254) + one),
        ("far too long", framed(b"\x33" * 3000) + one),
        ("far too long, and no frame at all", b"\x77" * 2000 + b"\0" + one),
        ("the end of a frame, then whole ones", one[7:] + two + three),
        ("noise before the first zero takes the first frame with it", noise + one + two),
        ("noise and a zero, then whole ones", noise + b"\0" + one + two),
        ("a lost zero takes two frames", one[:-1] + two + three),
        ("lost bytes in the middle", one + two[:9] + two[12:] + three),
        ("the end of a frame is lost", one + two[:11] + b"\0" + three),
        ("a byte too many", one + two[:9] + b"\x05" + two[9:] + three),
        ("a zero in the middle cuts a frame in two", one + two[:10] + b"\0" + two[10:] + three),
        ("a frame that has not ended yet", one + two[:-1]),
        ("noise with zeros in it, for a while, then whole frames",
         bytes(rng.choice((0, *range(1, 256))) if n % 9 else 0 for n in range(400)) + b"\0" + one + two + three),
    ]  # fmt: skip


def crc_bytes(message: bytes) -> bytes:
    """The four bytes at the end of a frame of ``message``, before COBS."""
    return zlib.crc32(message).to_bytes(4, "little")


def flipped(message: bytes) -> bytes:
    """One bit of the last byte the other way round."""
    return message[:-1] + bytes([message[-1] ^ 0x10])


def frames(limit: int) -> list[dict[str, Any]]:
    """Bytes of a carrier, the messages in them, the counts. ``limit``: MAX_MESSAGE."""
    found = []
    for why, stream in _frame_rows(limit):
        messages, counts = read_frames(stream, limit)
        cuts = sorted({1, len(stream) // 3, len(stream) // 2, len(stream) - 1} & set(range(1, len(stream))))
        found.append({
            "why": why, "bytes": stream.hex(), "messages": [m.hex() for m in messages], "counts": counts, "cuts": cuts,
        })  # fmt: skip
    return found


# -- sessions ---------------------------------------------------------------------------------------------------------


def _batch(seq: int, first_index: int, count: int = 10, t0_us: int | None = None) -> tuple[str, bytes]:
    index = first_index % (1 << 32)
    time = first_index * 1000 if t0_us is None else t0_us
    samples = b"".join((n % 30000).to_bytes(2, "little") for n in range(count))
    what = f"DATA seq {seq}, first_index {index}, count {count}, t0_us {time}"
    return what, data(seq, 0, count, index, time, samples)


def _other(kind: int, seq: int, payload: bytes = b"\xa5\x5a") -> tuple[str, bytes]:
    return f"type 0x{kind:02x} seq {seq}", stream_message(kind, seq, payload)


def _raw(what: str, message: bytes) -> tuple[str, bytes]:
    return what, message


NOTHING: dict[str, Any] = {
    "received": 0, "lost": 0, "duplicate": 0, "late": 0, "restarts": 0,
    "unknown_type": 0, "malformed": 0, "undescribed": 0,
    "samples": 0, "samples_lost": 0, "samples_overrun": 0,
}  # fmt: skip
"""``received`` to ``restarts`` in stream messages, the next three in messages, the last three in samples."""

Session = tuple[str, list[tuple[str, bytes]], dict[str, Any], list[int], list[int] | None]


def _session_rows() -> list[Session]:
    """Why, messages, what differs from NOTHING, first_index of each kept message, its t_us if not index * 1000."""
    far = 10 + HALF - 1  # first_index after ten samples and the widest gap that can be told from going backwards
    end = (1 << 32) - 10
    top = 1 << 62
    return [
        ("nothing is lost", [_batch(n, 10 * n) for n in range(4)],
         {"received": 4, "samples": 40}, [0, 10, 20, 30], None),
        ("the first messages never came", [_batch(3, 30), _batch(4, 40)],
         {"received": 2, "lost": 3, "samples": 20, "samples_lost": 30}, [30, 40], None),
        ("a gap in seq: lost on the link", [_batch(0, 0), _batch(3, 30), _batch(4, 40)],
         {"received": 3, "lost": 2, "samples": 30, "samples_lost": 20}, [0, 30, 40], None),
        ("a gap in first_index alone: overrun in the tool", [_batch(0, 0), _batch(1, 25), _batch(2, 35)],
         {"received": 3, "samples": 30, "samples_overrun": 15}, [0, 25, 35], None),
        ("seq wraps",
         [_batch(0, 0), _batch(32767, 10), _batch(65534, 20), _batch(65535, 30), _batch(0, 40), _batch(1, 50)],
         {"received": 6, "lost": 2 * 32766, "samples": 60}, [0, 10, 20, 30, 40, 50], None),
        ("loss over the wrap of seq",
         [_batch(0, 0), _batch(32767, 10), _batch(65533, 20), _batch(2, 80), _batch(3, 90)],
         {"received": 5, "lost": 32766 + 32765 + 4, "samples": 50, "samples_lost": 50}, [0, 10, 20, 80, 90], None),
        ("a duplicate at the wrap of seq",
         [_batch(0, 0), _batch(32767, 10), _batch(65534, 20), _batch(65535, 30), _batch(65535, 30), _batch(0, 40)],
         {"received": 5, "lost": 2 * 32766, "duplicate": 1, "samples": 50}, [0, 10, 20, 30, 40], None),
        ("first_index wraps", [_batch(0, 0), _batch(2, far), _batch(4, end - 10), _batch(5, end), _batch(6, end + 10)],
         {"received": 5, "lost": 2, "samples": 50, "samples_lost": end - 30},
         [0, far, end - 10, end, end + 10], None),
        ("a batch over the wrap of first_index",
         [_batch(0, 0), _batch(2, far), _batch(4, end + 5), _batch(5, end + 15)],
         {"received": 4, "lost": 2, "samples": 40, "samples_lost": end - 15}, [0, far, end + 5, end + 15], None),
        ("overrun over the wrap of first_index", [_batch(0, 0), _batch(2, far), _batch(4, end), _batch(5, end + 17)],
         {"received": 4, "lost": 2, "samples": 40, "samples_lost": end - 20, "samples_overrun": 7},
         [0, far, end, end + 17], None),
        ("loss over the wrap of first_index", [_batch(0, 0), _batch(2, far), _batch(4, end), _batch(6, end + 20)],
         {"received": 4, "lost": 3, "samples": 40, "samples_lost": end - 20 + 10}, [0, far, end, end + 20], None),
        ("t0_us beyond 32 bits, beyond 2^53, at 2^62",
         [_batch(0, 0, t0_us=0xFFFFFFF0), _batch(1, 10, t0_us=(1 << 53) + 1), _batch(2, 20, t0_us=top)],
         {"received": 3, "samples": 30}, [0, 10, 20], [0xFFFFFFF0, (1 << 53) + 1, top]),
        ("unknown stream messages share the sequence", [_batch(0, 0), _other(LATER, 1), _other(0x7F, 2), _batch(3, 10)],
         {"received": 4, "unknown_type": 2, "samples": 20}, [0, 10], None),
        ("vendors' and unknown control messages do not",
         [_batch(0, 0), _other(VENDOR, 700), _other(LATER_CONTROL, 9), _other(0xFF, 0), _batch(1, 10)],
         {"received": 2, "unknown_type": 3, "samples": 20}, [0, 10], None),
        ("DATA that is cut, has no samples, or belongs to no stream",
         [_batch(0, 0), _raw("DATA seq 1, one byte is missing", _batch(1, 10)[1][:-1]),
          _raw("DATA seq 2, one byte too many", _batch(2, 10)[1] + b"\0"),
          _raw("DATA seq 3, count 0", data(3, 0, 0, 10, 10_000, b"")),
          _raw("DATA seq 4 of stream 9", data(4, 9, 1, 0, 0, b"\0\0")), _batch(5, 10)],
         {"received": 6, "malformed": 3, "undescribed": 1, "samples": 20}, [0, 10], None),
        ("a STATUS that is cut", [_batch(0, 0), _other(STATUS, 1), _batch(2, 10)],
         {"received": 3, "malformed": 1, "samples": 20}, [0, 10], None),
    ]  # fmt: skip


def sessions() -> list[dict[str, Any]]:
    """Messages after START and what a host makes of them."""
    return [
        {
            "why": why,
            "described": TINY,
            "messages": [[what, message.hex()] for what, message in messages],
            "counts": NOTHING | changed,
            "first_index": kept,
            "t_us": [index * 1000 for index in kept] if times is None else times,
        }
        for why, messages, changed, kept, times in _session_rows()
    ]
