"""The ``sim:`` transport on an event loop: virtual and real time, flow control, ends, reopening, bad addresses."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import numpy as np
import pytest
from nexus_simulator.transport import TICK_NS, SimTransport, open_sim
from sim_host import Sink, contiguous, hello, start, stop, until

from nexuslink.protocol.chunk import Chunk

SECOND = 1_000_000_000


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60.0))


def sim(**params: str) -> SimTransport:
    return open_sim("", params)


async def streaming(transport: SimTransport, sink: Sink) -> None:
    await transport.open(sink)
    await transport.write(hello())
    await until(lambda: len(sink.host.responses) == 1, "HELLO's answer")
    await transport.write(start())
    await until(lambda: len(sink.host.responses) == 2, "START's answer")


def test_virtual_time_is_much_faster_than_real_time() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max", seed="1"), Sink()
        await streaming(transport, sink)
        began, virtual, cpu = time.monotonic(), transport.now_ns(), time.process_time()
        await until(lambda: transport.now_ns() - virtual >= 60 * SECOND, "60 virtual seconds")
        cpu = time.process_time() - cpu
        assert time.monotonic() - began < 20.0
        assert cpu < 3.0  # a hang guard; about 0.6 s here
        assert contiguous(sink.host.data(0)) and abs(len(sink.host.data(1)) - 3000) <= 2
        stamps = [chunk.arrival_ns for chunk in sink.chunks]
        assert all(a <= b for a, b in pairwise(stamps))
        await transport.close()

    run(scenario)


def test_virtual_arrivals_tell_the_true_flight_time() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max", skew_ppm="0"), Sink()
        await streaming(transport, sink)
        await until(lambda: len(sink.host.data(0)) > 50, "data")
        await transport.close()
        arrivals = [c.arrival_ns for c in sink.chunks if len(c.data) > 100]
        assert {round((b - a) / 1e6) for a, b in pairwise(arrivals[2:40])} == {20}

    run(scenario)


def test_same_seed_same_samples_through_the_loop() -> None:
    def samples(seed: str) -> np.ndarray:
        sink = Sink()

        async def scenario() -> None:
            transport = sim(speed="max", seed=seed)
            await streaming(transport, sink)
            await until(lambda: len(sink.host.data(1)) > 300, "data")
            await transport.close()

        run(scenario)
        return sink.host.samples(1, 500.0)[1][:3000]

    assert np.array_equal(samples("4"), samples("4"))
    assert not np.array_equal(samples("4"), samples("5"))


def test_real_time_is_real_time_and_a_request_is_answered_quickly() -> None:
    async def scenario() -> None:
        transport, sink = sim(), Sink()
        await transport.open(sink)
        latencies = []
        for request in range(1, 20):
            asked = transport.now_ns()
            await transport.write(hello(request))
            await until(lambda n=request: len(sink.host.responses) == n, "an answer")
            latencies.append(sink.chunks[-1].arrival_ns - asked)
        assert 1.0e6 < np.median(latencies) < 50e6
        await transport.write(start(50))
        await asyncio.sleep(0.5)
        await transport.close()
        t, _ = sink.host.samples(0, 250.0)
        assert 20 < len(t) <= 0.5 * 250 + 250
        assert abs(transport.now_ns() - time.monotonic_ns()) < SECOND

    run(scenario)


def test_speed_multiplies() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="20"), Sink()
        await streaming(transport, sink)
        after, virtual, before = time.monotonic_ns(), transport.now_ns(), time.monotonic_ns()
        await until(lambda: len(sink.host.samples(0, 250.0)[0]) >= 2500 if sink.host.data(0) else False, "10 s of data")
        least = 20 * (time.monotonic_ns() - before)
        virtual = transport.now_ns() - virtual
        assert least <= virtual <= 20 * (time.monotonic_ns() - after)
        await transport.close()

    run(scenario)


def test_a_machine_that_stands_still_is_no_silence_of_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is what ticks say: none may pass over what the tool has sent by then."""

    async def scenario() -> None:
        transport, sink = sim(speed="10"), Sink()
        await streaming(transport, sink)
        poll = transport._link.poll

        def stalled(on_ns: int, room: int | None = None) -> list[tuple[int, bytes]]:
            arrived = poll(on_ns, room)
            if arrived:
                transport._wake.set()  # look again at once
            else:
                time.sleep(0.05)  # half a simulated second, right after a look for data that found none
            return arrived

        monkeypatch.setattr(transport._link, "poll", stalled)
        began = len(sink.chunks)
        await until(lambda: len(sink.chunks) > began + 20, "data")
        await transport.close()
        assert all(chunk.data for chunk in sink.chunks[began:])  # a message is due each 20 ms, a tick after 100

    run(scenario)


@pytest.mark.parametrize("speed", ["1", "max"])
def test_silence_ticks(speed: str) -> None:
    async def scenario() -> None:
        transport, sink = sim(speed=speed), Sink()
        await transport.open(sink)
        await until(lambda: len(sink.chunks) >= 5, "ticks")
        assert all(chunk.data == b"" for chunk in sink.chunks)
        gaps = [b.arrival_ns - a.arrival_ns for a, b in pairwise(sink.chunks)]
        assert min(gaps) >= TICK_NS * 0.5
        if speed == "max":
            assert max(gaps) <= TICK_NS + 20_000_000
        await transport.close()

    run(scenario)


def test_pause_stops_virtual_time_and_loses_nothing() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max"), Sink()
        await streaming(transport, sink)
        transport.pause()
        await asyncio.sleep(0.01)
        chunks, now = len(sink.chunks), transport.now_ns()
        await asyncio.sleep(0.1)
        assert len(sink.chunks) == chunks and transport.now_ns() == now
        transport.resume()
        await until(lambda: len(sink.host.statuses) >= 3, "more data")
        assert contiguous(sink.host.data(0)) and sink.host.statuses[-1].dropped == 0
        await transport.close()

    run(scenario)


