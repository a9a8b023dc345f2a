"""Bumble's host without its log: what a virtual radio's host spends more than a third of its time on.

Each packet is written out in words and colours, on every floor it passes, before anybody is asked whether a log is
kept. And an answer that nobody waits for any more is no error. It knows packets, and neither tools nor programs.
"""

from __future__ import annotations

import asyncio
import contextlib

from bumble import hci
from bumble.host import Host


class QuietHost(Host):
    """Carries packets as `Host` does; a snooper is not served."""

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the controller."""
        if self.hci_sink is not None:
            self.hci_sink.on_packet(bytes(packet))

    def on_packet(self, packet: bytes) -> None:
        """From the controller, perhaps an answer that is given up at this very moment: bumble fails to deliver it."""
        with contextlib.suppress(asyncio.InvalidStateError):
            super().on_packet(packet)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the controller."""
        if isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        elif isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)
        else:
            super().on_hci_packet(packet)
