"""``release``: one guided hold in the terminal, or silently with a JSON result."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from pathlib import Path
from typing import Final

import numpy as np

from nexuslink.cli.folders import sessions_folder
from nexuslink.cli.output import print_json, whisper
from nexuslink.cli.pairing import tell_pairing
from nexuslink.cli.terminal import TerminalView
from nexuslink.device.keeping import kept
from nexuslink.device.nexus import Nexus
from nexuslink.estimation.estimator import Estimates
from nexuslink.live.pipeline import LiveUpdate
from nexuslink.live.session import LiveSession, SessionResult
from nexuslink.release.coach import Tone
from nexuslink.release.hold import Phase, StopReason
from nexuslink.release.plans import Plan, load_plan, load_plan_file

COMPARE_EVERY_US: Final = 2_000_000
"""Device time between two comparisons with a simulated tool's truth."""


def plan_for(site: str) -> Plan:
    """A built-in site by name, or a plan file by path."""
    return load_plan_file(Path(site)) if site.endswith(".toml") else load_plan(site)


class TruthMeter:
    """Root mean square error against what a simulated tool knows to be true, while the tip is loaded."""

    def __init__(self, nexus: Nexus, plan: Plan) -> None:
        self._truth = getattr(nexus.transport, "truth", None)  # in-process simulators only
        self._plan = plan
        self._waiting: list[Estimates] = []
        self._squares = np.zeros(2)
        self._count = np.zeros(2)
        self.crossed_us: int | None = None

    def take(self, update: LiveUpdate) -> None:
        """Keep one update's estimates for the next comparison: the truth is dear, and cheaper by the second."""
        estimates = update.estimates
        if self._truth is None or estimates is None or update.snapshot.hold.phase is Phase.WAITING:
            return
        self._waiting.append(estimates)
        if estimates.t_us[-1] - self._waiting[0].t_us[0] > COMPARE_EVERY_US:
            self._compare()

    def _compare(self) -> None:
        if self._truth is None or not self._waiting:
            return
        tip = self._plan.tip
        truth = self._truth(np.concatenate([e.t_us for e in self._waiting]))
        force_n = np.concatenate([e.force_n[:, tip] for e in self._waiting])
        angle_deg = np.concatenate([e.tip_angle_deg[:, tip] for e in self._waiting])
        self._waiting = []
        for i, error in enumerate((force_n - truth.force_n[:, tip], angle_deg - truth.tip_angle_deg[:, tip])):
            known = error[np.isfinite(error)]
            self._squares[i] += known @ known
            self._count[i] += len(known)
        over = np.flatnonzero((truth.force_n >= self._plan.stop_n).any(axis=1))
        if self.crossed_us is None and len(over):
            self.crossed_us = int(truth.t_us[over[0]])

    def rms(self) -> tuple[float, float]:
        """Newtons, degrees; NaN without a truth."""
        self._compare()
        with np.errstate(invalid="ignore", divide="ignore"):
            force, angle = np.sqrt(self._squares / self._count)
        return float(force), float(angle)


class SilenceMeter:
    """How long a silence lasted before the person was told."""

    def __init__(self) -> None:
        self.shown_after_s = math.nan

    def take(self, update: LiveUpdate) -> None:
        """Note the first fault cue."""
        snapshot = update.snapshot
        if math.isnan(self.shown_after_s) and snapshot.cue.tone is Tone.FAULT and snapshot.link.silent_s > 0:
            self.shown_after_s = snapshot.link.silent_s


def run(args: argparse.Namespace) -> int:
    """Guide one hold."""
    plan = plan_for(args.site)
    folder = None if args.no_record else sessions_folder(args.sessions)
    return asyncio.run(_guide(args, plan, folder))


async def _guide(args: argparse.Namespace, plan: Plan, folder: Path | None) -> int:
    supervisor = await kept(args.device, watch=tell_pairing())
    try:
        with supervisor.holding():
            nexus = await supervisor.up(0.0)
            keeper = None if supervisor.once else supervisor
            truth, silence = TruthMeter(nexus, plan), SilenceMeter()
            session = await LiveSession.start(nexus, plan, folder, keeper)
            session.subscribe(truth.take)
            session.subscribe(silence.take)
            view = None
            if not args.json:
                view = TerminalView(sys.stdout, plan, kept=keeper is not None)
                session.subscribe(view.show)
            try:
                result = await session.finished()
            except asyncio.CancelledError:  # Ctrl-C: the tool is told, the file is finished
                result = await session.stop(StopReason.USER)
            if view is not None:
                view.end(result)
            else:
                print_json({**report(result, truth, silence), "gaps": session.gaps})
            if keeper is not None and result.snapshot.hold.stop_reason is StopReason.LINK_LOST:
                whisper(f"nexuslink: {keeper.progress.sentence}")
    finally:
        await supervisor.disconnect()
    return 0 if result.summary.phase == Phase.DONE else 1


def report(result: SessionResult, truth: TruthMeter, silence: SilenceMeter) -> dict[str, object]:
    """Everything about one hold, for programs. Errors against the truth are null without a simulated tool."""
    force_rms, angle_rms = truth.rms()
    hold = result.snapshot.hold
    delay_ms = math.nan
    if truth.crossed_us is not None and hold.stopped_at_us is not None:
        delay_ms = (hold.stopped_at_us - truth.crossed_us) / 1000
    return {
        **result.summary.as_dict(),
        "force_rms_error_n": force_rms, "angle_rms_error_deg": angle_rms,
        "lost_messages": result.snapshot.link.lost_messages,
        "overrun_samples": result.snapshot.link.overrun_samples,
        "silence_shown_after_s": silence.shown_after_s,
        "stop_delay_ms": delay_ms, "told_tool": result.told_tool,
        "session_file": result.session_file, "simulated": result.snapshot.simulated,
    }  # fmt: skip
