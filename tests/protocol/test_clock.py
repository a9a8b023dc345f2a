"""The device's clock from four stamps: offset and skew under queues that only ever add delay."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.protocol.clock import JUMP_AFTER, MAX_SKEW, USUAL_SKEW, WANDER, WINDOW, DeviceClock

BOOT_NS = 77_000_000_000
"""Host time at which the device's clock shows zero."""
FLIGHT_NS = 400_000
"""Shortest way, in each direction."""
Delays = Callable[[random.Random], Iterator[float]]


def exchange(clock: DeviceClock, at_s: float, skew: float, there_ns: float, back_ns: float) -> None:
    """One exchange that begins ``at_s`` after the boot; ``skew`` is host time per device time, minus one."""
    t1 = BOOT_NS + round(at_s * 1e9)
    received_us = int((t1 + there_ns - BOOT_NS) / 1000 / (1 + skew))
    sent_us = received_us + 150
    t4 = BOOT_NS + round(sent_us * 1000 * (1 + skew) + back_ns)
    assert clock.add(t1, received_us, sent_us, t4)


def error_ns(clock: DeviceClock, at_s: float, skew: float) -> float:
    """Fit minus truth at a host time after the boot."""
    assert clock.fit is not None
    return clock.fit.host_ns(at_s * 1e6 / (1 + skew)) - (BOOT_NS + at_s * 1e9)


def test_without_an_exchange_there_is_no_fit() -> None:
    assert DeviceClock().fit is None


def test_one_exchange_gives_the_offset() -> None:
    clock = DeviceClock()
    exchange(clock, 10.0, 0.0, FLIGHT_NS, FLIGHT_NS)
    assert clock.fit is not None and clock.fit.skew == 0.0
    assert abs(error_ns(clock, 10.0, 0.0)) <= 2_000
    assert clock.fit.uncertainty_ns == pytest.approx(FLIGHT_NS, abs=2_000)


SIDES = ("forward", "back")
MEAN_NS = 10e6


def exponential(rng: random.Random) -> Iterator[float]:
    """Every exchange waits, memorylessly."""
    while True:
        yield rng.expovariate(1 / MEAN_NS)


def heavy_tailed(rng: random.Random) -> Iterator[float]:
    """Pareto: mostly short, now and then a second."""
    while True:
        yield MEAN_NS * 0.3 * (rng.paretovariate(1.3) - 1)


def bursts(rng: random.Random) -> Iterator[float]:
    """A queue that fills for seconds, and short waits between."""
    while True:
        for _ in range(rng.randint(2, 12)):
            yield rng.expovariate(5 / MEAN_NS)
        for _ in range(rng.randint(1, 6)):
            yield MEAN_NS * rng.uniform(5, 15)


DELAYS = (exponential, heavy_tailed, bursts)


def half_a_minute(skew: float, there: Iterator[float], back: Iterator[float]) -> DeviceClock:
    """What a host does: eight exchanges at once, then one a second; each way takes `FLIGHT_NS` and a delay."""
    clock = DeviceClock()
    for at_s in (*(0.01 * k for k in range(8)), *range(1, 31)):
        exchange(clock, at_s, skew, FLIGHT_NS + next(there), FLIGHT_NS + next(back))
    return clock


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("delays", DELAYS)
@pytest.mark.parametrize("skew", [-2e-4, 0.0, 2e-4])
def test_skew_under_one_sided_queues(skew: float, delays: Delays, side: str, seed: int) -> None:
    """200 ppm, mean delays of 10 ms, no exchange without one: within 1 ms after 30 s, and for 10 s more."""
    queue = delays(random.Random(seed))
    clock = half_a_minute(skew, queue if side == "forward" else repeat(0.0), queue if side == "back" else repeat(0.0))
    assert clock.fit is not None
    for at_s in (0.0, 15.0, 30.0, 40.0):
        error = abs(error_ns(clock, at_s, skew))
        assert error < 1e6
        assert error <= clock.fit.uncertainty_ns_at(at_s * 1e6 / (1 + skew))
    assert abs(clock.fit.skew - skew) <= clock.fit.skew_uncertainty


def test_least_squares_would_fail_there() -> None:
    """Negative control: the usual line through the middles of the same exchanges is wrong by milliseconds."""
    at_s = [*(0.01 * k for k in range(8)), *range(1, 31)]
    for seed in range(12):
        middles_ns = [delay / 2 for delay, _ in zip(exponential(random.Random(seed)), at_s, strict=False)]
        assert max(abs(np.polyval(np.polyfit(at_s, middles_ns, 1), (0.0, 15.0, 30.0)))) > 3e6


