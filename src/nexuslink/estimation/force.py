"""Counts of the load cells to newtons on the tips: the model of `calibration`, undone step by step.

Theory of operation. Up to cross-talk every step is a polynomial of the counts: so the powers of the counts, the
accelerometer and a one are rows of a feature matrix, and one matrix product with coefficients that change only with
temperature, tare and zero gives the crept loads and the tips' weights. What the tip weighs *and* how it is flung about
is its mass times the specific force that the accelerometer measures along its axis: no attitude is needed. Creep is
taken out by a linear recursion (`creep_filter`). For a batch of one short length all of that is one matrix, from the
features of all its samples and the lags before to the forces and the lags after: live it costs one product.
The powers are of counts and not of newtons to save a pass; 64-bit floats hold the cube of 24 bits with room to spare.

It must never know a stream, a message or a clock: times are the tool's, handed in.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation.calibration import CREEP_TERMS, TIP_NAMES, ToolCalibration
from nexuslink.estimation.creep_filter import CACHED, CreepFilter, used_terms
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.force_uncertainty import (
    SLOW_CREEP_S,
    U_THERMOMETER_K,
    ForceUncertainty,
    Tared,
    curve_share,
)
from nexuslink.estimation.squares import sum_of_squares

__all__ = ["ForceModel", "curve_share"]

Array = NDArray[np.float64]
Counts = NDArray[np.signedinteger] | NDArray[np.float64]

COLDEST_C: Final = 0.0
WARMEST_C: Final = 45.0
"""Within these a record must make sense; outside, force is doubted."""
LEAST_N, MOST_N = -50.0, 280.0
"""Within these the curve must rise [assumption: somewhat more than a cell of 222 N can read]."""
STILL_RAD_S: Final = 0.05
"""At this rate a tip's swing about the inertial unit pulls with 0.01 mN: below it is not worked out, live."""
_STILL_2: Final = STILL_RAD_S**2
OLD_LOAD_N: Final = 5.0
"""A first reading below this is a zero that has drifted; above, a load that has just been put on [assumption]."""
_MOST_GAPS: Final = 64
"""In one batch; with more of them its times are not to be believed."""


multiply: Final = np.multiply
_three_floats: Final[Callable[..., tuple[Any, ...]]] = struct.Struct("3d").unpack_from
_ROW_BYTES: Final = 24
LAGS: Final = CREEP_TERMS + 1
"""Lags of each tip that are followed: the record's and a slow one, for the uncertainty."""
_BOTH_LAGS: Final = 2 * LAGS


class _Work:
    """Matrix and buffers for batches of one short length ``n``.

    ``vector``: counts (n, 2), for a curve their squares and cubes, specific force (n, 3), a one, and the lags before;
    ``dot`` of it: the lags after, then forces (n, 2).
    """

    __slots__ = ("accel", "counts", "cubes", "dot", "flat", "lags", "squares", "vector")

    def __init__(self, n: int, curved: bool, matrix: Array) -> None:
        samples = 2 * n
        powers = samples * (3 if curved else 1)
        self.vector = np.ones(powers + 3 * n + 1 + 2 * LAGS)
        self.flat, self.squares, self.cubes = (self.vector[at * samples : (at + 1) * samples] for at in range(3))
        self.counts = self.flat.reshape(n, 2)
        self.accel = self.vector[powers : powers + 3 * n].reshape(n, 3)
        self.lags = self.vector[powers + 3 * n + 1 :]
        self.dot = matrix.dot


