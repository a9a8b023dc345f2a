"""Which tools are there: serial ports that may be one, and always the simulated one, which says that it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from serial.tools import list_ports

SIMULATED_URL: Final = "sim:?script=good-psoas"


@dataclass(frozen=True, slots=True)
class FoundTool:
    """One line in the list of tools."""

    name: str
    url: str
    simulated: bool
    detail: str


def find_tools() -> list[FoundTool]:
    """Ports with a USB device behind them (a Nexus is one of these), then the simulated tool."""
    ports = sorted((p for p in list_ports.comports() if p.vid is not None), key=lambda p: p.device)
    found = [
        FoundTool(p.product or p.description or p.device, f"serial:{p.device}", False, f"{p.device}, {p.manufacturer}"
                  if p.manufacturer else p.device)
        for p in ports
    ]  # fmt: skip
    return [*found, FoundTool("Simulated tool", SIMULATED_URL, True, "no hardware needed; shows a good hold")]
