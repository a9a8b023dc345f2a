"""What happens to every chunk after decoding: estimate, guide, measure the link. Live and replay run this code.

Everything here follows from the chunks alone (their bytes and their arrival times), and from the stop commands
handed in; so a recorded session gives the same result again, to the bit. Pure: no socket, no thread, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nexuslink.calibration.convert import tool_calibration
from nexuslink.estimation.calibration import ImuScale
from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.estimator import Estimates, Estimator, Stream
from nexuslink.live.errors import SessionError
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.clock import ClockFit
from nexuslink.protocol.decoder import Batch, Decoded, Decoder
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.messages import (
    CalibrationRecord,
    Opcode,
    Quantity,
    Status,
    StreamDescriptor,
    StreamKind,
    TareResponse,
)
from nexuslink.release.coach import Coach, Cue
from nexuslink.release.hold import HoldEngine, HoldEvent, HoldState, StopReason
from nexuslink.release.plans import Plan
from nexuslink.release.summary import HoldSummary, SummaryBuilder

SILENCE_LOST_S: Final = 5.0
"""A hold ends when the tool has been silent for this long [assumption]; the coach says so long before."""
_SLOWEST_HZ, _FASTEST_HZ = 1.0, 1e5
"""Beyond these no rate is a tool's, and the filter must not see it."""
GAP_LOST_S: Final = 20.0
"""The same where somebody is bringing the link back [assumption]: longer than that, and whoever holds has moved."""
RATE_WINDOW_NS: Final = 1_000_000_000
"""Rates are counted over at least this much arrival time."""


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How well the tool is heard. Rates and latency are NaN until known."""

    force_rate_hz: float
    imu_rate_hz: float
    loss_fraction: float
    lost_messages: int
    overrun_samples: int
    latency_ms: float
    battery_percent: int | None
    silent_s: float


class Certainty:
    """How sure the newest values of one tip are. Worked out when asked for: a replay has many and looks at none."""

    __slots__ = ("_estimates", "_tip")

    def __init__(self, estimates: Estimates | None, tip: int) -> None:
        self._estimates, self._tip = estimates, tip

    @property
    def u_force_n(self) -> float:
        """Standard uncertainty of the force, as those below of theirs; NaN where nothing came yet."""
        return math.nan if self._estimates is None else float(self._estimates.u_force_n[-1, self._tip])

    @property
    def u_tip_angle_deg(self) -> float:
        """Of the tip's angle from vertical."""
        return math.nan if self._estimates is None else self._estimates.attitude.u_tip_angle_deg[self._tip]

    @property
    def turn_deg(self) -> float:
        """How far the base has turned since contact, counterclockwise from above; NaN without contact."""
        return math.nan if self._estimates is None else self._estimates.attitude.turn_deg

    @property
    def u_turn_deg(self) -> float:
        """Of the turn."""
        return math.nan if self._estimates is None else self._estimates.attitude.u_turn_deg

    @property
    def doubt(self) -> Doubt | None:
        """Why the values are not to be trusted, if they are not. Never stops anything."""
        return None if self._estimates is None else self._estimates.doubt


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one glance needs; the values are the plan's tip, newest sample."""

    plan: Plan
    hold: HoldState
    cue: Cue
    force_n: float
    pressure_kpa: float
    tip_angle_deg: float
    tip_direction_deg: float
    link: LinkQuality
    simulated: bool
    recording_s: float
    t_us: int
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class LiveUpdate:
    """What one chunk (or tick) brought: new estimates if any, and the state after it."""

    estimates: Estimates | None
    snapshot: Snapshot


def imu_scale(descriptor: StreamDescriptor) -> ImuScale:
    """Nominal scaling of an IMU stream. Raises `SessionError` for one that is laid out otherwise."""
    gyro, accel = descriptor.groups[0], descriptor.groups[1]
    usable = (
        gyro.quantity == Quantity.ANGULAR_RATE_RAD_S and accel.quantity == Quantity.ACCELERATION_M_S2
        and gyro.channels == accel.channels == 3
        and all(math.isfinite(g.scale) and g.scale > 0 for g in (gyro, accel))
    )  # fmt: skip
    if not usable:
        raise SessionError("the tool's IMU stream is not gyroscope x, y, z then accelerometer x, y, z; update it")
    return ImuScale(descriptor.rate_hz, gyro.scale, accel.scale, gyro.full_scale, accel.full_scale)


