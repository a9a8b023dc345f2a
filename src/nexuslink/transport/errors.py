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
    """The tool does not let this computer in: it has never met it, no longer knows it, or was not asked to pair."""


class KeyLostError(PairingError):
    """This computer has a key and the tool does not know it any more: the person must remove that key first."""


class KeyDoubtError(LinkLostError):
    """The link has ended just when it was to be encrypted with a key from before: an old key does that, and so does a
    bad link. Once says little."""


class NoAgentError(PairingError):
    """Nothing on this computer can confirm a pairing, so that it refuses every one itself."""


class NotANexusError(TransportError):
    """What answers there does not have a Nexus's table."""


class RadioError(TransportError):
    """This computer's Bluetooth cannot be used."""


class RadioBusyError(RadioError):
    """This computer's Bluetooth is busy with something else, for example with ending the connection before."""


class RadioOffError(RadioError):
    """Bluetooth is switched off."""


class NoRadioError(RadioError):
    """There is no Bluetooth adapter that can do it."""


class RadioDeniedError(RadioError):
    """This program or this user may not use Bluetooth."""


class RadioServiceError(RadioError):
    """The system's Bluetooth service does not run, or has ended."""
