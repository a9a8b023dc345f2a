"""Tools on the virtual air for tests: the simulated one as it is, one that lies, one whose messages a test makes up.

Everything but that is the simulated tool's: its table, its advertising, its pairing, its radio.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from bumble import att
from bumble.device import Connection
from nexus_simulator.ble.pairing import Level, Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import Air, air
from nexus_simulator.options import Options

from nexuslink.protocol.messages import SessionTotals

INBOX_MAX = 8192
"""Bytes that nobody has taken; then a write waits for its answer."""
WAY_MAX = 16
"""Notifications on the way."""
_numbers = itertools.count()
OPEN = Security(method=Method.NOTHING, always_open=True)
"""Whoever comes may pair, and nobody has to compare digits."""


def new_air() -> Air:
    """One that nobody else is on."""
    return air(f"test-{next(_numbers)}")


class SimTool(NexusPeripheral):
    """The simulated tool as it is."""

    def __init__(self, where: Air, options: Options | None = None, security: Security = OPEN) -> None:
        super().__init__(options, where, security)

    def hang_up(self) -> None:
        """The tool ends the connection, if there is one."""
        if self.connection is not None:
            self._spawn(self._hang_up(self.connection))

    @property
    def totals(self) -> SessionTotals:
        """What its latest session has made."""
        return self.tool.firmware.totals


class Impostor(SimTool):
    """Says the serial number of another tool, has no key, and lets everybody do everything without one."""

    def _fill(self, radio: Any) -> None:
        made = radio.server.entry
        radio.server.entry = lambda uuid, flags, level=Level.OPEN, **kwargs: made(uuid, flags, Level.OPEN, **kwargs)
        super()._fill(radio)


class RawTool(SimTool):
    """``take`` what the host writes, ``send`` it anything."""

    def __init__(self, where: Air, options: Options | None = None, security: Security = OPEN) -> None:
        super().__init__(where, options, security)
        self.inbox = bytearray()
        self._taken, self._came = asyncio.Event(), asyncio.Event()

    def _fill(self, radio: Any) -> None:
        super()._fill(radio)
        value = radio.control.value
        radio.control.value = att.AttributeValueV2(value.read, self._slowly)

    def _slowly(self, connection: Connection, message: bytes) -> Any:
        """Takes a write; one for which there is no room is answered when there is."""
        if len(self.inbox) + len(message) <= INBOX_MAX:
            self._put(message)
            return None
        return self._when_there_is_room(connection, bytes(message))

    async def _when_there_is_room(self, connection: Connection, message: bytes) -> None:
        while len(self.inbox) + len(message) > INBOX_MAX and connection is self.connection:
            self._taken.clear()
            await self._taken.wait()
        self._put(message)

    def _put(self, message: bytes) -> None:
        self.inbox += message
        self._came.set()

    def _disconnected(self) -> None:
        super()._disconnected()
        self._taken.set()

    async def close(self) -> None:
        await super().close()
        for _ in range(5):  # what waited for room notices, and so does the server that waited for it
            await asyncio.sleep(0)

    def _pump(self) -> None:
        """The simulated tool has nothing to say here."""

    async def take(self, n: int) -> bytes:
        while len(self.inbox) < n:
            self._came.clear()
            await self._came.wait()
        data = bytes(self.inbox[:n])
        del self.inbox[:n]
        self._taken.set()
        return data

    async def send(self, data: bytes) -> None:
        """One notification on STREAM; ConnectionError if nobody listens."""
        while (connection := self.connection) is not None:
            queue = connection.data_packet_queue
            if queue is None or queue.pending < WAY_MAX:
                break
            await asyncio.sleep(0.001)
        if connection is None or not self.notify(data):
            raise ConnectionError("no host listens")

    def notify(self, data: bytes) -> bool:
        """Without waiting for room."""
        radio, connection = self._radio, self.connection
        if radio is None or connection is None:
            return False
        return radio.server.notify(connection, radio.stream, data)
