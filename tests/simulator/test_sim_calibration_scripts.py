"""Scripts for calibrating: what is done with the tool is what the person is told to do, and physics allow it."""

import numpy as np
import pytest
from nexus_simulator import rig
from nexus_simulator.body import GRAVITY, TIP_AXES
from nexus_simulator.rig import Chain, Rig
from nexus_simulator.scripts import SCRIPTS, WEIGHTS_KG, RigScript
from sim_host import Bench, Host

RATE = 500.0
RIGGED = [name for name, script in SCRIPTS.items() if isinstance(script, RigScript)]


def rig_of(name: str, seed: int = 1, until: float = 150.0) -> Rig:
    script = SCRIPTS[name]
    assert isinstance(script, RigScript)
    made = Rig(script, seed)
    made.advance(until)
    return made


def times(start: float, end: float) -> np.ndarray:
    return np.arange(start, end, 1.0 / RATE)


def tilt_deg(up: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(up @ direction, -1.0, 1.0)))


def still(made: Rig, t: np.ndarray) -> np.ndarray:
    """(n,) whether nothing moves, apart from a hand that trembles."""
    motion = made.motion(t)
    moved = np.abs(motion.specific_force - GRAVITY * motion.up).max(axis=1)
    return (np.linalg.norm(motion.rate, axis=1) < 0.005) & (moved < 0.12)


def test_there_are_these() -> None:
    assert RIGGED == ["unloaded", "weights-psoas", "weights-iliacus", "poses", "turning"]


@pytest.mark.parametrize("name", RIGGED)
def test_rates_are_the_derivative_of_the_attitude(name: str) -> None:
    made = rig_of(name, 5)
    t = times(0.0, 130.0)
    motion = made.motion(t)
    slope = np.gradient(motion.up, t, axis=0)
    assert np.abs(slope + np.cross(motion.rate, motion.up)).max() < 1e-3
    assert np.linalg.norm(motion.up, axis=1) == pytest.approx(1.0)
    assert still(made, t).mean() > (0.15 if name == "turning" else 0.6)
    if name in ("poses", "turning"):
        assert np.abs(slope + np.cross(motion.rate[:, [1, 0, 2]], motion.up)).max() > 0.5


def test_accelerations_are_the_second_derivative_of_the_place() -> None:
    rng = np.random.default_rng(0)
    chain = Chain(np.array([0.5, 2.0, 2.8]), np.array([1.0, 0.8, 1.2]), rng.uniform(-0.2, 0.2, (3, 3)))
    t = np.arange(0.0, 5.0, 1e-3)
    place, acceleration = chain.moved(t)
    slope = np.gradient(np.gradient(place, t, axis=0), t, axis=0)
    assert np.abs(acceleration).max() > 0.5
    assert np.abs(slope - acceleration)[2:-2].max() < 0.02 * np.abs(acceleration).max()


@pytest.mark.parametrize("name", RIGGED)
def test_a_function_of_seed_and_time_alone(name: str) -> None:
    t = times(0.0, 100.0)
    whole, parts, other = rig_of(name, 3), rig_of(name, 3), rig_of(name, 4)
    assert np.array_equal(whole.motion(t).rate, np.vstack([parts.motion(at).rate for at in np.array_split(t, 13)]))
    assert np.array_equal(whole.force(t), parts.force(t))
    assert not np.array_equal(whole.motion(t).up, other.motion(t).up)
    fresh = rig_of(name, 3, 10.0)
    assert np.isnan(fresh.force(np.array([-1.0, 11.0]))).all() and np.isfinite(fresh.force(np.array([0.0, 10.0]))).all()
    assert np.isnan(fresh.motion(np.array([-1.0, 11.0])).up).all()


@pytest.mark.parametrize(("name", "tip"), [("weights-psoas", 0), ("weights-iliacus", 1)])
def test_weights_stand_on_the_tip_one_after_another(name: str, tip: int) -> None:
    made = rig_of(name, 2)
    assert made.tip == tip
    t = times(0.0, 100.0)
    force, motion = made.force(t), made.motion(t)
    assert (force[:, 1 - tip] == 0.0).all()
    lean = tilt_deg(motion.up, TIP_AXES[tip])
    assert 0.0 < lean.max() < 10.0 and lean.max() - lean.min() < 1e-6
    loaded = force[:, tip] > 0.0
    edges = np.flatnonzero(np.diff(loaded.astype(int)))
    begins, ends = t[edges[::2]], t[edges[1::2]]
    assert len(begins) == len(ends) == len(WEIGHTS_KG)
    assert begins[0] == pytest.approx(6.0, abs=0.1) and ends - begins == pytest.approx(8.0, abs=0.1)
    assert (begins[1:] - ends[:-1] > 4.0).all() and t[-1] - ends[-1] > 6.0
    for kg, begin, end in zip(WEIGHTS_KG, begins, ends, strict=True):
        inside = (t > begin + 1.0) & (t < end - 1.0)
        assert still(made, t[inside]).all()
        assert force[inside, tip] == pytest.approx(kg * GRAVITY * np.cos(np.radians(lean[0])))
        placing = (t > begin) & (t < begin + rig.PLACING_S)
        sideways = motion.specific_force[placing] - GRAVITY * motion.up[placing]
        assert 0.1 < np.abs(sideways).max() < 1.0
    assert not loaded[t > ends[-1] + 0.1].any()


