"""The sensors' errors are those of the data sheets they claim, and of the model that the record describes."""

import numpy as np
import pytest
from nexus_simulator import cells, inertial
from nexus_simulator.body import GRAVITY
from nexus_simulator.cells import Creep, LoadCells, force_noise_n
from nexus_simulator.climate import Climate
from nexus_simulator.inertial import InertialUnit
from nexus_simulator.unit import Unit, make_unit

UP = np.array([0.0, 0.0, 1.0])
RATE = 250.0
UPRIGHT = np.array([1.0, 0.8191520442889918])
"""Share of the tips' weight that the cells feel when the base is level."""


def cells_of(seed: int, take: int = 1, rate: float = RATE) -> LoadCells:
    return LoadCells(make_unit(seed).cells, (seed, 3, take), rate)


def read(
    load_cells: LoadCells, t: np.ndarray, contact: object = 0.0, force: object = UP * GRAVITY, rate: object = 0.0,
    celsius: object = cells.REFERENCE_C,
) -> np.ndarray:  # fmt: skip
    n = len(t)
    full = (np.broadcast_to(value, shape) for value, shape in ((contact, (n, 2)), (force, (n, 3)), (rate, (n, 3))))
    return load_cells.counts(t, *full, np.broadcast_to(celsius, n))


def held(load_cells: LoadCells, force_n: float, seconds: float, rate: float = RATE, start: float = 0.0) -> np.ndarray:
    return read(load_cells, start + np.arange(round(seconds * rate)) / rate, force_n)


def cell_newtons(seed: int, counts: np.ndarray) -> np.ndarray:
    """Zero, gain and curve of the calibration record; gravity of the tip still in."""
    columns = [
        [getattr(tip, name) for tip in make_unit(seed).force]
        for name in ("zero_counts", "gain_n_per_count", "quadratic_per_n", "cubic_per_n2")
    ]
    zero, gain, quadratic, cubic = np.array(columns)
    x = (counts - zero) * gain
    return x + quadratic * x**2 + cubic * x**3


@pytest.mark.parametrize(("rate", "microvolts"), [(250.0, 0.64), (500.0, 0.86), (1000.0, 1.16)])
def test_force_noise_is_the_converters(rate: float, microvolts: float) -> None:
    counts = held(cells_of(1, rate=rate), 0.0, 20.0, rate)
    measured = np.diff(counts, axis=0).std(axis=0) / np.sqrt(2.0) * cells.NOMINAL_N_PER_COUNT
    expected = microvolts * 1e-6 / 0.060 * 222.4
    assert force_noise_n(rate) == pytest.approx(expected, rel=1e-6)
    assert measured == pytest.approx(expected, rel=0.1)  # each cell's gain is off by a few percent


def test_counts_follow_the_model() -> None:
    """Every step of the model, worked out by hand for one hot, loaded, leaning, steady tool."""
    seed, celsius, contact = 6, 38.0, np.array([90.0, 25.0])
    truth = make_unit(seed).cells
    force = np.array([0.3, -0.2, 0.9]) * GRAVITY
    load_cells = cells_of(seed)
    read(load_cells, np.zeros(1), 0.0, force)
    t = 1e5 + np.arange(4000) / RATE
    counts = read(load_cells, t, contact, force, celsius=celsius).mean(axis=0)
    load = contact + truth.tip_mass_kg * (truth.axis @ force)
    crept = load * (1.0 + truth.creep_share.sum(axis=1))
    felt = crept + truth.cross_talk * crept[::-1]
    x = (counts - truth.zero_counts) * truth.gain_n_per_count - truth.zero_n_per_k * 13.0
    x /= 1.0 + truth.gain_per_k * 13.0
    assert x + truth.quadratic_per_n * x**2 + truth.cubic_per_n2 * x**3 == pytest.approx(felt, abs=2e-4)
    assert np.abs(x - load).min() > 0.01  # not without the model


def test_record_gives_newtons_within_what_ageing_left() -> None:
    off = []
    for seed in range(40):
        load_cells = cells_of(seed)
        unloaded = cell_newtons(seed, held(load_cells, 0.0, 2.0)).mean(axis=0)
        loaded = cell_newtons(seed, held(load_cells, 100.0, 2.0, start=2.0)).mean(axis=0)
        talk = [tip.cross_talk for tip in make_unit(seed).force]
        off += list((loaded - unloaded) / (1.0 + np.array(talk)) - 100.0)
    assert 0.15 < np.std(off) < 0.35  # gain 0.2 %, curve, creep of two seconds
    assert 0.0 < np.mean(off) < 0.25  # creep


