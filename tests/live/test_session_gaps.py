"""A hold that outlives its link: the tool vanishes or restarts in the middle, and the session goes on where it can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pytest
from reachable import GUARD_S, OnTcp, there, tool, until

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.supervisor import Supervisor
from nexuslink.live import pipeline, replay
from nexuslink.live.calibrating import recorded
from nexuslink.live.connections import EVENT_GAP, EVENT_RESUME
from nexuslink.live.errors import SessionError
from nexuslink.live.pipeline import LiveUpdate
from nexuslink.live.session import LiveSession, SessionResult
from nexuslink.recording.reader import SessionReader
from nexuslink.release.coach import Tone
from nexuslink.release.hold import StopReason
from nexuslink.release.plans import load_plan


@dataclass
class Held:
    """A session that is under way, and all it said."""

    tool: OnTcp
    session: LiveSession
    supervisor: Supervisor
    updates: list[LiveUpdate] = field(default_factory=list)

    async def rows(self, more: int) -> None:
        """Until so many more force samples have come."""
        wanted = self.count + more
        await until(lambda: self.count >= wanted)

    @property
    def count(self) -> int:
        return sum(len(u.estimates.t_us) for u in self.updates if u.estimates is not None)

    @property
    def times(self) -> np.ndarray:
        return np.concatenate([u.estimates.t_us for u in self.updates if u.estimates is not None])

    async def vanish(self) -> None:
        await self.tool.go()
        await asyncio.sleep(0.5)
        await self.tool.come()

    async def reset(self) -> None:
        self.tool.reset()

    async def power_cycle(self) -> None:
        await self.tool.go()
        self.tool.reset()
        await asyncio.sleep(0.3)
        await self.tool.come()


def held(folder: Path, story: Callable[[Held], Awaitable[None]]) -> tuple[Held, SessionResult]:
    """One session, told by ``story``, stopped by the user unless it has ended by itself."""

    async def work() -> tuple[Held, SessionResult]:
        one = OnTcp(tool(11))
        async with there(one):
            supervisor = Supervisor(one.url, Discovery([]), rng=Random(1), cache=None)
            supervisor.connect()
            nexus = await supervisor.up(GUARD_S)
            session = await LiveSession.start(nexus, load_plan("psoas-left"), folder, supervisor)
            h = Held(one, session, supervisor)
            session.subscribe(h.updates.append)
            await h.rows(150)
            await story(h)
            result = await session.stop()
            assert not supervisor._holds
            await supervisor.disconnect()
            assert supervisor.state is State.OFF
            return h, result

    return asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.parametrize("cause", [Held.vanish, Held.reset, Held.power_cycle])
def test_the_session_goes_on_and_replays_to_the_bit(cause: Callable[[Held], Awaitable[None]], tmp_path: Path) -> None:

    async def story(h: Held) -> None:
        for _ in range(2):
            await cause(h)
            await h.rows(150)

    h, result = held(tmp_path, story)
    assert h.session.gaps == 2
    assert result.told_tool
    assert result.summary.stop_reason is StopReason.USER
    steps = np.diff(h.times)
    assert (steps > 0).all()  # one time line, though the tool's own clock may have begun anew twice
    gaps = steps[steps > 100_000]
    assert len(gaps) == 2
    assert (gaps < 5_000_000).all()
    assert result.session_file is not None
    kinds = [event.kind for event in SessionReader(result.session_file).events()]
    assert kinds.count(EVENT_GAP) == kinds.count(EVENT_RESUME) == 2
    again = replay.replay(result.session_file)
    assert again.rows == again.recorded_rows == len(h.times)
    assert again.rows_identical
    assert again.summary_identical
    assert again.lost_messages == result.snapshot.link.lost_messages
    with pytest.raises(SessionError, match="the tool was lost in the middle of it"):
        recorded(result.session_file)  # one clock for all its samples is what a calibration needs


def test_without_the_marks_in_it_the_replay_would_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(h: Held) -> None:
        await h.reset()
        await h.rows(100)

    _, result = held(tmp_path, story)
    assert result.session_file is not None
    assert replay.replay(result.session_file).rows_identical
    monkeypatch.setattr(replay, "_COMMANDS", ())
    assert not replay.replay(result.session_file).rows_identical


def test_a_gap_is_a_loud_fault_and_too_long_a_one_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "GAP_LOST_S", 3.0)

    async def story(h: Held) -> None:
        await h.tool.go()
        await asyncio.wait_for(h.session.finished(), GUARD_S)

    h, result = held(tmp_path, story)
    assert result.summary.stop_reason is StopReason.LINK_LOST
    assert not result.told_tool
    fault = next(u.snapshot for u in h.updates if u.snapshot.cue.tone is Tone.FAULT)
    assert fault.link.silent_s <= 2.0
    assert result.snapshot.link.silent_s == pytest.approx(3.0, abs=0.15)
    assert result.session_file is not None
    again = replay.replay(result.session_file)
    assert again.rows_identical
    assert again.summary_identical


def test_another_tool_does_not_go_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "GAP_LOST_S", 2.0)

    async def story(h: Held) -> None:
        other = OnTcp(tool(12))
        await h.tool.go()
        other._port = h.tool._port
        async with there(other):
            await asyncio.wait_for(h.session.finished(), GUARD_S)

    h, result = held(tmp_path, story)
    assert h.session.gaps == 1
    assert result.summary.stop_reason is StopReason.LINK_LOST
