"""What a seed stands for, and what is told of it afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import gcd
from random import Random
from typing import Final, TypeVar

BACK_S: Final = 5.0
"""From the end of the cause until samples come again."""
GUARD_S: Final = 60.0
"""Against hanging: far more than any call may take."""
FRESH: Final = 20
"""Messages more, on a link that outlived the cause: none of them was on its way before."""
Cause = TypeVar("Cause")


class Phase(StrEnum):
    """How far a connection has come when it happens."""

    SCAN = "scan"
    CONNECT = "connect"
    HANDSHAKE = "handshake"
    STREAM = "stream"
    DISCONNECT = "disconnect"


def drawn(seed: int, level: str, causes: Sequence[Cause]) -> tuple[Cause, Phase, Random]:
    """Every pair of cause and phase comes up in turn, so that none is left to chance; everything else is drawn."""
    phases = list(Phase)
    assert gcd(len(causes), len(phases)) == 1, "some pairs would never come up"
    return causes[seed % len(causes)], phases[seed % len(phases)], Random(f"{level} {seed}")


@dataclass
class Told:
    """One moment."""

    level: str
    seed: int
    cause: str
    phase: Phase
    """In which it really happened: a phase may be over before the drawn moment."""
    back_s: float = 0.0
    """How long it took to stream again, after the end of the cause."""
    problems: list[str] = field(default_factory=list)
    """What should not be, one line each; leftovers among them."""

    def judge(self) -> Told:
        """Add what the time says."""
        if self.back_s > BACK_S:
            self.problems.append(f"back only after {self.back_s:.1f} s")
        return self

    def __str__(self) -> str:
        words = "; ".join(self.problems) or "ok"
        return f"{self.level} {self.seed}: {self.cause} in {self.phase}, back after {self.back_s:.2f} s: {words}"


def wrong(told: Iterable[Told]) -> list[str]:
    """For an assertion: everything that should not be."""
    return [str(one) for one in told if one.problems]
