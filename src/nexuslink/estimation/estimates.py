"""What is said about a batch of force samples. Everything but the force itself is worked out when first asked for.

It must never know how the samples came, nor change after it was made.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.attitude import TipGeometry, up_in_sensor
from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ToolCalibration
from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.force_uncertainty import ForceUncertainty
from nexuslink.estimation.moment import Attitude, Moment
from nexuslink.estimation.pressure import ContactModel

Array = NDArray[np.float64]


class Tool:
    """What is the same for all batches of one tool."""

    def __init__(self, calibration: ToolCalibration, full_scale_counts: float) -> None:
        self.geometry = TipGeometry(calibration.axis)
        self.contact = ContactModel(calibration)
        self.full_scale_counts = full_scale_counts - 1
        self.u_blind_weight_n = calibration.tip_mass_kg * STANDARD_GRAVITY_M_S2 / np.sqrt(3.0)
        """Of a tip's weight where nothing is known of its attitude."""


class Poses(NamedTuple):
    """Quaternions (m, 4) of the samples themselves, or with the times (m,) that they have and the (n,) asked for."""

    quaternions: Array
    have_us: NDArray[np.int64] | None
    at_us: NDArray[np.int64] | None

    def up(self) -> Array:
        """(n, 3), linear between the samples, NaN after the last one."""
        if self.have_us is None or self.at_us is None:
            return up_in_sensor(self.quaternions)
        if not len(self.have_us):
            return np.full((len(self.at_us), 3), np.nan)
        columns = [
            np.interp(self.at_us, self.have_us, column, right=np.nan) for column in up_in_sensor(self.quaternions).T
        ]
        return np.stack(columns, axis=1)


class Estimates:
    """``n`` force samples on the device clock; columns are psoas, iliacus.

    ``t_us``: (n,) int64, device time, microseconds.
    ``force_n``: (n, 2) float64, newtons, compression positive, tip weight and tare taken out.
    Every ``u_`` is the standard uncertainty of what it is named after; 1.96 times that is the 95 % interval.
    """

    def __init__(
        self, tool: Tool, t_us: NDArray[np.int64], force_n: Array, raw: NDArray[np.signedinteger], accel: Array,
        poses: Poses | None, moment: Moment, uncertainty: ForceUncertainty, lags_n: Array, silent: bool, stuck: bool,
        standing: Doubt | None,
    ) -> None:  # fmt: skip
        """Made by the estimator. ``poses``: ``None`` where they are the moment's own. ``standing``: the doubt about
        temperature and record."""
        self.t_us, self.force_n = t_us, force_n
        self._tool, self._raw, self._accel, self._poses, self._moment = tool, raw, accel, poses, moment
        self._uncertainty, self._lags_n = uncertainty, lags_n
        self._silent, self._stuck, self._standing = silent, stuck, standing

    @cached_property
    def u_force_n(self) -> Array:
        """(n, 2) newtons."""
        u = self._uncertainty.of(self.force_n, self._accel, self._lags_n)
        return np.hypot(u, self._tool.u_blind_weight_n) if self._silent else u

    @cached_property
    def pressure_kpa(self) -> Array:
        """(n, 2) mean over the contact, NaN where no contact area is known."""
        return self._tool.contact.kilopascals(self.force_n)

    @cached_property
    def u_pressure_kpa(self) -> Array:
        """(n, 2), with what is not known of the tissue and the area."""
        return self._tool.contact.u_kilopascals(self.force_n, self.u_force_n)

    @cached_property
    def peak_pressure_kpa(self) -> Array:
        """(n, 2) where it presses hardest, NaN where no contact area is known."""
        return self._tool.contact.peak_kilopascals(self.force_n)

    @property
    def tip_angle_deg(self) -> Array:
        """(n, 2) from vertical, NaN where the IMU is silent."""
        return self._angles[1]

    @property
    def tip_direction_deg(self) -> Array:
        """(n, 2), 0 toward the mark, +90 counterclockwise seen from above."""
        return self._angles[2]

    @cached_property
    def attitude(self) -> Attitude:
        """Angles, turn and their uncertainties as of the batch's last IMU sample."""
        return self._moment.attitude()

    @cached_property
    def doubt(self) -> Doubt | None:
        """Why these samples are not to be trusted, the first reason that applies."""
        if self._silent:
            return Doubt.IMU_SILENT
        if self._moment.doubt is not None:
            return self._moment.doubt
        full = self._tool.full_scale_counts
        if self._raw.max() >= full or self._raw.min() <= -full:
            return Doubt.FORCE_SATURATED
        return Doubt.FORCE_STUCK if self._stuck else self._standing

    @property
    def trusted(self) -> bool:
        """There is no doubt."""
        return self.doubt is None

    @cached_property
    def _angles(self) -> tuple[Array, Array, Array]:
        poses = self._poses
        return self._tool.geometry.angles(up_in_sensor(self._moment.quaternions) if poses is None else poses.up())
