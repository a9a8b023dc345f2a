"""The blocking façade: the same tool in a plain loop."""

from __future__ import annotations

import threading

import pytest

import nexuslink
from nexuslink.transport.errors import LinkLostError, TransportError


def test_a_plain_loop_gets_every_sample_and_leaves_nothing_behind() -> None:
    threads = threading.active_count()
    with nexuslink.connect_blocking("sim:?speed=max&seed=5") as nexus:
        assert nexus.info.serial_number == "SIM-00005"
        expected = {s.stream: 0 for s in nexus.info.streams}
        for batch in nexus.stream():
            assert batch.first_index == expected[batch.stream]
            expected[batch.stream] += len(batch.raw)
            if min(expected.values()) > 5000:
                break
        assert nexus.tare().samples > 10
        nexus.stop()
    assert threading.active_count() == threads


def test_estimates_come_in_newtons_and_degrees() -> None:
    with nexuslink.connect_blocking("sim:?speed=max&seed=5") as nexus:
        for rows in nexuslink.blocking_estimates(nexus):
            if rows.t_us[-1] - 2_000_000 > 0 and rows.force_n.shape[0] > 1:
                break
        assert rows.force_n.shape == rows.tip_angle_deg.shape == (len(rows.t_us), 2)


def test_the_end_of_the_link_reaches_the_loop() -> None:
    with (
        pytest.raises(LinkLostError, match="battery"),
        nexuslink.connect_blocking("sim:?speed=max&script=dying-battery") as nexus,
    ):
        for _ in nexus.stream():
            pass


def test_what_cannot_be_opened_leaves_no_thread() -> None:
    threads = threading.active_count()
    with pytest.raises(TransportError), nexuslink.connect_blocking("serial:/dev/does-not-exist"):
        pass
    assert threading.active_count() == threads
