"""For all tests: which of them run when.

Tests marked ``thorough`` try the same thing in many more ways, or what only few changes touch. They run with
``./run test --emulated``, as ``.ci/run`` does.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("no-clock", deadline=None)  # a deadline would be a wall time that a busy machine misses
settings.load_profile("no-clock")
os.environ["NEXUSLINK_CACHE"] = os.environ["NEXUSLINK_TOOLS"] = "off"  # nobody's home is touched, by processes either


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    thorough = {item.path for item in items if item.get_closest_marker("thorough")}
    if os.environ.get("NEXUS_EMULATED") == "1":
        # Side by side a file is one piece of work: the long ones first, or the last of them runs alone at the end.
        items.sort(key=lambda item: item.path not in thorough)
        return
    skip = pytest.mark.skip(reason="thorough: tried by `./run test --emulated`")
    for item in items:
        if item.get_closest_marker("thorough"):
            item.add_marker(skip)
