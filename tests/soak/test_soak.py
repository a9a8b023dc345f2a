"""A short soak in every test run, each kind of fault by itself, and proof that the soak can fail."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nexus_simulator.firmware.session import Session

from nexuslink.protocol.accounting import Accounting
from nexuslink.protocol.threshold import Threshold

from .host import EVERY_FAULT, MEMORY_GROWTH_MB, grown, soak

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_two_minutes_with_every_fault_at_once(seed: int) -> None:
    outcome = soak(seed, 2.0)
    assert outcome.problems == []
    assert outcome.device_s >= 120 and set(outcome.faults) >= set(EVERY_FAULT)
    counts = outcome.counts
    assert counts["sessions"] > 0 and counts["produced"] > 1000 and counts["restarts"] == 0
    assert min(counts[name] for name in ("received", "lost", "overrun", "duplicate", "late")) > 0


ALONE: list[tuple[str, dict[str, str], Callable[[Any], bool]]] = [
    ("nothing", {}, lambda c: c["lost"] == c["overrun"] == 0 and c["received"] == c["produced"] > 0),
    (
        "loss is not taken for overrun",
        {"drop": "0.05", "corrupt": "1e-4", "reorder": "0.1", "duplicate": "0.1", "delay": "0..80ms"},
        lambda c: c["lost"] > 0 == c["overrun"] == c["samples_overrun"],
    ),
    (
        "overrun is not taken for loss",
        {"stall": "1s..2.5s~4s", "interval": "8ms..90ms~5s"},
        lambda c: c["samples_overrun"] > 0 == c["samples_lost"] == c["lost"],
    ),
    ("requests only", {"request_drop": "0.2", "request_duplicate": "0.3"}, lambda c: c["lost"] == c["overrun"] == 0),
    (
        "broken links and restarts",
        {"disconnect": "~4s", "reset": "~10s", "handshake": "0.3", "jump": "-2s..2s~3s"},
        lambda c: c["settled_by_totals"] > 2,
    ),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("faults", "expected"), [row[1:] for row in ALONE], ids=[row[0] for row in ALONE])
def test_some_faults_alone(faults: dict[str, str], expected: Callable[[Any], bool], monkeypatch: Any) -> None:
    monkeypatch.setattr("soak.host.SESSION_S", (0.5, 8.0))
    monkeypatch.setattr("soak.host.LONG_SESSION_S", 12.0)
    outcome = soak(5, 0.6, faults)
    assert outcome.problems == []
    assert expected(outcome.counts), outcome.counts


def forget_the_end(counts: Accounting, mine: Any, made: int) -> None:
    """The tail of a session is not looked at."""


def take_everything(counts: Accounting, seq: int) -> bool:
    counts.counts.received += 1
    return True


def judge_nothing(threshold: Threshold) -> None:
    threshold.open = 0


def drop_silently(session: Session) -> None:
    session._queue.clear()


@pytest.mark.parametrize(
    ("place", "broken", "faults"),
    [
        pytest.param(Accounting, ("_settle_stream", forget_the_end), {"drop": "0.2"}, id="the end is forgotten"),
        pytest.param(
            Accounting,
            ("sequence", take_everything),
            {"duplicate": "0.2"},
            id="copies are taken",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            Threshold,
            ("begin", judge_nothing),
            {"reorder": "0.5", "delay": "0..90ms"},
            id="sessions run together",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            Session,
            ("abandon", drop_silently),
            {"disconnect": "~2s", "stall": "1s~2s"},
            id="silent drops",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_a_fault_of_the_program_itself_is_found(
    place: type, broken: tuple[str, Callable[..., Any]], faults: dict[str, str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("soak.host.SESSION_S", (0.5, 3.0))
    monkeypatch.setattr("soak.host.LONG_SESSION_S", 4.0)
    assert soak(3, 0.5, faults).problems == []
    monkeypatch.setattr(place, *broken)
    assert soak(3, 0.5, faults).problems != []


def test_an_exception_is_a_problem(monkeypatch: Any) -> None:
    def raising(*_: Any) -> bool:
        raise ZeroDivisionError("for the test")

    monkeypatch.setattr(Accounting, "sequence", raising)
    assert any("ZeroDivisionError" in problem for problem in soak(3, 0.1, {}).problems)


def test_growth_is_a_problem() -> None:
    assert grown([60.0, 60.0 + MEMORY_GROWTH_MB]) == [] == grown([])
    assert grown([60.0, 61.0, 61.0 + MEMORY_GROWTH_MB]) != []


def command(*args: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "simulator"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "tests.soak", *args],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.thorough
def test_the_command() -> None:
    done = command("--minutes", "0.05", "--seeds", "4", "--workers", "1", "--json", "--moments", "1")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] and [s["seed"] for s in document["seeds"]] == [4] and document["seeds"][0]["problems"] == []
    assert "seed 4: " in done.stderr and "all 1 seeds exact" in done.stderr
    assert {one["level"] for one in document["moments"]} == {"air, kept", "air, link", "cable", "process"}
    assert "4 moments: always streaming again in time, 0 leftovers" in done.stderr


@pytest.mark.parametrize(
    "args", [["--seeds", "5-1"], ["--seeds", "x"], ["--minutes", "nan"], ["--workers", "0"], ["--moments", "0"], ["x"]]
)
def test_misuse_is_one_line(args: list[str]) -> None:
    done = command(*args)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and args[-1] in done.stderr
