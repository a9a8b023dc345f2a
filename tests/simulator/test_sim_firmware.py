"""The tool's own behaviour on the wire, driven by hand: requests, batches, queue, clock, retries."""

from itertools import pairwise

import numpy as np
import pytest
from nexus_simulator.firmware.identity import BATCH_US, QUEUE_MAX
from nexus_simulator.firmware.processor import ANSWERS_MAX
from nexus_simulator.scripts import SCRIPTS
from sim_host import MS, Bench, contiguous

from nexuslink.protocol.description import description_crc
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import (
    BATCH_FLUSH_US,
    MAX_MESSAGE,
    MAX_PENDING,
    PROTOCOL_MAJOR,
    SCHEMA_HASH,
    CalibrationReadRequest,
    CalibrationReadResponse,
    CalibrationRecord,
    Capability,
    DescribeRequest,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    Opcode,
    StartRequest,
    StartResponse,
    Status,
    StopReason,
    StopRequest,
    StreamDescriptor,
    TareRequest,
    TareResponse,
    TimeSyncRequest,
    TimeSyncResponse,
)
from nexuslink.protocol.record import damage

SECOND = 1000 * MS


def session(step_ns: int = 20 * MS, seconds: int = 5, **params: str) -> Bench:
    bench = Bench(params)
    bench.ask(Opcode.HELLO, HelloRequest(1, 0).pack())
    bench.start()
    bench.run(seconds * SECOND, step_ns)
    return bench


NEED_A_PAYLOAD = sorted(set(Opcode) - {Opcode.INFO, Opcode.TOTALS})


def read_record(bench: Bench) -> bytes:
    record = b""
    while True:
        page = CalibrationReadResponse.unpack(
            bench.ask(Opcode.CALIBRATION_READ, CalibrationReadRequest(len(record)).pack()).payload
        )
        assert page and page.offset == len(record)
        if not page.data:
            return record
        record += page.data


def test_handshake_says_who_and_what() -> None:
    bench = Bench({"seed": "7", "imu_rate": "1000"})
    hello = HelloResponse.unpack(bench.ask(Opcode.HELLO, HelloRequest(1, 0).pack()).payload)
    assert hello and hello.serial_number == "SIM-00007" and hello.schema_hash == SCHEMA_HASH
    info = InfoResponse.unpack(bench.ask(Opcode.INFO).payload)
    assert info and info.capabilities & Capability.SIMULATED and info.stream_count == 2
    described = [bench.ask(Opcode.DESCRIBE, DescribeRequest(n).pack()).payload for n in range(2)]
    streams = [StreamDescriptor.unpack(payload) for payload in described]
    assert [(d.stream, d.rate_hz) for d in streams if d] == [(0, 250.0), (1, 1000.0)]
    record = read_record(bench)
    assert damage(record) is None and len(record) == info.calibration_size
    calibration = CalibrationRecord.unpack(record)
    assert calibration and calibration.problem() is None
    assert calibration.calibration_id == info.calibration_id == streams[0].calibration_id
    assert hello.description_crc == description_crc(info.pack(), described, record)
    assert calibration.force[1].axis == pytest.approx((0.57358, 0.0, 0.81915), abs=1e-5)


def test_no_data_before_start_and_none_after_stop() -> None:
    bench = Bench()
    bench.ask(Opcode.HELLO, HelloRequest(1, 0).pack())
    bench.run(3 * SECOND)
    assert not bench.host.stream_messages
    bench.start()
    bench.run(SECOND)
    assert bench.host.stream_messages
    bench.stop()
    before = len(bench.host.stream_messages)
    bench.run(3 * SECOND)
    assert len(bench.host.stream_messages) == before


def test_same_seed_same_bytes_and_other_seed_other_bytes() -> None:
    assert session(seed="5").raw == session(seed="5").raw
    assert session(seed="5").raw != session(seed="6").raw


@pytest.mark.parametrize("script", ["good-psoas", "lost-link"])
def test_how_time_is_cut_changes_no_byte(script: str) -> None:
    coarse = session(500 * MS, 40, script=script)
    fine = session(7 * MS, 40, script=script)
    assert coarse.raw == fine.raw
    assert coarse.link.ended == fine.link.ended


