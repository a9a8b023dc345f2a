"""Which tools are near, told again and again while somebody chooses.

Every finder is asked in a task of its own, so that a slow one keeps nobody waiting; a radio is not asked but listened
to, in one long scan that is made anew when nothing comes any more (its adapter may have gone and come back). It must be
stopped before a connection is made: a radio does not look and connect well at once.

Lives on the loop's thread; knows nothing of Qt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from importlib import import_module
from typing import Final

from nexuslink.app.near_list import Near, NearList, NearTool, Seen
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import Finder, RadioFinder, heard
from nexuslink.device.next_steps import NextStep, next_step
from nexuslink.device.remembered import RememberedTools
from nexuslink.device.verdict import Verdict, judge
from nexuslink.transport.ble_nearby import TWICE, Found

__all__ = ["Near", "NearTool", "Nearby"]

ASK_EVERY_S: Final = 1.0
TELL_EVERY_S: Final = 0.5
"""Signals change so often at most; a tool that is new is told at once."""
LISTENED_S: Final = 2.5
"""After listening for so long, who has not been heard is not near."""
DEAF_S: Final = 4.0
"""A radio that has heard nothing for so long is started anew: it tells then if it is off."""
RETRY_S: Final = 2.0
STOP_BOUND_S: Final = 5.0
RADIO_VERDICTS: Final = frozenset({Verdict.RADIO_OFF, Verdict.RADIO_DENIED})
"""What else keeps a radio from listening is said as `Verdict.NO_RADIO`, with the system's own words."""


class Nearby:
    """Looks from `start` to `stop`, on the running loop. ``remembered``: this person's tools."""

    def __init__(self, discovery: Discovery, remembered: RememberedTools) -> None:
        self._discovery = discovery
        self._remembered = remembered
        self._task: asyncio.Task[None] | None = None
        self._callback: Callable[[Near], None] = lambda _: None
        self._list = NearList()
        self._radio: tuple[NextStep, str] | None = None
        self._pending: set[str] = set()
        self._told: Near | None = None
        self._begun = asyncio.Event()  # somebody has answered

    def start(self, callback: Callable[[Near], None]) -> None:
        """``callback(near)`` at each change, on the loop's thread. Starting twice is starting once."""
        self._callback, self._told = callback, None
        if self._task is not None and not self._task.done():
            self._tell()
        else:
            self._task = asyncio.create_task(self._run(), name="nexuslink nearby")

    async def stop(self) -> None:
        """No more; nothing is told afterwards. Bounded."""
        task, self._task = self._task, None
        self._callback = lambda _: None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,), timeout=STOP_BOUND_S)

    async def rename(self, serial_number: str, name: str) -> None:
        """What the person calls a remembered tool from now on."""
        await asyncio.to_thread(self._remembered.rename, serial_number, name)
        await self._remember()

    async def forget(self, serial_number: str) -> None:
        """Remember it no longer. What the system keeps of a bond is the system's."""
        await asyncio.to_thread(self._remembered.forget, serial_number)
        await self._remember()

    # -- looking --------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._radio, self._begun = None, asyncio.Event()
        self._list.thin_out(self._now())  # whoever was there a moment ago keeps the place
        finders = self._discovery.finders
        self._pending = {finder.name for finder in finders}
        await self._remember()
        async with asyncio.TaskGroup() as group:
            for finder in finders:
                work = self._listen(finder) if isinstance(finder, RadioFinder) else self._ask(finder)
                group.create_task(work, name=f"nexuslink nearby {finder.name}")

    async def _remember(self) -> None:
        self._list.remember(await asyncio.to_thread(self._remembered.all))  # a disk may be far away
        self._tell()

    async def _ask(self, finder: Finder) -> None:
        while True:
            found = await self._discovery.ask(finder)
            self._list.see(finder.name, [Seen(tool) for tool in found], self._now())
            self._pending.discard(finder.name)
            self._tell()
            self._begun.set()
            await asyncio.sleep(ASK_EVERY_S)

    async def _listen(self, finder: RadioFinder) -> None:
        listened_s = 0.0
        with contextlib.suppress(TimeoutError):  # what a radio needs is dear to import: whoever is quick comes first
            await asyncio.wait_for(self._begun.wait(), TELL_EVERY_S)
        await asyncio.to_thread(_warm_up)
        while True:
            try:
                listened_s += await self._scan(finder, listened_s)
            except Exception as error:  # a driver's, a third party's: it may be better the next time
                judged = judge(error)
                verdict = judged.verdict if judged.verdict in RADIO_VERDICTS else Verdict.NO_RADIO
                self._radio = next_step(verdict), judged.sentence
                self._list.silence(finder.name, self._now())
                self._pending.discard(finder.name)
                self._tell()
                await asyncio.sleep(RETRY_S)

    async def _scan(self, finder: RadioFinder, before_s: float) -> float:
        """One scan, until it has gone deaf; how long it was, in seconds. Raises what keeps the radio from it."""
        async with finder.scan() as scan:
            self._radio = None
            began_s = heard_s = self._now()
            heard_count = 0
            listed: set[tuple[str, str | None]] = set()

            def is_news(tool: Found) -> bool:
                return (tool.address, tool.serial_number) not in listed

            while self._now() - heard_s < DEAF_S:
                await scan.find(is_news, TELL_EVERY_S)
                now_s, tools = self._now(), scan.tools()
                if scan.counts.heard != heard_count:
                    heard_count, heard_s = scan.counts.heard, now_s
                listed = {(tool.address, tool.serial_number) for tool in tools}
                seen = [Seen(heard(tool), tool.doubt or "", tool.silent_s, tool.doubt == TWICE) for tool in tools]
                self._list.see(finder.name, seen, now_s, radio=True)
                if before_s + now_s - began_s >= LISTENED_S:
                    self._pending.discard(finder.name)
                self._tell()
            return self._now() - began_s

    # -- telling --------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        step, sentence = self._radio or (None, "")
        near = Near(self._list.tools(self._now()), step, sentence, not self._pending)
        if near != self._told:
            self._told = near
            self._callback(near)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _warm_up() -> None:
    """What the radio needs; without it, listening says what is missing."""
    with contextlib.suppress(ImportError):
        import_module("bleak")
