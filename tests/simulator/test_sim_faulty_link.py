"""Faults on a whole link: what the host sees, what the tool counts, and that both say the same every time."""

from struct import unpack_from

import pytest
from nexus_simulator.faults.gates import PER_INTERVAL
from sim_host import MS, Bench

from nexuslink.protocol.accounting import Accounting
from nexuslink.protocol.messages import (
    HelloRequest,
    HelloResponse,
    MessageType,
    Opcode,
    StartRequest,
    StartResponse,
    Status,
    StopResponse,
    TimeSyncRequest,
    TimeSyncResponse,
    TotalsResponse,
)

S = 1000 * MS
HELLO = HelloRequest(1, 0).pack()
EVERYTHING = {
    "drop": "0.05", "duplicate": "0.05", "reorder": "0.05", "delay": "1ms..9ms", "corrupt": "1e-3",
    "coalesce": "5ms..20ms", "split": "3..90", "stall": "50ms..0.4s~1s", "interval": "9ms..40ms~2s",
    "mtu": "67..247~2s", "jump": "-1s..1s~2s", "request_drop": "0.1", "request_duplicate": "0.3",
    "request_delay": "0..9ms", "request_corrupt": "1e-3", "request_split": "1..9",
}  # fmt: skip


def settled(bench: Bench) -> TotalsResponse:
    bench.send(Opcode.TOTALS)
    bench.run(500 * MS)
    answer = TotalsResponse.unpack(bench.host.responses[-1].payload)
    assert answer is not None
    return answer


def lost_by_number(bench: Bench) -> int:
    accounting = Accounting()
    for number in bench.host.sequence():
        accounting.sequence(number)
    return accounting.counts.lost


def test_dropped_messages_are_a_gap_in_the_sequence_and_the_tool_knows_nothing_of_it() -> None:
    bench, whole = Bench({"drop": "0.02"}), Bench()
    for one in (bench, whole):
        while not any(r.opcode == Opcode.START for r in one.host.responses):
            one.send(Opcode.HELLO, HELLO)
            one.run(10 * MS, MS)
            one.send(Opcode.START, StartRequest(3).pack())
            one.run(10 * MS, MS)
        one.run(30 * S)
    lost = lost_by_number(bench)
    assert 0.01 < lost / (lost + len(bench.host.stream_messages)) < 0.03
    assert bench.host.statuses[-1].dropped == 0
    assert lost_by_number(whole) == 0, "and without drop nothing is lost"


def test_delay_holds_the_answers_back() -> None:
    quick, slow = Bench(), Bench({"delay": "50"})
    for bench in (quick, slow):
        bench.send(Opcode.HELLO, HELLO)
        bench.run(40 * MS, MS)
    assert quick.host.responses and not slow.host.responses
    slow.run(40 * MS, MS)
    assert slow.host.responses