def test_streams_are_gapless_on_time_and_start_at_zero() -> None:
    bench = session()
    start = StartResponse.unpack(next(r for r in bench.host.responses if r.opcode == Opcode.START).payload)
    assert start
    assert bench.host.sequence() == list(range(len(bench.host.sequence())))
    for stream, rate in ((0, 250.0), (1, 500.0)):
        data = bench.host.data(stream)
        assert contiguous(data) and data[0][1] == start.t_us
        t, _ = bench.host.samples(stream, rate)
        assert (np.diff(t) == round(1e6 / rate)).all()
        assert abs(len(t) - 5 * rate) <= rate * BATCH_US / 1e6 + 3


@pytest.mark.parametrize("rates", [(250, 500), (1000, 1000), (50, 1000), (333, 777)])
def test_batches_fit_a_message_and_are_never_late(rates: tuple[int, int]) -> None:
    bench = session(MS, 1, force_rate=str(rates[0]), imu_rate=str(rates[1]))
    assert max(map(len, bench.host.messages)) <= MAX_MESSAGE
    for stream, rate in enumerate(rates):
        data = bench.host.data(stream)
        assert contiguous(data)
        assert max(len(rows) for _, _, rows in data) * 1e6 / rate <= BATCH_FLUSH_US + 1e6 / rate


def test_force_and_imu_of_a_period_travel_together() -> None:
    bench = session()
    kinds = [m[4] for m in bench.host.stream_messages if m[0] == 0x10]
    assert kinds[0::2] == [0] * len(kinds[0::2]) and kinds[1::2] == [1] * len(kinds[1::2])


def test_start_mask_chooses_streams() -> None:
    bench = Bench()
    bench.start(mask=0b10)
    bench.run(SECOND)
    assert bench.host.data(1) and not bench.host.data(0)
    assert bench.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE, "it runs already"
    bench.stop()
    assert bench.ask(Opcode.START, StartRequest(0).pack()).status == Status.OUT_OF_RANGE
    assert bench.ask(Opcode.START, StartRequest(0b100).pack()).status == Status.OUT_OF_RANGE
    bench.start(mask=0xFFFFFFFF)
    bench.run(SECOND)
    assert bench.host.data(0)


def test_start_again_begins_again_at_zero() -> None:
    bench = session()
    bench.stop()
    bench.host.messages.clear()
    bench.start()
    bench.run(SECOND)
    assert bench.host.sequence()[0] == 0 and contiguous(bench.host.data(0))


def test_stop_sends_what_is_left_and_remembers_why() -> None:
    bench = session()
    assert bench.link.tool.stop_reason is None
    answer = bench.stop(StopReason.OVER_FORCE)
    assert answer.status == Status.OK
    assert bench.link.tool.stop_reason == StopReason.OVER_FORCE
    last = bench.host.data(0)[-1]
    stopped = int.from_bytes(answer.payload[:8], "little")
    assert 0 <= stopped - (last[1] + (len(last[2]) - 1) * 4000) <= 4000
    assert bench.stop(StopReason.USER).status == Status.OK  # nothing to stop is no error


def test_retry_is_answered_and_done_once() -> None:
    bench = Bench()
    bench.greet()
    first = bench.ask(Opcode.START, StartRequest(3).pack(), request_id=77)
    bench.run(SECOND)
    again = bench.ask(Opcode.START, StartRequest(3).pack(), request_id=77)
    assert again.payload == first.payload and again.seq == first.seq + 1
    bench.run(SECOND)
    assert contiguous(bench.host.data(0)), "a repeated START must not begin again"
    other = bench.ask(Opcode.START, StartRequest(3).pack(), request_id=78)
    assert other.status == Status.BAD_STATE, "another id is another START"


def test_a_new_connection_is_not_mistaken_for_a_retry() -> None:
    bench = Bench()
    bench.greet()
    first = bench.ask(Opcode.START, StartRequest(3).pack(), request_id=1)
    bench.link.disconnect()
    bench.run(SECOND)
    assert not bench.host.data(0)[1:]
    assert bench.ask(Opcode.START, StartRequest(3).pack(), request_id=1).status == Status.BAD_STATE, "HELLO comes first"
    bench.greet()
    assert bench.ask(Opcode.START, StartRequest(3).pack(), request_id=1).payload != first.payload


def test_unknown_opcode_gets_a_status_not_silence() -> None:
    assert Bench().ask(0x6E).status == Status.UNKNOWN_OPCODE


