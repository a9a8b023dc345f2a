"""A tool that is lost while a command works with it: one clear line, or with ``--keep`` a gap that is marked."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reachable import OnTcp, there, tool, until

from nexuslink.cli import streaming
from nexuslink.cli.terminal import LOST, TerminalView
from nexuslink.device.keeping import kept
from nexuslink.live.connections import EVENT_GAP, EVENT_RESUME
from nexuslink.live.pipeline import LiveUpdate
from nexuslink.live.session import LiveSession
from nexuslink.protocol.messages import CalibrationRecord
from nexuslink.protocol.record import seal_record
from nexuslink.recording.reader import SessionReader
from nexuslink.release.plans import load_plan

GUARD_S = 60.0
Story = Callable[[OnTcp, Path], Awaitable[None]]


def rows_in(part: Path) -> int:
    """Force samples that are in a file so far."""
    return sum(len(rows.t_us) for rows in SessionReader(part).estimates()) if part.is_file() else 0


def recorded(folder: Path, story: Story, seconds: float | None = None, keep: bool = True) -> streaming._Ended:
    """``record``, as the command does it, while ``story`` is told."""

    async def work() -> streaming._Ended:
        one = OnTcp(tool(9))
        path = folder / "one.mcap"
        async with there(one):
            args = argparse.Namespace(url=one.url, keep=keep)
            limit = streaming._Limit(seconds)
            task = asyncio.create_task(streaming._run(args, limit, lambda *_: None, path))
            await until(lambda: rows_in(folder / "one.mcap.part") > 50)
            await story(one, path)
            if seconds is None and keep:
                task.cancel()  # Ctrl-C
            return await task

    return asyncio.run(asyncio.wait_for(work(), GUARD_S))


async def away(one: OnTcp, path: Path) -> None:
    await one.go()
    await asyncio.sleep(0.3)
    await more_rows(one, path)


async def power_cycle(one: OnTcp, path: Path) -> None:
    await one.go()
    one.reset()
    await more_rows(one, path)


async def more_rows(one: OnTcp, path: Path) -> None:
    """It is there again, and was found."""
    part = path.with_name(path.name + ".part")
    before = rows_in(part)
    await one.come()
    await until(lambda: rows_in(part) > before + 50)


@pytest.mark.parametrize(("story", "restarted"), [(away, False), (power_cycle, True)])
def test_a_kept_recording_goes_on_after_a_marked_gap(
    story: Story, restarted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = recorded(tmp_path, story)
    assert (ended.reason, ended.gaps) == (None, 1)
    assert capsys.readouterr().err.splitlines() == [LOST, "The tool is back." + " It has restarted." * restarted]
    reader = SessionReader(tmp_path / "one.mcap")
    gap, resume = [event for event in reader.events() if event.kind in (EVENT_GAP, EVENT_RESUME)]
    assert (gap.kind, resume.kind) == (EVENT_GAP, EVENT_RESUME)
    assert json.loads(resume.detail)["restarted"] is restarted
    chunks = len(list(reader.chunks()))
    assert 0 < json.loads(gap.detail)["after_chunks"] == json.loads(resume.detail)["after_chunks"] < chunks
    times = np.concatenate([rows.t_us for rows in reader.estimates()])
    steps = np.diff(times)
    assert (steps > 0).all()
    assert steps.max() > 50_000  # the gap itself


def test_the_limit_counts_the_time_of_gaps() -> None:
    limit = streaming._Limit(1.5)
    limit.begin(7_000_000)
    limit.begin(7_400_000)
    assert limit.left_s(8_400_000) == pytest.approx(0.1)


def test_without_keep_the_end_of_the_link_is_the_end(tmp_path: Path) -> None:
    async def go(one: OnTcp, path: Path) -> None:
        await one.go()
        await until(path.is_file)
        await one.come()

    ended = recorded(tmp_path, go, keep=False)
    assert ended.gaps == 0
    assert ended.reason is not None
    assert rows_in(tmp_path / "one.mcap") > 50


def test_a_tool_that_stays_away_ends_it_when_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go(one: OnTcp, path: Path) -> None:
        monkeypatch.setattr(streaming._Limit, "left_s", lambda *_: 0.2)  # so much, however long it took up to here
        await one.go()

    ended = recorded(tmp_path, go, seconds=10 * GUARD_S)
    assert ended.reason is not None
    assert ended.reason.startswith("SIM-00009 did not come back before the time was over; ")
    assert ended.gaps == 1


def test_a_tool_that_comes_back_as_another_is_not_taken(tmp_path: Path) -> None:
    async def calibrate(one: OnTcp, path: Path) -> None:
        await one.go()
        store = one.tool.link.tool.firmware.calibration
        record = CalibrationRecord.unpack(store.data)
        assert record is not None
        store.data = seal_record(replace(record, calibration_id=77))
        await one.come()

    ended = recorded(tmp_path, calibrate, seconds=GUARD_S)
    assert ended.reason is not None
    assert "another calibration" in ended.reason


def test_the_terminal_says_within_two_seconds_that_the_tool_is_being_brought_back(tmp_path: Path) -> None:
    out = io.StringIO()
    lost: list[LiveUpdate] = []

    async def work() -> int:
        one = OnTcp(tool(9))
        async with there(one):
            supervisor = await kept(one.url, remembered=None, cache=None)
            plan = load_plan("psoas-left")
            session = await LiveSession.start(await supervisor.up(1.0), plan, None, supervisor)
            session.subscribe(TerminalView(out, plan, kept=True).show)
            session.subscribe(lambda update: lost.append(update) if LOST in out.getvalue() else None)
            await until(lambda: session.snapshot.t_us > 0)
            await one.go()
            await until(lambda: bool(lost))
            await one.come()
            await until(lambda: session.snapshot.cue.key != "silent")
            await session.stop()
            await supervisor.disconnect()
            return session.gaps

    assert asyncio.run(asyncio.wait_for(work(), GUARD_S)) == 1
    assert lost[0].snapshot.link.silent_s <= 2.0
    assert [line for line in out.getvalue().splitlines() if LOST in line]
