"""What a tool says about itself, in words; whatever it says."""

from __future__ import annotations

import pytest
from scripted_tool import hello

from nexuslink.device.words import abilities, spoken, trouble
from nexuslink.protocol.messages import SCHEMA_HASH, Capability, ErrorCode, ErrorReport, HelloResponse


def said(minor: int, schema_hash: int) -> str:
    return spoken(HelloResponse(1, minor, schema_hash, 0, "NX", 0, 244))


def test_versions() -> None:
    assert said(0, SCHEMA_HASH) == "1.0"
    assert said(3, 5) == "1.3, newer than this program's 1.0"
    assert said(0, 5) == "1.0, but not quite this program's 1.0"
    assert len(hello()) == len(HelloResponse(1, 0, 0, 0, "", 0, 0).pack())


def test_abilities() -> None:
    assert abilities(0) == abilities(Capability.SIMULATED) == []
    assert abilities(Capability.TARE | Capability.SELF_TEST | Capability.SIMULATED) == ["tare", "self test"]
    assert abilities(Capability.HAPTIC | 0x8100_0000) == ["haptic", "0x1000000", "0x80000000"]
    assert len(abilities(0xFFFFFFFF)) == 31


@pytest.mark.parametrize("code", [*ErrorCode, 0, 999, 0xFFFF])
def test_troubles(code: int) -> None:
    line = trouble(ErrorReport(2_500_000, code, 1, 7))
    assert line.endswith(" at 2.5 s after its start") and "{" not in line
    assert ("error" in line) == (code not in set(ErrorCode))
    assert ", 3 times, last at" in trouble(ErrorReport(2_500_000, code, 3, -7))
