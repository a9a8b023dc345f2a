"""The calibration record on its way into a tool and out of it: compared, never half, never impossible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from driving import run
from scripted_tool import ScriptedTool, calibration

import nexuslink
from nexuslink.device.cache import ToolCache
from nexuslink.device.errors import BadAnswerError, BadValueError, RefusedError
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.messages import (
    CalibrationReadResponse,
    CalibrationRecord,
    CalibrationWriteRequest,
    CalibrationWriteResponse,
    Opcode,
    Status,
)
from nexuslink.protocol.record import seal_record

SIM = "sim:?speed=max&seed=3"
CODE = 0x4E583031
"""What stands inside the base of a simulated tool."""


def test_a_new_record_is_written_read_back_and_known() -> None:
    async def work() -> None:
        cache = ToolCache(lambda: None)
        async with nexuslink.connect(SIM, cache) as nexus:
            new = seal_record(replace(nexus.calibration, calibration_id=4711))
            with pytest.raises(RefusedError, match="it is locked; unlock it with the code"):
                await nexus.write_calibration(new)
            with pytest.raises(RefusedError, match="it is locked"):
                await nexus.unlock(CODE + 1)
            assert await nexus.unlock(CODE) == 300
            await nexus.write_calibration(new)
            assert nexus.calibration_bytes == new
            assert nexus.calibration.calibration_id == nexus.info.info.calibration_id == 4711
            foreign = seal_record(replace(nexus.calibration, serial_number="NX-OTHER"))
            with pytest.raises(RefusedError, match="CALIBRATION_COMMIT: a value is outside"):
                await nexus.write_calibration(foreign)
            assert nexus.calibration_bytes == new
            await nexus.restart()
            assert nexus.recognised, "with the new record"
            assert nexus.calibration_bytes == new

    run(work())


class Memory:
    """A tool's calibration writes, scripted: where to go wrong is told."""

    def __init__(self, forgets: bool = False, garbles: bool = False) -> None:
        self.aside = b""
        self.tool = ScriptedTool(
            {
                Opcode.UNLOCK: lambda _: (Status.OK, b"\x2c\x01"),
                Opcode.CALIBRATION_WRITE: lambda request: self.write(request.payload),
                Opcode.CALIBRATION_COMMIT: lambda _: self.commit(),
            }
        )
        self._forgets, self._garbles = forgets, garbles

    def write(self, payload: bytes) -> tuple[Status, bytes]:
        piece = CalibrationWriteRequest.unpack(payload)
        assert piece is not None
        self.aside = self.aside[: piece.offset] + piece.data
        if self._forgets and piece.offset:
            self.aside = self.aside[:10]
        return Status.OK, CalibrationWriteResponse(len(self.aside)).pack()

    def commit(self) -> tuple[Status, bytes]:
        self.tool.record = calibration(3) if self._garbles else self.aside
        return Status.OK, bytes(4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, None),
        ({"forgets": True}, "does not have all that was written; the old record is still in use"),
        ({"garbles": True}, "reads back differently; write it again"),
    ],
)
def test_what_is_written_is_compared(options: dict[str, bool], words: str | None) -> None:
    async def work() -> None:
        memory = Memory(**options)
        nexus = Nexus(memory.tool.transport)
        await nexus.open()
        if words is None:
            await nexus.write_calibration(calibration(2))
            assert nexus.calibration.calibration_id == 2
        else:
            with pytest.raises(BadAnswerError, match=words):
                await nexus.write_calibration(calibration(2))
        await nexus.close()

    run(work())


def test_an_impossible_record_is_not_written() -> None:
    async def work() -> None:
        memory = Memory()
        record = CalibrationRecord.unpack(calibration())
        assert record is not None
        nexus = Nexus(memory.tool.transport)
        await nexus.open()
        cell = replace(record.force[0], gain_n_per_count=2.0)
        with pytest.raises(BadValueError, match=r"impossible, force\[0\].gain_n_per_count is 2"):
            await nexus.write_calibration(seal_record(replace(record, force=(cell, cell))))
        assert not memory.tool.asked(Opcode.CALIBRATION_WRITE)
        await nexus.close()

    run(work())


def test_a_page_of_the_record_may_be_as_small_as_the_link_wants() -> None:
    async def work() -> None:
        def crumbs(request: Any) -> tuple[Status, bytes]:
            offset = int.from_bytes(request.payload[:2], "little")
            piece = tool.record[offset : offset + 40]
            return Status.OK, CalibrationReadResponse(len(tool.record), offset, len(piece), piece).pack()

        tool = ScriptedTool({Opcode.CALIBRATION_READ: crumbs})
        nexus = Nexus(tool.transport)
        await nexus.open()
        assert nexus.calibration_bytes == calibration()
        await nexus.close()

    run(work())