@pytest.mark.parametrize("asymmetry_ns", [-8e6, -1e6, 1e6, 8e6])
def test_a_constant_asymmetry_is_not_seen_but_stated(asymmetry_ns: float) -> None:
    """One direction always takes longer: the offset is wrong by half of that, and the uncertainty says so."""
    there, back = repeat(max(asymmetry_ns, 0.0)), repeat(max(-asymmetry_ns, 0.0))
    clock = half_a_minute(1e-4, there, back)
    assert clock.fit is not None
    for at_s in (0.0, 10.0, 30.0, 300.0):
        t_us = at_s * 1e6 / (1 + 1e-4)
        assert abs(error_ns(clock, at_s, 1e-4)) <= clock.fit.uncertainty_ns_at(t_us)
    assert error_ns(clock, 30.0, 1e-4) == pytest.approx(-asymmetry_ns / 2, rel=0.1)
    assert clock.fit.uncertainty_ns == pytest.approx(clock.fit.round_trip_ns / 2, rel=0.1)


@given(st.integers(0, 2**32), st.floats(-2e-4, 2e-4), st.floats(1, 40e6), st.floats(1, 40e6), st.integers(1, 150))
@settings(max_examples=120, deadline=None)
def test_the_truth_is_never_outside(seed: int, skew: float, there_ns: float, back_ns: float, n: int) -> None:
    """Queues in both directions, any number of exchanges, long before and after them too."""
    rng = random.Random(seed)
    clock = DeviceClock()
    for k in range(n):
        there, back = rng.expovariate(1 / there_ns), rng.expovariate(1 / back_ns)
        exchange(clock, k + rng.random() / 2, skew, FLIGHT_NS + there, FLIGHT_NS + back)
    fit = clock.fit
    assert fit is not None
    for at_s in (-100.0, 0.0, n / 2, float(n), n + 1000.0):
        assert abs(error_ns(clock, at_s, skew)) <= fit.uncertainty_ns_at(at_s * 1e6 / (1 + skew)) + 1
    assert abs(fit.skew - skew) <= fit.skew_uncertainty


@pytest.mark.parametrize("seed", range(4))
def test_the_uncertainty_is_that_of_all_lines_that_are_possible(seed: int) -> None:
    """Against a grid of offsets and skews: no line that obeys every exchange is outside, some come near."""
    rng, clock, rows = random.Random(seed), DeviceClock(), []
    for k in range(10):
        t1, t2 = k * 10**9, 10**9 + k * 10**6 + rng.randrange(2000)
        rows.append((t1, t2, t2, t1 + 2_000_000 + rng.randrange(4_000_000)))
        assert clock.add(*rows[-1])
    fit = clock.fit
    assert fit is not None
    offset_ns, skew = np.meshgrid(np.linspace(-6e6, 6e6, 601), np.linspace(-MAX_SKEW, MAX_SKEW, 401))
    possible = np.ones(offset_ns.shape, bool)
    for t1, t2, t3, t4 in rows:
        for host, device, side in ((t1, t2, 1), (t4, t3, -1)):
            line = fit.origin_host_ns + offset_ns + (device - fit.origin_us) * 1000.0 * (1.0 + skew)
            possible &= side * (line - host) >= -1000.0
    assert possible.sum() > 100
    for t_us in (fit.origin_us - 20_000_000, fit.origin_us - 5_000_000, fit.origin_us, fit.origin_us + 30_000_000):
        along_ns = (t_us - fit.origin_us) * 1000.0
        apart = np.abs(offset_ns + along_ns * (skew - fit.skew))[possible].max()
        assert apart <= fit.uncertainty_ns_at(t_us) <= 1.1 * apart + 20_000


def test_a_crystal_that_warms_stays_inside() -> None:
    """The skew drifts by 20 ppb a second over the whole window, on a link without any jitter."""
    clock = DeviceClock()
    for k in range(200):
        skew = 1e-5 + WANDER * k / 2  # the mean up to now
        t1 = round(k * 1e9)
        device_us = int((t1 + 1000) / 1000 / (1 + skew))
        assert clock.add(t1, device_us, device_us, t1 + 2000)
    assert clock.fit is not None and clock.jumps == 0
    assert abs(clock.fit.host_ns(device_us) - t1) <= clock.fit.uncertainty_ns


def test_uncertainty_grows_with_the_distance() -> None:
    clock = half_a_minute(0.0, repeat(0.0), repeat(0.0))
    assert clock.fit is not None
    here, later, much_later = (clock.fit.uncertainty_ns_at(t) for t in (30e6, 60e6, 600e6))
    assert here < later < much_later
    before = [clock.fit.uncertainty_ns_at(t) for t in (0.0, -30e6, -600e6)]
    assert before == sorted(before)


def test_few_exchanges_in_noise_fit_hardly_any_skew() -> None:
    """Eight within a second: their jitter would pass for thousands of ppm."""
    rng, clock = random.Random(3), DeviceClock()
    for k in range(8):
        exchange(clock, k / 8, 1e-4, FLIGHT_NS + rng.expovariate(1 / 5e6), FLIGHT_NS + rng.expovariate(1 / 5e6))
    assert clock.fit is not None
    assert abs(clock.fit.skew) <= 3 * USUAL_SKEW
    assert clock.fit.skew_uncertainty > 5 * USUAL_SKEW


