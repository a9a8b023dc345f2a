"""The calibration record as bytes: sealed by whoever makes one, checked by whoever gets one.

A record is longer than a message and is carried in pieces. Its first fields say its layout, its own length and a
CRC-32 over everything after itself, so that a record of a newer minor version, which is longer, is checked whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from zlib import crc32

from nexuslink.protocol.messages import CALIBRATION_MAX, CalibrationRecord

CHECKED_FROM: Final = 8
"""record_version u16, size u16, crc32 u32 come before what the check covers."""


def seal_record(record: CalibrationRecord) -> bytes:
    """The record's bytes, with its length and check filled in."""
    sized = replace(record, size=len(record.pack()))
    return replace(sized, crc32=crc32(sized.pack()[CHECKED_FROM:])).pack()


def damage(data: bytes) -> str | None:
    """Why these bytes are not a whole record, in words; ``None``: they are. Values are not judged here."""
    record = CalibrationRecord.unpack(data)
    if record is None or len(data) > CALIBRATION_MAX:
        return f"it has {len(data)} bytes"
    if record.size != len(data):
        return f"it has {len(data)} bytes and says {record.size}"
    if crc32(data[CHECKED_FROM:]) != record.crc32:
        return "its check does not fit"
    return None
