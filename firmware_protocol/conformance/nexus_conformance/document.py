"""The requirements as Markdown, in firmware_protocol/docs/requirements.md: ``python -m nexus_conformance.document``."""

from __future__ import annotations

import sys
from itertools import groupby

from nexus_conformance.requirement import Consent, Requirement
from nexus_conformance.suite import REQUIREMENTS

_HEAD = """# What a tool must do

Every requirement that `nexuslink conformance URL` checks. This page is the output of
`python -m nexus_conformance.document`: do not edit it. An id is never given twice and never changes its meaning.
Messages and constants are explained in [reference.md](reference.md). "Needs" names capability bits without which a
requirement does not apply, and what the person must allow: `--write` writes the tool's own calibration record again
and clears its error reports, `--reset` restarts the tool.

```
nexuslink conformance serial:/dev/ttyACM0                    # a check a line: verdict, id, what was seen
nexuslink conformance serial:/dev/ttyACM0 --write --reset    # everything
nexuslink conformance tcp:127.0.0.1:4810 --only NX-STR       # what begins with NX-STR
nexuslink conformance URL --junit report.xml --json          # for CI
nexuslink conformance sim:?defect=dead-seq                   # a tool that is wrong on purpose
```

Exit status: 0 all passed, 1 some failed, 2 no run (misuse, no link, nobody answers). The link should lose nothing:
what is lost on the way is found as a fault of the tool. UNLOCK's code is given with `--code`.
"""
_NOUNS = {
    "VER": "Versions and identity", "FRM": "Frames", "CTL": "Requests and responses", "DSC": "Description",
    "CLK": "The device clock", "STR": "The stream", "SES": "Sessions", "TAR": "Tare", "CFG": "Configuration",
    "CAL": "The calibration record", "HAP": "Motor", "LGT": "Light", "SLF": "Self-test", "ERR": "Error reports",
    "LOG": "Log", "RST": "Restart", "RUN": "The whole run",
}  # fmt: skip


def markdown() -> str:
    """The document."""
    parts = [_HEAD]
    for noun, rows in groupby(REQUIREMENTS, key=lambda r: r.id.split("-")[1]):
        parts.append(f"\n## {_NOUNS[noun]}\n\n| Id | Requirement | About | Needs |\n|---|---|---|---|\n")
        parts += [f"| {r.id} | {r.sentence} | {r.source} | {_needs(r)} |\n" for r in rows]
    return "".join(parts)


def _needs(requirement: Requirement) -> str:
    bits = [bit.name or "" for bit in requirement.needs]
    options = [f"`--{consent}`" for consent in requirement.consents if consent is not Consent.NOTHING]
    return ", ".join([*bits, *options, *(["a byte stream"] if requirement.framed else [])])


if __name__ == "__main__":
    sys.stdout.write(markdown())
