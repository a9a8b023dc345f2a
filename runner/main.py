"""The table of commands, the help made from it, and the short ones. Imports next to nothing: it runs at every start."""

from __future__ import annotations

import os
import sys

from runner.environment import BENCH, EVALUATE, PROGRAM, ROOT, TEST, VIRTUAL_BLE, Environment, main_environment
from runner.errors import INTERRUPTED, USAGE, RunError

TYPE_CHECKING = False  # typing costs 5 ms at every start; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable

DEMO_HOLD = ("release", "psoas-left", "--device", "sim:?script=good-psoas")


def demo(args: list[str]) -> int:
    """Set up, then the window, or without a display the same hold in the terminal."""
    from runner.system import missing_for, window_kind

    environment = main_environment()
    environment.ensure(PROGRAM)
    kind = window_kind()
    hint = missing_for(environment, kind or "offscreen")
    if kind and not hint:
        return nexuslink(["gui", "--demo", *args])
    why = f"the window needs system libraries: {hint}" if hint else "no display here"
    more = "" if hint else "; for the window start ./run demo on a desktop (or over ssh -X)"
    _say(f"{why}{more}. The same hold runs in this terminal.")
    return nexuslink([*DEMO_HOLD, *args])


def test(args: list[str]) -> int:
    """Set up, then pytest, here or on every interpreter of the machine."""
    from runner.pythons import side_by_side, test_all
    from runner.system import COMPILER, EMULATED, missing_for, missing_tools

    if "--all-pythons" in args or "--other-pythons" in args:
        main_too = "--all-pythons" in args
        rest = [arg for arg in args if arg not in ("--all-pythons", "--other-pythons")]
        return test_all(rest, main_too=main_too)
    environment = main_environment()
    environment.ensure(TEST)
    hint = missing_for(environment, "offscreen")
    if hint:
        raise RunError(f"the tests paint windows off screen, and Qt lacks system libraries: {hint}")
    if "--emulated" in args:
        hint = missing_tools(EMULATED)
        if hint:
            raise RunError(f"the emulated tier lacks compilers or QEMU: {hint}")
        os.environ["NEXUS_EMULATED"] = "1"
        args = [arg for arg in args if arg != "--emulated"]
    else:
        missing_tools(COMPILER)  # without them the tests of the C code skip and say so
    return _become(environment, ["-m", "pytest", *side_by_side(args), *args], at_root=True)


def nexuslink(args: list[str]) -> int:
    """The command line of the program; stdin, stdout and the exit status are the program's own."""
    environment = main_environment()
    environment.ensure(_layers_for(args))
    return _become(environment, [environment.script("nexuslink"), *args])


def _layers_for(args: list[str]) -> tuple[str, ...]:
    """What a command of the program needs beyond the program: peers to compare with, or a radio in software."""
    if args[:1] == ["evaluate"]:
        return EVALUATE
    radio = os.environ.get("NEXUSLINK_BLE_RADIO", "")
    if "--ble" in args or any("bumble:" in text for text in (radio, *args)):
        return VIRTUAL_BLE
    return PROGRAM


def bench(args: list[str]) -> int:
    """The ratios."""
    environment = main_environment()
    environment.ensure(BENCH)
    return _become(environment, ["-m", "benchmarks", *args], at_root=True)


def soak(args: list[str]) -> int:
    """Hours with every fault at once."""
    environment = main_environment()
    environment.ensure(TEST)
    return _become(environment, ["-m", "tests.soak", *args], at_root=True)


def bluez(args: list[str]) -> int:
    """BLE against BlueZ, in an emulated guest."""
    from runner.bluez import run_bluez

    return run_bluez(args)


def lint(args: list[str]) -> int:
    """Every static check."""
    _none(args, "lint")
    from runner.checks import lint_all

    return lint_all(main_environment())


def wheel(args: list[str]) -> int:
    """The wheel, alone in an empty environment."""
    _none(args, "wheel")
    from runner.wheel import check_wheel

    return check_wheel(main_environment())


def lock(args: list[str]) -> int:
    """The lock files, made anew."""
    from runner.locks import write_locks

    return write_locks(main_environment(), args)


#: Command -> (arguments, what it does, who does it). The help and the dispatch are both made from it.
COMMANDS: dict[str, tuple[str, str, Callable[[list[str]], int]]] = {
    "demo": ("[ARGS]", "set up everything, then a guided hold on the simulated tool", demo),
    "test": (
        "[PYTEST ARGS]",
        "run the tests (--emulated: QEMU too; --all-pythons: every Python from 3.11 on)",
        test,
    ),
    "nexuslink": ("ARGS", "the command line of the program, e.g. ./run nexuslink doctor", nexuslink),
    "bluez": ("[--smoke] [PYTEST ARGS]", "the BLE tests on a real BlueZ, in an emulated guest (QEMU)", bluez),
    "lint": ("", "formatting, types, the floors of the house, generated files, tracked files", lint),
    "bench": ("[--json]", "measure speed, latency, memory and start, as ratios", bench),
    "soak": (
        "[--only hours|moments] [--minutes N] [--seeds 1-20] [--moments 200] [--json]",
        "hours of a tool's time with every fault at once; tools and hosts struck at hundreds of moments",
        soak,
    ),
    "wheel": ("", "build the wheel and run it alone in an empty environment", wheel),
    "lock": ("[--upgrade]", "make the lock files in requirements/ anew", lock),
}


def main(args: list[str]) -> int:
    """Entry of ``./run``: exit status."""
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    name, rest = args[0], args[1:]
    try:
        if name not in COMMANDS:
            raise RunError(f"no command {name!r}: there are {', '.join(COMMANDS)}")
        return COMMANDS[name][2](rest)
    except RunError as error:
        _say(str(error))
        return error.status
    except KeyboardInterrupt:
        _say("interrupted; what was half made is made anew at the next start")
        return INTERRUPTED


def _become(environment: Environment, arguments: list[str], at_root: bool = False) -> int:
    """Turn this process into the environment's Python. On Windows, which cannot, run it and pass on its status."""
    if at_root:
        os.chdir(ROOT)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [environment.python, *arguments]
    if os.name != "nt":
        os.execv(environment.python, command)
    import subprocess

    return subprocess.call(arguments if arguments[0].endswith(".exe") else command)


def _help() -> str:
    width = max(len(f"{name} {arguments}") for name, (arguments, _, _) in COMMANDS.items())
    rows = [f"  ./run {f'{name} {arguments}':<{width}}  {what}" for name, (arguments, what, _) in COMMANDS.items()]
    return "\n".join(["./run COMMAND: sets up what the command needs, once, and starts it.", "", *rows, "", *_HELP_END])


_HELP_END = (
    "The environment is .venv in this folder, or where NEXUSLINK_VENV points. Delete it to start afresh.",
    "NEXUSLINK_DATA names the folder of the recordings that some tests compare with (default ../shared/data).",
)


def _none(args: list[str], name: str) -> None:
    if args:
        raise RunError(f"{name} takes no arguments, not {' '.join(args)!r}", USAGE)


def _say(line: str) -> None:
    print(f"./run: {line}", file=sys.stderr, flush=True)
