"""Nothing may be left over after a test: no thread, no open file, no socket, no warning about one."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

FD = Path("/proc/self/fd")


def open_files() -> dict[str, str]:
    """Descriptor -> what it is."""
    files = {}
    for entry in FD.iterdir() if FD.is_dir() else ():
        try:
            files[entry.name] = str(entry.readlink())
        except OSError:  # the folder's own descriptor
            continue
    return {number: name for number, name in files.items() if not name.startswith("/proc/")}


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    gc.collect()
    threads, files = set(threading.enumerate()), open_files()
    yield
    gc.collect()
    left = {n: what for n, what in open_files().items() if files.get(n) != what}
    assert not left, f"open files left over: {left}"
    assert set(threading.enumerate()) <= threads, "a thread is left over"
