"""``nexuslink``: one program, a table of commands. Errors a person can mend are one line and exit status 2.

Each command imports what it needs when it runs: `nexuslink gui` must show a window before numpy is even found.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

import nexuslink
from nexuslink.cli.calibrate_parser import add_calibrate

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

COMMAND_GROUP: Final = "nexuslink.commands"
"""Entry points ``register(subparsers)`` of other distributions and of the simulator."""
EXIT_MISUSE: Final = 2
EXIT_INTERRUPTED: Final = 130

_URL_HELP: Final = (
    "a tool: its serial number (NX-000123), tool: for the one used last, or an address: serial:PORT, ble:, "
    "tcp:HOST:PORT, sim:[?script=NAME] (see README, 'Addresses')"
)


class _Parser(argparse.ArgumentParser):
    """One line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_MISUSE, f"{self.prog}: {message}; try {self.prog} --help\n")


Handler = Callable[[argparse.Namespace], int]


def _later(target: str) -> Handler:
    """``module:function`` of this package, imported when the command runs."""
    module, name = target.split(":")

    def run(args: argparse.Namespace) -> int:
        handler: Handler = getattr(import_module(f"nexuslink.cli.{module}"), name)
        return handler(args)

    return run


def _plugins() -> EntryPoints:
    from importlib.metadata import entry_points  # a tenth of the start of a window, and few commands need it

    return entry_points(group=COMMAND_GROUP)


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = _Parser(prog="nexuslink", description="Companion of an instrumented Core Nexus.")
    parser.add_argument("--version", action="version", version=f"nexuslink {nexuslink.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, doc: str, target: str, json: bool = True, to: Any = commands) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = to.add_parser(name, help=doc, description=doc)
        if json:
            sub.add_argument("--json", action="store_true", help="one JSON document (or one a line) for programs")
        sub.set_defaults(run=_later(target))
        return sub

    _add_tool_words(add)

    sub = add("release", "Guide one hold. Exit status 0 when it is done, 1 when it was stopped before.", "release:run")
    sub.add_argument("site", help="psoas-left, psoas-right, iliacus-left, iliacus-right, or a plan file (.toml)")
    sub.add_argument("--device", required=True, metavar="TOOL", help=_URL_HELP)
    sub.add_argument("--sessions", default=None, metavar="FOLDER", help="where session files go")
    sub.add_argument("--no-record", action="store_true", help="write no session file")

    sub = add("replay", "Run a session file again and compare. Exit status 1 if the result differs.", "replay:run")
    sub.add_argument("file", help="a session (.mcap) or an unfinished one (.mcap.part)")

    doc = "Say how good the numbers are, against a truth that estimation does not see."
    kinds = commands.add_parser("evaluate", help=doc, description=doc).add_subparsers(metavar="WHAT", required=True)
    doc = "Tip angle on recordings with an optical truth, beside published filters."
    sub = add("attitude", doc, "evaluate:attitude", to=kinds)
    sub.add_argument("folder", metavar="DIR", help="folder with recordings (.npz: gyr, acc, rate, quat, movement)")
    sub.add_argument(
        "--calibrate-from", default=None, metavar="DIR", help="self-calibrate each sensor from these recordings"
    )
    sub.add_argument(
        "--sensors", default=None, metavar="FILE", help="JSON, sensor -> its recordings (default: DIR/sensors.json)"
    )
    sub.add_argument(
        "--peers", default="vqf,imufusion,madgwick", metavar="NAMES", help="beside these (default: %(default)s)"
    )
    doc = "Force, pressure and angle on simulated tools of which the truth is known."
    other = add("force", doc, "evaluate:force", to=kinds)
    other.add_argument("--seeds", type=int, default=20, metavar="N", help="how many tools (default: %(default)s)")
    other.add_argument("--first-seed", type=int, default=1, metavar="K", help="default: %(default)s")
    other.add_argument("--bench", default="sim", metavar="NAME", help="whose tools (default: %(default)s)")
    for kind in (sub, other):
        kind.add_argument("--plot", default=None, metavar="FILE.png", help="draw it, too")
        kind.add_argument("--processes", type=int, default=None, metavar="N", help="default: one a processor")

    sub = add("gui", "Open the window.", "gui:run", json=False)
    sub.add_argument("--device", default=None, metavar="TOOL", help="connect to this tool at once")
    sub.add_argument("--site", default=None, help="go to this site at once")
    sub.add_argument("--theme", choices=("system", "dark", "light"), default="system")
    sub.add_argument("--demo", action="store_true", help="a guided hold on the simulated tool, at once")

    add_calibrate(commands, _later, _URL_HELP)

    sub = add("doctor", "Say what is missing on this machine, and how to mend it.", "doctor:run")
    sub.add_argument("--device", default=None, metavar="TOOL", help="also try this tool")

    if command not in commands.choices:
        for plugin in _plugins():
            plugin.load()(commands)
    return parser


def _add_tool_words(add: Callable[..., argparse.ArgumentParser]) -> None:
    sub = add("scan", "List the tools that are there; the simulated one is always offered.", "scan:scan")
    sub.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    sub.add_argument("--seconds", type=float, default=None, help="the same, for so many seconds")
    sub = add("info", "Say what a tool is and what it streams.", "info:info")
    sub.add_argument("url", metavar="TOOL", help=_URL_HELP)

    sub = add("stream", "Print force and tip angle as they come.", "streaming:stream")
    _add_stream(sub)

    sub = add("record", "Record everything a tool sends, without a plan.", "streaming:record")
    _add_stream(sub)
    sub.add_argument("--out", default=None, help="file to write (default: a new one in the sessions folder)")

    doc = "List the tools that are remembered; also to forget one, or to give it a name."
    sub = add("tools", doc, "tools:remembered")
    acts = sub.add_subparsers(metavar="ACT")
    sub = add("forget", "Know a tool no longer.", "tools:forget", to=acts)
    sub.add_argument("serial", metavar="SERIAL", help="its serial number")
    sub = add("name", "Give a tool a name of your own; an empty one takes it away.", "tools:name", to=acts)
    sub.add_argument("serial", metavar="SERIAL", help="its serial number")
    sub.add_argument("name", metavar="NAME")


def _add_stream(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("url", metavar="TOOL", help=_URL_HELP)
    sub.add_argument("--seconds", type=float, default=None, help="stop after so many seconds of the tool's time")
    sub.add_argument("--keep", action="store_true", help="when the tool is lost, wait for it and go on after the gap")


def _mendable() -> tuple[type[Exception], ...]:
    """Errors whose message is written for a person: one table for the whole program."""
    names = (
        "transport.errors:TransportError", "device.errors:DeviceError", "release.errors:PlanError",
        "recording.errors:RecordingError", "calibration.errors:CalibrationFileError", "calibration.errors:MergeError",
        "calibration.errors:ArchiveError", "calibration.errors:ProcedureError", "calibration.errors:WriteError",
        "live.errors:SessionError", "evaluation.errors:EvaluationError", "cli.errors:UsageError",
    )  # fmt: skip
    pairs = (name.split(":") for name in names)
    return tuple(getattr(import_module(f"nexuslink.{module}"), kind) for module, kind in pairs)


def _find_for_others(command: str, args: argparse.Namespace) -> None:
    """Commands of other distributions take an address: a tool that is named by its serial number is found for them."""
    url = getattr(args, "url", None)
    if not isinstance(url, str) or command not in _plugins().names:
        return
    import asyncio

    from nexuslink.cli.pairing import tell_pairing
    from nexuslink.device.keeping import address, is_tool

    if is_tool(url):
        args.url = asyncio.run(address(url, tell_pairing()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parser(words[0] if words else None).parse_args(words)
    try:
        _find_for_others(words[0], args)
        status: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: nothing more to say to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # The errors of other distributions' commands are not ours to name: they say ValueError or OSError.
        foreign = words[0] in _plugins().names and isinstance(error, ValueError | OSError)
        if not foreign and not isinstance(error, _mendable()):
            raise
        sys.stderr.write(f"nexuslink: {' '.join(str(error).split())}\n")
        return EXIT_MISUSE
    return status


if __name__ == "__main__":
    sys.exit(main())
