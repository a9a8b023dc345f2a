"""The score: known errors give known figures, cheating is seen, and peers come out as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation.evaluation_samples import rolled, write
from numpy.typing import NDArray
from real_data import attitude_files

from nexuslink.evaluation.attitude import angle_between, score, sort_by_sensor
from nexuslink.evaluation.errors import EvaluationError
from nexuslink.evaluation.peers import PEERS
from nexuslink.evaluation.recordings import Recording, load_recording

Array = NDArray[np.float64]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return load_recording(write(tmp_path / "a.npz"))


def truth_of(recording: Recording, n: int) -> Array:
    assert recording.truth is not None
    return recording.truth[:n]


def test_the_truth_itself_has_no_error_and_a_heading_is_none(recording: Recording) -> None:
    def perfect(gyro: Array, accel: Array, rate_hz: float) -> Array:
        w, x, y, z = truth_of(recording, len(gyro)).T
        c, s = np.cos(0.4), np.sin(0.4)  # turned about the earth's vertical
        return np.column_stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w])

    result = score(recording, perfect)
    assert result.causal and max(result.rmse_deg, result.max_deg, result.rest_rmse_deg, result.tip_rmse_deg) < 1e-6


def test_a_constant_tilt_is_the_error_everywhere(recording: Recording) -> None:
    def tilted(gyro: Array, accel: Array, rate_hz: float) -> Array:
        return rolled(truth_of(recording, len(gyro)), np.radians(2.0))

    result = score(recording, tilted)
    figures = (result.rmse_deg, result.p95_deg, result.max_deg, result.rest_rmse_deg)
    assert figures == pytest.approx((2.0,) * 4, abs=1e-9)
    assert 0 < result.tip_rmse_deg < 2.0  # the axis that it turns about does not tilt


def test_a_missing_estimate_is_the_worst_there_is(recording: Recording) -> None:
    def lost(gyro: Array, accel: Array, rate_hz: float) -> Array:
        quaternions = truth_of(recording, len(gyro)).copy()
        quaternions[2000:2010] = np.nan
        return quaternions

    assert score(recording, lost).max_deg == 180.0


def test_looking_ahead_is_seen(recording: Recording) -> None:
    def ahead(gyro: Array, accel: Array, rate_hz: float) -> Array:
        angle = np.cumsum(gyro[:, 0]) / rate_hz
        angle += 1e-4 * gyro[::-1, 0].mean()  # of the whole recording
        return np.column_stack([np.cos(angle / 2), np.sin(angle / 2), 0 * angle, 0 * angle])

    def causal(gyro: Array, accel: Array, rate_hz: float) -> Array:
        angle = np.cumsum(gyro[:, 0]) / rate_hz
        return np.column_stack([np.cos(angle / 2), np.sin(angle / 2), 0 * angle, 0 * angle])

    assert score(recording, causal).causal
    assert not score(recording, ahead).causal


def test_a_filter_cannot_change_what_the_next_one_sees(recording: Recording) -> None:
    def vandal(gyro: Array, accel: Array, rate_hz: float) -> Array:
        gyro[:] = 0.0
        accel[:] = 0.0
        return truth_of(recording, len(gyro))

    before = recording.gyro_rad_s.copy()
    score(recording, vandal)
    np.testing.assert_array_equal(recording.gyro_rad_s, before)


def test_small_angles_are_exact() -> None:
    tiny = 1e-9
    assert angle_between(np.array([[0.0, 0.0, 1.0]]), np.array([[np.sin(tiny), 0.0, np.cos(tiny)]]))[0] == (
        pytest.approx(tiny)
    )


MEASURED = {  # mean over recordings by an independent program: rmse, sensor axis, 95 %, largest, rest; deg
    "vqf": (0.505287525631928, 0.3544071594515247, 0.8900286806136619, 1.653839761833698, 0.20279633924506493),
    "imufusion": (4.123949244914435, 2.883002146114506, 8.72786574561351, 13.674828303933491, 0.2914206088696639),
    "madgwick": (1.2556278177488474, 0.8724141882746806, 2.1129857237553167, 3.0811834405968463, 0.1287287520398281),
}
RECORDINGS = {"madgwick": (2, 4)}
"""All eight but for this one, which takes the 120 us a sample of pure Python."""


@pytest.mark.parametrize("name", ["vqf", "imufusion", pytest.param("madgwick", marks=pytest.mark.thorough)])
def test_peers_score_as_measured_by_another_program(name: str) -> None:
    if not PEERS[name].installed:
        pytest.skip(f"{PEERS[name].package} is not installed: pip install nexuslink[evaluate]")
    files = attitude_files()
    assert len(files) == 8
    chosen = [files[n] for n in RECORDINGS.get(name, range(8))]
    scores = [score(load_recording(file), PEERS[name].run, cuts=()) for file in chosen]
    figures = [(s.rmse_deg, s.tip_rmse_deg, s.p95_deg, s.max_deg, s.rest_rmse_deg) for s in scores]
    np.testing.assert_allclose(np.mean(figures, axis=0), MEASURED[name], atol=1e-6, rtol=0)


def test_without_the_clock_of_the_truth_the_figure_is_another(tmp_path: Path) -> None:
    """The control of the one above: read at t instead of t - sync_s, the same filter scores differently."""
    file = attitude_files()[1]
    with np.load(file) as data:
        assert float(data["sync_s"]) == 0.0024
        np.savez(tmp_path / "raw.npz", **{name: data[name] for name in data.files if name != "sync_s"})
    raw, synced = (score(load_recording(f), PEERS["vqf"].run, cuts=()) for f in (tmp_path / "raw.npz", file))
    assert raw.rmse_deg > synced.rmse_deg + 0.01


def test_recordings_are_sorted_by_their_sensor() -> None:
    def named(*names: str) -> list[Recording]:
        nothing = np.zeros((0, 3))
        return [Recording(name, nothing, nothing, 100.0, None, None) for name in names]

    sensors = {"D1": ("a", "b", "x"), "D2": ("c",)}
    sorted_ = sort_by_sensor(named("a", "c", "z"), named("b", "x", "y"), sensors)
    assert sorted_.sensor_of == {"a": "D1", "c": "D2"}
    assert {sensor: [r.name for r in group] for sensor, group in sorted_.calibrating.items()} == {"D1": ["b", "x"]}
    assert sorted_.unknown == ()
    assert sort_by_sensor(named("a"), named("b"), sensors).unknown == ("c", "x")
    with pytest.raises(EvaluationError, match="names no recording of the calibrating folder"):
        sort_by_sensor(named("a"), named("q"), sensors)
