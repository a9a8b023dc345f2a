"""INFO and DESCRIBE: what the tool says about itself makes sense, and its checksum is true."""

from __future__ import annotations

import math
from typing import Final

from nexus_conformance.checks.facts import capabilities, description_crc, info, record, streams
from nexus_conformance.host import Host
from nexus_conformance.requirement import Failed, Requirement, need
from nexus_conformance.session import sample_size
from nexuslink.protocol.messages import (
    DATA_HEADER,
    PROTOCOL_MINOR,
    CalibrationRecord,
    Capability,
    InfoResponse,
    Opcode,
    Quantity,
    StreamDescriptor,
    StreamKind,
)

VENDOR_BITS: Final = 0xFF000000
VENDORS_FROM: Final = 0x80
KNOWN_BITS: Final = sum(Capability)


async def _info(host: Host) -> str:
    """Every field within its range."""
    told = await host.demand(Opcode.INFO, InfoResponse)
    problem = told.problem()
    need(problem is None, f"INFO: {problem}")
    need(bool(told.model) and "?" not in told.model, f"INFO: the model {told.model!r} is no name in ASCII")
    version = ".".join(map(str, told.firmware_version))
    return f"{told.model}, firmware {version}, {told.stream_count} streams, record of {told.calibration_size} bytes"


async def _capabilities(host: Host) -> str:
    """Only bits that mean something."""
    bits = (await info(host)).capabilities
    later = (await host.fresh()).protocol_minor > PROTOCOL_MINOR
    strange = bits & ~KNOWN_BITS & ~VENDOR_BITS
    need(later or not strange, f"capabilities {bits:#010x}: bits {strange:#010x} mean nothing in this version")
    return f"capabilities {bits:#010x}"


async def _descriptors(host: Host) -> str:
    """Every stream is described in full."""
    wrong = []
    for number, d in (await streams(host)).items():
        channels = sum(group.channels for group in d.groups)
        used = [group for group in d.groups if group.channels]
        truths = {
            f"stream is {d.stream}": d.stream == number,
            f"kind is {d.kind}": d.kind in set(StreamKind) or d.kind >= VENDORS_FROM,
            f"sample_type is {d.sample_type}": sample_size(d) > 0,
            f"rate_hz is {d.rate_hz}": math.isfinite(d.rate_hz) and d.rate_hz > 0.0,
            f"{channels} channels, mask {d.channel_mask:#x}": 0 < channels == d.channel_mask.bit_count(),
            "a scale or full_scale is not above zero": all(g.scale > 0.0 and g.full_scale > 0.0 for g in used),
            "a quantity is unknown": all(g.quantity in set(Quantity) or g.quantity >= VENDORS_FROM for g in d.groups),
            "a used group has no quantity": all(g.quantity != Quantity.NONE for g in used),
        }
        wrong += [f"stream {number}: {what}" for what, true in truths.items() if not true]
    need(not wrong, "; ".join(wrong))
    return ", ".join(_said(d) for d in (await streams(host)).values())


async def _rates(host: Host) -> str:
    """The present rate is among those that CONFIGURE takes."""
    said = []
    for number, d in (await streams(host)).items():
        evidence = f"stream {number}: {d.rate_hz:g} Hz of {d.rate_min_hz:g} to {d.rate_max_hz:g}"
        need(0.0 < d.rate_min_hz <= d.rate_hz * (1 + 1e-6) and d.rate_hz <= d.rate_max_hz * (1 + 1e-6), evidence)
        said.append(evidence)
    return ", ".join(said)


async def _fits(host: Host) -> str:
    """A message holds one sample at least."""
    size = (await host.fresh()).max_message
    for number, d in (await streams(host)).items():
        one = DATA_HEADER.size + sample_size(d)
        need(one <= size, f"stream {number}: one sample makes a message of {one} bytes, max_message is {size}")
    return f"one sample of each stream fits {size} bytes"


async def _calibration_id(host: Host) -> str:
    """Streams, INFO and the record name the same calibration."""
    wanted = (await info(host)).calibration_id
    content = CalibrationRecord.unpack(await record(host))
    if content is None:
        raise Failed("the calibration record is too short to have an id")
    ids = {"the record": content.calibration_id}
    ids |= {f"stream {n}": d.calibration_id for n, d in (await streams(host)).items() if d.calibration_id}
    wrong = [f"{who} says {id_}" for who, id_ in ids.items() if id_ != wanted]
    need(not wrong and wanted != 0, f"INFO says calibration {wanted}, {', '.join(wrong) or 'which is never an id'}")
    return f"INFO, {', '.join(ids)}: calibration {wanted}"


async def _crc(host: Host) -> str:
    """A host may keep what it has under this value."""
    said = (await host.fresh()).description_crc
    true = await description_crc(host)
    evidence = f"HELLO says description_crc {said:#010x}, what the tool describes gives {true:#010x}"
    need(said == true, evidence)
    return evidence


def _said(d: StreamDescriptor) -> str:
    channels = sum(group.channels for group in d.groups)
    return f"stream {d.stream}: {channels} channels at {d.rate_hz:g} Hz"


async def _same(host: Host) -> str:
    """Asked twice, told twice the same."""
    able = await capabilities(host)
    again = await host.demand(Opcode.INFO, InfoResponse)
    need(again.capabilities == able and again == await info(host), "INFO is not what it was at the first asking")
    return "INFO is what it was at the first asking"


REQUIREMENTS: Final = (
    Requirement("NX-DSC-001", "INFO is whole, each field within its range.", "InfoResponse", _info),
    Requirement(
        "NX-DSC-002", "Capability bits that are neither known nor a vendor's are 0.", "Capability", _capabilities
    ),
    Requirement(
        "NX-DSC-003",
        "DESCRIBE names number, kind, type, rate, channels and scale of every stream.",
        "StreamDescriptor",
        _descriptors,
    ),
    Requirement(
        "NX-DSC-004",
        "A stream's rate is one that CONFIGURE takes.",
        "StreamDescriptor",
        _rates,
        needs=Capability.CONFIGURE,
    ),
    Requirement("NX-DSC-005", "One sample of every stream fits a message.", "HelloResponse", _fits),
    Requirement(
        "NX-DSC-006",
        "INFO, the record, and each stream that has one name the same calibration id, never 0.",
        "InfoResponse",
        _calibration_id,
    ),
    Requirement(
        "NX-DSC-007",
        "description_crc is the CRC-32 over INFO, DESCRIBE of every stream, and the record.",
        "HelloResponse",
        _crc,
    ),
    Requirement("NX-DSC-008", "INFO does not change by itself.", "InfoResponse", _same),
)
