"""Records for tests: a whole one with every field its own value, and any that the schema and good sense allow."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nexuslink.calibration.fields import LEAVES, Leaf, Path, record_of
from nexuslink.protocol.messages import CalibrationMethod, CalibrationRecord
from nexuslink.protocol.record import seal_record

SERIAL = "NX-00042"
LARGEST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


def f32(value: float) -> float:
    """As the record holds it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def record(number: int = 5, **changed: Any) -> CalibrationRecord:
    """A calibrated tool; every field that is a number differs from its neighbours."""
    values: dict[Path, Any] = {}
    for at, leaf in enumerate(LEAVES):
        small = [f32(1e-4 * (at + 1) + 1e-6 * i) for i in range(leaf.length)]
        values[leaf.path] = tuple(small) if leaf.array else small[0] if leaf.real else at
    for tip, axis in (("psoas", (0.0, 0.0, 1.0)), ("iliacus", (0.6, 0.0, 0.8))):
        at_tip = ("force", tip)
        values |= {
            (*at_tip, "zero_counts"): 12345, (*at_tip, "gain_n_per_count"): 3.3e-5,
            (*at_tip, "quadratic_per_n"): f32(1e-5), (*at_tip, "cubic_per_n2"): f32(-2e-8),
            (*at_tip, "creep_s"): (f32(3.0), f32(30.0), f32(300.0)), (*at_tip, "tip_mass_kg"): f32(0.065),
            (*at_tip, "axis"): tuple(map(f32, axis)), (*at_tip, "contact_area_mm2"): f32(1200.0),
        }  # fmt: skip
    for sensor in ("gyro", "accelerometer"):
        matrix = np.eye(3) + 0.001 * np.arange(9).reshape(3, 3)
        values[sensor, "matrix"] = tuple(f32(v) for v in matrix.ravel())
    values |= {
        ("calibration_id",): number, ("serial_number",): SERIAL, ("method",): int(CalibrationMethod.WEIGHTS),
        ("reference",): "weights of class M1", ("made_unix_s",): 1_780_000_000, ("valid_until_unix_s",): 0,
        ("temperature_c",): 25.0, ("gravity_m_s2",): f32(9.81),
    }  # fmt: skip
    return replace(record_of(values), **changed)


def sealed(made: CalibrationRecord) -> bytes:
    """Its bytes."""
    return seal_record(made)


def _values_of(leaf: Leaf) -> st.SearchStrategy[Any]:
    narrow: dict[str, st.SearchStrategy[Any]] = {
        "calibration_id": st.integers(1, 0xFFFFFFFF),
        "method": st.integers(0, 255),
        "made_unix_s": st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 1 << 36) | st.just(0),
        "temperature_c": st.floats(-40, 85, width=32),
        "gravity_m_s2": st.floats(f32(9.7), f32(9.9), width=32),
        "gain_n_per_count": st.floats(1e-9, 1.0) | st.floats(-1.0, -1e-9),
        "quadratic_per_n": st.floats(f32(-1e-4), f32(1e-4), width=32),
        "cubic_per_n2": st.floats(0.0, 1.0, width=32),
        "gain_per_k": st.floats(f32(-0.01), f32(0.01), width=32),
        "cross_talk": st.floats(-0.5, 0.5, width=32),
        "creep_s": st.tuples(*[st.floats(f32(0.1), 1e4, width=32)] * 3),
        "tip_mass_kg": st.floats(0.0, 5.0, width=32),
        "contact_area_mm2": st.floats(0.0, 1e5, width=32),
        "contact_radius_mm": st.floats(0.0, 1e3, width=32),
        "axis": st.sampled_from([(0.0, 0.0, 1.0), (f32(0.6), -0.0, f32(0.8)), (0.0, -1.0, 0.0)]),
        "matrix": st.tuples(*[st.floats(f32(-0.05), f32(0.05), width=32)] * 9).map(
            lambda off: tuple(f32(v) for v in np.eye(3).ravel() + np.array(off))
        ),
    }
    if leaf.name in narrow:
        return narrow[leaf.name]
    if leaf.base == "char":
        return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=leaf.length)
    if leaf.real:
        low = 0.0 if leaf.name.startswith("u_") else -LARGEST
        one: st.SearchStrategy[Any] = st.floats(low, LARGEST, width=32)  # without bounds many draws are void
        return st.tuples(*[one] * leaf.length) if leaf.array else one
    limits = {"u16": (0, 0xFFFF), "i32": (-(1 << 31), (1 << 31) - 1), "i64": (-(1 << 63), (1 << 63) - 1)}
    return st.integers(*limits[leaf.base])


def records() -> st.SearchStrategy[CalibrationRecord]:
    """Any record that may be used."""
    strategies = {leaf.path: _values_of(leaf) for leaf in LEAVES}
    return st.fixed_dictionaries(strategies).map(record_of)
