"""The words of ``calibrate``. Light: nothing is imported here that only running it needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Later = Callable[[str], Callable[[argparse.Namespace], int]]

_SOURCE = "a tool's address, a calibration (.json), a file of the archive, or a session (.mcap)"
_PARTS = "zero, psoas, iliacus, geometry, accelerometer, gyro, validity"


def add_calibrate(commands: Any, later: Later, url_help: str) -> None:
    """Add the command to a table of commands; ``later`` makes a handler of ``module:function``."""
    doc = "Calibrate and check a tool, and look after its calibration record."
    sub = commands.add_parser("calibrate", help=doc, description=doc)
    whats = sub.add_subparsers(metavar="WHAT", required=True)

    def add(name: str, doc: str, target: str) -> Any:
        what = whats.add_parser(name, help=doc, description=doc)
        what.add_argument("--json", action="store_true", help="one JSON document for programs")
        what.set_defaults(run=later(target))
        return what

    _add_records(add, url_help)
    _add_procedures(add, url_help)


def _add_records(add: Callable[[str, str, str], Any], url_help: str) -> None:
    what = add("show", "Show a calibration record.", "calibrate_record:show")
    what.add_argument("source", help=_SOURCE)
    what = add("export", "Write a record to a file that a person can read and edit.", "calibrate_record:export")
    what.add_argument("source", help=_SOURCE)
    what.add_argument("file", help="the file to write (.json); it must not be there yet")
    what = add("import", "Put a record from a file into a tool; without --write only compare.", "calibrate_record:load")
    what.add_argument("file", help="the record (.json)")
    what.add_argument("url", help=url_help)
    _add_write(what)
    _add_archive(what)
    doc = "Compare two records. Exit status 1 if they differ by more than they are sure of."
    what = add("compare", doc, "calibrate_record:differ")
    what.add_argument("before", help=_SOURCE)
    what.add_argument("after", help=_SOURCE)
    what.add_argument("--all", action="store_true", help="also what is the same")
    what = add("merge", "Take parts of one record over into another.", "calibrate_record:join")
    what.add_argument("base", help=_SOURCE)
    what.add_argument("other", help=_SOURCE)
    what.add_argument("--parts", nargs="+", required=True, metavar="PART", help=_PARTS)
    what.add_argument("--other-tool", action="store_true", help="the two records may be of two tools")
    what.add_argument("--out", required=True, metavar="FILE", help="the file to write (.json)")
    doc = "List what is kept of a tool, or of which tools something is kept."
    what = add("history", doc, "calibrate_record:history")
    what.add_argument("serial", nargs="?", default=None, metavar="SERIAL", help="serial number of the tool")
    _add_archive(what)


def _add_procedures(add: Callable[[str, str, str], Any], url_help: str) -> None:
    gyro_doc = "Calibrate the gyroscope by turning the tool, from recorded sessions, or both."
    for name, doc in (
        ("zero", "Take the zero of an unloaded tool."),
        ("weights", "Calibrate the force of one tip with known weights."),
        ("poses", "Calibrate the accelerometer on the tool's six sides."),
        ("gyro", gyro_doc),
        ("check", "Check in a minute with one weight whether a tip is within its claim."),
    ):
        what = add(name, f"{doc} Exit status 0: accepted; 1: not.", f"calibrate:{name}")
        if name == "gyro":
            what.add_argument(
                "sources", nargs="+", metavar="SOURCE", help="a tool's address, sessions (.mcap), or both"
            )
        else:
            what.add_argument("url", help=url_help)
        if name == "zero":
            what.add_argument("--poses", type=int, default=1, metavar="N", help="4 or more weigh the tips too (1)")
        if name in ("weights", "check"):
            _add_weights(what, "+" if name == "weights" else None)
        if name != "check":
            what.add_argument("--out", default=None, metavar="FILE", help="write the new record to this file (.json)")
            _add_write(what)
        _add_archive(what)
        what.add_argument("--latitude", type=float, default=None, metavar="DEG", help="of this place, for gravity")
        what.add_argument("--altitude", type=float, default=0.0, metavar="M", help="above the sea, for gravity")
        what.add_argument(
            "--patience", type=float, default=300.0, metavar="S", help="end after so long without progress"
        )


def _add_archive(what: Any) -> None:
    what.add_argument("--archive", default=None, metavar="FOLDER", help="where what was measured and written is kept")


def _add_write(what: Any) -> None:
    what.add_argument("--write", action="store_true", help="write the record to the tool; needs --code")
    what.add_argument("--code", default=None, help="the code from inside the tool's base, such as 0x01234567")


def _add_weights(what: Any, nargs: str | None) -> None:
    what.add_argument("--tip", required=True, choices=("psoas", "iliacus"), help="the tip that carries the weight")
    what.add_argument("--mass", required=True, type=float, nargs=nargs, metavar="M", help="in the order of loading")
    what.add_argument("--unit", choices=("kg", "g", "lb"), default="kg", help="of --mass (kg)")
    guess = "half the tolerance printed on it is a fair guess"
    what.add_argument("--u-mass", type=float, metavar="PERCENT", help=f"standard uncertainty of a mass; {guess} (1)")
