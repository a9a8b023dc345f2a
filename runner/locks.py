"""``./run lock``: the lock files in requirements/, made anew from pyproject.toml.

Each pins every package with the hashes of all its files, for every system and interpreter at once, and carries no
address. A layer is locked against the layers below it, so that all of them fit into one environment.
"""

from __future__ import annotations

import os
import subprocess

from runner.environment import REQUIREMENTS, ROOT, TEST, Environment
from runner.errors import FAILED, RunError
from runner.install import clean_environ

LOCK_LIMIT_S = 300.0
#: Lock file -> (what it is resolved from, the lock files it must agree with).
LOCKS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "runtime.txt": (["pyproject.toml"], ()),
    "tools.txt": (["--group", "tools"], ("runtime.txt",)),
    "test.txt": (["--group", "test"], ("runtime.txt", "tools.txt")),
    "evaluate.txt": (["--group", "evaluate"], ("runtime.txt", "tools.txt", "test.txt")),
    "virtual-ble.txt": (["--group", "virtual-ble"], ("runtime.txt", "tools.txt", "test.txt", "evaluate.txt")),
    "bench.txt": (
        ["--group", "bench"],
        ("runtime.txt", "tools.txt", "test.txt", "evaluate.txt", "virtual-ble.txt"),
    ),
    "reference.txt": (["--group", "reference"], ("bench.txt",)),
}


def write_locks(environment: Environment, args: list[str]) -> int:
    """Resolve each lock in turn: ``--upgrade`` moves all to the newest allowed, else only what must change moves."""
    if args not in ([], ["--upgrade"]):
        raise RunError(f"lock takes only --upgrade, not {' '.join(args)!r}")
    environment.ensure(TEST[:1])
    for name, (sources, agree) in LOCKS.items():
        command = [environment.script("uv"), "pip", "compile", *sources, "--quiet", "--generate-hashes", "--universal"]
        command += ["--no-emit-index-url", "--no-header", "--no-annotate", "--python-version", "3.11", *args]
        for other in agree:
            command += ["--constraints", os.path.join("requirements", other)]
        command += ["--output-file", os.path.join("requirements", name)]
        done = subprocess.run(command, cwd=ROOT, env=clean_environ(), check=False, timeout=LOCK_LIMIT_S)
        if done.returncode != 0:
            raise RunError(f"requirements/{name} cannot be resolved; it is left as it was", FAILED)
        with open(os.path.join(REQUIREMENTS, name), encoding="utf-8") as file:
            print(f"requirements/{name}: {sum('==' in line for line in file)} packages")
    return 0
