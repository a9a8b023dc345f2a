"""Fault filters by themselves: seeded, counted, and doing nothing when they are off."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from nexus_simulator.faults import chain, gates, messages, octets
from nexus_simulator.faults.chain import NEVER, Chain, Filter, Timed
from nexus_simulator.faults.plan import Faults
from nexus_simulator.faults.table import FAULTS, Level, parse_fault
from nexus_simulator.faults.values import Between, Planned, Rhythm, When, count, duration_ns, planned, span, when
from nexus_simulator.transport import open_sim

MS, S = 1_000_000, 1_000_000_000
PACKETS = [Timed(i * MS, i.to_bytes(2, "little")) for i in range(5000)]


def rng(seed: int = 1) -> random.Random:
    return random.Random(seed)


def through(one: Filter, items: list[Timed] = PACKETS, step: int = 1) -> list[Timed]:
    """What comes out of a filter, looked at every ``step`` items."""
    row, out = Chain([one]), []
    for number, item in enumerate(items):
        row.push(item)
        if number % step == 0:
            out += row.take(item.t_ns)
    return out + row.take(NEVER)


# ---- messages -------------------------------------------------------------------------------------------------------
def test_drop_loses_its_share() -> None:
    drop = messages.Drop(0.02, rng())
    kept = through(drop)
    assert len(kept) + drop.struck == len(PACKETS)
    assert 60 < drop.struck < 140


def test_duplicates_are_copies_that_come_later() -> None:
    duplicate = messages.Duplicate(0.1, rng())
    out = through(duplicate)
    assert 400 < duplicate.struck < 600 and len(out) == len(PACKETS) + duplicate.struck
    assert {item.data for item in out} == {item.data for item in PACKETS}
    assert [item.t_ns for item in out] == sorted(item.t_ns for item in out)


def test_reordered_ones_are_overtaken_and_none_is_lost() -> None:
    reorder = messages.Reorder(0.1, rng())
    out = through(reorder)
    numbers = [int.from_bytes(item.data, "little") for item in out]
    assert sorted(numbers) == list(range(len(PACKETS))) and numbers != sorted(numbers)
    late = [number for number, after in pairwise(numbers) if after < number]
    assert late and 400 < reorder.struck < 600


def test_delay_varies_and_keeps_the_order() -> None:
    out = through(messages.Delay(Between(20 * MS, 80 * MS), rng()))
    assert [item.data for item in out] == [item.data for item in PACKETS]
    late = [item.t_ns - sent.t_ns for item, sent in zip(out, PACKETS, strict=True)]
    assert min(late) >= 20 * MS and max(late) <= 80 * MS and len(set(late)) > 10
    assert {i.t_ns - s.t_ns for i, s in zip(through(messages.Delay(Between(3, 3), rng())), PACKETS, strict=True)} == {3}


# ---- octets ---------------------------------------------------------------------------------------------------------
def test_corrupt_damages_its_share_of_bytes() -> None:
    corrupt = octets.Corrupt(1e-3, rng())
    zeros = [Timed(i, bytes(100)) for i in range(2000)]
    out = through(corrupt, zeros)
    damaged = sum(1 for item in out for byte in item.data if byte)
    assert damaged == corrupt.struck and 140 < damaged < 260
    assert all(len(item.data) == 100 for item in out)


def test_corrupt_at_its_edges() -> None:
    for share, damaged in ((0.0, 0), (1.0, 50)):
        (out,) = octets.Corrupt(share, rng())(Timed(0, bytes(50)))
        assert sum(map(bool, out.data)) == damaged


def test_split_keeps_every_byte_and_cuts_anywhere() -> None:
    out = through(octets.Split(Between(1, 7), rng()))
    assert b"".join(item.data for item in out) == b"".join(item.data for item in PACKETS)
    together = [Timed(0, bytes(range(10))), Timed(0, bytes(range(10, 200)))]
    pieces: dict[int, bytes] = {}
    for item in through(octets.Split(Between(16, 16), rng()), together):
        pieces[item.t_ns] = pieces.get(item.t_ns, b"") + item.data
    assert [len(piece) for piece in pieces.values()] == [16] * 12 + [8], "what came together is cut as one"


def test_coalesce_opens_a_window_with_the_first_of_them() -> None:
    coalesce = octets.Coalesce(Between(50 * MS, 50 * MS), rng())
    out = through(coalesce)
    assert [item.data for item in out] == [item.data for item in PACKETS]
    times = {item.t_ns for item in out}
    assert len(times) == coalesce.struck == 99 and min(times) == 50 * MS
    late = [item.t_ns - sent.t_ns for item, sent in zip(out, PACKETS, strict=True)]
    assert min(late) >= 0 and max(late) <= 50 * MS


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: messages.Drop(0.1, rng(seed)),
        lambda seed: messages.Duplicate(0.1, rng(seed)),
        lambda seed: messages.Reorder(0.1, rng(seed)),
        lambda seed: messages.Delay(Between(1, 50 * MS), rng(seed)),
        lambda seed: octets.Corrupt(0.01, rng(seed)),
        lambda seed: octets.Split(Between(1, 2), rng(seed)),
        lambda seed: octets.Coalesce(Between(2 * MS, 30 * MS), rng(seed)),
        lambda seed: gates.Hold(gates.Stall(plan_of("10ms..90ms~100ms"), rng(seed))),
    ],
)
def test_the_same_seed_does_the_same_however_often_somebody_looks(make: Callable[[int], Filter]) -> None:
    whole = through(make(1))
    assert through(make(1), step=7) == whole == through(make(1), step=4999)
    assert through(make(2)) != whole, "and another seed does not"


# ---- chains ---------------------------------------------------------------------------------------------------------
def test_a_chain_gives_out_in_order_and_knows_when() -> None:
    row = Chain([messages.Reorder(0.5, rng(1)), messages.Duplicate(0.5, rng(2)), octets.Split(Between(1, 1), rng(3))])
    for item in PACKETS[:200]:
        row.push(item)
    assert row.take(-1) == []
    out = []
    while (due := row.due_ns) < NEVER:
        assert row.take(due - 1) == []
        out += row.take(due)
    assert [item.t_ns for item in out] == sorted(item.t_ns for item in out) and len(out) > 400


def test_a_chain_is_bounded_and_counts_what_it_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "HELD_MAX", 100)
    row = Chain([messages.Delay(Between(S, S), rng())])
    for item in PACKETS[:150]:
        row.push(item)
    assert len(row.take(NEVER)) == 100 and row.overflow == 50


def test_adding_a_filter_does_not_change_another() -> None:
    def dropped(values: dict[str, Any]) -> list[bytes]:
        faults = Faults(values, 1)
        for item in PACKETS[:500]:
            faults.messages_to_bytes.push(item)
        return [item.data for item in faults.messages_to_bytes.take(NEVER)]

    alone, more = dropped({"drop": 0.1}), dropped({"delay": Between(5, 5), "split": Between(999, 999), "drop": 0.1})
    assert alone == more and len(alone) < 480


# ---- gates ----------------------------------------------------------------------------------------------------------
def plan_of(text: str) -> Planned:
    return planned(span(MS, 60 * S), always=True)(text)


def test_a_stall_closes_and_opens_again() -> None:
    stall = gates.Stall(plan_of("2s@10s"), rng())
    assert [stall.room(t * S) for t in (0, 9, 10, 11, 12)] == [None, None, 0, 0, None]
    assert (stall.next_change(0), stall.opens(11 * S), stall.opens(12 * S)) == (10 * S, 12 * S, 12 * S)
    assert stall.next_change(11 * S) == 12 * S and stall.next_change(12 * S) == NEVER and stall.struck == 1


def test_an_interval_lets_a_few_through_at_its_events() -> None:
    interval = gates.Interval(plan_of("100ms"), rng())
    assert [interval.room(t * MS) for t in (1, 99, 100, 101, 200)] == [0, 0, gates.PER_INTERVAL, 0, gates.PER_INTERVAL]
    assert interval.opens(150 * MS) == 200 * MS == interval.opens(200 * MS)
    later = gates.Interval(plan_of("100ms@10s"), rng())
    assert [later.room(t) for t in (0, 9 * S, 10 * S + 1)] == [None, None, 0] and later.opens(11 * S) == 11 * S


# ---- the grammar ----------------------------------------------------------------------------------------------------
def test_values_are_read() -> None:
    assert [duration_ns(t) for t in ("50", "2s", "1e2us", "0.5ms", "-1min")] == [
        50 * MS,
        2 * S,
        100_000,
        500_000,
        -60 * S,
    ]
    assert span(0, S)("20ms..80ms") == Between(20 * MS, 80 * MS) and count(1, 9)("1..7") == Between(1, 7)
    assert when("@10s") == When(Rhythm.ONCE, 10 * S) and when("~30s").rhythm is Rhythm.ABOUT
    assert plan_of("2s/30s") == Planned(Between(2 * S, 2 * S), When(Rhythm.EVERY, 30 * S))
    every, once = When(Rhythm.EVERY, 5), When(Rhythm.ONCE, 5)
    assert (every.after(0, rng()), every.after(5, rng())) == (5, 10)
    assert (once.after(0, rng()), once.after(5, rng())) == (5, None)
    source, t = rng(), 0
    for _ in range(2000):
        t = When(Rhythm.ABOUT, 10 * S).after(t, source) or 0
    assert 9 < t / S / 2000 < 11


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("drop", ["1.1", "-0.1", "nan", "", "often"]),
        ("delay", ["-1ms", "11s", "2parsec", "80ms..20ms", "..", "1ms..", "inf", "1e99h"]),
        ("split", ["0", "7..1", "1.5", "5000"]),
        ("stall", ["2s", "@10s", "2s@", "2s@10s@20s", "0@10s", "2s/0s", "2s~0", "1h@1s"]),
        ("interval", ["", "0", "1ns"]),
        ("mtu", ["22", "300", "100ms", "100@"]),
        ("jump", ["1s", "2h@1s"]),
        ("reset", ["", "1s", "5@1s", "@-1s"]),
        ("request_drop", ["2"]),
    ],
)
def test_a_bad_value_is_one_line_with_name_value_and_what_is_allowed(name: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ValueError) as caught:
            open_sim("", {name: text})
        line = str(caught.value)
        assert line.startswith(f"{name}={text}: not possible; allowed: ") and "\n" not in line
        assert FAULTS[name].allowed in line


def test_a_fault_that_there_is_not_is_named_with_those_that_there_are() -> None:
    for name in ("dorp", "request_reset", "request_"):
        with pytest.raises(ValueError, match=f"{name}=0: no such parameter; there are: .*drop.*request_split"):
            open_sim("", {name: "0"})


def test_every_fault_says_what_it_is() -> None:
    for name, fault in FAULTS.items():
        assert fault.doc and fault.allowed and "\n" not in fault.doc + fault.allowed
        assert fault.level in (Level.GATE, Level.MESSAGES, Level.OCTETS) or not name.startswith("request_")
    assert parse_fault("delay", "50") == Between(50 * MS, 50 * MS), "addresses of the first version go on working"