def test_other_major_version_is_refused_by_name() -> None:
    answer = Bench().ask(Opcode.HELLO, HelloRequest(PROTOCOL_MAJOR + 1, 0).pack())
    hello = HelloResponse.unpack(answer.payload)
    assert answer.status == Status.UNSUPPORTED_VERSION and hello and hello.protocol_major == PROTOCOL_MAJOR


@pytest.mark.parametrize("opcode", NEED_A_PAYLOAD)
def test_short_payloads_are_bad_requests(opcode: Opcode) -> None:
    assert Bench().ask(opcode, b"").status == Status.BAD_REQUEST


def test_noise_on_the_line_is_counted_and_survived() -> None:
    bench = Bench()
    rng = np.random.default_rng(0)
    for _ in range(200):
        bench.link.receive(bench.now_ns, rng.bytes(50) + b"\0")
    bench.link.receive(bench.now_ns, frame(b"\x10\0\0\0no request"))
    bench.run(10 * MS)
    assert bench.link.tool.firmware.ignored_requests == 1
    assert bench.ask(Opcode.HELLO, HelloRequest(1, 0).pack()).status == Status.OK


def test_too_many_requests_at_once_are_counted() -> None:
    bench = Bench()
    for _ in range(ANSWERS_MAX + 3):
        bench.send(Opcode.INFO)
    bench.run(20 * MS)
    statuses = [response.status for response in bench.host.responses]
    assert statuses.count(Status.OK) == MAX_PENDING
    assert statuses.count(Status.BUSY) == len(statuses) - MAX_PENDING > 0
    assert len(statuses) + bench.link.tool.firmware.ignored_requests == ANSWERS_MAX + 3


@pytest.mark.parametrize("skew_ppm", [-200.0, 0.0, 150.0])
def test_clock_has_its_own_beginning_and_pace(skew_ppm: float) -> None:
    bench = Bench({"skew_ppm": str(skew_ppm)})

    def sync() -> tuple[int, TimeSyncResponse]:
        asked = bench.now_ns
        answer = TimeSyncResponse.unpack(bench.ask(Opcode.TIME_SYNC, TimeSyncRequest(asked).pack()).payload)
        assert answer and answer.host_send_ns == asked
        return asked, answer

    host0, device0 = sync()
    bench.run(1000 * SECOND, SECOND)
    host1, device1 = sync()
    measured = ((device1.device_receive_us - device0.device_receive_us) * 1000.0 / (host1 - host0) - 1.0) * 1e6
    assert measured == pytest.approx(skew_ppm, abs=0.01)
    assert device0.device_receive_us > 1_000_000
    assert 0 < device0.device_send_us - device0.device_receive_us < 2000


def test_tare_is_the_mean_of_what_travelled() -> None:
    bench = Bench({"script": "idle"})
    assert bench.ask(Opcode.TARE, TareRequest(250).pack()).status == Status.BAD_STATE
    bench.start()
    bench.run(2 * SECOND)
    tare = TareResponse.unpack(bench.ask(Opcode.TARE, TareRequest(500).pack()).payload)
    bench.run(SECOND)
    assert tare and tare.samples == 125
    t, counts = bench.host.samples(0, 250.0)
    window = counts[(t >= tare.t_us - 500_000) & (t < tare.t_us)]
    assert len(window) == 125
    assert tare.mean_counts == tuple(np.rint(window.mean(axis=0)).astype(int))
    for wrong in (9, 2001):
        assert bench.ask(Opcode.TARE, TareRequest(wrong).pack()).status == Status.OUT_OF_RANGE


def test_produced_is_received_plus_dropped_and_overrun_shows_in_the_index() -> None:
    bench = session(seconds=1)
    bench.run(2 * SECOND, room=0)  # the host takes nothing: 200 messages for a queue of 64
    bench.run(2 * SECOND)
    status = bench.host.statuses[-1]
    assert status.dropped > 100 and status.queue_high_water == QUEUE_MAX
    at = bench.host.stream_messages.index(next(m for m in reversed(bench.host.stream_messages) if m[0] == 0x11))
    assert status.produced == at + 1 + status.dropped
    assert bench.host.sequence() == list(range(len(bench.host.sequence()))), "no loss on the link"
    assert not contiguous(bench.host.data(0))
    lost = sum(
        after[0] - before[0] - len(before[2])
        for stream in (0, 1)
        for before, after in pairwise(bench.host.data(stream))
    )
    assert lost > 500


