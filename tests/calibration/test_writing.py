"""A record into a real simulated tool: kept before, kept after, and whatever goes wrong, nothing lost and said so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nexuslink
from nexuslink.calibration.archive import Archive, Kind
from nexuslink.calibration.errors import (
    ArchiveError,
    InterruptedWriteError,
    LockedError,
    ReadBackError,
    UnsoundRecordError,
    WriteError,
    WrongCodeError,
    WrongToolError,
)
from nexuslink.calibration.writing import ID_MAX, next_id, write_to_tool
from nexuslink.device.errors import DeviceError, NotNowError
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.messages import CalibrationRecord, Opcode
from nexuslink.protocol.record import seal_record

SIM = "sim:?speed=max&seed=3"
CODE = 0x4E583031
"""What stands inside the base of a simulated tool."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Bounded."""
    asyncio.run(asyncio.wait_for(work, 60))


@asynccontextmanager
async def tool(options: str = "") -> AsyncIterator[Nexus]:
    """A simulated one."""
    async with nexuslink.connect(SIM + options, None) as nexus:
        yield nexus


def better(record: CalibrationRecord) -> CalibrationRecord:
    """Another record of the same tool."""
    tip = replace(record.force[0], gain_n_per_count=record.force[0].gain_n_per_count * 1.01)
    return replace(record, force=(tip, record.force[1]), reference="weights")


def kinds(archive: Archive, serial_number: str) -> list[str]:
    """What was kept, in order."""
    return [event.kind.value for event in archive.events(serial_number)]


@pytest.mark.parametrize("faults", ["", "&drop=0.05&corrupt=1e-4"])
def test_written_read_back_and_kept(faults: str, tmp_path: Path) -> None:
    async def work() -> None:
        archive = Archive(tmp_path)
        async with tool(faults) as nexus:
            before, serial = nexus.calibration_bytes, nexus.info.serial_number
            done = await write_to_tool(
                nexus, better(nexus.calibration), CODE, archive, "new weights", {"masses_kg": [1.0]}
            )
            assert nexus.calibration == done.record
            assert done.record.calibration_id == 2 and done.record.reference == "weights"
            assert done.as_found.record == before
            assert done.as_left.record == nexus.calibration_bytes
            assert done.as_left.observations == {"masses_kg": [1.0]}
            assert kinds(archive, serial) == ["as-found", "as-left"]
            again = await write_to_tool(nexus, done.record, CODE, archive, "once more")
            assert again.record.calibration_id == 3
            assert again.as_found.record == done.as_left.record

    run(work())


def test_numbers_only_rise_even_where_the_tool_has_an_old_record_back(tmp_path: Path) -> None:
    async def work() -> None:
        archive = Archive(tmp_path)
        for wanted in (2, 3):  # a new tool each time, which says that it has record 1
            async with tool() as nexus:
                done = await write_to_tool(nexus, nexus.calibration, CODE, archive, "again")
                assert done.record.calibration_id == wanted

    run(work())
    assert (next_id(1), next_id(ID_MAX)) == (2, 1)


def test_what_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    async def work() -> None:
        archive = Archive(tmp_path)
        async with tool() as nexus:
            record, before = nexus.calibration, nexus.calibration_bytes
            tip = replace(record.force[0], gain_n_per_count=0.0)
            for bad, kind, words in (
                (replace(record, serial_number="NX-7"), WrongToolError, "was made for NX-7, this tool is SIM-00003"),
                (replace(record, force=(tip, tip)), UnsoundRecordError, "nonsense: force.psoas: gain_n_per_count is 0"),
                (replace(record, gravity_m_s2=float("nan")), UnsoundRecordError, "gravity_m_s2 is nan"),
            ):
                with pytest.raises(kind) as caught:
                    await write_to_tool(nexus, bad, CODE, archive, "bad")
                assert words in str(caught.value) and "nothing was written" in str(caught.value)
            await nexus.start()
            with pytest.raises(NotNowError, match="while the tool streams; stop it first"):
                await write_to_tool(nexus, record, CODE, archive, "busy")
            await nexus.stop()
            assert not kinds(archive, nexus.info.serial_number)
            with pytest.raises(WrongCodeError, match="does not open with this code; the tool keeps record 1") as caught:
                await write_to_tool(nexus, record, CODE + 1, archive, "wrong code")
            assert "\n" not in str(caught.value)
            await nexus.refresh()
            assert nexus.calibration_bytes == before
            assert kinds(archive, nexus.info.serial_number) == ["as-found"]

    run(work())


def test_without_a_place_to_keep_it_nothing_is_written(tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "file").write_text("")
        async with tool() as nexus:
            before = nexus.calibration_bytes
            with pytest.raises(ArchiveError):
                await write_to_tool(nexus, better(nexus.calibration), CODE, Archive(tmp_path / "file"), "no place")
            await nexus.refresh()
            assert nexus.calibration_bytes == before

    run(work())


