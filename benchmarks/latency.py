"""Bytes on a pseudo-terminal to the callback, 1000 messages a second, against a selectors loop that only reads.

Best of five rounds in turns, as p99 is about what the machine does in between.
"""

from __future__ import annotations

from benchmarks.harness import Measure, quantile
from benchmarks.ptytool import on_pty
from benchmarks.readers import bare, latencies_us, product

ROUNDS = 5
SECONDS = 1.5
PERIOD_US = 1_000


def measure() -> list[Measure]:
    """The keys ``latency.callback_*``."""
    rounds: dict[str, list[list[float]]] = {"bare": [], "product": []}
    for number in range(ROUNDS):
        for name in ("bare", "product") if number % 2 == 0 else ("product", "bare"):
            with on_pty(PERIOD_US, 1) as port:
                found = latencies_us(bare(port, SECONDS)) if name == "bare" else product(port, SECONDS)
            if len(found) < 0.5 * SECONDS * 1e6 / PERIOD_US:
                raise AssertionError(f"{name}: only {len(found)} messages in {SECONDS} s")
            rounds[name].append(found)
    best = {name: min(quantile(found, 0.99) for found in all_found) for name, all_found in rounds.items()}
    half = {name: min(quantile(found, 0.50) for found in all_found) for name, all_found in rounds.items()}
    note = "; ".join(f"{p} {of['product']:.0f} against {of['bare']:.0f} us" for p, of in (("p99", best), ("p50", half)))
    return [Measure("latency.callback_p99_vs_selectors", best["product"] / best["bare"], note=note)]
