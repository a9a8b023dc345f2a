"""One connection on the virtual air: when what is sent arrives.

It has its connection events, its air time and its supervision time-out. Time is the event loop's and nothing else;
every queue is bounded, and what it drops is counted. It knows two controllers, and neither hosts nor tools.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bumble import hci, ll

if TYPE_CHECKING:
    from nexus_simulator.ble.controller import AirConnection
    from nexus_simulator.ble.radio import Air

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


@dataclass(frozen=True, slots=True)
class DataPdu:
    """A fragment of an L2CAP frame, as it goes through the air."""

    begins: bool
    data: bytes


Item: TypeAlias = "DataPdu | ll.ControlPdu"


def _octets(item: Item | None) -> int:
    if item is None:
        return 0
    return MIC_BYTES + (len(item.data) if isinstance(item, DataPdu) else CONTROL_BYTES)


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
