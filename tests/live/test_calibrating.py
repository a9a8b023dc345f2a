"""A procedure on a connected tool: every wait ends, and what was captured is kept however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nexuslink
from nexuslink.calibration.archive import Archive, Event, Kind
from nexuslink.calibration.errors import ArchiveError
from nexuslink.calibration.picture import Picture, Stage
from nexuslink.calibration.procedure import Procedure, Setting
from nexuslink.calibration.procedure_gyro import GyroProcedure
from nexuslink.calibration.procedure_poses import PoseProcedure
from nexuslink.calibration.procedure_weights import CheckProcedure, WeightProcedure
from nexuslink.calibration.procedure_zero import ZeroProcedure
from nexuslink.live.calibrating import Calibrating, Outcome, _setting, recorded, setting_for
from nexuslink.live.errors import SessionError
from nexuslink.live.session import header_for
from nexuslink.protocol.description import ToolDescription
from nexuslink.recording.writer import SessionWriter

Make = Callable[[Setting], Procedure]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Bounded."""
    asyncio.run(asyncio.wait_for(work, 100))


@asynccontextmanager
async def beginning(
    url: str, make: Make, folder: Path, patience_s: float = 60.0, watch: Callable[[Picture], None] | None = None
) -> AsyncIterator[Calibrating]:
    """On a tool as quick as it can."""
    async with nexuslink.connect(f"sim:?speed=max&{url}", None) as nexus:
        yield Calibrating(nexus, make(setting_for(nexus)), Archive(folder), watch, patience_s)


def outcome_of(url: str, make: Make, folder: Path, patience_s: float = 60.0) -> Outcome:
    """All the way."""
    done: list[Outcome] = []

    async def work() -> None:
        async with beginning(url, make, folder, patience_s) as calibrating:
            done.append(await calibrating.run())

    run(work())
    return done[0]


@pytest.mark.parametrize(
    ("script", "make"),
    [
        ("unloaded", ZeroProcedure), ("poses", PoseProcedure),
        ("weights-iliacus", lambda setting: CheckProcedure(1, 0.5, setting)),
    ],
)  # fmt: skip
def test_done_without_a_key(script: str, make: Make, tmp_path: Path) -> None:
    outcome = outcome_of(f"script={script}&seed=2&drop=0.002", make, tmp_path)
    assert outcome.accepted and not outcome.ended, outcome.reason
    assert outcome.picture.stage is Stage.DONE and outcome.picture.simulated
    (event,) = Archive(tmp_path).events("SIM-00002")
    assert event == outcome.event and event.kind is Kind.MEASURED
    assert event.observations["simulated"] is True and event.observations["accepted"] is True
    assert (outcome.record is None) == (event.record is None) == (make not in (ZeroProcedure, PoseProcedure))


def weights(setting: Setting) -> Procedure:
    """Two weights, of which the script's first two are the ones."""
    return WeightProcedure(0, [0.5, 1.5, 4.5], setting)


def test_a_link_that_goes_keeps_what_was_captured(tmp_path: Path) -> None:
    async def work() -> None:
        async with beginning("script=weights-psoas&seed=2", weights, tmp_path) as calibrating:

            def cut(picture: Picture) -> None:
                if picture.step == 3:
                    calibrating._nexus.closed("the cable was pulled")

            calibrating._watch = cut
            outcome = await calibrating.run()
            assert (outcome.accepted, outcome.record) == (False, None)
            assert outcome.ended == outcome.reason == "the cable was pulled"
            masses = [reading["mass_kg"] for reading in outcome.event.observations["readings"]]
            assert masses == [0, 0.5, 0, 1.5]
            assert outcome.event.path is not None and outcome.event.path.is_file()

    run(work())


def test_a_silent_tool_and_a_person_who_went_away_end_it(tmp_path: Path) -> None:
    silent = outcome_of("script=lost-link&seed=2", lambda s: CheckProcedure(0, 15.0, s), tmp_path)
    assert "no force data for 5 s" in silent.ended or "link lost" in silent.ended
    gone = outcome_of("script=unloaded&seed=2", weights, tmp_path, patience_s=8.0)
    assert gone.ended == "nothing more was captured for 8 s"
    assert len(gone.event.observations["readings"]) == 1


