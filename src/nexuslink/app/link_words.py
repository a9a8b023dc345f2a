"""Words about the connection: how far it is, what to do while it is away, and how good it is. No Qt, no numpy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nexuslink.app.words import number, percent
from nexuslink.device.course import UP, State
from nexuslink.device.progress import LinkFigures, Progress
from nexuslink.device.verdict import Verdict

POOR_LOSS: Final = 0.01
"""Share of messages lost during the last seconds from which on a link is called weak [assumption]."""
POOR_REPORTS: Final = 5
"""Those seconds: the connection reports once a second."""
POOR_DBM: Final = -88.0
"""A radio that heard the tool no better than this before it connected will not hear it well [assumption]."""

LOST: Final = "Tool lost. Reconnecting."
_UNSURE: Final = "roll off if unsure"
_STEPS: Final[Mapping[str, str]] = {
    "serial": "Plug its cable in again",
    "ble": "Bring it nearer",
    "tcp": "Check the network",
}
"""What helps a tool that is away, by how it was reached; a few words."""
_CAUSES: Final[Mapping[Verdict, str]] = {
    Verdict.RADIO_OFF: "Switch Bluetooth on",
    Verdict.NO_RADIO: "Switch Bluetooth off and on",
    Verdict.IN_USE: "Another program has taken it",
    Verdict.SILENT: "Switch it off and on",
    Verdict.NO_ANSWER: "Switch it off and on",
    Verdict.OTHER_TOOL: "Another tool is in its place",
    Verdict.IMPOSTOR: "Another tool claims to be it",
    Verdict.RADIO_BUSY: "Bluetooth is still busy",
    Verdict.KEY_LOST: "It has to be paired again",
    Verdict.KEY_DOUBTED: "It may need pairing again",
    Verdict.NO_AGENT: "It has to be paired again",
    Verdict.NOT_PAIRED: "It has to be paired again",
    Verdict.RADIO_DENIED: "Allow this program Bluetooth",
}
"""The same where the cause is known."""
_CARRIERS: Final[Mapping[str, str]] = {"serial": "USB", "ble": "Bluetooth", "tcp": "network", "sim": "simulated"}


def carrier(url: str) -> str:
    """How a tool is reached, one word."""
    return _CARRIERS.get(url.partition(":")[0].lower(), "")


def is_away(progress: Progress) -> bool:
    """The tool was there, is not there now, and is being brought back."""
    return progress.connections > 0 and progress.state is not State.OFF and progress.state not in UP


def away(progress: Progress) -> str:
    """That it is away, and what to do about it."""
    return f"The tool is away. {_step(progress)}."


def _step(progress: Progress) -> str:
    cause = _CAUSES.get(progress.verdict) if progress.verdict is not None else None
    return cause or _STEPS.get(progress.url.partition(":")[0].lower(), "Bring it near, or plug it in")


def lost(progress: Progress) -> tuple[str, str]:
    """Sentence and detail for somebody who lies on it."""
    return LOST, f"{_step(progress)} · {_UNSURE}"


@dataclass(frozen=True, slots=True)
class Figures:
    """How good the link is, for the foot of a hold."""

    way: str
    """``Bluetooth, −60 dBm``."""
    loss: float
    """Share of the messages of the last seconds; NaN where none came."""
    poor: str
    """Why it is weak, a few words; empty where it is not."""
    more: tuple[str, ...]
    """What only somebody who looks for it wants to know."""


class LinkWatch:
    """What the connection reports, once a second, kept for a few seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque(maxlen=POOR_REPORTS + 1)
        self._at = 0

    def hear(self, progress: Progress) -> Figures | None:
        """``None`` while the tool is away."""
        link = progress.link
        if link is None:
            return None
        if self._at != progress.connections:  # another link: its counts begin anew
            self._at = progress.connections
            self._counts.clear()
        now = (link.received_messages, link.lost_messages)
        if self._counts and (now[0] < self._counts[-1][0] or now[1] < self._counts[-1][1]):
            self._counts.clear()  # another session on the same link
        self._counts.append(now)
        loss = _loss(self._counts[0], now)
        way = carrier(progress.url)
        if link.rssi_dbm is not None:
            way = f"{way}, {number(link.rssi_dbm, 0)} dBm"
        return Figures(way, loss, _poor(loss, link), _more(link))


def _loss(then: tuple[int, int], now: tuple[int, int]) -> float:
    received, missing = now[0] - then[0], now[1] - then[1]
    return missing / (received + missing) if received + missing > 0 else math.nan


def _poor(loss: float, link: LinkFigures) -> str:
    if loss > POOR_LOSS:
        return f"weak link, {percent(loss, 1)} lost"
    if link.rssi_dbm is not None and link.rssi_dbm < POOR_DBM:
        return f"weak link, {number(link.rssi_dbm, 0)} dBm"
    return ""


def _more(link: LinkFigures) -> tuple[str, ...]:
    trip = "–" if math.isnan(link.round_trip_ms) else f"{link.round_trip_ms:.1f}"
    radio = () if math.isnan(link.interval_ms) or link.interval_ms <= 0 else (f"interval {link.interval_ms:g} ms",)
    return (f"round trip {trip} ms", *radio, f"{link.lost_messages} lost", f"{link.overrun_samples} overrun")