def test_a_free_link_never_overruns_however_late_the_call() -> None:
    bench = session(seconds=1)
    bench.run(10 * SECOND, 10 * SECOND)
    assert bench.host.statuses[-1].dropped == 0 and contiguous(bench.host.data(1))


def test_status_comes_once_a_second_with_charge_and_temperature() -> None:
    bench = session(seconds=5, battery="42")
    statuses = bench.host.statuses
    assert len(statuses) == 5
    assert {b.t_us - a.t_us for a, b in pairwise(statuses)} == {1_000_000}
    assert statuses[0].battery_percent == 42 and 2000 < statuses[0].temperature_cdeg < 3000


def test_dying_battery_falls_and_the_tool_goes_off_for_good() -> None:
    bench = session(seconds=60, script="dying-battery")
    charge = [s.battery_percent for s in bench.host.statuses]
    assert charge[0] == 10 and charge[-1] == 3 and charge == sorted(charge, reverse=True)
    assert bench.link.ended and "battery" in bench.link.ended and bench.link.tool.switched_off
    bench.link.disconnect()
    bench.send(Opcode.HELLO, HelloRequest(1, 0).pack())
    before = len(bench.host.responses)
    bench.run(SECOND)
    assert len(bench.host.responses) == before


def test_other_scripts_never_empty_the_battery() -> None:
    bench = session(seconds=5, battery="50")
    tool = bench.link.tool
    later = [tool.battery_percent(tool.device_us(hours * 3600 * SECOND)) for hours in (0, 1, 2, 100)]
    assert later == sorted(later, reverse=True) and later[1] < 45.0 and later[3] == 20.0


def test_lost_link_goes_silent_and_is_given_up_after_ten_seconds() -> None:
    bench = session(seconds=60, script="lost-link")
    start = bench.host.data(0)[0][1]
    last = bench.host.data(0)[-1]
    silent = SCRIPTS["lost-link"].silent_from_s
    assert silent
    assert abs(last[1] - start - silent * 1e6) < 50_000
    assert bench.link.ended == "link lost: nothing came from the tool for 10 s"
    assert not bench.link.tool.switched_off
    bench.link.disconnect()
    assert bench.ask(Opcode.HELLO, HelloRequest(1, 0).pack()).status == Status.OK, "the tool itself is well"


def test_requests_are_not_heard_while_the_link_is_lost() -> None:
    bench = session(seconds=30, script="lost-link")
    bench.send(Opcode.STOP, StopRequest(0).pack())
    bench.run(SECOND)
    assert bench.link.tool.stop_reason is None


def test_truth_belongs_to_device_time() -> None:
    bench = session(seconds=20)
    t, counts = bench.host.samples(0, 250.0)
    truth = bench.link.tool.truth(t)
    record = bench.link.tool.identity.record.force[0]
    newtons = (counts[:, 0] - record.zero_counts) * record.gain_n_per_count
    newtons -= newtons[t < t[0] + 1_500_000].mean()
    error = newtons - truth.force_n[:, 0]
    assert np.sqrt(np.mean(error**2)) < 0.2
    shifted = bench.link.tool.truth(t - 400_000).force_n[:, 0]
    assert np.nanstd(newtons - shifted) > 2.0 * error.std(), "the check would see a wrong time"
    assert np.isnan(bench.link.tool.truth(np.array([t[0] - 10])).force_n).all()


def test_truth_of_the_take_before_is_kept() -> None:
    bench = session(seconds=8)
    first, _ = bench.host.samples(0, 250.0)
    bench.stop()
    bench.host.messages.clear()
    bench.start()
    bench.run(8 * SECOND)
    second, _ = bench.host.samples(0, 250.0)
    force = bench.link.tool.truth(np.concatenate([first, second])).force_n[:, 0]
    assert force[len(first) - 1] > 10.0 and force[len(first)] == 0.0 and force[-1] > 10.0


def test_serial_number_and_errors_stay_boot_id_changes() -> None:
    tools = [Bench({"seed": "3", "boot": boot}).link.tool.identity for boot in ("0", "0", "1")]
    assert tools[0].boot_id == tools[1].boot_id != tools[2].boot_id
    assert tools[0].serial_number == tools[2].serial_number and tools[0].record == tools[2].record
