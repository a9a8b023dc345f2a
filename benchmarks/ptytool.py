"""A tool on a pseudo-terminal, in a process of its own, so that what is measured shares no interpreter with it.

``python -m benchmarks.ptytool PERIOD_US PER_MESSAGE`` prints the port, answers the handshake, and from START on sends
one message of each stream every period. Each message's ``t0_us`` is this machine's monotonic clock just before the
write: what the reader's clock says later, minus that, is the way through kernel and reader. It ends with STOP or when
the other side closes, and in any case after LIFE_S.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.wire import FORCE, IMU, samples, tool
from nexuslink.protocol.envelope import Request, pack_data, pack_response, take_request
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import (
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    DescribeRequest,
    Opcode,
    SessionTotals,
    StartResponse,
    Status,
    StopResponse,
    TimeSyncRequest,
    TimeSyncResponse,
)
from nexuslink.protocol.record import seal_record

LIFE_S = 60.0
LOAD_N = 22.0
"""In the middle of a psoas band."""
START_BOUND_S = 30.0


@contextmanager
def on_pty(period_us: int, per_message: int) -> Iterator[str]:
    """A running tool; gives the path of its port."""
    command = [sys.executable, "-m", "benchmarks.ptytool", str(period_us), str(per_message)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], START_BOUND_S)
            if not ready:
                raise AssertionError("the tool on the pseudo-terminal did not start")
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def loaded(calibration: CalibrationRecord, count: int) -> bytes:
    """Force counts of a psoas tip that is pressed with LOAD_N, and of an iliacus tip that is not."""
    rng = np.random.default_rng(9)
    newtons = rng.normal((LOAD_N, 0.0), 0.05, (count, 2))
    zero = np.array([float(tip.zero_counts) for tip in calibration.force])
    gain = np.array([tip.gain_n_per_count for tip in calibration.force])
    return (zero + newtons / gain).astype("<i4").tobytes()


class _Tool:
    def __init__(self, descriptor: int, per_message: int) -> None:
        self._descriptor = descriptor
        self._per_message = per_message
        self._info, self._calibration = tool()
        self._deframer = Deframer()
        self._rows = {FORCE: loaded(self._calibration, per_message), IMU: samples(IMU, per_message).tobytes()}
        self._sequence = self._first = self._answers = 0
        self.streaming = False
        self.ended = False

    def receive(self) -> None:
        for message in self._deframer.feed(os.read(self._descriptor, 4096)):
            request = take_request(message[:-CRC_SIZE])
            if request is not None:
                self._answer(request)

    def _answer(self, request: Request) -> None:
        now_us = time.monotonic_ns() // 1000
        info = self._info
        payload = b""
        if request.opcode == Opcode.HELLO:
            payload = info.hello.pack()
        elif request.opcode == Opcode.INFO:
            payload = info.info.pack()
        elif request.opcode == Opcode.DESCRIBE and (stream := DescribeRequest.unpack(request.payload)) is not None:
            payload = info.streams[stream.stream].pack()
        elif request.opcode == Opcode.CALIBRATION_READ:
            asked, record = CalibrationReadRequest.unpack(request.payload), seal_record(self._calibration)
            offset = asked.offset if asked else 0
            piece = record[offset : offset + 200]
            payload = CalibrationReadResponse(len(record), offset, len(piece), piece).pack()
        elif request.opcode == Opcode.TIME_SYNC:
            sent = TimeSyncRequest.unpack(request.payload)
            payload = TimeSyncResponse(sent.host_send_ns if sent else 0, now_us, now_us).pack()
        elif request.opcode == Opcode.START:
            payload = StartResponse(now_us, 1).pack()
        elif request.opcode == Opcode.STOP:
            payload = StopResponse(now_us, SessionTotals(1, 0, 0, (0, 0, 0, 0))).pack()
        status = Status.OK if payload else Status.UNKNOWN_OPCODE
        answer = pack_response(self._answers & 0xFFFF, request.request_id, request.opcode, status, payload)
        self._answers += 1
        os.write(self._descriptor, frame(answer))
        if request.opcode == Opcode.START:
            self.streaming, self._sequence, self._first = True, 0, 0
        self.ended |= request.opcode == Opcode.STOP

    def send(self) -> None:
        out = []
        for stream, rows in self._rows.items():
            if self._per_message == 1 and stream == FORCE:
                continue  # one message a period: the way of a single message is measured
            t0_us = time.monotonic_ns() // 1000
            data = pack_data(self._sequence & 0xFFFF, stream, self._per_message, self._first, t0_us, rows)
            out.append(frame(data))
            self._sequence += 1
        self._first += self._per_message
        os.write(self._descriptor, b"".join(out))


def main(period_us: int, per_message: int) -> None:
    """Serve until STOP, hang-up, or LIFE_S."""
    master, slave = os.openpty()
    tty.setraw(slave)
    served = _Tool(master, per_message)
    print(os.ttyname(slave), flush=True)
    deadline = time.monotonic() + LIFE_S
    due = 0.0
    while not served.ended and (now := time.monotonic()) < deadline:
        if served.streaming and now >= due:
            served.send()
            due = max(due + period_us / 1e6, now)
        wait = max(0.0, due - time.monotonic()) if served.streaming else 0.1
        if select.select([master], [], [], wait)[0]:
            served.receive()


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the other side has hung up
        main(int(sys.argv[1]), int(sys.argv[2]))
