"""Every fault by the name that users write: what it may be set to, what it does, where it strikes, who makes it.

One table serves the ``sim:`` address, the command line, the proxy and tests. ``request_NAME`` is the same fault on the
way to the tool, for those that have a direction. The order of the rows is the order on the way to the host.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from nexus_simulator.faults.events import Disconnect, Event, HandshakeCut, jump, resize, restart
from nexus_simulator.faults.gates import Interval, Stall
from nexus_simulator.faults.messages import Delay, Drop, Duplicate, Reorder
from nexus_simulator.faults.octets import Coalesce, Corrupt, Split
from nexus_simulator.faults.values import UNITS_NS, count, planned, probability, span

REQUEST = "request_"
"""Before a name: on the way to the tool."""
_MS, _S = UNITS_NS["ms"], UNITS_NS["s"]
LONGEST_DELAY_NS = 10 * _S


class Level(Enum):
    """Where a fault strikes."""

    GATE = auto()
    MESSAGES = auto()
    OCTETS = auto()
    TOOL = auto()
    LINK = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """One row."""

    level: Level
    parse: Callable[[str], Any]
    allowed: str
    doc: str
    make: Callable[[Any, random.Random], Any]
    both_ways: bool = False
    """There is a ``request_`` form too."""


_PROBABILITY = "0 to 1"
_WHEN = "@TIME once, /PERIOD again and again, or ~PERIOD at random"


def _event(act: Callable[..., None]) -> Callable[[Any, random.Random], Event]:
    return lambda plan, rng: Event(act, plan, rng)


_TO_HOST: Mapping[str, Fault] = {
    "stall": Fault(
        Level.GATE, planned(span(_MS, 60 * _S)), f"1ms to 60s, or A..B, then {_WHEN}: 2s@10s, 0.5s..2s~30s",
        "the link stands still", Stall, both_ways=True,
    ),
    "interval": Fault(
        Level.GATE, planned(span(_MS, 4 * _S), always=True), f"1ms to 4s, or A..B; with {_WHEN} it is drawn anew",
        "the link carries a few messages at each connection event only", Interval,
    ),
    "drop": Fault(
        Level.MESSAGES, probability, _PROBABILITY, "share of messages that the link loses", Drop, both_ways=True
    ),
    "duplicate": Fault(
        Level.MESSAGES, probability, _PROBABILITY, "share of messages that come twice", Duplicate, both_ways=True
    ),
    "reorder": Fault(
        Level.MESSAGES, probability, _PROBABILITY, "share of messages that later ones overtake", Reorder, both_ways=True
    ),
    "delay": Fault(
        Level.MESSAGES, span(0, LONGEST_DELAY_NS), "0 to 10s, or A..B (a plain number is ms)",
        "extra delay of the link", Delay, both_ways=True,
    ),
    "corrupt": Fault(
        Level.OCTETS, probability, _PROBABILITY, "share of bytes that are damaged", Corrupt, both_ways=True
    ),
    "coalesce": Fault(
        Level.OCTETS, span(_MS, 10 * _S), "1ms to 10s, or A..B", "bytes arrive together once in this time", Coalesce,
        both_ways=True,
    ),
    "split": Fault(
        Level.OCTETS, count(1, 4096), "1 to 4096, or A..B", "bytes arrive in pieces of this length", Split,
        both_ways=True,
    ),
    "mtu": Fault(
        Level.TOOL, planned(count(23, 247), always=True), f"23 to 247, or A..B; with {_WHEN} it is drawn anew",
        "the link's ATT MTU, bytes", _event(resize),
    ),
    "jump": Fault(
        Level.TOOL, planned(span(-3600 * _S, 3600 * _S)), f"-1h to 1h, or A..B, then {_WHEN}: -1s..1s~60s",
        "the tool's clock leaps", _event(jump),
    ),
    "reset": Fault(Level.TOOL, planned(None), _WHEN, "the tool restarts, warm", _event(restart)),
    "disconnect": Fault(Level.LINK, planned(None), _WHEN, "the link ends", Disconnect),
    "handshake": Fault(
        Level.LINK, probability, _PROBABILITY, "share of connections that are cut in mid handshake", HandshakeCut
    ),
}  # fmt: skip

FAULTS: Mapping[str, Fault] = {
    **_TO_HOST,
    **{REQUEST + name: fault for name, fault in _TO_HOST.items() if fault.both_ways},
}
"""Every fault by its name."""


def parse_fault(name: str, text: str) -> Any:
    """The value of the fault ``name``; ValueError names the parameter, the value and what is allowed."""
    try:
        return FAULTS[name].parse(text)
    except ValueError:
        raise ValueError(f"{name}={text}: not possible; allowed: {FAULTS[name].allowed}") from None
