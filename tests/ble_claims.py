"""What devices say of themselves in advertisements, for tests of scans."""

from __future__ import annotations

from nexuslink.protocol.messages import NEXUS_SERVICE_UUID


def part(kind: int, data: bytes) -> bytes:
    """One part of an advertisement."""
    return bytes([(len(data) + 1) & 0xFF, kind]) + data


SERVICE = bytes.fromhex(NEXUS_SERVICE_UUID.replace("-", ""))[::-1]
CLAIM = part(0x01, b"\x06") + part(0x07, SERVICE)
"""What a Nexus says of itself in the advertisement."""
