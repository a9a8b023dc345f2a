"""A real recording travels through the simulated tool unchanged, with the optical truth beside it."""

from pathlib import Path

import numpy as np
import pytest
from nexus_simulator.recorded import load_recording
from sim_host import MS, Bench, Host, contiguous, recording

from nexuslink.protocol.messages import Opcode, Quantity, SampleType, StreamDescriptor

TRIAL = "15_undisturbed_fast_translation_A.npz"


def played(path: Path, seconds: float) -> Bench:
    bench = Bench({"imu": str(path)}, Host(imu_type=("<i4", 6)))
    bench.start()
    bench.run(round(seconds * 1000) * MS)
    return bench


def test_counts_travel_as_they_are() -> None:
    path = recording(TRIAL)
    bench = played(path, 20.0)
    with np.load(path) as file:
        raw = np.hstack([file["gyr"], file["acc"]])
    t, counts = bench.host.samples(1, 1e6 / 3500.0)
    assert contiguous(bench.host.data(1)) and len(counts) > 5600
    assert np.array_equal(counts, raw[: len(counts)])
    assert np.abs(np.diff(t) - 3500).max() <= 1


def test_descriptor_carries_the_files_scale_and_rate() -> None:
    path = recording(TRIAL)
    bench = Bench({"imu": str(path)})
    imu = StreamDescriptor.unpack(bench.ask(Opcode.DESCRIBE, b"\1").payload)
    assert imu
    with np.load(path) as file:
        assert imu.rate_hz == float(file["rate"])
        assert imu.groups[0].scale == float(file["gyr_lsb"]) and imu.groups[1].scale == float(file["acc_lsb"])
    assert imu.sample_type == SampleType.I32
    assert [g.quantity for g in imu.groups] == [Quantity.ANGULAR_RATE_RAD_S, Quantity.ACCELERATION_M_S2]


def test_truth_is_the_optical_attitude_shifted_by_the_clock_offset() -> None:
    path = recording(TRIAL)
    bench = played(path, 20.0)
    t, counts = bench.host.samples(1, 1e6 / 3500.0)
    truth = bench.link.tool.truth(t)
    with np.load(path) as file:
        quat = file["quat"] * float(file["quat_lsb"])
        k = float(file["sync_s"]) * float(file["rate"])
        acc = counts[:, 3:] * float(file["acc_lsb"])
    i = np.arange(1, len(t))
    w, x, y, z = ((1.0 - k) * quat[i] + k * quat[i - 1]).T
    up = np.column_stack([2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z])
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    seen = np.isfinite(truth.up[1:]).all(axis=1)
    assert seen.mean() > 0.9
    # t0_us is rounded to the microsecond, so the truth may be read that much beside
    assert np.abs(truth.up[1:] - up)[seen].max() < 1e-4
    # At rest in the beginning the accelerometer agrees with the optical system about where up is.
    resting = acc[1:200].mean(axis=0)
    assert np.degrees(np.arccos(resting @ truth.up[100] / np.linalg.norm(resting))) < 3.0
    assert (truth.force_n[1:] == 0.0).all()


def test_unloaded_cells_feel_the_tips_weight_in_the_recorded_attitude() -> None:
    bench = played(recording(TRIAL), 20.0)
    t, counts = bench.host.samples(0, 250.0)
    cell = bench.link.tool.identity.record.force[0]
    newtons = (counts[:, 0] - cell.zero_counts) * cell.gain_n_per_count
    up = bench.link.tool.truth(t).up
    resting = slice(50, 250)
    weight = cell.tip_mass_kg * 9.81 * up[resting, 2]
    assert newtons[resting].std() < 0.05
    assert abs((newtons[resting] - weight).mean()) < 2.0


def test_the_end_of_the_recording_ends_the_link(tmp_path: Path) -> None:
    path = cut_copy(recording(TRIAL), tmp_path / "short.npz", 1000)
    bench = played(path, 10.0)
    assert bench.link.ended == "the recording has ended"
    assert len(bench.host.samples(1, 1e6 / 3500.0)[1]) == 1000


def cut_copy(source: Path, target: Path, n: int, **changes: object) -> Path:
    with np.load(source) as file:
        arrays = {name: file[name][:n] if file[name].ndim else file[name] for name in file.files}
    arrays |= {name: np.asarray(value) for name, value in changes.items()}
    np.savez(target, **arrays)
    return target


def test_files_that_are_no_recording_are_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("hello")
    empty = tmp_path / "empty.npz"
    empty.write_bytes(b"")
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, a=np.zeros(3))
    floats = tmp_path / "floats.npz"
    ones = dict.fromkeys(("rate", "gyr_lsb", "acc_lsb", "quat_lsb", "sync_s"), np.float64(100.0))
    np.savez(floats, gyr=np.zeros((5, 3)), acc=np.zeros((5, 3)), quat=np.zeros((5, 4)), **ones)
    plain = tmp_path / "plain.npy"
    np.save(plain, np.zeros(3))
    slow = tmp_path / "slow.npz"
    i = np.zeros((5, 3), np.int32)
    np.savez(slow, gyr=i, acc=i, quat=np.zeros((5, 4), np.int16), **{**ones, "rate": np.float64(1.0)})
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **{name: np.array([object()]) for name in (*ones, "gyr", "acc", "quat")}, allow_pickle=True)
    cases = {
        tmp_path / "none.npz": "no such file",
        text: "cannot be read",
        empty: "cannot be read",
        foreign: "has no gyr",
        floats: "integer counts",
        slow: "rate must be",
        pickled: "cannot be read",
        plain: "cannot be read",
        tmp_path: "cannot be read",
    }
    for path, words in cases.items():
        with pytest.raises(ValueError, match=words) as caught:
            load_recording(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
