"""The simulator's part of the command line: ``sim serve``, ``sim scripts``, ``sim faults`` and ``fault-proxy``.

Found by entry point. Imports nothing heavy before a command runs; a bad value raises ValueError with one line, which
the command line prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nexus_simulator.faults.table import FAULTS, REQUEST, Level
from nexus_simulator.options import AIR_PARAMETERS, PARAMETERS, Options, parse_air, parse_options
from nexus_simulator.scripts import DEFAULT_SCRIPT, SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from nexus_simulator.faults.table import Fault
    from nexus_simulator.serve import Endpoint, Say

FIRMWARES = ("python", "native", "qemu")
"""Whose firmware a served tool has: the simulator's, the one in C as a process, that on an emulated Cortex-M4."""
_PROXIED = {name: fault for name, fault in FAULTS.items() if fault.level is not Level.TOOL}
"""Faults that need no hand inside the tool."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``sim`` with its sub-commands."""
    sim = subparsers.add_parser("sim", help="the simulated tool: serve it, list its scripts")
    commands = sim.add_subparsers(dest="sim_command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the simulated tool as a process of its own")
    place = _add_place(serve)
    place.add_argument(
        "--ble",
        metavar="TRANSPORT",
        help="on a virtual radio: what connects there is a host and speaks HCI; tcp-server:HOST:PORT, "
        "unix-server:PATH, pty:, or another name of bumble's; prints the address for it",
    )
    serve.add_argument(
        "--firmware",
        choices=FIRMWARES,
        default=FIRMWARES[0],
        help="the simulator's own, the reference firmware in C as a process, or that on an emulated Cortex-M4",
    )
    air = serve.add_argument_group("on the air (with --ble)")
    for name, parameter in AIR_PARAMETERS.items():
        _add(air, name, parameter.doc, parameter.allowed)
    for name, parameter in PARAMETERS.items():
        allowed = "max, with --firmware qemu only" if name == "speed" else parameter.allowed
        _add(serve, name, parameter.doc, allowed)
    _add_faults(serve, FAULTS)
    serve.set_defaults(run=_serve)

    scripts = commands.add_parser("scripts", help="list what can be done with the simulated tool")
    scripts.add_argument("--json", action="store_true", help="for machines")
    scripts.set_defaults(run=_scripts)

    faults = commands.add_parser("faults", help="list what can go wrong, for addresses (sim:?NAME=VALUE) and options")
    faults.add_argument("--json", action="store_true", help="for machines")
    faults.set_defaults(run=_faults)


