"""How far the direction of up, and the turn about it, may be off: a recursion in plain floats.

The filter follows the gyroscope and lets the low-passed accelerometer pull it back with its time constant tau. So
four things are added in squares, each as the standard uncertainty of one component of the tilt, radians:

- *static*: accelerometer bias, its temperature slope and matrix: they look like gravity and stay;
- *turned*: (uncertainty of the gyroscope's matrix) x (angle turned through lately), and what an error of the
  gyroscope's bias drags along, bias x tau: forgotten with tau;
- *accelerated*: the movement's own acceleration, as far as the filter's low pass lets it through;
- *lost*: what missing or clipped samples may have hidden: forgotten with tau.

The turn about the vertical has nothing that pulls it back: bias grows with time, scale with the angle, noise with the
root of time. Knows no sample, no clock and no message: it is told steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ImuCalibration


@dataclass(frozen=True, slots=True)
class TypicalPart:
    """What counts where the record names no uncertainty [assumption: a MEMS part of this class, soldered on]."""

    gyro_matrix: float = 0.004
    """Scale and misalignment of an uncalibrated gyroscope, standard uncertainty of an element."""
    accel_matrix: float = 0.004
    accel_bias_m_s2: float = 0.012 * STANDARD_GRAVITY_M_S2
    """+-20 mg at worst, even in between: 12 mg."""
    accel_slope_m_s2_k: float = 0.1e-3 * STANDARD_GRAVITY_M_S2
    """Zero-g level change with temperature, where the record has no slope."""
    u_accel_slope_m_s2_k: float = 0.02e-3 * STANDARD_GRAVITY_M_S2
    """Where the record has one."""
    unknown_warmth_k: float = 8.0
    """Standard deviation of the temperature's distance from the reference, as long as nobody has said it."""
    u_warmth_k: float = 1.0
    """Of a temperature that was said."""
    gyro_noise: float = math.radians(0.005)
    """rad/s/sqrt(Hz)."""
    gyro_bias: float = math.radians(0.5)
    """rad/s."""
    gyro_walk: float = math.radians(0.002)
    """Wandering of the bias, rad/s per root second."""
    start_accel_m_s2: float = 0.1
    """How a hand that has just taken the tool accelerates it, one component, before anything was measured."""


TYPICAL: Final = TypicalPart()
MOVEMENT_HZ: Final = 0.5
"""Where the acceleration of a person's movement lies [assumption]; the filter's low pass is of second order."""
MOVEMENT_S: Final = 0.3
"""How long a turning rate stays what it is [assumption]: how far a gap can be bridged by a straight line."""
LEAST_RATE: Final = math.radians(2.0)
"""A tool in use turns at least at this rate, RMS, as far as gaps are concerned [assumption]."""
BRIDGED_RAD: Final = math.radians(10.0)
"""A gap is bridged for as long as what it hides stays below this."""
MOST_BRIDGED_S: Final = 10.0
NOTHING_KNOWN_RAD: Final = math.radians(60.0)
"""After a gap that was not bridged; about the standard deviation of a direction in the upper half."""
DOUBTED_RAD: Final = math.radians(0.5)
"""What gaps and clipping have hidden is said from here on."""
CLIPPED_SHARE: Final = 0.5
"""A rate beyond the range is taken to be up to twice this share above it [assumption]."""
_RATE_S: Final = 3.0
_BIAS_STEP_S: Final = 1.5
_DRAG: Final = 0.5
_DRAG_PEAK: Final = 1.07
"""A drift b shows through a second-order low pass as b tau (1 - exp(-t / tau) cos(t / tau)): faster than through one of
first order, and beyond its end. Taken as one of first order with this share of tau, to this peak."""

_EYE: Final = np.eye(3)

Vector = tuple[float, float, float]


class TiltVariance(NamedTuple):
    """How far up may be off: alike in every direction, and by what the gyroscope's bias drags along."""

    alike: float
    """Of one component, radians squared."""
    lag_2: float
    """Square of the time for which the bias drags, s2."""
    bias: tuple[float, ...]
    """Covariance of the bias, (rad/s)^2: xx, yy, zz, xy, xz, yz of the sensor frame."""
    mean: float
    """Of one level component, whichever; radians squared."""

    def along(self, up: Vector, slope: Vector) -> float:
        """Variance of a quantity that changes by ``slope`` with ``up``."""
        ux, uy, uz = up
        sx, sy, sz = slope
        # A turn error r moves up by r x up, and so the quantity by r . (up x slope).
        x, y, z = uy * sz - uz * sy, uz * sx - ux * sz, ux * sy - uy * sx
        xx, yy, zz, xy, xz, yz = self.bias
        dragged = xx * x * x + yy * y * y + zz * z * z + 2.0 * (xy * x * y + xz * x * z + yz * y * z)
        return self.alike * (x * x + y * y + z * z) + self.lag_2 * dragged


