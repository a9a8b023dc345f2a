"""What the system has to bring: the libraries that Qt loads, whether a window is possible, compilers and emulators.

Knows Debian's package names; elsewhere it names the libraries and leaves the rest to the person.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from runner.environment import Environment
from runner.install import clean_environ
from runner.progress import Progress, run_bounded

APT_LIMIT_S = 900.0

#: What Qt loads -> Debian's package. Off screen first, then what an X11 window needs on top.
OFFSCREEN = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
}
WINDOW = {
    **OFFSCREEN,
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
SETS = {"offscreen": OFFSCREEN, "window": WINDOW}

#: A command -> Debian's packages. What the tests of the C code use where it is there ...
COMPILER = {"gcc": ("gcc", "libc6-dev"), "make": ("make",)}
#: ... and what the emulated tier cannot do without.
EMULATED = {
    **COMPILER,
    "clang": ("clang", "libclang-rt-dev"),
    "cppcheck": ("cppcheck",),
    "arm-none-eabi-gcc": ("gcc-arm-none-eabi",),
    "qemu-system-arm": ("qemu-system-arm",),
    "tshark": ("tshark",),
}
#: What `./run bluez` makes its guest with, and emulates it with.
BLUEZ = {
    "qemu-system-x86_64": ("qemu-system-x86",),
    "mmdebstrap": ("mmdebstrap",),
    "setpriv": ("util-linux",),
}


def window_kind() -> str:
    """Which of SETS a window needs here; "offscreen" when Qt is told to paint there, "" when there is no display."""
    if os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in ("offscreen", "minimal", "vnc"):
        return "offscreen"
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return "window"
    return ""


def missing_for(environment: Environment, purpose: str) -> str:
    """Empty when Qt can start for ``purpose``; else what to do, after installing was tried where that is allowed.

    The good answer is remembered beside the environment's stamps.
    """
    if not sys.platform.startswith("linux"):
        return ""
    stamp = environment.stamp(f"system-{purpose}")
    if os.path.exists(stamp):
        return ""
    missing = _missing(SETS[purpose])
    if missing and _can_install():
        _install(list(missing.values()), f"{len(missing)} system libraries for Qt")
        missing = _missing(SETS[purpose])
    if missing:
        return _advice(list(missing.values()) if shutil.which("apt-get") else list(missing))
    with open(stamp, "w", encoding="utf-8") as file:
        file.write("\n".join(SETS[purpose]))
    return ""


def missing_tools(wanted: Mapping[str, tuple[str, ...]], what: str = "the firmware side") -> str:
    """Empty when every command is there; else what to do, after installing was tried where that is allowed."""
    missing = _absent(wanted)
    if missing and _can_install():
        _install(missing, f"{len(missing)} packages for {what}")
        missing = _absent(wanted)
    return _advice(missing) if missing else ""


def _absent(wanted: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [package for command, packages in wanted.items() if not shutil.which(command) for package in packages]


def _missing(wanted: dict[str, str]) -> dict[str, str]:
    return {library: package for library, package in wanted.items() if not _loads(library)}


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _advice(missing: list[str]) -> str:
    if shutil.which("apt-get"):
        return "run: sudo apt-get install -y --no-install-recommends " + " ".join(missing)
    return "install what brings " + " ".join(missing)


def _install(packages: list[str], what: str) -> None:
    """As root on Debian. A failure is not an error here: what is still missing afterwards is said by the caller."""
    progress = Progress(1)
    progress.step(f"installing {what}")

    def on_line(line: str) -> None:
        progress.detail(line)
        progress.tick()

    env = {**clean_environ(), "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for command in (install, ["apt-get", "update", "-qq"], install):  # the lists may be absent or old
        status = run_bounded(command, limit_s=APT_LIMIT_S, on_line=on_line, on_wait=progress.tick, env=env)
        if status == 0 and command is install:
            break
    subprocess.run(["ldconfig"], check=False, timeout=60)
    progress.done(" ".join(packages))
