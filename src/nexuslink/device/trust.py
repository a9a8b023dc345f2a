"""Who passes for a tool that is remembered, over which link: before it is dialled, and after it has been greeted.

A serial number is a claim. Over a radio the bond proves it, on each system in its own way:

Linux            BlueZ says of every tool whether there is a key; one without passes for none that was paired.
macOS, Windows   The system does not say. A bond belongs to an address (on macOS a UUID that stands for one): another
                 address is another tool. With the right address the system encrypts with its key by itself.
everywhere       The transport is told of the bond (``bond=``). But for macOS, where programs cannot, it asks for
                 encryption with that key before it subscribes: a tool that pretends to need none, or has an old key,
                 gets no word. A cable needs no bond.

No Nexus lets anybody subscribe without a bond: where the system does not say, who got through has one.
It knows neither states nor how a tool is found.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from nexuslink.device.finders import FoundTool
from nexuslink.device.nexus import Nexus
from nexuslink.device.remembered import RememberedTool, RememberedTools

RADIO = "ble"


class Trust:
    """``remembered``: the tools that are known; ``None``: nobody is, and everybody passes."""

    def __init__(self, remembered: RememberedTools | None) -> None:
        self._remembered = remembered

    def dial(self, at: FoundTool, serial_number: str | None) -> str:
        """The address to connect to. Raises `ImpostorError` before anything is said to one that cannot be the tool."""
        serial = at.serial_number or serial_number
        if self._remembered is None or serial is None or at.scheme != RADIO:
            return at.dial
        self._remembered.refuse_impostor(serial, at.url, at.identity, at.bonded)
        known = self._remembered.find(serial)
        if known is None or not known.bonded:
            return at.dial
        bond = "yes" if at.bonded else known.bonded_at.removeprefix(f"{RADIO}:") or "yes"
        return f"{at.dial}{'&' if '?' in at.dial else '?'}bond={bond}"

    def check(self, nexus: Nexus, at: FoundTool) -> None:
        """After the greeting. Raises `ImpostorError`."""
        if self._remembered is not None:
            self._remembered.refuse_impostor(nexus.info.serial_number, at.url, *_link(nexus, at))

    async def keep(self, nexus: Nexus, at: FoundTool) -> None:
        """Remember a tool that has passed."""
        if self._remembered is None:
            return
        address, said = _link(nexus, at)
        bonded = at.scheme == RADIO and said is not False
        tool = RememberedTool(
            nexus.info.serial_number, "", nexus.info.info.model, (at.url,), at.identity or address, nexus.simulated,
            bonded, address if bonded else "", datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        await asyncio.to_thread(self._remembered.keep, tool)


def _link(nexus: Nexus, at: FoundTool) -> tuple[str, bool | None]:
    """The hardware's address, and whether the system has a key for it; the link knows both better than a scan."""
    said: bool | None = getattr(nexus.transport, "bonded", None)
    address: str = getattr(nexus.transport, "address", "")
    return f"{RADIO}:{address}" if address else at.identity, at.bonded if said is None else said
