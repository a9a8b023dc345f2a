"""What remains of a hold: a handful of figures, gathered in constant memory.

Forces are summed as whole micronewtons, so that the figures do not depend on how the samples were cut into batches
and a replay gives them to the bit. This module must never know a file or a screen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from nexuslink.release.hold import ENDED, HoldState, Phase, StopReason
from nexuslink.release.plans import Plan
from nexuslink.release.zones import Floats

_FORCE_MAX_N = 1e4
"""No reading counts for more than this, so that a broken one cannot overflow the sums."""


@dataclass(frozen=True, slots=True)
class HoldSummary:
    """One hold. Forces are of the plan's tip: the mean while it was in contact, 0 if it never was."""

    site: str
    phase: Phase
    stop_reason: StopReason | None
    held_s: float
    hold_s: float
    in_band_fraction: float
    peak_force_n: float
    mean_force_n: float
    duration_s: float
    """From contact to the end, or to the newest sample of a hold that has not ended."""

    def as_dict(self) -> dict[str, str | float | None]:
        """Ready for JSON: text, finite numbers and None."""
        return {
            key: str(value) if isinstance(value, Phase | StopReason) else value for key, value in asdict(self).items()
        }


class SummaryBuilder:
    """Gathers the figures of one hold; feed it with what the engine is fed, after the engine."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._peak_un = 0
        self._sum_un = 0
        self._count = 0
        self._closed = False

    def update(
        self, t_us: NDArray[np.int64], force_n: Floats, angle_deg: Floats, direction_deg: Floats, state: HoldState
    ) -> None:
        """Take a batch, shapes as in the engine, and the engine's state after it. What follows the end is left out."""
        del angle_deg, direction_deg  # the engine judges them; they are taken for the sake of one signature
        if self._closed or not len(t_us):
            return
        force = force_n[:, self._plan.tip]
        if state.phase in ENDED:
            self._closed = True
            force = force[t_us <= state.t_us]
        force = force[force >= self._plan.contact_n]  # NaN is not
        if len(force):
            micro = np.rint(np.minimum(force, _FORCE_MAX_N) * 1e6).astype(np.int64)
            self._peak_un = max(self._peak_un, int(micro.max()))
            self._sum_un += int(micro.sum())
            self._count += len(micro)

    def finish(self, state: HoldState) -> HoldSummary:
        """The figures up to ``state``."""
        return HoldSummary(
            site=self._plan.site,
            phase=state.phase,
            stop_reason=state.stop_reason,
            held_s=state.held_s,
            hold_s=state.hold_s,
            in_band_fraction=state.in_band_fraction,
            peak_force_n=self._peak_un / 1e6,
            mean_force_n=self._sum_un / self._count / 1e6 if self._count else 0.0,
            duration_s=0.0 if state.contact_at_us is None else (state.t_us - state.contact_at_us) / 1e6,
        )
