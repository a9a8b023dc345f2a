"""Requests without a socket and without a clock: the table, retries, time-outs, answers nobody waits for."""

from __future__ import annotations

import pytest

from nexuslink.protocol.envelope import Response, take_request
from nexuslink.protocol.exchange import ANY_TIME, RETRY_NS, TIMEOUT_NS, TRANSITIONS, Exchange, LinkState
from nexuslink.protocol.messages import Opcode, Status

ALLOWED = {
    LinkState.OPEN: {Opcode.HELLO},
    LinkState.GREETED: {Opcode.HELLO, Opcode.INFO, Opcode.TIME_SYNC},
    LinkState.READY: {*ANY_TIME, Opcode.START, Opcode.STOP},
    LinkState.STREAMING: {*ANY_TIME, Opcode.TARE, Opcode.STOP},
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


def test_asking_again_never_leads_backwards() -> None:
    """HELLO on a streaming link is a question, not a new connection."""
    order = list(LinkState)
    for (state, opcode), to in TRANSITIONS.items():
        assert order.index(to) >= order.index(state) or opcode is Opcode.STOP


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_is_what_was_asked() -> None:
    exchange = Exchange()
    request_id, message = exchange.request(Opcode.INFO, b"payload", 0)
    request = take_request(message)
    assert request is not None
    assert (request.request_id, request.opcode, request.payload, request.seq) == (request_id, 2, b"payload", 0)


def test_ids_are_never_zero_and_numbers_wrap() -> None:
    exchange = Exchange()
    ids, seqs = [], []
    for _ in range(0x1_0002):
        request_id, message = exchange.request(Opcode.INFO, b"", 0)
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
    assert (when, failure.request_id, failure.opcode) == (TIMEOUT_NS, request_id, Opcode.HELLO)
    counts = exchange.counts
    assert (counts.requests, counts.retries, counts.timeouts, counts.unexpected) == (1, len(sent), 1, 0)


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
    assert (exchange.counts.retries, exchange.counts.timeouts, exchange.counts.unexpected) == (0, 0, 0)


def test_answers_out_of_order() -> None:
    exchange = Exchange()
    ids = [exchange.request(Opcode.TIME_SYNC, b"", 0)[0] for _ in range(5)]
    assert all(exchange.answered(answer(i, Opcode.TIME_SYNC)) for i in reversed(ids))


def test_late_duplicate_and_foreign_answers_are_counted() -> None:
    exchange = Exchange()
    first, _ = exchange.request(Opcode.HELLO, b"", 0)
    assert exchange.answered(answer(first, Opcode.HELLO))
    assert not exchange.answered(answer(first, Opcode.HELLO)), "duplicate"
    second, _ = exchange.request(Opcode.INFO, b"", 0)
    assert not exchange.answered(answer(second, Opcode.TARE)), "another opcode"
    assert not exchange.answered(answer(0, Opcode.INFO)), "an id that is never given"
    exchange.poll(TIMEOUT_NS)
    assert not exchange.answered(answer(second, Opcode.INFO)), "late"
    third, _ = exchange.request(Opcode.INFO, b"", 0)
    exchange.forget(third)
    assert not exchange.answered(answer(third, Opcode.INFO)), "given up"
    exchange.forget(third)
    assert exchange.counts.unexpected == 5


def test_a_wrong_answer_does_not_end_the_request() -> None:
    exchange = Exchange()
    request_id, _ = exchange.request(Opcode.INFO, b"", 0)
    assert not exchange.answered(answer(request_id, 0xEE))
    assert exchange.answered(answer(request_id, Opcode.INFO))