@pytest.mark.parametrize("reset", ["@4s", "@100s"])
def test_the_same_seed_gives_the_same_bytes_however_often_somebody_looks(reset: str) -> None:
    def arrivals(step_ns: int, seed: str) -> list[tuple[int, bytes]]:
        bench = Bench({**EVERYTHING, "reset": reset}, seed=seed)
        out: list[tuple[int, bytes]] = []
        for opcode, payload in ((Opcode.HELLO, HELLO), (Opcode.START, StartRequest(3).pack())):
            for request_id in (opcode, opcode + 100, opcode + 200):  # some of them will get through
                bench.send(opcode, payload, request_id)
                end = bench.now_ns + 600 * MS
                while bench.now_ns < end:
                    bench.now_ns += step_ns
                    out += bench.link.poll(bench.now_ns)
        for _ in range(6 * S // step_ns):
            bench.now_ns += step_ns
            out += bench.link.poll(bench.now_ns)
        return out

    once = arrivals(20 * MS, "3")
    assert len(once) > 500
    assert arrivals(3 * MS, "3") == once
    assert arrivals(20 * MS, "4") != once


# ---- gates ----------------------------------------------------------------------------------------------------------
def test_a_stall_fills_the_tools_own_queue_and_holds_the_answers() -> None:
    bench = Bench({"stall": "2s@5s"})
    bench.start()
    bench.run(5 * S - bench.now_ns)
    before = len(bench.host.messages)
    bench.send(Opcode.TIME_SYNC, TimeSyncRequest(0).pack())
    bench.run(2 * S - 10 * MS)
    assert len(bench.host.messages) <= before + 2, "only what was on the way"
    bench.run(20 * MS, MS)
    assert bench.host.responses[-1].opcode == Opcode.TIME_SYNC
    bench.run(1 * S)
    made = settled(bench).totals
    assert made.dropped > 0 and lost_by_number(bench) == 0, "dropped in the tool, not on the way"
    assert bench.link.fault_counts() == {"stall": 1}


def test_a_slow_interval_carries_a_few_messages_at_a_time() -> None:
    bench = Bench({"interval": "200ms@3s"}, force_rate="1000", imu_rate="1000")
    bench.start()
    bench.run(3 * S - bench.now_ns)
    arrived = [t for _ in range(100) for t, _ in poll(bench, 20 * MS)]
    moments = sorted({t // (100 * MS) for t in arrived})
    assert len(arrived) <= 10 * PER_INTERVAL + 2 and len(moments) <= 11
    assert settled(bench).totals.dropped > 0


def poll(bench: Bench, ns: int) -> list[tuple[int, bytes]]:
    bench.now_ns += ns
    return bench.link.poll(bench.now_ns)


# ---- the tool and the link ------------------------------------------------------------------------------------------
def test_reset_is_a_new_boot_that_remembers_its_totals() -> None:
    bench = Bench({"reset": "@5s"})
    first = HelloResponse.unpack(bench.greet().payload)
    bench.start()
    bench.run(6 * S)
    quiet = len(bench.host.stream_messages)
    bench.run(1 * S)
    assert len(bench.host.stream_messages) == quiet > 100, "the tool waits for a HELLO"
    assert bench.ask(Opcode.START, StartRequest(3).pack()).status == Status.BAD_STATE
    second = HelloResponse.unpack(bench.greet().payload)
    assert first and second and first.boot_id != second.boot_id
    made = settled(bench)
    assert made.totals.session == 1 and made.totals.sent == quiet and not made.streaming


def test_the_clock_leaps() -> None:
    bench = Bench({"jump": "-500ms@5s"})

    def device_us() -> int:
        answer = TimeSyncResponse.unpack(bench.ask(Opcode.TIME_SYNC, TimeSyncRequest(0).pack()).payload)
        assert answer is not None
        return answer.device_send_us

    bench.run(4 * S)
    before, at = device_us(), bench.now_ns
    bench.run(2 * S)
    apart = device_us() - before - (bench.now_ns - at) / 1000
    assert -501_000 < apart < -499_000


def test_a_smaller_mtu_makes_smaller_messages_and_a_tiny_one_an_error() -> None:
    bench = Bench({"mtu": "100@3s"})
    bench.start()
    bench.run(6 * S)
    sizes = [len(m) for m in bench.host.stream_messages]
    assert max(sizes) > 97 and max(sizes[-100:]) <= 97
    assert bench.host.statuses[-1].max_message == 97
    assert Bench({"mtu": "66"}).greet().status == Status.LINK_TOO_SMALL


def test_disconnect_ends_the_link_and_the_tool_stays() -> None:
    bench = Bench({"disconnect": "@5s"})
    bench.start()
    bench.run(4 * S)
    assert bench.link.ended is None
    bench.run(1 * S)
    assert bench.link.ended == "the link was cut (fault: disconnect)"
    quiet = len(bench.host.messages)
    bench.run(1 * S)
    assert len(bench.host.messages) == quiet
    bench.link.disconnect()
    assert bench.link.ended is None and settled(bench).totals.session == 1


def test_nobody_is_cut_off_while_nobody_is_connected() -> None:
    bench = Bench({"disconnect": "/1s"})
    bench.run(10 * S)
    bench.greet()
    assert bench.link.ended is None and bench.link.fault_counts() == {"disconnect": 0}
    bench.run(1 * S)
    assert bench.link.ended is not None and bench.link.fault_counts() == {"disconnect": 1}


def test_connections_are_cut_in_mid_handshake() -> None:
    bench, survived = Bench({"handshake": "0.5"}), []
    for _ in range(20):
        answers = 0
        while bench.link.ended is None and answers < 20:
            before = len(bench.host.responses)
            bench.send(Opcode.HELLO, HELLO)
            bench.run(5 * MS, MS)
            answers += len(bench.host.responses) - before
        survived.append(answers)
        bench.link.disconnect()
    assert 3 < survived.count(20) < 17 and all(n < 8 or n == 20 for n in survived) and len(set(survived)) > 3
    assert bench.link.fault_counts()["handshake"] == 20 - survived.count(20)


# ---- on the way to the tool -----------------------------------------------------------------------------------------
def test_a_request_that_comes_twice_does_nothing_twice() -> None:
    bench = Bench({"request_duplicate": "1"})
    bench.send(Opcode.HELLO, HELLO)
    bench.run(50 * MS, MS)
    bench.send(Opcode.START, StartRequest(3).pack())
    bench.run(1 * S)
    answers = [r for r in bench.host.responses if r.opcode == Opcode.START]
    assert answers and {r.status for r in answers} == {Status.OK}
    started = {StartResponse.unpack(r.payload) for r in answers}
    assert len(started) == 1 and settled_by_stop(bench).totals.session == 1


def settled_by_stop(bench: Bench) -> StopResponse:
    bench.send(Opcode.STOP, bytes([0]))
    bench.run(100 * MS, MS)
    answer = StopResponse.unpack(bench.host.responses[-1].payload)
    assert answer is not None
    return answer


def test_lost_and_damaged_requests_are_not_answered() -> None:
    for fault, share in (("request_drop", "0.5"), ("request_corrupt", "0.03")):
        bench = Bench({fault: share})
        for _ in range(20):
            bench.send(Opcode.HELLO, HELLO)
            bench.run(20 * MS, MS)
        assert 3 < len(bench.host.responses) < 17 and bench.link.fault_counts()[fault] > 3
        assert (bench.link.tool.firmware.health.bad_frames > 3) == (fault == "request_corrupt")


def test_requests_in_pieces_and_late_are_still_requests() -> None:
    bench = Bench({"request_split": "1", "request_delay": "20ms..80ms", "request_coalesce": "30ms"})
    for _ in range(5):
        bench.send(Opcode.HELLO, HELLO)
        bench.run(200 * MS, MS)
    assert len(bench.host.responses) == 5 and bench.link.tool.firmware.health.bad_frames == 0


def test_damage_on_the_way_never_gets_through_as_a_message() -> None:
    bench, whole = Bench({"corrupt": "3e-3"}), Bench()
    for one in (bench, whole):
        one.link.tool.firmware.greet(True)
        for _ in range(10):
            one.send(Opcode.START, StartRequest(3).pack(), 1)
            one.run(20 * MS, MS)
        one.run(20 * S)
    assert bench.host.deframer.counts.bad > 100
    seen = {bytes(m) for m in whole.host.messages if m[0] == MessageType.DATA}
    came = [bytes(m) for m in bench.host.messages if m[0] == MessageType.DATA]
    assert len(came) > 500 and set(came) <= seen
    assert [unpack_from("<H", m, 2)[0] for m in came] == sorted(unpack_from("<H", m, 2)[0] for m in came)
