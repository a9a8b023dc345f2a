"""What has changed between two records, and whether by more than they were sure of."""

from __future__ import annotations

import math
from dataclasses import replace

from record_samples import f32, record

from nexuslink.calibration.compare import Flag, compare
from nexuslink.calibration.convert import at_temperature


def test_nothing_has_changed() -> None:
    assert compare(record(), record()) == []
    rows = compare(record(), record(), every=True)
    assert {row.flag for row in rows} == {Flag.SAME}
    assert len(rows) > 100


def test_differences_in_units_and_in_uncertainties() -> None:
    before = record()
    tip = replace(before.force[0], u_gain=0.0003, u_zero_n=0.033, u_tip_mass_kg=0.0)
    before = replace(before, force=(tip, before.force[1]))
    moved = replace(tip, gain_n_per_count=3.3e-5 * 1.01, zero_counts=12345 + 1000, tip_mass_kg=f32(0.07))
    after = replace(before, calibration_id=6, method=1, force=(moved, before.force[1]), made_unix_s=0)
    rows = {row.field: row for row in compare(before, after)}
    assert list(rows) == [
        "calibration_id", "method", "made_unix_s", "force.psoas.zero_counts", "force.psoas.gain_n_per_count",
        "force.psoas.tip_mass_kg",
    ]  # fmt: skip
    assert (rows["method"].before, rows["method"].after) == ("weights", "factory")
    assert (rows["made_unix_s"].before, rows["made_unix_s"].after) == ("2026-05-28T20:26:40Z", None)
    gain, zero, mass = (rows[f"force.psoas.{n}"] for n in ("gain_n_per_count", "zero_counts", "tip_mass_kg"))
    assert gain.unit == "N/count" and math.isclose(gain.difference, 3.3e-7)
    assert math.isclose(gain.in_u, 0.01 / 0.0003 / math.hypot(1, 1.01), rel_tol=1e-6)
    assert gain.flag is Flag.BEYOND
    assert math.isclose(zero.in_u, 1000 / math.hypot(0.033 / 3.3e-5, 0.033 / 3.333e-5), rel_tol=1e-6)
    assert zero.flag is Flag.CHANGED
    assert math.isnan(mass.in_u) and mass.flag is Flag.CHANGED, "no uncertainty, no verdict"


def test_arrays_by_element() -> None:
    before = record()
    bias = before.gyro.bias
    after = replace(before, gyro=replace(before.gyro, bias=(bias[0], f32(bias[1] + 1.0), bias[2])))
    (row,) = compare(before, after)
    assert (row.field, row.unit, row.flag) == ("gyro.bias[1]", "rad/s", Flag.BEYOND)


def test_another_reference_temperature_alone_is_no_difference() -> None:
    before = record()
    moved = at_temperature(before, 21.5)
    assert [row.field for row in compare(before, moved)] == ["temperature_c"]
    drifted = replace(moved, force=(replace(moved.force[0], zero_n_per_k=0.5), moved.force[1]))
    assert [row.field for row in compare(before, drifted)] == ["temperature_c", "force.psoas.zero_n_per_k"]