class FullAfter(Archive):
    """A disk that fills up after the first file."""

    def keep(self, event: Any) -> Any:
        if event.kind is Kind.AS_LEFT:
            self.folder = self.folder / "as-found" / "nowhere"
            self.folder.parent.write_text("")
        return super().keep(event)


def test_a_disk_that_fills_up_meanwhile_is_said_with_what_the_tool_has(tmp_path: Path) -> None:
    async def work() -> None:
        async with tool() as nexus:
            with pytest.raises(ArchiveError, match=r"the tool has its new record 2, but .* cannot be kept"):
                await write_to_tool(nexus, better(nexus.calibration), CODE, FullAfter(tmp_path), "late")
            assert nexus.calibration.calibration_id == 2

    run(work())


def test_a_tool_that_spoils_what_it_takes_is_found_out(tmp_path: Path) -> None:
    async def work() -> None:
        archive = Archive(tmp_path)
        async with tool("&defect=spoils") as nexus:
            before = nexus.calibration_bytes
            with pytest.raises(ReadBackError, match=r"damaged now; .* write back record 1, which is kept") as caught:
                await write_to_tool(nexus, better(nexus.calibration), CODE, archive, "spoilt")
            assert "\n" not in str(caught.value)
            (found,) = archive.events(nexus.info.serial_number)
            assert found.record == before

    run(work())


class Interfering(Nexus):
    """A connection on which something happens just before, or just after, the n-th request of a kind."""

    strikes: tuple[Opcode, int, str] = (Opcode.HELLO, 0, "")
    """Of this opcode, the n-th; what: cut, cut-after, locks, ignores."""
    _seen = 0

    async def request(self, opcode: Opcode, payload: bytes = b"", *more: Any) -> bytes:
        wanted, number, what = self.strikes
        if opcode is wanted:
            self._seen += 1
        struck = opcode is wanted and self._seen == number
        if struck and what == "cut":
            await self._cut()
        if struck and what == "locks":
            self.transport.tool.firmware.calibration.lock()  # type: ignore[attr-defined]
        if struck and what == "ignores":
            return bytes(4)
        answer = await super().request(opcode, payload, *more)
        if struck and what == "cut-after":
            await self._cut()
            await super().request(Opcode.INFO)
        return answer

    async def _cut(self) -> None:
        await self.transport.close()
        self.closed("the cable was pulled")


@pytest.mark.parametrize(
    ("strikes", "kind", "words", "has_new"),
    [
        ((Opcode.CALIBRATION_READ, 1, "cut"), InterruptedWriteError, "cable was pulled; nothing was written", False),
        ((Opcode.UNLOCK, 1, "cut"), InterruptedWriteError, "cable was pulled; the tool keeps record 1", False),
        ((Opcode.CALIBRATION_WRITE, 2, "cut"), InterruptedWriteError, "pulled; the tool keeps record 1", False),
        (
            (Opcode.CALIBRATION_WRITE, 2, "locks"),
            LockedError,
            "locked itself meanwhile; the tool keeps record 1",
            False,
        ),
        ((Opcode.CALIBRATION_COMMIT, 1, "locks"), LockedError, "locked itself meanwhile; the tool keeps rec", False),
        ((Opcode.CALIBRATION_COMMIT, 1, "cut"), InterruptedWriteError, "the old one or the new one, never half", False),
        ((Opcode.CALIBRATION_COMMIT, 1, "cut-after"), InterruptedWriteError, "the old one or the new one", True),
        ((Opcode.CALIBRATION_COMMIT, 1, "ignores"), ReadBackError, "reads back differently.*the tool keeps re", False),
    ],
)
def test_whatever_happens_in_mid_write_the_tool_has_a_whole_record(
    strikes: tuple[Opcode, int, str], kind: type[Exception], words: str, has_new: bool, tmp_path: Path
) -> None:
    from nexuslink.transport.url import make_transport

    async def work() -> None:
        archive, transport = Archive(tmp_path), make_transport(SIM)
        nexus = Interfering(transport)
        await nexus.open()
        nexus.strikes = strikes
        before, wanted = nexus.calibration_bytes, better(nexus.calibration)
        with pytest.raises(kind, match=words) as caught:
            await write_to_tool(nexus, wanted, CODE, archive, "interrupted")
        assert "\n" not in str(caught.value)
        await nexus.close()
        again = Nexus(transport)  # the same tool, another connection
        await again.open()
        new = seal_record(replace(wanted, calibration_id=2))
        assert again.calibration_bytes == (new if has_new else before)
        if strikes[0] is not Opcode.CALIBRATION_READ:
            assert archive.events(again.info.serial_number)[0].record == before
        done = await write_to_tool(again, wanted, CODE, archive, "again")
        assert again.calibration == done.record
        await again.close()

    run(work())


def test_every_error_of_a_write_can_be_shown_to_a_person() -> None:
    assert not issubclass(WriteError, DeviceError)
    for kind in (WrongToolError, UnsoundRecordError, WrongCodeError, LockedError, InterruptedWriteError, ReadBackError):
        assert issubclass(kind, WriteError)
