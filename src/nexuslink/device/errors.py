"""What can go wrong with a tool that is there. Each message is one line: what, where, what to do."""

from __future__ import annotations


class DeviceError(Exception):
    """A tool that does not do what was asked."""


class NoAnswerError(DeviceError):
    """A request was sent, and sent again, and nothing came back in time."""


class VersionError(DeviceError):
    """The tool speaks another major version of the protocol."""


class RefusedError(DeviceError):
    """The tool answered, and said no."""


class NotNowError(DeviceError):
    """The connection is not in a state for this request; nothing was sent."""


class BadAnswerError(DeviceError):
    """The tool answered with something that cannot be right."""