def test_tare_is_needed_and_nominal_scale_is_not_enough() -> None:
    offsets, gains = [], []
    for seed in range(20):
        tips = make_unit(seed).force
        weight = np.array([tip.tip_mass_kg for tip in tips]) * GRAVITY * UPRIGHT
        offsets.append(cell_newtons(seed, held(cells_of(seed), 0.0, 1.0)).mean(axis=0) - weight)
        gains += [tip.gain_n_per_count / cells.NOMINAL_N_PER_COUNT for tip in tips]
    assert 0.2 < np.std(offsets) < 2.0
    assert 0.01 < np.std(gains) < 0.06


def test_the_cell_carries_the_tip() -> None:
    def mean(up: np.ndarray) -> np.ndarray:
        return cell_newtons(3, read(cells_of(3), np.arange(500) / RATE, force=up * GRAVITY)).mean(axis=0)

    upright, fallen = mean(UP), mean(np.array([1.0, 0.0, 0.0]))
    mass = make_unit(3).cells.tip_mass_kg
    lost = mass * GRAVITY * (np.array([1.0, 0.81915]) - np.array([0.0, 0.57358]))
    assert upright - fallen == pytest.approx(lost, abs=0.01)
    pushed = mean(UP * 1.5)  # half a g upward: inertia
    assert pushed - upright == pytest.approx(0.5 * mass * GRAVITY * np.array([1.0, 0.81915]), abs=0.01)


def test_the_cell_feels_its_tip_swing() -> None:
    """Turning about y, to and fro: alpha x r and omega x (omega x r) at the centre of the tip's mass."""
    truth = make_unit(3).cells
    t = np.arange(2500) / RATE
    omega, alpha = 4.0 * np.sin(5.0 * t), 20.0 * np.cos(5.0 * t)
    rate = np.outer(omega, [0.0, 1.0, 0.0])
    still, swung = (cell_newtons(3, read(cells_of(3), t, rate=value)) for value in (0.0, rate))
    x, z = truth.tip_centre_m[:, 0], truth.tip_centre_m[:, 2]
    there = np.stack([np.outer(alpha, z) - np.outer(omega**2, x), -np.outer(alpha, x) - np.outer(omega**2, z)])
    expected = truth.tip_mass_kg * (truth.axis[:, 0] * there[0] + truth.axis[:, 2] * there[1])
    assert np.abs(expected).max(axis=0).min() > 0.03
    noise = force_noise_n(RATE)
    assert np.abs((swung - still) - expected)[2:].max() < 0.02 * np.abs(expected).max() + noise
    cut = cells_of(3)
    parts = [read(cut, t[part], rate=rate[part]) for part in np.array_split(np.arange(len(t)), 9)]
    whole = read(cells_of(3), t, rate=rate)
    assert np.abs(whole - np.vstack(parts)).max() < 10.0 * noise / cells.NOMINAL_N_PER_COUNT


def test_creep_is_the_lags_it_says() -> None:
    """Against the plain recursion, with irregular times and a gap of hours, whole and in parts."""
    rng = np.random.default_rng(0)
    share, times = rng.uniform(1e-4, 2e-3, (2, 4)), rng.uniform(1.6, 600.0, (2, 4))
    times[:, 0] = 1.6
    t = np.cumsum(rng.uniform(1e-3, 1.0, 3000))
    t[1500:] += 20_000.0
    load = rng.uniform(0.0, 110.0, (3000, 2))
    lag = np.repeat(load[0][:, None], 4, axis=1)
    expected = []
    for i, now in enumerate(t):
        keep = np.exp(-(now - t[max(i - 1, 0)]) / times)
        lag = keep * lag + (1.0 - keep) * load[i][:, None]
        expected.append(load[i] + (share * lag).sum(axis=1))
    whole = Creep(share, times).after(t, load, load[0])
    assert np.abs(whole - expected).max() < 1e-10
    creep = Creep(share, times)
    parts = [
        creep.after(at, part, load[0]) for at, part in zip(*(np.array_split(v, 7) for v in (t, load)), strict=True)
    ]
    assert np.abs(np.vstack(parts) - whole).max() < 1e-10


def test_creep_comes_slowly_and_stays_small() -> None:
    total = [make_unit(seed).cells.creep_share.sum(axis=1) for seed in range(100)]
    low, high = np.percentile(total, [10.0, 90.0])
    assert 0.002 < low < high < 0.004
    force = cell_newtons(1, held(cells_of(1), 100.0, 900.0))
    truth = make_unit(1).cells
    grown = force[-250:].mean(axis=0) - force[:25].mean(axis=0)
    left = (truth.creep_share * np.exp(-900.0 / truth.creep_s)).sum(axis=1)
    assert grown == pytest.approx(100.0 * (truth.creep_share.sum(axis=1) - left), rel=0.06)


