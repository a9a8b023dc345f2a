"""The errors of ``./run``: one line for the person, an exit status for the caller."""

from __future__ import annotations

USAGE = 2
FAILED = 1
INTERRUPTED = 130


class RunError(Exception):
    """Ends ``./run`` with one line on stderr: what is wrong, where, and what to do."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.status = status
