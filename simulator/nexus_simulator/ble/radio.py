"""The virtual air: who is there and who hears whom.

Bumble's `LocalLink` hands everything over at once, whatever the distance. Here every connection is an `AirLink` with
times of its own, and everything in the air can be lost. Chance is seeded. It knows controllers, and neither hosts nor
tools.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bumble import ll
from bumble.link import LocalLink

from nexus_simulator.ble.air_link import TIMEOUT_UNIT_S, UNIT_S, AirLink

if TYPE_CHECKING:
    from bumble import controller as bumble_controller

    from nexus_simulator.ble.controller import AirConnection, AirController

RSSI_DBM = -58
RSSI_SPREAD_DB = 3.0
"""Standard deviation of what a scanner reads [assumption]."""


@dataclass(slots=True)
class Counts:
    """What went through one air."""

    pdus: int = 0
    """Data and control PDUs that arrived."""
    octets: int = 0
    """Payload in them."""
    repeated: int = 0
    """Exchanges that were lost and had to be repeated."""
    overrun: int = 0
    """PDUs dropped because a host kept sending without leave."""
    timeouts: int = 0
    """Connections that ended because one side heard nothing any more."""


@dataclass
class Advertisement(ll.AdvInd):
    """Bumble's advertising PDU has no scan response; this one brings it along, and how loud it is."""

    scan_response: bytes = b""
    rssi: int = RSSI_DBM


class Air(LocalLink):
    """Everybody who can hear each other. Settings may be changed at any time."""

    def __init__(self, name: str = "", seed: int = 0) -> None:
        self._members: list[AirController] = []
        self.controllers: set[bumble_controller.Controller] = set()
        self.pending_classic_connection = None
        self.name = name
        self.counts = Counts()
        self.interval_ms: float | None = None
        """Connection interval that every central insists on; None: the shortest that it is asked for [assumption]."""
        self.mtu_max = 247
        """Largest ATT_MTU that tools on this air agree to."""
        self.megabit = 1
        """Mbit/s of the PHY, 1 or 2."""
        self.paced = True
        """False: everything arrives (nearly) at once, for tests that are about something else."""
        self.adapters_on = True
        """Bluetooth is switched on at the hosts."""
        self.links: list[AirLink] = []
        self.rng = random.Random(f"air {name} {seed}")
        self._loss = 0.0
        self._away: list[AirController] = []

    @property
    def loss(self) -> float:
        """Share of the exchanges that are lost, 0 to 1; 1 is a wall."""
        return self._loss

    @loss.setter
    def loss(self, share: float) -> None:
        self._loss = min(1.0, max(0.0, share))
        self._stir()

    @property
    def adapters(self) -> list[AirController]:
        """Controllers of hosts."""
        return [c for c in self._present() if c.adapter]

    def adapter_off(self) -> None:
        """Somebody switches Bluetooth off on every host here."""
        self.adapters_on = False
        for adapter in self.adapters:
            adapter.power(False)

    def adapter_on(self) -> None:
        """Undo that."""
        self.adapters_on = True
        for adapter in self.adapters:
            adapter.power(True)

    def leave(self, controller: AirController) -> None:
        """Out of everybody's range."""
        if controller not in self._away:
            self._away.append(controller)
        self._stir()

    def come_back(self, controller: AirController) -> None:
        """In range again."""
        if controller in self._away:
            self._away.remove(controller)
        self._stir()

    def audible(self, controller: object) -> bool:
        """In range."""
        return controller not in self._away

    def add_controller(self, controller: bumble_controller.Controller) -> None:
        """Somebody new. What an event loop that is closed has left behind is forgotten."""
        for old in self._present():
            if old.loop.is_closed():
                self.remove_controller(old)
        self.links = [link for link in self.links if not link.loop.is_closed()]
        self._members.append(cast("AirController", controller))

    def remove_controller(self, controller: bumble_controller.Controller) -> None:
        """Somebody is no longer there; not an error when already gone."""
        self._members = [other for other in self._members if other is not controller]
        self._away = [other for other in self._away if other is not controller]

    # ---- what controllers send ----------------------------------------------------------------------------------
    def send_advertising_pdu(self, sender_controller: Any, packet: ll.AdvertisingPdu) -> None:
        """To everybody who listens."""
        if not self.audible(sender_controller) or (self._loss and self.rng.random() < self._loss):
            return
        loop = asyncio.get_running_loop()
        if isinstance(packet, Advertisement):
            packet.rssi = max(-127, min(20, round(self.rng.gauss(sender_controller.rssi_dbm, RSSI_SPREAD_DB))))
        for controller in self._present():
            if controller is not sender_controller and controller.listens and self.audible(controller):
                loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def connect(self, central: AirConnection, request: ll.ConnectInd) -> None:
        """A central answers an advertisement. It learns later whether it was heard."""
        peripheral = None
        if self.audible(central.controller):
            answers = (c.on_connect_request(request) for c in self._present() if self.audible(c))
            peripheral = next((connection for connection in answers if connection is not None), None)
        link = AirLink(self, central, peripheral, request.interval * UNIT_S, request.timeout * TIMEOUT_UNIT_S)
        self.links.append(link)
        link.wake()

    def chosen_interval(self, shortest: int) -> int:
        """The interval that a central takes when ``shortest`` is the least it may, in units of 1.25 ms."""
        if self.interval_ms is None:
            return max(6, shortest)
        return max(6, round(self.interval_ms * 1e-3 / UNIT_S))

    def send_acl_data(self, *_: Any) -> None:
        """Never used: connections know their links. Base class method."""
        raise NotImplementedError

    def send_ll_control_pdu(self, *_: Any, **__: Any) -> None:
        """Never used: connections know their links. Base class method."""
        raise NotImplementedError

    def _present(self) -> list[AirController]:
        # In the order in which they came: bumble's set of objects has another one in every process.
        return list(self._members)

    def _stir(self) -> None:
        for link in list(self.links):
            link.wake()


_AIRS: dict[str, Air] = {}


def air(name: str) -> Air:
    """The air of that name in this process; made when first asked for."""
    return _AIRS.setdefault(name, Air(name))
