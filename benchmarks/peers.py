"""What else decodes an IMU over a byte stream from Python: pymavlink, and ximu3 with its core in Rust.

Each is used at its fastest: pymavlink over whole buffers, ximu3 from a file in memory and with a callback that is a C
function (a Python function as callback costs it five times more). What they give is one object a sample, no array;
that is their answer, and making arrays of it would only cost more.
"""

from __future__ import annotations

import struct
import tempfile
import threading
from collections import deque
from pathlib import Path

import numpy as np
import ximu3
from pymavlink.dialects.v20 import common as mavlink

from benchmarks.harness import Work

MAVLINK_SAMPLES = 400
XIMU3_SAMPLES = 20_000
END_BOUND_S = 60.0


def pymavlink_work() -> Work:
    """SCALED_IMU messages through ``parse_buffer``; units are IMU samples."""
    rng = np.random.default_rng(3)
    out = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
    stream = b""
    for number in range(MAVLINK_SAMPLES):
        nine = [int(value) for value in rng.normal(0, 2_000, 9)]
        stream += out.scaled_imu_encode(number, *nine).pack(out)
        out.seq = (out.seq + 1) % 256

    def run() -> object:
        parsed = mavlink.MAVLink(None).parse_buffer(stream)
        if parsed is None or len(parsed) != MAVLINK_SAMPLES:
            raise AssertionError("pymavlink lost messages")
        return parsed

    return Work("pymavlink", run, MAVLINK_SAMPLES)


class Ximu3:
    """A file of inertial messages through ximu3's own decoder; used as a context, which owns the file."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        values = rng.normal(0, 100, (XIMU3_SAMPLES, 6))
        messages = [_stuffed(b"\xc9" + struct.pack("<Q6f", 1_000 * number, *row)) for number, row in enumerate(values)]
        memory = Path("/dev/shm")
        folder = memory if memory.is_dir() else None
        with tempfile.NamedTemporaryFile(suffix=".ximu3", dir=folder, delete=False) as file:
            file.write(b"".join(messages) + b"N,1,end\n")  # a notification: how the reader knows that all came
        self._path = Path(file.name)

    def __enter__(self) -> Ximu3:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)

    def work(self) -> Work:
        """Decode the file, calling back for every sample; units are IMU samples."""
        keep_last: deque[object] = deque(maxlen=1)

        def run() -> object:
            ended = threading.Event()
            connection = ximu3.Connection(ximu3.FileConnectionConfig(str(self._path)))
            connection.add_inertial_callback(keep_last.append)
            connection.add_notification_callback(lambda _: ended.set())
            connection.open()
            if not ended.wait(END_BOUND_S) or keep_last[-1].timestamp != 1_000 * (XIMU3_SAMPLES - 1):
                raise AssertionError("ximu3 did not come to the end of its file")
            connection.close()
            return keep_last

        return Work("ximu3", run, XIMU3_SAMPLES)


def _stuffed(message: bytes) -> bytes:
    """The escaping of the x-IMU3's binary messages, and their end."""
    return message.replace(b"\xdb", b"\xdb\xdd").replace(b"\n", b"\xdb\xdc") + b"\n"
