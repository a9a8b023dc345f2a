"""From the record as it travels to the arrays that estimation works with, and back. Judges no value."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexuslink.estimation import reference
from nexuslink.estimation.calibration import ImuCalibration, ToolCalibration, TriaxialCalibration
from nexuslink.protocol.messages import CalibrationRecord, ForceCalibration, SensorCalibration

UNKNOWN_AS_ZERO: Final = ("contact_area_mm2", "contact_radius_mm")
"""0 says "unknown" in the record; here that is NaN."""
PER_TIP: Final = (
    "zero_counts", "gain_n_per_count", "quadratic_per_n", "cubic_per_n2", "zero_n_per_k", "gain_per_k", "cross_talk",
    "creep_share", "creep_s", "tip_mass_kg", "tip_centre_m", "axis", "contact_area_mm2", "contact_radius_mm",
    "u_zero_n", "u_gain", "u_curve_n", "u_zero_n_per_k", "u_gain_per_k", "u_cross_talk", "u_creep_share",
    "u_tip_mass_kg", "u_area",
)  # fmt: skip
"""Fields of the record's tips that are columns here, by the same name."""


def tool_calibration(record: CalibrationRecord) -> ToolCalibration:
    """The record's numbers as arrays."""
    columns: dict[str, NDArray[np.float64]] = {
        name: np.array([getattr(tip, name) for tip in record.force], np.float64) for name in PER_TIP
    }
    for name in UNKNOWN_AS_ZERO:
        columns[name] = np.where(columns[name] > 0, columns[name], math.nan)
    return ToolCalibration(
        calibration_id=record.calibration_id,
        temperature_c=record.temperature_c,
        gravity_m_s2=record.gravity_m_s2,
        **columns,
        imu=ImuCalibration(
            _triaxial(record.gyro),
            _triaxial(record.accelerometer),
            quality=record.gyro.u_matrix if record.gyro.u_matrix > 0 else math.nan,
        ),
    )


def with_calibration(record: CalibrationRecord, calibration: ToolCalibration) -> CalibrationRecord:
    """``record`` with the numbers of ``calibration``; who, when and against what stay."""
    tips = []
    for row, tip in enumerate(record.force):
        values: dict[str, object] = {}
        for name in PER_TIP:
            value = getattr(calibration, name)[row]
            plain = tuple(float(v) for v in value) if np.ndim(value) else float(value)
            if name in UNKNOWN_AS_ZERO and math.isnan(float(value)):
                plain = 0.0
            values[name] = plain
        values["zero_counts"] = round(float(calibration.zero_counts[row]))
        tips.append(_changed(tip, values))
    return replace(
        record,
        calibration_id=calibration.calibration_id,
        temperature_c=calibration.temperature_c,
        gravity_m_s2=calibration.gravity_m_s2,
        force=tuple(tips),
        gyro=_sensor(calibration.imu.gyro),
        accelerometer=_sensor(calibration.imu.accelerometer),
    )


def at_temperature(record: CalibrationRecord, celsius: float) -> CalibrationRecord:
    """The same calibration with another reference temperature: it gives the same newtons at every temperature."""
    if celsius == record.temperature_c:
        return record
    return with_calibration(record, reference.at_temperature(tool_calibration(record), celsius))


def _changed(tip: ForceCalibration, values: dict[str, object]) -> ForceCalibration:
    return replace(tip, **values)  # type: ignore[arg-type]  # names and types are the schema's


def _triaxial(sensor: SensorCalibration) -> TriaxialCalibration:
    return TriaxialCalibration(
        np.array(sensor.matrix, np.float64).reshape(3, 3), np.array(sensor.bias, np.float64),
        np.array(sensor.bias_per_k, np.float64), sensor.u_matrix, sensor.u_bias,
    )  # fmt: skip


def _sensor(sensor: TriaxialCalibration) -> SensorCalibration:
    def floats(values: NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(float(v) for v in values.ravel())

    return SensorCalibration(
        floats(sensor.matrix), floats(sensor.bias), floats(sensor.bias_per_k), sensor.u_matrix, sensor.u_bias
    )
