"""The contact model against Johnson's formulas, and its uncertainty against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tool_samples import tool

from nexuslink.estimation.pressure import FLAT_PEAK, HERTZ_PEAK, TISSUES, ContactModel

FLAT = tool()
ROUNDED = tool(
    contact_area_mm2=np.array([1200.0, 320.0]), contact_radius_mm=np.array([30.0, 12.0]), u_area=np.full(2, 0.03)
)
FORCES = np.array([[0.5, 0.5], [5.0, 5.0], [60.0, 40.0], [110.0, 110.0]])


def test_pressure_only_where_the_area_is_known_and_never_negative() -> None:
    model = ContactModel(FLAT)
    kpa = model.kilopascals(np.array([[50.0, 50.0], [-2.0, 1.0]]))
    assert kpa[0, 0] == pytest.approx(100.0)  # 50 N on 500 mm2
    assert kpa[1, 0] == 0.0
    for unknown in (kpa, model.peak_kilopascals(FORCES), model.u_kilopascals(FORCES, np.ones((4, 2)))):
        assert np.isnan(unknown[:, 1]).all()


@pytest.mark.parametrize("tip", [0, 1])
def test_a_rounded_tip_follows_hertz_until_its_face_is_buried(tip: int) -> None:
    model = ContactModel(ROUNDED)
    radius, modulus = (0.030, 0.012)[tip], (30e3, 60e3)[tip]
    for force in (1e-4, 3.0, 60.0):
        a = (3 * force * radius / (4 * modulus)) ** (1 / 3)
        area = ((math.pi * a * a) ** -2 + (ROUNDED.contact_area_mm2[tip] * 1e-6) ** -2) ** -0.5
        got = model.kilopascals(np.full((1, 2), force))[0, tip]
        assert got == pytest.approx(1e-3 * force / area, rel=1e-9)
    faint, heavy = np.full((1, 2), 1e-7), np.full((1, 2), 1e5)
    assert (model.peak_kilopascals(faint) / model.kilopascals(faint))[0, tip] == pytest.approx(HERTZ_PEAK, rel=1e-2)
    assert (model.peak_kilopascals(heavy) / model.kilopascals(heavy))[0, tip] == pytest.approx(FLAT_PEAK, rel=1e-2)


def test_its_uncertainty_is_that_of_draws() -> None:
    """Tissue, area and force drawn: 93 to 97 % lie within 1.96 u."""
    rng = np.random.default_rng(5)
    model, u_force = ContactModel(ROUNDED), np.full((1, 2), 0.3)
    for force in FORCES[1:]:
        within = []
        for _ in range(2000):
            modulus = np.array([t.modulus_pa * math.exp(t.spread * rng.standard_normal()) for t in TISSUES])
            area = ROUNDED.contact_area_mm2 * (1 + 0.03 * rng.standard_normal(2)) * 1e-6
            hertz = math.pi * (0.75 * force * np.array([0.030, 0.012]) / modulus) ** (2 / 3)
            true = 1e-3 * force * np.sqrt(hertz**-2 + area**-2)
            seen = (force + 0.3 * rng.standard_normal(2))[None]
            within.append(np.abs(model.kilopascals(seen) - true) < 1.96 * model.u_kilopascals(seen, u_force))
        assert 0.93 <= np.mean(within) <= 0.97


def test_at_rest_the_uncertainty_is_finite_and_small() -> None:
    model = ContactModel(ROUNDED)
    u = model.u_kilopascals(np.array([[0.0, -1.0], [1e-9, 1e-3]]), np.full((2, 2), 0.01))
    assert np.isfinite(u).all()
    assert u.max() < 1.5 * model.kilopascals(np.full((1, 2), 0.01)).max()
