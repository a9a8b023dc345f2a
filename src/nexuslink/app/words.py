"""Numbers and reasons as people read them. No Qt, no numpy: only words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nexuslink.release.plans import Plan


_SIDES = {"ilium": "hip bone"}


class Ending(NamedTuple):
    """Why a hold ended, and what to do next. The headline itself is the coach's."""

    why: str
    next_step: str


# By phase or stop reason, as nexuslink.release.hold spells them.
ENDINGS: dict[str, Ending] = {
    "done": Ending("The whole time was held.", "Rest for 30 s before the next site."),
    "over-force": Ending("The force reached the stop limit.", "Start again with less of your weight on the tip."),
    "user": Ending("You ended it before the full time.", "Start again when you are ready."),
    "released": Ending("The tip stayed unloaded for several seconds.", "Settle on the tip again and start anew."),
    "link-lost": Ending(
        "The tool stopped sending. What came until then is recorded.",
        "Check its battery and cable, then connect again.",
    ),
    "no-contact": Ending("The tip was never loaded.", "Check the position, then start again."),
    "timeout": Ending("Most of the time was out of band.", "Rest, then try a little softer or straighter."),
    "sensor": Ending("The force sensor gave no usable values.", "Take the load off the tool, then start again."),
}
UNKNOWN = Ending("The hold ended.", "Start again when you are ready.")

COVERAGE = 1.96
"""What is written behind a plus-minus is this many standard uncertainties: 95 %."""
_DIGITS = 4


def ending(phase: str, reason: str | None) -> Ending:
    """Words for how a hold ended."""
    return ENDINGS.get(phase if phase == "done" else reason or "", UNKNOWN)


def clock(seconds: float, up: bool = False) -> str:
    """``m:ss``; a time left is rounded up, so that 0:00 means nothing is left."""
    if math.isnan(seconds):
        return "–:––"
    whole = math.ceil(seconds - 1e-9) if up else math.floor(seconds + 1e-9)
    return f"{whole // 60}:{whole % 60:02d}"


def newtons(force_n: float) -> str:
    """Whole newtons; a dash when unknown."""
    return "–" if math.isnan(force_n) else f"{force_n:.0f} N"


def number(value: float, digits: int, signed: bool = False) -> str:
    """With a true minus, and none before nothing; ``signed`` also with a plus."""
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    if not float(text):
        text = text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def decimals(u: float, most: int = _DIGITS) -> int:
    """Decimals that are true of a value with standard uncertainty ``u``: to the first digit of its 95 % interval,
    to the second where the first is a 1; at most ``most``."""
    spread = COVERAGE * u
    if not spread > 0 or math.isinf(spread):
        return 0
    first = math.ceil(-math.log10(spread) - 1e-9)
    if spread * 10.0**first < 2:
        first += 1
    return min(most, max(0, first))


def amount(value: float, u: float, unit: str, most: int = _DIGITS) -> str:
    """``42.3 ± 0.6 N``; without a known uncertainty the value alone, to two decimals at most; a dash if unknown."""
    if math.isnan(value):
        return f"– {unit}"
    if not 0 < u < math.inf:
        return f"{number(value, min(most, 2))} {unit}"
    digits = decimals(u, most)
    return f"{number(value, digits)} {spread(u, unit, most)}"


def spread(u: float, unit: str, most: int = _DIGITS) -> str:
    """``± 0.6 N``, the 95 % interval, never rounded to nothing; empty when unknown."""
    if not 0 < u < math.inf:
        return ""
    digits = decimals(u, most)
    shown = max(COVERAGE * u, 10.0**-digits)
    return f"± {shown:.{digits}f}{'' if unit == '°' else ' '}{unit}".rstrip()


def percent(share: float, digits: int = 0) -> str:
    """A share as per cent; a dash when unknown."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def asked(plan: Plan) -> str:
    """What a plan asks for, in one line."""
    return (
        f"{plan.hold_s:g} s at {plan.band_low_n:g} to {plan.band_high_n:g} N, "
        f"tip {plan.angle_low_deg:g} to {plan.angle_high_deg:g}° toward the {side_word(plan.mark_toward)}"
    )


def side_word(side: str) -> str:
    """What a plan's mark points to, or away from, as people say it."""
    return _SIDES.get(side, side)


def mark_on_right(plan: Plan) -> bool:
    """Whether the mark points to the right of the screen, which shows the person from above, head up, face down."""
    return (plan.side == "left") == (plan.mark_toward == "midline")
