"""The yardstick: what a bare loop over C functions makes of a serial stream, and the floor under it.

REF: chunks of 64 KiB, frames of 16 samples of 22 bytes behind an 8-byte header, COBS + CRC-32; split, decoded by the
C codec, every CRC checked, joined, one ``frombuffer``. Nothing is counted, nothing is kept of a damaged frame, no
sequence is followed: all of that is the product's to pay for. Memcpy and one ``crc32`` over the same bytes are beside.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from benchmarks.harness import Work

try:
    from cobs.cobs import _cobs_ext as codec
    from cobs.cobs._cobs_ext import decode, encode

    CODEC = f"cobs in C ({codec.__name__})"
except ImportError:  # built without a compiler
    from corncobs import decode, encode

    CODEC = "corncobs, because cobs could not be built in C here"

CHUNK = 64 << 10
SAMPLE = np.dtype([("force", "<i4", 2), ("imu", "<i2", 7)])
HEADER_SIZE = 8
SAMPLES_A_FRAME = 16
_RESIDUE = 0x2144DF1C
_ROW = np.dtype([("header", "V", HEADER_SIZE), ("samples", SAMPLE, SAMPLES_A_FRAME), ("crc", "<u4")])


def like_sensor(rng: np.random.Generator, rows: int) -> bytes:
    """Rows of SAMPLE as a load cell and an IMU give them: noise on slow values, not random bytes."""
    samples = np.zeros(rows, SAMPLE)
    samples["force"] = rng.normal(600_000, 200_000, (rows, 2))
    samples["imu"] = rng.normal(0, 2_000, (rows, 7))
    return samples.tobytes()


def chunk(seed: int = 1) -> bytes:
    """About CHUNK bytes of frames."""
    rng = np.random.default_rng(seed)
    frames: list[bytes] = []
    size = 0
    while size < CHUNK:
        body = len(frames).to_bytes(HEADER_SIZE, "little") + like_sensor(rng, SAMPLES_A_FRAME)
        frames.append(encode(body + crc32(body).to_bytes(4, "little")) + b"\0")
        size += len(frames[-1])
    return b"".join(frames)


def references() -> list[Work]:
    """REF, one memcpy and one crc32, all over the same bytes and counted in bytes."""
    data = chunk()

    def ref() -> object:
        messages = list(map(decode, data.split(b"\0")[:-1]))
        if list(map(crc32, messages)).count(_RESIDUE) != len(messages):
            raise AssertionError("the reference stream is damaged")
        return np.frombuffer(b"".join(messages), _ROW)["samples"]

    return [
        Work("REF", ref, len(data)),
        Work("memcpy", lambda: bytearray(data), len(data)),
        Work("crc32", lambda: crc32(data), len(data)),
    ]
