"""How a shown value comes to rest: critically damped, within 150 ms, without a clock of its own.

Time is handed in (device time), so the same samples always give the same picture.
"""

from __future__ import annotations

import math

SETTLE_S = 0.150  # to within 2 % of a step
_OMEGA = 5.834 / SETTLE_S  # critically damped: 2 % is left at omega * t = 5.834
_JUMP_S = 0.5  # after a longer pause nothing is left to animate


class Settle:
    """One number on its way to its target. With ``still`` (reduced motion) it is there at once."""

    __slots__ = ("_speed", "still", "value")

    def __init__(self, still: bool = False) -> None:
        self.value = math.nan
        self.still = still
        self._speed = 0.0

    def toward(self, target: float, dt_s: float) -> float:
        """Move for ``dt_s`` seconds toward ``target``, which held for all of them; the new value."""
        if self.still or math.isnan(self.value) or math.isnan(target) or not 0.0 <= dt_s <= _JUMP_S:
            self.value, self._speed = target, 0.0
            return target
        # Exact solution of x'' = w^2 (target - x) - 2 w x' over the step: no step size can make it swing.
        away = self.value - target
        pull = self._speed + _OMEGA * away
        decay = math.exp(-_OMEGA * dt_s)
        self.value = target + (away + pull * dt_s) * decay
        self._speed = (self._speed - _OMEGA * pull * dt_s) * decay
        return self.value
