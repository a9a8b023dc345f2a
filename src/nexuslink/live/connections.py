"""One tool's chunks, connection after connection: what a guided hold and a plain recording both stand on.

With a keeper a lost link is a gap and no end: on the tool's next connection the stream is started again. Where each gap
began and ended is in the recording, by the number of chunks before it, and whether the tool has restarted meanwhile,
so that its clock has begun anew; a replay obeys these marks. Must never know what the chunks are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from nexuslink.device.errors import DeviceError
from nexuslink.device.nexus import Nexus
from nexuslink.device.supervisor import Supervisor
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.recording.writer import SessionWriter
from nexuslink.transport.errors import TransportError

EVENT_GAP: Final = "gap"
"""The link was lost after so many chunks, and is waited for."""
EVENT_RESUME: Final = "resume"
"""The same tool is there again after so many chunks; whether it has restarted meanwhile."""
EVENT_OTHER: Final = "other-tool"
"""It came back so changed that what was begun cannot go on."""


class Change(Enum):
    """What became of the link."""

    LOST = auto()
    """A gap has begun."""
    BACK = auto()
    """It has ended: the stream is being started on a new connection."""
    RESTARTED = auto()
    """The same, with a tool whose clock has begun anew."""
    UNWILLING = auto()
    """The tool is back, and its stream cannot be started."""
    OTHER = auto()
    """The tool is back with another calibration or other streams; it is not watched."""
    ENDED = auto()
    """The link is lost, and nobody brings it back."""


class Connections:
    """Watches ``nexus`` from now on, and whatever ``keeper`` makes of it, until `release` and `unwatch`.

    ``take(chunk, decoded)`` gets what comes, after ``writer`` has it; ``changed(change, why)`` is told of the link;
    ``t_us`` says at which time an event is. All of it on the loop's thread.
    """

    def __init__(
        self, nexus: Nexus, writer: SessionWriter | None, take: Callable[[Chunk, Decoded], None],
        changed: Callable[[Change, str], None], t_us: Callable[[], int],
    ) -> None:  # fmt: skip
        self.nexus = nexus
        self.gaps = 0
        """Times that the link was lost and waited for."""
        self.in_gap = False
        self._writer = writer
        self._receive = take
        self._changed = changed
        self._t_us = t_us
        self._chunks = 0
        self._kept = False
        self._keeping = contextlib.ExitStack()
        self._starting: asyncio.Task[None] | None = None
        self._watch()

    def keep(self, keeper: Supervisor) -> None:
        """From now on a lost link is a gap. Until `release` the keeper is told that somebody holds."""
        self._kept = True
        self._keeping.enter_context(keeper.holding())
        self._keeping.callback(keeper.add_tool_watch(self.resume))

    def release(self) -> None:
        """From now on a lost link is the end."""
        self._kept = False
        self._keeping.close()

    def _watch(self) -> None:
        if self._writer is not None:
            self.nexus.add_tap(self._writer.chunk)
        self.nexus.add_listener(self._take)
        self.nexus.add_closer(self._closed)

    def unwatch(self) -> None:
        """Hear no more of the tool."""
        if self._writer is not None:
            self.nexus.remove(self._writer.chunk)
        self.nexus.remove(self._take)
        self.nexus.remove(self._closed)

    async def settled(self) -> None:
        """Wait until no stream is being started; bounded, as a request is."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)

    def cancel(self) -> None:
        """Do not start a stream any more."""
        if self._starting is not None:
            self._starting.cancel()

    def note(self, kind: str, **values: object) -> None:
        """An event that a replay obeys: at which chunk it was."""
        if self._writer is not None:
            self._writer.event(self._t_us(), kind, json.dumps({"after_chunks": self._chunks, **values}))

    def tick(self, arrival_ns: int) -> None:
        """Time passes, says the one whose connections they are: recorded like any other chunk."""
        chunk = Chunk(arrival_ns, b"")
        if self._writer is not None:
            self._writer.chunk(chunk)
        self._take(chunk, Decoded())

    def _take(self, chunk: Chunk, decoded: Decoded) -> None:
        self._chunks += 1
        self._receive(chunk, decoded)

    def _closed(self, reason: str) -> None:
        if self._kept:
            self.lose(reason)
        else:
            self._changed(Change.ENDED, reason)

    def lose(self, reason: str) -> None:
        """A gap begins."""
        self.unwatch()
        self.gaps += 1
        self.in_gap = True
        self.note(EVENT_GAP, reason=reason)
        self._changed(Change.LOST, reason)

    def resume(self, nexus: Nexus) -> None:
        """Go on with the same tool on a new connection, which does not stream yet. Nothing happens without a gap."""
        if not self.in_gap or not self._kept:
            return
        known, found = self.nexus.info, nexus.info
        if found.serial_number != known.serial_number:
            return  # somebody else's
        self.in_gap = False
        if (self.nexus.calibration_bytes, known.streams) != (nexus.calibration_bytes, found.streams):
            why = "the tool has come back with another calibration or other streams"
            self.note(EVENT_OTHER, reason=why)
            self._changed(Change.OTHER, f"{nexus.url}: {why}; start again")
            return
        restarted = found.boot_id != known.boot_id
        self.note(EVENT_RESUME, framed=nexus.transport.framed, restarted=restarted, url=nexus.url)
        self.nexus = nexus
        self._changed(Change.RESTARTED if restarted else Change.BACK, "")
        self._watch()
        self._starting = asyncio.get_running_loop().create_task(self._start(nexus))

    async def _start(self, nexus: Nexus) -> None:
        try:
            await nexus.start()
        except (DeviceError, TransportError) as error:
            if nexus is self.nexus and not self.in_gap:
                self._changed(Change.UNWILLING, str(error))
