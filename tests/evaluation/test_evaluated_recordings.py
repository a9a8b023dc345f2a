"""The format: units, the clock of the truth, and every way in which a stranger's file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.evaluation_samples import turning, write

from nexuslink.evaluation.errors import EvaluationError
from nexuslink.evaluation.recordings import load_recording, load_recordings, load_sensors, shifted


def test_integers_carry_their_unit(tmp_path: Path) -> None:
    plain = turning()
    counts = {"gyr": np.rint(plain["gyr"] / 1e-4).astype(np.int32), "gyr_lsb": 1e-4}
    counts |= {"acc": np.rint(plain["acc"] / 1e-3).astype(np.int32), "acc_lsb": 1e-3}
    counts |= {"quat": np.rint(plain["quat"] * 32767).astype(np.int16), "quat_lsb": 1 / 32767}
    recording = load_recording(write(tmp_path / "a.npz", **counts))
    assert recording.truth is not None and recording.rate_hz == 200.0
    np.testing.assert_allclose(recording.gyro_rad_s, plain["gyr"], atol=0.51e-4)
    np.testing.assert_allclose(recording.accel_m_s2, plain["acc"], atol=0.51e-3)
    np.testing.assert_allclose(recording.truth, plain["quat"], atol=1e-4)


def test_the_truth_is_read_earlier_by_sync(tmp_path: Path) -> None:
    plain = load_recording(write(tmp_path / "a.npz"))
    synced = load_recording(write(tmp_path / "b.npz", sync_s=2.5 / 200))
    assert plain.truth is not None and synced.truth is not None
    assert np.isnan(synced.truth[:3]).all() and np.isfinite(synced.truth[3:]).all()
    half = np.arctan2(plain.truth[:, 1], plain.truth[:, 0])
    np.testing.assert_allclose(synced.truth[3:, 1], np.sin((half[:-3] + half[1:-2]) / 2), atol=1e-12)


def test_a_whole_shift_moves_rows_and_a_sign_is_no_turn() -> None:
    quaternions = np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [1.0, 0, 0, 0], [np.nan] * 4])
    np.testing.assert_array_equal(np.abs(shifted(quaternions, 0.5)[1:3]), [[1.0, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(shifted(quaternions, 1.0)[1:3, 0], [1.0, -1.0])


def test_where_there_is_no_truth_nothing_is_judged(tmp_path: Path) -> None:
    quat = turning()["quat"]
    quat[100:200] = 0.0
    quat[300] = np.nan
    recording = load_recording(write(tmp_path / "a.npz", quat=quat))
    assert recording.truth is not None
    assert np.flatnonzero(np.isnan(recording.truth[:, 0])).tolist() == [*range(100, 200), 300]


def test_what_calibrates_needs_no_truth(tmp_path: Path) -> None:
    recording = load_recording(write(tmp_path / "a.npz", quat=None, movement=None), with_truth=False)
    assert recording.truth is None and recording.name == "a"


def broken(name: str, row: int, value: float) -> Any:
    values = turning()[name]
    values[row] = value
    return values


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gyr": None}, "has no gyr"),
        ({"quat": None, "movement": None}, "has no quat and no movement"),
        ({"gyr": np.zeros((4000, 4))}, "gyr has the shape (4000, 4)"),
        ({"acc": np.zeros((3999, 3))}, "acc has 3999 rows and gyr 4000"),
        ({"quat": np.zeros(7)}, "quat has the shape"),
        ({"movement": np.ones((4000, 2), bool)}, "movement do not have 4000 rows"),
        ({"gyr": broken("gyr", 7, np.nan)}, "gyr is not a number in row 7"),
        ({"acc": broken("acc", 9, np.inf)}, "acc is not a number in row 9"),
        ({"quat": broken("quat", 3, 2.0)}, "quat in row 3 has the length 4"),
        ({"rate": 0.0}, "rate is 0"),
        ({"rate": np.nan}, "rate is nan"),
        ({"rate": "fast"}, "rate is not a number"),
        ({"gyr_lsb": -1.0}, "gyr_lsb is -1"),
        ({"sync_s": 60.0}, "sync_s is 60"),
        ({"movement": np.zeros(4000, bool)}, "no sample has both movement and a truth"),
        ({"quat": np.zeros((4000, 4))}, "no sample has both movement and a truth"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        load_recording(write(tmp_path / "a.npz", **changed))
    assert said in str(caught.value) and "a.npz" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY\x01\x00", b"hello"])
def test_what_is_no_npz_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_recordings(tmp_path)


def test_pickled_objects_are_not_opened(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_recording(write(tmp_path / "a.npz", gyr=np.array([{}], object)))


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no such folder"):
        load_recordings(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match="holds no recording"):
        load_recordings(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"D1": "a"}', "'D1' is not a list of names"),
        ('{"D1": [1]}', "'D1' is not a list of names"),
        ('{"D1": ["a"], "D2": ["a"]}', "'a' belongs to 'D1' and to 'D2'"),
    ],
)
def test_a_wrong_list_of_sensors_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(EvaluationError) as caught:
        load_sensors(tmp_path / "s.json")
    assert said in str(caught.value)


def test_a_list_of_sensors(tmp_path: Path) -> None:
    table = {"note": "of the same day", "D1": ["a", "b.npz"], "D2": []}
    (tmp_path / "s.json").write_text(json.dumps(table))
    assert load_sensors(tmp_path / "s.json") == {"D1": ("a", "b"), "D2": ()}
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_sensors(tmp_path / "t.json")
