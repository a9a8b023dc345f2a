"""The bench behind an emulated tool: the same body and sensors as the Python firmware's, in memory shared with a board.

The layout is that of ``firmware_protocol/firmware/physics.h``, where it is explained. Samples are found by their number
since START and carry a check, so nothing that a board records depends on how quick this side is. Knows tools and takes,
and of the wire only what a tool says about itself.
"""

from __future__ import annotations

import math
import mmap
import threading
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from nexus_simulator.firmware.identity import (
    CAPABILITIES,
    FIRMWARE_VERSION,
    HARDWARE_VERSION,
    MODEL,
    UNLOCK_CODE,
)
from nexus_simulator.options import Options
from nexus_simulator.takes import IMU, BlockTake
from nexus_simulator.tool import Tool
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    MAX_STREAMS,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    EventKind,
    HelloResponse,
    InfoResponse,
    StreamDescriptor,
)
from nexuslink.protocol.record import seal_record

MAGIC: Final = 0x5948504E
VERSION: Final = 1
CHANNELS: Final = 6
SLOTS: Final = 8192
"""Samples of one stream that the memory holds."""
PAYLOAD: Final = 64
KEPT: Final = 1024
CHOICES: Final = 8
FILE_SIZE: Final = 16 << 20
"""Bytes of the shared file: the whole of the emulated board's second memory."""

AHEAD_S = 2.0
"""How far the samples run ahead of the board, seconds of device time."""
AHEAD_FAST_S = 7.5
"""The same where the board runs faster than real time."""
HOLD_MAX_US = 10_000_000
"""Longest that the board's clock stands still for a sample."""
TICK_US = 1000
TICK_FAST_US = 4000
"""How often the emulated processor wakes up. Faster than real time, waking is what takes the time; samples are then
taken late, some at a time, and are the same."""
STEP_S = 0.5
"""Device time made at one go: some milliseconds of work."""
PAUSE_S = 0.005
"""Between two looks at what the board wants."""
END_LINGER_US = 200_000
"""After the last sample of a recording the link stays open this long."""

SLOT = np.dtype([("index", "<u4"), ("counts", "<i4", CHANNELS), ("check", "<u4")])
CHOICE = np.dtype([("full_scale", "<f8"), ("scale", "<f8")])
RANGES = np.dtype(
    [("channels", "<u4"), ("groups", "<u4"), ("choice_count", "<u4", 2), ("choices", CHOICE, (2, CHOICES))]
)
PLAN = np.dtype(
    [("session", "<u4"), ("descriptor", "u1", (MAX_STREAMS, PAYLOAD)), ("check", "<u4"), ("generation", "<u4")]
)
PHYSICS = np.dtype(
    [
        ("magic", "<u4"), ("version", "<u4"), ("size", "<u4"), ("stream_count", "<u4"),
        ("clock_us", "<u8"), ("skew_ppb", "<i4"), ("boot_id", "<u4"), ("unlock_code", "<u4"), ("hold_max_us", "<u4"),
        ("tick_us", "<u4"), ("reserved", "<u4"),
        ("hello_size", "<u4"), ("info_size", "<u4"), ("descriptor_size", "<u4"), ("record_size", "<u4"),
        ("hello", "u1", PAYLOAD), ("info", "u1", PAYLOAD), ("descriptor", "u1", (MAX_STREAMS, PAYLOAD)),
        ("ranges", RANGES, MAX_STREAMS), ("record", "u1", KEPT),
        ("connection", "<u4"), ("max_message", "<u4"), ("interval_us", "<u4"), ("battery_percent", "<u4"),
        ("temperature_cdeg", "<i4"), ("ended_plan", "<u4"), ("ended_index", "<u4", MAX_STREAMS), ("hang_up", "<u4"),
        ("hang", "<u4"), ("touches", "<u4"), ("touch_kind", "<u4"), ("touch_value", "<i4"), ("self_test_fails", "<u4"),
        ("starts", "<u4"), ("watchdog", "<u4"), ("held_us", "<u4"), ("late", "<u4"), ("rx_lost", "<u4"),
        ("haptics", "<u4"), ("haptic", "<u4"), ("lights", "<u4"), ("light", "<u4"), ("consumed", "<u4", MAX_STREAMS),
        ("clock_ms", "<u4"), ("seen_connection", "<u4"), ("stop_reason", "<u4"), ("ignored", "<u4"), ("plan", PLAN),
        ("kept_size", "<u4"), ("kept_check", "<u4"), ("kept", "u1", KEPT),
        ("slots", SLOT, (MAX_STREAMS, SLOTS)),
    ]
)  # fmt: skip
"""``struct nx_physics``: packed, which is the same because every field is aligned by itself."""

