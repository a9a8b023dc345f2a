"""``scan``: which tools are there, over every carrier at once, and why one of them could not be looked on."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import Iterable
from typing import Final

from nexuslink.cli.errors import UsageError
from nexuslink.cli.output import columns, print_json, say, whisper
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import FoundTool
from nexuslink.device.remembered import USUAL, RememberedTool

LOOK_EVERY_S: Final = 1.0
"""Between two looks of ``--watch``: a radio needs a rest as well."""
FORGET_LOOKS: Final = 3
"""A tool that was not seen in so many looks is gone: not every one of its advertisements is heard."""
SMOOTHING: Final = 0.4
"""Share of the latest look in the signal that is shown."""
CARRIERS: Final = {"serial": "cable", "ble": "Bluetooth", "tcp": "network", "sim": "-"}
HEAD: Final = ("NAME", "SERIAL NUMBER", "BY", "SIGNAL", "PAIRED", "KNOWN", "ADDRESS")
_YES_NO: Final = {True: "yes", False: "no", None: "-"}


class Sightings:
    """Tools over several looks: each keeps its place in the list, and its signal is smoothed."""

    def __init__(self) -> None:
        self._tools: dict[str, FoundTool] = {}
        self._missed: dict[str, int] = {}
        self._rssi_dbm: dict[str, float] = {}

    def saw(self, found: Iterable[FoundTool]) -> None:
        """One look's."""
        seen = {tool.url: tool for tool in found}
        self._tools |= seen
        for url in list(self._tools):
            self._missed[url] = 0 if url in seen else self._missed[url] + 1
            if self._missed[url] >= FORGET_LOOKS:
                del self._tools[url], self._missed[url]
                self._rssi_dbm.pop(url, None)
        for url, tool in seen.items():
            if tool.rssi_dbm is not None:
                before = self._rssi_dbm.get(url, tool.rssi_dbm)
                self._rssi_dbm[url] = before + SMOOTHING * (tool.rssi_dbm - before)

    def rows(self) -> list[dict[str, object]]:
        """For programs."""
        known = {tool.serial_number: tool for tool in USUAL.all()}
        return [_row(tool, self._rssi_dbm.get(url), known) for url, tool in self._tools.items()]


def _row(tool: FoundTool, rssi_dbm: float | None, known: dict[str, RememberedTool]) -> dict[str, object]:
    mine = known.get(tool.serial_number or "")
    return {
        "name": (mine.name if mine is not None else "") or tool.name, "serial_number": tool.serial_number,
        "carrier": tool.scheme, "rssi_dbm": None if rssi_dbm is None else round(rssi_dbm), "paired": tool.bonded,
        "remembered": mine is not None, "simulated": tool.simulated, "url": tool.url, "detail": tool.detail,
    }  # fmt: skip


def table(rows: list[dict[str, object]]) -> list[str]:
    """For people."""
    cells = [HEAD] + [
        (
            str(row["name"]), str(row["serial_number"] or "-"), CARRIERS.get(str(row["carrier"]), str(row["carrier"])),
            "-" if row["rssi_dbm"] is None else f"{row['rssi_dbm']} dBm",
            _YES_NO[row["paired"] if isinstance(row["paired"], bool) else None], _YES_NO[bool(row["remembered"])],
            f"{row['url']}{'  [SIMULATED]' if row['simulated'] else ''}",
        )
        for row in rows
    ]  # fmt: skip
    lines = list(columns(cells))
    if all(row["simulated"] for row in rows):
        lines.append("No real tool is plugged in or near. The simulated one works without hardware.")
    return lines


def scan(args: argparse.Namespace) -> int:
    """List the tools."""
    if args.seconds is not None and not (math.isfinite(args.seconds) and args.seconds > 0):
        raise UsageError(f"--seconds {args.seconds:g}: write a positive number of seconds")
    asyncio.run(_watch(args) if args.watch or args.seconds is not None else _once(args))
    return 0


async def _once(args: argparse.Namespace) -> None:
    discovery, sightings = Discovery(), Sightings()
    sightings.saw(await discovery.look())
    _Troubles().say(discovery)
    rows = sightings.rows()
    if args.json:
        print_json(rows)
    else:
        for line in table(rows):
            say(line)


async def _watch(args: argparse.Namespace) -> None:
    """Again and again, until Ctrl-C or ``--seconds``."""
    discovery, sightings, troubles = Discovery(), Sightings(), _Troubles()
    height, before = 0, ""
    loop = asyncio.get_running_loop()
    end = math.inf if args.seconds is None else loop.time() + args.seconds
    while True:
        sightings.saw(await discovery.look())
        troubles.say(discovery)
        rows = sightings.rows()
        if args.json:
            print_json(rows)
        elif sys.stdout.isatty():
            lines = table(rows)
            up = f"\x1b[{height}A\x1b[J" if height else ""
            sys.stdout.write(up + "".join(line + "\n" for line in lines))
            height = len(lines)
        elif (who := " ".join(str(row["url"]) for row in rows)) != before:  # in a file: when somebody comes or goes
            before = who
            sys.stdout.write("\n".join(table(rows)) + "\n\n")
        sys.stdout.flush()
        if loop.time() + LOOK_EVERY_S >= end:
            return
        await asyncio.sleep(LOOK_EVERY_S)


class _Troubles:
    """Why finders failed: a line each time that it is another one."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def say(self, discovery: Discovery) -> None:
        """What has not been said yet."""
        for name, trouble in discovery.troubles.items():
            if self._said.get(name) != trouble:
                whisper(f"tools on {name} are not listed: {trouble.removeprefix('ble: ')}")
        self._said = dict(discovery.troubles)
