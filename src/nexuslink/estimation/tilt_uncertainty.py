"""How far the direction of up, and the turn about it, may be off: a recursion in plain floats.

The filter follows the gyroscope and lets the low-passed accelerometer pull it back with its time constant tau. So
four things are added in squares, each as the standard uncertainty of one component of the tilt, radians:

- *static*: accelerometer bias, its temperature slope and matrix: they look like gravity and stay;
- *turned*: (uncertainty of the gyroscope's matrix) x (angle turned through lately), and what an error of the
  gyroscope's bias drags along, up to bias x tau: forgotten with tau, and less as the filter learns the bias;
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
_BIAS_STEP_S: Final = 3.0
_SURPRISE: Final = 8.0
"""95 % of squares of three deviations in their standard deviations are below (chi-squared)."""
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
    ``p`` repeats that filter's own covariance, which only sets its gain; what this gain leaves of the truth is told
    by the share that is left of the first bias, by what has wandered since, and by turns that were taken for bias.
    """

    def __init__(self, settings: dict[str, float]) -> None:
        self._growth = math.radians(0.1) ** 2 / settings["biasForgettingTime"]
        self._noise = {
            resting: math.radians(settings[name]) ** 4 / self._growth
            for resting, name in ((False, "biasSigmaMotion"), (True, "biasSigmaRest"))
        }
        self._tau_s = settings["tauAcc"]
        self._p = math.radians(settings["biasSigmaInit"]) ** 2 * _EYE
        self._left = _EYE
        self._wandered = np.zeros((3, 3))
        self._mistaken = self._followed = np.zeros(3)
        self._age_s = self._due_s = 0.0
        self._drifted_s = 0.0
        self._resting = False
        self._bias: Vector = (0.0, 0.0, 0.0)
        self.level = self.upright = TYPICAL.gyro_bias
        """Standard uncertainty of one level component and of the vertical one, rad/s."""
        self.covariance: tuple[float, ...] = (TYPICAL.gyro_bias**2,) * 3 + (0.0,) * 3

    def step(self, seconds: float, bias: Vector, up: Vector, resting: bool) -> None:
        """``bias``: as the filter has it now, rad/s."""
        if resting is not self._resting:
            if self._due_s:
                self._settle(bias, up)
            self._resting = resting
        self._age_s += seconds
        self._due_s += seconds
        if self._due_s >= _BIAS_STEP_S:
            self._settle(bias, up)

    def _drifting_s(self) -> float:
        """For how long, of its age, the low-passed accelerometer has seen the tilt drift with its full rate."""
        if self._age_s < self._tau_s:  # at first the low pass is the mean so far, which moves at half of the rate
            return 0.5 * self._age_s
        late = self._age_s / self._tau_s - 1.0
        swung = math.exp(-late) * (math.sin(late) - math.cos(late))
        return self._tau_s * (late - 0.5 * swung)

    def _settle(self, bias: Vector, up: Vector) -> None:
        # `dot` and floats: `@` of 3 x 3 costs four times as much, `np.outer`, `trace` and `norm` even more.
        due_s, vertical, bias_2 = self._due_s, np.array(up), TYPICAL.gyro_bias**2
        before_s, self._drifted_s = self._drifted_s, self._drifting_s()
        share = -math.expm1(-due_s / self._tau_s) if before_s else 1.0
        self._followed = self._followed + share * (vertical - self._followed)  # the low pass sees the pose late
        p, noise = self._p, self._noise[self._resting] / due_s * _EYE
        if self._resting:
            gain = p.dot(np.linalg.inv(p + noise))
        else:
            followed = self._followed / math.sqrt(self._followed.dot(self._followed))
            see = _EYE - followed[:, None] * followed
            gain = p.dot(see).dot(np.linalg.inv(see.dot(p).dot(see) + noise))
        self._p = p - gain.dot(p) + self._growth * due_s * _EYE
        keep = _EYE - gain
        learned = np.array(bias) - self._bias
        if self._resting:
            # Rest in a hand is not quite: a step that what is unknown does not explain was a turn, taken for bias.
            slow = TYPICAL.gyro_noise**2 / due_s * _EYE
            unknown = bias_2 * self._left.dot(self._left.T) + self._wandered + slow
            surprise = float(learned.dot(np.linalg.solve(gain.dot(unknown).dot(gain.T), learned)))
            self._mistaken = self._mistaken + (1.0 - _SURPRISE / max(surprise, _SURPRISE)) * learned
            self._left = keep.dot(self._left)
        else:
            hidden = 1.0 - (self._drifted_s - before_s) / due_s
            self._left = keep.dot(self._left) + hidden * gain
            self._mistaken = keep.dot(self._mistaken)
        self._wandered = keep.dot(self._wandered).dot(keep.T) + TYPICAL.gyro_walk**2 * due_s * _EYE
        off = bias_2 * self._left.dot(self._left.T) + self._wandered + self._mistaken[:, None] * self._mistaken
        upright_2 = float(vertical.dot(off).dot(vertical))
        (xx, xy, xz), (_, yy, yz), (_, _, zz) = off.tolist()
        self.upright = math.sqrt(upright_2)
        self.level = math.sqrt(max(xx + yy + zz - upright_2, 0.0) / 2.0)
        self.covariance = xx, yy, zz, xy, xz, yz
        self._bias, self._due_s = bias, 0.0


