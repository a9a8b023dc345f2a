"""What can go wrong between the tool's radio and the host, as small filters that compose.

A filter takes the packets that leave in one step and returns those that arrive, with their new times. Each has its
own random stream from the tool's seed, so adding one filter does not change what another does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Packet:
    """One message on its way to the host."""

    arrival_ns: int
    message: bytes


class Fault(Protocol):
    """One thing that goes wrong."""

    def __call__(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """What becomes of the packets, in the order in which they arrive."""


class Drop:
    """Loses whole messages, each with the same probability; counts them."""

    def __init__(self, probability: float, seed: int) -> None:
        self._probability = probability
        self._random = random.Random(f"drop {seed}")
        self.dropped = 0

    def __call__(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """The packets that are left."""
        kept = [packet for packet in packets if self._random.random() >= self._probability]
        self.dropped += len(packets) - len(kept)
        return kept


class Delay:
    """Holds every message back by the same time."""

    def __init__(self, delay_ns: int) -> None:
        self._delay_ns = delay_ns

    def __call__(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """The packets, later."""
        return [replace(packet, arrival_ns=packet.arrival_ns + self._delay_ns) for packet in packets]
