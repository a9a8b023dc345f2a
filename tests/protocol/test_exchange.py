"""Requests without a socket and without a clock: the table, retries, time-outs, answers nobody waits for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.protocol.envelope import Response, take_request
from nexuslink.protocol.exchange import (
    BUSY_NS,
    REMEMBERED,
    RETRY_NS,
    TIMEOUT_NS,
    TRANSITIONS,
    WAITING_MAX,
    Exchange,
    Expired,
    Failure,
    LinkState,
)
from nexuslink.protocol.messages import MAX_PENDING, Opcode, Status

KNOWN = {
    Opcode.INFO, Opcode.DESCRIBE, Opcode.TIME_SYNC, Opcode.STOP, Opcode.TOTALS, Opcode.CALIBRATION_READ, Opcode.UNLOCK,
    Opcode.CALIBRATION_WRITE, Opcode.HAPTIC, Opcode.LIGHT, Opcode.ERRORS, Opcode.LOG_LEVEL, Opcode.RESET,
}  # fmt: skip
ALLOWED = {
    LinkState.OPEN: {Opcode.HELLO},
    LinkState.GREETED: {Opcode.HELLO, Opcode.INFO, Opcode.TIME_SYNC},
    LinkState.READY: KNOWN | {Opcode.START, Opcode.CONFIGURE, Opcode.CALIBRATION_COMMIT, Opcode.SELF_TEST},
    LinkState.STREAMING: KNOWN | {Opcode.TARE},
}
"""The table of DESIGN's order (HELLO, INFO, TIME_SYNC, START) written down a second time, by hand."""
MS = 1_000_000


def answer(request_id: int, opcode: int, seq: int = 0) -> Response:
    return Response(seq, request_id, opcode, Status.OK, b"")


def in_state(state: LinkState) -> Exchange:
    path = [Opcode.HELLO, Opcode.INFO, Opcode.START][: list(LinkState).index(state)]
    exchange = Exchange()
    for opcode in path:
        assert exchange.allowed(opcode)
        exchange.succeeded(opcode)
    assert exchange.state is state
    return exchange


# -- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", LinkState)
def test_what_may_be_asked_in_each_state(state: LinkState) -> None:
    exchange = in_state(state)
    assert {opcode for opcode in Opcode if exchange.allowed(opcode)} == ALLOWED[state]


def test_the_table_is_whole() -> None:
    assert set(ALLOWED) == set(LinkState)
    assert set(TRANSITIONS) == {(state, opcode) for state, opcodes in ALLOWED.items() for opcode in opcodes}
    assert {opcode for _, opcode in TRANSITIONS} == set(Opcode), "an opcode that may never be asked"
    assert {LinkState.OPEN, *TRANSITIONS.values()} == set(LinkState), "a state that cannot be reached"


def test_every_state_leads_to_streaming_and_streaming_ends() -> None:
    steps = {state: {to for (at, _), to in TRANSITIONS.items() if at is state} for state in LinkState}
    for start in LinkState:
        reached = {start}
        for _ in LinkState:
            reached |= {to for state in reached for to in steps[state]}
        assert LinkState.STREAMING in reached
    assert LinkState.READY in steps[LinkState.STREAMING]


@pytest.mark.parametrize("state", LinkState)
@pytest.mark.parametrize("opcode", Opcode)
def test_what_is_not_in_the_table_moves_nothing(state: LinkState, opcode: Opcode) -> None:
    exchange = in_state(state)
    exchange.succeeded(opcode)
    assert exchange.state is TRANSITIONS.get((state, opcode), state)


def test_only_stop_and_reset_lead_backwards() -> None:
    order = list(LinkState)
    back = {opcode for (state, opcode), to in TRANSITIONS.items() if order.index(to) < order.index(state)}
    assert back == {Opcode.STOP, Opcode.RESET}


