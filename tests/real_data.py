"""Where the real recordings are: NEXUSLINK_DATA, or shared/data beside the checkout. Never in the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def attitude_files() -> list[Path]:
    """The inertial recordings with optical truth; skips, with one line, where there are none."""
    named = os.environ.get("NEXUSLINK_DATA")
    folder = (Path(named) if named else Path(__file__).parents[2] / "shared" / "data") / "attitude"
    files = sorted(folder.glob("*.npz"))
    if not files:
        pytest.skip(f"no real recordings in {folder}: set NEXUSLINK_DATA to the folder that holds attitude/*.npz")
    return files