class ForceModel:
    """Both tips of one tool at one rate. Batch boundaries change nothing beyond rounding."""

    def __init__(self, calibration: ToolCalibration, rate_hz: float) -> None:
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise CalibrationError(f"a force stream of {rate_hz} samples a second")
        _check(calibration)
        self._calibration, self._rate_hz = calibration, rate_hz
        self._per_us = rate_hz * 1e-6
        self._curved = bool(calibration.quadratic_per_n.any() or calibration.cubic_per_n2.any())
        own, other = 1.0 / (1.0 - calibration.cross_talk.prod()), calibration.cross_talk
        self._apart = own * np.array([[1.0, -other[0]], [-other[1], 1.0]])
        self._mass_axis = calibration.tip_mass_kg[:, None] * calibration.axis
        self._creep = [_creep_of(calibration, tip, rate_hz) for tip in range(2)]
        self.lags: Array = np.zeros(2 * LAGS)
        """(2 x 4,) what `lags_n` is made of. Later batches leave it as it is."""
        self._settled = False
        """The lags have a beginning."""
        self.last_us = math.nan
        """Time of the latest sample; NaN before the first one."""
        self._last: Array = np.zeros((1, 2))
        """The force of the latest batch."""
        self._pulled: Array = np.zeros((1, 3))
        """The specific force of the latest batch."""
        self._work: dict[int, _Work] = {}
        """By length, for the coefficients of now."""
        self._swing = calibration.tip_mass_kg * (calibration.axis * calibration.tip_centre_m).sum(axis=1)
        lever = calibration.tip_mass_kg[:, None] * np.cross(calibration.tip_centre_m, calibration.axis)
        self._of_gyro = np.concatenate([self._mass_axis, calibration.tip_centre_m, lever * rate_hz]).T.copy()
        """(3, 6), what a swing is made of: along each axis, along each centre, about each lever."""
        self._centred = not calibration.tip_centre_m.any()
        self._gyro: Array | None = None
        self._temperature_c, self._u_temperature_k = math.nan, 0.0
        self._tare_n, self._zero_shift_n = np.zeros(2), np.zeros(2)
        self._tared: Tared | None = None
        self._refresh()

    # -- what changes now and then --------------------------------------------------------------------------------

    @property
    def tare_n(self) -> Array:
        """(2,) newtons taken off since the last `tare`, without what the zero was shifted by later."""
        return self._tare_n

    @property
    def zero_shift_n(self) -> Array:
        """(2,) newtons that the zero has been followed by since the last `tare`."""
        return self._zero_shift_n

    @property
    def tared(self) -> bool:
        """A tare has been taken."""
        return self._tared is not None

    @property
    def temperature_c(self) -> float:
        """As it was last set; NaN before."""
        return self._temperature_c

    def set_temperature(self, celsius: float, u_k: float = U_THERMOMETER_K) -> None:
        """Of the load cells, from now on. What is not a number is not a temperature."""
        if math.isfinite(celsius) and (celsius, u_k) != (self._temperature_c, self._u_temperature_k):
            self._temperature_c, self._u_temperature_k = celsius, u_k
            self._refresh()

    def tare(self, mean_counts: Array, specific_force: Array) -> None:
        """Call the present load zero: ``mean_counts`` (2,) measured unloaded under ``specific_force`` (3,) m/s2.

        The tips' weight and the creep that is still there are no part of the zero.
        """
        weight = self._mass_axis @ specific_force
        measured = self._calibration.gain_n_per_count * (mean_counts - self._calibration.zero_counts)
        if not self._settled:  # before the first sample
            self.lags, self._settled = np.repeat(weight, LAGS), True
        for _ in range(2):  # what is taken off was no load, and left no creep: that changes the tare a little
            tare = measured - self._expected(weight + self._creep_n())
            self._forget(tare - self._tare_n - self._zero_shift_n)
            self._tare_n, self._zero_shift_n = tare, np.zeros(2)
        self._tared = Tared(self._temperature_c, np.array(specific_force), self.lags_n)
        self._refresh()

    def shift_zero(self, newtons: Array) -> None:
        """Take (2,) ``newtons`` more off: the zero was seen to have moved by that."""
        self._zero_shift_n = self._zero_shift_n + newtons
        self._forget(newtons)
        self._refresh()

    def _refresh(self) -> None:
        """The coefficients of the features."""
        c = self._calibration
        warmth = self._temperature_c - c.temperature_c if math.isfinite(self._temperature_c) else 0.0
        self._warmth = warmth
        span = 1.0 + c.gain_per_k * warmth
        a = c.gain_n_per_count / span
        b = -(c.gain_n_per_count * c.zero_counts + self._tare_n + self._zero_shift_n + c.zero_n_per_k * warmth) / span
        q, k = c.quadratic_per_n, c.cubic_per_n2
        # x = a counts + b in x + q x^2 + k x^3, sorted by powers of the counts.
        powers = [b + q * b**2 + k * b**3, a * (1.0 + 2.0 * q * b + 3.0 * k * b**2), a**2 * (q + 3.0 * k * b), a**3 * k]
        crept = np.zeros((2, 10 if self._curved else 6))
        crept[:, 0:2] = self._apart * powers[1]
        crept[:, 5] = self._apart @ powers[0]
        if self._curved:
            crept[:, 6:8], crept[:, 8:10] = self._apart * powers[2], self._apart * powers[3]
        weight = np.zeros_like(crept)
        weight[:, 2:5] = self._mass_axis
        self._rows = np.concatenate([crept, weight])  # the weight creeps too, and comes off after
        self._work = {}
        self.uncertainty = ForceUncertainty(c, self._rate_hz, self._temperature_c, self._u_temperature_k, self._tared)

    def _expected(self, crept: Array) -> Array:
        """(2,) newtons that the cells would measure, before tare and zero, under a ``crept`` load."""
        c = self._calibration
        felt = crept + c.cross_talk * crept[::-1]
        x = felt
        for _ in range(4):  # Newton's method from the line, which is close
            slope = 1.0 + x * (2.0 * c.quadratic_per_n + 3.0 * c.cubic_per_n2 * x)
            x = x - (x + x * x * (c.quadratic_per_n + c.cubic_per_n2 * x) - felt) / slope
        return np.asarray(x * (1.0 + c.gain_per_k * self._warmth) + c.zero_n_per_k * self._warmth)

    def _creep_n(self) -> Array:
        """(2,) newtons of creep in the reading."""
        share = np.stack([creep.share for creep in self._creep])
        return np.asarray((share * self.lags_n).sum(axis=1))

    def _forget(self, newtons: Array) -> None:
        self.lags = self.lags - np.repeat(newtons, LAGS)

    # -- every batch ----------------------------------------------------------------------------------------------

    @property
    def lags_n(self) -> Array:
        """(2, 4) how much of the load each lag has followed so far, the slow one last; newtons."""
        return self.lags.reshape(2, LAGS)

    @property
    def creep_left_n(self) -> float:
        """Newtons, standard uncertainty, by which creep may be wrong on either tip now."""
        return float(self.uncertainty.creep_n(self.lags_n).max())

    def newtons(self, t_us: NDArray[np.int64], raw: Counts, specific_force: Array, gyro: Array | None = None) -> Array:
        """Consecutive samples, n > 0: ``t_us`` (n,), ``raw`` (n, 2) counts -> (n, 2) contact force, newtons.

        ``specific_force``: (n, 3) m/s2 and ``gyro``: (n, 3) rad/s, calibrated, at those times.
        """
        until_us = t_us.item(-1)
        n = len(raw)
        if not -0.5 < (until_us - self.last_us) * self._per_us - n < 0.5:
            force = self._with_gaps(t_us, raw, specific_force)
        elif n > CACHED:
            force = self._long_piece(raw, specific_force)
        else:
            force = self._piece(raw, specific_force)
        self.last_us, self._pulled = until_us, specific_force
        if gyro is not None and not self._centred:
            if n > CACHED:
                turning_2 = sum_of_squares(gyro)
            else:
                x, y, z = _three_floats(gyro, (n - 1) * _ROW_BYTES)  # two thirds of three times item()
                turning_2 = x * x + y * y + z * z
            if turning_2 > _STILL_2:
                force = force - self._swung(gyro)
            self._gyro = gyro
        self._last = force
        return force

    def _piece(self, raw: Counts, specific_force: Array) -> Array:
        """Up to `CACHED` consecutive samples without a gap."""
        work = self._work.get(len(raw))
        if work is None:
            work = self._work[len(raw)] = self._work_of(len(raw))
        work.counts[...] = raw
        work.accel[...] = specific_force
        if self._curved:
            multiply(work.flat, work.flat, work.squares)
            multiply(work.squares, work.flat, work.cubes)
        work.lags[...] = self.lags
        made: Array = work.dot(work.vector)  # a new array each time: its parts are handed out
        self.lags = made[:_BOTH_LAGS]
        return made[_BOTH_LAGS:].reshape(-1, 2)

    def _work_of(self, n: int) -> _Work:
        """What of each feature of each sample gets into the lags and the forces."""
        size = 2 * LAGS + 2 * n
        of_crept, of_weight, of_lags = np.zeros((size, n, 2)), np.zeros((size, n, 2)), np.zeros((size, 2 * LAGS))
        for tip, creep in enumerate(self._creep):
            lags = slice(tip * LAGS, (tip + 1) * LAGS)
            of_crept[2 * LAGS + tip :: 2, :, tip], of_lags[2 * LAGS + tip :: 2, lags] = creep.matrices(n)[:2]
            of_crept[lags, :, tip], of_lags[lags, lags] = creep.matrices(n)[2:]
            of_weight[2 * LAGS + tip :: 2, :, tip] = -np.eye(n)
        crept = self._rows[:2]
        powers = [crept[:, 0:2], crept[:, 6:8], crept[:, 8:10]] if self._curved else [crept[:, 0:2]]
        columns = [of_crept @ power for power in powers] + [of_weight @ self._mass_axis]
        constant = of_crept.sum(axis=1) @ crept[:, 5:6]
        matrix = np.concatenate([*(c.reshape(size, -1) for c in columns), constant, of_lags], axis=1)
        return _Work(n, self._curved, matrix)

    def _long_piece(self, raw: Counts, specific_force: Array) -> Array:
        """Consecutive samples without a gap, as they come from a file."""
        parts = self._rows.dot(self._features(raw, specific_force))
        force = np.empty((2, len(raw)))
        for tip, creep in enumerate(self._creep):
            creep.lags = self.lags_n[tip]
            np.subtract(creep.remove(parts[tip]), parts[2 + tip], out=force[tip])
        self.lags = np.concatenate([creep.lags for creep in self._creep])
        return force.T

    def _features(self, raw: Counts, specific_force: Array) -> Array:
        """(k, n): counts, specific force, ones, and for a curve squares and cubes of the counts."""
        features = np.ones((len(self._rows[0]), len(raw)))
        counts = features[:2]
        counts[...], features[2:5] = raw.T, specific_force.T
        if self._curved:
            multiply(counts, counts, features[6:8])
            multiply(features[6:8], counts, features[8:10])
        return features

    def _settle(self, raw: Counts, specific_force: Array) -> None:
        """Before the first sample, (1, 2) and (1, 3), a cell has long borne the weight of its tip."""
        parts = self._rows.dot(self._features(raw, specific_force))[:, 0]
        crept, weight = parts[:2], parts[2:]
        before = np.where(np.abs(crept - weight) < OLD_LOAD_N, crept, weight)
        for tip, creep in enumerate(self._creep):
            creep.settle(float(before[tip]))
        self._settled = True
        self.lags = np.concatenate([creep.lags for creep in self._creep])

    def _wait(self, gap_s: float) -> None:
        """Samples are missing: the load counts as the last one meanwhile."""
        load = self._last[-1] + self._mass_axis @ self._pulled[-1]
        for tip, creep in enumerate(self._creep):
            creep.lags = self.lags_n[tip]
            creep.wait(gap_s, float(load[tip]))
        self.lags = np.concatenate([creep.lags for creep in self._creep])

    def _with_gaps(self, t_us: NDArray[np.int64], raw: Counts, specific_force: Array) -> Array:
        """Piece by piece, with the time between the pieces gone by for the creep."""
        if not self._settled:
            self._settle(raw[:1], specific_force[:1])
        times = t_us.astype(np.float64)  # differences of hostile times do not overflow
        period_us = 1.0 / self._per_us
        since = np.diff(times, prepend=times[0] - period_us if math.isnan(self.last_us) else self.last_us)
        gaps = np.flatnonzero(since > 1.5 * period_us).tolist()
        if len(gaps) > _MOST_GAPS:
            gaps = []
        pieces: list[Array] = []
        for begin, end in pairwise(sorted({0, *gaps, len(raw)})):
            if begin in gaps:
                self._wait((float(since[begin]) - period_us) * 1e-6)
            piece = self._long_piece if end - begin > CACHED else self._piece
            pieces.append(piece(raw[begin:end], specific_force[begin:end]))
            self._last, self._pulled = pieces[-1], specific_force[begin:end]
        return np.concatenate(pieces)

    def _swung(self, gyro: Array) -> Array:
        """(n, 2) newtons by which the tips' mass pulls because it turns about the inertial unit."""
        before = gyro[:1] if self._gyro is None else self._gyro[-1:]
        parts = gyro.dot(self._of_gyro)
        pull = parts[:, 0:2] * parts[:, 2:4]
        pull -= np.einsum("ij,ij->i", gyro, gyro)[:, None] * self._swing
        pull += parts[:, 4:6]
        pull[1:] -= parts[:-1, 4:6]
        pull[0] -= before[0].dot(self._of_gyro[:, 4:6])
        return np.asarray(pull)


