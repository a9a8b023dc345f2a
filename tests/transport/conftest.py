"""Nothing may be left over after a test: no thread, no open file, no socket, no warning about one."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from leaks import left_over, open_files


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    threads, files = set(threading.enumerate()), open_files()
    yield
    if left_over(threads, files):
        gc.collect()  # only now: it takes long after other tests
    assert not left_over(threads, files)
