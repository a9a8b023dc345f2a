"""Trajectories to what the window is fed with: the real engine, coach and summary on made-up samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from nexuslink.app.ring import Ring
from nexuslink.estimation.doubt import Doubt
from nexuslink.live.pipeline import LinkQuality, LiveUpdate, Snapshot
from nexuslink.live.session import SessionResult
from nexuslink.release.coach import advise
from nexuslink.release.hold import HoldEngine, StopReason
from nexuslink.release.plans import load_plan
from nexuslink.release.summary import SummaryBuilder

RATE_HZ = 250
BATCH = 10

Trajectory = Callable[[float], tuple[float, float, float]]  # seconds -> newtons, degrees, degrees


def good(t: float) -> tuple[float, float, float]:
    """Comes down, settles in the middle of a psoas band, breathes and sways a little."""
    force = (
        0.0 if t < 2 else min(24.0, 6.0 * (t - 2)) + (1.6 * math.sin(0.63 * t) + 0.25 * math.sin(9 * t) if t > 3 else 0)
    )
    return max(0.0, force), 12.0 + 1.5 * math.sin(0.5 * t), 18.0 * math.sin(0.31 * t)


def level(force: float, angle: float = 12.0, direction: float = 0.0) -> Trajectory:
    """The same all the time."""
    return lambda _t: (force, angle, direction)


class Sure(NamedTuple):
    """How sure the values are, instead of the pipeline's `Certainty`."""

    u_force_n: float = math.nan
    u_tip_angle_deg: float = math.nan
    turn_deg: float = math.nan
    u_turn_deg: float = math.nan
    doubt: Doubt | None = None


class Driver:
    """One hold: `advance` it, then look at `snapshot` and `ring`, or take the updates."""

    def __init__(self, site: str = "psoas-left", path: Trajectory = good, hold_s: float | None = None) -> None:
        plan = load_plan(site)
        self.plan = plan if hold_s is None else replace(plan, hold_s=hold_s)
        self.path = path
        self.engine = HoldEngine(self.plan)
        self.summary = SummaryBuilder(self.plan)
        self.ring = Ring(1 << 17, 3)
        self.t_us = 0
        self.silent_s = 0.0
        self.latency_ms = 11.0
        self.loss = 0.0
        self.newest = (0.0, math.nan, math.nan)
        self.sure = Sure()

    def batch(self, count: int = BATCH) -> LiveUpdate:
        """The next samples."""
        t_us = self.t_us + (np.arange(1, count + 1) * 1_000_000) // RATE_HZ
        rows = np.array([self.path(float(t) * 1e-6) for t in t_us])
        self.t_us = int(t_us[-1])
        tip = self.plan.tip
        both = np.zeros((3, count, 2))
        both[:, :, tip] = rows.T
        force, angle, direction = both
        self.engine.update(t_us, force, angle, direction)
        self.summary.update(t_us, force, angle, direction, self.engine.state)
        self.newest = tuple(rows[-1].tolist())
        self.ring.append(t_us, rows)
        columns = SimpleNamespace(t_us=t_us, force_n=force, tip_angle_deg=angle, tip_direction_deg=direction)
        return LiveUpdate(columns, self.snapshot)  # all that the bridge takes of estimates

    def advance(self, seconds: float) -> Driver:
        for _ in range(round(seconds * RATE_HZ / BATCH)):
            self.batch()
        return self

    def stop(self, reason: StopReason) -> Driver:
        self.engine.stop(self.t_us, reason)
        return self

    @property
    def snapshot(self) -> Snapshot:
        state = self.engine.state
        link = LinkQuality(250.0, 500.0, self.loss, 0, 0, self.latency_ms, 84, self.silent_s)
        cue = advise(self.plan, state, *self.newest, self.silent_s)
        force, angle, direction = self.newest
        return Snapshot(
            self.plan, state, cue, force, math.nan, angle, direction, link, True, self.t_us * 1e-6, self.t_us, self.sure
        )

    def result(self, file: Path | None = None) -> SessionResult:
        return SessionResult(self.summary.finish(self.engine.state), file, self.snapshot, True)
