"""What a supervisor tells whoever watches it: a picture at a moment, and a list of watchers that cannot hurt it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nexuslink.device.course import State
from nexuslink.device.next_steps import pairing_step
from nexuslink.device.nexus import Nexus
from nexuslink.device.verdict import Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """How good a link is, as of the latest chunk. NaN and ``None`` where it is not known."""

    loss_fraction: float
    received_messages: int
    lost_messages: int
    overrun_samples: int
    silent_s: float
    """Since anything came, on the link's own clock."""
    round_trip_ms: float
    interval_ms: float
    """Of the radio's connection events; 0 on a cable."""
    max_message: int
    battery_percent: int | None
    rssi_dbm: float | None

    @classmethod
    def of(cls, nexus: Nexus, rssi_dbm: float | None) -> LinkFigures:
        """Of a tool that is connected."""
        link, fit, status = nexus.decoder.link, nexus.clock_fit, nexus.status
        return cls(
            link.loss_fraction, link.received, link.lost, link.overrun_samples,
            max(0.0, (nexus.now_ns - nexus.last_chunk_ns) / 1e9),
            fit.round_trip_ns / 1e6 if fit is not None else math.nan,
            status.interval_us / 1e3 if status is not None else math.nan,
            status.max_message if status is not None else nexus.info.max_message,
            status.battery_percent if status is not None else None,
            rssi_dbm,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a supervisor is."""

    state: State
    verdict: Verdict | None
    """Of the latest attempt; ``None`` before the first has ended."""
    sentence: str
    """For a person: what is so, and the next step where there is one."""
    attempt: int
    """Pauses since all was well."""
    next_try_s: float
    """Length of the pause that has just begun; 0 where none has."""
    url: str
    """Where the tool is, or was tried last."""
    serial_number: str | None
    """Of the tool that is meant, as soon as it is known."""
    simulated: bool
    restarts: int
    """Times that the tool came back with another boot id: its clock and its streams began anew."""
    connections: int
    link: LinkFigures | None
    """While it is ready or streams."""
    number: int | None = None
    """The six digits that a person is to compare, while pairing and where they are known."""


def sentence(state: State, judged: str, who: str, number: int | None) -> str:
    """For a person. ``judged``: of the latest attempt, empty before one has ended; ``number``: as in `Progress`."""
    match state:
        case State.OFF:
            return judged or "Not connected."
        case State.SCANNING:
            return judged or f"Looking for {who}."
        case State.PAIRING:
            return f"{who}: {pairing_step(number).line}"
        case State.CONNECTING | State.HANDSHAKING:
            return f"Connecting to {who}."
        case _:
            return judged


class Watchers(Generic[T]):
    """Callbacks, each called whatever the others do."""

    def __init__(self) -> None:
        self.failures = 0
        """Calls that raised; each is told to the loop's exception handler."""
        self._callbacks: list[Callable[[T], None]] = []

    def add(self, callback: Callable[[T], None]) -> Callable[[], None]:
        """From now on ``callback(value)``; call what is returned to end it."""
        self._callbacks.append(callback)

        def end() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return end

    def tell(self, value: T) -> None:
        """Call everyone."""
        for callback in list(self._callbacks):
            try:
                callback(value)
            except Exception as error:  # a watcher's own affair; the connection goes on
                self.failures += 1
                context = {"message": "a watcher of a tool failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