def test_stopped_by_hand_it_keeps_what_it_has(tmp_path: Path) -> None:
    async def work() -> None:
        seen = asyncio.Event()
        async with beginning("script=weights-psoas&seed=2", weights, tmp_path) as calibrating:
            calibrating._watch = lambda picture: seen.set() if picture.step == 2 else None
            task = asyncio.create_task(calibrating.run())
            await seen.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert calibrating.outcome is not None
            assert calibrating.outcome.ended == "stopped by hand"
            assert len(calibrating.outcome.event.observations["readings"]) == 2

    run(work())


def test_undo_and_finish_from_outside(tmp_path: Path) -> None:
    async def work() -> None:
        steps: list[int] = []
        async with beginning("script=weights-psoas&seed=2", weights, tmp_path) as calibrating:

            def watch(picture: Picture) -> None:
                steps.append(picture.step)
                if picture.step == 2 and 0 not in steps[-2:] and steps.count(2) == 1:
                    calibrating.undo()
                elif picture.step == 3:
                    calibrating.finish()

            calibrating._watch = watch
            outcome = await calibrating.run()
            assert 1 in steps[steps.index(2) :], "one was taken back"
            masses = [reading["mass_kg"] for reading in outcome.event.observations["readings"]]
            assert not outcome.ended and masses == [0, 0.5, 0, 1.5]

    run(work())


def test_a_session_gives_the_gyroscope_what_it_recorded(tmp_path: Path) -> None:
    path = tmp_path / "turning.mcap"

    async def work() -> None:
        async with nexuslink.connect("sim:?script=turning&speed=max&seed=2", None) as nexus:
            writer = SessionWriter(path, header_for(nexus, None))
            nexus.add_tap(writer.chunk)
            rows = 0
            async for batch in nexus.stream():
                rows += len(batch.raw)
                if rows > 750 * 30:
                    break
            await nexus.stop()
            nexus.remove(writer.chunk)
            await asyncio.to_thread(writer.finish, None)

    run(work())
    session = recorded(path)
    assert session.record.serial_number == "SIM-00002"
    assert session.recording.rate_hz == 500.0
    assert 28 * 500 < len(session.recording.gyro_rad_s) < 32 * 500
    procedure = GyroProcedure(session.setting, [session.recording])
    procedure.finish()
    procedure.conclude()
    assert procedure.accepted and procedure.calibration is not None, procedure.reason
    assert procedure.calibration.imu.gyro.u_matrix > 0


def test_a_tool_without_the_streams_is_said() -> None:
    async def work() -> None:
        async with nexuslink.connect("sim:?speed=max&seed=2", None) as nexus:
            hello, _, *streams = nexus.info.payloads
            fewer = ToolDescription.of(hello, replace(nexus.info.info, stream_count=1).pack(), streams[:1])
            assert fewer is not None
            with pytest.raises(SessionError, match="does not stream force of two tips and an IMU"):
                _setting(fewer, nexus.calibration, setting_for(nexus).gravity)

    run(work())


class Full(Archive):
    """A disk on which there was room in the beginning."""

    def keep(self, event: Event) -> Event:
        """Not any more."""
        (self.folder / "file").write_text("")
        self.folder = self.folder / "file"
        return super().keep(event)


def test_a_disk_that_fills_up_meanwhile_loses_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with nexuslink.connect("sim:?speed=max&script=unloaded&seed=2", None) as nexus:
            outcome = await Calibrating(nexus, ZeroProcedure(setting_for(nexus)), Full(tmp_path)).run()
            assert outcome.accepted and outcome.record is not None
            assert "cannot be kept there" in outcome.unkept
            assert outcome.event.path is None and outcome.event.observations["readings"]
        async with nexuslink.connect("sim:?speed=max&script=unloaded&seed=2", None) as nexus:
            procedure = ZeroProcedure(setting_for(nexus))
            with pytest.raises(ArchiveError, match="cannot be kept there"):
                await Calibrating(nexus, procedure, Archive(tmp_path / "file")).run()
            assert not procedure.readings, "said before anything was measured"

    run(work())
