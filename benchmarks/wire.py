"""Streams of a tool's bytes, made for measuring: the product's own messages around noise like a sensor's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import nexuslink
from benchmarks.reference import like_sensor
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.envelope import StreamMessage, pack_data, pack_response, pack_stream
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import (
    CalibrationRecord,
    ChannelGroup,
    ErrorCode,
    ErrorReport,
    EventKind,
    EventMessage,
    FaultMessage,
    LogLevel,
    LogMessage,
    Opcode,
    Quantity,
    SampleType,
    Status,
    StatusMessage,
    StreamDescriptor,
    StreamKind,
    TimeSyncResponse,
)

FORCE, IMU, WIDE = 0, 1, 2
RATE_HZ = 1_000.0
"""The fastest that the tool streams."""
_NONE = ChannelGroup(Quantity.NONE, 0, 0.0, 0.0)

_TURN = (Quantity.ANGULAR_RATE_RAD_S, 1e-3, 34.0)
_PULL = (Quantity.ACCELERATION_M_S2, 5e-3, 156.0)


def _inertial(stream: int, turning: int, pulling: int) -> StreamDescriptor:
    groups = tuple(ChannelGroup(q, n, scale, most) for n, (q, scale, most) in ((turning, _TURN), (pulling, _PULL)))
    mask = (1 << turning + pulling) - 1
    return StreamDescriptor(stream, StreamKind.IMU, SampleType.I16, RATE_HZ, 0, groups, mask, RATE_HZ, RATE_HZ)


DESCRIPTORS = {
    FORCE: StreamDescriptor(
        FORCE,
        StreamKind.FORCE,
        SampleType.I32,
        RATE_HZ,
        1,
        (ChannelGroup(Quantity.FORCE_N, 2, 1e-5, 200.0), _NONE),
        3,
        RATE_HZ,
        RATE_HZ,
    ),
    IMU: _inertial(IMU, 3, 3),
    # No stream of the tool: eleven channels are the 22 bytes of a sample of REF, and carry the same bytes.
    WIDE: _inertial(WIDE, 6, 5),
}


def samples(stream: int, count: int, seed: int = 7) -> NDArray[np.signedinteger]:
    """(count, channels) raw integers of one stream: a still tool under load."""
    rng = np.random.default_rng(seed)
    if stream == FORCE:
        return rng.normal(600_000, 5_000, (count, 2)).astype("<i4")
    if stream == WIDE:
        return np.frombuffer(like_sensor(rng, count), "<i2").reshape(count, 11)
    imu = rng.normal(0, 20, (count, 6))
    imu[:, 5] += 9.81 / 5e-3
    return imu.astype("<i2")


def frames(streams: Iterable[int], per_message: int, count: int) -> list[list[bytes]]:
    """``count`` samples of each stream as frames; one inner list for each batch period (one frame of each stream)."""
    pools = {stream: samples(stream, count) for stream in streams}
    period_us = round(1e6 / RATE_HZ)
    groups: list[list[bytes]] = []
    sequence = 0
    for first in range(0, count - per_message + 1, per_message):
        group = []
        for stream, pool in pools.items():
            rows = pool[first : first + per_message].tobytes()
            group.append(frame(pack_data(sequence & 0xFFFF, stream, per_message, first, first * period_us, rows)))
            sequence += 1
        groups.append(group)
    return groups


OTHERS: tuple[StreamMessage, ...] = (
    StatusMessage(1_000_000, 87, 2512, 40, 0, 3, 244, 0, 0, 0),
    LogMessage(1_000_000, LogLevel.INFO, 20, b"session 1: 2 streams"),
    FaultMessage(ErrorReport(1_000_000, ErrorCode.SAMPLE_LATE, 1, 250)),
    EventMessage(1_000_000, EventKind.TAP, 1500),
)


def every_type(per_message: int, size: int, apart: int = 100) -> tuple[bytes, int, int]:
    """At least ``size`` bytes of the WIDE stream with one of every other type after each ``apart`` DATA messages.

    That is five times as many as a tool sends. Also: how many samples, how many other stream messages.
    """
    pool = samples(WIDE, per_message).tobytes()
    answer = TimeSyncResponse(1, 2, 3).pack()
    out = bytearray()
    seq = batches = others = 0
    while len(out) < size:
        out += frame(pack_data(seq & 0xFFFF, WIDE, per_message, batches * per_message, batches * 10_000, pool))
        seq, batches = seq + 1, batches + 1
        if batches % apart == 0:
            for other in OTHERS:
                out += frame(pack_stream(seq & 0xFFFF, other))
                seq, others = seq + 1, others + 1
            out += frame(pack_response(0, 1, Opcode.TIME_SYNC, Status.OK, answer))
    return bytes(out), batches * per_message, others


def tool() -> tuple[ToolDescription, CalibrationRecord]:
    """A simulated tool's description with both streams at RATE_HZ."""

    async def ask() -> tuple[ToolDescription, CalibrationRecord]:
        async with nexuslink.connect("sim:?speed=max&seed=1") as nexus:
            return nexus.info, nexus.calibration

    info, calibration = asyncio.run(ask())
    streams = tuple(replace(stream, rate_hz=RATE_HZ) for stream in info.streams)
    return replace(info, streams=streams), calibration