@pytest.mark.parametrize("state", LinkState)
def test_a_tool_that_is_recognised_need_not_be_asked(state: LinkState) -> None:
    exchange = in_state(state)
    exchange.recognised()
    assert exchange.state is (LinkState.READY if state is LinkState.GREETED else state)


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_is_what_was_asked() -> None:
    exchange = Exchange()
    request_id, message = exchange.request(Opcode.INFO, b"payload", 0)
    assert message is not None
    request = take_request(message)
    assert request is not None
    assert (request.request_id, request.opcode, request.payload, request.seq) == (request_id, 2, b"payload", 0)


def test_ids_are_never_zero_and_numbers_wrap() -> None:
    exchange = Exchange()
    ids, seqs = [], []
    for _ in range(0x1_0002):
        request_id, message = exchange.request(Opcode.INFO, b"", 0)
        assert message is not None
        exchange.forget(request_id)
        ids.append(request_id)
        seqs.append(message[2] | message[3] << 8)
    assert ids == [*range(1, 0x1_0000), 1, 2, 3]
    assert seqs == [*range(0x1_0000), 0, 1]


def test_retries_are_the_same_message_until_the_deadline() -> None:
    exchange = Exchange()
    request_id, message = exchange.request(Opcode.HELLO, b"\1\0", 0)
    sent, expired = [], []
    for now in range(0, 3 * TIMEOUT_NS, 10 * MS):
        again, failed = exchange.poll(now)
        sent += [(now, m) for m in again]
        expired += [(now, e) for e in failed]
    assert [m for _, m in sent] == [message] * len(sent)
    assert [now for now, _ in sent] == [k * RETRY_NS for k in range(1, TIMEOUT_NS // RETRY_NS)]
    ((when, failure),) = expired
    assert (when, failure) == (TIMEOUT_NS, Expired(request_id, Opcode.HELLO, Failure.SILENCE))
    counts = exchange.counts
    assert (counts.requests, counts.retries, counts.timeouts, counts.late, counts.foreign) == (1, len(sent), 1, 0, 0)


def test_a_retry_is_not_early_and_a_pause_does_not_bring_a_burst() -> None:
    """Time may jump: after a second in which nobody polled, one copy is sent, not four."""
    exchange = Exchange()
    exchange.request(Opcode.HELLO, b"", 0, timeout_ns=10 * TIMEOUT_NS)
    assert exchange.poll(RETRY_NS - 1) == ([], [])
    assert len(exchange.poll(5 * RETRY_NS)[0]) == 1
    assert exchange.poll(5 * RETRY_NS + 1) == ([], [])


def test_time_outs_of_their_own() -> None:
    exchange = Exchange()
    quick, _ = exchange.request(Opcode.TIME_SYNC, b"", 0, timeout_ns=100 * MS)
    slow, _ = exchange.request(Opcode.TARE, b"", 0, timeout_ns=3 * TIMEOUT_NS)
    assert [e.request_id for e in exchange.poll(100 * MS)[1]] == [quick]
    assert [e.request_id for e in exchange.poll(3 * TIMEOUT_NS)[1]] == [slow]


def test_an_answer_ends_the_request() -> None:
    exchange = Exchange()
    request_id, _ = exchange.request(Opcode.HELLO, b"", 0)
    assert exchange.answered(answer(request_id, Opcode.HELLO))
    assert exchange.poll(10 * TIMEOUT_NS) == ([], [])
    assert (exchange.counts.retries, exchange.counts.timeouts, exchange.counts.late) == (0, 0, 0)


def test_answers_out_of_order() -> None:
    exchange = Exchange()
    ids = [exchange.request(Opcode.TIME_SYNC, b"", 0)[0] for _ in range(MAX_PENDING)]
    assert all(exchange.answered(answer(i, Opcode.TIME_SYNC)) for i in reversed(ids))


def test_late_and_foreign_answers_are_counted_apart() -> None:
    exchange = Exchange()
    first, _ = exchange.request(Opcode.HELLO, b"", 0)
    assert exchange.answered(answer(first, Opcode.HELLO))
    assert not exchange.answered(answer(first, Opcode.HELLO)), "duplicate"
    assert (exchange.counts.late, exchange.counts.foreign) == (1, 0)
    second, _ = exchange.request(Opcode.INFO, b"", 0)
    assert not exchange.answered(answer(second, Opcode.TARE)), "another opcode"
    assert not exchange.answered(answer(0, Opcode.INFO)), "an id that is never given"
    assert not exchange.answered(answer(second + 1, Opcode.INFO)), "an id that was not given yet"
    assert not exchange.answered(answer(first, Opcode.INFO)), "an old id with another opcode"
    assert (exchange.counts.late, exchange.counts.foreign) == (1, 4)
    exchange.poll(TIMEOUT_NS)
    assert not exchange.answered(answer(second, Opcode.INFO)), "after its deadline"
    third, _ = exchange.request(Opcode.INFO, b"", 0)
    exchange.forget(third)
    assert not exchange.answered(answer(third, Opcode.INFO)), "given up"
    exchange.forget(third)
    assert (exchange.counts.late, exchange.counts.foreign) == (3, 4)


def test_what_is_remembered_of_ended_requests_is_bounded() -> None:
    exchange = Exchange()
    for _ in range(REMEMBERED + 5):
        request_id, _ = exchange.request(Opcode.INFO, b"", 0)
        assert exchange.answered(answer(request_id, Opcode.INFO))
    assert len(exchange._ended) == REMEMBERED
    assert not exchange.answered(answer(5, Opcode.INFO))
    assert not exchange.answered(answer(6, Opcode.INFO))
    assert (exchange.counts.late, exchange.counts.foreign) == (1, 1)


def test_a_wrong_answer_does_not_end_the_request() -> None:
    exchange = Exchange()
    request_id, _ = exchange.request(Opcode.INFO, b"", 0)
    assert not exchange.answered(answer(request_id, 0xEE))
    assert exchange.answered(answer(request_id, Opcode.INFO))


# -- many at once, and a tool that is busy ----------------------------------------------------------------------------


def test_no_more_are_open_than_the_protocol_allows() -> None:
    """One place is kept for TIME_SYNC; the others wait, and come in the order in which they were asked."""
    exchange = in_state(LinkState.READY)
    asked = [exchange.request(Opcode.INFO, bytes([k]), 0) for k in range(8)]
    assert [message is not None for _, message in asked] == [True] * (MAX_PENDING - 1) + [False] * 5
    sync, message = exchange.request(Opcode.TIME_SYNC, b"", 0)
    assert message is not None
    another, message = exchange.request(Opcode.TIME_SYNC, b"", 0)
    assert message is None
    assert exchange.poll(0) == ([], [])
    order = []
    for k in range(MAX_PENDING - 1, 8):
        assert exchange.answered(answer(asked[k - 3][0], Opcode.INFO))
        late_comer = exchange.request(Opcode.HAPTIC, b"", 0)
        assert late_comer[1] is None, "nobody overtakes"
        exchange.forget(late_comer[0])
        order += [taken.payload for m in exchange.poll(0)[0] if (taken := take_request(m)) and taken.payload]
    assert order == [bytes([k]) for k in range(MAX_PENDING - 1, 8)]
    assert exchange.counts.retries == 0
    assert exchange.answered(answer(sync, Opcode.TIME_SYNC))
    exchange.poll(0)
    assert exchange.answered(answer(another, Opcode.TIME_SYNC))


def test_the_clock_is_held_however_much_is_asked() -> None:
    exchange = in_state(LinkState.STREAMING)
    while not exchange.full:
        exchange.request(Opcode.ERRORS, b"", 0)
    for second in range(5):
        now = second * TIMEOUT_NS
        request_id, message = exchange.request(Opcode.TIME_SYNC, b"", now)
        assert message is not None
        assert exchange.asking(Opcode.TIME_SYNC)
        assert exchange.answered(answer(request_id, Opcode.TIME_SYNC))
        assert not exchange.asking(Opcode.TIME_SYNC)


def test_what_waits_is_bounded_and_expires_too() -> None:
    exchange = in_state(LinkState.READY)
    ids = []
    while not exchange.full:
        ids.append(exchange.request(Opcode.INFO, b"", 0)[0])
    assert len(ids) == MAX_PENDING - 1 + WAITING_MAX
    _, expired = exchange.poll(TIMEOUT_NS)
    assert [e.request_id for e in expired] == ids
    assert [e.why for e in expired] == [Failure.SILENCE] * 3 + [Failure.UNSENT] * WAITING_MAX
    assert not exchange.full and not exchange.asking(Opcode.INFO)


def test_a_busy_tool_is_asked_again_with_the_same_bytes() -> None:
    exchange = in_state(LinkState.READY)
    request_id, message = exchange.request(Opcode.INFO, b"x", 0)
    busy = Response(0, request_id, Opcode.INFO, Status.BUSY, b"")
    for _ in range(3):  # copies change nothing
        assert exchange.answered(busy) is None
    assert exchange.poll(BUSY_NS - 1) == ([], [])
    assert exchange.poll(BUSY_NS) == ([message], [])
    asked = exchange.answered(answer(request_id, Opcode.INFO))
    assert asked is not None and asked.payload == b"x"
    assert (exchange.counts.busy, exchange.counts.retries, exchange.counts.late) == (3, 1, 0)


def test_a_tool_that_is_busy_for_ever_is_given_up() -> None:
    exchange = in_state(LinkState.READY)
    request_id, _ = exchange.request(Opcode.INFO, b"", 0)
    sent, expired = 0, []
    for now in range(0, 2 * TIMEOUT_NS, 10 * MS):
        exchange.answered(Response(0, request_id, Opcode.INFO, Status.BUSY, b""))
        again, failed = exchange.poll(now)
        sent += len(again)
        expired += failed
    assert expired == [Expired(request_id, Opcode.INFO, Failure.BUSY)]
    assert sent == TIMEOUT_NS // BUSY_NS - 1


ACTIONS = st.lists(
    st.tuples(st.sampled_from(("ask", "sync", "answer", "busy", "forget", "wait")), st.integers(0, 400)), max_size=120
)


@given(ACTIONS)
@settings(max_examples=150, deadline=None)
def test_every_request_ends_once_and_few_are_open(actions: list[tuple[str, int]]) -> None:
    """Whatever happens: answered, forgotten or expired, each once, by its deadline; never too many on the wire."""
    exchange = in_state(LinkState.STREAMING)
    now, wire, alive, asked_at = 0, {}, {}, {}

    def see(messages: list[bytes]) -> None:
        for message in messages:
            request = take_request(message)
            assert request is not None and request.request_id in alive
            assert wire.setdefault(request.request_id, message) == message

    for action, n in actions:
        if action in ("ask", "sync") and not exchange.full:
            opcode = Opcode.INFO if action == "ask" else Opcode.TIME_SYNC
            request_id, message = exchange.request(opcode, b"", now)
            alive[request_id], asked_at[request_id] = opcode, now
            see([] if message is None else [message])
        elif action in ("answer", "busy", "forget") and alive:
            request_id = sorted(alive)[n % len(alive)]
            if action == "forget":
                exchange.forget(request_id)
                del alive[request_id]
            elif request_id in wire:
                status = Status.OK if action == "answer" else Status.BUSY
                ended = exchange.answered(Response(0, request_id, alive[request_id], status, b""))
                assert (ended is not None) == (action == "answer")
                if ended is not None:
                    del alive[request_id]
        now += n * MS if action == "wait" else 0
        messages, expired = exchange.poll(now)
        for gone in expired:
            assert gone.opcode == alive.pop(gone.request_id)
            assert (gone.why is Failure.UNSENT) == (gone.request_id not in wire)
        see(messages)
        on_the_wire = [request_id for request_id in alive if request_id in wire]
        assert len(on_the_wire) <= MAX_PENDING
        assert sum(alive[r] != Opcode.TIME_SYNC for r in on_the_wire) < MAX_PENDING
        assert all(now - asked_at[r] < TIMEOUT_NS for r in alive)
        assert (exchange.counts.late, exchange.counts.foreign) == (0, 0)
