"""Misuse that only the command line can see."""

from __future__ import annotations


class UsageError(Exception):
    """A value on the command line that cannot be: one line, which and what to do."""