class _Pace(NamedTuple):
    """What only the length of a step says: it hardly ever changes. ``sine``, ``cosine``: of the low pass, damped."""

    seconds: float
    keep: float
    sine: float
    cosine: float
    rate_share: float

    @classmethod
    def of(cls, seconds: float, tau_s: float) -> _Pace:
        late, keep = seconds / tau_s, math.exp(-seconds / tau_s)
        return cls(seconds, keep, keep * math.sin(late), keep * math.cos(late), min(1.0, seconds / _RATE_S))


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
        self._pace = _Pace.of(0.0, tau_s)
        self._x = self._y = self._z = 0.0  # rotation vector turned through lately, sensor frame
        self._dragged = self._followed = 0.0
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

    def step(
        self, seconds: float, turned: Vector, up: Vector, residual_2: float, bias: Vector, resting: bool
    ) -> None:  # fmt: skip
        """``turned``: rotation vector since the last step, sensor frame, radians. ``residual_2``: squared length of
        what the accelerometer reads beside gravity, (m/s2)^2. ``bias``, ``resting``: as the filter has them."""
        x, y, z = turned
        if seconds != self._pace.seconds:
            self._pace = _Pace.of(seconds, self._tau_s)
        _, keep, _, _, share = self._pace
        self._x, self._y, self._z = self._x * keep + x, self._y * keep + y, self._z * keep + z
        self._bias.step(seconds, bias, up, resting)
        self._drag()
        self._lost *= keep
        self._acceleration_2 += (1.0 - keep) * (residual_2 - self._acceleration_2)
        self._rate_2 += share * ((x * x + y * y + z * z) / (seconds * seconds) + LEAST_RATE**2 - self._rate_2)
        self._age_s += seconds
        self._turn_s += seconds
        self._turn_x, self._turn_y, self._turn_z = self._turn_x + x, self._turn_y + y, self._turn_z + z
        self._turn_drift += self._bias.upright * seconds

    def _drag(self) -> None:
        """The low pass follows a drift: of second order, Butterworth, once it is old enough."""
        level = self._bias.level
        if self._age_s < self._tau_s:  # until then it is the mean so far: it lags by half of the time
            self._dragged, self._followed = 0.5 * level * self._age_s, 0.0
            return
        _, _, sine, cosine, _ = self._pace
        lag, slow = self._dragged - level * self._tau_s, (self._followed - level) * self._tau_s
        self._dragged = level * self._tau_s + lag * (cosine + sine) - slow * sine
        self._followed = level + (slow * (cosine - sine) + 2.0 * lag * sine) / self._tau_s

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
