"""Bytes to arrays: against REF, against the peers, and with damage."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks import peers, reference
from benchmarks.harness import Measure, Work, ratio, take_turns, typical
from benchmarks.wire import DESCRIPTORS, FORCE, IMU, WIDE, every_type, frames
from nexuslink.protocol.decoder import Decoder

PER_MESSAGE = 10
DAMAGED_SHARE = 0.01


def stream_work(name: str, streams: tuple[int, ...], in_samples: bool = False) -> Work:
    """Decode about one CHUNK of these streams; units are bytes, or samples of the first stream."""
    groups = frames(streams, PER_MESSAGE, 1 << 14)
    data = b""
    used = 0
    while len(data) < reference.CHUNK:
        data += b"".join(groups[used])
        used += 1
    decoder = Decoder()
    decoder.describe(DESCRIPTORS[stream] for stream in streams)

    def run() -> object:
        decoder.begin()
        decoded = decoder.feed(data)
        got = sum(len(batch.raw) for batch in decoded.batches)
        if got != used * PER_MESSAGE * len(streams):
            raise AssertionError(f"{name}: {got} samples of {used * PER_MESSAGE * len(streams)}")
        return decoded

    return Work(name, run, used * PER_MESSAGE if in_samples else len(data))


def every_type_work() -> Work:
    """Decode about one CHUNK with every type of message in it."""
    data, samples, others = every_type(PER_MESSAGE, reference.CHUNK)
    decoder = Decoder()
    decoder.describe([DESCRIPTORS[WIDE]])

    def run() -> object:
        decoder.begin()
        decoded = decoder.feed(data)
        got = sum(len(batch.raw) for batch in decoded.batches)
        seen = len(decoded.statuses) + len(decoded.notices)
        if (got, seen) != (samples, others) or not decoded.responses or decoder.link.lost:
            raise AssertionError(f"every type: {got} samples of {samples}, {seen} other messages of {others}")
        return decoded

    return Work("every type", run, len(data))


def damage(clean: Iterable[bytes], seed: int = 11) -> tuple[bytes, int]:
    """The stream with one byte changed in DAMAGED_SHARE of its frames (never one to zero), and how many those are."""
    rng = np.random.default_rng(seed)
    out, hit = [], 0
    for whole in clean:
        if rng.random() < DAMAGED_SHARE:
            at = int(rng.integers(0, len(whole) - 1))
            other = whole[at] % 255 + 1
            out.append(whole[:at] + bytes([other]) + whole[at + 1 :])
            hit += 1
        else:
            out.append(whole)
    return b"".join(out), hit


def damaged_works() -> tuple[Work, Work]:
    """The same frames whole and damaged, in chunks; the damaged run must keep every good frame."""
    all_frames = [one for group in frames((WIDE,), PER_MESSAGE, 1 << 15) for one in group]
    pieces = {"clean": (b"".join(all_frames), 0), "damaged": damage(all_frames)}
    works = []
    for name, (data, hit) in pieces.items():
        chunks = [data[at : at + reference.CHUNK] for at in range(0, len(data), reference.CHUNK)]

        def run(chunks: list[bytes] = chunks, hit: int = hit, name: str = name) -> object:
            decoder = Decoder()
            decoder.describe([DESCRIPTORS[WIDE]])
            decoder.begin()
            got = sum(len(batch.raw) for piece in chunks for batch in decoder.feed(piece).batches)
            if got != (len(all_frames) - hit) * PER_MESSAGE or decoder.frames.bad != hit:
                raise AssertionError(f"{name}: {got} samples, {decoder.frames.bad} bad frames, {hit} were damaged")
            return got

        works.append(Work(name, run, len(data)))
    return works[0], works[1]


def measure() -> list[Measure]:
    """The keys ``decode.*``."""
    with peers.Ximu3() as ximu3:
        works = [
            *reference.references(),
            stream_work("wide", (WIDE,)),
            every_type_work(),
            stream_work("tool", (FORCE, IMU)),
            stream_work("imu", (IMU,), in_samples=True),
            *damaged_works(),
            peers.pymavlink_work(),
            ximu3.work(),
        ]
        rates = take_turns(works)
    speed = f"REF {typical(rates, 'REF') / 1e6:.0f} MB/s, {reference.CODEC}"
    return [
        Measure("decode.vs_ref", ratio(rates, "wide", "REF"), note=f"22-byte samples; {speed}"),
        Measure("decode.vs_pymavlink", ratio(rates, "imu", "pymavlink"), note=_samples(rates, "imu", "pymavlink")),
        Measure("decode.vs_ximu3", ratio(rates, "imu", "ximu3"), note=_samples(rates, "imu", "ximu3")),
        Measure("decode.damaged_vs_clean", ratio(rates, "damaged", "clean"), note="1 % damaged; every good frame kept"),
        Measure("decode.every_type_vs_ref", ratio(rates, "every type", "REF"), note="5 % of other messages among them"),
        Measure("decode.tool_vs_ref", ratio(rates, "tool", "REF"), note="force and IMU in turn, as a tool sends them"),
        Measure("decode.memcpy_vs_ref", ratio(rates, "memcpy", "REF"), note="the same bytes copied"),
        Measure("decode.crc32_vs_ref", ratio(rates, "crc32", "REF"), note="one zlib.crc32 over the same bytes"),
    ]


def _samples(rates: dict[str, list[float]], one: str, other: str) -> str:
    return f"{typical(rates, one) / 1e6:.2f} against {typical(rates, other) / 1e6:.3f} M IMU samples/s"
