"""``./run wheel``: what a stranger gets who installs nexuslink. The wheel is built and then run alone.

Alone means: an empty environment with the locked runtime packages and the wheel, another folder, no path back to the
checkout. It then guides a whole hold on the simulated tool, at full speed, and the result is looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from pathlib import Path

from runner.environment import LAYERS, PROGRAM, ROOT, Environment
from runner.errors import FAILED, RunError
from runner.install import clean_environ, install_locked, install_path
from runner.progress import Progress

HOLD = ("release", "psoas-left", "--device", "sim:?script=good-psoas&speed=max&seed=1", "--json")
HOLD_LIMIT_S = 120.0
#: What the result of a hold must carry.
KEYS = ("held_s", "in_band_fraction", "lost_messages", "session_file")


def check_wheel(environment: Environment) -> int:
    """Build the wheel into dist/, install and run it alone. Raises RunError with what went wrong."""
    environment.ensure(PROGRAM)
    progress = Progress(4)

    def report(line: str) -> None:
        if line:
            progress.detail(line)
        progress.tick()

    with tempfile.TemporaryDirectory(prefix="nexuslink-wheel-") as folder:
        progress.step("building the wheel")
        wheel = _build(environment, Path(folder))
        progress.done()

        progress.step("installing the locked packages into an empty environment")
        alone = Environment(os.path.join(folder, "venv"))
        venv.create(alone.path, with_pip=False, symlinks=os.name != "nt")
        install_locked(alone.python, os.path.join(ROOT, *LAYERS["runtime"][0].split("/")), report=report)
        progress.done()

        progress.step("installing the wheel")
        install_path(alone.python, [str(wheel)], report=report)
        _check_place(alone, folder)
        progress.done()

        progress.step("a whole hold on the simulated tool")
        result = _hold(alone, folder)
        progress.done()
    held, share = result["held_s"], result["in_band_fraction"]
    print(f"wheel: {wheel.name} stands alone: held {held:.1f} s, {share:.0%} in band, lost {result['lost_messages']}")
    return 0


def _build(environment: Environment, folder: Path) -> Path:
    out = folder / "dist"
    _checked(
        [environment.python, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)], ROOT, "building the wheel"
    )
    (wheel,) = out.glob("nexuslink-*.whl")
    kept = Path(ROOT, "dist", wheel.name)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(wheel.read_bytes())
    return kept


def _check_place(alone: Environment, folder: str) -> None:
    """The package that runs must be the wheel's and not the checkout's."""
    where = _checked([alone.python, "-c", "import nexuslink; print(nexuslink.__file__)"], folder, "importing nexuslink")
    if not where.strip().startswith(os.path.realpath(folder)) and not where.strip().startswith(folder):
        raise RunError(f"the empty environment imports nexuslink from {where.strip()}", FAILED)


def _hold(alone: Environment, folder: str) -> dict[str, float]:
    said = _checked([alone.script("nexuslink"), *HOLD], folder, "the hold")
    try:
        result = json.loads(said)
    except ValueError:
        raise RunError(f"the hold printed no JSON document: {said[:200]!r}", FAILED) from None
    missing = [key for key in KEYS if key not in result]
    if missing:
        raise RunError(f"the hold's result lacks {', '.join(missing)}: {said[:400]}", FAILED)
    if not Path(result["session_file"]).is_file():
        raise RunError(f"the session file is not there: {result['session_file']}", FAILED)
    return dict(result)


def _checked(command: list[str], folder: str, what: str) -> str:
    """Run in ``folder`` with all the user's folders inside it; stdout, or RunError with the end of stderr."""
    env = clean_environ() | {
        "HOME": folder,
        "XDG_DATA_HOME": folder,
        "XDG_CACHE_HOME": folder,
        "XDG_CONFIG_HOME": folder,
    }
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=HOLD_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"{what} gave no result within {HOLD_LIMIT_S:.0f} s", FAILED) from None
    if done.returncode != 0:
        tail = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-12:])
        raise RunError(f"{what} ended with status {done.returncode}\n{tail}", FAILED)
    return done.stdout
