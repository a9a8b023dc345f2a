"""The virtual air: who hears whom, and when what is sent arrives.

Bumble's `LocalLink` hands everything over at once, whatever the distance. Here every connection has its connection
events, its air time and its supervision time-out, and everything in the air can be lost. Time is the event loop's and
nothing else; chance is seeded; every queue is bounded and counted. It knows controllers, and neither hosts nor tools.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from bumble import hci, ll
from bumble.link import LocalLink

if TYPE_CHECKING:
    from bumble import controller as bumble_controller

    from nexus_simulator.ble.controller import AirConnection, AirController

UNIT_S = 1.25e-3
"""Connection intervals are multiples of this, seconds."""
TIMEOUT_UNIT_S = 10e-3
INTERVALS_TO_ESTABLISH = 6
"""A connection that nobody answers fails after so many intervals (Core specification, vol. 6, part B, 4.5)."""
GAP_S = 150e-6
"""Silence between two packets."""
OVERHEAD_BYTES = {1: 10, 2: 11}
"""Preamble, access address, header and CRC, at 1 and 2 Mbit/s."""
MIC_BYTES = 4
CONTROL_BYTES = 23
"""Payload of a control PDU; the longest usual one."""
AT_ONCE = 16
"""Exchanges without pacing until the clock goes on: two peers that answer each other for ever must not stop it."""
UNPACED_S = 50e-6
"""So far it goes on then; a real loop sleeps a whole millisecond."""
QUEUE_MAX = 64
"""PDUs that one side of a connection keeps for the air."""
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


@dataclass(frozen=True, slots=True)
class DataPdu:
    """A fragment of an L2CAP frame, as it goes through the air."""

    begins: bool
    data: bytes


@dataclass
class Advertisement(ll.AdvInd):
    """Bumble's advertising PDU has no scan response; this one brings it along, and how loud it is."""

    scan_response: bytes = b""
    rssi: int = RSSI_DBM


Item: TypeAlias = "DataPdu | ll.ControlPdu"


def _octets(item: Item | None) -> int:
    if item is None:
        return 0
    return MIC_BYTES + (len(item.data) if isinstance(item, DataPdu) else CONTROL_BYTES)


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


