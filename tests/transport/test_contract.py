"""What every transport promises, asked of every transport. A new one joins by a row in `links.KINDS`."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator

import pytest
from links import HANG_S, KINDS, LINK_ERRORS, Kind, Log, Peer, closing, opened, run, until

from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.envelope import pack_request, take_response
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import HelloRequest, HelloResponse, Opcode, StartRequest
from nexuslink.transport import ble, serial, tcp
from nexuslink.transport.base import TICK_S, WRITE_TIMEOUT_S

pytestmark = pytest.mark.filterwarnings("error")

SIZES = (1, 2, 3, 17, 255, 256, 257, 1, 4095, 4096, 4097, 65_536, 1, 100_000)
RAW = [k for k in KINDS if k.raw]


@pytest.fixture(params=KINDS, ids=lambda k: k.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture(params=RAW, ids=lambda k: k.name)
def raw(request: pytest.FixtureRequest) -> Kind:
    return request.param


def both(kind: Kind) -> Iterator[Peer]:
    if kind.missing:
        pytest.skip(kind.missing)
    peer = kind.make()
    yield peer
    peer.release()


@pytest.fixture
def peer(kind: Kind) -> Iterator[Peer]:
    yield from both(kind)


@pytest.fixture
def raw_peer(raw: Kind) -> Iterator[Peer]:
    yield from both(raw)


def blocks(sizes: tuple[int, ...] = SIZES) -> list[bytes]:
    rng = random.Random(1)
    return [rng.randbytes(n) for n in sizes]


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_bytes_arrive_whole_and_in_order(raw_peer: Peer, raw: Kind) -> None:
    sent, log = [raw.part(block) for block in blocks()], Log()

    async def scenario() -> None:
        await opened(raw_peer, log)
        for block in sent:
            await raw_peer.send(block)
        await until(lambda: len(log.data) >= sum(map(len, sent)))

    run(closing(raw_peer, scenario))
    assert log.data == b"".join(sent)
    assert log.reasons == []
    if not raw.framed:
        assert [c.data for c in log.chunks if c.data] == sent, "one chunk is one message"


def test_every_byte_value_arrives(raw_peer: Peer) -> None:
    """A terminal that is not raw would eat, echo, translate or obey some of them."""
    log, every = Log(), bytes(range(256)) * 2
    parts = [every[k : k + 128] for k in range(0, 512, 128)]

    async def scenario() -> bytes:
        await opened(raw_peer, log)
        for part in parts:
            await raw_peer.send(part)
        await until(lambda: len(log.data) >= len(every))
        for part in parts:
            await raw_peer.transport.write(part)
        return await raw_peer.take(len(every))

    assert run(closing(raw_peer, scenario)) == every
    assert log.data == every


def test_writes_reach_the_peer_whole_and_in_order(raw_peer: Peer, raw: Kind) -> None:
    sent = [raw.part(block) for block in blocks((1, 2, 244, 250, 1, 4096, 20_000))]

    async def scenario() -> bytes:
        await opened(raw_peer, Log())
        reading = asyncio.create_task(raw_peer.take(sum(map(len, sent))))
        for block in sent:
            await raw_peer.transport.write(block)
        return await reading

    assert run(closing(raw_peer, scenario)) == b"".join(sent)


def test_writes_at_the_same_time_do_not_mix(raw_peer: Peer, raw: Kind) -> None:
    """More than any buffer holds, from four writers: each block must come out in one piece."""
    size, writers = min(30_000, raw.longest), 4

    async def scenario() -> bytes:
        await opened(raw_peer, Log())
        writes = [asyncio.create_task(raw_peer.transport.write(bytes([65 + k]) * size)) for k in range(writers)]
        await asyncio.sleep(0.02)  # until the first ones wait for room
        got = await raw_peer.take(size * writers)
        await asyncio.gather(*writes)
        return got

    got = run(closing(raw_peer, scenario))
    assert sorted(got[k * size : (k + 1) * size] for k in range(writers)) == [bytes([65 + k]) * size for k in range(4)]


def test_a_request_is_answered(peer: Peer, kind: Kind) -> None:
    """The same over all: HELLO there, an answer back. Where the peer is raw, the test answers."""
    log = Log()
    request = frame(pack_request(0, 1, Opcode.HELLO, HelloRequest(1, 0).pack()))

    def answers() -> list[object]:
        return [take_response(m[:-CRC_SIZE]) for m in Deframer().feed(log.data)]

    async def scenario() -> None:
        await opened(peer, log)
        await peer.transport.write(request)
        if kind.raw:
            assert await peer.take(len(request)) == request
            message = b"\2\0\0\0\1\0\1\0" + HelloResponse(1, 0, 0, 0, "CN-0001", 0, 244).pack()
            await peer.send(frame(message))
        await until(lambda: bool(answers()))

    run(closing(peer, scenario))
    (answer,) = answers()
    assert answer is not None
    hello = HelloResponse.unpack(answer.payload)  # type: ignore[attr-defined]
    assert hello is not None and hello.protocol_major == 1


# -- time -------------------------------------------------------------------------------------------------------------


def test_chunks_carry_the_transports_own_clock(peer: Peer, kind: Kind) -> None:
    log = Log()
    stamps: list[int] = []
    log.on_chunk = lambda chunk: stamps.append(peer.transport.now_ns())

    async def scenario() -> int:
        before = peer.transport.now_ns()
        await opened(peer, log)
        for k in range(3):
            if kind.raw:
                await peer.send(b"x" * (k + 1))
            await until(lambda k=k: len(log.chunks) > k)
        return before

    before = run(closing(peer, scenario))
    arrivals = [c.arrival_ns for c in log.chunks]
    assert all(isinstance(a, int) for a in arrivals)
    assert arrivals == sorted(arrivals)
    assert before <= arrivals[0]
    assert all(a <= now for a, now in zip(arrivals, stamps, strict=True)), "stamped in the future"


def test_time_goes_on_in_silence(peer: Peer, kind: Kind) -> None:
    log = Log()

    async def scenario() -> None:
        await opened(peer, log)
        await until(lambda: len(log.ticks) >= 4)

    run(closing(peer, scenario))
    assert log.data == b""
    times = [c.arrival_ns for c in log.chunks]
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert min(steps) >= TICK_S / 2 * 1e9 * 0.99, "ticks are for silence, not a metronome"
    if not kind.real_time:  # a virtual clock keeps this exactly
        assert max(steps) <= TICK_S * 1e9 * 1.5


def test_ticks_stop_with_the_link(raw_peer: Peer) -> None:
    log = Log()

    async def scenario() -> int:
        await opened(raw_peer, log)
        await until(lambda: len(log.ticks) >= 1)
        raw_peer.hang_up()
        await until(lambda: bool(log.reasons))
        seen = len(log.chunks)
        await asyncio.sleep(2.5 * TICK_S)
        return seen

    assert run(closing(raw_peer, scenario)) == len(log.chunks)


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_peer_that_hangs_up_is_told_once_in_one_line(raw_peer: Peer) -> None:
    log = Log()

    async def scenario() -> None:
        await opened(raw_peer, log)
        await raw_peer.send(b"last words")
        await until(lambda: log.data == b"last words")
        raw_peer.hang_up()
        await until(lambda: bool(log.reasons))
        with pytest.raises(LINK_ERRORS) as caught:
            for _ in range(3):  # a system may take one write before it says no
                await raw_peer.transport.write(b"anybody?")
                await asyncio.sleep(0.01)
        assert len(str(caught.value).splitlines()) == 1
        await raw_peer.transport.close()
        await asyncio.sleep(2 * TICK_S)

    run(closing(raw_peer, scenario))
    (reason,) = log.reasons
    assert len(reason.splitlines()) == 1 and len(reason) > 10
    assert raw_peer.transport.url in reason


def test_a_simulated_tool_that_goes_silent_ends_the_link_once() -> None:
    """The one end that the simulated tool offers by itself; on its virtual clock it comes at once."""
    if not any(kind.name == "sim" for kind in KINDS):
        pytest.skip("no simulated tool in this run")
    from nexus_simulator.transport import open_sim

    transport, log = open_sim("", {"script": "lost-link", "speed": "max"}), Log()
    opcodes = {Opcode.HELLO: HelloRequest(1, 0).pack(), Opcode.INFO: b"", Opcode.START: StartRequest(0b11).pack()}

    async def scenario() -> None:
        await transport.open(log)
        for k, (opcode, payload) in enumerate(opcodes.items()):
            await transport.write(frame(pack_request(k, k + 1, opcode, payload)))
        await until(lambda: bool(log.reasons))
        with pytest.raises(LINK_ERRORS):
            await transport.write(b"anybody?")
        await transport.close()

    run(scenario())
    assert len(log.data) > 10_000
    (reason,) = log.reasons
    assert len(reason.splitlines()) == 1 and "link lost" in reason


def test_close_ends_everything_and_may_be_repeated(peer: Peer, kind: Kind) -> None:
    log = Log()

    async def scenario() -> int:
        await opened(peer, log)
        if kind.raw:
            await peer.send(b"before")
            await until(lambda: log.data == b"before")
        await peer.transport.close()
        count = len(log.chunks)
        await peer.transport.close()
        if kind.raw:
            try:
                await asyncio.wait_for(peer.send(b"after"), 0.05)
                peer.hang_up()
            except (OSError, TimeoutError):
                pass  # the peer sees that nobody is there
        await asyncio.sleep(1.5 * TICK_S)
        await peer.transport.close()
        return count

    assert run(scenario()) == len(log.chunks)
    assert log.reasons == [], "closed() is for links that end by themselves"


def test_close_from_inside_a_chunk(raw_peer: Peer) -> None:
    """What a time-out on a tick does: the link is closed by a task that a chunk started."""
    log, tasks = Log(), []

    def close(_: Chunk) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(raw_peer.transport.close()))

    async def scenario() -> None:
        await opened(raw_peer, log)
        log.on_chunk = close
        await until(lambda: bool(tasks))
        await tasks[0]

    run(closing(raw_peer, scenario))
    assert log.reasons == []


def test_close_when_told_that_the_link_has_ended(raw_peer: Peer) -> None:
    log, tasks = Log(), []
    log.on_closed = lambda _: tasks.append(asyncio.create_task(raw_peer.transport.close()))

    async def scenario() -> None:
        await opened(raw_peer, log)
        raw_peer.hang_up()
        await until(lambda: bool(tasks))
        await tasks[0]

    run(closing(raw_peer, scenario))
    assert len(log.reasons) == 1


def test_close_while_bytes_pour_in(raw_peer: Peer, raw: Kind) -> None:
    log = Log()

    async def pour() -> None:
        try:
            while True:
                await raw_peer.send(raw.part(b"\x55" * 4096))
                await asyncio.sleep(0)
        except OSError:
            pass

    async def scenario() -> int:
        await opened(raw_peer, log)
        pouring = asyncio.create_task(pour())
        await until(lambda: len(log.data) > 20_000)
        await raw_peer.transport.close()
        count = len(log.chunks)
        await asyncio.sleep(0.05)
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        return count

    assert run(scenario()) == len(log.chunks)
    assert log.reasons == []


def test_a_link_that_is_not_open_takes_nothing(peer: Peer) -> None:
    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(LINK_ERRORS) as caught:
                await peer.transport.write(b"x")
            assert len(str(caught.value).splitlines()) == 1
            await peer.transport.close()  # also before open()

    run(scenario())


def test_after_close_a_write_is_an_error(peer: Peer) -> None:
    async def scenario() -> None:
        await opened(peer, Log())
        await peer.transport.close()
        with pytest.raises(LINK_ERRORS):
            await peer.transport.write(b"x")

    run(scenario())


@pytest.mark.parametrize("raw", [k for k in RAW if not k.name.startswith("loopback")], ids=lambda k: k.name)
def test_a_peer_that_takes_nothing_fails_the_write_and_not_the_program(
    raw_peer: Peer, raw: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write is bounded, and so is close with a write under way."""
    assert WRITE_TIMEOUT_S < HANG_S / 4
    for module in (serial, tcp, ble):
        monkeypatch.setattr(module, "WRITE_TIMEOUT_S", 0.2)

    async def scenario() -> None:
        await opened(raw_peer, Log())
        with pytest.raises(LINK_ERRORS) as caught:
            for _ in range(100):
                await raw_peer.transport.write(raw.part(bytes(1_000_000)))
        assert len(str(caught.value).splitlines()) == 1
        writing = asyncio.create_task(raw_peer.transport.write(raw.part(bytes(1000))))
        await asyncio.sleep(0.01)
        await raw_peer.transport.close()
        with pytest.raises(LINK_ERRORS):
            await writing

    run(closing(raw_peer, scenario))


