"""Numbers and reasons as people read them. No Qt, no numpy: only words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nexuslink.release.plans import Plan


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


def percent(share: float, digits: int = 0) -> str:
    """A share as per cent; a dash when unknown."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def asked(plan: Plan) -> str:
    """What a plan asks for, in one line."""
    return (
        f"{plan.hold_s:g} s at {plan.band_low_n:g} to {plan.band_high_n:g} N, "
        f"tip {plan.angle_low_deg:g} to {plan.angle_high_deg:g}° toward the {plan.mark_toward}"
    )


def mark_on_right(plan: Plan) -> bool:
    """Whether the mark points to the right of the screen, which shows the person from above, head up, face down."""
    return (plan.side == "left") == (plan.mark_toward == "midline")
