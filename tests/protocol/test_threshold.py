"""Messages of the session before that come only after the next START."""

import pytest
from wire_samples import FORCE, described, response

from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.envelope import pack_data, pack_response
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import Opcode, SessionTotals, StartResponse, Status, StopResponse
from nexuslink.protocol.threshold import JUDGED, Threshold

SECOND = 1_000_000
ENDS, BEGINS = 60 * SECOND, 61 * SECOND
MADE = SessionTotals(1, 5000, 0, (25_000, 0, 0, 0))


def data(seq: int, t0_us: int) -> bytes:
    return frame(pack_data(seq, FORCE, 5, 5 * seq, t0_us, bytes(40)))


def stopped(session: int = 1, t_us: int = ENDS) -> bytes:
    totals = SessionTotals(session, MADE.sent, MADE.dropped, MADE.samples)
    return frame(pack_response(0, 1, Opcode.STOP, Status.OK, StopResponse(t_us, totals).pack()))


def started(session: int = 2, t_us: int = BEGINS) -> bytes:
    return frame(pack_response(0, 2, Opcode.START, Status.OK, StartResponse(t_us, session).pack()))


def second_session(stop: bytes | None = None) -> Decoder:
    """A link on which START has been sent for the second time."""
    decoder = described()
    decoder.feed(stopped() if stop is None else stop)
    decoder.settle(MADE)
    decoder.begin()
    return decoder


OLD, NEW = data(4990, ENDS - SECOND), [data(seq, BEGINS + 20_000 * seq) for seq in range(40)]


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param([OLD, started(), *NEW], id="before START's response"),
        pytest.param([started(), OLD, *NEW], id="after it"),
        pytest.param([started(), *NEW[:3], OLD, *NEW[3:]], id="between the new ones"),
        pytest.param([OLD, *NEW[:3], OLD, started(), *NEW[3:]], id="START's response is late"),
        pytest.param([started(), stopped(), started(1, ENDS - 9 * SECOND), OLD, *NEW], id="copies of old responses"),
        pytest.param([OLD] * (JUDGED - 40) + [started(), *NEW], id="very many"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
def test_they_are_late_and_nothing_is_lost(wire: list[bytes], at_once: bool) -> None:
    decoder = second_session()
    batches = [batch for chunk in ([b"".join(wire)] if at_once else wire) for batch in decoder.feed(chunk).batches]
    link = decoder.link
    assert (link.received, link.lost, link.restarts, link.late) == (40, 0, 0, wire.count(OLD))
    assert link.streams[FORCE].received == 200 == sum(len(batch.raw) for batch in batches)
    assert (link.streams[FORCE].lost, link.streams[FORCE].overrun) == (0, 0)


def test_without_their_times_they_would_look_like_thousands_lost() -> None:
    decoder = second_session(stop=response(0))
    decoder.feed(OLD)
    assert decoder.link.lost == 4990


def test_a_clock_that_is_set_back_costs_no_more_than_what_is_judged() -> None:
    decoder = second_session()
    decoder.feed(started())
    for seq in range(JUDGED + 100):
        decoder.feed(data(seq, BEGINS - 30 * SECOND + 20_000 * seq))
    assert (decoder.link.late, decoder.link.received, decoder.link.lost) == (JUDGED, 100, JUDGED)


def test_the_first_session_of_a_link_is_not_judged() -> None:
    decoder = described()
    decoder.feed(started(7))
    for seq in range(3):
        decoder.feed(data(seq, BEGINS - SECOND))
    assert (decoder.link.received, decoder.link.late) == (3, 0)


@pytest.mark.parametrize("message", [b"\x11\0\0\0", b"\x10\0\0\0\0\0", b"\x15\0\0\0" + bytes(20), b"\x7f"])
def test_what_shows_no_time_is_not_judged(message: bytes) -> None:
    threshold = Threshold()
    threshold.begin()
    threshold.answered(start := _response(started()))
    threshold.begin()
    assert start.opcode == Opcode.START
    assert not threshold.too_early(message)
    assert threshold.open == JUDGED - 1


def _response(chunk: bytes):  # type: ignore[no-untyped-def]
    return described().feed(chunk).responses[0]
