"""A tool at the end of a link: bytes in, timed frames out.

Joins the tool, what goes wrong on the way, and the framing of serial lines and TCP. The in-process transport and the
servers both use it; it reads no clock and touches no socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from nexus_simulator.faults import Delay, Drop, Fault, Packet
from nexus_simulator.options import Options
from nexus_simulator.tool import Tool
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame

FLIGHT_NS = 500_000
"""Time on the way, in each direction: a USB serial line's order of magnitude [assumption]."""


class Link:
    """One tool and its line. Times are nanoseconds since the tool was switched on, and never go back."""

    def __init__(self, tool: Tool, faults: Sequence[Fault] = ()) -> None:
        self.tool = tool
        self._faults = tuple(faults)
        self._deframer = Deframer()
        self._air: deque[Packet] = deque()

    @property
    def ended(self) -> str | None:
        """Why the link ended by itself, once everything before the end has arrived."""
        return None if self._air else self.tool.ended

    @property
    def busy(self) -> bool:
        """Something is under way or in the air."""
        return bool(self._air) or self.tool.busy

    def receive(self, on_ns: int, data: bytes) -> None:
        """Bytes from the host, cut anywhere."""
        for message in self._deframer.feed(data):
            self.tool.receive(on_ns + FLIGHT_NS, message[:-CRC_SIZE])

    def poll(self, on_ns: int, room: int | None = None) -> list[tuple[int, bytes]]:
        """Frames that have arrived at the host by now, each with its time of arrival."""
        left = self.tool.advance(on_ns, room)
        if left:
            packets: Sequence[Packet] = [Packet(self.tool.on_ns(d.t_us) + FLIGHT_NS, d.message) for d in left]
            for fault in self._faults:
                packets = fault(packets)
            self._air.extend(packets)
        arrived: list[tuple[int, bytes]] = []
        while self._air and self._air[0].arrival_ns <= on_ns:
            packet = self._air.popleft()
            arrived.append((packet.arrival_ns, frame(packet.message)))
        return arrived

    def due_ns(self) -> int | None:
        """When the next thing happens by itself; None: nothing is under way."""
        due = self.tool.due_ns()
        if not self._air:
            return due
        return self._air[0].arrival_ns if due is None else min(due, self._air[0].arrival_ns)

    def disconnect(self) -> None:
        """The host is gone; what is in the air is lost."""
        self._air.clear()
        self._deframer = Deframer()
        self.tool.disconnect()


def make_link(options: Options) -> Link:
    """A tool with its line, as the options say."""
    faults: list[Fault] = []
    if options.drop:
        faults.append(Drop(options.drop, options.seed))
    if options.delay_ms:
        faults.append(Delay(round(options.delay_ms * 1e6)))
    return Link(Tool(options), faults)
