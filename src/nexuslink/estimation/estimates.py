"""What is said about a batch of force samples. Everything but the force itself is worked out when first asked for.

It must never know how the samples came, nor change after it was made.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.attitude import Attitude, Moment, TipGeometry, up_in_sensor
from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ToolCalibration
from nexuslink.estimation.doubt import Doubt
from nexuslink.estimation.force import spread_lags
from nexuslink.estimation.force_uncertainty import ForceUncertainty
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

    __slots__ = (
        "_accel", "_angles", "_attitude", "_doubts", "_memory", "_moment", "_peak", "_poses", "_pressure", "_raw",
        "_tool", "_u_force", "_u_pressure", "_uncertainty", "force_n", "t_us",
    )  # fmt: skip

    def __init__(
        self, tool: Tool, t_us: NDArray[np.int64], force_n: Array, raw: NDArray[np.signedinteger], accel: Array,
        poses: Poses, moment: Moment, uncertainty: ForceUncertainty,
        memory: tuple[Array | None, int, tuple[float, float]], doubts: tuple[Doubt | None, bool, Doubt | None],
    ) -> None:  # fmt: skip
        """Made by the estimator. ``doubts``: of the attitude, whether a cell is stuck, of record and temperature."""
        self.t_us, self.force_n = t_us, force_n
        self._tool, self._raw, self._accel, self._poses, self._moment = tool, raw, accel, poses, moment
        self._uncertainty, self._memory, self._doubts = uncertainty, memory, doubts
        self._angles: tuple[Array, Array] | None = None
        self._u_force: Array | None = None
        self._pressure: Array | None = None
        self._u_pressure: Array | None = None
        self._peak: Array | None = None
        self._attitude: Attitude | None = None

    @property
    def u_force_n(self) -> Array:
        """(n, 2) newtons."""
        if self._u_force is None:
            u = self._uncertainty.of(self.force_n, self._accel, spread_lags(*self._memory))
            if self._doubts[0] is Doubt.IMU_SILENT:
                u = np.hypot(u, self._tool.u_blind_weight_n)
            self._u_force = u
        return self._u_force

    @property
    def pressure_kpa(self) -> Array:
        """(n, 2) mean over the contact, NaN where no contact area is known."""
        if self._pressure is None:
            self._pressure = self._tool.contact.kilopascals(self.force_n)
        return self._pressure

    @property
    def u_pressure_kpa(self) -> Array:
        """(n, 2), with what is not known of the tissue and the area."""
        if self._u_pressure is None:
            self._u_pressure = self._tool.contact.u_kilopascals(self.force_n, self.u_force_n)
        return self._u_pressure

    @property
    def peak_pressure_kpa(self) -> Array:
        """(n, 2) where it presses hardest, NaN where no contact area is known."""
        if self._peak is None:
            self._peak = self._tool.contact.peak_kilopascals(self.force_n)
        return self._peak

    @property
    def tip_angle_deg(self) -> Array:
        """(n, 2) from vertical, NaN where the IMU is silent."""
        return self._seen()[0]

    @property
    def tip_direction_deg(self) -> Array:
        """(n, 2), 0 toward the mark, +90 counterclockwise seen from above."""
        return self._seen()[1]

    @property
    def attitude(self) -> Attitude:
        """Angles, turn and their uncertainties as of the batch's last IMU sample."""
        if self._attitude is None:
            self._attitude = self._moment.attitude()
        return self._attitude

    @property
    def doubt(self) -> Doubt | None:
        """Why these samples are not to be trusted, the first reason that applies."""
        attitude, stuck, standing = self._doubts
        if attitude is not None:
            return attitude
        full = self._tool.full_scale_counts
        if self._raw.max() >= full or self._raw.min() <= -full:
            return Doubt.FORCE_SATURATED
        return Doubt.FORCE_STUCK if stuck else standing

    @property
    def trusted(self) -> bool:
        """There is no doubt."""
        return self.doubt is None

    def _seen(self) -> tuple[Array, Array]:
        if self._angles is None:
            self._angles = self._tool.geometry.angles(self._poses.up())[1:]
        return self._angles
