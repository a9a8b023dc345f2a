"""Whatever happens to a tool or its cable, at any moment: it streams again within 5 s of the end of what caused it.

Twenty of the moments of `moments.cables` in each run; `./run soak` tries them by the hundred.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from random import Random

import pytest
from driving import run
from moments.cables import streams, struck
from moments.plan import BACK_S, wrong
from reachable import OnTcp, there, tool, until

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.supervisor import Supervisor


def test_back_to_streaming_after_anything_at_any_moment() -> None:
    assert not wrong(struck(range(20)))


RUN = """
import argparse, sys
from nexus_simulator.command import register
parser = argparse.ArgumentParser()
register(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""


async def served(*options: str) -> tuple[subprocess.Popen[str], str]:
    """A simulated tool in a process of its own, and its address."""
    command = [sys.executable, "-c", RUN, "sim", "serve", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220  (its watcher is a thread)
    assert process.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 30)
    return process, line.strip()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=20)


def test_a_process_that_is_killed_and_started_again_is_the_same_tool_restarted() -> None:
    async def work() -> None:
        process, url = await served("--tcp", "127.0.0.1:0", "--seed", "3")
        supervisor = Supervisor(url, Discovery([]), streaming=True, rng=Random(1), cache=None)
        try:
            supervisor.connect()
            before = await supervisor.up(BACK_S, State.STREAMING)
            killed(process)
            await until(lambda: supervisor.state is State.LOST)
            process, again = await served("--tcp", url.removeprefix("tcp:"), "--seed", "3", "--boot", "1")
            assert again == url
            await until(lambda: streams(supervisor, before, 0), BACK_S)
            assert supervisor.progress.restarts == 1
        finally:
            await supervisor.disconnect()
            killed(process)

    run(work())


def test_a_tool_that_never_comes_back_is_seen_not_to() -> None:
    """The control: what the others wait for cannot come without the tool."""

    async def work() -> None:
        one = OnTcp(tool(3))
        async with there(one):
            supervisor = Supervisor(one.url, Discovery([]), streaming=True, rng=Random(1), cache=None)
            supervisor.connect()
            before = await supervisor.up(BACK_S, State.STREAMING)
            await one.go()
            with pytest.raises(TimeoutError):
                await until(lambda: streams(supervisor, before, before.decoder.link.received), 1.0)
            await supervisor.disconnect()

    run(work())
