"""``doctor``: what this machine has, what it lacks, and one line on how to mend each lack; with a tool, its link too.

Like its checks it starts with the standard library alone.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from nexuslink.cli.checks import CHECKS, Check, Finding, State
from nexuslink.cli.output import print_json, say
from nexuslink.cli.pairing import tell_pairing

if TYPE_CHECKING:
    from nexuslink.device.nexus import Nexus
    from nexuslink.protocol.messages import ErrorReport

STREAM_S: Final = 2.0
ROUND_TRIPS: Final = 50


def run(args: argparse.Namespace) -> int:
    """Every check, then the tool if one is named. 0: nothing needed is missing; 1: something is."""
    checks = dict(CHECKS)
    if args.device is not None:
        _check_address(args.device)
        checks["tool"] = lambda: check_device(args.device)
    rows = [row for name, check in checks.items() for row in _guarded(name, check)]
    if args.json:
        print_json([asdict(row) for row in rows])
    else:
        width = max(len(row.name) for row in rows)
        for row in rows:
            say(f"{row.state:<7}  {row.name:<{width}}  {row.found}")
            if row.mend:
                say(f"{'':7}  {'':<{width}}  -> {row.mend}")
        missing = [row.name for row in rows if row.state is State.MISSING]
        say("")
        say(f"missing: {', '.join(missing)}" if missing else "nothing that is needed is missing")
    return 1 if any(row.state is State.MISSING for row in rows) else 0


def _check_address(url: str) -> None:
    """A mistyped address is misuse of this command, said before anything else. What cannot be judged is left."""
    try:
        from nexuslink.device.keeping import meant
        from nexuslink.transport.errors import UrlError
    except ImportError:  # a package is missing: the table will say which
        return
    try:
        meant(url)
    except ImportError:
        return
    except UrlError as error:
        if not isinstance(error.__cause__, ImportError):
            raise


def _guarded(name: str, check: Check) -> list[Finding]:
    """A check that fails is a finding: doctor is what is started when nothing else works."""
    try:
        return check()
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return [Finding(name, State.MISSING, f"cannot be checked ({text})", "mend the lines above first")]


def check_device(url: str) -> list[Finding]:
    """Connect, ask who it is, two seconds of stream, some round trips."""
    import asyncio

    import numpy as np

    from nexuslink.device.errors import DeviceError
    from nexuslink.device.keeping import connection
    from nexuslink.protocol.messages import Capability
    from nexuslink.testing.observation import Exchanges, Observation, ask_often, observe
    from nexuslink.transport.errors import TransportError

    async def examine() -> tuple[Nexus, Exchanges, Observation, tuple[ErrorReport, ...] | None]:
        async with connection(url, cache=None, watch=tell_pairing()) as nexus:  # what it says now
            trips, _ = await ask_often(nexus, ROUND_TRIPS)
            seen = await observe(nexus, STREAM_S)
            keeps = Capability.ERRORS in nexus.info.capabilities
            return nexus, trips, seen, await nexus.errors() if keeps else None

    try:
        nexus, trips, seen, errors = asyncio.run(examine())
    except (TransportError, DeviceError, TimeoutError) as error:
        return [Finding("tool", State.MISSING, " ".join(str(error).split()), "mend that, then start doctor again")]
    rows = _who_it_is(nexus, errors)
    for log in seen.streams:
        wanted, rate = log.descriptor.rate_hz, log.host_rate_hz
        good = abs(rate - wanted) <= 0.02 * wanted
        rows.append(Finding(f"{log.name} rate", State.OK if good else State.MISSING,
                            f"{rate:.1f} Hz of {wanted:g}" if not math.isnan(rate) else "nothing came",
                            "" if good else "switch the tool off and on; if it stays, run hil_tests"))  # fmt: skip
    lossless = seen.lost_messages == 0 and seen.received_messages > 0
    loss = f"{seen.lost_messages} of {seen.lost_messages + seen.received_messages} messages lost"
    mend = "" if lossless else "try another cable or port, and close other programs"
    rows.append(Finding("loss", State.OK if lossless else State.WARN, loss, mend))
    if trips.round_trip_ms.size:
        p50, p99 = np.percentile(trips.round_trip_ms, (50, 99)).tolist()
        slow = "" if p50 <= 20 else "set the port's latency timer to 1 ms"
        rows.append(Finding("round trip", State.WARN if slow else State.OK, f"{p50:.1f} ms, p99 {p99:.1f} ms", slow))
    else:
        rows.append(Finding("round trip", State.WARN, "every request had to be repeated", "try another cable or port"))
    return rows


def _who_it_is(nexus: Nexus, errors: tuple[ErrorReport, ...] | None) -> list[Finding]:
    """What the tool says about itself."""
    from nexuslink.device.words import abilities, spoken, trouble
    from nexuslink.protocol.messages import SCHEMA_HASH

    info = nexus.info
    mark = " [SIMULATED]" if nexus.simulated else ""
    hardware = ".".join(map(str, info.info.hardware_version))
    versions = f"{info.info.model}, firmware {info.firmware_version}, hardware {hardware}"
    same = info.hello.schema_hash == SCHEMA_HASH
    mend = "" if same else "update what is older; until then only what both know is used"
    rows = [
        Finding("tool", State.OK, f"{info.serial_number}{mark}, {versions}, at {nexus.url}"),
        Finding("protocol", State.OK if same else State.WARN, spoken(info.hello), mend),
        Finding("tool can", State.OK, ", ".join(abilities(info.capabilities)) or "only stream"),
    ]
    if not errors:
        return [*rows, Finding("tool errors", State.OK, "not kept by this tool" if errors is None else "none")]
    mend = "switch it off and on; tell whoever makes its firmware if that comes again"
    return [*rows, *(Finding("tool errors", State.WARN, trouble(report), mend) for report in errors)]