class Sensing:
    """Decoded batches to estimates: streams found by kind, record applied, tares and temperatures obeyed."""

    def __init__(self, info: ToolDescription, record: CalibrationRecord) -> None:
        force = next((s for s in info.streams if s.kind == StreamKind.FORCE), None)
        imu = next((s for s in info.streams if s.kind == StreamKind.IMU), None)
        if force is None or imu is None or sum(g.channels for g in force.groups) != 2:
            raise SessionError(
                f"{info.serial_number} does not stream force of two tips and an IMU; update its firmware"
            )
        for stream in (force, imu):
            if not _SLOWEST_HZ <= stream.rate_hz <= _FASTEST_HZ:
                raise SessionError(
                    f"{info.serial_number} names a rate of {stream.rate_hz:g} samples a second; update its firmware"
                )
        self.force_stream, self.imu_stream = force.stream, imu.stream
        try:
            cells = force.groups[0]
            full_scale = cells.full_scale / cells.scale if cells.full_scale > 0 and cells.scale > 0 else math.inf
            self.estimator = Estimator(tool_calibration(record), imu_scale(imu), force.rate_hz, full_scale)
        except CalibrationError as error:
            raise SessionError(f"{info.serial_number}: {error}; calibrate the tool again") from None
        self.tared = False
        self.shift_us = 0
        """Session time less the tool's clock: not 0 once the tool has restarted in the middle."""

    def update(self, decoded: Decoded) -> Estimates | None:
        """New estimates, or ``None``."""
        if decoded.statuses:
            status = decoded.statuses[-1]
            self.estimator.set_temperature(status.t_us + self.shift_us, 0.01 * status.temperature_cdeg)
        for response in decoded.responses:
            if response.opcode == Opcode.TARE and response.status == Status.OK:
                answer = TareResponse.unpack(response.payload)
                if answer is not None:
                    self.tared |= self.estimator.tare(np.array(answer.mean_counts, np.float64))
        if not decoded.batches:
            return None
        force: list[Batch] = []
        imu: list[Batch] = []
        for batch in decoded.batches:
            if batch.stream == self.force_stream:
                force.append(batch)
            elif batch.stream == self.imu_stream:
                imu.append(batch)
        return self.estimator.update(self._joined(force), self._joined(imu))

    def begin_anew(self, decoded: Decoded, t_us: int, passed_s: float) -> None:
        """These are the first batches of a tool that has restarted: ``passed_s`` after ``t_us``, never before it."""
        first = min(int(batch.t_us[0]) for batch in decoded.batches)
        newest = max(int(batch.t_us[-1]) for batch in decoded.batches)
        # Never back in time, whatever the host's clock says: the samples of this chunk are all new.
        self.shift_us = max(t_us + round(passed_s * 1e6) - newest, t_us + 1 - first)

    def _joined(self, batches: list[Batch]) -> Stream | None:
        if not batches:
            return None
        if len(batches) == 1:
            t_us, raw = batches[0].t_us, batches[0].raw
        else:
            t_us, raw = np.concatenate([b.t_us for b in batches]), np.concatenate([b.raw for b in batches])
        return (t_us + self.shift_us if self.shift_us else t_us), raw


class Pipeline:
    """One guided hold: decoded chunks in, updates out."""

    def __init__(self, info: ToolDescription, record: CalibrationRecord, decoder: Decoder, plan: Plan) -> None:
        self.plan = plan
        self.engine = HoldEngine(plan)
        self.events: list[HoldEvent] = []
        """Transitions since the start; a hold has few (its phases and zones have hysteresis)."""
        self.sensing = Sensing(info, record)
        self._simulated = info.simulated
        self._decoder = decoder
        self._coach = Coach(plan)
        self._summary = SummaryBuilder(plan)
        self._meter = LinkMeter(decoder)
        self._first_us: int | None = None
        self._values = (math.nan, math.nan, math.nan, math.nan)
        self._newest: Estimates | None = None
        self.t_us = 0
        """Session time of the newest sample: the tool's own until it restarts, and going on from there."""
        self._patience_s = SILENCE_LOST_S
        self._anew = False
        """The clock of the next samples is another one."""

    def begin_gap(self) -> None:
        """The link is gone, and somebody is bringing it back: be more patient with the silence."""
        self._patience_s = GAP_LOST_S

    def resume(self, decoder: Decoder, restarted: bool) -> None:
        """The same tool on another link, whose decoder this is. ``restarted``: its clock has begun anew."""
        self._meter.resume(decoder)
        self._anew |= restarted

    def _go_on(self, chunk: Chunk, decoded: Decoded) -> None:
        """The first samples after a gap: as much session time has passed as host time."""
        self._patience_s = SILENCE_LOST_S
        if self._anew:
            self._anew = False
            self.sensing.begin_anew(decoded, self.t_us, self._meter.since_data_s(chunk))

    def process(self, chunk: Chunk, decoded: Decoded, clock: ClockFit | None = None) -> LiveUpdate:
        """Take what one chunk became. ``clock`` is known live only; it touches nothing but the shown latency."""
        if decoded.batches and self._patience_s != SILENCE_LOST_S:
            self._go_on(chunk, decoded)
        estimates = self.sensing.update(decoded)
        self._meter.take(chunk, decoded, self.sensing, clock)
        if estimates is not None and len(estimates.t_us):
            self._guide(estimates)
        elif self._meter.silent_s >= self._patience_s:
            self.stop(StopReason.LINK_LOST)
        return LiveUpdate(estimates, self.snapshot())

    def _guide(self, estimates: Estimates) -> None:
        tip = self.plan.tip
        self._newest = estimates
        self.t_us = int(estimates.t_us[-1])
        if self._first_us is None:
            self._first_us = int(estimates.t_us[0])
        self._values = (
            float(estimates.force_n[-1, tip]), float(estimates.pressure_kpa[-1, tip]),
            float(estimates.tip_angle_deg[-1, tip]), float(estimates.tip_direction_deg[-1, tip]),
        )  # fmt: skip
        if self.engine.ended:
            return
        arrays = (estimates.t_us, estimates.force_n, estimates.tip_angle_deg, estimates.tip_direction_deg)
        self.events += self.engine.update(*arrays)
        self._summary.update(*arrays, self.engine.state)

    def stop(self, reason: StopReason) -> None:
        """End the hold now, at the newest sample's time. Nothing happens if it has ended already."""
        self.events += self.engine.stop(self.t_us, reason)

    def snapshot(self) -> Snapshot:
        """The state after the latest chunk."""
        state = self.engine.state
        link = self._meter.quality()
        force, pressure, angle, direction = self._values
        cue = self._coach.advise(state, force, angle, direction, link.silent_s)
        recorded = (self.t_us - self._first_us) / 1e6 if self._first_us is not None else 0.0
        return Snapshot(
            self.plan, state, cue, force, pressure, angle, direction, link, self._simulated, recorded, self.t_us,
            Certainty(self._newest, self.plan.tip),
        )  # fmt: skip

    def summary(self) -> HoldSummary:
        """How the hold was."""
        return self._summary.finish(self.engine.state)


