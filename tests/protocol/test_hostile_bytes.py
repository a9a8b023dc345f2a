"""Ten thousand hostile inputs to the decoder: nothing raises, little is lost, nothing piles up.

Four kinds, a quarter of the cases each: noise; good frames of which some are damaged; whole frames with any content
(a CRC keeps most of the noise out, so what is behind it needs a way past); and good messages with bytes changed
before they were framed. A case is one string of bytes, a *tape*, from which each test takes its choices: one draw
a case keeps ten thousand of them quick, and a shorter tape is a simpler case.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_samples import FORCE, IMU, cut, data, described, response, seen, status

from nexuslink.protocol.decoder import Decoded, Decoder
from nexuslink.protocol.framing import MAX_FRAME, frame
from nexuslink.protocol.messages import MAX_MESSAGE, MESSAGE_HEADER

CASES = 10_000
quarter = settings(max_examples=CASES // 4, deadline=None, suppress_health_check=list(HealthCheck))


class Tape:
    """Choices from bytes; zeros when they have run out."""

    def __init__(self, tape: bytes) -> None:
        self._tape = tape
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._tape)

    def bytes(self, n: int) -> bytes:
        self._at += n
        return self._tape[self._at - n : self._at].ljust(n, b"\0")

    def below(self, n: int) -> int:
        return int.from_bytes(self.bytes(1 if n <= 256 else 2), "big") % n

    def cut(self, stream: bytes) -> list[bytes]:
        """In up to four pieces, or whole."""
        return cut(stream, [self.below(len(stream) + 1) for _ in range(self.below(4))])


def state_size(decoder: Decoder) -> int:
    """Bytes of everything that a decoder holds. `pickle` sees all of it, wherever it is kept."""
    return len(pickle.dumps(decoder))


ALLOWANCE = MAX_FRAME + 512
"""What a decoder may hold more than a fresh one: the start of one frame, and its counts."""
FRESH = state_size(described())


def feed(decoder: Decoder, pieces: Sequence[bytes]) -> list[Decoded]:
    decoded = [decoder.feed(piece) for piece in pieces]
    if sum(map(len, pieces)) % 8 == 0:  # now and then: it costs as much as the rest of a case
        assert state_size(decoder) <= FRESH + ALLOWANCE
    return decoded


def test_the_measure_of_memory_sees_what_is_pending() -> None:
    """Negative control: one frame's start is seen, and more than that would be too much."""
    decoder = described()
    decoder.feed(b"\1" * MAX_FRAME)
    assert FRESH + MAX_FRAME <= state_size(decoder) <= FRESH + ALLOWANCE
    decoder.held = [b"\1" * MAX_FRAME, b"\2" * MAX_FRAME]  # type: ignore[attr-defined]
    assert state_size(decoder) > FRESH + ALLOWANCE


# -- noise ------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=1500), st.booleans())
@quarter
def test_noise(noise: bytes, framed: bool) -> None:
    pieces = Tape(noise).cut(noise)
    decoder = described(framed)
    decoded = feed(decoder, pieces)
    out = seen(decoder, decoded)
    if framed:
        assert not (out.samples or out.responses or out.statuses or out.notices)
    else:
        assert decoder.frames.good + decoder.frames.bad == len([p for p in pieces if p])


# -- damaged frames ---------------------------------------------------------------------------------------------------


def named_frames() -> list[tuple[str, bytes]]:
    """Two dozen frames of every kind, each with a name by which it is known again."""
    named = []
    seq, index = 0, {FORCE: 0, IMU: 0}
    for k in range(24):
        if k % 10 == 7:
            named.append((f"response {k}", frame(response(k, k, bytes(k)))))
            continue
        if k % 10 == 3:
            named.append((f"status {seq}", frame(status(seq))))
        else:
            stream = (FORCE, IMU)[k % 2]
            named.append((f"{stream}: {index[stream] * 2000 + stream}", frame(data(seq, stream, 4, index[stream]))))
            index[stream] += 4
        seq += 1
    return named


NAMED = named_frames()
FRAMES = [framed for _, framed in NAMED]


def names(decoder: Decoder, decoded: list[Decoded]) -> list[str]:
    out = seen(decoder, decoded)
    found = [f"{stream}: {t}" for stream, rows in out.samples.items() for t, _ in rows[::4]]
    found += [f"status {s.produced}" for s in out.statuses]
    return found + [f"response {r.request_id}" for r in out.responses]


