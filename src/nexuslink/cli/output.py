"""How commands print: JSON for programs (NaN as null), plain lines for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final


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


CELL_MAX: Final = 40
"""Characters of a cell that others have filled, but for the last one of its row."""


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of equal length as lines, their cells one below the other."""
    cut = [
        [*(cell if len(cell) <= CELL_MAX else cell[: CELL_MAX - 1] + "…" for cell in row[:-1]), row[-1]] for row in rows
    ]
    widths = [max(len(row[at]) for row in cut) for at in range(len(rows[0]))]
    for row in cut:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cut(cell: str) -> str:
    return cell if len(cell) <= CELL_MAX else cell[: CELL_MAX - 1] + "…"
