"""Where the environment is and whether it is current. On the way of every start: imports nothing but ``os``.

An environment is a venv in layers. Each layer has a *stamp* beside it: the very text it was made from. A layer is
current when that text, put together again now, is the same; so nothing has to be run or parsed to know that there is
nothing to do. While an environment is being changed it carries the mark ``unfinished``; whoever finds the mark and can
take the lock knows that the last set-up died, and makes the environment anew.

How a layer is made is not known here: see ``install``.
"""

from __future__ import annotations

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REQUIREMENTS = os.path.join(ROOT, "requirements")

#: Change it when ``install`` makes something else of the same inputs: every environment is then made anew.
RECIPE = "1"

#: Layer -> the files it is made from, relative to the checkout. In the order in which they are laid.
LAYERS: dict[str, tuple[str, ...]] = {
    "tools": ("requirements/tools.txt",),
    "runtime": ("requirements/runtime.txt",),
    "checkout": ("pyproject.toml", "src/nexuslink/__init__.py"),
    "test": ("requirements/test.txt",),
    "evaluate": ("requirements/evaluate.txt",),
    "virtual-ble": ("requirements/virtual-ble.txt",),
    "bench": ("requirements/bench.txt",),
    "reference": ("requirements/reference.txt",),
}

PROGRAM = ("tools", "runtime", "checkout")
EVALUATE = (*PROGRAM, "evaluate")
VIRTUAL_BLE = (*PROGRAM, "virtual-ble")
TEST = (*PROGRAM, "test", "evaluate", "virtual-ble")
BENCH = (*TEST, "bench", "reference")

_SCRIPTS = "Scripts" if os.name == "nt" else "bin"
_EXE = ".exe" if os.name == "nt" else ""


class Environment:
    """One venv, at ``path``, to be made with the interpreter ``base``."""

    def __init__(self, path: str, base: str | None = None) -> None:
        self.path = path
        # Not sys.executable: a venv cannot make itself anew.
        self.base = base or str(getattr(sys, "_base_executable", sys.executable))
        self.marks = os.path.join(path, ".nexuslink")
        self.python = os.path.join(path, _SCRIPTS, "python" + _EXE)
        self.unfinished = os.path.join(self.marks, "unfinished")

    def script(self, name: str) -> str:
        """Path of a console script of this environment."""
        return os.path.join(self.path, _SCRIPTS, name + _EXE)

    def stamp(self, layer: str) -> str:
        """Path of a layer's stamp."""
        return os.path.join(self.marks, layer)

    def made_from(self, layer: str) -> bytes:
        """The text that a layer made now would be made from."""
        parts = [_read(os.path.join(ROOT, name)) or b"" for name in LAYERS[layer]]
        if layer == "tools":  # the interpreter itself: an upgraded or vanished one leaves a venv that cannot start
            parts.append(f"{RECIPE} {os.path.realpath(self.python)}".encode())
        if layer == "checkout":  # a moved checkout leaves paths behind that lead nowhere
            parts.append(ROOT.encode())
        return b"\n".join(parts)

    def lacks(self, layers: tuple[str, ...]) -> list[str]:
        """Which of ``layers`` are not there as they should be. Empty: start at once."""
        if os.path.exists(self.unfinished) or not os.path.exists(self.python):
            return list(layers)
        return [layer for layer in layers if _read(self.stamp(layer)) != self.made_from(layer)]

    def ensure(self, layers: tuple[str, ...]) -> None:
        """Make the layers that are missing; cheap when none is."""
        if self.lacks(layers):
            from runner.install import prepare

            prepare(self, layers)


def main_environment() -> Environment:
    """``$NEXUSLINK_VENV``, or ``.venv`` in the checkout."""
    named = os.environ.get("NEXUSLINK_VENV")
    return Environment(os.path.abspath(named) if named else os.path.join(ROOT, ".venv"))


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
