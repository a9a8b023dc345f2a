"""``nexuslink conformance URL``: the suite on the command line. Exit status 0: all passed, 1: some failed, 2: no run.

Found by entry point. Imports nothing heavy before the command runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``conformance``."""
    doc = "Check what a tool must do, requirement by requirement. Exit status 1 if one of them fails."
    command = subparsers.add_parser("conformance", help=doc, description=doc)
    command.add_argument("url", nargs="?", help="a tool: serial:PORT, ble:, tcp:HOST:PORT, sim:, or its serial number")
    command.add_argument("--list", action="store_true", help="say all requirements and run nothing")
    command.add_argument(
        "--only", nargs="+", default=[], metavar="ID", help="these only; NX-STR means all that begin so"
    )
    command.add_argument("--write", action="store_true", help="also write the tool's own calibration record again")
    command.add_argument("--reset", action="store_true", help="also restart the tool")
    command.add_argument("--code", type=number, default=None, help="UNLOCK's code (default: that of simulated tools)")
    command.add_argument("--json", action="store_true", help="one JSON document for programs")
    command.add_argument("--junit", default=None, metavar="FILE", help="also write JUnit XML for CI")
    command.set_defaults(run=_run)


def number(text: str) -> int:
    """Decimal, or hexadecimal with 0x."""
    return int(text, 0)


def _run(args: argparse.Namespace) -> int:
    from nexus_conformance.errors import MisuseError
    from nexus_conformance.suite import Wishes, run_conformance, selected

    if args.list:
        rows = [{"id": r.id, "sentence": r.sentence, "source": r.source} for r in selected(args.only)]
        _say(json.dumps(rows) if args.json else "\n".join(f"{row['id']}  {row['sentence']}" for row in rows))
        return 0
    if args.url is None:
        raise MisuseError("conformance needs the address of a tool, for example serial:/dev/ttyACM0 or sim:")
    wishes = Wishes(write=args.write, reset=args.reset, only=tuple(args.only))
    if args.code is not None:
        wishes = Wishes(wishes.write, wishes.reset, args.code, wishes.only)
    junit = None if args.junit is None else Path(args.junit)
    if junit is not None and not junit.parent.is_dir():  # said before the run, not after it
        raise MisuseError(f"--junit {junit}: there is no folder {junit.parent}; make it first")
    report = run_conformance(args.url, wishes, None if args.json else _say)
    _say(json.dumps(report.document()) if args.json else report.summary())
    if junit is not None:
        try:
            junit.write_text(report.junit(), encoding="utf-8")
        except OSError as error:
            raise MisuseError(f"--junit {junit}: cannot be written ({error.strerror}); choose another file") from None
    return 0 if report.passed else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
