"""How sure the newest values are: carried with every snapshot, worked out only where somebody looks."""

from __future__ import annotations

import asyncio
import math

import pytest

import nexuslink
from nexuslink.estimation.doubt import Doubt
from nexuslink.live.pipeline import Certainty, LiveUpdate
from nexuslink.live.session import LiveSession
from nexuslink.release.plans import load_plan


def updates_of(more: str, seconds: float) -> list[LiveUpdate]:
    updates: list[LiveUpdate] = []

    async def work() -> None:
        async with nexuslink.connect(f"sim:?script=good-psoas&speed=max&seed=11{more}") as nexus:
            session = await LiveSession.start(nexus, load_plan("psoas-left"), None)
            reached = asyncio.Event()
            session.subscribe(updates.append)
            session.subscribe(lambda u: reached.set() if u.snapshot.recording_s >= seconds else None)
            await reached.wait()
            await session.stop()

    asyncio.run(asyncio.wait_for(work(), 60))
    return updates


def test_a_snapshot_is_as_sure_as_its_newest_estimates() -> None:
    with_estimates = [u for u in updates_of("", 12.0) if u.estimates is not None]
    early, late = with_estimates[5], with_estimates[-1]
    for update in (early, late):
        sure, made = update.snapshot.certainty, update.estimates
        assert made is not None
        assert sure.u_force_n == made.u_force_n[-1, 0] > 0
        assert sure.u_tip_angle_deg == made.attitude.u_tip_angle_deg[0] > 0
        assert sure.doubt is made.doubt
    assert math.isnan(early.snapshot.certainty.turn_deg)  # nothing touches yet
    assert math.isfinite(late.snapshot.certainty.turn_deg)
    assert late.snapshot.certainty.u_turn_deg > 0
    assert late.snapshot.certainty.doubt is None


def test_a_tool_in_the_cold_is_doubted_and_guided_all_the_same() -> None:
    last = updates_of("&temperature=-8", 12.0)[-2].snapshot
    assert last.certainty.doubt is Doubt.TEMPERATURE_OUTSIDE
    assert last.force_n == pytest.approx(22.0, abs=3.0)


def test_before_the_first_sample_nothing_is_claimed() -> None:
    sure = Certainty(None, 0)
    assert all(math.isnan(u) for u in (sure.u_force_n, sure.u_tip_angle_deg, sure.turn_deg, sure.u_turn_deg))
    assert sure.doubt is None
