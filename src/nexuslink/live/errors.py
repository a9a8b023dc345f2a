"""What makes a session impossible, beyond what device, plan and recording already say."""

from __future__ import annotations


class SessionError(Exception):
    """A tool that streams, but not what a session needs: one line, what is missing and what to do."""
