"""``nexuslink calibrate`` as a person or a script runs it: 0 accepted, 1 not, 2 and one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from at_a_terminal import painted
from test_commands import free_port, nexuslink, served
from test_misuse import refused

from nexuslink.cli.main import main

CODE = "0x4E583031"
"""What stands inside the base of a simulated tool."""
FAST = "sim:?speed=max&seed=3&script="
CHECK = ["calibrate", "check", FAST + "weights-psoas", "--tip", "psoas"]


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for every test."""
    folder = tmp_path / "kept"
    monkeypatch.setenv("NEXUSLINK_CALIBRATIONS", str(folder))
    return folder


def ran(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run it in this process: exit status and output; nothing on stderr."""
    status = main(words)
    out, err = capsys.readouterr()
    assert err == ""
    return status, out


def ran_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """The same for programs."""
    status, out = ran([*words, "--json"], capsys)
    return status, json.loads(out)


# -- records ----------------------------------------------------------------------------------------------------------


def test_a_record_out_of_a_tool_and_back(tmp_path: Path, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with served("--tcp", f"127.0.0.1:{port}", "--seed", "3"):
        url, mine = f"tcp:127.0.0.1:{port}", tmp_path / "mine.json"
        assert ran(["calibrate", "export", url, str(mine)], capsys)[0] == 0
        text = mine.read_text()
        assert '"serial_number": "SIM-00003"' in text
        mine.write_text(text.replace('"reference": "simulated bench"', '"reference": "by hand"'))
        status, out = ran(["calibrate", "import", str(mine), url], capsys)
        assert status == 0 and "by hand" in out and "nothing was written" in out
        assert not archive.exists()
        status, out = ran(["calibrate", "import", str(mine), url, "--write", "--code", CODE], capsys)
        assert status == 0 and "the tool has record 2 now, read back and compared" in out
        assert "SIM-00003: calibration 2, factory (by hand)" in ran(["calibrate", "show", url], capsys)[1]
        assert "  calibration     2, factory (by hand)\n" in ran(["info", url], capsys)[1]
        said = refused(["calibrate", "import", str(mine), url, "--write", "--code", "1"], capsys)
        assert "does not open with this code; the tool keeps record 2" in said
        _, kept = ran_json(["calibrate", "history", "SIM-00003"], capsys)
        assert [event["kind"] for event in kept["events"]] == ["as-found", "as-left", "as-found"]
        assert [event["calibration_id"] for event in kept["events"]] == [1, 2, 2]
        found = kept["events"][0]["file"]
        status, rows = ran_json(["calibrate", "compare", found, url], capsys)
        assert status == 0 and [row["field"] for row in rows] == ["calibration_id", "reference"]


def test_compare_and_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, both = (str(tmp_path / name) for name in ("one.json", "two.json", "both.json"))
    assert ran(["calibrate", "export", "sim:?seed=3", one], capsys)[0] == 0
    document = json.loads(Path(one).read_text())
    document["force"]["psoas"]["gain_n_per_count"]["value"] *= 1.05
    document["gyro"]["bias"]["value"][0] += 1.0
    Path(two).write_text(json.dumps(document))
    status, out = ran(["calibrate", "compare", one, two], capsys)
    assert status == 1
    assert "! force.psoas.gain_n_per_count" in out and "marked with !" in out
    assert ran(["calibrate", "compare", one, one], capsys) == (0, "the same in every field\n")
    status, made = ran_json(["calibrate", "merge", one, two, "--parts", "gyro", "--out", both], capsys)
    assert status == 0 and [row["field"] for row in made["changes"]] == ["gyro.bias[0]"]
    _, rows = ran_json(["calibrate", "compare", two, both], capsys)
    assert [row["field"] for row in rows] == ["force.psoas.gain_n_per_count"]


def test_a_session_names_the_record_that_it_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "mine.mcap")
    assert ran(["record", FAST + "idle", "--seconds", "1", "--out", path, "--json"], capsys)[0] == 0
    assert "SIM-00003: calibration 1, factory (simulated bench)" in ran(["calibrate", "show", path], capsys)[1]


# -- procedures -------------------------------------------------------------------------------------------------------


def test_the_check_of_a_minute(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = ran([*CHECK, "--mass", "0.5", "--latitude", "47"], capsys)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "  1/2  Leave both tips free and still.  [SIMULATED]"
    assert lines[1] == "  2/2  Put 0.5 kg on the psoas tip.  [SIMULATED]"
    assert "within its claim" in out and "\x1b" not in out
    assert len(list(archive.rglob("*measured*.json"))) == 1
    status, said = ran_json([*CHECK, "--mass", "500", "--unit", "g"], capsys)
    assert status == 0 and said["accepted"] and said["simulated"] and said["record"] is None
    assert said["points"][0]["name"] == "0.5 kg"


def test_a_check_that_does_not_pass_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = ran_json([*CHECK, "--mass", "0.7", "--u-mass", "0.1", "--patience", "20"], capsys)
    assert status == 1 and not said["accepted"]
    assert "outside its claim" in said["reason"]


def test_patience_ends_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["calibrate", "weights", FAST + "unloaded", "--tip", "psoas", "--mass", "1", "2", "--patience", "4"]
    status, out = ran(words, capsys)
    assert status == 1
    assert "NOT accepted: nothing more was captured for 4 s" in out
    assert "nothing was written to the tool" not in out, "there is nothing that could be"


def test_a_new_zero_is_written_only_with_both_words(
    tmp_path: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "zero.json")
    status, said = ran_json(["calibrate", "zero", FAST + "unloaded", "--out", out], capsys)
    assert status == 0 and said["written"] is None and said["file"] == out
    assert said["record"]["reference"] == "simulated bench", "a zero does not make the force new"
    for half in (["--write"], ["--code", CODE]):
        line = refused(["calibrate", "zero", FAST + "unloaded", *half], capsys)
        assert "without both --write and --code" in line
    words = ["calibrate", "zero", FAST + "unloaded", "--write", "--code", CODE]
    status, said = ran_json(words, capsys)
    assert status == 0 and said["written"]["calibration_id"] == 2
    left = Path(said["written"]["as_left"])
    assert json.loads(left.read_text())["observations"]["readings"][0]["mass_kg"] == 0
    assert [path.name[7:15] for path in sorted(archive.rglob("*.json"))] == [
        "measured", "measured", "as-found", "as-left_"
    ]  # fmt: skip
    _, rows = ran_json(["calibrate", "compare", "sim:?seed=3", str(left)], capsys)
    assert "force.psoas.zero_counts" in [row["field"] for row in rows]


def test_five_weights_to_a_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["calibrate", "weights", FAST + "weights-iliacus", "--tip", "iliacus", "--u-mass", "0.05"]
    mine = str(tmp_path / "mine.json")
    status, said = ran_json([*words, "--mass", "0.5", "1.5", "3", "6", "11", "--out", mine], capsys)
    assert status == 0 and said["verdict"].startswith("within ")
    assert len(said["points"]) == 11 and max(abs(point["residual"]) for point in said["points"]) < 0.1
    _, rows = ran_json(["calibrate", "compare", "sim:?seed=3", mine], capsys)
    changed = {row["field"]: row for row in rows}
    assert changed["force.iliacus.u_gain"]["after"] < changed["force.iliacus.u_gain"]["before"]


def test_the_gyroscope_from_a_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, short = str(tmp_path / "turning.mcap"), str(tmp_path / "short.mcap")
    for name, seconds in ((path, "40"), (short, "10")):
        words = ["record", FAST + "turning", "--seconds", seconds, "--out", name, "--json"]
        assert ran(words, capsys)[0] == 0
    status, said = ran_json(["calibrate", "gyro", path], capsys)
    assert status == 0 and said["record"]["gyro"]["u_matrix"]["value"] > 0
    status, said = ran_json(["calibrate", "gyro", short], capsys)
    assert status == 1 and "s long" in said["reason"]
    assert "name one tool" in refused(["calibrate", "gyro", "sim:", "sim:?seed=2"], capsys)
    assert "needs the tool's address" in refused(["calibrate", "gyro", path, "--write", "--code", "1"], capsys)
    said = refused(["calibrate", "gyro", path, "sim:?seed=4&speed=max"], capsys)
    assert "the sessions are of SIM-00003" in said


def test_a_terminal_gets_a_live_line() -> None:
    text = painted([*CHECK, "--mass", "0.5"])
    assert "\r\x1b[2K" in text and "█" in text and "[SIMULATED]" in text
    assert "Put 0.5 kg on the psoas tip." in text


def test_whoever_has_a_hand_free_may_type() -> None:
    words = ["calibrate", "weights", "sim:?script=unloaded", "--tip", "psoas", "--mass", "1", "2", "--patience", "20"]
    text = painted(words, 1, typing=[(b" 2/4 ", b"what\nu\n"), (b" 1/4 ", b"f\n")])
    assert "NOT accepted: nothing was captured" in text


# -- misuse -----------------------------------------------------------------------------------------------------------

SIM = "sim:?speed=max"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("calibrate", "required"),
        ("calibrate dance", "invalid choice: 'dance'"),
        ("calibrate show nowhere.json", "there is no such file"),
        ("calibrate show {foreign}", "it is not JSON"),
        ("calibrate show {empty}", 'its "schema" is None'),
        ("calibrate show simm:", "did you mean sim:"),
        ("calibrate export sim: {foreign}", "is already there; name another file"),
        ("calibrate export sim: {folder}/no/where.json", "cannot be written"),
        (f"calibrate import {{foreign}} {SIM}", "it is not JSON"),
        ("calibrate merge sim: sim: --parts everything --out {folder}/x.json", "'everything': write one or more of"),
        ("calibrate merge sim: sim:?seed=2 --parts gyro --out {folder}/x.json", "one record is of SIM-00000"),
        (f"calibrate zero {SIM} --poses 0", "0 poses: write 1"),
        (f"calibrate zero {SIM} --patience nan", "--patience nan"),
        (f"calibrate zero {SIM} --write --code 123x", "--code 123x: write the number from inside the base"),
        (f"calibrate zero {SIM} --write --code 99999999999", "--code 99999999999"),
        (f"calibrate zero {SIM} --out {{foreign}}", "is already there"),
        (f"calibrate zero {SIM} --latitude 100", "latitude 100: give degrees"),
        (f"calibrate weights {SIM} --tip psoas --mass 0", "a weight of 0 kg"),
        (f"calibrate weights {SIM} --tip psoas --mass nan", "a weight of nan kg"),
        (f"calibrate weights {SIM} --tip psoas --mass 500", "500 kg: it must be 0.1 to 20 kg; is the unit right?"),
        (f"calibrate weights {SIM} --tip psoas --mass 1 1", "twice"),
        (f"calibrate weights {SIM} --tip psoas --mass 1 --u-mass -1", "--u-mass -1: write percent"),
        (f"calibrate weights {SIM} --tip elbow --mass 1", "invalid choice: 'elbow'"),
        (f"calibrate weights {SIM} --mass 1", "--tip"),
        (f"calibrate check {SIM} --tip psoas", "--mass"),
        (f"calibrate check {SIM} --tip psoas --mass 1 --write", "--write"),
        ("calibrate gyro {foreign}.mcap", "foreign.txt.mcap"),
        (f"calibrate zero {SIM} --archive {{foreign}}", "cannot be kept there"),
    ],
)
def test_one_line_says_what_where_and_what_to_do(
    command: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign, empty = tmp_path / "foreign.txt", tmp_path / "empty.json"
    foreign.write_text("not a record")
    empty.write_text("{}")
    for name, place in (("{foreign}", foreign), ("{empty}", empty), ("{folder}", tmp_path)):
        command = command.replace(name, str(place))
    status: object = None
    try:
        status = main(command.split())
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    assert status == 2, (out, err)
    assert err.count("\n") == 1 and words in err
    assert foreign.read_text() == "not a record"


def test_the_command_is_there_in_a_process_of_its_own() -> None:
    done = nexuslink("calibrate", "show", "nowhere.json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_wrong_code_is_said_before_anything_is_measured(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["calibrate", "zero", FAST + "unloaded", "--write", "--code", "5"], capsys)
    assert "does not open with this code" in said
    assert not archive.exists()
