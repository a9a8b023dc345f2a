"""Negative controls: the checks that watch over the other tests do see what they are there for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import open_files
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


@pytest.fixture
def from_another_thread() -> Iterator[list[BaseException]]:
    caught: list[BaseException] = []
    yield caught


def test_a_chunk_from_another_thread_is_seen(from_another_thread: list[BaseException]) -> None:
    def push() -> None:
        try:
            Log().chunk(Chunk(0, b""))
        except RuntimeError as error:
            from_another_thread.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    thread.join()
    assert len(from_another_thread) == 1
