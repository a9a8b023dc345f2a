"""What a user may choose about the simulated tool: names, defaults, ranges, and the words for a mistake.

One table serves the ``sim:`` address and the command line; what can go wrong has its own. Light to import: no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nexus_simulator.faults.table import FAULTS, parse_fault
from nexus_simulator.scripts import DEFAULT_SCRIPT, script_named


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that distinguishes one simulated tool from another."""

    script: str = DEFAULT_SCRIPT
    seed: int = 0
    speed: float = 1.0
    """Simulated seconds a second; infinity is 'as fast as it can'."""
    force_rate: float = 250.0
    imu_rate: float = 500.0
    skew_ppm: float = 18.0
    """How much faster the tool's clock runs than the host's. A watch crystal: +-20 ppm is usual."""
    battery: float = 87.0
    """Charge when the tool is switched on, percent."""
    temperature: float = 22.0
    """Of the room, degrees Celsius. Under a person the sensors warm toward the body from there."""
    boot: int = 0
    """Which start of the same tool this is: gives another boot id."""
    faults: Mapping[str, Any] = field(default_factory=dict)
    """What goes wrong: name of a fault to its value (see `nexus_simulator.faults`)."""
    imu: Path | None = None
    """A recording that takes the place of the inertial unit."""
    defect: str | None = None
    """Something that this tool does wrong on purpose (see `nexus_simulator.defects`)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table."""

    field: str
    allowed: str
    """What may be written, for people."""
    parse: Callable[[str], Any]
    doc: str


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _speed(text: str) -> float:
    return math.inf if text == "max" else _number(0.1, 1000.0)(text)


def _script(text: str) -> str:
    return script_named(text).name


PARAMETERS: Mapping[str, Parameter] = {
    "script": Parameter("script", "a name that `nexuslink sim scripts` lists", _script, "what the person does"),
    "seed": Parameter("seed", "0 to 99999", _integer(0, 99_999), "which person and which tool"),
    "speed": Parameter("speed", "0.1 to 1000, or max", _speed, "simulated seconds a second"),
    "force_rate": Parameter("force_rate", "50 to 1000", _number(50.0, 1000.0), "force samples a second"),
    "imu_rate": Parameter("imu_rate", "50 to 1000", _number(50.0, 1000.0), "inertial samples a second"),
    "skew_ppm": Parameter("skew_ppm", "-500 to 500", _number(-500.0, 500.0), "how fast the tool's clock runs"),
    "battery": Parameter("battery", "4 to 100", _number(4.0, 100.0), "charge when switched on, percent"),
    "temperature": Parameter("temperature", "-10 to 50", _number(-10.0, 50.0), "of the room, degrees Celsius"),
    "boot": Parameter("boot", "0 to 4294967295", _integer(0, 0xFFFFFFFF), "which start of the same tool"),
    "defect": Parameter("defect", "a name that nexus_simulator.defects lists", str, "what the tool does wrong"),
    "imu": Parameter("imu", "a .npz file", Path, "play this recording instead of the inertial unit"),
}
"""Every parameter of the tool by the name that users write; beside these there are the faults."""


def parse_options(params: Mapping[str, str]) -> Options:
    """Options from name and text; ValueError names the parameter, the value and what is allowed."""
    options = Options()
    for name, text in params.items():
        if name in FAULTS:
            options = replace(options, faults={**options.faults, name: parse_fault(name, text)})
            continue
        parameter = PARAMETERS.get(name)
        if parameter is None:
            raise ValueError(f"{name}={text}: no such parameter; there are: {', '.join((*PARAMETERS, *FAULTS))}")
        try:
            value = parameter.parse(text)
        except ValueError as error:
            if parameter.field == "script":
                raise ValueError(str(error)) from None
            raise ValueError(f"{name}={text}: not possible; allowed: {parameter.allowed}") from None
        options = replace(options, **{parameter.field: value})
    if options.imu is not None and "imu_rate" in params:
        raise ValueError("imu_rate cannot be chosen together with imu: the recording has its own rate")
    return options


# ---- on the air -----------------------------------------------------------------------------------------------------
PAIRING_METHODS = ("numeric", "passkey", "nothing")


@dataclass(frozen=True, slots=True)
class AirOptions:
    """What the air and the pairing of a served tool are like."""

    pairing: str = PAIRING_METHODS[0]
    passkey: int | None = None
    always_pair: bool = False
    bonds: Path | None = None
    loss: float = 0.0
    interval_ms: float | None = None
    mtu: int = 247


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(text)
        return text

    return parse


AIR_PARAMETERS: Mapping[str, Parameter] = {
    "pairing": Parameter("pairing", ", ".join(PAIRING_METHODS), _choice(*PAIRING_METHODS), "what the tool pairs with"),
    "passkey": Parameter("passkey", "1 to 999999", _integer(1, 999_999), "the digits that the tool shows"),
    "bonding": Parameter(
        "always_pair",
        "button (SIGUSR1 presses it), always",
        lambda text: _choice("button", "always")(text) == "always",
        "when a new host may pair",
    ),
    "bonds": Parameter("bonds", "a file", Path, "where the tool keeps its bonds"),
    "air_loss": Parameter("loss", "0 to 1", _number(0.0, 1.0), "share of the radio's packets that is lost"),
    "air_interval": Parameter("interval_ms", "7.5 to 4000", _number(7.5, 4000.0), "connection interval, ms"),
    "air_mtu": Parameter("mtu", "23 to 247", _integer(23, 247), "largest ATT_MTU that the tool agrees to"),
}
"""Every parameter of `AirOptions` by the name that users write."""


def parse_air(params: Mapping[str, str]) -> AirOptions:
    """As `parse_options`, for the air."""
    options = AirOptions()
    for name, text in params.items():
        parameter = AIR_PARAMETERS[name]
        try:
            options = replace(options, **{parameter.field: parameter.parse(text)})
        except ValueError:
            raise ValueError(f"{name}={text}: not possible; allowed: {parameter.allowed}") from None
    return options