def damaged(framed: bytes, tape: Tape) -> bytes:
    """One frame, its zero included, after something happened to it."""
    at = tape.below(len(framed))
    before, after = framed[:at], framed[at:]
    match tape.below(8):
        case 0:  # a bit
            after = bytes([after[0] ^ 1 << tape.below(8)]) + after[1:]
        case 1:  # bytes overwritten
            new = tape.bytes(1 + tape.below(8))
            after = (new + after[len(new) :])[: len(after)]
        case 2:  # bytes missing
            after = after[1 + tape.below(20) :]
        case 3:  # bytes too many
            before += tape.bytes(1 + tape.below(40))
        case 4:  # many too many
            before += bytes([1 + tape.below(255)]) * tape.below(1000)
        case 5:  # cut off
            after = b""
        case 6:  # zeros
            before += bytes(1 + tape.below(8))
        case _:  # nothing but noise
            before, after = tape.bytes(tape.below(60)), b""
    return before + after


@given(st.binary(max_size=120))
@quarter
def test_damaged_frames(choices: bytes) -> None:
    """The last two frames are never touched, so that every gap is seen."""
    tape = Tape(choices)
    frames = list(FRAMES)
    while tape:
        k = tape.below(len(FRAMES) - 2)
        frames[k] = damaged(FRAMES[k], tape)
    touched = {k for k, framed in enumerate(frames) if framed != FRAMES[k]}
    decoder = described()
    found = names(decoder, feed(decoder, Tape(choices[::-1]).cut(b"".join(frames))))
    known = set(found)
    missing = [k for k, (name, _) in enumerate(NAMED) if name not in known]
    assert len(found) == len(known) == len(NAMED) - len(missing), "nothing is made up, nothing comes twice"
    assert len(missing) <= 2 * len(touched)
    assert all(k in touched or k - 1 in touched for k in missing), "only a damaged frame and the one after it"
    assert decoder.link.lost == sum(not NAMED[k][0].startswith("response") for k in missing)
    assert decoder.frames.good == len(found)
    assert decoder.counts.malformed == decoder.counts.unknown_type == decoder.counts.undescribed == 0


# -- past the CRC -----------------------------------------------------------------------------------------------------

TYPES = (0x10,) * 8 + (0x11, 0x02, 0x01, 0x00, 0x12, 0x7F, 0x80, 0xFF)


def any_message(tape: Tape) -> bytes:
    """Any type, any seq, sometimes a stream that exists and a count that fits."""
    kind, seq = TYPES[tape.below(len(TYPES))], tape.below(20) if tape.below(2) else tape.below(65536)
    if tape.below(2):
        return MESSAGE_HEADER.pack(kind, tape.below(256), seq) + tape.bytes(tape.below(MAX_MESSAGE))
    stream, count = tape.below(4), tape.below(6)
    body = bytes([stream, count]) + tape.bytes(12)
    return MESSAGE_HEADER.pack(kind, 0, seq) + body + bytes((8, 12, 2, 4)[stream] * count)


@given(st.binary(max_size=400))
@quarter
def test_whole_frames_with_any_content(choices: bytes) -> None:
    tape = Tape(choices)
    copies = tape.below(16)  # runs of equal messages take the path for many
    messages = []
    while tape and len(messages) < 30:
        messages += [any_message(tape)] * (copies if tape.below(4) == 0 else 1)
    decoder = described()
    out = seen(decoder, feed(decoder, tape.cut(b"".join(map(frame, messages)))))
    fitting = [m for m in messages if len(m) <= MAX_MESSAGE]
    counts, link = decoder.counts, decoder.link
    assert (decoder.frames.good, decoder.frames.bad) == (len(fitting), len(messages) - len(fitting))
    assert sum(s.received for s in link.streams.values()) == sum(map(len, out.samples.values()))
    not_data = (
        len(out.responses)
        + len(out.statuses)
        + len(out.notices)
        + counts.unknown_type
        + counts.malformed
        + counts.undescribed
    )
    assert not_data <= len(fitting)
    # The RESTART_AFTER-th late message is both refused and received.
    stream_messages = sum(0x10 <= m[0] < 0x80 for m in fitting)
    assert link.received + link.duplicate + link.late - link.restarts == stream_messages


GOOD = [data(k, (FORCE, IMU)[k % 7 == 6], 4, 4 * k) if k % 9 != 4 else status(k) for k in range(12)]


@given(st.binary(max_size=40))
@quarter
def test_changed_messages_in_whole_frames(choices: bytes) -> None:
    """A tool whose numbers, counts, streams or lengths are wrong, before the CRC is put on."""
    tape = Tape(choices)
    messages = list(GOOD)
    while tape:
        k, at, value = tape.below(len(GOOD)), tape.below(32), tape.below(256)
        message = bytearray(messages[k])
        if at < 18 <= len(message):
            message[at] = value
        else:
            del message[4 + value :]
        messages[k] = bytes(message)
    at_once, one_by_one = described(), described()
    together = seen(at_once, feed(at_once, [b"".join(map(frame, messages))]))
    assert together == seen(one_by_one, feed(one_by_one, list(map(frame, messages))))
