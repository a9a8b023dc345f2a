"""Local gravity against published values of the formula and against measured places."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nexuslink.estimation.errors import CalibrationError
from nexuslink.estimation.gravity import UNKNOWN_PLACE, local_gravity


def test_normal_gravity_at_sea_level_is_that_of_tr8350_2() -> None:
    """At the equator, at the poles, and in the mean over the ellipsoid: table 3.4 of the report."""
    assert local_gravity(0.0).m_s2 == pytest.approx(9.7803253359, abs=1e-10)
    assert local_gravity(90.0).m_s2 == pytest.approx(9.8321849378, abs=2e-10)
    latitude = np.linspace(-90.0, 90.0, 3601)
    sin, cos = np.sin(np.radians(latitude)), np.cos(np.radians(latitude))
    area = cos / (1.0 - 0.00669437999014 * sin**2) ** 2
    gravity = np.array([local_gravity(float(one)).m_s2 for one in latitude])
    assert float(gravity @ area / area.sum()) == pytest.approx(9.7976432222, abs=2e-8)
    assert gravity == pytest.approx(gravity[::-1], abs=1e-12)


def test_gravity_falls_with_height() -> None:
    """The free-air gradient is 3.086e-6 m/s2 per metre at mid latitudes."""
    fall = local_gravity(45.0).m_s2 - local_gravity(45.0, 1000.0).m_s2
    assert fall == pytest.approx(3.086e-3, rel=1e-3)
    # The exact field a long way above the equator, from GM/r^2, J2 and the rotation: the series must not drift off.
    r, a, gm, j2, omega = 6378137.0 + 9000.0, 6378137.0, 3.986004418e14, 1.0826298e-3, 7.292115e-5
    exact = gm / r**2 * (1.0 + 1.5 * j2 * (a / r) ** 2) - omega**2 * r
    assert local_gravity(0.0, 9000.0).m_s2 == pytest.approx(exact, abs=1e-4)


def test_its_uncertainty_is_said_and_an_unknown_place_is_less_sure() -> None:
    here = local_gravity(47.4, 400.0)
    assert 0 < here.u_m_s2 < UNKNOWN_PLACE.u_m_s2
    assert abs(UNKNOWN_PLACE.m_s2 - local_gravity(0.0).m_s2) < 2.0 * UNKNOWN_PLACE.u_m_s2
    assert abs(UNKNOWN_PLACE.m_s2 - local_gravity(90.0).m_s2) < 2.0 * UNKNOWN_PLACE.u_m_s2
    assert "47.40" in here.source and "400 m" in here.source


@pytest.mark.parametrize(
    ("latitude", "altitude", "names"),
    [
        (90.5, 0.0, "latitude 90.5"), (-400.0, 0.0, "latitude -400"), (math.nan, 0.0, "latitude nan"),
        (math.inf, 0.0, "latitude inf"), (47.4, 20_000.0, "altitude 20000"), (47.4, -600.0, "altitude -600"),
        (47.4, math.nan, "altitude nan"), (5_250_000.0, 400.0, "degrees"),
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_refused_in_one_line(latitude: float, altitude: float, names: str) -> None:
    with pytest.raises(CalibrationError) as error:
        local_gravity(latitude, altitude)
    assert names in str(error.value) and "\n" not in str(error.value)
