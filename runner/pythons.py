"""``./run test --all-pythons``: the tests on every interpreter of this machine that the program supports.

One interpreter for each minor version, each with an environment of its own under ``.venvs/``. An interpreter that
cannot be set up is named and passed over; a failed test fails the run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

from runner.environment import ROOT, TEST, Environment, main_environment
from runner.errors import FAILED, RunError
from runner.install import clean_environ
from runner.system import missing_for

OLDEST = (3, 11)
PROBE_LIMIT_S = 20.0
TEST_LIMIT_S = 1200.0
#: What the other interpreters need not repeat: the tests of ./run start whole environments, those of the suites start
#: this machine's own interpreter again and again, estimation, calibration and evaluation are numpy's numbers, and
#: moments are many of the same. The simulated tool is run by whoever connects to it. Of single files: those that try
#: very much of the same, or weigh numbers and memory.
_ONCE = "run hil benchmarks soak firmware_protocol estimation calibration evaluation moments simulator"
_LONG = "protocol/test_hostile_bytes.py recording/test_recording_memory.py live/test_real_imu.py"
NOT_AGAIN = tuple(f"--ignore=tests/{name}" for name in f"{_ONCE} {_LONG}".split())

_PROBE = "import sys, ssl, ctypes, venv; print(*sys.version_info[:3], sys.implementation.name)"


def side_by_side(args: list[str]) -> list[str]:
    """Pytest options that use the machine's processors, a file of tests to each; ``-n 0`` or ``--pdb`` undo it.

    One more than there are processors: many tests wait for a tool that runs in real time.

    A tool can be held by one process only, so the link tests never share it.
    """
    if any(arg.startswith(("-n", "--numprocesses", "--pdb", "--nexus", "hil_tests")) for arg in args):
        return []
    return ["-n", str(min(4, (os.cpu_count() or 1) + 1)), "--dist", "loadfile", "--no-loadscope-reorder"]


def test_all(args: list[str], *, main_too: bool) -> int:
    """Run pytest on each interpreter in turn; 0 when none failed.

    Without the main one, as for CI, on the newest only: what breaks between the oldest and it breaks on it, too.
    """
    main = main_environment()
    main.ensure(TEST)
    missing = missing_for(main, "offscreen")
    if missing:
        raise RunError(f"the tests paint windows off screen, and Qt lacks system libraries: {missing}")
    outcome: dict[str, str] = {}
    failed = False
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if main_too:
        outcome[here] = _pytest(main, args)
    for minor, candidates in sorted(interpreters().items())[0 if main_too else -1 :]:
        name = f"{minor[0]}.{minor[1]}"
        if name == here:
            continue
        outcome[name] = _test_one(name, candidates, args)
    for name, result in outcome.items():
        failed |= result.startswith("FAILED")
        print(f"python {name}: {result}")
    if not outcome:
        print(f"python {here} is the only one here from {OLDEST[0]}.{OLDEST[1]} on")
    return FAILED if failed else 0


def interpreters() -> dict[tuple[int, int], list[str]]:
    """Minor version -> the interpreters of this machine that start, each real file once."""
    found: dict[tuple[int, int], list[str]] = {}
    seen: set[str] = set()
    for path in _candidates():
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        version = _probe(path)
        if version is not None and version >= OLDEST:
            found.setdefault(version, []).append(path)
    return found


def _candidates() -> Iterator[str]:
    yield getattr(sys, "_base_executable", None) or sys.executable
    pattern = re.compile(r"python3\.\d+(\.exe)?")
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder and "shims" not in folder]
    versions = os.path.expanduser("~/.pyenv/versions")
    if os.path.isdir(versions):
        folders += [os.path.join(versions, name, "bin") for name in sorted(os.listdir(versions), reverse=True)]
    for folder in [*folders, "/usr/bin"]:
        if os.path.isdir(folder):
            yield from (os.path.join(folder, name) for name in sorted(os.listdir(folder)) if pattern.fullmatch(name))


def _probe(path: str) -> tuple[int, int] | None:
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=PROBE_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    if done.returncode != 0 or len(words) != 4 or words[3] != "cpython":
        return None
    return int(words[0]), int(words[1])


def _test_one(name: str, candidates: list[str], args: list[str]) -> str:
    reason = ""
    for base in candidates:
        environment = Environment(os.path.join(ROOT, ".venvs", name), base)
        try:
            environment.ensure(TEST)
        except RunError as error:
            reason = str(error).splitlines()[-1].strip()
            continue
        return _pytest(environment, [*NOT_AGAIN, *args])
    return f"skipped, could not be set up: {reason}"


def _pytest(environment: Environment, args: list[str]) -> str:
    print(f"== {environment.python} -m pytest {' '.join(args)}", flush=True)
    start = time.monotonic()
    try:
        status = subprocess.run(
            [environment.python, "-m", "pytest", *side_by_side(args), *args],
            cwd=ROOT,
            env=clean_environ(),
            check=False,
            timeout=TEST_LIMIT_S,
        ).returncode
    except subprocess.TimeoutExpired:
        return f"FAILED, not done within {TEST_LIMIT_S:.0f} s"
    seconds = time.monotonic() - start
    return f"passed in {seconds:.0f} s" if status == 0 else f"FAILED with status {status} after {seconds:.0f} s"
