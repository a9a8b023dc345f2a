"""The simulator's part of the command line: ``sim serve`` and ``sim scripts``.

Found by entry point. Imports nothing heavy before a command runs; a bad value raises ValueError with one line, which
the command line prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nexus_simulator.options import PARAMETERS, Options, parse_options
from nexus_simulator.scripts import DEFAULT_SCRIPT, SCRIPTS

if TYPE_CHECKING:
    from nexus_simulator.serve import Serves

FIRMWARES = ("python", "native", "qemu")
_ONLY_QEMU = "speed"
"""A process of its own runs in real time; only the emulated processor can do otherwise."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``sim`` with its sub-commands."""
    sim = subparsers.add_parser("sim", help="the simulated tool: serve it, list its scripts")
    commands = sim.add_subparsers(dest="sim_command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the simulated tool as a process of its own")
    where = serve.add_mutually_exclusive_group(required=True)
    where.add_argument("--pty", action="store_true", help="on a pseudo-terminal; prints its address")
    where.add_argument("--tcp", metavar="HOST:PORT", help="on a TCP port (0: any free one); prints its address")
    serve.add_argument(
        "--firmware",
        choices=FIRMWARES,
        default=FIRMWARES[0],
        help="whose: the simulator's own, the reference firmware in C as a process, or that on an emulated Cortex-M4",
    )
    for name, parameter in PARAMETERS.items():
        option = "--" + name.replace("_", "-")
        doc = f"{parameter.doc}: {parameter.allowed}"
        if name == _ONLY_QEMU:
            doc = "max: faster than real time, with --firmware qemu only"
        serve.add_argument(option, dest=f"sim_{name}", metavar="VALUE", help=doc)
    serve.set_defaults(run=_serve)

    scripts = commands.add_parser("scripts", help="list what the simulated person can do")
    scripts.add_argument("--json", action="store_true", help="for machines")
    scripts.set_defaults(run=_scripts)


def _serve(args: argparse.Namespace) -> int:
    texts = {name: getattr(args, f"sim_{name}", None) for name in PARAMETERS}
    given = {name: text for name, text in texts.items() if text is not None}
    options = parse_options(given)
    address = None if args.pty else _address(args.tcp)
    if "boot" not in given:
        options = _new_boot(options)
    try:
        if args.firmware == "python":
            _serve_python(options, given, address)
        else:
            _serve_board(args.firmware, options, given, address)
    except OSError as error:
        place = "--pty" if address is None else f"--tcp {args.tcp}"
        raise ValueError(f"{place}: cannot be served: {error.strerror or error}") from None
    return 0


def _serve_python(options: Options, given: Mapping[str, str], address: tuple[str, int] | None) -> None:
    if _ONLY_QEMU in given:
        raise ValueError(f"--speed {given[_ONLY_QEMU]}: a tool that is served runs in real time; sim:?speed= does not")
    import asyncio

    from nexus_simulator.link import make_link
    from nexus_simulator.serve import Served, serve_pty, serve_tcp

    served = Served(make_link(options))  # a bad file is refused here

    def make() -> Serves:
        return served

    asyncio.run(serve_pty(make) if address is None else serve_tcp(*address, make))


def _serve_board(firmware: str, options: Options, given: Mapping[str, str], address: tuple[str, int] | None) -> None:
    try:
        from nexus_simulator.boards import PARAMETERS_OF_BOARDS, serve_board
    except ImportError:
        raise ValueError(f"--firmware {firmware}: not on this system; it needs what Linux and macOS have") from None

    for name, text in given.items():
        if name not in PARAMETERS_OF_BOARDS:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} {text}: only --firmware python has faults of its own")
    serve_board(firmware, options, address)


def _new_boot(options: Options) -> Options:
    """Every start of the process is another start of the tool."""
    import secrets
    from dataclasses import replace

    return replace(options, boot=secrets.randbits(32))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"--tcp {text}: not an address; write HOST:PORT, for example 127.0.0.1:7777")
    return host.strip("[]") or "127.0.0.1", int(port)


def _scripts(args: argparse.Namespace) -> int:
    rows = [
        {"name": s.name, "tip": s.tip.name.lower(), "summary": s.summary, "default": s.name == DEFAULT_SCRIPT}
        for s in SCRIPTS.values()
    ]
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    width = max(len(name) for name in SCRIPTS)
    for row in rows:
        mark = "  (default)" if row["default"] else ""
        sys.stdout.write(f"{row['name']:{width}}  {row['tip']:7}  {row['summary']}{mark}\n")
    return 0
