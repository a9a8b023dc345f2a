"""What can go wrong between a URL and an open link. Each message is one line: what, where, what to do."""

from __future__ import annotations


class TransportError(Exception):
    """A link that cannot be had or has ended."""


class UrlError(TransportError, ValueError):
    """The URL itself is not usable."""


class PortNotFoundError(TransportError):
    """There is nothing at that address."""


class PortBusyError(TransportError):
    """Another program holds the port."""


class PortDeniedError(TransportError):
    """This user may not open the port."""


class LinkLostError(TransportError):
    """The link was open and has ended."""
