"""One simulated tool: body, sensors, firmware, clock and battery in one housing.

It is asked in nanoseconds since it was switched on (any clock, real or virtual); inside, everything happens on the
device clock, which starts somewhere and runs a little fast or slow. ``truth`` is for tests and measurements: nothing
of it goes over the wire.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import Truth
from nexus_simulator.factory import identity_of
from nexus_simulator.firmware.processor import Firmware
from nexus_simulator.firmware.session import Departure
from nexus_simulator.options import Options
from nexus_simulator.recorded import RecordedTake, load_recording
from nexus_simulator.scripts import SHUTDOWN_PERCENT, SILENCE_S, script_named
from nexus_simulator.takes import FORCE, IMU, BlockTake, BodyTake
from nexuslink.protocol.messages import ErrorCode, StreamDescriptor

TAKES_REMEMBERED = 2
"""Truth is kept for the present take and the one before."""
CHARGED_IN_TIME_PERCENT = 20.0
LINGER_US = 200_000
"""After the last sample of a recording the link stays open this long."""


class Tool:
    """A tool that is switched on when it is made."""

    def __init__(self, options: Options, firmware: type[Firmware] = Firmware) -> None:
        self._options = options
        self._script = script_named(options.script)
        self._recording = load_recording(options.imu) if options.imu else None
        rng = np.random.default_rng((options.seed, 6, options.boot))
        self._offset_us = int(rng.integers(1_000_000, 600_000_000))
        self._rate = 1.0 + options.skew_ppm * 1e-6
        self._takes: list[BlockTake] = []
        self._take_count = 0
        self._battery_from = (self._offset_us, options.battery)
        self.identity = identity_of(options, self._recording, int(rng.integers(1, 1 << 32)))
        self.firmware = firmware(self.identity, self._begin, self.battery_percent)
        self._mute = False
        self.ended: str | None = None
        """Why the link ended by itself, one line; None while it has not."""
        self.switched_off = False
        """The battery is empty: the tool will not come back."""

    @property
    def stop_reason(self) -> int | None:
        """Reason in the latest STOP; None before the first."""
        return self.firmware.stop_reason

    def device_us(self, on_ns: int) -> int:
        """Device time at nanoseconds since the tool was switched on."""
        return self._offset_us + math.floor(on_ns * self._rate / 1000.0)

    def on_ns(self, t_us: int) -> int:
        """The first nanosecond since switching on at which the device clock shows ``t_us``."""
        return math.ceil((t_us - self._offset_us) * 1000.0 / self._rate)

    def battery_percent(self, t_us: int) -> float:
        """Charge left at a device time. Unless the script says otherwise somebody charges the tool in good time."""
        since_us, percent = self._battery_from
        floor = 0.0 if self._script.drains else min(percent, CHARGED_IN_TIME_PERCENT)
        return max(floor, percent - self._script.battery_fall_percent_per_s * (t_us - since_us) * 1e-6)

    def receive(self, on_ns: int, message: bytes) -> None:
        """One message arrived from the host."""
        if self.ended is None and not self._mute:
            self.firmware.receive(self.device_us(on_ns), message)

    def advance(self, on_ns: int, room: int | None = None) -> list[Departure]:
        """Move on; the messages that left meanwhile. ``room``: how many stream messages the link can take."""
        if self.ended is not None:
            return []
        now = self.device_us(on_ns)
        silent_us, end = self._silent_us(), self._end_us()
        until = now if end is None else min(now, end[0])
        departures: list[Departure] = []
        if silent_us is not None and silent_us <= until:
            # Up to the silence everything leaves, from there on nothing: wherever the calls happen to cut time.
            if not self._mute:
                departures = self.firmware.advance(silent_us, room)
            self._mute, room = True, 0
        departures += self.firmware.advance(until, room)
        if end is not None and now >= end[0]:
            self.ended = end[1]
            self.switched_off = self._script.drains and self.battery_percent(now) <= SHUTDOWN_PERCENT
            self.firmware.disconnect()
        return departures

    @property
    def busy(self) -> bool:
        """Something is under way: a request, or streaming."""
        return self.ended is None and self.firmware.due_us is not None

    def due_ns(self) -> int | None:
        """When something happens by itself, nanoseconds since switching on; None: nothing is under way."""
        if self.ended is not None:
            return None
        end = self._end_us()
        times = [t for t in (self.firmware.due_us, end[0] if end else None) if t is not None]
        return self.on_ns(min(times)) if times else None

    def disconnect(self) -> None:
        """The host is gone: streaming stops, the clock runs on."""
        self.firmware.disconnect()
        self._mute = False
        if not self.switched_off:
            self.ended = None

    @property
    def max_message(self) -> int:
        """Longest message that the link takes now, bytes."""
        return self.firmware.max_message

    @max_message.setter
    def max_message(self, size: int) -> None:
        self.firmware.max_message = size

    @property
    def interval_us(self) -> int:
        """Connection interval of the link, microseconds; 0: it has none."""
        return self.firmware.interval_us

    @interval_us.setter
    def interval_us(self, interval_us: int) -> None:
        self.firmware.interval_us = interval_us

    @property
    def link_authenticated(self) -> bool:
        """The link may change the tool's calibration."""
        return self.firmware.link_authenticated

    @link_authenticated.setter
    def link_authenticated(self, authenticated: bool) -> None:
        self.firmware.link_authenticated = authenticated

    def restart(self) -> None:
        """The watchdog bites: a warm restart, as the host sees it. Totals of the latest session stay."""
        self.firmware.restart(ErrorCode.WATCHDOG)

    def jump_clock(self, us: int) -> None:
        """The clock that the wire shows is set forward or back."""
        self.firmware.jump_clock(us)

    def truth(self, t_us: npt.NDArray[np.int64]) -> Truth:
        """What really was at these device times, (n,) int64; NaN where no streaming was, or too long ago.

        The times are those of the wire as it shows them now: before a restart or a jump of the clock it was another.
        """
        t_us = t_us - self.firmware.shift_us
        force, angle, direction = (np.full((len(t_us), 2), np.nan) for _ in range(3))
        up = np.full((len(t_us), 3), np.nan)
        starts = [take.start_us for take in self._takes] + [np.iinfo(np.int64).max]
        for take, until in zip(self._takes, starts[1:], strict=True):
            inside = (t_us >= take.start_us) & (t_us < until)
            part = take.truth(t_us[inside])
            force[inside], up[inside] = part.force_n, part.up
            angle[inside], direction[inside] = part.tip_angle_deg, part.tip_direction_deg
        return Truth(t_us + self.firmware.shift_us, force, angle, direction, up)

    @property
    def skew_ppb(self) -> int:
        """How much faster than the host's the tool's clock runs, 1e-9."""
        return round(self._options.skew_ppm * 1000.0)

    def make_take(self, number: int, t_us: int, streams: tuple[StreamDescriptor, ...]) -> BlockTake:
        """What the sensors deliver in session ``number`` (from 1) from ``t_us`` on, configured as described."""
        options = self._options
        if self._recording is not None:
            return RecordedTake(
                self._recording, options.seed, number, options.temperature, t_us, streams[FORCE].rate_hz
            )
        gyro, acc = streams[IMU].groups
        return BodyTake(
            self._script,
            options.seed,
            number,
            options.temperature,
            t_us,
            streams[FORCE].rate_hz,
            streams[IMU].rate_hz,
            gyro.scale,
            acc.scale,
        )

    def use_battery(self, t_us: int) -> None:
        """A session starts: a script may begin with less charge."""
        percent = self.battery_percent(t_us)
        if self._script.battery_start_percent is not None:
            percent = min(percent, self._script.battery_start_percent)
        self._battery_from = (t_us, percent)

    def _begin(self, t_us: int, streams: tuple[StreamDescriptor, ...]) -> BlockTake:
        """A take starts."""
        self._take_count += 1
        self.use_battery(t_us)
        take = self.make_take(self._take_count, t_us, streams)
        self._takes = [*self._takes, take][-TAKES_REMEMBERED:]
        return take

    def _silent_us(self) -> int | None:
        """When the script cuts the present take's link."""
        silent = self._script.silent_from_s
        return self._takes[-1].start_us + round(silent * 1e6) if silent and self.firmware.streaming else None

    def _end_us(self) -> tuple[int, str] | None:
        """When and why the link ends by itself, as far as is known now."""
        ends: list[tuple[int, str]] = []
        if self._script.drains and self._takes:
            since_us, percent = self._battery_from
            left_s = max(0.0, percent - SHUTDOWN_PERCENT) / self._script.battery_fall_percent_per_s
            text = f"the tool switched itself off: battery at {SHUTDOWN_PERCENT:.0f} %"
            ends.append((since_us + math.ceil(left_s * 1e6), text))
        silent_us = self._silent_us()
        if silent_us is not None:
            text = f"link lost: nothing came from the tool for {SILENCE_S:.0f} s"
            ends.append((silent_us + round(SILENCE_S * 1e6), text))
        if self.firmware.streaming and (last_us := self._takes[-1].ends_us) is not None:
            ends.append((last_us + LINGER_US, "the recording has ended"))
        return min(ends, default=None)
