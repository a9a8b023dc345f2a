"""The scheme ``sim:``: a simulated tool inside this process.

The shape of a transport is structural; nothing of the host's transports is imported. Two clocks are possible: real
time (times ``speed``), or a virtual clock that runs as fast as chunks can be handed over (``speed=max``). Time-outs on
the host are driven by chunks and ticks on this same clock, so they are as patient here as with a real tool.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from nexus_simulator.assembly import make_link
from nexus_simulator.body import Truth
from nexus_simulator.link import Link, joined
from nexus_simulator.options import Options, parse_options
from nexus_simulator.tool import Tool
from nexuslink.protocol.chunk import Chunk, ChunkSink

TICK_NS = 100_000_000
"""After this long without data an empty chunk says that time has passed."""
STEP_NS = 20_000_000
"""Longest step of the virtual clock."""
IDLE_NS = 10_000_000
"""While nothing is under way the virtual clock waits for the host: it goes on at the pace of the real one."""
VIRTUAL_START_NS = 1_000_000_000
"""Where the virtual clock begins."""


def open_sim(target: str, params: Mapping[str, str]) -> SimTransport:
    """The transport for ``sim:?name=value&...``; raises ValueError with one line for anything it does not know."""
    if target:
        raise ValueError(f"sim:{target}: nothing may stand between 'sim:' and '?'; a script is sim:?script=NAME")
    query = "&".join(f"{name}={quote(value, safe='/,.@')}" for name, value in params.items())
    return SimTransport(f"sim:?{query}" if query else "sim:", parse_options(params))


class SimTransport:
    """A simulated tool and its line, on the event loop. Opened, closed and opened again it is the same tool."""

    framed = True
    """A stream of bytes, so that the decoder used for real serial lines is used here too."""

    def __init__(self, url: str, options: Options) -> None:
        self.url = url
        self._speed = options.speed
        self._virtual = math.isinf(options.speed)
        self._link: Link = make_link(options)
        self._began_ns = VIRTUAL_START_NS if self._virtual else time.monotonic_ns()
        self._virtual_ns = VIRTUAL_START_NS
        self._sink: ChunkSink | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._last_push_ns = 0

    @property
    def tool_stop_reason(self) -> int | None:
        """Reason in the latest STOP that the tool got."""
        return self._link.tool.stop_reason

    @property
    def tool(self) -> Tool:
        """The tool itself: for tests and measurements, never through the protocol."""
        return self._link.tool

    def fault_counts(self) -> dict[str, int]:
        """How often each fault of the address has struck."""
        return self._link.fault_counts()

    def now_ns(self) -> int:
        """The link's monotonic clock, nanoseconds: the clock of every chunk."""
        if self._virtual:
            return self._virtual_ns
        real = time.monotonic_ns()
        return real if self._speed == 1.0 else self._began_ns + round((real - self._began_ns) * self._speed)

    def truth(self, t_us: npt.NDArray[np.int64]) -> Truth:
        """What really was at these device times: for tests and measurements, never through the protocol."""
        return self._link.tool.truth(t_us)

    async def open(self, sink: ChunkSink) -> None:
        """Start to deliver chunks to ``sink``."""
        if self._task is not None:
            raise ConnectionError(f"{self.url} is open already")
        if self._link.switched_off:
            raise ConnectionError(f"{self.url}: {self._link.tool.ended}")
        self._sink = sink
        self._flowing.set()
        self._last_push_ns = self.now_ns()
        self._task = asyncio.get_running_loop().create_task(self._run(sink), name=self.url)

    async def write(self, data: bytes) -> None:
        """Hand bytes to the tool."""
        if self._sink is None:
            raise ConnectionError(f"{self.url} is not open")
        self._link.receive(self.now_ns() - self._began_ns, data)
        self._wake.set()

    async def close(self) -> None:
        """End the link. The tool stops streaming and keeps its clock; the sink hears no more."""
        self._sink = None
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._link.disconnect()

    def pause(self) -> None:
        """Hold data back: virtual time stands still; in real time the tool's own queue fills and drops."""
        self._flowing.clear()

    def resume(self) -> None:
        """Undo pause."""
        self._flowing.set()
        self._wake.set()

    async def _run(self, sink: ChunkSink) -> None:
        step = self._step_virtual if self._virtual else self._step_real
        ended: str | None = None
        while self._sink is sink and ended is None:
            try:
                await step(sink)
                ended = self._link.ended
            except Exception as error:  # raised by the receiver; without chunks it could not even time out
                asyncio.get_running_loop().call_exception_handler({"message": f"{self.url} stops", "exception": error})
                ended = f"the simulated link stopped: {error}"
        if ended is not None and self._sink is sink:
            self._sink = self._task = None
            sink.closed(ended)

    async def _step_virtual(self, sink: ChunkSink) -> None:
        """One step of at most STEP_NS; each arrival is handed over at its own virtual time."""
        await self._flowing.wait()
        step = STEP_NS
        if self._link.busy:
            await asyncio.sleep(0)
        else:
            step = IDLE_NS
            await self._sleep(IDLE_NS / 1e9)
            if self._link.busy:
                return
        due = self._link.due_ns()
        until = self._virtual_ns + step
        if due is not None:
            until = max(self._virtual_ns, min(until, self._began_ns + due))
        for arrival_ns, data in joined(self._link.poll(until - self._began_ns)):
            self._virtual_ns = max(self._virtual_ns, self._began_ns + arrival_ns)
            self._push(sink, data, self._virtual_ns)
        self._virtual_ns = until
        self._tick(sink, until)

    async def _step_real(self, sink: ChunkSink) -> None:
        """Deliver what has arrived, then sleep until the next arrival, tick or request.

        Only one look at the clock goes into it: were this process to stand still between the look for data and a
        later one for the tick, the tick would speak of a silence in which the tool was not silent.
        """
        flowing = self._flowing.is_set()
        looked_ns = self.now_ns()
        arrived = self._link.poll(looked_ns - self._began_ns, None if flowing else 0)
        if self._link.splits:
            for _, data in joined(arrived):
                self._push(sink, data, looked_ns)
        elif arrived:
            self._push(sink, b"".join(data for _, data in arrived), looked_ns)
        if flowing:
            self._tick(sink, looked_ns)
        now = self.now_ns()
        due = self._link.due_ns()
        until = max(self._last_push_ns + TICK_NS, now + TICK_NS // 10)
        if due is not None:
            until = min(until, self._began_ns + due)
        await self._sleep(max((until - now) / 1e9 / self._speed, 0.0005))

    async def _sleep(self, seconds: float) -> None:
        """Sleep, or until a request or resume() wakes."""
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        self._wake.clear()

    def _push(self, sink: ChunkSink, data: bytes, at_ns: int) -> None:
        if self._sink is sink:
            self._last_push_ns = at_ns
            sink.chunk(Chunk(at_ns, data))

    def _tick(self, sink: ChunkSink, at_ns: int) -> None:
        if at_ns - self._last_push_ns >= TICK_NS:
            self._push(sink, b"", at_ns)
