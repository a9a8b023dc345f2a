"""The sensors' errors are those of the data sheets they claim."""

import numpy as np
import pytest
from nexus_simulator import sensors
from nexus_simulator.body import GRAVITY
from nexus_simulator.sensors import InertialUnit, LoadCells, force_noise_n

UP = np.array([0.0, 0.0, 1.0])


def cell_newtons(cells: LoadCells, counts: np.ndarray) -> np.ndarray:
    """What the calibration record makes of counts, gravity of the tip still in."""
    zero = np.array([r.zero_counts for r in cells.records])
    gain = np.array([r.gain_n_per_count for r in cells.records])
    return (counts - zero) * gain


def counts_at(cells: LoadCells, force_n: float, seconds: float, rate: float = 250.0, start: float = 0.0) -> np.ndarray:
    n = round(seconds * rate)
    t = start + np.arange(n) / rate
    return cells.counts(t, np.full((n, 2), force_n), np.tile(UP * GRAVITY, (n, 1)))


@pytest.mark.parametrize(("rate", "microvolts"), [(250.0, 0.64), (500.0, 0.86), (1000.0, 1.16)])
def test_force_noise_is_the_converters(rate: float, microvolts: float) -> None:
    counts = counts_at(LoadCells(1, 1, rate), 0.0, 20.0, rate)
    measured = np.diff(counts, axis=0).std(axis=0) / np.sqrt(2.0) * sensors.NOMINAL_N_PER_COUNT
    expected = microvolts * 1e-6 / 0.060 * 222.4
    assert force_noise_n(rate) == pytest.approx(expected, rel=1e-6)
    assert measured == pytest.approx(expected, rel=0.1)  # each cell's gain is off by a few percent


def test_record_gives_newtons_within_a_good_calibration() -> None:
    for seed in range(5):
        cells = LoadCells(seed, 1, 250.0)
        unloaded = cell_newtons(cells, counts_at(cells, 0.0, 2.0)).mean(axis=0)
        loaded = cell_newtons(cells, counts_at(cells, 100.0, 2.0)).mean(axis=0)
        assert loaded - unloaded == pytest.approx(100.0, rel=0.012)


def test_tare_is_needed_and_nominal_scale_is_not_enough() -> None:
    offsets, gains = [], []
    for seed in range(20):
        cells = LoadCells(seed, 1, 250.0)
        weight = np.array(sensors.TIP_MASS_KG) * GRAVITY * np.array([1.0, 0.8191520442889918])
        offsets.append(cell_newtons(cells, counts_at(cells, 0.0, 1.0)).mean(axis=0) - weight)
        gains += [r.gain_n_per_count / sensors.NOMINAL_N_PER_COUNT for r in cells.records]
    assert 0.2 < np.std(offsets) < 2.0
    assert 0.01 < np.std(gains) < 0.06


def test_the_cell_carries_the_tip() -> None:
    def mean(up: np.ndarray) -> np.ndarray:
        cells = LoadCells(3, 1, 250.0)
        n = 500
        counts = cells.counts(np.arange(n) / 250.0, np.zeros((n, 2)), np.tile(up * GRAVITY, (n, 1)))
        return cell_newtons(cells, counts).mean(axis=0)

    upright, fallen = mean(UP), mean(np.array([1.0, 0.0, 0.0]))
    mass = np.array(sensors.TIP_MASS_KG)
    lost = mass * GRAVITY * (np.array([1.0, 0.81915]) - np.array([0.0, 0.57358]))
    assert upright - fallen == pytest.approx(lost, abs=0.01)
    pushed = mean(UP * 1.5)  # half a g upward: inertia
    assert pushed - upright == pytest.approx(0.5 * mass * GRAVITY * np.array([1.0, 0.81915]), abs=0.01)


def test_creep_comes_slowly_and_stays_small() -> None:
    cells = LoadCells(1, 1, 250.0)
    cells._zero_per_k[:] = 0.0
    cells._gain_per_k[:] = 0.0
    force = cell_newtons(cells, counts_at(cells, 100.0, 600.0))
    early, late = force[:250].mean(axis=0), force[-250:].mean(axis=0)
    creep = 100.0 * sensors.CREEP_SHARE
    assert late - early == pytest.approx(creep, rel=0.1)
    after_one = force[round(250 * sensors.CREEP_S) :][:250].mean(axis=0) - early
    assert after_one == pytest.approx(creep * (1.0 - np.exp(-1.0)), rel=0.1)


def test_creep_does_not_depend_on_batches() -> None:
    whole, parts = LoadCells(1, 1, 250.0), LoadCells(1, 1, 250.0)
    load = np.random.default_rng(0).uniform(0.0, 50.0, (1000, 2))
    expected = whole._crept(load)
    got = np.vstack([parts._crept(part) for part in np.array_split(load, 7)])
    assert np.allclose(expected, got, rtol=0.0, atol=1e-12)


