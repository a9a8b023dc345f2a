"""What BLE tests have at the other end, and how they run: in this process, or in the guest of ``./run bluez``.

In process everything is on one loop and in virtual time. In the guest the host's Bluetooth is BlueZ, the tools are
outside, and time is real: a bound on it is there only a guard against hanging.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from _pytest.mark import ParameterSet

T = TypeVar("T")
BLUEZ = bool(os.environ.get("NEXUS_BLUEZ"))
if BLUEZ:
    from remote import (
        OPEN,
        Impostor,
        Level,
        Method,
        Person,
        RawTool,
        RemoteAir,
        Security,
        Shouter,
        SimTool,
        alone,
        new_air,
        radio_of,
    )  # fmt: skip

    Air = RemoteAir
else:
    import contextlib
    from collections.abc import AsyncIterator

    from ble_peer import OPEN, Impostor, RawTool, SimTool, new_air
    from ble_shouter import Shouter
    from moments.alone import alone
    from nexus_simulator.ble.adapter import Address, Agent, acquire, release
    from nexus_simulator.ble.pairing import Level, Method, Security
    from nexus_simulator.ble.radio import Air

    def radio_of(where: Air, settings: str = "") -> str | None:
        """The computer's radio, as ``?radio=`` has it; ``None``: the system's own."""
        return f"bumble:air:{settings}{where.name}"

    class Person:
        """At the computer: what is said, or typed, when it asks."""

        def __init__(self, agent: Agent) -> None:
            self._agent = agent

        @classmethod
        @contextlib.asynccontextmanager
        async def at(cls, where: Air, confirms: bool = True, passkey: int | None = None) -> AsyncIterator[Person]:
            """While inside, this is what the person does."""
            adapter = acquire(Address.parse(f"air:{where.name}"))
            adapter.agent.compare = lambda _: confirms
            adapter.agent.passkey = passkey
            try:
                yield cls(adapter.agent)
            finally:
                await release(adapter)

        @property
        def compared(self) -> int | None:
            """The six digits that the computer showed last."""
            return self._agent.seen


GUARD_S = 60.0


def bound(seconds: float) -> float:
    """A bound on time, where that can be judged."""
    return GUARD_S if BLUEZ else seconds


def in_process(*values: Any) -> list[ParameterSet]:
    """Parameters that the guest, where each takes seconds, does without: what they tell apart is this program's."""
    return [pytest.param(value, marks=pytest.mark.in_process) for value in values]


def on_the_air(story: Coroutine[Any, Any, T]) -> T:
    """One story, on a loop of its own; nothing of it may be left."""
    result, left = alone(story)
    assert not left
    return result


def url_of(where: Air, target: str, **params: str) -> str:
    """Address of a tool on that air."""
    radio = radio_of(where)
    given = ({"radio": radio} if radio else {}) | params
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return f"ble:{target}" + (f"?{query}" if query else "")


__all__ = [
    "BLUEZ", "OPEN", "Air", "Impostor", "Level", "Method", "Person", "RawTool", "Security", "Shouter", "SimTool",
    "alone", "bound", "in_process", "new_air", "on_the_air", "radio_of", "url_of",
]  # fmt: skip
