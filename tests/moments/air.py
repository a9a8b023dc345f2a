"""Moments on the virtual air, in virtual time: a supervisor's (`kept`) and those of a program without one (`linked`).

The tool is the whole simulated one, on a real GATT stack on both sides. Every story has a loop, an air and a tool of
its own, and afterwards nothing of it may be left: no task, no timer, no thread. In the guest of ``./run bluez`` the
host's stack is BlueZ and time is real: how long it takes there is told, and not judged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from random import Random
from typing import Any, Final

from ble_side import BLUEZ, OPEN, Air, SimTool, alone, new_air, radio_of
from nexus_simulator.options import Options

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.errors import DeviceError
from nexuslink.device.finders import RadioFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.supervisor import OFF_BOUND_S, Supervisor
from nexuslink.device.verdict import Verdict
from nexuslink.protocol.exchange import LinkState
from nexuslink.transport.ble import BleTransport
from nexuslink.transport.errors import TransportError
from nexuslink.transport.url import make_transport

from .plan import FRESH, GUARD_S, Phase, Told, drawn

OUTAGES_S: Final = ((0.0, 0.0), (0.0, 0.3), (0.3, 3.0), *([] if BLUEZ else [(3.0, 30.0)]))
"""No time at all, shorter and longer than the supervision time-out, and long enough for the longest pauses."""
LASTS_S: Final = {
    Phase.SCAN: 0.06, Phase.CONNECT: 0.6, Phase.HANDSHAKE: 0.25, Phase.STREAM: 2.0, Phase.DISCONNECT: 0.06,
}  # fmt: skip
"""Moments are drawn up to here from the beginning of the phase."""
AGAIN_S: Final = 0.1
"""A program without a supervisor waits so long before it tries again."""
CLOSE_BOUND_S: Final = 11.0
"""For `Nexus.close` without a supervisor: STOP, the radio's two bounds, an `open` that is still being taken back."""
STEP_S: Final = 0.003


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110  (what is waited for has no event of its own)
            await asyncio.sleep(STEP_S)


class Scene:
    """One tool on an air of its own, and what may happen there."""

    def __init__(self, seed: int, rng: Random) -> None:
        self.rng = rng
        self.air: Air = new_air()
        self.tool = SimTool(self.air, Options(seed=seed, force_rate=100.0, imu_rate=100.0), OPEN)
        self.host = 0
        self.crashed = asyncio.Event()

    @property
    def radio(self) -> str | None:
        """Of the present host; after a crash it is another computer."""
        return radio_of(self.air, f"[host={self.host}]")

    async def _a_while(self) -> None:
        await asyncio.sleep(self.rng.uniform(*self.rng.choice(OUTAGES_S)))

    async def killed(self) -> None:
        """The tool dies at once, and is switched on again: another boot."""
        self.tool.crash()
        await self._a_while()
        self.tool.restart()

    async def hung(self) -> None:
        """Its radio says nothing for a while; the tool itself goes on."""
        self.tool.crash()
        await self._a_while()
        await self.tool.start()

    async def reset(self) -> None:
        """The watchdog."""
        self.tool.restart()

    async def out_of_range(self) -> None:
        self.tool.leave()
        await self._a_while()
        self.tool.return_()

    async def wall(self) -> None:
        """Everything is lost."""
        self.air.loss = 1.0
        await self._a_while()
        self.air.loss = 0.0

    async def adapter_lost(self) -> None:
        self.air.adapter_off()
        await self._a_while()
        self.air.adapter_on()

    async def hangs_up(self) -> None:
        """The tool ends the connection, if there is one."""
        self.tool.hang_up()

    async def host_crash(self) -> None:
        """The computer stops without a word; another one comes."""
        for adapter in self.air.adapters:
            adapter.vanish()
            self.air.leave(adapter)
        self.host += 1
        self.crashed.set()
        await self._a_while()


CAUSES: Final[tuple[Callable[[Scene], Awaitable[None]], ...]] = (
    Scene.killed, Scene.hung, Scene.reset, Scene.out_of_range, Scene.wall, Scene.adapter_lost, Scene.hangs_up,
    *(() if BLUEZ else (Scene.host_crash,)),
)  # fmt: skip
"""In the guest the host that would crash is the one in which the tests run."""


# ---- somebody who keeps the tool ------------------------------------------------------------------------------------
class Keeper:
    """A supervisor, as an application has one."""

    PHASES: Final = {
        State.SCANNING: Phase.SCAN, State.CONNECTING: Phase.CONNECT, State.PAIRING: Phase.CONNECT,
        State.HANDSHAKING: Phase.HANDSHAKE, State.READY: Phase.HANDSHAKE, State.STREAMING: Phase.STREAM,
        State.LOST: Phase.SCAN, State.OFF: Phase.DISCONNECT,
    }  # fmt: skip

    def __init__(self, scene: Scene, told: Told) -> None:
        self._told = told
        self.supervisor = Supervisor(
            scene.tool.serial_number, Discovery([RadioFinder(scene.radio)]), streaming=True, rng=scene.rng, cache=None
        )
        self.supervisor.subscribe(self._look)

    def _look(self, progress: Any) -> None:
        if progress.verdict is Verdict.BROKEN:
            self._told.problems.append(progress.sentence)
        if len(progress.sentence.splitlines()) > 1:
            self._told.problems.append(f"not one line: {progress.sentence!r}")

    def begin(self) -> None:
        self.supervisor.connect()

    async def end(self) -> None:
        async with asyncio.timeout(OFF_BOUND_S):
            await self.supervisor.disconnect()

    @property
    def phase(self) -> Phase:
        return self.PHASES[self.supervisor.state]

    @property
    def nexus(self) -> Nexus | None:
        return self.supervisor.nexus if self.supervisor.state is State.STREAMING else None


