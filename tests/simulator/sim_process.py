"""The simulator's commands as processes of their own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = """
import argparse, sys
{before}
from nexus_simulator.command import register, register_proxy
parser = argparse.ArgumentParser()
commands = parser.add_subparsers()
register(commands)
register_proxy(commands)
args = parser.parse_args()
try:
    sys.exit(args.run(args))
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""
GUARD_S = 60.0


def command(*args: str, before: str = "") -> subprocess.Popen[str]:
    """``before``: what the program does first."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "simulator"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(before=before), *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


@contextmanager
def process(*args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has said its address; it is ended in the end."""
    running = command(*args)
    try:
        assert running.stdout
        ready, _, _ = select.select([running.stdout], [], [], GUARD_S)
        assert ready, "the address was never printed"
        yield running, running.stdout.readline().strip()
    finally:
        running.kill()
        running.communicate(timeout=GUARD_S)
