"""What arrives: rates, loss, overrun, and when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nexuslink.testing.observation import Observation
from nexuslink.testing.plugin import Measure

Observed = Callable[[], Observation]


def test_rate_of_each_stream_on_the_tools_clock(observed: Observed, nexus_measure: Measure) -> None:
    for log in observed().streams:
        nexus_measure("device_rate_error", abs(log.device_rate_hz / log.descriptor.rate_hz - 1), of=log.name)


def test_rate_of_each_stream_on_the_hosts_clock(observed: Observed, nexus_measure: Measure) -> None:
    for log in observed().streams:
        nexus_measure("host_rate_error", abs(log.host_rate_hz / log.descriptor.rate_hz - 1), of=log.name)


def test_loss(observed: Observed, nexus_measure: Measure) -> None:
    nexus_measure("loss_fraction", observed().loss_fraction)


def test_frames_are_whole(observed: Observed, nexus_measure: Measure) -> None:
    nexus_measure("bad_frames", observed().bad_frames)


def test_overrun(observed: Observed, nexus_measure: Measure) -> None:
    seen = observed()
    nexus_measure("overrun_fraction", seen.overrun_fraction)
    nexus_measure("dropped_by_tool", seen.status.dropped if seen.status else np.nan)


def test_jitter_of_arrival(observed: Observed, nexus_measure: Measure) -> None:
    for log in observed().streams:
        jitter = log.jitter_ms
        nexus_measure("jitter_p99_ms", np.percentile(jitter, 99) if jitter.size else np.nan, of=log.name)
        nexus_measure("jitter_worst_ms", jitter.max() if jitter.size else np.nan, of=log.name)


def test_age_of_samples_on_arrival(observed: Observed, nexus_measure: Measure) -> None:
    fit = observed().clock_fit
    for log in observed().streams:
        ages = log.ages_ms(fit) if fit is not None else np.array([])
        nexus_measure("age_p99_ms", np.percentile(ages, 99) if ages.size else np.nan, of=log.name)


def test_device_time_and_numbering_run_forward(observed: Observed) -> None:
    for log in observed().streams:
        assert (np.diff(log.t0_us) > 0).all(), f"{log.name}: device time went back"
        assert (np.diff(log.index) >= log.count[:-1]).all(), f"{log.name}: sample numbers overlap"