NOTHING_KNOWN: Final = TiltVariance(NOTHING_KNOWN_RAD**2, 0.0, (0.0,) * 6, NOTHING_KNOWN_RAD**2)


class BiasUncertainty:
    """How well the filter knows the gyroscope's bias.

    VQF estimates it with a Kalman filter: at rest all of it, else what makes the tilt drift, which is its level part.
    ``p`` repeats that filter's own covariance, which only sets its gain; ``e`` is what this gain leaves of the truth.
    """

    def __init__(self, settings: dict[str, float]) -> None:
        self._growth = math.radians(0.1) ** 2 / settings["biasForgettingTime"]
        self._noise = {
            resting: math.radians(settings[name]) ** 4 / self._growth
            for resting, name in ((False, "biasSigmaMotion"), (True, "biasSigmaRest"))
        }
        self._start_2 = math.radians(settings["biasSigmaInit"]) ** 2
        self._p = self._start_2 * _EYE
        self._e = TYPICAL.gyro_bias**2 * _EYE
        self._due_s = 0.0
        self._turned: Vector = (0.0, 0.0, 0.0)
        self.level = self._upright = TYPICAL.gyro_bias
        self.covariance: tuple[float, ...] = (TYPICAL.gyro_bias**2,) * 3 + (0.0,) * 3

    def step(self, seconds: float, turned: Vector, up: Vector, resting: bool, seen: float) -> tuple[float, float]:
        """Standard uncertainty of one level component and of the vertical one, rad/s; not at every call.

        ``seen``: so much of the level one has become a drift of the tilt by now, which is what the filter learns from.
        """
        self._due_s += seconds
        self._turned = self._turned[0] + turned[0], self._turned[1] + turned[1], self._turned[2] + turned[2]
        if self._due_s >= _BIAS_STEP_S:
            vertical = np.array(up)
            see = _EYE if resting else _EYE - vertical[:, None] * vertical
            gain = self._p @ see @ np.linalg.inv(see @ self._p @ see + self._noise[resting] / self._due_s * _EYE)
            self._p -= gain @ self._p
            self._p += self._growth * self._due_s * _EYE
            left = _EYE - (1.0 if resting else min(1.0, seen / self.level)) * gain
            self._e = left @ self._e @ left.T + TYPICAL.gyro_walk**2 * self._due_s * _EYE
            if resting:  # what it takes for rest in a hand is not quite: that turn is taken for bias too
                moved = gain @ np.array(self._turned) / self._due_s
                self._e += np.outer(moved, moved)
            self._turned = (0.0, 0.0, 0.0)
            upright_2 = float(vertical @ self._e @ vertical)
            self._upright = math.sqrt(upright_2)
            self.level = math.sqrt(max(float(np.trace(self._e)) - upright_2, 0.0) / 2.0)
            self._due_s = 0.0
            (xx, xy, xz), (_, yy, yz), (_, _, zz) = self._e.tolist()
            self.covariance = xx, yy, zz, xy, xz, yz
        return self.level, self._upright


