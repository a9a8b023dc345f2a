"""What a calibration in progress looks like right now: the same for the window and for the terminal.

A procedure makes a new picture after every batch. It knows no widget and no terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """Where the procedure stands."""

    WAITING = "waiting"
    """For the person: the sentence says what to do."""
    SETTLING = "settling"
    """The load or the pose has changed and is not at rest yet."""
    CAPTURING = "capturing"
    """At rest; `Picture.progress_of_step` grows."""
    DONE = "done"
    """Everything captured and accepted."""
    REFUSED = "refused"
    """Everything captured, not good enough; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class CapturedPoint:
    """One plateau or pose."""

    name: str
    """"3.0 kg", "left side up"."""
    measured: float
    """In `Picture.unit`."""
    expected: float
    """NaN until it is known."""
    residual: float
    """After the fit, NaN before it."""
    u: float
    """Standard uncertainty, NaN before the fit."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything one glance needs."""

    title: str
    """"Weights on the psoas tip"."""
    stage: Stage
    sentence: str
    """What to do now, or how it ended: a verb first, few words."""
    step: int
    """Steps done."""
    steps: int
    """Steps in all; 0 where that is open."""
    progress_of_step: float
    """0 to 1."""
    reading: float
    """Live, in `unit`; NaN where there is none."""
    reading_u: float
    unit: str
    """"N", "m/s²", "°/s"."""
    up: tuple[float, float, float] | None
    """Live direction of up in the tool's frame, for a picture of the tool; None where unknown."""
    points: tuple[CapturedPoint, ...]
    verdict: str
    """"within 0.4 N up to 60 N"; empty before the end."""
    simulated: bool
    advice: str = ""
    """What else has to be calibrated because of this; empty where nothing has."""
