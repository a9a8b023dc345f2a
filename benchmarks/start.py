"""``./run demo`` to its first painted window, against a process that does nothing but import PySide6.QtWidgets.

Both are timed from outside, by the wall clock, in turns; the window is painted off screen. It is the second start that
counts: the environment is there, since this runs in it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import Measure

ROUNDS = 9
BOUND_S = 60.0
RUN = Path(__file__).resolve().parents[1] / "run"


def measure() -> list[Measure]:
    """The key ``start.vs_import``."""
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen", "NEXUSLINK_REPORT_FIRST_PAINT": "exit"}
    env.setdefault("NEXUSLINK_VENV", sys.prefix)
    commands = {
        "import": [sys.executable, "-c", "import PySide6.QtWidgets"],
        "demo": [str(RUN), "demo"],
        "help": [str(RUN), "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():  # the first one fills the disk's cache
        _seconds(command, env)
    for number in range(ROUNDS):
        for name in commands if number % 2 == 0 else reversed(commands):
            seconds[name].append(_seconds(commands[name], env))
    value = statistics.median(a / b for a, b in zip(seconds["demo"], seconds["import"], strict=True))
    middle = {name: statistics.median(found) * 1e3 for name, found in seconds.items()}
    return [
        Measure("start.vs_import", value, note=f"{middle['demo']:.0f} ms against {middle['import']:.0f} ms"),
        Measure("start.run_ms", middle["help"], unit="ms", note="of it: ./run itself, its Python included"),
    ]


def _seconds(command: list[str], env: dict[str, str]) -> float:
    """To the line that reports the window, or to the end of a command that shows none."""
    start = time.perf_counter()
    with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        if first.startswith("first-window"):
            spent = time.perf_counter() - start
            process.communicate(timeout=BOUND_S)
            return spent
        process.communicate(timeout=BOUND_S)
        if "demo" in command or process.returncode != 0:
            raise AssertionError(f"{command[1:]} ended with status {process.returncode} and showed no window")
        return time.perf_counter() - start
