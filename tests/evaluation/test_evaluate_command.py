"""``nexuslink evaluate``: what it prints, what it writes, and every misuse in one line with exit status 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation.evaluation_samples import turning, write
from real_data import attitude_files

from nexuslink.cli.main import main
from nexuslink.evaluation.peers import NOT_INSTALLED, PEERS

ALONE = ("--processes", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings of one sensor and one of another, which is not in the list."""
    for name in ("a", "b", "c"):
        write(tmp_path / "trials" / f"{name}.npz")
    (tmp_path / "trials" / "sensors.json").write_text(json.dumps({"note": "n", "D1": ["a", "b", "gone"]}))
    return tmp_path / "trials"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    try:
        status: object = main([str(word) for word in words])
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    assert err.count("\n") == 1, err
    return err


def test_attitude_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, "evaluate", "attitude", folder, "--json", "--peers", "vqf", *ALONE))
    assert [e["name"] for e in said["estimators"]] == ["nexuslink", "vqf"]
    assert said["recordings"] == ["a", "b", "c"] and said["calibrations"] == []
    ours, vqf = said["estimators"]
    assert ours["mean"]["rmse_deg"] == pytest.approx(vqf["mean"]["rmse_deg"], abs=0.01)  # uncalibrated
    assert ours["causal"] and 0 < ours["recordings"]["a"]["rmse_deg"] < 1


def test_a_refused_calibration_is_told_and_scored_as_without(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rocking about one axis says nothing about the others: the gate must refuse it, and say what to do."""
    words = ("evaluate", "attitude", folder, "--calibrate-from", folder, "--peers", "vqf", *ALONE)
    said = json.loads(run(capsys, *words, "--json"))
    (fit,) = said["calibrations"]
    assert (fit["sensor"], fit["recordings"], fit["accepted"]) == ("D1", ["a", "b"], False) and fit["reason"]
    ours, calibrated, _ = said["estimators"]
    assert calibrated["uncalibrated"] == ["a", "b", "c"] and said["unknown_names"] == ["gone"]
    assert calibrated["recordings"]["a"]["rmse_deg"] == ours["recordings"]["a"]["rmse_deg"]
    out = run(capsys, *words)
    assert f"refused: {fit['reason']}" in out and "c: the list of sensors does not name it" in out
    assert "*" in out and "found in neither folder: gone" in out


def test_the_list_may_be_named_or_lie_in_either_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "elsewhere"
    write(other / "k.npz", quat=None, movement=None)  # what calibrates needs no truth
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"D7": ["a", "k.npz"]}))
    words = ("evaluate", "attitude", folder, "--calibrate-from", other, "--json", "--peers", "vqf", *ALONE)
    said = json.loads(run(capsys, *words, "--sensors", mine))
    assert said["sensor_of"] == {"a": "D7"} and said["calibrations"][0]["recordings"] == ["k"]
    (folder / "sensors.json").unlink()
    shutil.move(mine, other / "sensors.json")
    assert json.loads(run(capsys, *words))["sensor_of"] == {"a": "D7"}


def test_a_peer_that_is_not_installed_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PEERS["imufusion"]
    monkeypatch.setitem(PEERS, "imufusion", type(real)(real.name, real.run, "no_such_package"))
    out = run(capsys, "evaluate", "attitude", folder, "--peers", "vqf,imufusion", *ALONE)
    assert out.count(NOT_INSTALLED) == 1 and f"imufusion: {NOT_INSTALLED}" in out


@pytest.mark.parametrize("broken", ["gyr", "rate"])
def test_a_bad_recording_is_one_line(folder: Path, broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    nan = turning()["gyr"]
    nan[5] = np.nan
    write(folder / "b.npz", **({"gyr": nan} if broken == "gyr" else {"rate": 0.0}))
    said = refused(capsys, "evaluate", "attitude", folder)
    assert "b.npz" in said and broken in said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("evaluate", "required"),
        ("evaluate dance", "invalid choice: 'dance'"),
        ("evaluate attitude", "DIR"),
        ("evaluate attitude {folder}/nowhere", "no such folder"),
        ("evaluate attitude {empty}", "holds no recording"),
        ("evaluate attitude {folder} --peers kalman", "'kalman'"),
        ("evaluate attitude {folder} --sensors {folder}/sensors.json", "--calibrate-from"),
        ("evaluate attitude {folder} --calibrate-from {empty}", "holds no recording"),
        ("evaluate attitude {folder} --calibrate-from {other}  --sensors {folder}/sensors.json", "names no recording"),
        ("evaluate attitude {other} --calibrate-from {other}", "no sensors.json"),
        ("evaluate attitude {folder} --calibrate-from {folder} --sensors {folder}/a.npz", "not text"),
        ("evaluate attitude {folder} --plot {folder}/plot.jpg", ".png"),
        ("evaluate attitude {folder} --plot {folder}/no/where.png", "no such folder"),
        ("evaluate attitude {folder} --plot {folder}/taken.png", "cannot be written"),
        ("evaluate attitude {folder} --processes 0", "--processes 0"),
        ("evaluate force --seeds 0", "--seeds 0"),
        ("evaluate force --seeds many", "--seeds"),
        ("evaluate force --first-seed -4", "--first-seed -4"),
        ("evaluate force --bench rig", "'rig'"),
    ],
)
def test_misuse(command: str, words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (folder / "taken.png").mkdir()
    write(tmp_path / "other" / "z.npz")
    for name, place in (("{folder}", folder), ("{empty}", tmp_path / "empty"), ("{other}", tmp_path / "other")):
        command = command.replace(name, str(place))
    assert words in refused(capsys, *command.split())


def png(path: Path) -> tuple[int, int]:
    """Width and height of a picture that holds more than one colour."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 5000
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_plots_without_a_display(folder: Path, tmp_path: Path) -> None:
    """In a process of its own that has no display and no platform set, as on a server."""
    environ = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environ.pop("QT_QPA_PLATFORM", None)
    for words, size in (
        (["attitude", str(folder), "--peers", "vqf"], (1200, 390)),
        (["force", "--seeds", "1"], (1280, 620)),
    ):
        picture = tmp_path / f"{words[0]}.png"
        command = [sys.executable, "-m", "nexuslink.cli.main", "evaluate", *words, *ALONE, "--plot", str(picture)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        assert png(picture) == size


def test_calibrated_per_sensor_on_the_real_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    """The promise: without a truth, by gyroscope and accelerometer alone, better than the best published filter."""
    where = attitude_files()[0].parent
    words = ("evaluate", "attitude", where, "--calibrate-from", where, "--peers", "vqf", "--json")
    said = json.loads(run(capsys, *words))
    ours, calibrated, vqf = said["estimators"]
    assert vqf["mean"]["rmse_deg"] == pytest.approx(0.5053, abs=1e-4)
    assert ours["mean"]["rmse_deg"] <= vqf["mean"]["rmse_deg"] + 0.01
    assert calibrated["mean"]["rmse_deg"] <= 0.42
    for name in said["recordings"]:
        assert calibrated["recordings"][name]["rmse_deg"] <= vqf["recordings"][name]["rmse_deg"] + 0.05, name
    assert ours["causal"] and calibrated["causal"]
    assert said["less_vqf"]["nexuslink calibrated"]["mean_deg"] <= -0.08
