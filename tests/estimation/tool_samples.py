"""A tool for tests: simple figures, every error zero unless a test says otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ToolCalibration

ZEROS = (
    "quadratic_per_n", "cubic_per_n2", "zero_n_per_k", "gain_per_k", "cross_talk", "u_zero_n", "u_gain", "u_curve_n",
    "u_zero_n_per_k", "u_gain_per_k", "u_cross_talk", "u_creep_share", "u_tip_mass_kg", "u_area",
)  # fmt: skip


def tool(**changed: Any) -> ToolCalibration:
    """Gains of 1e-4 and 2e-4 N/count, tips of 60 and 30 g, 500 mm2 and an unknown area, axes 37 degrees apart."""
    values: dict[str, Any] = {name: np.zeros(2) for name in ZEROS} | {
        "calibration_id": 7, "temperature_c": 25.0, "gravity_m_s2": STANDARD_GRAVITY_M_S2,
        "zero_counts": np.array([1000.0, -500.0]), "gain_n_per_count": np.array([1e-4, 2e-4]),
        "creep_share": np.zeros((2, 3)), "creep_s": np.zeros((2, 3)),
        "tip_mass_kg": np.array([0.06, 0.03]), "tip_centre_m": np.zeros((2, 3)),
        "axis": np.array([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]]),
        "contact_area_mm2": np.array([500.0, np.nan]), "contact_radius_mm": np.full(2, np.nan),
    }  # fmt: skip
    return ToolCalibration(**values | changed)