# -- opening again ----------------------------------------------------------------------------------------------------


def test_opened_again_it_is_a_link_again(peer: Peer, kind: Kind) -> None:
    first, second = Log(), Log()

    async def scenario() -> int:
        await opened(peer, first)
        await peer.transport.close()
        count = len(first.chunks)
        await opened(peer, second)
        if kind.raw:
            await peer.send(b"hello again")
            await until(lambda: second.data == b"hello again")
            await peer.transport.write(b"hello")
            assert await peer.take(5) == b"hello"
        await until(lambda: len(second.ticks) >= 2)
        return count

    count = run(closing(peer, scenario))
    assert len(first.chunks) == count
    assert first.reasons == second.reasons == []


@pytest.mark.parametrize("raw", [k for k in RAW if k.revives], ids=lambda k: k.name)
def test_opened_again_after_the_peer_hung_up(raw_peer: Peer) -> None:
    first, second = Log(), Log()

    async def scenario() -> None:
        await opened(raw_peer, first)
        raw_peer.hang_up()
        await until(lambda: bool(first.reasons))
        await raw_peer.transport.close()
        await opened(raw_peer, second)
        await raw_peer.send(b"back")
        await until(lambda: second.data == b"back")

    run(closing(raw_peer, scenario))
    assert len(first.reasons) == 1 and second.reasons == []


