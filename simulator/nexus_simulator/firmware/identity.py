"""What a tool is when it leaves the factory, and the limits of its processor."""

from __future__ import annotations

from dataclasses import dataclass

from nexuslink.protocol.messages import BATCH_FLUSH_US, CalibrationRecord, Capability, StreamDescriptor

FIRMWARE_VERSION = (1, 0, 0)
HARDWARE_VERSION = (1, 0)
MODEL = "Core Nexus sim"
CAPABILITIES = Capability(sum(Capability))
"""Everything that the protocol knows, and SIMULATED."""
UNLOCK_CODE = 0x4E583031
"""What stands inside the base of every simulated tool."""
BATCH_US = 20_000
"""All streams send what they have this often, microseconds: under the protocol's BATCH_FLUSH_US."""
QUEUE_MAX = 64
"""Stream messages that wait for the link at most: about 0.6 s at the default rates."""
HANDLING_US = 400
"""From a request's arrival to its effect."""
ANSWERING_US = 300
"""From the effect to the answer's departure."""

assert BATCH_US <= BATCH_FLUSH_US


@dataclass(frozen=True, slots=True)
class Ranges:
    """What CONFIGURE may choose for one stream: full scales per channel group, and the scale of one count for each.

    ``choices[g]`` is a table full scale -> value of one count, of group ``g``; empty: nothing can be chosen.
    """

    channels: int
    """That the sensor has."""
    choices: tuple[dict[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """What a tool says about itself when it is switched on."""

    serial_number: str
    boot_id: int
    streams: tuple[StreamDescriptor, ...]
    ranges: tuple[Ranges, ...]
    record: CalibrationRecord
