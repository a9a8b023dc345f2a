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


class SeveralToolsError(TransportError):
    """The address fits more than one tool that is near."""


class OutOfReachError(PortNotFoundError):
    """No radio hears that tool, or not well enough."""


class ToolTakenError(PortBusyError):
    """The tool is connected elsewhere."""


class PairingError(PortDeniedError):
    """The tool does not trust this computer, or this computer lost its key."""


class KeyLostError(PairingError):
    """The tool has lost its key of this computer, which still has its own: the person must remove that one first."""


class NotANexusError(TransportError):
    """What answers there does not have a Nexus's table."""


class RadioError(TransportError):
    """This computer's Bluetooth cannot be used."""


class RadioOffError(RadioError):
    """Bluetooth is switched off."""


class NoRadioError(RadioError):
    """There is no Bluetooth adapter that can do it."""


class RadioDeniedError(RadioError):
    """This program or this user may not use Bluetooth."""


class RadioServiceError(RadioError):
    """The system's Bluetooth service does not run, or has ended."""
