"""The blocking façade: the same tool in a plain loop."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

import nexuslink
from nexuslink.device.blocking import BlockingNexus
from nexuslink.device.commands import Commands
from nexuslink.device.errors import BadValueError
from nexuslink.protocol.messages import HapticPattern, LightPattern, LogLevel, SelfTest
from nexuslink.protocol.record import seal_record
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


def test_every_command_is_there_without_async() -> None:
    heard: list[object] = []
    with nexuslink.connect_blocking("sim:?speed=max&seed=5") as nexus:
        imu = nexus.info.streams[1].stream
        assert nexus.configure(imu, rate_hz=200.0).rate_hz == nexus.info.streams[imu].rate_hz == 200.0
        nexus.haptic(HapticPattern.TICK)
        nexus.light(LightPattern.BLINK, (255, 0, 0), 500)
        assert nexus.self_test().passed == nexus.self_test(SelfTest.IMU).passed | sum(SelfTest)
        nexus.add_notice(heard.append)
        nexus.set_log_level(LogLevel.INFO)
        for _ in nexus.stream():
            break
        assert nexus.totals().streaming
        nexus.stop()
        assert nexus.nexus.decoder.link.settled
        assert heard
        nexus.unlock(0x4E583031)
        record = seal_record(replace(nexus.calibration, calibration_id=5))
        nexus.write_calibration(record)
        boot_id = nexus.info.boot_id
        nexus.restart()
        assert nexus.info.boot_id != boot_id
        assert nexus.calibration.calibration_id == 5
        nexus.errors(clear=True)
        assert nexus.errors() == ()
        with pytest.raises(BadValueError):
            nexus.haptic(HapticPattern.TICK, strength_percent=200)


def test_the_facade_has_every_public_command() -> None:
    commands = {name for name in vars(Commands) if not name.startswith("_")} - {"url", "request", "refresh"}
    assert commands <= set(dir(BlockingNexus))
