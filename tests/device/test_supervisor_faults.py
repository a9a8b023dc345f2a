"""Whatever happens to a tool or its link, at any moment: it streams again within 5 s of the end of what caused it.

Each seed draws a carrier, a moment (of the scan, the connecting, the handshake, the stream, or the user's own
disconnecting), a cause and how long it lasts. Twenty seeds in each run; `./run test --emulated` tries two hundred.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest
from driving import run
from reachable import Bus, OnTcp, OnWire, Reachable, there, tool, until

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import SerialFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.supervisor import OFF_BOUND_S, Supervisor

BACK_S: Final = 5.0
"""From the end of the cause until samples come again."""
TOGETHER: Final = 5
"""Tools at once, each with a supervisor, all with the same discovery."""
MOMENTS: Final = (State.SCANNING, State.CONNECTING, State.HANDSHAKING, State.READY, State.STREAMING, State.OFF)
FD: Final = Path("/proc/self/fd")


@dataclass
class Case:
    """One tool and the one who keeps it."""

    rng: Random
    tool: Reachable
    supervisor: Supervisor

    async def vanish(self) -> None:
        """Killed, unplugged, out of range: nothing is there for a while, then the same tool with its clock going on."""
        await self.tool.go()
        await asyncio.sleep(self.rng.choice([0.0, self.rng.uniform(0, 0.3), self.rng.uniform(0.3, 2.0)]))
        await self.tool.come()

    async def power_cycle(self) -> None:
        """Gone, and it comes back as after its power was cut."""
        await self.tool.go()
        self.tool.reset()
        await asyncio.sleep(self.rng.uniform(0, 1.0))
        await self.tool.come()

    async def reset(self) -> None:
        """The watchdog; the link stays open and says nothing."""
        self.tool.reset()

    async def flap(self) -> None:
        """A bad contact: there and not there, again and again."""
        for _ in range(self.rng.randint(2, 5)):
            await self.tool.go()
            await asyncio.sleep(self.rng.uniform(0, 0.1))
            await self.tool.come()
            await asyncio.sleep(self.rng.uniform(0, 0.15))

    async def user(self) -> None:
        """Disconnects, and connects again."""
        async with asyncio.timeout(OFF_BOUND_S):
            await self.supervisor.disconnect()
        self.supervisor.connect()

    async def vanish_while_disconnecting(self) -> None:
        """Both at once."""
        await asyncio.gather(self.vanish(), self.user())


CAUSES: Final[tuple[Callable[[Case], Awaitable[None]], ...]] = (
    Case.vanish, Case.power_cycle, Case.reset, Case.flap, Case.user, Case.vanish_while_disconnecting,
)  # fmt: skip


async def struck(seed: int, bus: Bus, discovery: Discovery) -> tuple[str, float]:
    """One case: what was done when, and how long it took to be back."""
    rng = Random(seed)
    one: Reachable = OnTcp(tool(seed)) if rng.random() < 0.4 else OnWire(tool(seed), bus, rng.random() < 0.6)
    moment, cause = rng.choice(MOMENTS), rng.choice(CAUSES)
    loop = asyncio.get_running_loop()
    async with there(one):
        target = one.url if isinstance(one, OnTcp) else one.serial_number
        supervisor = Supervisor(target, discovery, streaming=True, rng=rng, cache=None)
        case = Case(rng, one, supervisor)
        here = asyncio.Event()

        def look(progress: Progress) -> None:
            if progress.state is moment:
                here.set()

        end = supervisor.subscribe(look)
        try:
            supervisor.connect()
            if moment is State.OFF:
                await supervisor.up(BACK_S, State.STREAMING)
                leaving = asyncio.create_task(supervisor.disconnect())
                await asyncio.sleep(rng.uniform(0, 0.02))
                await cause(case)
                await leaving
                await supervisor.disconnect()
                supervisor.connect()
            else:
                async with asyncio.timeout(BACK_S):
                    await here.wait()
                await asyncio.sleep(rng.choice([0.0, rng.uniform(0, 0.03), rng.uniform(0, 0.4)]))
                await cause(case)
            before, began = supervisor.nexus, loop.time()
            heard = before.decoder.link.received if before is not None else 0
            await until(lambda: _alive(supervisor, before, heard), 4 * BACK_S)
            took = loop.time() - began
        finally:
            end()
            async with asyncio.timeout(OFF_BOUND_S):
                await supervisor.disconnect()
        assert supervisor.state is State.OFF
    return f"seed {seed}: {cause.__name__} while {moment.value} on {one.url.partition(':')[0]}", took


def _alive(supervisor: Supervisor, before: Nexus | None, heard: int) -> bool:
    """Samples come, of a connection that the tool knows of: not only what was on its way when it happened."""
    nexus = supervisor.nexus
    if nexus is None or supervisor.state is not State.STREAMING:
        return False
    return nexus.decoder.link.received > (heard + 60 if nexus is before else 5)


def many(seeds: range) -> None:
    """A few at a time, each with a tool of its own, and nothing left over."""
    files = _files()

    async def work() -> None:
        for first in range(seeds.start, seeds.stop, TOGETHER):
            bus = Bus()
            discovery = Discovery([SerialFinder(bus)])
            took = await asyncio.gather(*(struck(seed, bus, discovery) for seed in range(first, first + TOGETHER)))
            late = [f"{what}: {seconds:.1f} s" for what, seconds in took if seconds > BACK_S]
            assert not late
            SLOWEST.extend(seconds for _, seconds in took)

    run(work())
    assert threading.active_count() == 1 or not [t for t in threading.enumerate() if "read " in t.name]
    assert _files() == files


SLOWEST: list[float] = []


def _files() -> set[str]:
    """Descriptors, by what they are; the pseudo-terminals and sockets among them."""
    if not FD.is_dir():
        return set()
    seen = set()
    for entry in FD.iterdir():
        try:
            seen.add(f"{entry.name} {entry.readlink()}")
        except OSError:
            continue
    return {name for name in seen if "/proc/" not in name}


@pytest.mark.parametrize("first", range(0, 20, 10))
def test_back_to_streaming_after_anything_at_any_moment(first: int) -> None:
    many(range(first, first + 10))


@pytest.mark.thorough
@pytest.mark.parametrize("first", range(20, 200, 20))
def test_back_to_streaming_after_anything_many_more_times(first: int) -> None:
    many(range(first, first + 20))


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
            await until(lambda: _alive(supervisor, before, 0), BACK_S)
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
                await until(lambda: _alive(supervisor, before, before.decoder.link.received), 1.0)
            await supervisor.disconnect()

    run(work())
