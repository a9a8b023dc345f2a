"""Counts to newtons and kilopascals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tool_samples import tool

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2
from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.force import ForceModel

CALIBRATION = tool()
WEIGHT_N = CALIBRATION.tip_mass_kg * STANDARD_GRAVITY_M_S2


def counts(force_n: float, cosine: np.ndarray) -> np.ndarray:
    """What the cells read under ``force_n`` plus the tips' own weight."""
    return np.rint((force_n + WEIGHT_N * cosine) / CALIBRATION.gain_n_per_count + CALIBRATION.zero_counts)


def test_turning_the_unloaded_tool_does_not_move_the_reading() -> None:
    model = ForceModel(CALIBRATION)
    cosine = np.cos(np.linspace(0, np.pi, 50))[:, None] * np.ones(2)
    raw = counts(0.0, cosine).astype(np.int32)
    assert np.abs(model.newtons(raw, cosine)).max() < 3e-4
    assert np.abs(model.newtons(raw, np.ones_like(cosine))).max() > 0.5  # negative control: angle ignored


@pytest.mark.parametrize("at_cosine", [1.0, 0.5])
def test_tare_holds_at_every_other_angle(at_cosine: float) -> None:
    model = ForceModel(CALIBRATION)
    drift = np.array([3000.0, -4000.0])
    there = np.full(2, at_cosine)
    model.tare(counts(0.0, there) + drift, there)
    elsewhere = np.array([[0.9, 0.2]])
    raw = (counts(25.0, elsewhere) + drift).astype(np.int32)
    assert model.newtons(raw, elsewhere) == pytest.approx(25.0, abs=3e-4)


def test_pressure_only_where_the_area_is_known_and_never_negative() -> None:
    model = ForceModel(CALIBRATION)
    kpa = model.kilopascals(np.array([[50.0, 50.0], [-2.0, 1.0]]))
    assert kpa[0, 0] == pytest.approx(100.0)  # 50 N on 500 mm2
    assert kpa[1, 0] == 0.0
    assert np.isnan(kpa[:, 1]).all()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("gain_n_per_count", np.array([0.0, 1e-4]), "gain"),
        ("gain_n_per_count", np.array([np.nan, 1e-4]), "gain"),
        ("tip_mass_kg", np.array([np.inf, 0.0]), "tip masses"),
        ("tip_mass_kg", np.array([500.0, 0.0]), "tip masses"),
        ("axis", np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 1.0]]), "unit vector"),
        ("axis", np.array([[0.0, 0.0, np.nan], [0.0, 0.0, 1.0]]), "unit vector"),
    ],
)
def test_a_record_that_would_give_nonsense_is_refused_by_name(field: str, value: np.ndarray, words: str) -> None:
    with pytest.raises(CalibrationError, match=words) as caught:
        ForceModel(replace(CALIBRATION, **{field: value}))
    assert "calibration 7" in str(caught.value)
    assert "\n" not in str(caught.value)