def test_pause_in_real_time_overruns_the_tool_and_it_says_so() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="10"), Sink()
        await streaming(transport, sink)
        transport.pause()
        await asyncio.sleep(0.3)  # three simulated seconds: 300 messages for a queue of 64
        transport.resume()
        await until(lambda: bool(sink.host.statuses) and sink.host.statuses[-1].dropped > 0, "a status that tells")
        await transport.close()
        assert not contiguous(sink.host.data(0))
        assert sink.host.sequence() == list(range(len(sink.host.sequence())))

    run(scenario)


def test_nothing_is_pushed_after_close_and_closed_is_not_called() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max"), Sink()
        await streaming(transport, sink)
        await transport.close()
        await transport.close()
        count = len(sink.chunks)
        await asyncio.sleep(0.05)
        assert len(sink.chunks) == count and sink.reasons == []
        with pytest.raises(ConnectionError):
            await transport.write(hello())

    run(scenario)


def test_closing_from_inside_a_chunk_is_allowed() -> None:
    class Closer(Sink):
        task: asyncio.Task[None] | None = None

        def chunk(self, chunk: Chunk) -> None:
            super().chunk(chunk)
            self.task = self.task or asyncio.get_running_loop().create_task(transport.close())

    transport = sim(speed="max")

    async def scenario() -> None:
        sink = Closer()
        await transport.open(sink)
        await until(lambda: sink.task is not None and sink.task.done(), "closing")
        count = len(sink.chunks)
        await asyncio.sleep(0.05)
        assert len(sink.chunks) == count

    run(scenario)


def test_reopened_it_is_the_same_tool_with_streaming_stopped() -> None:
    async def scenario() -> None:
        transport, first, second = sim(speed="max"), Sink(), Sink()
        await streaming(transport, first)
        await until(lambda: len(first.host.data(0)) > 10, "data")
        await transport.close()
        await transport.open(second)
        await transport.write(hello())
        await until(lambda: bool(second.host.responses), "HELLO's answer")
        assert second.host.responses[0].payload == first.host.responses[0].payload  # boot id among it
        await asyncio.sleep(0.05)
        assert not second.host.stream_messages
        await transport.close()

    run(scenario)


def test_opening_twice_is_refused() -> None:
    async def scenario() -> None:
        transport = sim()
        await transport.open(Sink())
        with pytest.raises(ConnectionError, match="open already"):
            await transport.open(Sink())
        await transport.close()

    run(scenario)


def test_lost_link_ticks_for_ten_seconds_then_closes() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max", script="lost-link"), Sink()
        await streaming(transport, sink)
        await until(lambda: bool(sink.reasons), "the end")
        assert sink.reasons == ["link lost: nothing came from the tool for 10 s"]
        last = next(i for i, c in enumerate(reversed(sink.chunks)) if c.data)
        ticks = sink.chunks[len(sink.chunks) - last :]
        assert len(ticks) >= 80
        silent = (ticks[-1].arrival_ns - sink.chunks[-last - 1].arrival_ns) / 1e9
        assert 9.5 < silent < 10.5
        await transport.close()

    run(scenario)


def test_dying_battery_closes_and_cannot_be_opened_again() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max", script="dying-battery"), Sink()
        await streaming(transport, sink)
        await until(lambda: bool(sink.reasons), "the end")
        assert "switched itself off" in sink.reasons[0]
        await transport.close()
        with pytest.raises(ConnectionError, match="battery"):
            await transport.open(Sink())

    run(scenario)


def test_the_tool_is_told_why_it_stops() -> None:
    async def scenario() -> None:
        transport, sink = sim(speed="max"), Sink()
        await streaming(transport, sink)
        await transport.write(stop(9, reason=2))
        await until(lambda: len(sink.host.responses) == 3, "STOP's answer")
        assert transport.tool_stop_reason == 2
        await transport.close()

    run(scenario)


def test_a_receiver_that_fails_ends_the_link_instead_of_hanging() -> None:
    class Broken(Sink):
        def chunk(self, chunk: Chunk) -> None:
            raise RuntimeError("no")

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        transport, sink = sim(speed="max"), Broken()
        await transport.open(sink)
        await until(lambda: bool(sink.reasons), "the end")
        assert "stopped" in sink.reasons[0]
        await transport.close()

    run(scenario)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"speeed": "max"}, ["speeed", "there are", "speed"]),
        ({"speed": "fast"}, ["speed=fast", "max"]),
        ({"speed": "0"}, ["speed=0"]),
        ({"script": "good-psaos"}, ["good-psaos", "good-psoas"]),
        ({"drop": "2"}, ["drop=2", "0 to 1"]),
        ({"drop": "nan"}, ["drop=nan"]),
        ({"seed": "-1"}, ["seed=-1"]),
        ({"imu_rate": "1e9"}, ["imu_rate=1e9", "1000"]),
        ({"imu": "/nowhere.npz"}, ["/nowhere.npz", "no such file"]),
        ({"imu": "/nowhere.npz", "imu_rate": "100"}, ["imu_rate", "recording"]),
    ],
)
def test_a_bad_parameter_is_one_clear_line(params: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        open_sim("", params)
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_a_target_is_refused() -> None:
    with pytest.raises(ValueError, match="script=NAME"):
        open_sim("good-psoas", {})


def test_url_says_what_was_asked() -> None:
    assert sim().url == "sim:"
    assert sim(script="idle", seed="3").url == "sim:?script=idle&seed=3"