def test_opened_twice_is_an_error_and_harms_nothing(peer: Peer, kind: Kind) -> None:
    log, other = Log(), Log()

    async def scenario() -> None:
        await opened(peer, log)
        with pytest.raises(LINK_ERRORS, match="open already") as caught:
            await peer.transport.open(other)
        assert peer.transport.url in str(caught.value)
        seen = len(log.ticks)
        if kind.raw:
            await peer.send(b"still here")
            await until(lambda: log.data == b"still here")
        await until(lambda: len(log.ticks) > seen)

    run(closing(peer, scenario))
    assert other.chunks == [] and log.reasons == []


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_pause_and_resume_are_harmless_in_every_state(peer: Peer, kind: Kind) -> None:
    log = Log()

    async def scenario() -> None:
        for step in ("made", "open", "closed"):
            if step == "open":
                await opened(peer, log)
            if step == "closed":
                await peer.transport.close()
            for call in ("pause", "pause", "resume", "resume", "pause", "resume"):
                getattr(peer.transport, call)()
            if step == "open":
                if kind.raw:
                    await peer.send(b"flows")
                    await until(lambda: log.data == b"flows")
                await until(lambda: bool(log.ticks))

    run(closing(peer, scenario))


def test_what_it_says_of_itself(peer: Peer, kind: Kind) -> None:
    transport = peer.transport
    scheme = kind.name.partition("-")[0]
    assert transport.url.startswith(f"{scheme}:")
    assert transport.framed is kind.framed
    first = transport.now_ns()
    assert isinstance(first, int)
    assert transport.now_ns() >= first
