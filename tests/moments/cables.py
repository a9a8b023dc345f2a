"""Moments on real sockets and pseudo-terminals, in real time: a tool that is pulled out comes back under another name.

A few at a time, each with a tool and a supervisor of its own, all with the same discovery.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from reachable import Bus, OnTcp, OnWire, Reachable, there, tool, until

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import SerialFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.supervisor import OFF_BOUND_S, Supervisor
from nexuslink.device.verdict import Verdict

from .plan import BACK_S, FRESH, Phase, Told, drawn

TOGETHER: Final = 5
LEVEL: Final = "cable"
FD: Final = Path("/proc/self/fd")
BEGINS: Final = {
    Phase.SCAN: State.SCANNING, Phase.CONNECT: State.CONNECTING, Phase.HANDSHAKE: State.HANDSHAKING,
    Phase.STREAM: State.STREAMING,
}  # fmt: skip


@dataclass
class Case:
    """One tool and the one who keeps it."""

    rng: Random
    tool: Reachable
    supervisor: Supervisor

    async def pulled_out(self) -> None:
        """Nothing is there for a while, then the same tool with its clock going on; on a wire under another name."""
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

    async def bad_contact(self) -> None:
        """There and not there, again and again."""
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

    async def pulled_out_and_user(self) -> None:
        """Both at once."""
        await asyncio.gather(self.pulled_out(), self.user())


CAUSES: Final[tuple[Callable[[Case], Awaitable[None]], ...]] = (
    Case.pulled_out, Case.power_cycle, Case.reset, Case.bad_contact, Case.user, Case.pulled_out_and_user,
)  # fmt: skip


def struck(seeds: Iterable[int]) -> list[Told]:
    """All of them; what is left over afterwards is a problem of the last."""
    files, threads = _files(), set(threading.enumerate())
    told: list[Told] = []

    async def work() -> None:
        before = asyncio.all_tasks()
        left = list(seeds)
        while left:
            now, left = left[:TOGETHER], left[TOGETHER:]
            bus = Bus()
            discovery = Discovery([SerialFinder(bus)])
            told.extend(await asyncio.gather(*(_struck(seed, bus, discovery) for seed in now)))
        await asyncio.sleep(0)
        told[-1].problems += [f"a task is left over: {task!r}" for task in asyncio.all_tasks() - before]

    asyncio.run(work())
    told[-1].problems += [f"a thread is left over: {one.name}" for one in set(threading.enumerate()) - threads]
    told[-1].problems += [f"left open: {name}" for name in _files() - files]
    return told


async def _struck(seed: int, bus: Bus, discovery: Discovery) -> Told:
    cause, phase, rng = drawn(seed, LEVEL, CAUSES)
    told = Told(LEVEL, seed, cause.__name__.replace("_", " "), phase)
    one: Reachable = OnTcp(tool(seed)) if rng.random() < 0.3 else OnWire(tool(seed), bus, rng.random() < 0.6)
    loop = asyncio.get_running_loop()
    async with there(one):
        target = one.url if isinstance(one, OnTcp) else one.serial_number
        supervisor = Supervisor(target, discovery, streaming=True, rng=rng, cache=None)
        begun = asyncio.Event()

        def look(progress: Progress) -> None:
            if progress.state is BEGINS.get(phase):
                begun.set()
            if progress.verdict is Verdict.BROKEN:
                told.problems.append(progress.sentence)

        supervisor.subscribe(look)
        try:
            supervisor.connect()
            if phase is Phase.DISCONNECT:
                await supervisor.up(BACK_S, State.STREAMING)
                leaving = asyncio.create_task(supervisor.disconnect())
                await asyncio.sleep(rng.uniform(0, 0.02))
                await cause(Case(rng, one, supervisor))
                await leaving
                await supervisor.disconnect()
                supervisor.connect()
            else:
                async with asyncio.timeout(BACK_S):
                    await begun.wait()
                await asyncio.sleep(rng.choice([0.0, rng.uniform(0, 0.03), rng.uniform(0, 0.4)]))
                told.phase = {state: which for which, state in BEGINS.items()}.get(supervisor.state, told.phase)
                await cause(Case(rng, one, supervisor))
            before, ended = supervisor.nexus, loop.time()
            heard = before.decoder.link.received if before is not None else 0
            await until(lambda: streams(supervisor, before, heard), 4 * BACK_S)
            told.back_s = loop.time() - ended
        finally:
            async with asyncio.timeout(OFF_BOUND_S):
                await supervisor.disconnect()
    return told.judge()


def streams(supervisor: Supervisor, before: Nexus | None, heard: int) -> bool:
    """Samples come, of a connection that the tool knows of: not only what was on its way when it happened."""
    nexus = supervisor.nexus
    if nexus is None or supervisor.state is not State.STREAMING:
        return False
    return nexus.decoder.link.received > (heard + 3 * FRESH if nexus is before else FRESH // 4)


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
