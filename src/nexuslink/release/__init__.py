"""A guided release: plans, limits, the hold engine, the coach and the summary. Pure, on the tool's own time.

The names below are loaded when first used: reading a plan needs no numpy, and a program's first window waits for none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexuslink.release.coach import Coach, Cue, Tone, advise
    from nexuslink.release.errors import PlanError
    from nexuslink.release.hold import HoldEngine, HoldEvent, HoldState, Phase, StopReason
    from nexuslink.release.plans import SITES, Plan, load_plan, load_plan_file, parse_plan, plan_text
    from nexuslink.release.summary import HoldSummary, SummaryBuilder
    from nexuslink.release.zones import AngleZone, ForceZone

__all__ = [
    "SITES",
    "AngleZone",
    "Coach",
    "Cue",
    "ForceZone",
    "HoldEngine",
    "HoldEvent",
    "HoldState",
    "HoldSummary",
    "Phase",
    "Plan",
    "PlanError",
    "StopReason",
    "SummaryBuilder",
    "Tone",
    "advise",
    "load_plan",
    "load_plan_file",
    "parse_plan",
    "plan_text",
]

_HOMES = {
    "coach": ("Coach", "Cue", "Tone", "advise"),
    "errors": ("PlanError",),
    "hold": ("HoldEngine", "HoldEvent", "HoldState", "Phase", "StopReason"),
    "plans": ("SITES", "Plan", "load_plan", "load_plan_file", "parse_plan", "plan_text"),
    "summary": ("HoldSummary", "SummaryBuilder"),
    "zones": ("AngleZone", "ForceZone"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a name of ``__all__`` from the module it lives in."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
