"""The figures that no plan may exceed, and the times and margins by which a hold is judged.

Every figure has its unit in its name and its origin behind it: a key of the project's source list (``L12``) or
``assumption``, an engineering choice that a clinician has to review before anybody sells the product. This module
must never know a muscle's plan, a person or a clock.
"""

from __future__ import annotations

from typing import Final

TIPS: Final = ("psoas", "iliacus")
"""Column order of every ``(n, 2)`` array: the broad tip first, the narrow one second."""

BUILT_IN_STOP_N: Final = (110.0, 80.0)
"""Absolute stop of each tip, newtons. A plan may only be lower. Sources: L12 second-hand; assumption."""

PLAUSIBLE_FORCE_MIN_N: Final = -20.0
"""A tip cannot be pulled: below this the zero is wrong, and the reading counts as none. Assumption.

There is no upper limit on purpose: whatever reads above the stop, even infinity, is taken for an over-force.
"""

ANGLE_MAX_DEG: Final = 180.0
"""An angle from vertical is within 0 and this, a direction within plus and minus this; anything else is unknown."""

# Margins against flicker at an edge. All assumptions.
FORCE_HYSTERESIS_N: Final = 1.0
"""An edge of force is left only this far on its other side ..."""
FORCE_HYSTERESIS_SHARE: Final = 0.05
"""... or this share of the band's width, whichever is less."""
ANGLE_HYSTERESIS_DEG: Final = 1.0
DIRECTION_HYSTERESIS_DEG: Final = 5.0
LEAN_KNOWN_DEG: Final = 8.0
"""Nearer to upright than this, the direction of the lean means nothing and is not judged."""
RAMP_HYSTERESIS_SHARE: Final = 0.2
"""A ramp once too fast is fine again when it is this share slower than the plan's limit."""

# Times, device microseconds. All assumptions; see DOMAIN "a guided hold" for those of the plans.
OVER_FORCE_US: Final = 20_000
"""A sustained over-force stops after this; a single spike of one sample does not."""
SENSOR_US: Final = 250_000
"""No believable force for this long ends the hold."""
SETTLE_US: Final = 250_000
"""A touch shorter than this is a bump, not the beginning of a hold."""
RELEASED_US: Final = 5_000_000
NO_CONTACT_US: Final = 120_000_000
TIMEOUT_HOLDS: Final = 5
"""The hold is given up this many times its own length after contact."""
MAX_GAP_US: Final = 100_000
"""A sample speaks until the next one, at most for this long: what is lost is never credited as held."""
RAMP_PICK_US: Final = 250_000
"""The ramp is judged over two of these: long enough for noise, short enough to say so in time."""

# What a plan may ask for. All assumptions but the hold, whose sourced range is L1's 30 to 120 s.
LEVEL_RANGE: Final = (1, 3)
HOLD_RANGE_S: Final = (1.0, 300.0)
CONTACT_RANGE_N: Final = (0.5, 20.0)
RAMP_RANGE_N_PER_S: Final = (0.5, 50.0)
LEAN_RANGE_DEG: Final = (0.0, 90.0)
HALF_WIDTH_RANGE_DEG: Final = (10.0, 180.0)
MIN_STEP_N: Final = 0.5
"""Contact, band, warning and stop are at least this far apart, so that the margins fit between them."""
MIN_STEP_DEG: Final = 5.0

# The coach. Assumptions, the first from "a clear fault at 2 s".
SILENT_S: Final = 1.5
CUE_MIN_US: Final = 500_000
"""A cue stays at least this long unless a more urgent one comes."""
