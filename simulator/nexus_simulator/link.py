"""A tool at the end of a link: bytes in, timed bytes out.

Joins the tool, what goes wrong on the way, and the framing of serial lines and TCP. The in-process transport and the
servers both use it; it reads no clock and touches no socket. A link without faults is a short way of its own, because
it is the usual one; with faults time goes in steps, from one moment at which something changes to the next.
"""

from __future__ import annotations

from collections import deque

from nexus_simulator.faults.chain import NEVER, Timed
from nexus_simulator.faults.plan import Faults
from nexus_simulator.tool import Tool
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import MessageType

FLIGHT_NS = 500_000
"""Time on the way, in each direction: a USB serial line's order of magnitude [assumption]."""
AFTERMATH_NS = 3_000_000_000
"""So long after the last traffic a link with faults counts as busy: the silence may be the fault, and a virtual clock
must run on through it, because the host's time-outs are what is to be seen."""


class Link:
    """One tool and its line. Times are nanoseconds since the tool was switched on, and never go back."""

    def __init__(self, tool: Tool, faults: Faults | None = None) -> None:
        self.tool = tool
        self._faults = faults or Faults({}, 0)
        self._deframer = Deframer()
        self._air: deque[Timed] = deque()
        self._at_ns = 0
        self._traffic_ns = -AFTERMATH_NS
        self._connected_ns: int | None = None
        """When this connection's first bytes came: nobody can be cut off before."""
        self._cut: str | None = None
        self._bad_told = 0
        """Damaged requests that the tool has been told of."""

    @property
    def ended(self) -> str | None:
        """Why the link ended by itself, once everything before the end has arrived."""
        if self._cut is not None:
            return self._cut
        return None if self._due_on_the_way() < NEVER else self.tool.ended

    @property
    def switched_off(self) -> bool:
        """The tool will not come back."""
        return self.tool.switched_off

    @property
    def busy(self) -> bool:
        """Something is under way, in the air, or was just now."""
        if self._faults and self._at_ns - self._traffic_ns < AFTERMATH_NS:
            return True
        return self._due_on_the_way() < NEVER or self.tool.busy

    @property
    def splits(self) -> bool:
        """What arrives at different times must stay apart."""
        return self._faults.splits

    def fault_counts(self) -> dict[str, int]:
        """How often each fault has struck."""
        return self._faults.counts()

    def receive(self, on_ns: int, data: bytes) -> None:
        """Bytes from the host, cut anywhere."""
        if self._faults:
            self._traffic_ns = on_ns
            if self._connected_ns is None:
                self._connected_ns = on_ns
            self._faults.bytes_to_messages.push(Timed(on_ns, data))
            return
        bad = self._deframer.counts.bad
        for message in self._deframer.feed(data):
            self.tool.receive(on_ns + FLIGHT_NS, message[:-CRC_SIZE])
        self.tool.firmware.health.bad_frames += self._deframer.counts.bad - bad

    def poll(self, on_ns: int, room: int | None = None) -> list[tuple[int, bytes]]:
        """What has arrived at the host by now, each piece with its time of arrival; ``room``: stream messages."""
        if self._faults:
            return self._poll_faulty(on_ns, room)
        for left in self.tool.advance(on_ns, room):
            self._air.append(Timed(self.tool.on_ns(left.t_us) + FLIGHT_NS, frame(left.message)))
        arrived: list[tuple[int, bytes]] = []
        while self._air and self._air[0].t_ns <= on_ns:
            arrived.append(self._air.popleft())
        return arrived

    def due_ns(self) -> int | None:
        """When the next thing happens by itself; None: nothing is under way."""
        tool = self.tool.due_ns()
        due = min(NEVER if tool is None else tool, self._due_on_the_way(), self._faults.next_event_ns)
        return due if due < NEVER else None

    def disconnect(self) -> None:
        """The host is gone; what is in the air is lost."""
        self._air.clear()
        self._deframer = Deframer()
        self._faults.disconnected()
        self._cut = self._connected_ns = None
        self.tool.disconnect()

    def _due_on_the_way(self) -> int:
        faults = self._faults
        first = self._air[0].t_ns if self._air else NEVER
        return min(first, faults.messages_to_bytes.due_ns, faults.bytes_to_messages.due_ns)

    # ---- with faults --------------------------------------------------------------------------------------------
    def _poll_faulty(self, on_ns: int, room: int | None) -> list[tuple[int, bytes]]:
        """Step by step, so that what happens does not depend on how often somebody looks."""
        faults, arrived = self._faults, list[tuple[int, bytes]]()
        while True:
            limit, until = faults.gates.state(self._at_ns)
            until = min(on_ns, max(self._at_ns, min(until, faults.next_event_ns, faults.bytes_to_messages.due_ns)))
            if room is not None:
                limit = room if limit is None else min(room, limit)
            sent = self._advance(until, limit)
            room = None if room is None else max(0, room - sent)
            self._at_ns = until
            for t_ns, message in faults.bytes_to_messages.take(until):
                if self._cut is None:
                    self.tool.receive(t_ns, message)
            self.tool.firmware.health.bad_frames += faults.bad_requests - self._bad_told
            self._bad_told = faults.bad_requests
            faults.strike(until, self.tool)
            if self._cut is None:
                arrived += faults.messages_to_bytes.take(until)
                self._end(faults.cut_at(until, self._connected_ns is not None and self._connected_ns <= until))
            if until >= on_ns:
                break
        if arrived:
            self._traffic_ns = arrived[-1][0]
        return arrived

    def _advance(self, on_ns: int, room: int | None) -> int:
        """Let the tool go on; returns how many stream messages have left it."""
        streamed = 0
        for left in self.tool.advance(on_ns, room):
            streamed += left.message[0] != MessageType.RESPONSE
            t_ns = max(self.tool.on_ns(left.t_us), self._at_ns)
            if self._cut is None:
                self._end(self._faults.cut_by(left.message))
            if self._cut is None:
                self._faults.messages_to_bytes.push(Timed(t_ns, left.message))
        return streamed

    def _end(self, reason: str | None) -> None:
        """The link ends, if there is a reason; the tool stays. Nothing under way arrives any more."""
        if reason is not None:
            self._cut = reason
            self.tool.disconnect()


def joined(arrived: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """What arrives at the same moment as one piece."""
    pieces: list[tuple[int, bytes]] = []
    for arrival_ns, data in arrived:
        if pieces and pieces[-1][0] == arrival_ns:
            pieces[-1] = (arrival_ns, pieces[-1][1] + data)
        else:
            pieces.append((arrival_ns, data))
    return pieces
