"""What `doctor` looks at on this machine: a table of checks, each of one thing.

They must run where everything else does not: only the standard library is imported at the top, whatever is looked at
is imported inside its check, and what may take the process down with it (Qt, a sound driver) is tried in a process
of its own. Nothing is installed or deleted. Knows no tool and prints nothing.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import nexuslink
from nexuslink.cli.requirements import Requirement, installed_version, requirements

OLDEST_PYTHON: Final = (3, 11)
BAD_QT: Final = "6.12.0"
PROBE_LIMIT_S: Final = 30.0
"""For one try in a process of its own; a cold import of Qt from a slow disk takes several seconds."""
NO_SOUND: Final = ("Discard all samples", "Null")
"""Devices that swallow what they are given: ALSA's, and miniaudio's own."""
LOW_SPACE: Final = 1_000_000_000
"""Bytes: ten hours of recording, about 25 kB a second."""
NO_SPACE: Final = 50_000_000
BLUETOOTH_LIMIT_S: Final = 15.0
"""Some systems ask a person for permission first."""
LISTEN_S: Final = 1.0
COARSE_CLOCK_S: Final = 0.002

QT_LIBRARIES: Final = {
    "libEGL.so.1": "libegl1", "libGL.so.1": "libgl1", "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3", "libglib-2.0.so.0": "libglib2.0-0", "libfontconfig.so.1": "libfontconfig1",
}  # fmt: skip
"""What Qt's wheels expect of Linux -> Debian's package."""
X11_LIBRARIES: Final = {
    "libxcb-cursor.so.0": "libxcb-cursor0", "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1", "libxcb-xkb.so.1": "libxcb-xkb1", "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}  # fmt: skip
"""What a window on X11 needs on top."""


class State(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARN = "warn"
    """Works without, but less well; or something that a person should know."""
    MISSING = "missing"
    """Something needed is not there or does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row."""

    name: str
    state: State
    found: str
    mend: str = ""
    """One line: what to do. Empty where there is nothing to do."""


Check = Callable[[], list[Finding]]


# -- Python and packages ------------------------------------------------------------------------------------------


def check_python() -> list[Finding]:
    """The interpreter."""
    found = f"{sys.version.split()[0]} ({sys.executable})"
    if sys.version_info < OLDEST_PYTHON:
        return [Finding("python", State.MISSING, found, "install Python 3.11 or later")]
    return [Finding("python", State.OK, found)]


def check_installation() -> list[Finding]:
    """Is it installed, and does it find its simulated tool?"""
    rows = []
    version = installed_version("nexuslink")
    if version is None:
        rows.append(Finding("nexuslink", State.WARN, f"{nexuslink.__version__}, run without being installed",
                            "install it (`./run` in a checkout does), or versions are not checked"))  # fmt: skip
    else:
        rows.append(Finding("nexuslink", State.OK, nexuslink.__version__))
    from importlib.metadata import entry_points

    for group, what in (("nexuslink.transports", "sim: addresses"), ("nexuslink.commands", "sim commands")):
        plugins = [p for p in entry_points(group=group) if p.name == "sim"]
        reason = "no entry point is called sim" if not plugins else _failure(plugins[0].load)
        mend = "" if not reason else "install nexuslink again: its own simulated tool is not found"
        rows.append(Finding(what, State.MISSING if reason else State.OK, reason or "found", mend))
    return rows


def check_packages() -> list[Finding]:
    """Each package that the program needs: can it be imported, and is its version one that is supported?"""
    return [_package(requirement) for requirement in requirements()]


def _package(wanted: Requirement) -> Finding:
    install = f'pip install "{wanted}"'
    reason = _failure(lambda: importlib.import_module(wanted.module))
    if reason:
        return Finding(wanted.package, State.MISSING, reason, install)
    version = installed_version(wanted.package)
    if version is not None and not wanted.allows(version):
        return Finding(wanted.package, State.MISSING, f"{version}, supported is {wanted.range}", install)
    return Finding(wanted.package, State.OK, version or "there, of unknown version")


def check_cobs() -> list[Finding]:
    """The codec of serial frames: fast, slow or absent."""
    if not _failure(lambda: importlib.import_module("corncobs")):
        return [Finding("frame codec", State.OK, f"corncobs {installed_version('corncobs') or ''}, fast".strip())]
    reason = _failure(lambda: importlib.import_module("cobs.cobs"))
    if reason:
        return [Finding("frame codec", State.MISSING, "neither corncobs nor cobs", "pip install corncobs")]
    return [Finding("frame codec", State.WARN, "cobs, the slow fallback: enough for one tool", "pip install corncobs")]


# -- window and sound ---------------------------------------------------------------------------------------------


def check_qt() -> list[Finding]:
    """Qt's version, its system libraries, and a start off screen."""
    version = installed_version("PySide6-Essentials")
    if version == BAD_QT:
        mend = f'pip install "PySide6-Essentials!={BAD_QT}"'
        return [Finding("Qt", State.MISSING, f"{version} aborts within seconds on Python 3.10 and 3.11", mend)]
    rows = []
    if sys.platform.startswith("linux"):
        rows.append(_libraries("Qt libraries", QT_LIBRARIES))
        if os.environ.get("DISPLAY"):
            rows.append(_libraries("X11 libraries", X11_LIBRARIES))
    code = (
        "from PySide6.QtWidgets import QApplication as A; A([]); from PySide6.QtCore import qVersion; print(qVersion())"
    )
    works, said = _probe(code, QT_QPA_PLATFORM="offscreen")
    mend = "" if works else "mend the lines above; without Qt `nexuslink release` guides a hold in the terminal"
    rows.append(Finding("Qt", State.OK if works else State.MISSING, f"starts, {said}" if works else said, mend))
    return rows


