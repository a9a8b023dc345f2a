"""The commands as a person or a script runs them: real processes, real files, a served simulator."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from at_a_terminal import PROGRAM, painted
from test_misuse import nexuslink

from nexuslink.release.plans import load_plan, plan_text

FAST = "sim:?script=good-psoas&speed=max&seed=1"


def release(url: str, folder: Path, site: str = "psoas-left") -> tuple[int, dict[str, object]]:
    """One hold with ``--json``."""
    ran = nexuslink("release", site, "--device", url, "--json", "--sessions", str(folder))
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)


def short_plan(folder: Path) -> str:
    """A plan file with a hold of five seconds."""
    path = folder / "short.toml"
    path.write_text(plan_text(replace(load_plan("psoas-left"), hold_s=5.0)))
    return str(path)


def test_a_good_hold_by_its_figures(tmp_path: Path) -> None:
    status, result = release(FAST, tmp_path)
    assert status == 0
    assert result["phase"] == "done"
    assert result["held_s"] == pytest.approx(60, abs=0.01)
    assert float(str(result["in_band_fraction"])) > 0.95
    assert 0 < float(str(result["force_rms_error_n"])) < 0.5
    assert 0 < float(str(result["angle_rms_error_deg"])) < 1.5
    assert result["lost_messages"] == 0
    assert result["simulated"] is True
    assert Path(str(result["session_file"])).is_file()


def test_too_hard_is_stopped_in_time_and_the_tool_knows(tmp_path: Path) -> None:
    status, result = release(FAST.replace("good-psoas", "too-hard"), tmp_path)
    assert status == 1
    assert (result["phase"], result["stop_reason"]) == ("stopped", "over-force")
    assert 0 <= float(str(result["stop_delay_ms"])) <= 100
    assert result["told_tool"] is True


def test_lost_link_is_shown_in_time_and_replays(tmp_path: Path) -> None:
    status, result = release(FAST.replace("good-psoas", "lost-link"), tmp_path)
    assert status == 1
    assert result["stop_reason"] == "link-lost"
    assert float(str(result["silence_shown_after_s"])) <= 2.0
    ran = nexuslink("replay", str(result["session_file"]), "--json")
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["identical"] is True


def test_the_same_seed_gives_the_same_hold(tmp_path: Path) -> None:
    same, plan = ("held_s", "mean_force_n", "peak_force_n", "duration_s"), short_plan(tmp_path)
    _, first = release(FAST, tmp_path, plan)
    _, second = release(FAST, tmp_path, plan)
    _, other = release(FAST.replace("seed=1", "seed=2"), tmp_path, plan)
    assert [first[k] for k in same] == [second[k] for k in same]
    assert first["mean_force_n"] != other["mean_force_n"]


def test_scan_always_offers_the_simulated_tool_and_says_so() -> None:
    ran = nexuslink("scan", "--json")
    assert ran.returncode == 0
    assert [t["url"] for t in json.loads(ran.stdout) if t["simulated"]] == ["sim:?script=good-psoas"]
    assert "[SIMULATED]" in nexuslink("scan").stdout


def test_info_and_stream_say_simulated() -> None:
    assert json.loads(nexuslink("info", "sim:", "--json").stdout)["simulated"] is True
    text = nexuslink("info", "sim:").stdout
    assert "[SIMULATED]" in text
    for line in ("firmware        1.", "hardware        1.", "protocol        1.0\n", "can             tare, "):
        assert f"  {line}" in text
    assert "  errors          none\n" in text
    ran = nexuslink("stream", FAST, "--seconds", "2", "--json")
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0
    assert 50 < len(rows) < 200
    assert all(row["simulated"] and len(row["force_n"]) == 2 for row in rows)
    assert rows[-1]["t_us"] - rows[0]["t_us"] >= 1_900_000


def test_a_stream_into_a_closed_pipe_ends_quietly() -> None:
    script = f"{sys.executable} -m nexuslink.cli.main stream '{FAST}' --seconds 20 | head -n 1"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""


def test_a_stream_that_falls_silent_ends_with_one_line() -> None:
    ran = nexuslink("stream", FAST.replace("good-psoas", "lost-link"), "--json")
    assert ran.returncode == 2
    assert ran.stdout.count("\n") > 100
    assert "no force data for 5 s" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_record_writes_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.mcap"
    ran = nexuslink("record", FAST, "--seconds", "3", "--out", str(path), "--json")
    assert ran.returncode == 0, ran.stderr
    assert 700 < json.loads(ran.stdout)["rows"] < 900
    replayed = nexuslink("replay", str(path))
    assert replayed.returncode == 2
    assert "has no hold" in replayed.stderr
    again = nexuslink("record", FAST, "--seconds", "3", "--out", str(path))
    assert again.returncode == 2
    assert "already there" in again.stderr


@contextmanager
def served(*words: str) -> Iterator[str]:
    """``sim serve`` as a process of its own; yields the line in which it says where it is."""
    process = subprocess.Popen([*PROGRAM, "sim", "serve", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        assert ready, "the server says nothing"
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_a_simulator_in_another_process_over_tcp() -> None:
    port = free_port()
    with served("--tcp", f"127.0.0.1:{port}"):
        known = json.loads(nexuslink("info", f"tcp:127.0.0.1:{port}", "--json").stdout)
        assert known["simulated"] is True
        rows = nexuslink("stream", f"tcp:127.0.0.1:{port}", "--seconds", "1", "--json").stdout.splitlines()
        assert json.loads(rows[-1])["lost_messages"] == 0


def test_a_simulator_in_another_process_over_a_pty() -> None:
    with served("--pty") as line:
        port = next(word for word in line.replace("serial:", " ").split() if word.startswith("/dev/"))
        known = json.loads(nexuslink("info", f"serial:{port}", "--json").stdout)
        assert known["simulated"] is True
        rows = nexuslink("stream", f"serial:{port}", "--seconds", "1", "--json").stdout.splitlines()
        assert json.loads(rows[-1])["lost_messages"] == 0


def test_ctrl_c_stops_the_hold_tells_the_tool_and_finishes_the_file(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "release", "psoas-left", "--device", "sim:", "--json", "--sessions", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell that starts the tests in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("*.part")) and time.monotonic() < deadline:
        select.select([], [], [], 0.05)
    select.select([], [], [], 2.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    result = json.loads(out)
    assert result["stop_reason"] == "user", err
    assert result["told_tool"] is True
    assert nexuslink("replay", result["session_file"]).returncode == 0
    assert not list(tmp_path.glob("*.part"))


def test_a_terminal_gets_live_bars_and_a_file_gets_lines(tmp_path: Path) -> None:
    words = ["release", short_plan(tmp_path), "--device", FAST, "--sessions", str(tmp_path)]
    plain = nexuslink(*words)
    assert plain.returncode == 0
    assert "\x1b" not in plain.stdout
    assert "Good. Stay here." in plain.stdout
    assert "[SIMULATED]" in plain.stdout
    assert "Done. Come off slowly." in plain.stdout
    text = painted(words)
    assert "\x1b[2K" in text
    assert "[SIMULATED]" in text
    assert "█" in text
