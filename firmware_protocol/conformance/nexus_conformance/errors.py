"""Why a run of the suite cannot be: one line each. What a tool does wrong is a verdict, never one of these."""

from __future__ import annotations


class ConformanceError(ValueError):
    """The suite cannot do what was asked."""


class MisuseError(ConformanceError):
    """A word on the command line, or an id, that cannot be."""


class LinkEndedError(ConformanceError):
    """The link ended, or time stood still on it, before the last check."""
