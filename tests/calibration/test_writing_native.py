"""A record into the reference firmware in C, over TCP: written, read back, kept; a wrong code refused."""

from __future__ import annotations

import asyncio
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nexus_simulator.emulators import missing

import nexuslink
from nexuslink.calibration.archive import Archive
from nexuslink.calibration.errors import WrongCodeError
from nexuslink.calibration.writing import write_to_tool

CODE = 0x4E583031
pytestmark = pytest.mark.skipif(missing("native") is not None, reason=str(missing("native")))


@pytest.fixture
def address() -> Iterator[str]:
    """Of the firmware as a process."""
    served = ["sim", "serve", "--firmware", "native", "--tcp", "127.0.0.1:0"]
    command = [sys.executable, "-m", "nexuslink.cli.main", *served]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 90.0)[0], "no address"
        line = process.stdout.readline()
        try:
            yield next(word for word in line.split() if word.startswith("tcp:"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def test_the_firmware_in_c_takes_it_too(address: str, tmp_path: Path) -> None:
    async def work() -> None:
        archive = Archive(tmp_path)
        async with nexuslink.connect(address, None) as nexus:
            before = nexus.calibration_bytes
            wanted = replace(nexus.calibration, reference="in C")
            with pytest.raises(WrongCodeError, match=f"the tool keeps record {nexus.calibration.calibration_id}"):
                await write_to_tool(nexus, wanted, CODE + 1, archive, "wrong code")
            done = await write_to_tool(nexus, wanted, CODE, archive, "right code")
            assert nexus.calibration == done.record and done.record.reference == "in C"
        async with nexuslink.connect(address, None) as nexus:
            assert nexus.calibration_bytes == done.as_left.record != before
            kinds = [event.kind.value for event in archive.events(nexus.info.serial_number)]
            assert kinds == ["as-found", "as-found", "as-left"]

    asyncio.run(asyncio.wait_for(work(), 60))
