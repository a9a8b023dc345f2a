"""The two that stand between bleak and the loop: every wait bounded and cut, every notification bounded and counted."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from links import run, until

from nexuslink.transport import ble_lifeline
from nexuslink.transport.ble_intake import TURNS_MAX, VALUE_MAX, Intake, Rear
from nexuslink.transport.ble_lifeline import Lifeline, patiently, seen_through, settled
from nexuslink.transport.errors import LinkLostError, RadioBusyError, RadioOffError

pytestmark = pytest.mark.filterwarnings("error")

# -- lifeline ---------------------------------------------------------------------------------------------------------


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def never() -> None:
    await asyncio.Event().wait()


def test_a_result_and_an_error_come_through() -> None:
    async def scenario() -> None:
        assert await Lifeline().hold(answer(7), 1.0) == 7

        async def fail() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            await Lifeline().hold(fail(), 1.0)

    run(scenario())


def test_late() -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await Lifeline().hold(never(), 0.02)

    run(scenario())


def test_cut_before_and_during() -> None:
    async def scenario() -> None:
        lifeline = Lifeline()
        waiting = [asyncio.create_task(lifeline.hold(never(), 9.0)) for _ in range(3)]
        await asyncio.sleep(0.01)
        lifeline.cut("gone")
        lifeline.cut("gone again")
        for task in waiting:
            with pytest.raises(LinkLostError, match=r"^gone$"):
                await task
        with pytest.raises(LinkLostError, match=r"^gone$"):
            await lifeline.hold(never(), 9.0)

    run(scenario())


def test_given_up_from_outside_the_call_is_cancelled_too() -> None:
    ended: list[str] = []

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")

    async def scenario() -> None:
        task = asyncio.create_task(Lifeline().hold(call(), 9.0))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cleaned up"]

    run(scenario())


def test_a_call_that_the_system_has_cancelled_is_a_lost_link() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def scenario() -> None:
        with pytest.raises(LinkLostError):
            await Lifeline().hold(cancelled(), 1.0)

    run(scenario())


def test_a_call_that_does_not_let_itself_be_cancelled_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_lifeline, "CANCEL_S", 0.02)
    free: list[asyncio.Event] = []

    async def stubborn() -> None:
        free.append(asyncio.Event())
        while not free[0].is_set():
            try:
                await free[0].wait()
            except asyncio.CancelledError:
                continue
        raise OSError("too late for anybody to hear it")

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await Lifeline().hold(stubborn(), 0.02)
        free[0].set()
        await until(lambda: not ble_lifeline._left_alone)

    run(scenario())


def test_letting_go_never_fails() -> None:
    async def scenario() -> None:
        async def fail() -> None:
            raise RuntimeError("the radio has gone")

        await settled(fail(), 1.0)
        await settled(never(), 0.02)

    run(scenario())


# -- a radio that is still busy ----------------------------------------------------------------------------------------


def test_a_busy_radio_is_asked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_lifeline, "ASK_AGAIN_S", 0.001)
    errors: list[Exception] = [RadioBusyError("busy"), RadioBusyError("busy"), RadioOffError("off")]
    tries: list[int] = []

    async def attempt() -> int:
        tries.append(1)
        if len(tries) <= len(errors):
            raise errors[len(tries) - 1]
        return 7

    async def scenario() -> None:
        with pytest.raises(RadioOffError):  # nothing else is waited for
            await patiently(attempt)
        errors[2] = RadioBusyError("busy")
        tries.clear()
        assert await patiently(attempt) == 7
        monkeypatch.setattr(ble_lifeline, "BUSY_S", 0.01)
        tries.clear()
        errors.extend([RadioBusyError("busy")] * 10_000)
        with pytest.raises(RadioBusyError):
            await patiently(attempt)

    run(scenario())


def test_what_must_not_be_broken_off_is_seen_through() -> None:
    async def scenario() -> None:
        done: list[str] = []

        async def call() -> None:
            await asyncio.sleep(0.01)
            done.append("whole")

        for seconds, whole in ((9.0, ["whole"]), (0.001, ["whole"])):
            task = asyncio.create_task(seen_through(call(), seconds))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert done == whole  # the second time it was too slow
        await asyncio.sleep(0)

    run(scenario())


# -- intake -----------------------------------------------------------------------------------------------------------


def test_on_the_loop_it_goes_straight_on() -> None:
    got: list[bytes] = []

    async def scenario() -> None:
        intake = Intake(got.append)
        intake.put(b"early")
        assert got == []
        intake.open()
        assert got == [b"early"]
        intake.put(b"now")
        assert got == [b"early", b"now"]
        intake.close()
        intake.put(b"late")
        assert got == [b"early", b"now"]

    run(scenario())


def test_before_the_link_is_open_the_bound_holds() -> None:
    got: list[bytes] = []

    async def scenario() -> None:
        intake = Intake(got.append, bound=10)
        for k in range(25):
            intake.put(bytes([k]))
        intake.open()
        assert got == [bytes([k]) for k in range(10)]
        assert intake.dropped == 15

    run(scenario())


def test_from_another_thread_everything_comes_on_the_loop_and_in_order() -> None:
    got: list[bytes] = []
    threads: set[int] = set()

    def take(data: bytes) -> None:
        threads.add(threading.get_ident())
        got.append(data)

    async def scenario() -> None:
        intake = Intake(take, bound=100_000)
        intake.open()
        sent = [k.to_bytes(4, "little") for k in range(20_000)]
        thread = threading.Thread(target=lambda: [intake.put(data) for data in sent])
        thread.start()
        await until(lambda: len(got) == len(sent))
        thread.join()
        assert got == sent and intake.dropped == 0

    run(scenario())
    assert threads == {threading.get_ident()}


def test_what_comes_on_the_loop_does_not_overtake_what_came_before_on_another_thread() -> None:
    got: list[bytes] = []

    async def scenario() -> None:
        intake = Intake(got.append)
        intake.open()
        thread = threading.Thread(target=intake.put, args=(b"first",))
        thread.start()
        thread.join()
        intake.put(b"second")
        await until(lambda: len(got) == 2)
        assert got == [b"first", b"second"]

    run(scenario())


def test_a_loop_that_does_not_keep_up_drops_and_counts_each() -> None:
    got: list[bytes] = []

    async def scenario() -> None:
        intake = Intake(got.append, bound=50)
        intake.open()
        thread = threading.Thread(target=lambda: [intake.put(b"x") for _ in range(500)])
        thread.start()
        thread.join()  # the loop stands still meanwhile
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(got) == 50 and intake.dropped == 450

    run(scenario())


def test_two_threads_at_once_lose_nothing_uncounted() -> None:
    got: list[bytes] = []

    async def scenario() -> None:
        intake = Intake(got.append, bound=20)
        intake.open()

        def pour() -> None:
            for _ in range(3000):
                intake.put(b"x")

        threads = [threading.Thread(target=pour) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            intake.put(b"y")
            await asyncio.sleep(0)
        for thread in threads:
            thread.join()
        for _ in range(3):
            await asyncio.sleep(0)
        poured = sum(data == b"x" for data in got)
        assert 9000 - intake.dropped <= poured <= 9000
        assert intake.dropped + len(got) >= 9000

    run(scenario())


def test_a_loop_that_has_ended_is_no_error() -> None:
    kept: list[Intake] = []

    async def scenario() -> None:
        kept.append(Intake(lambda _: None))
        kept[0].open()

    run(scenario())
    thread = threading.Thread(target=kept[0].put, args=(b"x",))
    thread.start()
    thread.join()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="queues as BlueZ has them")
@pytest.mark.parametrize("kept_behind", [True, False])
def test_an_answer_does_not_overtake_the_data_that_left_before_it(kept_behind: bool) -> None:
    """A queue for each characteristic, one value of each in a turn of the loop, as bleak takes them from BlueZ."""
    got: list[bytes] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        rear = Rear(got.append)
        answer = rear.answer if kept_behind else rear.data
        stream, control = (socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        for (ours, _), take in ((control, answer), (stream, rear.data)):
            loop.add_reader(ours, lambda ours=ours, take=take: take(ours.recv(512)))
        data = [b"%d" % k for k in range(8)]
        for value in data:
            stream[1].send(value)
        control[1].send(b"answer")
        await until(lambda: len(got) == 9)
        assert (got == [*data, b"answer"]) is kept_behind
        assert got.index(b"answer") < 8 or kept_behind
        control[1].send(b"at once")  # nothing is before it
        await until(lambda: got[-1] == b"at once")
        for one in (*stream, *control):
            loop.remove_reader(one)
            one.close()

    run(scenario())


def test_an_answer_waits_for_endless_data_a_bounded_time() -> None:
    got: list[bytes] = []

    async def scenario() -> None:
        rear = Rear(got.append)
        rear.answer(b"answer")
        while b"answer" not in got:
            rear.data(b"data")
            await asyncio.sleep(0)
        assert len(got) <= TURNS_MAX + 3

    run(scenario())


@pytest.mark.parametrize(("size", "odd"), [(0, 1), (1, 0), (VALUE_MAX, 0), (VALUE_MAX + 1, 1), (100_000, 1)])
def test_values_that_no_attribute_has(size: int, odd: int) -> None:
    got: list[Any] = []

    async def scenario() -> None:
        intake = Intake(got.append)
        intake.open()
        intake.put(bytes(size))
        assert intake.odd == odd and len(got) == 1 - odd and intake.dropped == 0

    run(scenario())
