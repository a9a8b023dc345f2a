"""The gyroscope from being turned about by hand: recorded, ended by laying it down, judged by its own gate."""

from __future__ import annotations

import numpy as np
import pytest
from handled_tool import Person
from nexus_simulator.rig import Rig
from nexus_simulator.scripts import RigScript, script_named
from nexus_simulator.unit import make_unit

from nexuslink.calibration.convert import tool_calibration
from nexuslink.calibration.errors import ProcedureError
from nexuslink.calibration.picture import Stage
from nexuslink.calibration.procedure_gyro import LONGEST_S, GyroProcedure, imu_recording
from nexuslink.estimation.calibration import ImuScale
from nexuslink.estimation.tracking import TAU_ACC_CALIBRATED_S, filter_settings


def turned(someone: Person, begin: float, end: float) -> None:
    """As the simulated hand does it, from one second of its script to another."""
    script = script_named("turning")
    assert isinstance(script, RigScript)
    rig = Rig(script, 3)
    rig.advance(end)
    scale = someone.setting.imu
    for start in np.arange(begin, end, 0.2):
        t_imu, t_force = start + np.arange(100) / scale.rate_hz, start + np.arange(50) / 250.0
        motion, felt = rig.motion(t_imu), rig.motion(t_force)
        warm = np.full(100, 24.0)
        raw = someone.bench.imu_counts(motion.rate, motion.specific_force, warm)
        counts = someone.bench.force_counts(t_force, np.zeros((50, 2)), felt.specific_force, felt.rate, warm[:50])
        times = [np.rint((100.0 + t) * 1e6).astype(np.int64) for t in (t_force, t_imu)]
        someone.procedure.update((times[0], counts), (times[1], raw))


def test_two_minutes_of_turning_and_laid_down() -> None:
    someone = Person(GyroProcedure, seed=5)
    procedure = someone.procedure
    turned(someone, 0.0, 118.0)
    assert procedure.picture.progress_of_step > 0.8 and not procedure.complete
    turned(someone, 118.0, 140.0)
    assert procedure.complete
    procedure.conclude()
    assert procedure.accepted, procedure.reason
    made = procedure.record(someone.record, 1_780_000_000)
    assert made.method == someone.record.method
    assert made.accelerometer == someone.record.accelerometer and made.force == someone.record.force
    assert 0 < made.gyro.u_matrix < 0.003
    found = np.reshape(made.gyro.matrix, (3, 3)) @ make_unit(5).inertial.gyro.matrix
    assert np.abs(found - np.eye(3)).max() < 3.0 * made.gyro.u_matrix
    # The control: seen by the accelerometer as it is, without its calibration, everything would be turned a little.
    crooked = np.linalg.inv(np.reshape(someone.record.accelerometer.matrix, (3, 3))) @ found
    assert np.abs(crooked - np.eye(3)).max() > 3.0 * made.gyro.u_matrix
    read_back = tool_calibration(made).imu
    assert filter_settings(read_back)["tauAcc"] == TAU_ACC_CALIBRATED_S


def test_a_tool_that_only_lies_there_is_refused() -> None:
    someone = Person(GyroProcedure)
    someone.wait(25.0)
    assert not someone.procedure.complete
    someone.procedure.finish()
    someone.procedure.conclude()
    assert someone.procedure.picture.stage is Stage.REFUSED and someone.procedure.reason
    with pytest.raises(ProcedureError, match="nothing was accepted"):
        someone.procedure.record(someone.record, 0)


def test_nothing_at_all_is_refused() -> None:
    someone = Person(GyroProcedure)
    someone.procedure.finish()
    someone.procedure.conclude()
    assert someone.procedure.accepted is False and "no recording" in someone.procedure.reason


def test_missing_samples_leave_holes_and_order_is_kept() -> None:
    scale = ImuScale(500.0, 0.001, 0.01)
    t_us = np.array([0, 2000, 4001, 9999, 12000], np.int64)
    made = imu_recording(t_us, np.ones((5, 6)), scale)
    assert len(made.gyro_rad_s) == 7
    assert np.isnan(made.gyro_rad_s[[3, 4]]).all() and np.isfinite(made.gyro_rad_s[[0, 1, 2, 5, 6]]).all()
    assert made.gyro_rad_s[0, 0] == 0.001 and made.accel_m_s2[0, 0] == 0.01
    for bad in ([0, 2000, 1000, 9999, 12000], [0, 2000, 4000, 9999, int(9e6 * LONGEST_S)]):
        with pytest.raises(ProcedureError, match="not in order"):
            imu_recording(np.array(bad, np.int64), np.ones((5, 6)), scale)