def test_temperature_shifts_the_zero_and_the_warmth_is_the_bodys() -> None:
    truth = make_unit(4).cells
    cold, warm = (read(cells_of(4), np.arange(500) / RATE, celsius=c).mean(axis=0) for c in (5.0, 40.0))
    shift = (warm - cold) * truth.gain_n_per_count
    assert shift == pytest.approx(35.0 * truth.zero_n_per_k, abs=0.005)
    assert np.abs(shift).max() > 0.1
    late = np.array([0.0, 1e5])
    assert Climate(22.0).celsius(late) == pytest.approx([22.0, 29.0])
    assert Climate(5.0).celsius(late) == pytest.approx([5.0, 20.5])
    assert (Climate(5.0, occupied=False).celsius(late) == 5.0).all()


def test_force_saturates_at_24_bits() -> None:
    for force, limit in ((400.0, (1 << 23) - 1), (-400.0, -(1 << 23)), (1e9, (1 << 23) - 1)):
        assert (held(cells_of(1), force, 0.1) == limit).all()
    assert (held(cells_of(1), 150.0, 0.1) < (1 << 23) - 1).all()


def imu_of(seed: int, take: int = 1, rate: float = 500.0) -> InertialUnit:
    return InertialUnit(make_unit(seed).inertial, (seed, 5, take), rate)


def felt(
    imu: InertialUnit, n: int, rate: object = 0.0, force: object = UP * GRAVITY, celsius: float = cells.REFERENCE_C
) -> np.ndarray:
    return imu.counts(np.broadcast_to(rate, (n, 3)), np.broadcast_to(force, (n, 3)), np.full(n, celsius))


def still_imu(seed: int, rate: float, n: int) -> np.ndarray:
    return felt(imu_of(seed, rate=rate), n)


@pytest.mark.parametrize("rate", [250.0, 500.0, 1000.0])
def test_imu_noise_is_the_data_sheets(rate: float) -> None:
    counts = still_imu(2, rate, 20_000)
    rms = np.diff(counts.astype(float), axis=0).std(axis=0) / np.sqrt(2.0)
    density = rms / np.sqrt(rate / 2.0)
    quantum = 1.0 / np.sqrt(12.0)
    gyro = np.hypot(np.radians(0.0038) / inertial.GYRO_LSB * np.sqrt(rate / 2.0), quantum) / np.sqrt(rate / 2.0)
    acc = np.hypot(75e-6 * GRAVITY / inertial.ACC_LSB * np.sqrt(rate / 2.0), quantum) / np.sqrt(rate / 2.0)
    assert density[:3] == pytest.approx(gyro, rel=0.05)
    assert density[3:] == pytest.approx(acc, rel=0.05)


def test_imu_bias_is_within_the_data_sheet_and_differs_between_tools() -> None:
    means = np.array([still_imu(seed, 500.0, 2000).mean(axis=0) for seed in range(30)])
    gyro = np.degrees(means[:, :3] * inertial.GYRO_LSB)
    acc = means[:, 3:5] * inertial.ACC_LSB / GRAVITY * 1e3
    assert 0.3 < gyro.std() < 0.8 and np.abs(gyro).max() < 3.0
    assert 2.0 < acc.std() < 8.0  # mg: bias, and misalignment that lets gravity in


def test_imu_scale_and_misalignment_are_small_and_not_zero() -> None:
    truth = make_unit(7).inertial
    for matrix in (truth.gyro.matrix, truth.accelerometer.matrix):
        off = matrix - np.eye(3)
        assert 0.0 < np.abs(off).max() < 0.02
    turning = felt(imu_of(7), 4000, [2.0, 0.0, 0.0])[:, :3].mean(axis=0)
    still = felt(imu_of(7), 4000)[:, :3].mean(axis=0)
    assert (turning - still) * inertial.GYRO_LSB / 2.0 == pytest.approx(truth.gyro.matrix[:, 0], abs=1e-4)


def test_imu_bias_goes_with_temperature() -> None:
    truth = make_unit(7).inertial
    cold, warm = (felt(imu_of(7), 4000, celsius=c).mean(axis=0) for c in (5.0, 40.0))
    lsb = np.repeat([inertial.GYRO_LSB, inertial.ACC_LSB], 3)
    slopes = np.concatenate([truth.gyro.bias_per_k, truth.accelerometer.bias_per_k])
    assert warm - cold == pytest.approx(35.0 * slopes / lsb, abs=0.04)  # the same noise, rounded otherwise
    assert np.abs(slopes[3:]).max() * 35.0 > 2 * inertial.ACC_LSB


