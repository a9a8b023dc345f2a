"""A pytest plugin, inside the guest: a test during which bluetoothd ended has failed, whatever it saw of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ENDED = Path("/run/bluetoothd-ended")
"""A line each time; see `init`."""


@pytest.fixture(autouse=True)
def bluetoothd_lives() -> Iterator[None]:
    before = _ended()
    yield
    assert _ended() == before, "bluetoothd has crashed"


def _ended() -> str:
    return ENDED.read_text("utf-8") if ENDED.exists() else ""