def _creep_of(calibration: ToolCalibration, tip: int, rate_hz: float) -> CreepFilter:
    share, time_s = used_terms(calibration.creep_share[tip], calibration.creep_s[tip])
    return CreepFilter(share, time_s, 1.0 / rate_hz, [SLOW_CREEP_S] * (LAGS - len(share)))


def _check(c: ToolCalibration) -> None:
    """Refuse what would divide by zero, invert a sign or is no number."""

    def refuse(what: str) -> None:
        raise CalibrationError(f"calibration {c.calibration_id}: {what}; calibrate the tool again")

    norm = np.linalg.norm(c.axis, axis=1)
    for tip, name in enumerate(TIP_NAMES):
        if not (math.isfinite(c.gain_n_per_count[tip]) and c.gain_n_per_count[tip] > 0):
            refuse(f"a gain of {c.gain_n_per_count[tip]:g} N/count, {name} tip")
        if not abs(c.tip_mass_kg[tip]) < 10:
            refuse(f"tip masses {c.tip_mass_kg.tolist()} kg")
        if not abs(norm[tip] - 1.0) < 1e-3:
            refuse(f"the axis of the {name} tip is not a unit vector")
        for field in ("zero_counts", "quadratic_per_n", "cubic_per_n2", "zero_n_per_k", "gain_per_k", "cross_talk",
                      "tip_centre_m"):  # fmt: skip
            if not np.isfinite(getattr(c, field)[tip]).all():
                refuse(f"{field} of the {name} tip is not a number")
        x = np.linspace(LEAST_N, MOST_N, 100)
        if (1.0 + x * (2.0 * c.quadratic_per_n[tip] + 3.0 * c.cubic_per_n2[tip] * x)).min() < 0.2:
            refuse(f"the curve of the {name} tip turns back within its range")
        spans = [1.0 + c.gain_per_k[tip] * (t - c.temperature_c) for t in (COLDEST_C, WARMEST_C)]
        if not math.isfinite(c.temperature_c) or min(spans) < 0.2:
            refuse(f"the gain of the {name} tip vanishes with temperature")
        try:
            used_terms(c.creep_share[tip], c.creep_s[tip])
        except CalibrationError as error:
            refuse(f"{name} tip, {error}")
    if not abs(c.cross_talk).max() < 0.5:
        refuse(f"a cross-talk of {c.cross_talk.tolist()}")