def _libraries(name: str, wanted: dict[str, str]) -> Finding:
    missing = {library: package for library, package in wanted.items() if _failure(partial(ctypes.CDLL, library))}
    if not missing:
        return Finding(name, State.OK, f"all {len(wanted)} there")
    if shutil.which("apt-get"):
        mend = "sudo apt-get install -y --no-install-recommends " + " ".join(missing.values())
    else:
        mend = "install what brings " + " ".join(missing)
    return Finding(name, State.MISSING, "not there: " + " ".join(missing), mend)


def check_display() -> list[Finding]:
    """Somewhere to open a window."""
    if sys.platform in ("darwin", "win32"):
        return [Finding("display", State.OK, "the desktop's")]
    for name in ("WAYLAND_DISPLAY", "DISPLAY"):
        if os.environ.get(name):
            return [Finding("display", State.OK, f"{name}={os.environ[name]}")]
    mend = "start it on a desktop (or over ssh -X); `nexuslink release` guides a hold in the terminal"
    return [Finding("display", State.WARN, "none", mend)]


def check_sound() -> list[Finding]:
    """A device that can play the cues."""
    code = "import miniaudio; print(*(d['name'] for d in miniaudio.Devices().get_playbacks()), sep='; ')"
    works, said = _probe(code)
    devices = [name for name in said.split("; ") if name and not name.startswith(NO_SOUND)]
    if works and devices:
        return [Finding("sound", State.OK, devices[0] + (f" and {len(devices) - 1} more" if devices[1:] else ""))]
    found = "no device to play on" if works else said
    return [Finding("sound", State.WARN, found, "plug in or switch on a sound device; without one cues are shown only")]


# -- tools, files, clock ------------------------------------------------------------------------------------------


def check_ports() -> list[Finding]:
    """Serial ports, and whether this user may open them."""
    from serial.tools import list_ports

    ports = [p for p in list_ports.comports() if p.vid is not None]
    rows = []
    for port in ports:
        allowed = os.name == "nt" or os.access(port.device, os.R_OK | os.W_OK)
        rows.append(Finding(f"port {port.device}", State.OK if allowed else State.MISSING,
                            port.product or port.description or "a USB port" if allowed else "no permission",
                            "" if allowed else _PERMISSION))  # fmt: skip
    if rows:
        return rows
    if sys.platform.startswith("linux") and not _in_dialout():
        return [Finding("serial ports", State.WARN, "none plugged in; a port could not be opened either", _PERMISSION)]
    return [Finding("serial ports", State.OK, "none plugged in; sim: works without")]


_PERMISSION: Final = 'sudo usermod -aG dialout "$USER", then log in again'


def _in_dialout() -> bool:
    """May this user open serial ports on a usual Linux?"""
    if sys.platform == "win32":
        return True
    import grp

    if os.geteuid() == 0:
        return True
    try:
        group = grp.getgrnam("dialout").gr_gid
    except KeyError:  # another system of groups: only a real port can tell
        return True
    return group in os.getgroups()


