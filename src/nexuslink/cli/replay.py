"""``replay``: a session file through the same code again."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from nexuslink.cli.output import print_json, say
from nexuslink.live.replay import replay


def run(args: argparse.Namespace) -> int:
    """Replay and compare."""
    result = replay(Path(args.file))
    same = result.rows_identical and result.summary_identical is not False
    if args.json:
        print_json({**asdict(result), "summary": result.summary.as_dict(), "identical": same})
        return 0 if same else 1
    summary = result.summary
    say(f"{summary.site}: {summary.phase}, held {summary.held_s:.1f} of {summary.hold_s:.0f} s"
        f"{'  [SIMULATED]' if result.simulated else ''}")  # fmt: skip
    say(f"calibration {result.calibration}")
    say(f"{result.rows} rows; " + ("the same to the bit as recorded" if same else "NOT the same as recorded"))
    if result.truncated:
        say("The recording was cut before its end; everything up to there is whole.")
    return 0 if same else 1
