"""``tools``: those that this person has had. Their files are not believed, and a damaged one stops nothing."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from nexuslink.cli.errors import UsageError
from nexuslink.cli.output import columns, print_json, say, whisper
from nexuslink.device.remembered import TEXT_MAX, USUAL, RememberedTool


def remembered(args: argparse.Namespace) -> int:
    """List them, the one that was used last first."""
    tools = USUAL.all()
    for path in USUAL.damaged():
        whisper(f"{path}: cannot be read, and counts for nothing; delete it")
    if args.json:
        print_json([asdict(tool) for tool in tools])
        return 0
    if not tools:
        say("No tool is remembered yet: the first connection does it.")
        return 0
    rows = [("SERIAL NUMBER", "NAME", "LAST SEEN", "PAIRED", "WHERE")]
    rows += [
        (
            tool.serial_number + ("  [SIMULATED]" if tool.simulated else ""), tool.name or tool.model or "-",
            tool.last_seen or "-", "yes" if tool.bonded else "no", ", ".join(tool.urls[:1]) or "-",
        )
        for tool in tools
    ]  # fmt: skip
    for line in columns(rows):
        say(line)
    return 0


def forget(args: argparse.Namespace) -> int:
    """Know it no longer."""
    tool = _known(args.serial)
    USUAL.forget(tool.serial_number)
    if USUAL.find(tool.serial_number) is not None:
        raise UsageError(f"{tool.serial_number}: its file cannot be removed; may you write in that folder?")
    if args.json:
        print_json({"forgotten": tool.serial_number})
        return 0
    say(f"{tool.serial_number} is forgotten")
    if tool.bonded:
        from nexuslink.transport.ble_words import SETTINGS

        say(f"this computer still has the key of its Bluetooth; remove it in {SETTINGS}")
    return 0


def name(args: argparse.Namespace) -> int:
    """Call it something."""
    wanted = args.name.strip()
    if not wanted.isprintable() or len(wanted) > TEXT_MAX:
        raise UsageError(f"a tool's name is printable, and {TEXT_MAX} characters at most")
    tool = _known(args.serial)
    USUAL.rename(tool.serial_number, wanted)
    renamed = USUAL.find(tool.serial_number)
    if renamed is None or renamed.name not in (wanted, tool.serial_number):
        raise UsageError(f"{tool.serial_number}: its file cannot be written; may you write in that folder?")
    if args.json:
        print_json(asdict(renamed))
    else:
        say(f"{tool.serial_number} is called {renamed.name}")
    return 0


def _known(wanted: str) -> RememberedTool:
    """By serial number, as it is written or not."""
    serial = wanted.strip().removeprefix("tool:").casefold()
    tools = [tool for tool in USUAL.all() if tool.serial_number.casefold() == serial]
    if not tools:
        raise UsageError(f"{wanted}: no such tool is remembered; `nexuslink tools` lists those that are")
    return tools[0]
