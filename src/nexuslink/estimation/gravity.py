"""Local gravity from latitude and altitude: what a known mass weighs here. Must never know a tool or a record.

Normal gravity on the WGS 84 ellipsoid by Somigliana's closed formula, carried upward by its second-order series in
height: National Imagery and Mapping Agency, TR8350.2, third edition (2000), equations 4-1 and 4-3.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2
from nexuslink.estimation.errors import CalibrationError

# WGS 84, TR8350.2 tables 3.1 to 3.4.
_AT_EQUATOR_M_S2: Final = 9.7803253359
_K: Final = 0.00193185265241
_E2: Final = 0.00669437999014
_A_M: Final = 6378137.0
_F: Final = 1.0 / 298.257223563
_M: Final = 0.00344978650684
"""omega^2 a^2 b / GM."""

U_LOCAL_M_S2: Final = 5e-4
"""Standard uncertainty of normal gravity as local gravity [assumption]: anomalies of the Earth's crust, most of which
are below 1e-3 m/s2 (100 mGal), and some hundred metres of error in the altitude at the worst."""
LOWEST_M, HIGHEST_M = -500.0, 9000.0
"""Altitudes where people live and work: anything else is a mix-up."""


class Gravity(NamedTuple):
    """``m_s2`` and its standard uncertainty ``u_m_s2``; ``source`` in words, for a record's `reference`."""

    m_s2: float
    u_m_s2: float
    source: str


UNKNOWN_PLACE: Final = Gravity(STANDARD_GRAVITY_M_S2, 0.015, "standard gravity, place not known")
"""Where no latitude was given: from 9.780 at the equator to 9.832 at the poles, as a rectangle."""


def local_gravity(latitude_deg: float, altitude_m: float = 0.0) -> Gravity:
    """Gravity at a geodetic latitude (degrees, north positive) and a height above the sea (m).

    Raises `CalibrationError` where either is not a number or cannot be one of a place on Earth.
    """
    if not (math.isfinite(latitude_deg) and abs(latitude_deg) <= 90.0):
        raise CalibrationError(f"latitude {latitude_deg:g}: give degrees from -90 (south) to 90 (north)")
    if not (math.isfinite(altitude_m) and LOWEST_M <= altitude_m <= HIGHEST_M):
        raise CalibrationError(
            f"altitude {altitude_m:g}: give metres above the sea, from {LOWEST_M:.0f} to {HIGHEST_M:.0f}"
        )
    sin2 = math.sin(math.radians(latitude_deg)) ** 2
    on_ellipsoid = _AT_EQUATOR_M_S2 * (1.0 + _K * sin2) / math.sqrt(1.0 - _E2 * sin2)
    height = altitude_m / _A_M
    there = on_ellipsoid * (1.0 - 2.0 * (1.0 + _F + _M - 2.0 * _F * sin2) * height + 3.0 * height * height)
    return Gravity(there, U_LOCAL_M_S2, f"WGS 84 normal gravity at {latitude_deg:.2f} deg, {altitude_m:.0f} m")