class TiltUncertainty:
    """Standard uncertainty of one component of the tilt, radians, and of the turn about the vertical."""

    def __init__(self, calibration: ImuCalibration, settings: dict[str, float]) -> None:
        """``settings``: VQF's parameters."""
        tau_s = settings["tauAcc"]
        accelerometer = calibration.accelerometer
        self._tau_s = tau_s
        self._u_gyro = calibration.gyro.u_matrix or TYPICAL.gyro_matrix
        self._u_matrix = accelerometer.u_matrix or TYPICAL.accel_matrix
        self._u_bias = accelerometer.u_bias or TYPICAL.accel_bias_m_s2
        slope = float(np.abs(accelerometer.bias_per_k).max())
        self._slope = slope or TYPICAL.accel_slope_m_s2_k
        self._u_slope = TYPICAL.u_accel_slope_m_s2_k if slope else TYPICAL.accel_slope_m_s2_k
        self._known_slope = bool(slope)
        low_pass_hz = math.sqrt(2.0) / (2.0 * math.pi * tau_s)
        self._leak = (low_pass_hz / MOVEMENT_HZ) ** 2 / STANDARD_GRAVITY_M_S2
        self._static_2 = 0.0
        self.set_warmth(None)
        self._x = self._y = self._z = 0.0  # rotation vector turned through lately, sensor frame
        self._dragged = 0.0
        self._lost = 0.0
        self._acceleration_2 = 3.0 * TYPICAL.start_accel_m_s2**2
        self._bias = BiasUncertainty(settings)
        self._rate_2 = LEAST_RATE**2
        self._age_s = 0.0
        self._turn_s = math.nan
        self._turn_x = self._turn_y = self._turn_z = 0.0
        self._turn_drift = self._turn_lost_2 = 0.0

    def set_warmth(self, warmth_k: float | None) -> None:
        """Kelvin above the calibration's reference temperature; ``None``: not known."""
        if warmth_k is None:  # nothing is taken out
            thermal = self._slope * TYPICAL.unknown_warmth_k
        else:
            said = self._slope * TYPICAL.u_warmth_k if self._known_slope else 0.0
            thermal = math.hypot(self._u_slope * warmth_k, said)
        self._static_2 = (self._u_bias**2 + thermal**2) / STANDARD_GRAVITY_M_S2**2 + self._u_matrix**2

    def step(self, seconds: float, turned: Vector, up: Vector, residual_2: float, resting: bool) -> None:
        """``turned``: rotation vector since the last step, sensor frame, radians. ``residual_2``: squared length of
        what the accelerometer reads beside gravity, (m/s2)^2. ``resting``: by the filter's own rest detection."""
        x, y, z = turned
        keep = math.exp(-seconds / self._tau_s)
        self._x, self._y, self._z = self._x * keep + x, self._y * keep + y, self._z * keep + z
        level, upright = self._bias.step(seconds, turned, up, resting, self._dragged / self._tau_s)
        if self._age_s < self._tau_s:  # the low pass is the mean so far: it lags by half of the time
            self._dragged = 0.5 * level * self._age_s
        else:
            share = -math.expm1(-seconds / (_DRAG * self._tau_s))
            self._dragged += share * (_DRAG_PEAK * level * self._tau_s - self._dragged)
        self._lost *= keep
        self._acceleration_2 += (1.0 - keep) * (residual_2 - self._acceleration_2)
        share = min(1.0, seconds / _RATE_S)
        self._rate_2 += share * ((x * x + y * y + z * z) / (seconds * seconds) + LEAST_RATE**2 - self._rate_2)
        self._age_s += seconds
        self._turn_s += seconds
        self._turn_x, self._turn_y, self._turn_z = self._turn_x + x, self._turn_y + y, self._turn_z + z
        self._turn_drift += upright * seconds

    def lose(self, radians: float) -> None:
        """So much of a turn may be missing."""
        # The low pass is of second order, Butterworth: its response stays below sqrt(2) exp(-t / tau).
        self._lost = min(self._lost + math.sqrt(2.0) * radians, NOTHING_KNOWN_RAD)
        self._turn_lost_2 += radians**2

    def hidden_by_gap(self, seconds: float) -> float:
        """What a straight line through a gap may miss, radians: a rate that wanders as movement lately did."""
        return min(math.sqrt(self._rate_2 / (6.0 * MOVEMENT_S) * seconds**3), NOTHING_KNOWN_RAD)

    @property
    def bridged_s(self) -> float:
        """So long a gap hides `BRIDGED_RAD` and no more."""
        return min(math.pow(6.0 * MOVEMENT_S * BRIDGED_RAD**2 / self._rate_2, 1.0 / 3.0), MOST_BRIDGED_S)

    @property
    def doubted(self) -> bool:
        """Gaps or clipping have hidden more than may go unsaid."""
        return self._lost > DOUBTED_RAD

    @property
    def tilt(self) -> TiltVariance:
        """As of the last step."""
        turned_2 = self._u_gyro**2 * (self._x * self._x + self._y * self._y + self._z * self._z)
        # Each of three components has a third of the residual. At the start the low pass is the mean so far.
        leak = self._leak
        if self._age_s < self._tau_s:
            leak = 1.0 / (math.hypot(1.0, 2.0 * math.pi * MOVEMENT_HZ * self._age_s) * STANDARD_GRAVITY_M_S2)
        alike = self._static_2 + turned_2 + self._lost**2 + leak * leak * self._acceleration_2 / 3.0
        lag_s = self._dragged / self._bias.level
        return TiltVariance(alike, lag_s * lag_s, self._bias.covariance, alike + self._dragged**2)

    def begin_turn(self) -> None:
        """The turn counts from here."""
        self._turn_s = self._turn_x = self._turn_y = self._turn_z = self._turn_drift = self._turn_lost_2 = 0.0

    @property
    def turn_2(self) -> float:
        """Square of that of the turn since `begin_turn`, without what the tilt adds; radians squared."""
        angle_2 = self._turn_x**2 + self._turn_y**2 + self._turn_z**2
        drift_2 = self._turn_drift**2 + TYPICAL.gyro_noise**2 * self._turn_s
        return self._u_gyro**2 * angle_2 + drift_2 + self._turn_lost_2