class Program:
    """One that connects, streams, and tries again by itself whenever that fails."""

    def __init__(self, scene: Scene, told: Told) -> None:
        self._told = told
        self._url = f"ble://{scene.tool.serial_number}?timeout=5&pairing=5&radio={scene.radio}"
        self._running: asyncio.Task[None] | None = None
        self._link: Nexus | None = None

    def begin(self) -> None:
        self._running = asyncio.create_task(self._again_and_again())

    async def _again_and_again(self) -> None:
        while True:
            self._link = nexus = Nexus(make_transport(self._url))
            try:
                await nexus.open()
                async for _ in nexus.stream():
                    pass
            except (TransportError, DeviceError) as error:
                if len(str(error).splitlines()) != 1 or not str(error).startswith("ble://SIM-"):
                    self._told.problems.append(f"not a line that says where: {error!r}")
            finally:
                async with asyncio.timeout(CLOSE_BOUND_S):
                    await nexus.close()
            await asyncio.sleep(AGAIN_S)

    async def end(self) -> None:
        """As a program that is told to stop."""
        task, self._running = self._running, None
        if task is not None:
            task.cancel()
            async with asyncio.timeout(2 * CLOSE_BOUND_S):
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._link = None

    @property
    def phase(self) -> Phase:
        if self._running is None or self._link is None:
            return Phase.DISCONNECT
        if self._link.state is LinkState.STREAMING:
            return Phase.STREAM
        transport = self._link.transport
        assert isinstance(transport, BleTransport)
        connection = transport._connection
        if connection is None or connection.client is None:
            return Phase.SCAN
        return Phase.HANDSHAKE if connection.unwound.is_set() else Phase.CONNECT

    @property
    def nexus(self) -> Nexus | None:
        return self._link if self._link is not None and self._link.state is LinkState.STREAMING else None


# ---- a story --------------------------------------------------------------------------------------------------------
def kept(seed: int) -> Told:
    """A supervisor's moment."""
    return _judged(_struck("air, kept", seed, Keeper))


def linked(seed: int) -> Told:
    """A moment of a program that has a link and nobody who keeps it."""
    return _judged(_struck("air, link", seed, Program))


def _judged(story: Coroutine[Any, Any, Told]) -> Told:
    told, left = alone(story)
    told.problems += left
    return told if BLUEZ else told.judge()


async def _struck(level: str, seed: int, kind: type[Keeper] | type[Program]) -> Told:
    cause, phase, rng = drawn(seed, level, CAUSES)
    told = Told(level, seed, cause.__name__.replace("_", " "), phase)
    scene = Scene(seed, rng)
    async with _everything(scene) as hosts:
        host = kind(scene, told)
        hosts.append(host)
        leaving = await _reach(phase, host, rng)
        told.phase = Phase.DISCONNECT if leaving is not None else host.phase
        before = host.nexus
        heard = before.decoder.link.received if before is not None else 0
        crashes = cause is Scene.host_crash
        if crashes and leaving is None:
            leaving = asyncio.create_task(_after(scene.crashed, host))
        await cause(scene)
        ended = asyncio.get_running_loop().time()
        if crashes:
            hosts.append(host := kind(scene, told))
            host.begin()
        if leaving is not None:
            await leaving
            if not crashes:
                host.begin()
        await until(lambda: _fresh(host.nexus, before, heard))
        told.back_s = asyncio.get_running_loop().time() - ended
    return told


@contextlib.asynccontextmanager
async def _everything(scene: Scene) -> AsyncIterator[list[Keeper | Program]]:
    """The tool is on, and in the end it and all hosts have gone."""
    hosts: list[Keeper | Program] = []
    await scene.tool.start()
    try:
        yield hosts
    finally:
        for host in hosts:
            await host.end()
        await scene.tool.close()


async def _after(crashed: asyncio.Event, host: Keeper | Program) -> None:
    """What was left of the program on a computer that has crashed is taken away; nobody hears its radio."""
    await crashed.wait()
    await host.end()


async def _reach(phase: Phase, host: Keeper | Program, rng: Random) -> asyncio.Task[None] | None:
    """Until that phase has begun, and a moment of it is over; the leaving, where that is the phase."""
    if rng.random() < 0.5:  # a computer that has a bond already
        host.begin()
        await until(lambda: _fresh(host.nexus, None, 0))
        await host.end()
    host.begin()
    if phase is Phase.DISCONNECT:
        await until(lambda: _fresh(host.nexus, None, 0))
        leaving = asyncio.create_task(host.end())
    else:
        await until(lambda: host.phase is phase)
        leaving = None
    await asyncio.sleep(rng.uniform(0.0, LASTS_S[phase]))
    return leaving


def _fresh(nexus: Nexus | None, before: Nexus | None, heard: int) -> bool:
    """Samples come, and not those that were on their way when it happened."""
    if nexus is None:
        return False
    return nexus.decoder.link.received > (heard + FRESH if nexus is before else FRESH // 4)
