"""Whole guided holds on the simulated tool, at virtual speed: what a person would see, and what the file holds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

import nexuslink
from nexuslink.live.errors import SessionError
from nexuslink.live.pipeline import LiveUpdate
from nexuslink.live.replay import replay
from nexuslink.live.session import LiveSession, SessionResult
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.messages import StopReason as ToolStopReason
from nexuslink.recording.errors import RecordingError
from nexuslink.recording.reader import SessionReader
from nexuslink.recording.writer import SessionWriter
from nexuslink.release.coach import Tone
from nexuslink.release.hold import Phase, StopReason
from nexuslink.release.plans import load_plan


def hold(
    script: str, folder: Path | None, site: str = "psoas-left", stop_at_s: float | None = None, more: str = ""
) -> tuple[SessionResult, list[LiveUpdate], int | None]:
    """Run one hold to its end; the result, every update, and the reason that the tool was told."""
    updates: list[LiveUpdate] = []

    async def work() -> tuple[SessionResult, int | None]:
        async with nexuslink.connect(f"sim:?script={script}&speed=max&seed=11{more}") as nexus:
            session = await LiveSession.start(nexus, load_plan(site), folder)
            session.subscribe(updates.append)
            if stop_at_s is not None:
                reached = asyncio.Event()
                session.subscribe(lambda u: reached.set() if u.snapshot.recording_s >= stop_at_s else None)
                await reached.wait()
                await session.stop(StopReason.USER)
            result = await session.finished()
            return result, nexus.transport.tool_stop_reason  # type: ignore[attr-defined]

    result, told = asyncio.run(asyncio.wait_for(work(), 110))
    return result, updates, told


@pytest.mark.parametrize(("script", "site"), [("good-psoas", "psoas-left"), ("good-iliacus", "iliacus-right")])
def test_a_good_hold_is_done_recorded_and_replays_to_the_bit(script: str, site: str, tmp_path: Path) -> None:
    result, updates, told = hold(script, tmp_path, site)
    assert result.summary.phase is Phase.DONE
    assert result.summary.held_s == pytest.approx(60.0, abs=0.01)
    assert result.told_tool
    assert told == ToolStopReason.DONE
    assert all(u.snapshot.simulated for u in updates)
    assert result.session_file is not None
    again = replay(result.session_file)
    assert again.rows_identical
    assert again.summary_identical
    assert again.rows == again.recorded_rows > 60 * 250
    assert again.simulated


def test_too_hard_stops_at_once_names_the_reason_and_tells_the_tool(tmp_path: Path) -> None:
    plan = load_plan("psoas-left")
    result, updates, told = hold("too-hard", tmp_path)
    assert result.summary.stop_reason is StopReason.OVER_FORCE
    assert told == ToolStopReason.OVER_FORCE
    crossed = next(
        int(u.estimates.t_us[i]) for u in updates if u.estimates is not None
        for i in range(len(u.estimates.t_us)) if u.estimates.force_n[i, plan.tip] >= plan.stop_n
    )  # fmt: skip
    stopped = result.snapshot.hold.stopped_at_us
    assert stopped is not None
    assert 0 <= stopped - crossed <= 100_000
    assert result.snapshot.cue.sentence == "Stopped: too hard."


def test_a_lost_link_is_said_within_two_seconds_and_the_file_is_whole(tmp_path: Path) -> None:
    result, updates, _ = hold("lost-link", tmp_path)
    first_fault = next(u.snapshot for u in updates if u.snapshot.cue.tone is Tone.FAULT)
    assert first_fault.link.silent_s <= 2.0
    assert first_fault.cue.sentence == "No data from tool."
    assert result.summary.stop_reason is StopReason.LINK_LOST
    assert not result.told_tool
    assert result.session_file is not None
    again = replay(result.session_file)
    assert again.rows_identical
    assert again.summary_identical
    assert again.rows == sum(len(u.estimates.t_us) for u in updates if u.estimates is not None)


def test_the_users_stop_is_replayed_where_it_was(tmp_path: Path) -> None:
    result, _, told = hold("good-psoas", tmp_path, stop_at_s=20)
    assert result.summary.stop_reason is StopReason.USER
    assert told == ToolStopReason.USER
    assert 5 < result.summary.held_s < 25
    assert result.session_file is not None
    again = replay(result.session_file)
    assert again.summary_identical
    assert again.summary.stop_reason is StopReason.USER


def test_letting_go_ends_the_hold_and_held_time_never_ran_meanwhile(tmp_path: Path) -> None:
    result, _, _ = hold("letting-go", None)
    assert result.summary.stop_reason is StopReason.RELEASED
    assert result.session_file is None
    assert result.summary.held_s < 60


def test_two_percent_loss_does_not_stop_a_hold(tmp_path: Path) -> None:
    result, _, _ = hold("good-psoas", tmp_path, more="&drop=0.02")
    assert result.summary.phase is Phase.DONE
    assert result.snapshot.link.lost_messages > 20
    assert result.session_file is not None
    assert replay(result.session_file).rows_identical


def test_the_tare_takes_out_what_the_calibration_cannot_know(tmp_path: Path) -> None:
    _, updates, _ = hold("idle", None, stop_at_s=5)
    late = [u for u in updates if u.estimates is not None and u.snapshot.recording_s > 3]
    assert abs(late[-1].snapshot.force_n) < 0.3


def test_replay_sees_a_difference(tmp_path: Path) -> None:
    """Negative control: one chunk less, or other limits, and the replay says so."""
    result, _, _ = hold("letting-go", tmp_path)
    assert result.session_file is not None
    reader = SessionReader(result.session_file)
    chunks = list(reader.chunks())

    def rewritten(name: str, without: int | None, plan: str | None) -> Path:
        writer = SessionWriter(tmp_path / name, replace(reader.header, plan_toml=plan or reader.header.plan_toml))
        for number, chunk in enumerate(chunks):
            writer.chunk(Chunk(chunk.arrival_ns, b"") if number == without else chunk)
        for rows in reader.estimates():
            writer.estimates(*rows)
        return writer.finish(reader.summary)

    assert replay(rewritten("same.mcap", None, None)).rows_identical
    assert not replay(rewritten("chunk.mcap", 500, None)).rows_identical
    assert reader.header.plan_toml is not None
    other = replay(rewritten("plan.mcap", None, reader.header.plan_toml.replace("35", "20")))
    assert other.rows_identical
    assert not other.summary_identical


def test_a_cut_recording_replays_as_far_as_it_goes(tmp_path: Path) -> None:
    result, _, _ = hold("letting-go", tmp_path)
    assert result.session_file is not None
    whole = result.session_file.read_bytes()
    part = tmp_path / "cut.mcap.part"
    part.write_bytes(whole[: len(whole) // 2])
    again = replay(part)
    assert again.truncated
    assert again.rows_identical
    assert again.summary_identical is None
    assert 0 < again.rows < replay(result.session_file).rows


def test_what_cannot_be_replayed_is_one_line(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.mcap"
    foreign.write_text("hello")
    with pytest.raises(RecordingError, match="not a session"):
        replay(foreign)

    async def without_a_plan() -> Path:
        from nexuslink.live.session import header_for

        async with nexuslink.connect("sim:?speed=max") as nexus:
            return SessionWriter(tmp_path / "raw.mcap", header_for(nexus, None)).finish(None)

    with pytest.raises(SessionError, match="without a plan"):
        replay(asyncio.run(without_a_plan()))


def test_a_second_session_on_a_running_tool_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        async with nexuslink.connect("sim:?speed=max") as nexus:
            session = await LiveSession.start(nexus, load_plan("psoas-left"), None)
            with pytest.raises(SessionError, match="running already"):
                await LiveSession.start(nexus, load_plan("psoas-left"), tmp_path)
            await session.stop()
            again = await LiveSession.start(nexus, load_plan("psoas-right"), tmp_path)
            assert (await again.stop()).session_file is not None

    asyncio.run(asyncio.wait_for(work(), 60))
    assert len(list(tmp_path.iterdir())) == 1


def test_stop_commands_in_a_foreign_hand_are_refused(tmp_path: Path) -> None:
    result, _, _ = hold("idle", tmp_path, stop_at_s=2)
    assert result.session_file is not None
    reader = SessionReader(result.session_file)
    writer = SessionWriter(tmp_path / "bad.mcap", reader.header)
    writer.event(0, "stop", json.dumps({"reason": "because"}))
    with pytest.raises(SessionError, match="cannot be read"):
        replay(writer.finish(None))
