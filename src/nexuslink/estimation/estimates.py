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


class Circumstances(NamedTuple):
    """What holds for many batches in a row. ``standing``: the doubt about temperature and record."""

    tool: Tool
    moment: Moment
    uncertainty: ForceUncertainty
    stuck: bool
    standing: Doubt | None


Inertial = tuple[NDArray[np.int64], Array, Array, Array]
"""Of consecutive samples of the inertial unit: times (m,), specific force and rate (m, 3), quaternions (m, 4)."""


class Poses(NamedTuple):
    """Quaternions (m, 4) of the samples themselves, or with the times (m,) that they have and the (n,) asked for.

    ``silent``: some of the times asked for lie beyond the inertial unit's last sample, or there is none.
    """

    quaternions: Array
    have_us: NDArray[np.int64] | None
    at_us: NDArray[np.int64] | None
    silent: bool = False

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
        self, circumstances: Circumstances, t_us: NDArray[np.int64], force_n: Array, raw: NDArray[np.signedinteger],
        accel: Array, lags: Array, inertial: Inertial, poses: Poses | None = None,
    ) -> None:  # fmt: skip
        """Made by the estimator. ``accel`` (n, 3) and ``lags`` (2 x 4,) as the force was made with. ``poses``: ``None``
        where they are those of ``inertial``, whose last sample is the batch's attitude."""
        self.t_us, self.force_n = t_us, force_n
        self._circumstances, self._raw, self._accel, self._lags = circumstances, raw, accel, lags
        self._inertial, self._poses = inertial, poses

    @property
    def _silent(self) -> bool:
        return self._poses is not None and self._poses.silent

    @cached_property
    def u_force_n(self) -> Array:
        """(n, 2) newtons."""
        u = self._circumstances.uncertainty.of(self.force_n, self._accel, self._lags.reshape(2, -1))
        return np.hypot(u, self._circumstances.tool.u_blind_weight_n) if self._silent else u

    @cached_property
    def pressure_kpa(self) -> Array:
        """(n, 2) mean over the contact, NaN where no contact area is known."""
        return self._circumstances.tool.contact.kilopascals(self.force_n)

    @cached_property
    def u_pressure_kpa(self) -> Array:
        """(n, 2), with what is not known of the tissue and the area."""
        return self._circumstances.tool.contact.u_kilopascals(self.force_n, self.u_force_n)

    @cached_property
    def peak_pressure_kpa(self) -> Array:
        """(n, 2) where it presses hardest, NaN where no contact area is known."""
        return self._circumstances.tool.contact.peak_kilopascals(self.force_n)

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
        t_us, _accel, _gyro, quaternions = self._inertial
        return self._circumstances.moment.attitude(t_us, quaternions)

    @cached_property
    def doubt(self) -> Doubt | None:
        """Why these samples are not to be trusted, the first reason that applies."""
        if self._silent:
            return Doubt.IMU_SILENT
        tool, moment, _uncertainty, stuck, standing = self._circumstances
        if moment.doubt is not None:
            return moment.doubt
        full = tool.full_scale_counts
        if self._raw.max() >= full or self._raw.min() <= -full:
            return Doubt.FORCE_SATURATED
        return Doubt.FORCE_STUCK if stuck else standing

    @property
    def trusted(self) -> bool:
        """There is no doubt."""
        return self.doubt is None

    @cached_property
    def _angles(self) -> tuple[Array, Array, Array]:
        poses = self._poses
        up = up_in_sensor(self._inertial[3]) if poses is None else poses.up()
        return self._circumstances.tool.geometry.angles(up)
