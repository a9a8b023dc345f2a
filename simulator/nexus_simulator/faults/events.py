"""What happens at one moment: to the tool, as a plan says; to the link, which ends, by plan or in mid handshake."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from nexus_simulator.faults.values import Planned
from nexuslink.protocol.messages import MessageType

ATT_HEADER = 3
"""Bytes of an ATT MTU that are not the message's."""
HANDSHAKE_RESPONSES = 8
"""A connection that is cut in mid handshake loses one of its first so many responses, and with it the link."""


class Struck(Protocol):
    """The tool, as far as a fault can reach it."""

    max_message: int
    """Longest message that the link takes, bytes."""

    def restart(self) -> None:
        """A warm restart."""

    def jump_clock(self, us: int) -> None:
        """The clock leaps."""


Act = Callable[[Struck, int], None]


def restart(tool: Struck, _: int) -> None:
    """The tool begins anew, as after a watchdog's bite. A wire stays open: the host must see it by itself."""
    tool.restart()


def resize(tool: Struck, mtu: int) -> None:
    """The link's ATT MTU is another."""
    tool.max_message = mtu - ATT_HEADER


def jump(tool: Struck, ns: int) -> None:
    """The clock leaps."""
    tool.jump_clock(round(ns / 1000))


class Event:
    """Something that happens to the tool whenever its plan says."""

    def __init__(self, act: Act, plan: Planned, rng: random.Random) -> None:
        self._act = act
        self._plan = plan
        self._rng = rng
        self.due_ns = plan.when.after(0, rng) if plan.when else 0
        """The next time; None: never again."""
        self.struck = 0

    def strike(self, tool: Struck) -> None:
        """It happens now."""
        self._act(tool, self._plan.value.pick(self._rng) if self._plan.value else 0)
        self.struck += 1
        when, due = self._plan.when, self.due_ns
        self.due_ns = None if when is None or due is None else when.after(due, self._rng)


class Disconnect:
    """The link ends whenever the plan says. While nobody is connected nothing happens, and nothing is counted."""

    def __init__(self, plan: Planned, rng: random.Random) -> None:
        assert plan.when is not None
        self._when = plan.when
        self._rng = rng
        self.due_ns = plan.when.after(0, rng)
        """The next time; None: never again."""
        self.struck = 0

    def now(self, t_ns: int, connected: bool) -> bool:
        """Has the link ended by now?"""
        due = False
        while self.due_ns is not None and self.due_ns <= t_ns:
            due = connected
            self.due_ns = self._when.after(self.due_ns, self._rng)
        self.struck += due
        return due


class HandshakeCut:
    """Ends some connections at one of their first responses. It looks at the first byte of a message, no further."""

    def __init__(self, probability: float, rng: random.Random) -> None:
        self._probability = probability
        self._rng = rng
        self._left = 0
        self.struck = 0
        self.connected()

    def connected(self) -> None:
        """Another connection begins: draw its fate."""
        fate, at = self._rng.random(), self._rng.randint(1, HANDSHAKE_RESPONSES)
        self._left = at if fate < self._probability else 0

    def now(self, message: bytes) -> bool:
        """Is it with this message, on its way to the host, that the connection ends?"""
        if not self._left or message[0] != MessageType.RESPONSE:
            return False
        self._left -= 1
        self.struck += not self._left
        return not self._left
