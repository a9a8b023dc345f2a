"""What is done with the simulated tool: a table of named scripts.

A script is data: key frames of the force the person wants and of the way the base leans, plus what befalls the
tool meanwhile; or, for calibrating, what is done with the tool on a table and in a hand. It knows nothing of tissue,
sensors or the protocol. Time zero is the moment the host says START, because nobody lies down on a tool before the
program is ready.

The forces and angles follow the bands of the guided hold (psoas 10 to 35 N at 0 to 20 degrees, iliacus 5 to 20 N
at 25 to 55 degrees); every other figure here is a choice of this simulation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

DEFAULT_SCRIPT = "good-psoas"


class Tip(IntEnum):
    """Column of a tip in every two-column array."""

    PSOAS = 0
    ILIACUS = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What the person wants at one moment; between two frames it changes linearly."""

    t_s: float
    force_n: float = 0.0
    """Wanted contact force on the script's tip, newtons; 0 is 'off the tool'."""
    lean_mark_deg: float = 0.0
    """Lean of the base toward its mark, degrees. The psoas tip leans the same, the iliacus tip 35 more."""
    lean_side_deg: float = 0.0
    """Lean of the base toward 90 degrees counterclockwise of the mark, degrees."""
    contraction: float = 0.0
    """Muscle effort against the tip, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Script:
    """One named course of events."""

    name: str
    summary: str
    tip: Tip
    frames: tuple[Frame, ...]
    breaths_per_min: float = 6.0
    wobble_deg: float = 0.0
    """Amplitude of a slow rocking of the base about its lean, degrees."""
    wobble_hz: float = 0.3
    battery_start_percent: float | None = None
    """Charge at START; None leaves the tool's own."""
    battery_fall_percent_per_s: float = 1.0 / 300.0
    """A full charge lasts a little over eight hours [assumption]."""
    silent_from_s: float | None = None
    """From here on nothing leaves the tool; the link is given up SILENCE_S later."""

    @property
    def drains(self) -> bool:
        """The battery runs empty, and the tool switches itself off."""
        return self.battery_start_percent is not None


@dataclass(frozen=True, slots=True)
class RigScript(Script):
    """The tool without a person on it, for calibrating: on a table, or in a hand. No tissue, no breath.

    Time-driven: every attitude and every weight stays so long that a host finds its still moment by itself.
    """

    frames: tuple[Frame, ...] = ()
    faces: tuple[tuple[float, float, float], ...] = ()
    """Directions in the tool's frame that are laid up, one after another; none: the script's tip points up."""
    weights_kg: tuple[float, ...] = ()
    """Placed on the tip, one after another, and taken off again."""
    turning_s: float = 0.0
    """So long somebody turns and moves the tool about in the hand."""


SILENCE_S = 10.0
"""How long a silent link stays formally open, seconds."""
SHUTDOWN_PERCENT = 3.0
"""The tool switches itself off at this charge."""

_GONE_S = 104.0
"""When a person who was never told to stop gets off by himself, seconds."""


def _hold(force_n: float, ramp_n_per_s: float, lean_deg: float, rest_deg: float, end_s: float = _GONE_S) -> list[Frame]:
    """Two seconds unloaded, a ramp, a hold, and off."""
    down = 2.0
    loaded = down + force_n / ramp_n_per_s
    return [
        Frame(0.0, 0.0, rest_deg),
        Frame(down, 0.0, rest_deg),
        Frame(loaded, force_n, lean_deg),
        Frame(end_s, force_n, lean_deg),
        Frame(end_s + 2.0, 0.0, rest_deg),
    ]


def _contract_relax() -> list[Frame]:
    """Hold, then three times six seconds of gentle effort and ten of rest."""
    frames = _hold(20.0, 5.0, 12.0, 3.0)
    first = 14.0
    cycles = [
        Frame(first + 16.0 * n + dt, 20.0, 12.0, 0.0, effort)
        for n in range(3)
        for dt, effort in ((0.0, 0.0), (0.8, 1.0), (5.2, 1.0), (6.0, 0.0))
    ]
    return [*frames[:3], *cycles, *frames[3:]]


