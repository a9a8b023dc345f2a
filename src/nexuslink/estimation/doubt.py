"""Why an estimate is not to be trusted: one sentence each, which says what is wrong and what to do."""

from __future__ import annotations

from enum import Enum


class Doubt(Enum):
    """The first that applies is shown; a session is marked by it, never stopped."""

    IMU_SILENT = "nothing comes from the motion sensor, the angle is unknown: check the link"
    IMU_GAP = "samples of the motion sensor are missing, the angle has drifted: hold still for some seconds"
    IMU_CLIPPED = "moved faster than the motion sensor can tell: hold still for some seconds"
    IMU_STUCK = "the motion sensor stands still: restart the tool, then have it checked"
    IMU_DISAGREES = "the motion sensors contradict each other: have the tool checked"
    RATE_MISMATCH = "the samples come at another rate than the tool says: restart the tool"
    FORCE_SATURATED = "a load cell is beyond its range: ease off"
    FORCE_STUCK = "a load cell reads the same all the time: restart the tool, then have it checked"
    TEMPERATURE_UNKNOWN = "the temperature of the load cells is not known: restart the tool"
    TEMPERATURE_OUTSIDE = "the load cells are colder than 0 or warmer than 45 °C: let the tool come to room temperature"
    NOT_CALIBRATED = "nobody knows how well the tool is calibrated: calibrate it"