def check_bluetooth() -> list[Finding]:
    """Is there an adapter, may this program use it, and does the system's service run? By listening for a moment."""
    import asyncio

    from nexuslink.transport.ble_backends import chosen_radio
    from nexuslink.transport.ble_scan import BleScan
    from nexuslink.transport.errors import TransportError

    async def listen() -> str:
        async with asyncio.timeout(BLUETOOTH_LIMIT_S), BleScan() as scan:
            await asyncio.sleep(LISTEN_S)
            return ", ".join(tool.serial_number or tool.name for tool in scan.tools()) or "no tool"

    radio = chosen_radio(None)
    where = f"on {radio}" if radio else "on this computer"
    try:
        return [Finding("Bluetooth", State.OK, f"listens {where}, near is {asyncio.run(listen())}")]
    except TimeoutError:
        found, mend = f"no answer within {BLUETOOTH_LIMIT_S:g} s", "switch Bluetooth off and on"
    except TransportError as error:
        found, _, mend = " ".join(str(error).split()).removeprefix("ble: ").partition("; ")
    return [Finding("Bluetooth", State.WARN, found, mend or "without it a tool is reached by its cable")]


def check_sessions() -> list[Finding]:
    """The folder of recordings: can it be written, is there room, and did something stay unfinished?"""
    from nexuslink.cli.errors import UsageError
    from nexuslink.cli.folders import sessions_folder

    try:
        folder = sessions_folder(None)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (UsageError, OSError) as error:
        mend = "set NEXUSLINK_SESSIONS to a folder that you may write"
        return [Finding("sessions folder", State.MISSING, " ".join(str(error).split()), mend)]
    free = shutil.disk_usage(folder).free
    state = State.OK if free >= LOW_SPACE else State.WARN if free >= NO_SPACE else State.MISSING
    mend = "" if state is State.OK else "make room there, or set NEXUSLINK_SESSIONS to another folder"
    rows = [Finding("sessions folder", state, f"{folder}, {free / 1e9:.1f} GB free", mend)]
    return rows + [row for part in sorted(folder.glob("*.part")) for row in _unfinished(part)]


def _unfinished(part: Path) -> list[Finding]:
    from nexuslink.recording.files import lock

    try:
        with part.open("rb", buffering=0) as file:
            if not lock(file):
                return [Finding("recording", State.OK, f"{part.name} is being written now")]
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return [Finding("recording", State.WARN, f"{part.name} cannot be read ({error.strerror})")]
    mend = f"nexuslink replay '{part}' shows what is whole in it; delete the file if nobody needs it"
    return [Finding("recording", State.WARN, f"{part.name} was never finished, {size / 1e3:.0f} kB", mend)]


def check_clock() -> list[Finding]:
    """The clock that stamps arrivals, and the one that names files."""
    resolution = time.get_clock_info("monotonic").resolution
    rows = [
        Finding("clock", State.OK if resolution <= COARSE_CLOCK_S else State.WARN,
                f"arrivals to {resolution * 1e3:.3g} ms",
                "" if resolution <= COARSE_CLOCK_S else "use Python 3.13 or later: this is too coarse for latency"),
    ]  # fmt: skip
    year = time.gmtime().tm_year
    if year < 2025:
        rows.append(Finding("date", State.WARN, f"the year is {year}", "set the clock: recordings are named by it"))
    return rows


def _failure(act: Callable[[], object]) -> str:
    """Empty if ``act`` works, else why not, in one line."""
    try:
        act()
    except Exception as error:  # an import may fail with anything
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def _probe(code: str, **environ: str) -> tuple[bool, str]:
    """Run ``code`` in another process: did it end well, and its output or else the last line of its complaint."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | environ, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=PROBE_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, " ".join(str(error).split())[:200]
    if done.returncode == 0:
        return True, (done.stdout.strip().splitlines() or [""])[-1]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return False, (lines[-1].strip()[:200] if lines else f"ended with status {done.returncode}")


CHECKS: Final[dict[str, Check]] = {
    "python": check_python, "installation": check_installation, "packages": check_packages,
    "frame codec": check_cobs, "Qt": check_qt, "display": check_display, "sound": check_sound,
    "serial ports": check_ports, "Bluetooth": check_bluetooth, "sessions": check_sessions, "clock": check_clock,
}  # fmt: skip
"""In the order in which they are shown."""
