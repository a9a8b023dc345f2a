"""Forces, pressures, angles and their calibration: pure numpy (and vqf) in and out.

The functions for whole recordings are here; what works on live batches is in the modules.
"""

from nexuslink.estimation.selfcalibration import self_calibrate_imu
from nexuslink.estimation.tracking import ImuRecording, filter_settings, track_attitude

__all__ = ["ImuRecording", "filter_settings", "self_calibrate_imu", "track_attitude"]
