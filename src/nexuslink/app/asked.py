"""What a person wrote into the calibration's form, to numbers or to one line that says what is wrong. No Qt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

KG_PER: Final = {"kg": 1.0, "g": 1e-3, "lb": 0.453_592_37}
"""The pound: international yard and pound agreement, 1959."""
MOST_KG: Final = 11.0
"""A psoas tip is stopped at 110 N; what weighs more never belongs on it."""
LEAST_KG: Final = 0.1
MOST_WEIGHTS: Final = 24
FEWEST_WEIGHTS: Final = 3
CODE_EXAMPLE: Final = "0x12AB34CD"
SIMULATED_CODE: Final = 0x4E58_3031
"""What stands inside the base of every simulated tool."""
MOST_TOLERANCE: Final = 0.2
"""Of the mass: less is known of it than the tool knows already."""
USUAL_TOLERANCE: Final = 0.005
"""Without a better figure: 0.5 % of each mass [assumption: disc weights for training are far worse, laboratory
weights far better]."""


class FormError(Exception):
    """One line: which entry, and what to write instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        """ "masses" | "tolerance" | "latitude" | "code"."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be calibrated, in SI units. Fields that the choice does not need are empty."""

    choice: str
    tip: int = 0
    masses_kg: tuple[float, ...] = ()
    u_masses_kg: tuple[float, ...] = ()
    latitude_deg: float | None = None

    @property
    def u_mass_share(self) -> float:
        """Standard uncertainty of the worst known mass, as a share of it."""
        return max((u / kg for u, kg in zip(self.u_masses_kg, self.masses_kg, strict=True)), default=0.0)


def numbers(text: str) -> list[float]:
    """Numbers with blanks or semicolons between them; a comma inside a number is a decimal comma. ValueError."""
    words = [word.rstrip(",") for word in re.split(r"[\s;]+", text.strip())]
    return [float(word.replace(",", ".")) for word in words if word]


def masses_kg(text: str, unit: str, fewest: int = FEWEST_WEIGHTS) -> tuple[float, ...]:
    """The weights in the order in which they will be put on. Raises `FormError`."""
    example = "write it with a point, for example 5" if fewest == 1 else "write them with blanks between: 1 2 5"
    try:
        given = numbers(text)
    except ValueError:
        raise FormError("masses", f"“{text.strip()[:24]}” is not a row of numbers; {example}.") from None
    if not given:
        what = "Name the mass of the weight" if fewest == 1 else "Name the masses of the weights"
        raise FormError("masses", f"{what}; {example}.")
    if len(given) > MOST_WEIGHTS:
        raise FormError("masses", f"{len(given)} weights are too many; {MOST_WEIGHTS} are enough.")
    made = tuple(value * KG_PER[unit] for value in given)
    for value, kg in zip(given, made, strict=True):
        if not math.isfinite(kg) or kg < LEAST_KG:
            raise FormError(
                "masses", f"{value:g} {unit} is too light to say anything; the least is {_said(LEAST_KG, unit)}."
            )
        if kg > MOST_KG:
            raise FormError(
                "masses", f"{value:g} {unit} is more than the tip may bear, {_said(MOST_KG, unit)}; is the unit right?"
            )
    if fewest == 1 and len(made) > 1:
        raise FormError("masses", "One weight is enough for a check; name only the one you use.")
    if len({round(kg, 6) for kg in made}) < fewest:
        raise FormError("masses", f"A calibration needs at least {fewest} different weights, from light to heavy.")
    if len(set(made)) < len(made):
        raise FormError("masses", "A weight stands there twice; the same load is only recognised once.")
    return made


def u_masses_kg(text: str, unit: str, masses: tuple[float, ...]) -> tuple[float, ...]:
    """Standard uncertainty of each mass from a tolerance: "0.5 %" of it, or a mass in ``unit``; empty: 0.5 %.

    A tolerance is taken as the half width of an even distribution: u = tolerance / sqrt(3) (JCGM 100, 4.3.7).
    """
    written = text.strip()
    share = written.endswith("%")
    try:
        (value,) = numbers(written.removesuffix("%")) if written else (100 * USUAL_TOLERANCE,)
    except ValueError:
        raise FormError("tolerance", f"“{written[:24]}” is not a tolerance; write 0.5 % or a mass in {unit}.") from None
    share = share or not written
    widths = [value / 100 * mass if share else value * KG_PER[unit] for mass in masses]
    for mass, width in zip(masses, widths, strict=True):
        if not math.isfinite(width) or width < 0 or width > MOST_TOLERANCE * mass:
            raise FormError(
                "tolerance",
                f"A tolerance of {written} does not fit {_said(mass, unit)}; write it per weight, for example 0.5 %.",
            )
    return tuple(max(width, 1e-6 * mass) / math.sqrt(3) for mass, width in zip(masses, widths, strict=True))


def latitude_deg(text: str) -> float | None:
    """Degrees, north positive; "33.9 S" too; empty is not known. Raises `FormError`."""
    written = text.strip()
    if not written:
        return None
    side = {"n": 1.0, "s": -1.0}.get(written[-1].lower(), 0.0)
    try:
        (value,) = numbers(written[:-1].rstrip("° ") if side else written.rstrip("° "))
    except ValueError:
        raise FormError(
            "latitude", f"“{written[:24]}” is not a latitude; write degrees, for example 52.5 or 33.9 S."
        ) from None
    if not -90 <= value <= 90 or (side and value < 0):
        raise FormError("latitude", f"A latitude is between 90 S and 90 N, not {written[:24]}.")
    return value * (side or 1.0)


def unlock_code(text: str) -> int:
    """The number from inside the base: eight hexadecimal digits, with 0x or without, or decimal. `FormError`."""
    written = re.sub(r"[\s\-]", "", text).lower()
    if re.fullmatch(r"(0x)?[0-9a-f]{8}", written):
        return int(written.removeprefix("0x"), 16)
    if re.fullmatch(r"[0-9]{9,10}", written) and int(written) < 1 << 32:
        return int(written)
    raise FormError("code", f"The code has eight digits, 0 to 9 and A to F, for example {CODE_EXAMPLE}.")


def code_text(code: int) -> str:
    """The code as it stands inside the base."""
    return f"0x{code:08X}"


def _said(kg: float, unit: str) -> str:
    return f"{kg / KG_PER[unit]:.3g} {unit}"