WEIGHTS_KG = (0.5, 1.5, 3.0, 6.0, 11.0)
"""Of the scripts with weights, in the order in which they are placed; they are exactly what they say."""
_ON_TIP = ", ".join(f"{kg:g}" for kg in WEIGHTS_KG) + " kg"
_FACES = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Each a quarter turn from the one before."""

_TABLE = (
    Script("idle", "nobody on the tool", Tip.PSOAS, (Frame(0.0, 0.0, 3.0),)),
    Script(
        "good-psoas",
        "broad tip, 22 N at 12 degrees toward the mark, calm",
        Tip.PSOAS,
        tuple(_hold(22.0, 5.0, 12.0, 3.0)),
    ),
    Script(
        "good-iliacus",
        "narrow tip, 12 N at 40 degrees toward the mark, calm",
        Tip.ILIACUS,
        tuple(_hold(12.0, 2.5, 5.0, 1.0)),
    ),
    Script(
        "too-hard",
        "a good start, then 8 N/s past 110 N",
        Tip.PSOAS,
        (*_hold(22.0, 5.0, 12.0, 3.0)[:3], Frame(18.0, 22.0, 12.0), Frame(33.0, 142.0, 12.0), Frame(45.0, 142.0, 12.0)),
        breaths_per_min=14.0,
    ),
    Script(
        "wrong-angle",
        "force in band, tip first too far over, then leaning to the wrong side",
        Tip.PSOAS,
        (
            *_hold(22.0, 5.0, 30.0, 3.0)[:3],
            Frame(25.0, 22.0, 30.0),
            Frame(30.0, 22.0, -14.0),
            Frame(55.0, 22.0, -14.0),
            Frame(60.0, 22.0, 12.0),
            Frame(_GONE_S, 22.0, 12.0),
            Frame(_GONE_S + 2.0, 0.0, 3.0),
        ),
    ),
    Script(
        "wobbling",
        "force in band, the base rocks in and out of the angle",
        Tip.PSOAS,
        tuple(_hold(22.0, 5.0, 13.0, 3.0)),
        breaths_per_min=16.0,
        wobble_deg=14.0,
    ),
    Script(
        "contract-relax",
        "three cycles of six seconds' effort and ten seconds' rest",
        Tip.PSOAS,
        tuple(_contract_relax()),
    ),
    Script(
        "letting-go",
        "a good hold, given up after 25 seconds",
        Tip.PSOAS,
        tuple(_hold(22.0, 5.0, 12.0, 3.0, end_s=31.0)),
    ),
    Script(
        "dying-battery",
        "a good hold until the battery is empty and the tool switches off",
        Tip.PSOAS,
        tuple(_hold(22.0, 5.0, 12.0, 3.0)),
        battery_start_percent=10.0,
        battery_fall_percent_per_s=0.2,
    ),
    Script(
        "lost-link",
        "a good hold, then silence after 20 seconds of it",
        Tip.PSOAS,
        tuple(_hold(22.0, 5.0, 12.0, 3.0)),
        silent_from_s=26.0,
    ),
    RigScript("unloaded", "lying still on a table, for zero and noise", Tip.PSOAS),
    RigScript("weights-psoas", f"on a table, {_ON_TIP} on the broad tip", Tip.PSOAS, weights_kg=WEIGHTS_KG),
    RigScript("weights-iliacus", f"on a table, {_ON_TIP} on the narrow tip", Tip.ILIACUS, weights_kg=WEIGHTS_KG),
    RigScript("poses", "laid on each of its six sides, 6 seconds each", Tip.PSOAS, faces=_FACES),
    RigScript("turning", "two minutes of turning and moving by hand, with rests", Tip.PSOAS, turning_s=120.0),
)

SCRIPTS: Mapping[str, Script] = MappingProxyType({script.name: script for script in _TABLE})
"""Every script by name, in the order in which they are shown to people."""


def script_named(name: str) -> Script:
    """Return the script of that name, or raise ValueError with the names there are."""
    try:
        return SCRIPTS[name]
    except KeyError:
        raise ValueError(f"script={name!r}: no such script; there are: {', '.join(SCRIPTS)}") from None