def test_zero_drifts_with_temperature() -> None:
    cells = LoadCells(4, 1, 250.0)
    drift = cells._zero_per_k * (sensors.WARM_C - sensors.AMBIENT_C)
    cold = cell_newtons(cells, counts_at(cells, 0.0, 2.0)).mean(axis=0)
    warm = cell_newtons(cells, counts_at(cells, 0.0, 2.0, start=4000.0)).mean(axis=0)
    assert warm - cold == pytest.approx(drift, abs=0.01)
    assert np.abs(drift).max() > 0.02


def test_force_saturates_at_24_bits() -> None:
    counts = counts_at(LoadCells(1, 1, 250.0), 400.0, 0.1)
    assert (counts == (1 << 23) - 1).all()
    assert (counts_at(LoadCells(1, 1, 250.0), -400.0, 0.1) == -(1 << 23)).all()
    assert (counts_at(LoadCells(1, 1, 250.0), 150.0, 0.1) < (1 << 23) - 1).all()


def still_imu(seed: int, rate: float, n: int) -> np.ndarray:
    unit = InertialUnit(seed, 1, rate)
    return unit.counts(np.zeros((n, 3)), np.tile(UP * GRAVITY, (n, 1)))


@pytest.mark.parametrize("rate", [250.0, 500.0, 1000.0])
def test_imu_noise_is_the_data_sheets(rate: float) -> None:
    counts = still_imu(2, rate, 20_000)
    rms = np.diff(counts.astype(float), axis=0).std(axis=0) / np.sqrt(2.0)
    density = rms / np.sqrt(rate / 2.0)
    quantum = 1.0 / np.sqrt(12.0)
    gyro = np.hypot(np.radians(0.0038) / sensors.GYRO_LSB * np.sqrt(rate / 2.0), quantum) / np.sqrt(rate / 2.0)
    acc = np.hypot(75e-6 * GRAVITY / sensors.ACC_LSB * np.sqrt(rate / 2.0), quantum) / np.sqrt(rate / 2.0)
    assert density[:3] == pytest.approx(gyro, rel=0.05)
    assert density[3:] == pytest.approx(acc, rel=0.05)


def test_imu_bias_is_within_the_data_sheet_and_differs_between_tools() -> None:
    means = np.array([still_imu(seed, 500.0, 2000).mean(axis=0) for seed in range(30)])
    gyro = np.degrees(means[:, :3] * sensors.GYRO_LSB)
    acc = means[:, 3:5] * sensors.ACC_LSB / GRAVITY * 1e3
    assert 0.3 < gyro.std() < 0.8 and np.abs(gyro).max() < 3.0
    assert 2.0 < acc.std() < 8.0  # mg: bias, and misalignment that lets gravity in


def test_imu_scale_and_misalignment_are_small_and_not_zero() -> None:
    unit = InertialUnit(7, 1, 500.0)
    for matrix in (unit.gyro_matrix, unit.acc_matrix):
        off = matrix - np.eye(3)
        assert 0.0 < np.abs(off).max() < 0.02
    n = 4000
    turning = unit.counts(np.tile([2.0, 0.0, 0.0], (n, 1)), np.tile(UP * GRAVITY, (n, 1)))[:, :3].mean(axis=0)
    still = InertialUnit(7, 1, 500.0).counts(np.zeros((n, 3)), np.tile(UP * GRAVITY, (n, 1)))[:, :3].mean(axis=0)
    assert (turning - still) * sensors.GYRO_LSB / 2.0 == pytest.approx(unit.gyro_matrix[:, 0], abs=1e-4)


def test_imu_clips_at_its_range() -> None:
    unit = InertialUnit(1, 1, 500.0)
    counts = unit.counts(np.full((10, 3), 20.0), np.full((10, 3), -60.0))
    assert (counts[:, :3] == 32767).all() and (counts[:, 3:] == -32768).all()
    within = InertialUnit(1, 1, 500.0).counts(np.full((10, 3), 8.0), np.full((10, 3), -35.0))
    assert (np.abs(within.astype(int)) < 32767).all()


def test_a_tool_keeps_its_errors_and_a_take_has_its_own_noise() -> None:
    a, b = (
        still_imu(3, 500.0, 2000),
        InertialUnit(3, 2, 500.0).counts(np.zeros((2000, 3)), np.tile(UP * GRAVITY, (2000, 1))),
    )
    assert not np.array_equal(a, b)
    assert a.mean(axis=0) == pytest.approx(b.mean(axis=0), abs=1.0)
    assert LoadCells(3, 1, 250.0).records == LoadCells(3, 2, 250.0).records
    assert LoadCells(3, 1, 250.0).records != LoadCells(4, 1, 250.0).records