def test_a_skew_that_no_crystal_has_is_not_believed() -> None:
    clock = DeviceClock()
    for k in range(20):
        exchange(clock, k, 3 * MAX_SKEW, 5 * FLIGHT_NS * 1000, FLIGHT_NS)
    assert clock.fit is not None and abs(clock.fit.skew) <= MAX_SKEW


# -- clocks that leap, and stamps that lie ----------------------------------------------------------------------------


@pytest.mark.parametrize("leap_s", [-3600.0, -10.0, 0.5, 10.0, 1e6])
def test_a_clock_that_jumps_is_followed(leap_s: float) -> None:
    """Not at the first contradiction, which may be a lie, but at the third that agrees with the two before."""
    clock = DeviceClock()
    for k in range(20):
        exchange(clock, 4000 + k, 1e-4, FLIGHT_NS, FLIGHT_NS)
    leap_us = round(leap_s * 1e6)
    taken = []
    for k in range(20, 30):
        t1 = BOOT_NS + (4000 + k) * 10**9
        device_us = int((t1 + FLIGHT_NS - BOOT_NS) / 1000 / (1 + 1e-4)) + leap_us
        taken.append(clock.add(t1, device_us, device_us, t1 + 2 * FLIGHT_NS))
    assert taken == [False] * (JUMP_AFTER - 1) + [True] * (10 - JUMP_AFTER + 1)
    assert (clock.jumps, clock.doubted, clock.refused) == (1, JUMP_AFTER, 0)
    assert clock.fit is not None
    assert abs(clock.fit.host_ns(device_us) - t1 - FLIGHT_NS) <= 2000


@pytest.mark.parametrize("lie_us", [0, 1, 2**40, 2**62, 2**63 - 1])
def test_single_lies_change_nothing(lie_us: int) -> None:
    clock, honest = DeviceClock(), DeviceClock()
    for k in range(20):
        for who in (clock, honest):
            exchange(who, 1000 + k, 1e-4, FLIGHT_NS, FLIGHT_NS)
        t1 = BOOT_NS + (1000 + k) * 10**9 + 5 * 10**8
        assert not clock.add(t1, lie_us, lie_us, t1 + 2 * FLIGHT_NS)
    assert clock.fit == honest.fit
    assert (clock.doubted, clock.jumps) == (20, 0)


def test_a_lie_at_the_beginning_is_outvoted() -> None:
    clock = DeviceClock()
    assert clock.add(0, 2**50, 2**50, 2 * FLIGHT_NS)
    for k in range(1, JUMP_AFTER + 1):
        device_us = k * 1_000_000
        clock.add(k * 10**9, device_us, device_us, k * 10**9 + 2 * FLIGHT_NS)
    assert clock.fit is not None and abs(clock.fit.host_ns(0) - FLIGHT_NS) <= 2000


@pytest.mark.parametrize(
    ("why", "stamps"),
    [
        ("came back before it left", (1_000_000, 5, 6, 999_999)),
        ("answered before it was asked", (0, 100, 99, 10_000_000)),
        ("took longer in the tool than altogether", (0, 0, 20_000, 10_000_000)),
        ("all of it", (10, 2**64 - 1, 0, 0)),
        ("a time that no clock will show", (0, 2**63, 2**63, 10_000_000)),
    ],
)
def test_stamps_that_contradict_each_other_are_refused(why: str, stamps: tuple[int, int, int, int]) -> None:
    clock = DeviceClock()
    assert not clock.add(*stamps), why
    assert (clock.fit, clock.refused) == (None, 1)
    exchange(clock, 1.0, 0.0, FLIGHT_NS, FLIGHT_NS)
    fit = clock.fit
    assert not clock.add(*stamps)
    assert (clock.fit, clock.refused, clock.doubted) == (fit, 2, 0)


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1) | st.integers(0, 10_000)] * 4), max_size=12))
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("error")
def test_any_stamps_from_the_wire(rows: list[tuple[int, int, int, int]]) -> None:
    """The device's two come from the wire, and so does the echo of the host's first."""
    clock = DeviceClock()
    for row in rows:
        taken = clock.add(*row)
        assert taken is False or clock.fit is not None
    if clock.fit is not None:
        assert abs(clock.fit.skew) <= MAX_SKEW
        assert clock.fit.host_ns(0.0) == clock.fit.host_ns(0.0)  # a number


def test_memory_is_bounded_and_the_newest_count() -> None:
    """After the window has moved on, nothing is left of the loose exchanges before it."""
    clock = DeviceClock()
    for k in range(3 * WINDOW):
        exchange(clock, k, 1e-4, FLIGHT_NS * 20, FLIGHT_NS)
    for k in range(WINDOW):
        exchange(clock, 1000 + k, 1e-4, FLIGHT_NS, FLIGHT_NS)
    assert len(clock._exchanges) == WINDOW
    assert clock.fit is not None and clock.fit.round_trip_ns == pytest.approx(2 * FLIGHT_NS, abs=2000)
    assert abs(error_ns(clock, 1000.0 + WINDOW, 1e-4)) <= 2_000
