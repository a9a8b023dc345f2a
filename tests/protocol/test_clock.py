"""The device's clock from four stamps: offset and skew under queues that only ever add delay."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.protocol.clock import MAX_SKEW, SKEW_SPAN_S, WINDOW, DeviceClock

BOOT_NS = 77_000_000_000
"""Host time at which the device's clock shows zero."""
FLIGHT_NS = 400_000
"""Shortest way, in each direction."""
FORWARD, BACK, EITHER = "forward", "back", "either"


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


@given(st.integers(0, 2**32), st.floats(-2e-4, 2e-4), st.sampled_from((FORWARD, BACK, EITHER)), st.floats(0, 40e6))
@settings(max_examples=60, deadline=None)
def test_offset_and_skew_under_one_sided_delays(seed: int, skew: float, side: str, mean_delay_ns: float) -> None:
    """A minute of exchanges; half of them wait in a queue on one side. The fit stays within its own uncertainty."""
    rng = random.Random(seed)
    clock = DeviceClock()
    for k in range(60):
        delay = rng.expovariate(1 / mean_delay_ns) if mean_delay_ns > 1 and rng.random() < 0.5 else 0.0
        forward = side == FORWARD or (side == EITHER and rng.random() < 0.5)
        exchange(clock, k + rng.random() / 2, skew, FLIGHT_NS + delay * forward, FLIGHT_NS + delay * (not forward))
    fit = clock.fit
    assert fit is not None
    for at_s in (0.0, 30.0, 60.0):
        assert abs(error_ns(clock, at_s, skew)) <= fit.uncertainty_ns
    assert fit.skew == pytest.approx(skew, abs=2 * fit.uncertainty_ns / 60e9)


def test_without_the_choice_of_short_round_trips_that_would_fail() -> None:
    """Negative control: the plain mean of these very delays is far outside the stated uncertainty."""
    rng = random.Random(1)
    delays = [rng.expovariate(1 / 20e6) if rng.random() < 0.5 else 0.0 for _ in range(60)]
    assert sum(delays) / len(delays) / 2 > 5 * FLIGHT_NS


def test_a_short_span_fits_no_skew() -> None:
    clock = DeviceClock()
    for k in range(8):
        exchange(clock, 0.9 * SKEW_SPAN_S * k / 8, 1e-4, FLIGHT_NS, FLIGHT_NS)
    assert clock.fit is not None and clock.fit.skew == 0.0


def test_a_skew_that_no_crystal_has_is_not_believed() -> None:
    clock = DeviceClock()
    for k in range(20):
        exchange(clock, k, 3 * MAX_SKEW, 5 * FLIGHT_NS * 1000, FLIGHT_NS)
    assert clock.fit is not None and clock.fit.skew == 0.0


@pytest.mark.parametrize(
    ("why", "stamps"),
    [
        ("came back before it left", (1_000_000, 5, 6, 999_999)),
        ("answered before it was asked", (0, 100, 99, 10_000_000)),
        ("took longer in the tool than altogether", (0, 0, 20_000, 10_000_000)),
        ("all of it", (10, 2**64 - 1, 0, 0)),
    ],
)
def test_stamps_that_contradict_each_other_are_refused(why: str, stamps: tuple[int, int, int, int]) -> None:
    clock = DeviceClock()
    assert not clock.add(*stamps), why
    assert clock.fit is None
    exchange(clock, 1.0, 0.0, FLIGHT_NS, FLIGHT_NS)
    fit = clock.fit
    assert not clock.add(*stamps)
    assert clock.fit == fit


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
    """After the window has moved on, nothing is left of an offset that is over."""
    clock = DeviceClock()
    for k in range(20):
        assert clock.add(k * 10**9, k * 10**6, k * 10**6, k * 10**9 + 1000)
    for k in range(WINDOW):
        exchange(clock, 1000 + 0.01 * k, 0.0, FLIGHT_NS, FLIGHT_NS)
    assert abs(error_ns(clock, 1000.0, 0.0)) <= 2_000
