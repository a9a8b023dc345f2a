"""What leaves the factory: a tool's identity, its streams and its calibration record, from the options.

The record says what the factory measured, not what is true: see `sensors`. The fields that the simulated factory does
not measure (curve, temperature, creep, the inertial unit) say zero or the identity, as a simple bench would.
"""

from __future__ import annotations

import math

from nexus_simulator.body import GRAVITY
from nexus_simulator.firmware.identity import Identity, Ranges
from nexus_simulator.options import Options
from nexus_simulator.recorded import Recording
from nexus_simulator.sensors import (
    ACC_FULL_SCALE,
    ACC_LSB,
    ACC_RANGES,
    FORCE_CLIP_N,
    GYRO_FULL_SCALE,
    GYRO_LSB,
    GYRO_RANGES,
    NOMINAL_N_PER_COUNT,
    REFERENCE_C,
    CellRecord,
    LoadCells,
)
from nexus_simulator.takes import FORCE, IMU
from nexuslink.protocol.messages import (
    MAX_CREEP_TERMS,
    CalibrationMethod,
    CalibrationRecord,
    ChannelGroup,
    ForceCalibration,
    Quantity,
    SampleType,
    SensorCalibration,
    StreamDescriptor,
    StreamKind,
)

CALIBRATION_ID = 1
RATE_MIN_HZ, RATE_MAX_HZ = 50.0, 1000.0
_NO_GROUP = ChannelGroup(Quantity.NONE, 0, 0.0, 0.0)
_RECORDED_GYRO_FULL_SCALE = math.radians(2000.0)
_RECORDED_ACC_FULL_SCALE = 16.0 * GRAVITY
"""Ranges of a recording's unit, not in the file [assumption: the widest usual ones]."""
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_NONE = (0.0, 0.0, 0.0)


def identity_of(options: Options, recording: Recording | None, boot_id: int) -> Identity:
    """The tool of these options."""
    serial_number = f"SIM-{options.seed:05d}"
    cells = LoadCells(options.seed, 0, options.force_rate).records
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
    return Identity(serial_number, boot_id, streams, ranges, factory_record(serial_number, cells))


def factory_record(serial_number: str, cells: tuple[CellRecord, ...]) -> CalibrationRecord:
    """What the factory wrote; not sealed yet."""
    sensor = SensorCalibration(_IDENTITY, _NONE, _NONE, 0.0, 0.0)
    return CalibrationRecord(
        record_version=1,
        size=0,
        crc32=0,
        calibration_id=CALIBRATION_ID,
        serial_number=serial_number,
        method=CalibrationMethod.FACTORY,
        reference="simulated bench",
        made_unix_s=0,
        valid_until_unix_s=0,
        temperature_c=REFERENCE_C,
        gravity_m_s2=GRAVITY,
        force=tuple(_force(cell) for cell in cells),
        gyro=sensor,
        accelerometer=sensor,
    )


def _force(cell: CellRecord) -> ForceCalibration:
    zeros = (0.0,) * MAX_CREEP_TERMS
    return ForceCalibration(
        zero_counts=cell.zero_counts,
        gain_n_per_count=cell.gain_n_per_count,
        quadratic_per_n=0.0,
        cubic_per_n2=0.0,
        zero_n_per_k=0.0,
        gain_per_k=0.0,
        cross_talk=0.0,
        creep_share=zeros,
        creep_s=zeros,
        tip_mass_kg=cell.tip_mass_kg,
        tip_centre_m=_NONE,
        axis=cell.axis,
        contact_area_mm2=cell.contact_area_mm2,
        contact_radius_mm=0.0,
        overload_peak_n=0.0,
        overload_count=0,
        u_zero_n=0.0,
        u_gain=0.0,
        u_curve_n=0.0,
        u_zero_n_per_k=0.0,
        u_gain_per_k=0.0,
        u_cross_talk=0.0,
        u_creep_share=0.0,
        u_tip_mass_kg=0.0,
        u_area=0.0,
    )
