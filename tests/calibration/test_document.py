"""The record as JSON: nothing lost, everything readable, and whatever is wrong with a text said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_samples import record, records, sealed

from nexuslink.calibration.document import DATES, TEXT_MAX, from_json, read_document, to_json
from nexuslink.calibration.errors import CalibrationFileError
from nexuslink.calibration.fields import LEAVES, Leaf
from nexuslink.protocol.messages import CalibrationRecord


@settings(max_examples=30, deadline=None)
@given(records())
def test_nothing_is_lost_from_bytes_to_text_to_bytes(made: CalibrationRecord) -> None:
    data = sealed(made)
    before = CalibrationRecord.unpack(data)
    assert before is not None
    assert sealed(from_json(to_json(before))) == data
    assert to_json(from_json(to_json(before))) == to_json(before)


def test_a_person_can_read_it() -> None:
    text = to_json(record())
    for line in (
        '"schema": "nexuslink.calibration/1",', '"serial_number": "NX-00042",', '"method": "weights",',
        '"reference": "weights of class M1",', '"made": "2026-05-28T20:26:40Z",', '"valid_until": null,',
        '"temperature_c": {"value": 25.0, "unit": "degC"},', '"psoas": {',
        '"gain_n_per_count": {"value": 3.3e-05, "unit": "N/count"},',
        '"tip_mass_kg": {"value": 0.065, "unit": "kg"},', '"bias": {"value": [',
    ):  # fmt: skip
        assert f"  {line}" in text, line
    accelerometer = json.loads(text)["accelerometer"]
    assert (accelerometer["bias"]["unit"], accelerometer["bias_per_k"]["unit"]) == ("m/s2", "m/s2/K")
    assert [len(row) for row in accelerometer["matrix"]["value"]] == [3, 3, 3]
    assert json.loads(text)["gyro"]["u_bias"]["unit"] == "rad/s"


def test_every_number_carries_its_unit() -> None:
    document = json.loads(to_json(record()))
    for leaf in LEAVES:
        place: Any = document
        for key in leaf.path[:-1]:
            place = place[key]
        if leaf.real:
            assert place[leaf.name]["unit"] == leaf.unit != ""


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place = document
        for key in way:
            place = place[key]
        place[last] = value

    return change


def _drop(path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place = document
        for key in way:
            place = place[key]
        del place[last]

    return change


GAIN = "force.psoas.gain_n_per_count"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("schema", "nexuslink.calibration/2"), "version '2' of nexuslink.calibration, this program reads 1"),
        (_set("schema", "something/1"), "expected \"nexuslink.calibration/1\""),
        (_drop("schema"), "its \"schema\" is None"),
        (_drop(GAIN), f"{GAIN} is missing"),
        (_drop("force.iliacus"), "force.iliacus is missing"),
        (_set("force", [1, 2]), "force.psoas is missing"),
        (_set(f"{GAIN}.unit", "lbf/count"), f"{GAIN} has the unit 'lbf/count', must be in \"N/count\""),
        (_set(GAIN, 3.3e-5), 'must be {"value": ..., "unit": "N/count"}'),
        (_set(f"{GAIN}.value", "3.3e-5"), f"{GAIN} is '3.3e-5', must be a number"),
        (_set(f"{GAIN}.value", True), f"{GAIN} is True, must be a number"),
        (_set(f"{GAIN}.value", None), f"{GAIN} is None"),
        (_set(f"{GAIN}.value", [1e-5]), "must be a number"),
        (_set(f"{GAIN}.value", 0), "force.psoas: gain_n_per_count is 0"),
        (_set(f"{GAIN}.value", 7.0), "force[0].gain_n_per_count is 7 N/count, allowed is -1 to 1"),
        (_set(f"{GAIN}.value", 10**400), "too large"),
        (_set("force.iliacus.u_gain.value", 1e300), "force.iliacus.u_gain is 1e+300, which is too large"),
        (_set("force.iliacus.u_gain.value", -0.1), "force.iliacus: an uncertainty is below 0"),
        (_set("force.iliacus.axis.value", [0, 0]), "force.iliacus.axis must have 3 numbers"),
        (_set("force.iliacus.axis.value", [0, 0, 0.5]), "force.iliacus: axis is not a unit vector"),
        (_set("force.iliacus.zero_counts.value", 1.5), "must be a whole number"),
        (_set("force.iliacus.zero_counts.value", 1 << 40), "too large"),
        (_set("force.psoas.quadratic_per_n.value", 0.01), "force.psoas: the curve turns round"),
        (_set("force.psoas.gain_per_k.value", 0.5), "turn the sign"),
        (_set("force.psoas.creep_s.value", [0, 1, 1]), "creep_s must be above 0"),
        (_set("gyro.matrix.value", [[1, 0, 0], [0, -1, 0], [0, 0, 1]]), "gyro: the matrix turns the axes round"),
        (_set("gyro.matrix.value", [[1, 0], [0, 1], [0, 0]]), "gyro.matrix must have 3 rows of 3"),
        (_set("gyro.bias.unit", "deg/s"), "gyro.bias has the unit 'deg/s', must be in \"rad/s\""),
        (_set("calibration_id", 0), "calibration_id is 0"),
        (_set("calibration_id", 1.0), "calibration_id is 1.0, must be a whole number"),
        (_set("serial_number", "NX-00042-of-another-make"), "serial_number has 24 letters, 16 is the most"),
        (_set("serial_number", "NX-\n"), "ASCII"),
        (_set("method", "guessing"), "method is 'guessing', must be one of nominal, factory, weights"),
        (_set("made", "yesterday"), "made is 'yesterday', must be a date like 2026-03-01T12:00:00Z"),
        (_set("made", ["2026"]), "must be a date"),
        (_set("temperature_c.value", 300), "temperature_c is 300 degC, allowed is -40 to 85"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_says_where(change: Callable[[dict[str, Any]], None], words: str) -> None:
    document = json.loads(to_json(record()))
    change(document)
    with pytest.raises(CalibrationFileError) as caught:
        from_json(json.dumps(document), "mine.json")
    line = str(caught.value)
    assert line.startswith("mine.json: ") and words in line and "\n" not in line and len(line) < 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"), ("[]", "not a table"), ("null", "not a table"), ("{", "not JSON"), ('"a"', "not a table"),
        ("[" * 100_000, "too deeply"), (" " * (TEXT_MAX + 1), "longer than"), ("9" * 5000, "not JSON"),
        ('{"schema": NaN}', "NaN stands where a number must be"),
        ('{"schema": -Infinity}', "-Infinity stands where"),
        ('{"schema": 1, "schema": 2}', "'schema' stands there twice"),
        ("{}", 'its "schema" is None'),
    ],
)  # fmt: skip
def test_what_is_no_document_is_one_line(text: str, words: str) -> None:
    with pytest.raises(CalibrationFileError, match=r"^x\.json: ") as caught:
        from_json(text, "x.json")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_newer_minor_version_is_read_and_what_it_adds_is_left_alone() -> None:
    document = json.loads(to_json(record()))
    document |= {"schema": "nexuslink.calibration/1.7", "humidity": {"value": 50, "unit": "%"}}
    document["force"]["psoas"]["hysteresis"] = "unheard of"
    document["method"] = 9
    made = from_json(json.dumps(document))
    assert (made.method, made.force) == (9, record().force)


def test_dates_as_people_write_them() -> None:
    document = json.loads(to_json(record()))
    for text, seconds in (
        ("2026-05-28T20:26:40Z", 1_780_000_000), ("2026-05-28T22:26:40+02:00", 1_780_000_000),
        ("1970-01-02", 86_400), (None, 0), (12, 12), ("1969-12-31T23:59:59Z", -1),
    ):  # fmt: skip
        document["made"] = text
        assert from_json(json.dumps(document)).made_unix_s == seconds


def test_a_record_for_another_tool_is_said() -> None:
    assert from_json(to_json(record()), serial_number="NX-00042") is not None
    with pytest.raises(CalibrationFileError, match="it was made for NX-00042, not for NX-7"):
        from_json(to_json(record()), "mine.json", serial_number="NX-7")


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    for data, words in ((b"\xff\xfe", "not a text"), (b"x" * (TEXT_MAX + 10), "longer than")):
        path.write_bytes(data)
        with pytest.raises(CalibrationFileError, match=words):
            read_document(path)
    for where in (tmp_path, tmp_path / "nowhere.json"):
        with pytest.raises(CalibrationFileError, match="there is no such file"):
            read_document(where)
    path.write_text(to_json(record()))
    assert read_document(path).force == record().force


def test_a_record_that_no_tool_may_have_does_not_become_a_document() -> None:
    with pytest.raises(CalibrationFileError, match="calibration_id is 0"):
        to_json(record(number=0))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LEAVES), st.integers(0, 4), ANYTHING)
def test_anything_anywhere_is_a_record_or_one_line(leaf: Leaf, depth: int, value: Any) -> None:
    document = json.loads(to_json(record()))
    keys = [*leaf.path[:-1], DATES.get(leaf.name, leaf.name), *(["value"] if leaf.real else [])]
    _set(".".join(keys[: depth + 1]), value)(document)
    try:
        made = from_json(json.dumps(document), "mine.json")
    except CalibrationFileError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
    else:
        assert from_json(to_json(made)) == made
