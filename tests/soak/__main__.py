"""``./run soak``: many seeds, an hour of device time each, on all processors. Exit status 1 where anything is wrong."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields

from .host import Outcome, heed_no_interrupt, soak

SHOWN = 10
"""Problems of one seed that are printed."""


def seeds_of(text: str) -> list[int]:
    """``1-20``, ``3`` or ``1,5,9``."""
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or int(high or low) < int(low):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds: write 1-20, 3 or 1,5,9")
        seeds += range(int(low), int(high or low) + 1)
    return seeds


def minutes_of(text: str) -> float:
    """Device time."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0.05 <= minutes <= 1440.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: 0.05 to 1440 minutes")
    return minutes


def workers_of(text: str) -> int:
    """Processes at once."""
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: 1 to 256")
    return int(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"soak: {message}; try --help\n")


def line_of(outcome: Outcome) -> str:
    """What one seed came to."""
    counts = outcome.counts
    memory = f", {outcome.memory_mb[-1] - outcome.memory_mb[0]:+.1f} MB" if len(outcome.memory_mb) > 1 else ""
    return (
        f"seed {outcome.seed}: {outcome.device_s / 60:.1f} min, {counts['connections']} connections, "
        f"{counts['sessions']} sessions ({counts['broken']} broken, {counts['wrapped']} wrapped); messages: "
        f"{counts['received']} received + {counts['lost']} lost + {counts['overrun']} overrun = {counts['produced']}; "
        f"samples: {counts['samples_received']} + {counts['samples_lost']} + {counts['samples_overrun']} = "
        f"{counts['samples_produced']}{memory}: {f'{len(outcome.problems)} PROBLEMS' if outcome.problems else 'ok'}"
    )


def plain(outcome: Outcome) -> dict[str, object]:
    """For JSON."""
    return {field.name: getattr(outcome, field.name) for field in fields(outcome)}


def main(argv: list[str] | None = None) -> int:
    """Run them all; the exit status."""
    parser = _Parser(prog="./run soak", description="The real host on a simulated tool with every fault at once.")
    parser.add_argument("--minutes", type=minutes_of, default=60.0, help="device time of each seed (default 60)")
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-20"), help="default 1-20")
    parser.add_argument("--workers", type=workers_of, default=os.cpu_count() or 1, help="default: one a processor")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    args = parser.parse_args(argv)

    began = time.monotonic()
    outcomes: list[Outcome] = []
    # A process to a seed, and never a second one in it: memory is judged.
    context = multiprocessing.get_context("spawn")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ProcessPoolExecutor(args.workers, context, heed_no_interrupt, max_tasks_per_child=1) as pool:
        try:
            for done in as_completed([pool.submit(soak, seed, args.minutes) for seed in args.seeds]):
                outcomes.append(done.result())
                _say(line_of(outcomes[-1]))
                for problem in outcomes[-1].problems[:SHOWN]:
                    _say(f"  {problem}")
        except BrokenProcessPool:
            done_seeds = {outcome.seed for outcome in outcomes}
            left = [str(seed) for seed in args.seeds if seed not in done_seeds]
            _say(f"a process was killed from outside (memory?); not done: {','.join(left)}")
            return 1
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            _say(f"interrupted; {len(outcomes)} seeds were done")
            return 130
    outcomes.sort(key=lambda outcome: outcome.seed)
    bad = [outcome.seed for outcome in outcomes if outcome.problems]
    struck: Counter[str] = Counter()
    for outcome in outcomes:
        struck.update(outcome.faults)
    _say("faults struck: " + ", ".join(f"{name} {n}" for name, n in struck.items()))
    verdict = f"problems with seeds {', '.join(map(str, bad))}" if bad else f"all {len(outcomes)} seeds exact"
    _say(f"{verdict}; {time.monotonic() - began:.0f} s")
    if args.json:
        document = {"minutes": args.minutes, "ok": not bad, "faults": struck, "seeds": [plain(o) for o in outcomes]}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 1 if bad else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
