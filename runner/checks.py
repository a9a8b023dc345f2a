"""``./run lint``: every check that needs no running program. One table; all are run, then it says which failed."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

from runner.environment import ROOT, TEST, Environment
from runner.errors import FAILED
from runner.install import clean_environ

CHECK_LIMIT_S = 600.0

#: What no tracked file may carry: where packages come from, and where one person's machine keeps things. The patterns
#: are written so that they do not match themselves.
FORBIDDEN = {
    "registry address": re.compile(
        rb"(?:index-url|registry)\s*=\s*.?https?:|://[^\s\"']*/simple(?:/|[\"']|$)"
        rb"|files\.python[h]osted|registry\.npm[j]s|(?<![\w.])pypi\.or[g]",
        re.MULTILINE,
    ),
    "machine path": re.compile(rb"(?<![\w.$}~-])/(?:root|work|home|Users|opt)/[\w.]+"),
}


def lint_all(environment: Environment) -> int:
    """Run every check of the table; 0 when all passed."""
    environment.ensure(TEST)
    python = environment.python
    importable = [python, "-m"]
    checks: tuple[tuple[str, list[str] | Callable[[], list[str]]], ...] = (
        ("ruff check", [*importable, "ruff", "check", ".", "run"]),
        ("ruff format", [*importable, "ruff", "format", "--check", ".", "run"]),
        ("types: src, simulator", [*importable, "mypy"]),
        ("types: runner", [*importable, "mypy", "--strict", "-p", "runner"]),
        ("floors of the house", [environment.script("lint-imports"), "--no-cache"]),
        ("generated files", [python, "firmware_protocol/generate.py", "--check"]),
        ("tracked files", tracked_files),
    )
    failed = []
    for name, check in checks:
        start = time.monotonic()
        problems = check() if callable(check) else _run(check)
        print(f"{'ok' if not problems else 'FAILED':<7}{name}  ({time.monotonic() - start:.1f} s)", flush=True)
        if problems:
            failed.append(name)
            print("\n".join(f"    {line}" for line in problems), flush=True)
    print("lint: all passed" if not failed else f"lint: failed: {', '.join(failed)}", flush=True)
    return FAILED if failed else 0


def tracked_files() -> list[str]:
    """One line for each registry address and machine path in a file that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, timeout=CHECK_LIMIT_S
    )
    if listed.returncode != 0:
        return ["git cannot list the tracked files of this folder"]
    problems = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        try:
            with open(f"{ROOT}/{name}", "rb") as file:
                problems += [f"{name}:{where}" for where in forbidden_in(file.read())]
        except (FileNotFoundError, IsADirectoryError):
            continue
    return problems


def forbidden_in(data: bytes) -> list[str]:
    """``line: kind: text`` for everything in ``data`` that no tracked file may carry; binary data is not looked at."""
    if b"\0" in data[:8192]:
        return []
    newline = b"\n"
    return [
        f"{data[: match.start()].count(newline) + 1}: {kind}: {match.group().decode(errors='replace')}"
        for kind, pattern in FORBIDDEN.items()
        for match in pattern.finditer(data)
    ]


def _run(command: list[str]) -> list[str]:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=clean_environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=CHECK_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return [f"no result within {CHECK_LIMIT_S:.0f} s"]
    return [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines() or [f"status {done.returncode}"]