def test_tips_lean_by_a_few_degrees_and_not_always_the_same() -> None:
    lean = [tilt_deg(rig_of("weights-iliacus", seed).motion(np.zeros(1)).up, TIP_AXES[1])[0] for seed in range(40)]
    assert 0.5 < np.median(lean) < 4.0 and max(lean) < 10.0 and np.std(lean) > 0.3


def test_poses_lay_all_six_sides_up_for_six_seconds() -> None:
    made = rig_of("poses", 2)
    t = times(0.0, 60.0)
    up, quiet = made.motion(t).up, still(made, t)
    assert (made.force(t) == 0.0).all()
    for axis in range(3):
        for sign in (1.0, -1.0):
            on_it = quiet & (tilt_deg(up, sign * np.eye(3)[axis]) < 5.0)
            assert on_it.sum() / RATE > 5.9
    assert not quiet.all() and np.linalg.norm(made.motion(t).rate, axis=1).max() < np.radians(130.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_turning_excites_every_axis_within_the_sensors_ranges(seed: int) -> None:
    made = rig_of("turning", seed)
    t = times(0.0, 140.0)
    motion = made.motion(t)
    speed = np.linalg.norm(motion.rate, axis=1)
    assert np.radians(150.0) < speed.max() < np.radians(350.0)
    turned = np.degrees(np.abs(motion.rate)).sum(axis=0) / RATE
    assert (turned > 1000.0).all()  # every axis, some full turns
    angle = tilt_deg(motion.up, np.array([0.0, 0.0, 1.0]))
    assert angle.min() < 40.0 and angle.max() > 120.0
    moved = np.linalg.norm(motion.specific_force - GRAVITY * motion.up, axis=1)
    assert 2.0 < moved.max() < 15.0 and np.abs(motion.specific_force).max() < 4.0 * GRAVITY
    resting = speed < 0.005
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], resting, [0]]))))[::2] / RATE
    assert (runs > 2.0).sum() >= 5
    assert resting[t > 138.0].all()


def played(name: str, seconds: int, **params: str) -> Bench:
    bench = Bench({"script": name, **params}, Host())
    bench.start()
    bench.run(seconds * 1_000_000_000)
    return bench


def test_a_weight_reaches_the_host_as_counts() -> None:
    bench = played("weights-psoas", 75, seed="3", temperature="15")
    t, counts = bench.host.samples(0, 4000.0)
    truth = bench.link.tool.truth(t)
    cell = bench.link.tool.identity.record.force[0]
    newtons = (counts[:, 0] - cell.zero_counts) * cell.gain_n_per_count
    rise = newtons[truth.force_n[:, 0] > 100.0].mean() - newtons[truth.force_n[:, 0] == 0.0].mean()
    assert rise == pytest.approx(truth.force_n[:, 0].max(), rel=0.02)
    assert {status.temperature_cdeg for status in bench.host.statuses}.pop() == pytest.approx(1500, abs=120)
    assert len({status.temperature_cdeg for status in bench.host.statuses}) == 1  # nobody warms it


def test_a_person_warms_it_from_the_rooms_temperature() -> None:
    degrees = [s.temperature_cdeg for s in played("good-psoas", 60, seed="3", temperature="15").host.statuses]
    assert degrees == sorted(degrees) and 100 < degrees[-1] - degrees[0] < 200


@pytest.mark.parametrize("text", ["51", "-11", "warm", "nan"])
def test_a_temperature_out_of_range_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=f"temperature={text}: not possible; allowed: -10 to 50") as caught:
        Bench({"temperature": text})
    assert "\n" not in str(caught.value)


def test_an_unknown_script_is_told_the_calibrating_ones_too() -> None:
    with pytest.raises(ValueError, match="weights-psoas, weights-iliacus, poses, turning"):
        Bench({"script": "weights"})
