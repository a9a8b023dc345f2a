"""hil_tests as a stranger starts them: pytest in a process of its own, on each kind of link, good and bad."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 100
QUICK = ("--nexus-seconds", "1")
SLOW = ("--force-rate", "50", "--imu-rate", "50")
"""So that what is on its way has room for seconds in which this machine does something else."""
LOSSY = "sim:?speed=max&drop=0.02"
# What a machine that does other things as well may cost in real time. Loss, overrun and order stay as strict as ever.
PATIENT = {
    "host_rate_error": (0.5, "1"), "jitter_p99_ms": (20_000, "ms"), "jitter_worst_ms": (20_000, "ms"),
    "age_p99_ms": (20_000, "ms"), "round_trip_p50_ms": (5_000, "ms"), "round_trip_p99_ms": (5_000, "ms"),
    "repeated_fraction": (1, "1"), "clock_uncertainty_ms": (5_000, "ms"), "connect_s": (60, "s"),
    "stop_tail_ms": (400, "ms"), "first_data_ms": (20_000, "ms"),
}  # fmt: skip


def start(*args: str, lean: bool = True) -> subprocess.Popen[str]:
    """``lean``: without the plugins of this environment, which cost more than the suite itself."""
    command = [sys.executable, "-m", "pytest", "hil_tests", "-p", "no:cacheprovider", *args]
    if lean:
        command += ["-p", "pytest_timeout"]
    environ = os.environ | ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if lean else {})
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
    return process.returncode, said


def failed(said: str) -> set[str]:
    return {line.split("::")[1].split(" ")[0] for line in said.splitlines() if line.startswith("FAILED ")}


@contextmanager
def served(*where: str) -> Iterator[str]:
    """A simulated tool as another process; its address."""
    command = [sys.executable, "-m", "nexuslink.cli.main", "sim", "serve", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def hil_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hil")


@pytest.fixture(scope="module")
def on_links(hil_folder: Path) -> Iterator[dict[str, tuple[int, str]]]:
    """Link -> how the suite ended on it. All run side by side: those in real time mostly wait."""
    limits = hil_folder / "patient.toml"
    limits.write_text("".join(f'[{n}]\nmax = {m}\nunit = "{u}"\nwhy = "busy host"\n' for n, (m, u) in PATIENT.items()))
    patient = (*QUICK, "--nexus-limits", str(limits))
    with served("--tcp", "127.0.0.1:0", *SLOW) as tcp, served("--pty", *SLOW) as pty:
        runs = {
            "tcp": start("--nexus-url", tcp, *patient),
            "pty": start("--nexus-url", pty, *patient),
            "sim": start("--nexus-url", "sim:?speed=max", *QUICK, lean=False),
            "lossy": start("--nexus-url", LOSSY, *QUICK, "--junitxml", str(hil_folder / "lossy.xml")),
        }
        yield {name: end(process) for name, process in runs.items()}


@pytest.mark.parametrize("link", ["sim", "tcp", "pty"])
def test_a_good_tool_passes_on(on_links: dict[str, tuple[int, str]], link: str) -> None:
    status, said = on_links[link]
    assert status == 0, said
    assert "SIM-00000 [SIMULATED] at" in said
    assert "skipped" not in said


def test_two_percent_loss_fails_in_the_test_named_for_it_and_nowhere_else(
    on_links: dict[str, tuple[int, str]], hil_folder: Path
) -> None:
    status, said = on_links["lossy"]
    assert status == 1, said
    assert failed(said) == {"test_loss"}, said
    assert "1 failed" in said
    assert "error" not in said.splitlines()[-1]
    properties = {p.get("name"): p.get("value") for p in ET.parse(hil_folder / "lossy.xml").iter("property")}
    assert 0.005 < float(properties["loss_fraction"] or "nan") < 0.05
    assert properties["loss_fraction.limit"] == "<= 0.001"
    assert properties["nexus_tool"] == "SIM-00000 [SIMULATED]"


def test_a_slow_link_and_a_bad_clock_fail_where_they_should() -> None:
    status, said = end(start("--nexus-url", "sim:?speed=max&delay=200&skew_ppm=500", "--nexus-seconds", "10",
                             "-k", "round_trip or clock or age or loss or jitter"))  # fmt: skip
    assert status == 1, said
    assert failed(said) == {
        "test_command_round_trip[idle]", "test_command_round_trip[streaming]", "test_clock",
        "test_age_of_samples_on_arrival",
    }  # fmt: skip
    assert "clock_uncertainty_ms is 100" in said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give --nexus-url URL"),
        (("--nexus-url", "sum:"), "did you mean sim"),
        (("--nexus-url", "serial:/dev/there-is-none"), "there is no such port"),
        (("--nexus-url", "sim:", "--nexus-seconds", "-3"), "'-3' is not a number of seconds"),
        (("--nexus-url", "sim:", "--nexus-limits", "LICENSE"), "LICENSE: is not TOML"),
    ],
)
def test_misuse_is_one_line_and_a_usage_error(args: tuple[str, ...], words: str) -> None:
    status, said = end(start(*args))
    assert status == 4, said
    assert sum(words in line for line in said.splitlines()) == 1
    assert "Traceback" not in said


def test_without_a_tool_the_tests_can_still_be_listed_and_other_tests_run(tmp_path: Path) -> None:
    status, said = end(start("--collect-only"))
    assert status == 0, said
    (tmp_path / "test_other.py").write_text("import sys\ndef test_light(): assert 'numpy' not in sys.modules\n")
    command = [sys.executable, "-m", "pytest", "-p", "nexuslink.testing.plugin", str(tmp_path)]
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    other = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=HANG_S, check=False)
    assert other.returncode == 0, other.stdout
