"""Part of one record into another, and the reference temperature on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from record_samples import record

from nexuslink.calibration.compare import compare
from nexuslink.calibration.convert import at_temperature
from nexuslink.calibration.errors import MergeError
from nexuslink.calibration.merge import PARTS, merge
from nexuslink.protocol.messages import CalibrationRecord, ForceCalibration


def other_record() -> CalibrationRecord:
    """Another calibration of the same tool, different in every part."""
    base = record(9)
    tips = tuple(
        replace(t, zero_counts=-5, u_zero_n=0.5, gain_n_per_count=3.4e-5, tip_mass_kg=0.5, u_gain=0.5)
        for t in base.force
    )
    gyro, accelerometer = (replace(sensor, bias=(1.0, 2.0, 3.0)) for sensor in (base.gyro, base.accelerometer))
    return replace(
        base, force=tips, gyro=gyro, accelerometer=accelerometer, reference="others", gravity_m_s2=9.75
    )  # fmt: skip


TOUCHED = {
    "zero": ["force.psoas.zero_counts", "force.psoas.u_zero_n", "force.iliacus.zero_counts", "force.iliacus.u_zero_n"],
    "psoas": [f"force.psoas.{name}" for name in ("zero_counts", "gain_n_per_count", "u_zero_n", "u_gain")],
    "iliacus": [f"force.iliacus.{name}" for name in ("zero_counts", "gain_n_per_count", "u_zero_n", "u_gain")],
    "geometry": ["force.psoas.tip_mass_kg", "force.iliacus.tip_mass_kg"],
    "accelerometer": [f"accelerometer.bias[{i}]" for i in range(3)],
    "gyro": [f"gyro.bias[{i}]" for i in range(3)],
    "validity": ["reference", "gravity_m_s2"],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_and_nothing_else(part: str) -> None:
    base = record()
    assert [row.field for row in compare(base, merge(base, other_record(), [part]))] == TOUCHED[part]


def test_all_parts_are_everything_but_the_identity() -> None:
    base, other = record(), other_record()
    assert merge(base, other, PARTS) == replace(other, calibration_id=base.calibration_id)


def test_what_is_refused() -> None:
    base = record()
    with pytest.raises(MergeError, match="'zeros': write one or more of zero, psoas, iliacus, geometry"):
        merge(base, base, ["zeros"])
    with pytest.raises(MergeError, match="parts none"):
        merge(base, base, [])
    foreign = replace(other_record(), serial_number="NX-7")
    with pytest.raises(MergeError, match="one record is of NX-00042, the other of NX-7"):
        merge(base, foreign, ["gyro"])
    merged = merge(base, foreign, ["gyro"], other_tool=True)
    assert (merged.serial_number, merged.gyro) == (base.serial_number, foreign.gyro)


def newtons(tip: ForceCalibration, reference_c: float, counts: np.ndarray, celsius: float) -> np.ndarray:
    """The model of the head comment of `estimation.calibration`, written out again."""
    th = celsius - reference_c
    measured = (counts - tip.zero_counts) * tip.gain_n_per_count
    x = (measured - tip.zero_n_per_k * th) / (1 + tip.gain_per_k * th)
    return np.asarray(x + tip.quadratic_per_n * x**2 + tip.cubic_per_n2 * x**3)


@pytest.mark.parametrize("celsius", [0.0, 25.0, 40.0])
def test_another_reference_temperature_gives_the_same_newtons(celsius: float) -> None:
    tip = replace(record().force[0], zero_n_per_k=0.05, gain_per_k=0.002)
    before = replace(record(), force=(tip, tip))
    moved = at_temperature(before, 10.0)
    counts = np.linspace(-1e6, 4e6, 50)
    assert moved.temperature_c == 10.0
    apart = newtons(moved.force[0], 10.0, counts, celsius) - newtons(tip, 25.0, counts, celsius)
    assert np.abs(apart).max() < 3.3e-5, "less than a count"
    unmoved = newtons(replace(tip), 10.0, counts, celsius) - newtons(tip, 25.0, counts, celsius)
    assert np.abs(unmoved).max() > 0.1, "or this test could not fail"
    for old, new in ((before.gyro, moved.gyro), (before.accelerometer, moved.accelerometer)):
        at_old = np.array(old.bias) + np.array(old.bias_per_k) * (celsius - 25.0)
        at_new = np.array(new.bias) + np.array(new.bias_per_k) * (celsius - 10.0)
        assert np.allclose(at_old, at_new)
    assert moved.force[0].u_zero_n > before.force[0].u_zero_n
    assert at_temperature(moved, 10.0) is moved


def test_what_is_merged_is_moved_to_the_reference_temperature_first() -> None:
    base, other = record(), replace(other_record(), temperature_c=10.0)
    merged = merge(base, other, ["psoas", "gyro"])
    assert merged.temperature_c == 25.0
    assert merged.gyro == at_temperature(other, 25.0).gyro != other.gyro
