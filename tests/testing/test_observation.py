"""The judges of clocks and rates, on figures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from nexuslink.protocol.clock import DeviceClock
from nexuslink.protocol.messages import StreamDescriptor
from nexuslink.testing.observation import Exchanges, StreamLog


def exchanges(skew_ppm: float, seconds: float = 10.0, delay_ms: float = 30.0) -> Exchanges:
    """Once a second, with random delays in both directions."""
    rng = np.random.default_rng(1)
    sent = 5e9 + np.arange(0, seconds, 1.0) * 1e9
    there, back = rng.uniform(0.2e6, delay_ms * 1e6, (2, len(sent)))
    device = (sent + there) / (1 + skew_ppm * 1e-6) / 1000
    return Exchanges(*(np.floor(x).astype(np.int64) for x in (sent, device, device + 300, sent + there + back + 3e5)))


def test_delays_never_prove_a_skew_that_is_not_there() -> None:
    for delay_ms in (0.3, 30.0, 900.0):
        assert exchanges(0.0, delay_ms=delay_ms).least_skew_ppm == 0.0


@pytest.mark.parametrize("skew_ppm", [1000.0, -1000.0])
def test_a_skew_is_proven_once_it_is_more_than_the_delays_can_hide(skew_ppm: float) -> None:
    assert 500.0 < exchanges(skew_ppm, delay_ms=2.0).least_skew_ppm <= 1000.0
    assert exchanges(skew_ppm, seconds=2.0, delay_ms=30.0).least_skew_ppm == 0.0


def test_a_fit_that_puts_the_answer_before_the_question_is_caught() -> None:
    seen = exchanges(0.0, delay_ms=5.0)
    clock = DeviceClock()
    for row in zip(seen.sent_ns, seen.received_us, seen.answered_us, seen.arrived_ns, strict=True):
        clock.add(*map(int, row))
    assert clock.fit is not None
    assert seen.contradiction_ms(clock.fit) < 1.0
    late = Exchanges(seen.sent_ns, seen.received_us + 50_000, seen.answered_us + 50_000, seen.arrived_ns)
    assert late.contradiction_ms(clock.fit) > 40.0


def test_rates_do_not_need_every_message() -> None:
    descriptor = StreamDescriptor(0, 1, 1, 250.0, 0, (), 0, 50.0, 1000.0)
    index = np.delete(np.arange(0, 2500, 5), [0, 7, 8, 100])
    log = StreamLog(descriptor, index * 4_000_000, index, index * 4_000, np.full(len(index), 5))
    assert log.name == "force"
    assert log.device_rate_hz == pytest.approx(250.0)
    assert log.host_rate_hz == pytest.approx(250.0)
    assert np.abs(log.jitter_ms).max() < 1e-6
    nothing = np.array([], np.int64)
    empty = StreamLog(descriptor, nothing, nothing, nothing, nothing)
    assert np.isnan(empty.device_rate_hz)
    assert not empty.jitter_ms.size
