"""``scan``: which tools are there, over every carrier at once, and why one of them could not be looked on."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from typing import Final

from nexuslink.app.nearby import Near, Nearby, NearTool
from nexuslink.cli.errors import UsageError
from nexuslink.cli.output import columns, print_json, say, whisper
from nexuslink.device.discovery import LOOK_BOUND_S, Discovery
from nexuslink.device.remembered import USUAL

HEAD: Final = ("NAME", "SERIAL NUMBER", "BY", "SIGNAL", "PAIRED", "KNOWN", "ADDRESS")
NOBODY: Final = "No real tool is plugged in or near. The simulated one works without hardware."
_YES_NO: Final = {True: "yes", False: "no", None: "-"}


def scan(args: argparse.Namespace) -> int:
    """List the tools."""
    if args.seconds is not None and not (math.isfinite(args.seconds) and args.seconds > 0):
        raise UsageError(f"--seconds {args.seconds:g}: write a positive number of seconds")
    asyncio.run(_scan(args))
    return 0


async def _scan(args: argparse.Namespace) -> None:
    """Until everybody has been asked; with ``--watch`` until Ctrl-C, or as long as ``--seconds`` says."""
    watches = args.watch or args.seconds is not None
    show = _Painter(args.json) if watches else None
    settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    latest = Near()
    discovery = Discovery()
    troubles = _Troubles(discovery)
    broken: BrokenPipeError | None = None

    def told(near: Near) -> None:
        nonlocal latest, broken
        latest = near
        troubles.say(near)
        try:
            if show is not None:
                show.show(near)
        except BrokenPipeError as error:  # whoever read our output has gone
            broken = error
        if (broken is not None or (near.settled and show is None)) and not settled.done():
            settled.set_result(None)

    nearby = Nearby(discovery, USUAL)
    nearby.start(told)
    try:
        await asyncio.wait((settled,), timeout=args.seconds if watches else LOOK_BOUND_S)
    finally:
        await nearby.stop()
    if broken is not None:
        raise broken
    if show is None:
        troubles.say(latest)
        _Painter(args.json).show(latest)


class _Painter:
    """Writes the list: painted over on a terminal, again in a file whenever somebody has come or gone."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._height = 0
        self._before: list[str] | None = None

    def show(self, near: Near) -> None:
        """As it is now."""
        tools = [tool for tool in near.tools if tool.present]
        if self._json:
            print_json([row(tool) for tool in tools])
            return
        if not tools:  # nobody has been asked yet: the simulated one is always there
            return
        if not sys.stdout.isatty():
            keys = [tool.key for tool in tools]
            if keys == self._before:
                return
            if self._before is not None:
                say("")
            self._before = keys
        lines = [*table(tools), *([NOBODY] if all(tool.simulated for tool in tools) else [])]
        up = f"\x1b[{self._height}A\x1b[J" if self._height else ""
        sys.stdout.write(up + "".join(line + "\n" for line in lines))
        sys.stdout.flush()
        self._height = len(lines) if sys.stdout.isatty() else 0


def row(tool: NearTool) -> dict[str, object]:
    """For programs."""
    return {
        "name": tool.title, "serial_number": tool.serial_number, "carriers": tool.carriers, "rssi_dbm": tool.rssi_dbm,
        "paired": tool.bonded, "remembered": tool.remembered, "simulated": tool.simulated, "url": tool.url,
        "trouble": tool.trouble,
    }  # fmt: skip


def table(tools: list[NearTool]) -> list[str]:
    """For people."""
    cells = [
        (
            tool.title, tool.serial_number or "-", ", ".join(tool.carriers) or "-",
            "-" if tool.rssi_dbm is None else f"{tool.rssi_dbm} dBm", _YES_NO[tool.bonded], _YES_NO[tool.remembered],
            f"{tool.url}{'  [SIMULATED]' if tool.simulated else ''}{f'  ({tool.trouble})' if tool.trouble else ''}",
        )
        for tool in tools
    ]  # fmt: skip
    return list(columns([HEAD, *cells]))


class _Troubles:
    """Why nobody can be seen somewhere: a line each time that it is another reason."""

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._said: dict[str, str] = {}

    def say(self, near: Near) -> None:
        """What has not been said yet."""
        now = dict(self._discovery.troubles)
        if near.radio is not None:
            now["Bluetooth"] = near.radio_sentence or near.radio.line
        for name, trouble in now.items():
            if self._said.get(name) != trouble:
                whisper(f"tools on {name} are not listed: {trouble.removeprefix('ble: ')}")
        self._said = now
