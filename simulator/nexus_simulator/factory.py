"""What leaves the factory: a tool's identity, its streams and its calibration record, from the options.

The record says what the factory measured, not what is true: see `unit`. The gyroscope it did not measure: its matrix is
the identity, and the uncertainty 0, which says "not known".
"""

from __future__ import annotations

import math

from nexus_simulator.body import GRAVITY
from nexus_simulator.cells import FORCE_CLIP_N, NOMINAL_N_PER_COUNT, REFERENCE_C
from nexus_simulator.firmware.identity import Identity, Ranges
from nexus_simulator.inertial import ACC_FULL_SCALE, ACC_LSB, ACC_RANGES, GYRO_FULL_SCALE, GYRO_LSB, GYRO_RANGES
from nexus_simulator.options import Options
from nexus_simulator.recorded import Recording
from nexus_simulator.takes import FORCE, IMU
from nexus_simulator.unit import Unit, make_unit
from nexuslink.protocol.messages import (
    CalibrationMethod,
    CalibrationRecord,
    ChannelGroup,
    Quantity,
    SampleType,
    StreamDescriptor,
    StreamKind,
)

CALIBRATION_ID = 1
RATE_MIN_HZ, RATE_MAX_HZ = 50.0, 1000.0
_NO_GROUP = ChannelGroup(Quantity.NONE, 0, 0.0, 0.0)
_RECORDED_GYRO_FULL_SCALE = math.radians(2000.0)
_RECORDED_ACC_FULL_SCALE = 16.0 * GRAVITY
"""Ranges of a recording's unit, not in the file [assumption: the widest usual ones]."""


def identity_of(options: Options, recording: Recording | None, boot_id: int) -> Identity:
    """The tool of these options."""
    force = ChannelGroup(Quantity.FORCE_N, 2, NOMINAL_N_PER_COUNT, FORCE_CLIP_N)
    if recording is not None:
        kind, rate_hz, limits = SampleType.I32, recording.rate_hz, (recording.rate_hz, recording.rate_hz)
        gyro = ChannelGroup(Quantity.ANGULAR_RATE_RAD_S, 3, recording.gyr_lsb, _RECORDED_GYRO_FULL_SCALE)
        acc = ChannelGroup(Quantity.ACCELERATION_M_S2, 3, recording.acc_lsb, _RECORDED_ACC_FULL_SCALE)
        choices = ({gyro.full_scale: gyro.scale}, {acc.full_scale: acc.scale})
    else:
        kind, rate_hz, limits = SampleType.I16, options.imu_rate, (RATE_MIN_HZ, RATE_MAX_HZ)
        gyro = ChannelGroup(Quantity.ANGULAR_RATE_RAD_S, 3, GYRO_LSB, GYRO_FULL_SCALE)
        acc = ChannelGroup(Quantity.ACCELERATION_M_S2, 3, ACC_LSB, ACC_FULL_SCALE)
        choices = (GYRO_RANGES, ACC_RANGES)
    streams = (
        StreamDescriptor(
            FORCE, StreamKind.FORCE, SampleType.I32, options.force_rate, CALIBRATION_ID, (force, _NO_GROUP),
            0b11, RATE_MIN_HZ, RATE_MAX_HZ,
        ),
        StreamDescriptor(IMU, StreamKind.IMU, kind, rate_hz, 0, (gyro, acc), 0b111111, *limits),
    )  # fmt: skip
    ranges = (Ranges(2, ({FORCE_CLIP_N: NOMINAL_N_PER_COUNT},)), Ranges(6, choices))
    record = factory_record(options.seed, make_unit(options.seed))
    return Identity(record.serial_number, boot_id, streams, ranges, record)


def factory_record(seed: int, unit: Unit) -> CalibrationRecord:
    """What the factory wrote; not sealed yet."""
    return CalibrationRecord(
        record_version=1,
        size=0,
        crc32=0,
        calibration_id=CALIBRATION_ID,
        serial_number=f"SIM-{seed:05d}",
        method=CalibrationMethod.FACTORY,
        reference="simulated bench",
        made_unix_s=0,
        valid_until_unix_s=0,
        temperature_c=REFERENCE_C,
        gravity_m_s2=GRAVITY,
        force=unit.force,
        gyro=unit.gyro,
        accelerometer=unit.accelerometer,
    )
