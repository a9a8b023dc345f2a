"""Negative controls: the checks that watch over the other tests do see what they are there for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from leaks import left_over, open_files
from links import Log, run

from nexuslink.protocol.chunk import Chunk
from nexuslink.transport.base import Inlet
from nexuslink.transport.loopback import LoopbackTransport


def test_an_open_file_is_seen(tmp_path: Path) -> None:
    before = open_files()
    if not before:
        pytest.skip("no /proc on this system")
    with (tmp_path / "left").open("w"):
        assert str(tmp_path / "left") in set(open_files().values()) - set(before.values())
    assert open_files() == before


def test_a_task_is_seen() -> None:
    async def scenario() -> None:
        scenario.task = asyncio.create_task(asyncio.sleep(60))  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="a task is left over"):
        run(scenario())


def test_a_link_that_goes_on_ticking_is_seen() -> None:
    async def scenario() -> None:
        Inlet().start(Log())

    with pytest.raises(AssertionError, match="a timer is left over"):
        run(scenario())


def test_a_chunk_after_the_end_is_seen() -> None:
    class Rude(LoopbackTransport):
        def hang_up(self, reason: str) -> None:
            sink = self._inlet._sink
            super().hang_up(reason)
            assert sink is not None
            sink.chunk(Chunk(0, b"one more thing"))

    async def scenario() -> None:
        rude = Rude(lambda _: None)
        await rude.open(Log())
        rude.hang_up("bye")

    with pytest.raises(AssertionError, match="a chunk after closed"):
        run(scenario())


def test_a_chunk_from_another_thread_is_seen() -> None:
    caught = []

    def push() -> None:
        try:
            Log().chunk(Chunk(0, b""))
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_a_thread_is_seen() -> None:
    threads, files, end = set(threading.enumerate()), open_files(), threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert left_over(threads, files) == [thread]
    end.set()
    thread.join()
    assert left_over(threads, files) == []
