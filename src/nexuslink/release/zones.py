"""Samples to zones: which part of a scale a reading is in, with a margin so that an edge never flickers.

Theory of operation. A zone depends on the reading and, between the two thresholds of an edge, on the zone before. So
each scale is cut at *all* its thresholds into cells in which the next zone depends on nothing but the zone before:
``table[zone][cell]``. Numpy finds the cells of a whole batch (one ``searchsorted`` a channel); the hold engine walks
the table once per run of equal cells. The tables are not written by hand: a scalar rule is asked once per cell.

This module keeps no memory: the zones themselves live in the hold engine, with every other state. It must never know
time, and it never raises on a reading: NaN has a cell of its own, behind infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nexuslink.release import limits
from nexuslink.release.plans import Plan


class ForceZone(StrEnum):
    """Where the force is, lightest first."""

    NONE = "none"
    LOW = "low"
    IN = "in"
    HIGH = "high"
    WARN = "warn"
    STOP = "stop"


class AngleZone(StrEnum):
    """Where the tip's lean is. LOW: too upright. HIGH: leans too far. DIRECTION: leans the wrong way."""

    IN = "in"
    LOW = "low"
    HIGH = "high"
    DIRECTION = "direction"
    UNKNOWN = "unknown"


Floats: TypeAlias = NDArray[np.float64]
Cells: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]

FORCE_ZONES: Final = tuple(ForceZone)
STOP_ZONE: Final = FORCE_ZONES.index(ForceZone.STOP)
_LEANS: Final = (AngleZone.LOW, AngleZone.IN, AngleZone.HIGH)


@dataclass(frozen=True, slots=True)
class Scale:
    """One channel: ``edges`` (k,) sorted, NaN last; ``table[zone][cell]``, ``valid[cell]`` for the k + 1 cells.

    In a cell that is not valid the zone stays as it was, so that a lost reading cannot clear an over-force.
    """

    edges: NDArray[np.float64]
    table: tuple[tuple[int, ...], ...]
    valid: tuple[bool, ...]


def _scale(edges: Iterable[float], low: float, high: float, zones: int, rule: Callable[[int, float], int]) -> Scale:
    """Tabulate ``rule(zone, value)``; readings outside ``low`` to ``high`` are not valid."""
    cuts = sorted({edge for edge in (*edges, low, np.nextafter(high, np.inf)) if low <= edge < np.inf})
    inner = [(a + b) / 2 for a, b in pairwise(cuts)]
    samples = [cuts[0] - 1.0, *inner, cuts[-1] + 1.0, math.nan]
    valid = tuple(bool(low <= value <= high) for value in samples)
    table = tuple(
        tuple(rule(zone, value) if good else zone for value, good in zip(samples, valid, strict=True))
        for zone in range(zones)
    )
    return Scale(np.array([*cuts, np.nan]), table, valid)


def _ladder(steps: tuple[tuple[float, float], ...]) -> Callable[[int, float], int]:
    """A rule for zones that rise with the value: step k is climbed at its second threshold, left below its first."""

    def rule(zone: int, value: float) -> int:
        surely, at_most = sum(value >= on for _off, on in steps), sum(value >= off for off, _on in steps)
        return min(max(zone, surely), at_most)

    return rule


def _flat(steps: tuple[tuple[float, float], ...]) -> tuple[float, ...]:
    return tuple(edge for step in steps for edge in step)


def force_margin_n(plan: Plan) -> float:
    """How far behind an edge of force it is left again; small enough to fit between the plan's own edges."""
    return min(
        limits.FORCE_HYSTERESIS_N,
        limits.FORCE_HYSTERESIS_SHARE * (plan.band_high_n - plan.band_low_n),
        (plan.band_low_n - plan.contact_n) / 2,
        (plan.warn_n - plan.band_high_n) / 3,
        (plan.stop_n - plan.warn_n) / 2,
        plan.contact_n / 2,
    )


