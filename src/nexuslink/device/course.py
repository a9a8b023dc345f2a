"""The course of a kept connection: which state follows which event, and what is done there. A table, and a pause.

    OFF ---wanted--> SCANNING --found--> CONNECTING --opened--> HANDSHAKING --greeted--> READY <--stopped-- STREAMING
     ^                 ^  | nobody,          | `-asked-> PAIRING --^  |                   |  `---started------> |
     |                 |  | failed           | failed      | failed   | failed            | failed              | failed
     |          waited |  v                  v             v          v                   v                     |
     |                 | (pause)            LOST <---------------------------------------------------------------
     |                 `---------------------' waited            READY, STREAMING --nearer--> SCANNING
     `--- unwanted, hopeless: from everywhere

Every pair of state and event that can happen is a row; a pair that is none is a mistake and raises. Knows no link, no
tool, and no clock: how long a pause is comes from the numbers handed in.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from random import Random
from typing import Final


class State(StrEnum):
    """How far the connection to one tool is."""

    OFF = "off"
    SCANNING = "scanning"
    CONNECTING = "connecting"
    PAIRING = "pairing"
    """A person has to confirm it, or may have to."""
    HANDSHAKING = "handshaking"
    READY = "ready"
    STREAMING = "streaming"
    LOST = "lost"


class Event(Enum):
    """What may happen."""

    WANTED = auto()
    FOUND = auto()
    NOBODY = auto()
    ASKED = auto()
    """On the way to an open link a person is asked to confirm a pairing, or there is more to say of that."""
    OPENED = auto()
    GREETED = auto()
    STARTED = auto()
    STOPPED = auto()
    FAILED = auto()
    NEARER = auto()
    """The same tool can be had over a better carrier."""
    WAITED = auto()
    HOPELESS = auto()
    UNWANTED = auto()


class Action(Enum):
    """What is done on the way into a state; its outcome is the next event."""

    LOOK = auto()
    OPEN = auto()
    LET_IN = auto()
    GREET = auto()
    SERVE = auto()
    PAUSE = auto()
    REST = auto()


UP: Final = (State.READY, State.STREAMING)
"""A tool is there."""
UNDER_WAY: Final = (State.CONNECTING, State.PAIRING, State.HANDSHAKING)
"""Somebody was found: this has bounds of its own, and a person may be comparing digits."""
COURSE: Final[dict[tuple[State, Event], tuple[State, Action]]] = {
    (State.OFF, Event.WANTED): (State.SCANNING, Action.LOOK),
    (State.SCANNING, Event.FOUND): (State.CONNECTING, Action.OPEN),
    (State.SCANNING, Event.NOBODY): (State.SCANNING, Action.PAUSE),
    (State.SCANNING, Event.FAILED): (State.SCANNING, Action.PAUSE),
    (State.SCANNING, Event.WAITED): (State.SCANNING, Action.LOOK),
    (State.CONNECTING, Event.OPENED): (State.HANDSHAKING, Action.GREET),
    (State.CONNECTING, Event.ASKED): (State.PAIRING, Action.LET_IN),
    (State.CONNECTING, Event.FAILED): (State.LOST, Action.PAUSE),
    (State.PAIRING, Event.ASKED): (State.PAIRING, Action.LET_IN),
    (State.PAIRING, Event.OPENED): (State.HANDSHAKING, Action.GREET),
    (State.PAIRING, Event.FAILED): (State.LOST, Action.PAUSE),
    (State.HANDSHAKING, Event.GREETED): (State.READY, Action.SERVE),
    (State.HANDSHAKING, Event.FAILED): (State.LOST, Action.PAUSE),
    (State.READY, Event.STARTED): (State.STREAMING, Action.SERVE),
    (State.STREAMING, Event.STOPPED): (State.READY, Action.SERVE),
    **{(state, Event.FAILED): (State.LOST, Action.PAUSE) for state in UP},
    **{(state, Event.NEARER): (State.SCANNING, Action.LOOK) for state in UP},
    (State.LOST, Event.WAITED): (State.SCANNING, Action.LOOK),
    (State.LOST, Event.FAILED): (State.LOST, Action.PAUSE),
    **{(state, Event.HOPELESS): (State.OFF, Action.REST) for state in State},
    **{(state, Event.UNWANTED): (State.OFF, Action.REST) for state in State},
}

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 2.5
"""However long a tool was away it is to stream again within 5 s of its return: a radio then needs 1.5 s to hear it and
about as long to connect, and nothing ends a pause before its time."""
JITTER: Final = (0.6, 0.9)
"""Share of the pause that is waited: several hosts must not knock together."""


class Backoff:
    """Pauses that double from `FIRST_PAUSE_S` to `LONGEST_PAUSE_S`, each a little shorter by chance."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.attempt = 0
        """Pauses since `reset`."""

    def reset(self) -> None:
        """All is well again."""
        self.attempt = 0

    def pause_s(self) -> float:
        """The next pause, seconds."""
        whole = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.attempt, 16))
        self.attempt += 1
        return whole * self._rng.uniform(*JITTER)
