"""One moment's attitude in a person's terms: each tip's angle, its lean, the turn, and how sure each is.

Kept as a quaternion and variances until somebody asks: most batches' is never asked for. Plain floats, no arrays; must
never know a sample or a filter.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.tilt_uncertainty import TiltVariance

_DEGREES: Final = 180.0 / math.pi
_LARGEST_U_DEG: Final = 180.0 / math.sqrt(3.0)
"""Standard uncertainty of a direction of which nothing is known."""
_UPRIGHT: Final = 1e-6
"""Sine of an angle from vertical below which there is no side to lean to."""

Array = NDArray[np.float64]


class Attitude(NamedTuple):
    """One tool as of the last sample of a batch; pairs are psoas, iliacus. Standard uncertainties; 95 % is 1.96 u.

    ``tip_angle_deg``: of each tip's axis from vertical, 0 to 180. ``tip_direction_deg``: where it leans in the tool's
    level frame, 0 toward the mark, +90 counterclockwise seen from above. ``turn_deg``: of the base about the vertical
    since contact, counterclockwise positive, -180 to 180; NaN without contact. ``doubt``: why not to trust it.
    """

    t_us: int
    tip_angle_deg: tuple[float, float]
    u_tip_angle_deg: tuple[float, float]
    tip_direction_deg: tuple[float, float]
    u_tip_direction_deg: tuple[float, float]
    turn_deg: float
    u_turn_deg: float
    doubt: Doubt | None


class Moment(NamedTuple):
    """An attitude before it is worked out: most batches' is never asked for."""

    t_us: int
    quaternions: Array
    axes: list[list[float]]
    tilt: TiltVariance
    heading_at_contact: float | None
    turn_2: float
    doubt: Doubt | None

    def attitude(self) -> Attitude:
        """In degrees, with uncertainties."""
        w, x, y, z = self.quaternions[-1].tolist() if len(self.quaternions) else (1.0, 0.0, 0.0, 0.0)
        up = up_x, up_y, up_z = 2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z
        angles, directions, u_angles, u_directions = [], [], [], []
        for ax, ay, az in self.axes:
            cosine = ax * up_x + ay * up_y + az * up_z
            aside, ahead = ay * up_z - az * up_y, ax - up_x * cosine
            sine = math.sqrt(max(1.0 - cosine * cosine, 0.0))
            angles.append(math.atan2(sine, cosine) * _DEGREES)
            directions.append(math.atan2(aside, ahead) * _DEGREES)
            if sine < _UPRIGHT:  # no direction to lean to
                u_angles.append(1.25 * math.sqrt(self.tilt.mean) * _DEGREES)
                u_directions.append(_LARGEST_U_DEG)
                continue
            u_angle = math.sqrt(self.tilt.along(up, (ax / sine, ay / sine, az / sine)))
            # Close to the vertical both components of the tilt error show in the angle: 95 % of a Rayleigh
            # distribution lie below 2.45, not 1.96.
            ratio = sine / u_angle
            u_angles.append(u_angle * (1.0 + 0.25 * math.exp(-0.5 * ratio * ratio)) * _DEGREES)
            # Slope of the direction by up: the tip's level part turns with a tilt error, and so does the mark's.
            square = max(aside * aside + ahead * ahead, 1e-18)
            slope = (
                aside * (cosine + ax * up_x) / square,
                (ay * up_x * aside - az * ahead) / square,
                (az * up_x * aside + ay * ahead) / square,
            )
            u_directions.append(min(math.sqrt(self.tilt.along(up, slope)) * _DEGREES, _LARGEST_U_DEG))
        turn = u_turn = math.nan
        if self.heading_at_contact is not None:
            turn = math.remainder(heading([w, x, y, z]) - self.heading_at_contact, math.tau) * _DEGREES
            # Heading is read off the level part of the attitude: a tilt error shows in it by tan(lean / 2).
            lean_2 = max(1.0 - up_z, 0.0) / max(1.0 + up_z, 1e-9)
            u_turn = min(math.sqrt(self.turn_2 + lean_2 * self.tilt.mean) * _DEGREES, _LARGEST_U_DEG)
        return Attitude(
            self.t_us, (angles[0], angles[1]), (u_angles[0], u_angles[1]), (directions[0], directions[1]),
            (u_directions[0], u_directions[1]), turn, u_turn, self.doubt,
        )  # fmt: skip


def heading(q: list[float]) -> float:
    """Turn about the vertical, radians, of the attitude taken as (turn) x (lean about a level axis)."""
    return 2.0 * math.atan2(q[3], q[0])