class Zoning:
    """The scales of one plan, and the two questions asked of them."""

    def __init__(self, plan: Plan) -> None:
        margin = force_margin_n(plan)
        tip, other_tip = plan.tip, 1 - plan.tip
        # Each edge is entered at the plan's own figure and left one margin later.
        steps = (
            (plan.contact_n - margin, plan.contact_n),
            (plan.band_low_n - margin, plan.band_low_n),
            (plan.band_high_n, plan.band_high_n + margin),
            (plan.warn_n - margin, plan.warn_n),
            (plan.stop_n - margin, plan.stop_n),
        )
        # The tip that is not asked for can hurt as well: its own built-in stop, or the plan's if that is lower.
        other_stop = min(plan.stop_n, limits.BUILT_IN_STOP_N[other_tip])
        other_steps = ((other_stop - margin, other_stop),)
        # Both tips are cut at the same edges, so that one search serves both columns.
        edges = (*_flat(steps), *_flat(other_steps))
        self.force, self.other = (
            _scale(edges, limits.PLAUSIBLE_FORCE_MIN_N, math.inf, len(rungs) + 1, _ladder(rungs))
            for rungs in (steps, other_steps)
        )
        self.angle = self._angle_scale(plan)
        self.direction = self._direction_scale(plan)
        self._tip = tip
        self._searches = tuple(scale.edges.searchsorted for scale in (self.force, self.angle, self.direction))
        angle_cells, direction_cells = len(self.angle.valid), len(self.direction.valid)
        self._weights = (len(self.force.valid) * angle_cells * direction_cells, angle_cells * direction_cells)
        self._angle_weight = direction_cells

    @staticmethod
    def _angle_scale(plan: Plan) -> Scale:
        """Zones ``lean_known * 3 + (LOW, IN, HIGH)``: one channel carries two memories."""
        margin = limits.ANGLE_HYSTERESIS_DEG
        lean = ((plan.angle_low_deg - margin, plan.angle_low_deg), (plan.angle_high_deg, plan.angle_high_deg + margin))
        known = ((limits.LEAN_KNOWN_DEG - margin, limits.LEAN_KNOWN_DEG),)
        lean_rule, known_rule = _ladder(lean), _ladder(known)

        def rule(zone: int, value: float) -> int:
            return known_rule(zone // 3, value) * 3 + lean_rule(zone % 3, value)

        return _scale((*_flat(lean), *_flat(known)), 0.0, limits.ANGLE_MAX_DEG, 6, rule)

    @staticmethod
    def _direction_scale(plan: Plan) -> Scale:
        """Zones 0 (outside the target sector) and 1 (inside), on a circle cut open at 180 degrees."""
        reaches = (plan.direction_half_width_deg, plan.direction_half_width_deg + limits.DIRECTION_HYSTERESIS_DEG)

        def rule(zone: int, value: float) -> int:
            off_target = abs(math.remainder(value - plan.direction_deg, 360.0))
            return 1 if off_target <= reaches[0] else 0 if off_target > reaches[1] else zone

        edges = [math.remainder(plan.direction_deg + sign * reach, 360.0) for reach in reaches for sign in (-1, 1)]
        return _scale(edges, -limits.ANGLE_MAX_DEG, limits.ANGLE_MAX_DEG, 2, rule)

    def cells(self, force_n: Floats, angle_deg: Floats, direction_deg: Floats) -> Cells:
        """The cells of a batch, from (n, 2) arrays in N and degrees: force of both tips, angle and direction of one."""
        tip, (force, angle, direction) = self._tip, self._searches
        return force(force_n, "right"), angle(angle_deg[:, tip], "right"), direction(direction_deg[:, tip], "right")

    def changes(self, cells: Cells) -> NDArray[np.bool_]:
        """(n - 1,) bool: whether any cell changes from one sample to the next."""
        force, angle, direction = cells
        code: NDArray[np.intp] = (
            force[:, 0] * self._weights[0] + force[:, 1] * self._weights[1] + angle * self._angle_weight + direction
        )
        changed: NDArray[np.bool_] = code[1:] != code[:-1]
        return changed

    def lean(self, angle_zone: int, angle_cell: int, direction_zone: int, direction_cell: int) -> AngleZone:
        """What the angle and the direction say together. Far from upright, the wrong way is the first thing to mend."""
        if not self.angle.valid[angle_cell]:
            return AngleZone.UNKNOWN
        if angle_zone >= len(_LEANS):
            if not self.direction.valid[direction_cell]:
                return AngleZone.UNKNOWN
            if not direction_zone:
                return AngleZone.DIRECTION
        return _LEANS[angle_zone % len(_LEANS)]
