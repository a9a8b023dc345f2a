"""Calibrating on the loop's thread: one procedure on the desk's tool, and the record that came out written to it.

Knows nothing of Qt. What was captured is archived however it ends; that is `live.calibrating`'s doing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from nexuslink.app.asked import Asked
from nexuslink.app.changes import Change, changes

if TYPE_CHECKING:
    from nexuslink.calibration.picture import Picture
    from nexuslink.calibration.procedure import Procedure, Setting
    from nexuslink.device.nexus import Nexus
    from nexuslink.live.calibrating import Calibrating, Outcome
    from nexuslink.protocol.messages import CalibrationRecord

_ACTED: Final = re.compile(r"(?<=[?&]script=)(good-psoas|good-iliacus|weights-\w+|unloaded|poses|turning)(?=&|$)")
_SCRIPTS: Final = {"zero": "unloaded", "poses": "poses", "turning": "turning"}
_WEIGHTS: Final = ("weights-psoas", "weights-iliacus")
_METHODS: Final = ("never calibrated", "calibrated by the factory", "calibrated by its user")


SILENT_S: Final = 1.5
"""A tool that was not heard for so long is lost."""


class BenchError(Exception):
    """Something was asked that is not possible now; one plain line."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """How a calibration ended. ``broken``: why it ended before everything was captured, else empty; ``lost``: because
    the tool is not heard any more."""

    picture: Picture
    broken: str
    lost: bool
    writable: bool
    changes: tuple[Change, ...]
    simulated: bool


def acted(url: str, asked: Asked) -> str:
    """The address of a simulated tool that is handled as this calibration needs; any other address as it is."""
    if url.partition(":")[0] != "sim":
        return url
    script = _SCRIPTS.get(asked.choice) or _WEIGHTS[asked.tip]
    if "script" not in dict(parse_qsl(url.partition("?")[2])):
        return f"{url}{'&' if '?' in url else '?'}script={script}"
    return _ACTED.sub(script, url)


def about(nexus: Nexus) -> str:
    """Which tool, and how it was calibrated last: one line."""
    from datetime import UTC, datetime

    record = nexus.calibration
    how = _METHODS[record.method] if record.method < len(_METHODS) else "calibrated"
    when = f" on {datetime.fromtimestamp(record.made_unix_s, UTC):%Y-%m-%d}" if record.made_unix_s > 0 else ""
    return f"{nexus.info.info.model}, {nexus.info.serial_number}: {how}{when}"


def procedure_for(asked: Asked, nexus: Nexus) -> Procedure:
    """What was asked for, for this tool. Raises `SessionError`, `ProcedureError` or `CalibrationError`."""
    from nexuslink.calibration.procedure_gyro import GyroProcedure
    from nexuslink.calibration.procedure_poses import PoseProcedure
    from nexuslink.calibration.procedure_weights import CheckProcedure, WeightProcedure
    from nexuslink.calibration.procedure_zero import ZeroProcedure
    from nexuslink.estimation.gravity import UNKNOWN_PLACE, local_gravity
    from nexuslink.live.calibrating import setting_for

    gravity = UNKNOWN_PLACE if asked.latitude_deg is None else local_gravity(asked.latitude_deg)
    setting = setting_for(nexus, gravity)
    if asked.choice == "weights":
        return WeightProcedure(asked.tip, asked.masses_kg, setting, asked.u_mass_share)
    if asked.choice == "check":
        return CheckProcedure(asked.tip, asked.masses_kg[0], setting, asked.u_mass_share)
    plain: dict[str, Callable[[Setting], Procedure]]
    plain = {"zero": ZeroProcedure, "poses": PoseProcedure, "turning": GyroProcedure}
    return plain[asked.choice](setting)


class Bench:
    """One calibration on one connected tool."""

    def __init__(self, nexus: Nexus, asked: Asked, watch: Callable[[int, Picture], None]) -> None:
        """``watch`` gets the link's clock in microseconds with every picture. Raises like `procedure_for`."""
        from nexuslink.calibration.archive import Archive, usual_folder
        from nexuslink.live.calibrating import Calibrating

        self._nexus = nexus
        self._archive = Archive(usual_folder())
        self._before: CalibrationRecord = nexus.calibration
        self._procedure = procedure_for(asked, nexus)
        self._outcome: Outcome | None = None
        self._run: Calibrating = Calibrating(
            nexus, self._procedure, self._archive, lambda picture: watch(nexus.now_ns // 1000, picture)
        )

    async def run(self) -> Concluded:
        """Until everything is captured, or it ends for another reason; always bounded by the run's own patience."""
        outcome = self._outcome = await self._run.run()
        lines = () if outcome.record is None else changes(self._before, outcome.record)
        nexus = self._nexus
        lost = nexus.closed_reason is not None or nexus.now_ns - nexus.last_chunk_ns > SILENT_S * 1e9
        return Concluded(outcome.picture, outcome.ended, lost, outcome.record is not None, lines, self._nexus.simulated)

    def undo(self) -> None:
        """Take the latest point back."""
        self._run.undo()

    def give_up(self) -> None:
        """End now."""
        self._run.give_up()

    async def write(self, code: int, nexus: Nexus | None = None) -> None:
        """What came out into the tool, read back and compared. Raises `WriteError`, `ArchiveError` or `DeviceError`.

        ``nexus``: the same tool on another link, where there is one.
        """
        from nexuslink.calibration.writing import write_to_tool
        from nexuslink.protocol.exchange import LinkState

        outcome = self._outcome
        if outcome is None or outcome.record is None:
            raise BenchError("There is nothing to write. Calibrate first.")
        if nexus is not None and nexus.info.serial_number == self._nexus.info.serial_number:
            self._nexus = nexus
        if self._nexus.state is LinkState.STREAMING:  # its STOP was lost at the end of the calibration
            await self._nexus.stop()
        await write_to_tool(
            self._nexus, outcome.record, code, self._archive, outcome.event.reason, outcome.event.observations
        )
