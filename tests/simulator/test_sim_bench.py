"""The bench is the streaming tool's sensors without link and clock, and gives what evaluation needs."""

from dataclasses import fields
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from nexus_simulator.bench import Bench, simulated_bench
from nexus_simulator.body import GRAVITY, TIP_AXES
from nexus_simulator.contact import Contact
from nexus_simulator.unit import THERMOMETER_K, make_unit
from sim_host import Bench as LinkBench
from sim_host import Host

from nexuslink.protocol.messages import ForceCalibration
from nexuslink.protocol.record import damage, seal_record

N = 500
T = np.arange(N) / 250.0
UPRIGHT = np.tile([0.0, 0.0, GRAVITY], (N, 1))
STILL = np.zeros((N, 3))
ROOM = np.full(N, 22.0)


def force_counts(bench: Bench, contact: float, t: np.ndarray = T) -> np.ndarray:
    return bench.force_counts(t, np.full((N, 2), contact), UPRIGHT, STILL, ROOM)


def test_the_entry_point_finds_it() -> None:
    entry = EntryPoint("sim", "nexus_simulator.bench:simulated_bench", "nexuslink.benches")
    bench = entry.load()(3)
    assert bench.simulated is True
    assert bench.record.serial_number == "SIM-00003" and bench.record.reference == "simulated bench"


def test_the_record_is_sealed_and_whole() -> None:
    record = simulated_bench(3).record
    assert damage(record.pack()) is None and seal_record(record) == record.pack() and record.problem() is None
    for tip in record.force:
        unset = [f.name for f in fields(ForceCalibration) if not np.any(getattr(tip, f.name)) and f.name[:2] == "u_"]
        assert not unset
        assert tip.contact_area_mm2 and tip.contact_radius_mm and any(tip.tip_centre_m) and tip.overload_peak_n


def test_it_is_the_tool_of_that_seed_with_the_bodys_imu_and_cells() -> None:
    """What the streaming tool lying still sends is what the bench says, apart from noise."""
    link = LinkBench({"script": "unloaded", "seed": "9", "temperature": "31"}, Host())
    link.start()
    link.run(4_000_000_000)
    t, force = link.host.samples(0, 4000.0)
    _, imu = link.host.samples(1, 2000.0)
    bench = simulated_bench(9)
    assert link.link.tool.identity.record.force == bench.record.force
    up = link.link.tool.truth(t).up * GRAVITY
    warm = np.full(len(t), 31.0)
    mine = bench.force_counts(np.arange(len(t)) / 250.0, np.zeros((len(t), 2)), up, np.zeros((len(t), 3)), warm)
    assert force.mean(axis=0) == pytest.approx(mine.mean(axis=0), abs=15.0)
    assert not np.array_equal(force, mine)
    warm = np.full(len(imu), 31.0)
    mine = bench.imu_counts(np.zeros((len(imu), 3)), np.tile(up[0], (len(imu), 1)), warm)
    assert imu[:, 3:].mean(axis=0) == pytest.approx(mine[:, 3:].mean(axis=0), abs=2.0)
    other = simulated_bench(10)
    assert np.abs(force_counts(other, 0.0).mean(axis=0) - force.mean(axis=0)).max() > 1000.0


def test_the_same_seed_gives_the_same_counts() -> None:
    first, second, other = simulated_bench(1), simulated_bench(1), simulated_bench(2)
    assert np.array_equal(force_counts(first, 20.0), force_counts(second, 20.0))
    assert np.array_equal(first.imu_counts(STILL, UPRIGHT, ROOM), second.imu_counts(STILL, UPRIGHT, ROOM))
    assert not np.array_equal(force_counts(first, 20.0), force_counts(other, 20.0))


def test_creep_goes_on_from_call_to_call() -> None:
    bench = simulated_bench(4)
    before = force_counts(bench, 100.0)
    after = force_counts(bench, 100.0, T + 300.0)
    grown = (after[:50].mean(axis=0) - before[:50].mean(axis=0)) * [t.gain_n_per_count for t in bench.record.force]
    assert (grown > 0.1).all() and (grown < 0.6).all()
    fresh = force_counts(simulated_bench(4), 100.0, T + 300.0)
    assert fresh[:50].mean(axis=0) == pytest.approx(before[:50].mean(axis=0), abs=60.0)


def test_no_samples_are_no_counts() -> None:
    bench, none = simulated_bench(1), np.empty(0)
    assert bench.force_counts(none, np.empty((0, 2)), np.empty((0, 3)), np.empty((0, 3)), none).shape == (0, 2)
    assert bench.imu_counts(np.empty((0, 3)), np.empty((0, 3)), none).shape == (0, 6)


def test_scale_axes_and_thermometer() -> None:
    bench = simulated_bench(6)
    assert bench.imu_scale.rate_hz == 500.0
    assert bench.imu_scale.accel_range_m_s2 == pytest.approx(32768 * bench.imu_scale.accel_m_s2, rel=0.03)
    assert bench.imu_scale.gyro_range_rad_s == pytest.approx(32768 * bench.imu_scale.gyro_rad_s, rel=0.15)
    assert np.array_equal(bench.tip_axes, TIP_AXES)
    assert bench.temperature_reading(40.0) - 40.0 == pytest.approx(bench.temperature_reading(5.0) - 5.0)
    off = [simulated_bench(seed).temperature_reading(20.0) - 20.0 for seed in range(200)]
    assert np.std(off) == pytest.approx(THERMOMETER_K, rel=0.2)


def test_pressure_is_hertz_when_light_and_the_face_when_heavy() -> None:
    contact = Contact(np.array([1200.0, 320.0]), np.array([30.0, 12.0]), np.array([30e3, 60e3]))
    light, heavy = np.full((1, 2), 1e-3), np.full((1, 2), 1e7)
    mean, peak = contact.pressure_kpa(light)
    a_m = np.cbrt(0.75 * 1e-3 * np.array([0.030, 0.012]) / np.array([30e3, 60e3]))
    assert mean[0] == pytest.approx(1e-6 / (np.pi * a_m**2), rel=1e-3)
    assert peak == pytest.approx(1.5 * mean, rel=1e-3)
    mean, peak = contact.pressure_kpa(heavy)
    assert mean[0] == pytest.approx(1e7 / np.array([1200.0, 320.0]) * 1e3, rel=1e-3)
    assert peak == pytest.approx(1.2 * mean, rel=1e-3)
    for force in (0.0, -5.0):
        assert (np.array(contact.pressure_kpa(np.full((1, 2), force))) == 0.0).all()
    # the area in between is that of the formula
    force = np.array([[22.0, 12.0]])
    hertz = np.pi * np.cbrt(0.75 * force * np.array([0.030, 0.012]) / np.array([30e3, 60e3])) ** 2
    area = (hertz**-2 + np.array([1200e-6, 320e-6]) ** -2) ** -0.5
    assert contact.pressure_kpa(force)[0] == pytest.approx(force / area / 1e3)


def test_tissue_differs_from_person_to_person() -> None:
    modulus = np.log([make_unit(seed).contact.modulus_pa for seed in range(300)])
    assert np.exp(np.median(modulus, axis=0)) == pytest.approx([30e3, 60e3], rel=0.08)
    assert modulus.std(axis=0) == pytest.approx(0.25, rel=0.15)
