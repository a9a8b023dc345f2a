"""Faults are seeded, count what they do, and do nothing when they are off."""

from nexus_simulator.faults import Delay, Drop, Packet
from sim_host import MS, Bench

from nexuslink.protocol.accounting import Accounting

PACKETS = [Packet(i * MS, bytes([i % 256])) for i in range(5000)]


def test_drop_loses_its_share_and_counts_it() -> None:
    drop = Drop(0.02, 1)
    kept = drop(PACKETS)
    assert len(kept) + drop.dropped == len(PACKETS)
    assert 60 < drop.dropped < 140


def test_drop_is_seeded_and_does_not_depend_on_batches() -> None:
    whole = list(Drop(0.1, 1)(PACKETS))
    drop = Drop(0.1, 1)
    assert [p for i in range(0, 5000, 7) for p in drop(PACKETS[i : i + 7])] == whole
    assert list(Drop(0.1, 2)(PACKETS)) != whole
    assert list(Drop(0.0, 1)(PACKETS)) == PACKETS


def test_delay_delays() -> None:
    assert [p.arrival_ns for p in Delay(3 * MS)(PACKETS[:2])] == [3 * MS, 4 * MS]


def counted(**params: str) -> tuple[int, Bench]:
    bench = Bench(params)
    for opcode, payload in ((1, b"\1\0"), (5, b"\3\0\0\0")):
        while not any(r.opcode == opcode for r in bench.host.responses):
            bench.send(opcode, payload, opcode)
            bench.run(20 * MS, MS)
    bench.run(30_000 * MS)
    accounting = Accounting()
    for number in bench.host.sequence():
        accounting.sequence(number)
    return accounting.counts.lost, bench


def test_dropped_messages_are_a_gap_in_the_sequence() -> None:
    lost, bench = counted(drop="0.02")
    share = lost / (lost + len(bench.host.stream_messages))
    assert 0.01 < share < 0.03
    assert bench.host.statuses[-1].dropped == 0, "the tool knows nothing of it"


def test_without_drop_nothing_is_lost() -> None:
    assert counted()[0] == 0


def test_delay_holds_the_answers_back() -> None:
    quick, slow = Bench(), Bench({"delay": "50"})
    for bench in (quick, slow):
        bench.send(1, bytes([1, 0]))
        bench.run(40 * MS, MS)
    assert quick.host.responses and not slow.host.responses
    slow.run(40 * MS, MS)
    assert slow.host.responses
