"""What a process holds that a test could leave behind."""

from __future__ import annotations

import threading
from pathlib import Path

FD = Path("/proc/self/fd")


def open_files() -> dict[str, str]:
    """Descriptor -> what it is. Empty where the system does not tell."""
    files = {}
    for entry in FD.iterdir() if FD.is_dir() else ():
        try:
            files[entry.name] = str(entry.readlink())
        except OSError:  # the folder's own descriptor
            continue
    return {number: name for number, name in files.items() if not name.startswith("/proc/")}


def left_over(threads: set[threading.Thread], files: dict[str, str]) -> list[object]:
    """What is there now and was not there before."""
    new_files = [f"{number}: {what}" for number, what in open_files().items() if files.get(number) != what]
    return [*new_files, *(set(threading.enumerate()) - threads)]
