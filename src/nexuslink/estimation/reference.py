"""The same calibration told from another reference temperature: nothing that it says of any reading changes.

Uncertainties do: that of a slope adds to what was known at the old reference. A calibration is best told from the
temperature at which it was made. Two records may be merged part by part only at one reference temperature.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nexuslink.estimation.calibration import Array, ToolCalibration, TriaxialCalibration


def at_temperature(calibration: ToolCalibration, temperature_c: float) -> ToolCalibration:
    """``calibration`` with ``temperature_c`` (degrees Celsius) as its reference. An unknown uncertainty stays so."""
    step_k = temperature_c - calibration.temperature_c
    if step_k == 0.0:
        return calibration
    growth = 1.0 + calibration.gain_per_k * step_k
    gain = calibration.gain_n_per_count / growth
    return replace(
        calibration,
        temperature_c=temperature_c,
        zero_counts=calibration.zero_counts + calibration.zero_n_per_k * step_k / calibration.gain_n_per_count,
        gain_n_per_count=gain,
        zero_n_per_k=calibration.zero_n_per_k / growth,
        gain_per_k=calibration.gain_per_k / growth,
        u_zero_n=_grown(calibration.u_zero_n, calibration.u_zero_n_per_k * step_k),
        u_gain=_grown(calibration.u_gain, calibration.u_gain_per_k * step_k),
        imu=replace(
            calibration.imu,
            gyro=_triaxial(calibration.imu.gyro, step_k),
            accelerometer=_triaxial(calibration.imu.accelerometer, step_k),
        ),
    )


def _grown(u: Array, by: Array) -> Array:
    return np.where(u > 0, np.hypot(u, by), 0.0)


def _triaxial(sensor: TriaxialCalibration, step_k: float) -> TriaxialCalibration:
    return replace(sensor, bias=sensor.bias + sensor.bias_per_k * step_k)
