"""The judging of benchmarks: limits, slack, ratios. Nothing here measures time against a limit."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import Measure, Work, quantile, ratio, take_turns


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "verdict"),
    [
        (10.0, 10.0, True, "ok"),
        (7.5, 10.0, True, "within slack"),
        (7.4, 10.0, True, "MISSED"),
        (2.0, 2.0, False, "ok"),
        (2.5, 2.0, False, "within slack"),
        (2.6, 2.0, False, "MISSED"),
        (math.nan, 2.0, False, "MISSED"),
        (math.nan, 2.0, True, "MISSED"),
        (5.0, None, True, ""),
    ],
)
def test_verdicts(value: float, limit: float | None, at_least: bool, verdict: str) -> None:
    measure = Measure("key", value, limit, at_least)
    assert measure.verdict == verdict
    assert measure.passed == (verdict != "MISSED")


def test_a_ratio_is_taken_within_each_round() -> None:
    rates = {"a": [2.0, 20.0, 200.0], "b": [1.0, 10.0, 50.0]}  # the machine sped up; the ratio did not
    assert ratio(rates, "a", "b") == 2.0


def test_works_take_turns_in_alternating_order() -> None:
    order: list[str] = []
    works = [Work(name, lambda name=name: order.append(name), 1.0) for name in "ab"]  # type: ignore[misc]
    rates = take_turns(works, rounds=3, turn_s=1e-9)
    assert "".join(order[4:]) == "abbaab"  # each was called twice before, to warm up and to be sized
    assert [len(found) for found in rates.values()] == [3, 3]


def test_quantiles() -> None:
    assert quantile(range(100), 0.99) == 99
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert math.isnan(quantile([], 0.5))
