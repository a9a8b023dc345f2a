"""Being let in by a tool: when this computer has to pair, whether a person is being asked, and what a refusal means.

A tool says nothing of its pairings. Its advertisement is the same for everybody, and so is its refusal: whether it has
never met this computer, has forgotten it, is paired with others only (it may be with several), or was not asked by its
button to pair. That is protocol 1.0, and `PairingError` has words that are true of all of these. What can be told:

KeyLostError    This computer has a key, and the tool says that it knows none (macOS, virtual radio), or lets nobody in
                although the system says that it has a key (BlueZ).
KeyDoubtError   This computer has a key, and the link ends before the tool has let it in. BlueZ and Windows say no more
                of a key that the tool does not know, and no system of one that is another than the tool's. A bad link
                does the same now and then: whoever tries again and again is surer each time.
NoAgentError    BlueZ asks somebody to confirm every pairing, also where there is nothing to compare. Where nobody has
                registered for that (no desktop, a bare SSH session) it refuses, and says the same as when the tool
                does: AuthenticationFailed. But then its adapter is not `Pairable`: 5.66 sets that while there is
                somebody, and unsets it when the last one goes.

A key is never removed here: that is the person's to do. It knows no tool's messages.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from nexuslink.transport.ble_backends import Backends
from nexuslink.transport.ble_lifeline import Lifeline
from nexuslink.transport.ble_words import DOUBTED, FORGOTTEN, LET_IN, NO_AGENT, Step, ble_error, one_line
from nexuslink.transport.errors import KeyDoubtError, KeyLostError, LinkLostError, NoAgentError, PairingError
from nexuslink.transport.pairing import Pairing

if TYPE_CHECKING:
    from bleak import BleakClient

    from nexuslink.transport.ble_nearby import Found

ASK_BUS_S: Final = 2.0
"""For the question to BlueZ whether it can pair at all."""


class Admission:
    """Into the tool that was found. ``bond``: as in `ble`."""

    def __init__(self, name: str, pairing: Pairing, backends: Backends, found: Found, bond: str) -> None:
        self._name = name
        self._pairing = pairing
        self._backends = backends
        self._device = found.device
        self._bonded, self._bond = found.bonded, bond

    @property
    def has_key(self) -> bool:
        """This computer has a key of the tool."""
        return bool(self._bond) if self._bonded is None else self._bonded

    async def before_subscribing(self, client: BleakClient) -> None:
        """Encrypt, or pair, where the system does not do so by itself when a subscription is refused."""
        if sys.platform == "darwin":
            if not self.has_key:  # subscribing asks the person, and nobody tells whether it does
                self._pairing.ask()
        elif self._bond or self._bonded is False:
            await self.pair(client)

    def may_pair(self, error: Exception) -> bool:
        """A subscription was refused, and pairing may help. Raises `KeyLostError` where it cannot."""
        if not isinstance(ble_error(self._name, Step.SUBSCRIBE, error), PairingError) or sys.platform == "darwin":
            return False
        if self._bonded:
            raise KeyLostError(f"{self._name}: {FORGOTTEN}") from None
        return True

    async def pair(self, client: BleakClient) -> None:
        """Let the system pair, or encrypt with the key that it has."""
        if not self.has_key:
            self._pairing.ask()
            self._backends.watch_digits(self._pairing.show)
        try:
            await client.pair()
        except Exception as error:
            known = ble_error(self._name, Step.SUBSCRIBE, error)
            if isinstance(known, (PairingError, LinkLostError)):
                raise known from None
            words = one_line(str(error)) or type(error).__name__
            raise PairingError(f"{self._name}: {LET_IN} ({words})") from None

    def doubted(self, error: LinkLostError, ended: bool) -> LinkLostError:
        """What a link that has ended says of the key. ``ended``: by the other side, or by the system."""
        return KeyDoubtError(f"{self._name}: {DOUBTED}") if ended and self.has_key else error

    async def judged(self, error: LinkLostError | PairingError, ended: bool) -> Exception:
        """What a failure to subscribe really is. ``ended``: as in `doubted`."""
        if isinstance(error, LinkLostError):
            if not ended or self._bonded is not False:
                return self.doubted(error, ended)
            error = PairingError(f"{self._name}: {LET_IN}")  # on Linux a refusal ends the link, and says no more
        if type(error) is PairingError and not self.has_key and await self._nobody_confirms():
            return NoAgentError(f"{self._name}: {NO_AGENT}")
        return error

    async def _nobody_confirms(self) -> bool:
        if self._backends.radio is not None or sys.platform != "linux":
            return False
        details = getattr(self._device, "details", None)
        path = details.get("path") if isinstance(details, dict) else None
        if not isinstance(path, str):
            return False
        try:
            return await Lifeline().hold(pairable(path.rpartition("/")[0]), ASK_BUS_S) is False
        except Exception:  # whatever keeps BlueZ from saying it, something else is known already
            return False


async def pairable(adapter: str) -> bool | None:
    """Whether BlueZ pairs anybody with this adapter (an object path); ``None``: it does not say."""
    from dbus_fast import BusType, Message
    from dbus_fast.aio import MessageBus

    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        await bus.connect()
        asked = Message(
            "org.bluez", adapter, "org.freedesktop.DBus.Properties", "Get", signature="ss",
            body=["org.bluez.Adapter1", "Pairable"],
        )  # fmt: skip
        answer = await bus.call(asked)
        value = answer.body[0].value if answer is not None and answer.body else None
        return value if isinstance(value, bool) else None
    finally:
        there = bus.connected
        bus.disconnect()
        if there:
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
