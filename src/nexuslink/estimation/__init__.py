"""Forces, pressures, angles and their calibration: pure numpy (and vqf) in and out.

The functions for whole recordings are here; what works on live batches is in the modules.
"""

from nexuslink.estimation.creep import fit_creep, remove_creep
from nexuslink.estimation.selfcalibration import self_calibrate_imu
from nexuslink.estimation.tracking import ImuRecording, filter_settings, track_attitude

__all__ = [
    "ImuRecording", "filter_settings", "fit_creep", "remove_creep", "self_calibrate_imu", "track_attitude",
]  # fmt: skip