def test_imu_clips_at_its_range() -> None:
    counts = felt(imu_of(1), 10, 20.0, -60.0)
    assert (counts[:, :3] == 32767).all() and (counts[:, 3:] == -32768).all()
    within = felt(imu_of(1), 10, 8.0, -35.0)
    assert (np.abs(within.astype(int)) < 32767).all()


def test_a_tool_keeps_its_errors_and_a_take_has_its_own_noise() -> None:
    a, b = felt(imu_of(3, 1), 2000), felt(imu_of(3, 2), 2000)
    assert not np.array_equal(a, b)
    assert a.mean(axis=0) == pytest.approx(b.mean(axis=0), abs=1.0)
    assert (make_unit(3).force, make_unit(3).accelerometer) == (make_unit(3).force, make_unit(3).accelerometer)
    assert make_unit(3).force != make_unit(4).force


UNITS = 300


def misses(units: list[Unit]) -> dict[str, np.ndarray]:
    """How far the truth is from the record, in the record's own standard uncertainties, field by field."""
    found: dict[str, list[float]] = {}
    for unit in units:
        for tip, record in enumerate(unit.force):
            true = {name: getattr(unit.cells, name)[tip] for name in unit.cells.__slots__}
            gain = record.gain_n_per_count
            curve = [true["quadratic_per_n"] - record.quadratic_per_n, true["cubic_per_n2"] - record.cubic_per_n2]
            worst = 2.0 / 3.0 * cells.FORCE_FULL_SCALE_N
            one = {
                "u_zero_n": (true["zero_counts"] - record.zero_counts) * gain / record.u_zero_n,
                "u_gain": (true["gain_n_per_count"] / gain - 1.0) / record.u_gain,
                "u_curve_n": (curve[0] * worst**2 + curve[1] * worst**3) / record.u_curve_n,
                "u_creep_share": (true["creep_share"].sum() - sum(record.creep_share)) / record.u_creep_share,
                "u_area": (unit.contact.area_mm2[tip] / record.contact_area_mm2 - 1.0) / record.u_area,
            }
            for name in ("zero_n_per_k", "gain_per_k", "cross_talk", "tip_mass_kg"):
                one[f"u_{name}"] = (true[name] - getattr(record, name)) / getattr(record, f"u_{name}")
            for name, value in one.items():
                found.setdefault(name, []).append(float(value))
        sensor, truth = unit.accelerometer, unit.inertial.accelerometer
        found.setdefault("u_matrix", []).extend(
            ((np.linalg.inv(truth.matrix).ravel() - sensor.matrix) / sensor.u_matrix).tolist()
        )
        for warmth in (-15.0, 15.0):
            bias = truth.bias + warmth * truth.bias_per_k - sensor.bias - warmth * np.array(sensor.bias_per_k)
            found.setdefault("u_bias", []).extend((bias / sensor.u_bias).tolist())
    return {name: np.array(values) for name, values in found.items()}


def test_the_truth_lies_about_the_record_by_the_records_own_uncertainty() -> None:
    units = [make_unit(seed) for seed in range(UNITS)]
    found = misses(units)
    stated = {name for name in type(units[0].force[0]).__slots__ if name.startswith("u_")}
    assert set(found) == stated | {"u_matrix", "u_bias"}
    for name, values in found.items():
        # four standard deviations of a mean and of a standard deviation, at that number of draws
        allowed = 4.0 / np.sqrt(min(len(values), 2 * UNITS))
        assert abs(values.mean()) < allowed, name
        assert abs(values.std() - 1.0) < allowed / np.sqrt(2.0), name
        assert np.mean(np.abs(values) < 1.96) == pytest.approx(0.95, abs=4.0 * np.sqrt(0.0475 / len(values))), name
    # and it would show: the record of one tool says nothing of another
    strange = [
        Unit(a.force, a.gyro, a.accelerometer, b.cells, b.inertial, b.contact, b.thermometer_error_k)
        for a, b in zip(units, units[1:] + units[:1], strict=True)
    ]
    assert misses(strange)["u_tip_mass_kg"].std() > 2.0 and misses(strange)["u_gain"].std() > 2.0


def test_what_the_factory_does_not_measure_it_does_not_claim() -> None:
    gyro = make_unit(5).gyro
    assert gyro.matrix == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0) and gyro.u_matrix == gyro.u_bias == 0.0
    off = np.degrees([make_unit(seed).inertial.gyro.bias for seed in range(100)])
    assert 0.4 < off.std() < 0.6
