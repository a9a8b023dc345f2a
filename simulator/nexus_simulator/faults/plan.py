"""The faults of one link, made from names and values: two chains, gates, events, and their counts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nexus_simulator.faults.chain import NEVER, Chain, Filter, Timed
from nexus_simulator.faults.events import Disconnect, Event, HandshakeCut, Struck
from nexus_simulator.faults.gates import Gates, Hold
from nexus_simulator.faults.table import FAULTS, REQUEST, Level
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame

Values = Mapping[str, Any]
"""Name of a fault -> its parsed value."""


class _Flight:
    """The time on the way of a link without faults."""

    delays: ClassVar[bool] = False
    struck = 0

    def __init__(self, flight_ns: int) -> None:
        self._flight_ns = flight_ns

    def __call__(self, item: Timed) -> Sequence[Timed]:
        return (Timed(item.t_ns + self._flight_ns, item.data),)


class _Frame:
    """Messages to bytes, between the two levels."""

    delays: ClassVar[bool] = False
    struck = 0

    def __call__(self, item: Timed) -> Sequence[Timed]:
        return (Timed(item.t_ns, frame(item.data)),)


class _Deframe:
    """Bytes to messages; what is damaged ends here, as it would in the receiver behind the link."""

    delays: ClassVar[bool] = False
    struck = 0

    def __init__(self) -> None:
        self.deframer = Deframer()
        self.bad = 0

    def restart(self) -> None:
        """A new connection: nothing is half received."""
        self.bad += self.deframer.counts.bad
        self.deframer = Deframer()

    def __call__(self, item: Timed) -> Sequence[Timed]:
        return [Timed(item.t_ns, message[:-CRC_SIZE]) for message in self.deframer.feed(item.data)]


class Faults:
    """Everything that goes wrong on one link. Both chains take and give what stands in their names."""

    def __init__(self, values: Values, seed: int, flight_ns: int = 0) -> None:
        made: dict[str, Any] = {}
        for name in FAULTS:  # the table's order, not that in which the user wrote them
            if name in values:
                made[name] = FAULTS[name].make(values[name], random.Random(f"{name} {seed}"))
        self._made = made
        self._deframe = _Deframe()
        there: dict[str, Any] = {}
        back: dict[str, Any] = {}
        for name, one in made.items():
            (there if name.startswith(REQUEST) else back)[name] = one

        def of(direction: Mapping[str, Any], level: Level) -> list[Any]:
            return [one for name, one in direction.items() if FAULTS[name].level is level]

        def holds(direction: Mapping[str, Any]) -> list[Filter]:
            return [Hold(gate) for gate in of(direction, Level.GATE)]

        flight = _Flight(flight_ns)
        self.gates = Gates(of(back, Level.GATE))
        self.messages_to_bytes = Chain(
            [*holds(back), flight, *of(back, Level.MESSAGES), _Frame(), *of(back, Level.OCTETS)]
        )
        """To the host: messages of the tool go in, bytes come out."""
        self.bytes_to_messages = Chain(
            [*holds(there), flight, *of(there, Level.OCTETS), self._deframe, *of(there, Level.MESSAGES)]
        )
        """To the tool: bytes of the host go in, messages come out."""
        self._events: list[Event] = of(back, Level.TOOL)
        self._disconnect: Disconnect | None = made.get("disconnect")
        self._handshake: HandshakeCut | None = made.get("handshake")
        self.next_event_ns = self._soonest()
        """When something happens to the tool or the link."""
        self.splits = "split" in made
        """Bytes that arrive at different times must not be handed over together."""

    def __bool__(self) -> bool:
        return bool(self._made)

    def counts(self) -> dict[str, int]:
        """How often each fault has struck; what did not fit on the way is ``overflow``."""
        counts = {name: int(one.struck) for name, one in self._made.items()}
        overflow = self.messages_to_bytes.overflow + self.bytes_to_messages.overflow
        return counts | ({"overflow": overflow} if overflow else {})

    @property
    def bad_requests(self) -> int:
        """Frames on the way to the tool that could not be read."""
        return self._deframe.bad + self._deframe.deframer.counts.bad

    # ---- tool and link ------------------------------------------------------------------------------------------
    def _soonest(self) -> int:
        due = [event.due_ns for event in (*self._events, self._disconnect) if event is not None]
        return min((t for t in due if t is not None), default=NEVER)

    def strike(self, until_ns: int, tool: Struck) -> None:
        """Let happen to the tool what is due."""
        if self.next_event_ns > until_ns:
            return
        for event in self._events:
            if event.due_ns is not None and event.due_ns <= until_ns:
                event.strike(tool)
        self.next_event_ns = self._soonest()

    def cut_at(self, until_ns: int, connected: bool = True) -> str | None:
        """Why the link has ended by then; None: it has not."""
        if self.next_event_ns > until_ns or self._disconnect is None:
            return None
        cut = self._disconnect.now(until_ns, connected)
        self.next_event_ns = self._soonest()
        return "the link was cut (fault: disconnect)" if cut else None

    def cut_by(self, message: bytes) -> str | None:
        """Why the link ends with this message, on its way to the host; None: it does not."""
        if self._handshake is not None and self._handshake.now(message):
            return "the link was cut in mid handshake (fault: handshake)"
        return None

    def disconnected(self) -> None:
        """The connection has ended: everything on the way is lost, the next one begins with nothing."""
        self.messages_to_bytes.clear()
        self.bytes_to_messages.clear()
        self._deframe.restart()
        if self._handshake is not None:
            self._handshake.connected()
