"""Why an estimate is not to be trusted: one sentence each, which says what is wrong and what to do."""

from __future__ import annotations

from enum import Enum


class Doubt(Enum):
    """The first that applies is shown; a session is marked by it, never stopped."""

    IMU_SILENT = "no samples of the inertial unit: the angle is unknown; check the link"
    IMU_GAP = "samples of the inertial unit are missing: the angle has drifted; hold still for some seconds"
    IMU_CLIPPED = "the inertial unit was moved beyond its range: the angle needs some seconds of rest"
    IMU_STUCK = "a channel of the inertial unit stands still: restart the tool, then have it checked"
    IMU_DISAGREES = "gyroscope and accelerometer disagree, as with swapped axes or a wrong scale: have the tool checked"
    RATE_MISMATCH = "the samples' times do not fit the rate that the tool names: restart the tool"
    FORCE_SATURATED = "a load cell is beyond its range: ease off"
    FORCE_STUCK = "a load cell reads the same value all the time: restart the tool, then have it checked"
    TEMPERATURE_UNKNOWN = "the temperature of the load cells is not known: let the tool report its status"
    TEMPERATURE_OUTSIDE = "the load cells are colder or warmer than 0 to 45 degC: let the tool come to room temperature"
    NOT_CALIBRATED = "the calibration record names no uncertainty: calibrate the tool"
