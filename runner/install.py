"""How the layers of an environment are made. The only place that changes an environment, and only under its lock.

Packages come as wheels with the hashes in ``requirements/``, by uv (fetched by pip, hash-checked like the rest), and by
pip where uv cannot: pip knows mirrors and certificates from its own configuration, which uv does not read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from runner.environment import LAYERS, REQUIREMENTS, ROOT, Environment, main_environment
from runner.errors import FAILED, RunError
from runner.progress import Progress, run_bounded

STEP_LIMIT_S = 1800.0
LOCK_LIMIT_S = 1800.0
_LOCK_PERIOD_S = 0.2
_LOG_TAIL = 12

_DESCRIPTION = {
    "tools": "installing tools (uv, hatchling)",
    "runtime": "installing packages",
    "checkout": "installing this checkout",
    "test": "installing test tools",
    "evaluate": "installing filters to compare with",
    "virtual-ble": "installing a Bluetooth radio in software",
    "bench": "installing benchmark peers",
    "reference": "building the benchmark's reference",
}


def prepare(environment: Environment, layers: tuple[str, ...]) -> None:
    """Make every layer of ``layers`` that is missing or outdated. Raises RunError with the end of the log."""
    _refuse_foreign(environment)
    with _lock(environment.path + ".lock") as descriptor:
        lacking = environment.lacks(layers)
        if lacking:  # else another ./run has made them while this one waited
            _Setup(environment, descriptor).make(layers, lacking)


#: Layers that are built here, because their packages have no wheels for every system. Not one that a user needs.
_BUILT = ("reference",)


def install_locked(
    python: str,
    lock: str,
    *,
    report: Callable[[str], None],
    keep_open: tuple[int, ...] = (),
    build: bool = False,
) -> None:
    """Install the packages of one lock file into the environment of ``python``, hashes checked.

    Wheels only, so that no compiler is needed; or, with ``build``, made from source with what is installed already.
    """
    source = ["--no-binary", ":all:", "--no-build-isolation"] if build else ["--only-binary", ":all:"]
    arguments = ["install", "--no-deps", *source, "--require-hashes", "-r", lock]
    _with_uv_or_pip(python, arguments, report=report, keep_open=keep_open)


def locked_for(lock: str, names: Collection[str]) -> str:
    """Of a lock file in ``requirements/``: the entries of these packages, hashes and all."""
    text = Path(REQUIREMENTS, lock).read_text("utf-8")
    blocks = re.finditer(r"^(?P<name>[A-Za-z0-9._-]+)==(?:.*\\\n)*.*\n", text, re.MULTILINE)
    return "".join(block[0] for block in blocks if block["name"] in names)


def install_path(
    python: str, arguments: list[str], *, report: Callable[[str], None], keep_open: tuple[int, ...] = ()
) -> None:
    """Install something that lies on this disk, alone and without asking a registry."""
    _with_uv_or_pip(python, ["install", "--no-deps", *arguments], report=report, keep_open=keep_open)


class _Setup:
    def __init__(self, environment: Environment, descriptor: int) -> None:
        self._environment = environment
        self._keep = (descriptor,)
        self._log = os.path.join(environment.marks, "setup.log")

    def make(self, layers: tuple[str, ...], lacking: list[str]) -> None:
        environment = self._environment
        anew = self._must_start_anew(lacking)
        todo = layers if anew else tuple(lacking)
        self._progress = Progress(len(todo) + anew)
        os.makedirs(environment.marks, exist_ok=True)
        Path(environment.unfinished).touch()
        if anew:
            self._make_venv()
        for layer in todo:
            self._progress.step(_DESCRIPTION[layer])
            Path(environment.stamp(layer)).unlink(missing_ok=True)
            self._lay(layer)
            Path(environment.stamp(layer)).write_bytes(environment.made_from(layer))
            self._progress.done(self._count)
        Path(environment.unfinished).unlink()

    def _must_start_anew(self, lacking: list[str]) -> bool:
        """A dead set-up, a changed interpreter or a changed lock: a venv is not mended, it is made again."""
        environment = self._environment
        if os.path.exists(environment.unfinished) or not os.path.exists(environment.python):
            return True
        return any(layer != "checkout" and os.path.exists(environment.stamp(layer)) for layer in lacking)

    def _make_venv(self) -> None:
        environment = self._environment
        main = environment.path == main_environment().path
        if main and importlib.util.find_spec("ensurepip") is None:
            raise RunError(
                "this Python comes without ensurepip; on Debian: "
                f"apt-get install -y python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            )
        self._progress.step(f"making {os.path.relpath(environment.path)} with {environment.base}")
        for entry in os.scandir(environment.path):
            if entry.path != environment.marks:
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
        for entry in os.scandir(environment.marks):
            if entry.path != environment.unfinished:
                os.unlink(entry.path)
        # Only the main environment has pip: it serves the others too (pip --python).
        self._run([environment.base, "-m", "venv", *([] if main else ["--without-pip"]), environment.path])
        self._progress.done()

    def _lay(self, layer: str) -> None:
        self._count = ""
        python = self._environment.python
        if layer == "checkout":
            editable = ["--no-build-isolation", "--editable", ROOT]
            install_path(python, editable, report=self._report, keep_open=self._keep)
        else:
            lock = os.path.join(ROOT, *LAYERS[layer][0].split("/"))
            install_locked(python, lock, report=self._report, keep_open=self._keep, build=layer in _BUILT)

    def _run(self, command: list[str]) -> None:
        tail: list[str] = []

        def on_line(line: str) -> None:
            tail.append(line)
            self._report(line)

        status = run_bounded(
            command,
            limit_s=STEP_LIMIT_S,
            on_line=on_line,
            on_wait=self._progress.tick,
            env=clean_environ(),
            keep_open=self._keep,
        )
        if status != 0:
            raise _failed(command, tail)

    def _report(self, line: str) -> None:
        if line:
            with open(self._log, "a", encoding="utf-8") as log:
                log.write(line + "\n")
            self._progress.detail(line)
            if line.startswith(("Installed ", "Successfully installed")):
                count = line.split()[1] if line.startswith("Installed") else str(len(line.split()) - 2)
                self._count = f"{count} packages" if count != "1" else ""
        self._progress.tick()


def clean_environ() -> dict[str, str]:
    """The environment for installers: what leads Python elsewhere is taken out, certificates are named for uv too."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    env.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1")
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    return env