def register_proxy(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``fault-proxy``."""
    proxy = subparsers.add_parser("fault-proxy", help="stand between a real tool and the host, and let things go wrong")
    proxy.add_argument("upstream", help="the tool: serial:PORT or tcp:HOST:PORT")
    _add_place(proxy)
    proxy.add_argument("--baud", metavar="N", help="of a serial port (default 921600); USB ignores it")
    proxy.add_argument("--json", action="store_true", help="address and counts, each as one JSON document a line")
    _add(proxy, "seed", PARAMETERS["seed"].doc, PARAMETERS["seed"].allowed)
    _add_faults(proxy, _PROXIED)
    proxy.set_defaults(run=_proxy)


def _add_place(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--pty", action="store_true", help="on a pseudo-terminal; prints its address")
    where.add_argument("--tcp", metavar="HOST:PORT", help="on a TCP port (0: any free one); prints its address")
    return where


def _add_faults(parser: argparse.ArgumentParser, faults: Mapping[str, Fault]) -> None:
    group = parser.add_argument_group("faults (--request-...: on the way to the tool)")
    for name, fault in faults.items():
        _add(group, name, fault.doc, fault.allowed)


def _add(parser: argparse._ActionsContainer, name: str, doc: str, allowed: str) -> None:
    # '%' would be a format to argparse.
    text = f"{doc}: {allowed}".replace("%", "%%")
    parser.add_argument("--" + name.replace("_", "-"), dest=f"sim_{name}", metavar="VALUE", help=text)


def _given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, str]:
    texts = {name: getattr(args, f"sim_{name}", None) for name in names}
    return {name: text for name, text in texts.items() if text is not None}


def _serve(args: argparse.Namespace) -> int:
    given = _given(args, (*PARAMETERS, *FAULTS))
    options = parse_options(given)
    if "boot" not in given:
        options = _new_boot(options)
    if args.ble is not None:
        _serve_air(args, options, given)
        return 0
    for name in _given(args, AIR_PARAMETERS):
        raise ValueError(f"--{name.replace('_', '-')}: only with --ble")
    if args.firmware != "python":
        _serve_board(args, options, given)
        return 0
    _refuse_speed(given)
    from nexus_simulator.assembly import make_link
    from nexus_simulator.serve import Served, say

    _serve_at(args, Served(make_link(options)), say)  # made before anything is served: a bad file is refused here
    return 0


def _refuse_speed(given: Mapping[str, str]) -> None:
    if "speed" in given:
        raise ValueError(f"--speed {given['speed']}: a tool that is served runs in real time; sim:?speed= does not")


def _serve_air(args: argparse.Namespace, options: Options, given: Mapping[str, str]) -> None:
    """The tool as a BLE peripheral on an air of its own."""
    if args.firmware != "python":
        raise ValueError(f"--firmware {args.firmware}: it has no radio; --ble is for the simulator's own")
    _refuse_speed(given)
    settings = parse_air(_given(args, AIR_PARAMETERS))
    try:
        from nexus_simulator.ble.serving import run_ble
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "bumble":
            raise
        raise ValueError("--ble: the virtual radio needs bumble: pip install nexuslink[virtual-ble]") from None
    try:
        run_ble(args.ble, options, settings)
    except OSError as error:
        raise ValueError(f"--ble {args.ble}: cannot be served: {error.strerror or error}") from None


def _serve_board(args: argparse.Namespace, options: Options, given: Mapping[str, str]) -> None:
    """The firmware in C. The native board serves its host itself, QEMU's UART is served like any endpoint."""
    try:
        from nexus_simulator.boards import refuse, run_native, run_qemu
    except ImportError:
        raise ValueError(f"--firmware {args.firmware}: not on this system, only on Linux and macOS") from None
    from nexus_simulator.serve import say

    refuse(args.firmware, options, given)
    if args.firmware == "qemu":
        run_qemu(options, lambda endpoint: _serve_at(args, endpoint, say))
    else:
        run_native(options, None if args.pty else _address(args.tcp))


def _serve_at(args: argparse.Namespace, served: Endpoint, say: Say) -> None:
    """Serve where the command line says, until a signal."""
    address = None if args.pty else _address(args.tcp)

    import asyncio

    from nexus_simulator.serve import serve_pty, serve_tcp

    async def run() -> None:
        serving: Awaitable[None]
        serving = serve_pty(served, say=say) if address is None else serve_tcp(*address, served, say=say)
        await serving

    try:
        asyncio.run(run())
    except OSError as error:
        place = "--pty" if address is None else f"--tcp {args.tcp}"
        raise ValueError(f"{place}: cannot be served: {error.strerror or error}") from None


def _proxy(args: argparse.Namespace) -> int:
    options = parse_options(_given(args, ("seed", *_PROXIED)))
    if not args.pty:
        _address(args.tcp)  # a mistake here is told before the tool is touched

    import asyncio

    from nexus_simulator.faults.plan import Faults
    from nexus_simulator.proxy import Proxy, make_upstream
    from nexus_simulator.serve import say

    proxy = Proxy(make_upstream(args.upstream, args.baud), Faults(options.faults, options.seed))
    try:
        asyncio.run(proxy.probe())
    except OSError as error:
        raise ValueError(f"{args.upstream}: cannot be reached: {error.strerror or error or 'no answer'}") from None
    _serve_at(args, proxy, (lambda line: say(json.dumps({"said": line}))) if args.json else say)
    counts = proxy.counts()
    if args.json:
        say(json.dumps(counts))
    else:
        for kind, numbers in counts.items():
            say(f"{kind}: " + (", ".join(f"{name} {n}" for name, n in numbers.items()) or "none"))
    return 0


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


def _faults(args: argparse.Namespace) -> int:
    rows = [
        {"name": name, "value": fault.allowed, "summary": fault.doc, "both_ways": fault.both_ways}
        for name, fault in FAULTS.items()
        if not name.startswith(REQUEST)
    ]
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    for row in rows:
        sys.stdout.write(
            f"{row['name']:10}  {row['summary']}{' (*)' if row['both_ways'] else ''}\n{'':12}{row['value']}\n"
        )
    sys.stdout.write(f"(*) also as {REQUEST}NAME: on the way to the tool\n")
    return 0
