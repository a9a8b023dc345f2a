"""Where sessions live."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nexuslink.cli.errors import UsageError


def sessions_folder(chosen: str | None) -> Path:
    """The folder named, or NEXUSLINK_SESSIONS, or the user's data folder; made if it is not there."""
    named = chosen or os.environ.get("NEXUSLINK_SESSIONS")
    folder = Path(named) if named else platformdirs.user_data_path("nexuslink", appauthor=False) / "sessions"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot make the sessions folder ({error.strerror}); name another one") from None
    return folder
