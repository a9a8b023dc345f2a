"""``info``: who a tool is and what it streams."""

from __future__ import annotations

import argparse
import asyncio
import math
from typing import Final

from nexuslink.calibration.document import in_words
from nexuslink.cli.output import print_json, say
from nexuslink.cli.pairing import tell_pairing
from nexuslink.device.keeping import connection
from nexuslink.device.nexus import Nexus
from nexuslink.device.words import abilities, spoken, trouble
from nexuslink.protocol.messages import Capability, ErrorReport, StreamKind

_KINDS: Final = {int(kind): kind.name.lower() for kind in StreamKind}


def describe(nexus: Nexus, errors: tuple[ErrorReport, ...] | None) -> dict[str, object]:
    """Identity, streams and error reports of a connected tool."""
    info, fit = nexus.info, nexus.clock_fit
    return {
        "url": nexus.url, "serial_number": info.serial_number, "simulated": nexus.simulated,
        "model": info.info.model, "firmware": info.firmware_version,
        "hardware": ".".join(map(str, info.info.hardware_version)),
        "protocol": spoken(info.hello), "boot_id": f"{info.boot_id:08x}",
        "calibration_id": nexus.calibration.calibration_id, "calibration": in_words(nexus.calibration),
        "max_message": info.max_message,
        "can": abilities(info.capabilities),
        "round_trip_ms": fit.round_trip_ns / 1e6 if fit else math.nan,
        "streams": [
            {
                "stream": s.stream,
                "kind": _KINDS.get(s.kind, f"kind {s.kind}"),
                "rate_hz": s.rate_hz, "channels": sum(g.channels for g in s.groups),
            }
            for s in info.streams
        ],
        "errors": None if errors is None else [trouble(report) for report in errors],
    }  # fmt: skip


def info(args: argparse.Namespace) -> int:
    """Connect, say who it is, leave."""

    async def ask() -> dict[str, object]:
        async with connection(args.url, cache=None, watch=tell_pairing()) as nexus:  # what it says now
            keeps = Capability.ERRORS in nexus.info.capabilities
            return describe(nexus, await nexus.errors() if keeps else None)

    known = asyncio.run(ask())
    if args.json:
        print_json(known)
        return 0
    simulated = "  [SIMULATED]" if known["simulated"] else ""
    say(f"{known['serial_number']}{simulated} at {known['url']}")
    for name in ("model", "firmware", "hardware", "protocol", "boot_id", "calibration", "max_message"):
        say(f"  {name.replace('_', ' '):15} {known[name]}")
    say(f"  {'round trip':15} {known['round_trip_ms']:.2f} ms")
    streams = known["streams"]
    for s in streams if isinstance(streams, list) else []:
        say(f"  stream {s['stream']}        {s['kind']}, {s['channels']} channels at {s['rate_hz']:g} Hz")
    can, errors = known["can"], known["errors"]
    say(f"  {'can':15} {', '.join(can) if isinstance(can, list) and can else 'only stream'}")
    for error in errors if isinstance(errors, list) else []:
        say(f"  {'error':15} {error}")
    if not errors:
        say(f"  {'errors':15} {'not kept' if errors is None else 'none'}")
    return 0