class LinkMeter:
    """Rates, loss, latency and silence, from what the chunks say."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._since_ns: int | None = None
        self._last_data_ns: int | None = None
        self._now_ns = 0
        self._counted = [0, 0]
        self._rates = (math.nan, math.nan)
        self._latency_ms = math.nan
        self._battery: int | None = None
        self._before = (0, 0, 0)
        """Received, lost and overrun on the links before this one."""

    def resume(self, decoder: Decoder) -> None:
        """Another link: its counts are added to those of the ones before."""
        link = self._decoder.link
        received, lost, overrun = self._before
        self._before = (received + link.received, lost + link.lost, overrun + link.overrun_samples)
        self._decoder = decoder

    def since_data_s(self, chunk: Chunk) -> float:
        """From the latest force data to this chunk, seconds on the host's clock."""
        return 0.0 if self._last_data_ns is None else max(0, chunk.arrival_ns - self._last_data_ns) / 1e9

    @property
    def silent_s(self) -> float:
        """Seconds, on the transport's clock, since force last came: nothing else can be guided by."""
        return 0.0 if self._last_data_ns is None else (self._now_ns - self._last_data_ns) / 1e9

    def take(self, chunk: Chunk, decoded: Decoded, sensing: Sensing, clock: ClockFit | None) -> None:
        """Count one chunk."""
        self._now_ns = chunk.arrival_ns
        if self._since_ns is None:
            self._since_ns = self._last_data_ns = chunk.arrival_ns
        if decoded.statuses:
            self._battery = decoded.statuses[-1].battery_percent
        if decoded.batches:
            if any(batch.stream == sensing.force_stream for batch in decoded.batches):
                self._last_data_ns = chunk.arrival_ns
            for batch in decoded.batches:
                self._counted[0] += len(batch.raw) * (batch.stream == sensing.force_stream)
                self._counted[1] += len(batch.raw) * (batch.stream == sensing.imu_stream)
            if clock is not None:
                newest = decoded.batches[-1]
                sampled_ns = clock.host_ns(float(newest.t_us[-1]))
                self._latency_ms = max(0.0, (chunk.arrival_ns - sampled_ns) / 1e6)
        elapsed = chunk.arrival_ns - self._since_ns
        if elapsed >= RATE_WINDOW_NS:
            self._rates = (self._counted[0] * 1e9 / elapsed, self._counted[1] * 1e9 / elapsed)
            self._counted = [0, 0]
            self._since_ns = chunk.arrival_ns

    def quality(self) -> LinkQuality:
        """As of the latest chunk."""
        link = self._decoder.link
        received, lost, overrun = self._before
        lost += link.lost
        total = received + link.received + lost
        return LinkQuality(
            *self._rates, lost / total if total else 0.0, lost, overrun + link.overrun_samples, self._latency_ms,
            self._battery, self.silent_s,
        )  # fmt: skip