class AirLink:
    """One connection: two queues, connection events, and the supervision time-out."""

    def __init__(
        self, air: Air, central: AirConnection, peripheral: AirConnection | None, interval_s: float, timeout_s: float
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._air = air
        self._ends: list[AirConnection | None] = [central, peripheral]
        self._queues: tuple[deque[Item], deque[Item]] = (deque(), deque())
        self._interval_s, self._timeout_s = interval_s, timeout_s
        self._anchor_s = self._heard_s = self.loop.time()
        self._established = False
        self._deaf = peripheral is None
        """One side is not there any more, and did not say so."""
        self._timer: asyncio.Handle | None = None
        self._closes_s = 0.0
        self._at_once = 0
        for end in (central, peripheral):
            if end is not None:
                end.air_link = self

    # ---- what controllers ask -----------------------------------------------------------------------------------
    def carry(self, sender: AirConnection, item: Item) -> bool:
        """Queue a PDU; False: dropped, and counted."""
        side = self._side(sender)
        if side is None:
            return False
        if len(self._queues[side]) >= QUEUE_MAX:
            self._air.counts.overrun += 1
            return False
        self._queues[side].append(item)
        self.wake()
        return True

    def left(self, connection: AirConnection) -> None:
        """This side has ended the connection; what it has queued still goes out."""
        side = self._side(connection)
        if side is not None:
            self._ends[side] = None
        if self._ends == [None, None]:
            self._finish()

    def vanish(self, connection: AirConnection) -> None:
        """This side is gone without a word: the other one finds out by its supervision time-out."""
        side = self._side(connection)
        if side is not None:
            self._ends[side] = None
        self._deaf = True
        if self._ends == [None, None]:
            self._finish()
        else:
            self.wake()

    def wake(self) -> None:
        """See to it that there is a next connection event, if one is needed."""
        if self._timer is not None or self._ends == [None, None]:
            return
        if self._established and not self._due():
            return
        now = self.loop.time()
        if self._established:
            self._heard_s = now  # it was quiet, and well, up to now: empty packets are not simulated
        self._schedule(now)

    # ---- connection events --------------------------------------------------------------------------------------
    def _due(self) -> bool:
        return bool(self._queues[0] or self._queues[1] or self._disturbed())

    def _disturbed(self) -> bool:
        return self._air.loss > 0.0 or not self._in_touch()

    def _in_touch(self) -> bool:
        if self._deaf or self._air.loss >= 1.0:
            return False
        return all(end is None or self._air.audible(end.controller) for end in self._ends)

    def _schedule(self, now: float) -> None:
        if not self._air.paced and self._in_touch():
            self._timer = self.loop.call_at(now, self._event, now)
            return
        passed = math.floor((now - self._anchor_s) / self._interval_s + 1e-9) + 1
        at = self._anchor_s + passed * self._interval_s
        self._timer = self.loop.call_at(at, self._event, at)

    def _event(self, at: float) -> None:
        self._timer = None
        limit = self._timeout_s if self._established else INTERVALS_TO_ESTABLISH * self._interval_s
        if at - self._heard_s >= limit:
            self._time_out()
            return
        # Connections of one radio share its time.
        busy = sum(link.shares_radio_with(self) for link in self._air.links)
        self._closes_s = at + self._interval_s / max(1, busy)
        self._exchange(at)

    def shares_radio_with(self, other: AirLink) -> bool:
        """A radio is part of both."""
        mine = [end.controller for end in self._ends if end is not None]
        return any(end is not None and end.controller in mine for end in other._ends)

    def _exchange(self, at: float) -> None:
        """One packet each way, full or empty."""
        down, up = (queue[0] if queue else None for queue in self._queues)
        heard = self._in_touch() and not (self._air.loss and self._air.rng.random() < self._air.loss)
        full = heard, down is not None, up is not None
        if self._air.paced:
            bytes_ = 2 * OVERHEAD_BYTES[self._air.megabit] + _octets(down) + _octets(up)
            done = at + bytes_ * 8e-6 / self._air.megabit + 2 * GAP_S
            self._timer = self.loop.call_at(done, self._exchanged, done, *full)
            return
        self._at_once = (self._at_once + 1) % AT_ONCE
        if self._at_once:
            self._timer = self.loop.call_soon(self._exchanged, at, *full)
        else:
            self._timer = self.loop.call_at(at + UNPACED_S, self._exchanged, at + UNPACED_S, *full)

    def _exchanged(self, at: float, heard: bool, down: bool, up: bool) -> None:
        self._timer = None
        if not heard:
            self._air.counts.repeated += self._in_touch()
            self._schedule(max(at, self._anchor_s))  # a packet that was not understood closes the event
            return
        self._heard_s, self._established = at, True
        for side, sent in enumerate((down, up)):
            if sent and self._queues[side]:
                self._arrive(side, self._queues[side].popleft())
        if self._ends == [None, None] or self._timer is not None:
            return
        if self._queues[0] or self._queues[1]:
            longest = 2 * GAP_S + (2 * OVERHEAD_BYTES[1] + 255) * 8e-6 / self._air.megabit
            if not self._air.paced or at + longest <= self._closes_s:
                self._exchange(at)
            else:
                self._schedule(at)
        elif self._disturbed():
            self._schedule(at)

    def _arrive(self, side: int, item: Item) -> None:
        sender, receiver = self._ends[side], self._ends[1 - side]
        self._air.counts.pdus += 1
        self._air.counts.octets += _octets(item)
        if isinstance(item, DataPdu):
            if sender is not None:
                sender.controller.on_air_sent(sender)
            if receiver is not None:
                receiver.controller.on_air_data(receiver, item.begins, item.data)
            return
        if isinstance(item, ll.ConnectionUpdateInd):
            self._anchor_s = self.loop.time()
            self._interval_s, self._timeout_s = item.interval * UNIT_S, item.timeout * TIMEOUT_UNIT_S
            if sender is not None:
                sender.controller.on_updated(sender, item)
        if receiver is not None:
            receiver.controller.on_ll_control_pdu(receiver.peer_address, item)

    def _time_out(self) -> None:
        reason = (
            hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
            if self._established
            else hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
        )
        self._air.counts.timeouts += 1
        ends = [end for end in self._ends if end is not None]
        self._finish()
        for end in ends:
            end.controller.on_le_disconnected(end, reason)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ends = [None, None]
        for queue in self._queues:
            queue.clear()
        if self in self._air.links:
            self._air.links.remove(self)

    def _side(self, connection: AirConnection) -> int | None:
        return next((side for side, end in enumerate(self._ends) if end is connection), None)


_AIRS: dict[str, Air] = {}


def air(name: str) -> Air:
    """The air of that name in this process; made when first asked for."""
    return _AIRS.setdefault(name, Air(name))