def _with_uv_or_pip(
    python: str, arguments: list[str], *, report: Callable[[str], None], keep_open: tuple[int, ...]
) -> None:
    main = main_environment()
    uv = main.script("uv")
    commands = [[main.python, "-I", "-m", "pip", "--python", python, *arguments, "--progress-bar", "off"]]
    if os.path.exists(uv):
        commands.insert(0, [uv, "pip", *arguments, "--python", python])
    tail: list[str] = []

    def on_line(line: str) -> None:
        tail.append(line)
        report(line)

    for command in commands:
        status = run_bounded(
            command, limit_s=STEP_LIMIT_S, on_line=on_line, on_wait=lambda: report(""),
            env=clean_environ(), keep_open=keep_open,
        )  # fmt: skip
        if status == 0:
            return
        report(f"{os.path.basename(command[0])} ended with status {status}")
    raise _failed(commands[-1], tail)


def _failed(command: list[str], tail: list[str]) -> RunError:
    said = "".join(f"\n    {line}" for line in tail[-_LOG_TAIL:])
    return RunError(f"set-up failed at: {subprocess.list2cmdline(command)}{said}", FAILED)


def _refuse_foreign(environment: Environment) -> None:
    """A folder that ./run did not make is never emptied by it."""
    path = environment.path
    if os.path.isdir(environment.marks) or not os.path.lexists(path):
        return
    if os.path.isdir(path) and not os.listdir(path):
        return
    raise RunError(f"{path} was not made by ./run: move it away, or set NEXUSLINK_VENV to another folder")


@contextlib.contextmanager
def _lock(path: str) -> Iterator[int]:
    """One set-up at a time for each environment; the second waits for the first, not for ever."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + LOCK_LIMIT_S
        waiting = False
        while not _try_lock(descriptor):
            if not waiting:
                print("./run: another ./run is setting up this environment; waiting for it", file=sys.stderr)
                waiting = True
            if time.monotonic() > deadline:
                raise RunError(f"another ./run has held {path} for {LOCK_LIMIT_S / 60:.0f} minutes: end it", FAILED)
            time.sleep(_LOCK_PERIOD_S)
        yield descriptor
    finally:
        os.close(descriptor)  # and with it the lock, once no child holds the descriptor any more


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
