"""Why a run of the suite cannot be: one line each. What a tool does wrong is a verdict, never one of these."""

from __future__ import annotations


class ConformanceError(ValueError):
    """The suite cannot do what was asked."""


class SelectionError(ConformanceError):
    """No requirement has that id."""


class LinkEndedError(ConformanceError):
    """The link ended, or time stood still on it, before the last check."""
