"""How commands print: JSON for programs (NaN as null), plain lines for people."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any


def _plain(value: Any) -> Any:
    """A value that JSON knows."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def print_json(value: Any) -> None:
    """One JSON document on one line, at once."""
    sys.stdout.write(json.dumps(_plain(value)) + "\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """One line for a person."""
    sys.stdout.write(line + "\n")


def whisper(line: str) -> None:
    """One line beside the output."""
    sys.stderr.write(line + "\n")
