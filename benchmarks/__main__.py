"""``python -m benchmarks [--json] [SECTION...]``: every section in a process of its own, a table, a verdict.

A section that fails or hangs takes nothing else with it: its limits count as missed, and the reason is shown.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module

from benchmarks.harness import SLACK, Measure

SECTION_LIMIT_S = 400.0

#: Section -> the keys it must give, with (limit, at least?).
SECTIONS: dict[str, dict[str, tuple[float, bool]]] = {
    "decode": {
        "decode.vs_ref": (0.5, True),
        "decode.every_type_vs_ref": (0.5, True),
        "decode.vs_pymavlink": (70, True),
        "decode.vs_ximu3": (6, True),
        "decode.damaged_vs_clean": (0.4, True),
    },
    "pipeline": {"pipeline.live_x": (400, True), "pipeline.replay_x": (1500, True)},
    "estimator": {"estimator.live_vs_vqf": (2.0, False), "estimator.replay_hour_s": (5, False)},
    "latency": {"latency.callback_p99_vs_selectors": (2, False)},
    "painting": {"latency.painted_p99_ms": (8, False), "cpu.window_percent": (25, False)},
    "cpu": {"cpu.client_percent_over_reader": (1, False)},
    "memory": {"memory.growth_mb": (1, False)},
    "ble": {"ble.arrival_p99_ms": (5, False), "ble.lost": (0, False)},
    "start": {"start.vs_import": (2, False)},
}


def main() -> int:
    """Exit status: 0 when every limit was kept within the slack, 1 when not, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure nexuslink, as ratios.")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, the table on stderr")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"only these of: {', '.join(SECTIONS)}")
    given = parser.parse_args()
    if given.section:
        print(json.dumps([measure.as_dict() for measure in import_module(f"benchmarks.{given.section}").measure()]))
        return 0
    unknown = [name for name in given.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are: {', '.join(SECTIONS)}")
    chosen = given.sections or list(SECTIONS)

    out = sys.stderr if given.json else sys.stdout
    print(f"{'':34}{'measured':>12}{'limit':>12}{'gate':>12}  verdict", file=out, flush=True)
    measures: list[Measure] = []
    for name in chosen:
        start = time.monotonic()
        found = _run(name)
        measures += found
        for measure in found:
            print(_row(measure), file=out, flush=True)
        print(f"  ({name}: {time.monotonic() - start:.0f} s)", file=out, flush=True)
    missed = [measure.key for measure in measures if not measure.passed]
    print(f"missed: {', '.join(missed)}" if missed else "every limit kept", file=out)
    if given.json:
        print(json.dumps(_document(measures, missed), indent=2))
    return 1 if missed else 0


def _run(section: str) -> list[Measure]:
    command = [sys.executable, "-m", "benchmarks", "--section", section]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECTION_LIMIT_S, check=False
        )
        found = [Measure(**entry) for entry in json.loads(done.stdout.splitlines()[-1])] if done.returncode == 0 else []
        reason = (done.stderr.strip().splitlines() or ["no result"])[-1]
    except subprocess.TimeoutExpired:
        found, reason = [], f"no result within {SECTION_LIMIT_S:.0f} s"
    given = {measure.key for measure in found}
    found = [
        replace(measure, limit=SECTIONS[section][measure.key][0], at_least=SECTIONS[section][measure.key][1])
        if measure.key in SECTIONS[section] else measure
        for measure in found
    ]  # fmt: skip
    for key, (limit, at_least) in SECTIONS[section].items():
        if key not in given:
            found.append(Measure(key, math.nan, limit, at_least, note=reason))
    return found


def _row(measure: Measure) -> str:
    value = f"{measure.value:.3g} {measure.unit}"
    if measure.limit is None:
        return f"  {measure.key:32}{value:>12}{'':26}{measure.note}"
    sign = ">=" if measure.at_least else "<="
    gate = measure.limit * (1 - SLACK if measure.at_least else 1 + SLACK)
    limits = f"{f'{sign} {measure.limit:g}':>12}{f'{sign} {gate:g}':>12}"
    return f"  {measure.key:32}{value:>12}{limits}  {measure.verdict:13} {measure.note}"


def _document(measures: list[Measure], missed: list[str]) -> dict[str, object]:
    """Flat: key -> figure, then what they were judged by."""
    return {
        **{measure.key: None if math.isnan(measure.value) else measure.value for measure in measures},
        "limits": {m.key: m.limit for m in measures if m.limit is not None},
        "verdicts": {m.key: m.verdict for m in measures if m.limit is not None},
        "notes": {m.key: m.note for m in measures if m.note},
        "slack": SLACK,
        "missed": missed,
    }


if __name__ == "__main__":
    sys.exit(main())