_NEVER = 0xFFFFFFFF


def checks(generation: int, index: npt.NDArray[np.uint32], counts: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    """(n,) checks of slots with these numbers (n,) and counts (n, CHANNELS): ``nx_physics_check``."""
    factors = np.uint32(0x27D4EB2F) + np.uint32(2) * np.arange(CHANNELS, dtype=np.uint32)
    start = np.uint32((generation * 0x9E3779B1 + 0xC2B2AE3D) & 0xFFFFFFFF)
    words = (counts.view(np.uint32) * factors).sum(axis=1, dtype=np.uint32)
    return np.asarray(start + index * np.uint32(0x85EBCA77) + words, dtype=np.uint32)


class Physics:
    """One tool's bench, in a file of its own that boards map. A thread of its own keeps the samples ahead."""

    def __init__(self, path: Path, options: Options, fast: bool = False) -> None:
        """Make the file. ``fast``: the board may run faster than real time."""
        self.path = path
        self.tool = Tool(options)
        self._ahead_s = AHEAD_FAST_S if fast else AHEAD_S
        with path.open("w+b") as file:
            file.truncate(FILE_SIZE)
            self._map = mmap.mmap(file.fileno(), FILE_SIZE)
        view: npt.NDArray[Any] = np.ndarray((1,), PHYSICS, self._map)
        self.shared: Any = view[0]
        """The fields of ``struct nx_physics``, to read and to write: ``shared["late"]``."""
        self._slots = view["slots"][0]
        self._generation = 0
        self._session = 0
        self._take: BlockTake | None = None
        self._streams: tuple[StreamDescriptor, ...] = ()
        self._made: list[int] = []
        self._begun = False
        self._on_us = self._clock_ms = 0
        self._hung_up_session = 0
        self._describe(fast)
        self._stop = threading.Event()
        self._ahead = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)

    def start(self, limit_s: float) -> None:
        """Begin to keep the samples ahead; returns when they are, or after ``limit_s`` seconds."""
        self._thread.start()
        self._ahead.wait(limit_s)

    def close(self) -> None:
        """End the thread and remove the file."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.path.unlink(missing_ok=True)

    def touch(self, kind: EventKind, value: int) -> None:
        """The person does something with the tool."""
        self.shared["touch_kind"], self.shared["touch_value"] = kind, value
        self.shared["touches"] += 1

    def step(self) -> bool:
        """Give the board what it wants next; True: there is more to do at once."""
        self._look_at_plan()
        self._keep_time()
        take = self._take
        if take is None:
            return False
        consumed = self.shared["consumed"].tolist()
        more = False
        for number, descriptor in enumerate(self._streams):
            ahead = min(math.ceil(self._ahead_s * descriptor.rate_hz), SLOTS - 64)
            wanted = consumed[number] + ahead
            until = min(wanted, self._made[number] + max(1, int(STEP_S * descriptor.rate_hz)))
            if until > self._made[number]:
                self._make(take, number, descriptor, until)
            more |= wanted > self._made[number]
        return more

    def _describe(self, fast: bool) -> None:
        shared, identity = self.shared, self.tool.identity
        record = seal_record(identity.record)
        hello = HelloResponse(
            PROTOCOL_MAJOR, PROTOCOL_MINOR, SCHEMA_HASH, identity.boot_id, identity.serial_number, 0, MAX_MESSAGE
        ).pack()
        info = InfoResponse(
            FIRMWARE_VERSION, HARDWARE_VERSION, MODEL, int(CAPABILITIES), len(identity.streams),
            identity.record.calibration_id, len(record),
        ).pack()  # fmt: skip
        streams = [descriptor.pack() for descriptor in identity.streams]
        for name, value in (
            ("magic", MAGIC), ("version", VERSION), ("size", PHYSICS.itemsize), ("stream_count", len(streams)),
            ("clock_us", self.tool.device_us(0)), ("skew_ppb", self.tool.skew_ppb), ("boot_id", identity.boot_id),
            ("unlock_code", UNLOCK_CODE), ("hold_max_us", HOLD_MAX_US * (20 if fast else 1)),
            ("tick_us", TICK_FAST_US if fast else TICK_US),
            ("hello_size", len(hello)), ("info_size", len(info)), ("descriptor_size", len(streams[0])),
            ("record_size", len(record)), ("max_message", MAX_MESSAGE),
        ):  # fmt: skip
            shared[name] = value
        for field, data in (("hello", hello), ("info", info), ("record", record)):
            shared[field][: len(data)] = np.frombuffer(data, np.uint8)
        for number, (payload, ranges) in enumerate(zip(streams, identity.ranges, strict=True)):
            shared["descriptor"][number][: len(payload)] = np.frombuffer(payload, np.uint8)
            there = shared["ranges"][number]
            there["channels"], there["groups"] = ranges.channels, len(ranges.choices)
            for group, choices in enumerate(ranges.choices):
                there["choice_count"][group] = len(choices)
                for place, (full_scale, scale) in enumerate(choices.items()):
                    there["choices"][group][place] = (full_scale, scale)
        self._keep_time()

    def _look_at_plan(self) -> None:
        """A session that the board prepares: its take, from the first sample on."""
        generation = int(self.shared["plan"]["generation"])
        if generation == self._generation:
            return
        plan = self.shared["plan"].tobytes()
        if crc32(plan[: 4 + MAX_STREAMS * PAYLOAD]) != int.from_bytes(plan[-8:-4], "little"):
            return  # still being written
        session = int.from_bytes(plan[:4], "little")
        payloads = [plan[4 + PAYLOAD * n : 4 + PAYLOAD * (n + 1)] for n in range(len(self.tool.identity.streams))]
        streams = tuple(d for d in map(StreamDescriptor.unpack, payloads) if d is not None)
        self._generation, self._session, self._streams = generation, session, streams
        self._take = self.tool.make_take(session, 0, streams)
        self._made = [0] * len(streams)
        self._begun = False
        ends_us = self._take.ends_us
        if ends_us is not None:
            self.shared["ended_index"][:] = _NEVER
            self.shared["ended_index"][IMU] = round(ends_us * streams[IMU].rate_hz / 1e6)
            self.shared["ended_plan"] = generation

    def _make(self, take: BlockTake, number: int, descriptor: StreamDescriptor, until: int) -> None:
        """Samples of one stream up to the number ``until``."""
        first, _, rows = take.cut(number, math.ceil(until * 1e6 / descriptor.rate_hz))
        n = len(rows)
        index = (first + np.arange(n)).astype(np.uint32)
        slots = np.zeros(n, SLOT)
        slots["index"] = index
        slots["counts"][:, : rows.shape[1]] = rows
        slots["check"] = checks(self._generation, index, slots["counts"])
        self._slots[number][index % SLOTS] = slots
        self._made[number] = max(until, first + n)  # a recording has no more: nothing is waited for

    def _keep_time(self) -> None:
        """Battery and temperature, by the board's clock."""
        shared, before = self.shared, self._clock_ms
        self._clock_ms = int(shared["clock_ms"])
        self._on_us += 1000 * max(0, self._clock_ms - before) if before else 0
        now_us = self.tool.device_us(0) + self._on_us
        begun_s = 0.0
        if self._take is not None and self._streams:
            begun_s = int(shared["consumed"][0]) / self._streams[0].rate_hz
            if begun_s and not self._begun:
                self._begun = True
                self.tool.use_battery(now_us)
            shared["temperature_cdeg"] = round(100.0 * self._take.temperature_c(round(begun_s * 1e6)))
            ends_us, over = self._take.ends_us, self._hung_up_session >= self._session
            if ends_us is not None and not over and begun_s * 1e6 > ends_us + END_LINGER_US:
                self._hung_up_session = self._session
                shared["hang_up"] += 1
        shared["battery_percent"] = max(0, min(100, round(self.tool.battery_percent(now_us))))

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self.step():
                if self._take is not None:
                    self._ahead.set()
                self._stop.wait(PAUSE_S)
