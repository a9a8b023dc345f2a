"""Whether a tool that is there still lives: one that has fallen silent is asked.

Time is that of the link's own clock. It knows no states of the connection, and finds nobody again.
"""

from __future__ import annotations

from typing import Final

from nexuslink.device.errors import NoAnswerError
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.exchange import LinkState
from nexuslink.transport.errors import LinkLostError

READY_NS: Final = 3_000_000_000
STREAMING_NS: Final = 1_000_000_000
"""After this long without anything new, the tool is asked whether it is there."""
GIVEN_UP_NS: Final = 2_000_000_000
"""A tool that answers, says that it streams, and sends nothing for this long is reconnected."""
KNOWN: Final = (LinkState.READY, LinkState.STREAMING)
"""Not so while somebody lets the tool restart: `Nexus.restart` has its own bound."""


class Pulse:
    """Of one tool, from now on. ``streams``: it is to send data."""

    def __init__(self, nexus: Nexus, streams: bool) -> None:
        self._nexus = nexus
        self._streams = streams
        self._heard, self._heard_ns = self._count(), nexus.now_ns

    async def feel(self) -> None:
        """Ask, if that is due. Raises what a lost tool is judged by."""
        nexus = self._nexus
        if (now := self._count()) != self._heard:
            self._heard, self._heard_ns = now, nexus.now_ns
            return
        quiet_ns = STREAMING_NS if self._streams else READY_NS
        if nexus.now_ns - self._heard_ns <= quiet_ns or nexus.state not in KNOWN:
            return
        so_far = await nexus.totals()
        if not self._streams:
            self._heard_ns = nexus.now_ns
        elif nexus.state is LinkState.STREAMING and not so_far.streaming:
            raise LinkLostError(f"{nexus.url}: the tool no longer streams; it has restarted")
        elif nexus.now_ns - self._heard_ns > GIVEN_UP_NS and self._count() == self._heard:
            raise NoAnswerError(f"{nexus.url}: the tool answers but sends no data; switch it off and on")

    def _count(self) -> int:
        """Grows with everything that comes, and while streaming with stream messages only."""
        nexus = self._nexus
        return nexus.decoder.link.received if nexus.state is LinkState.STREAMING else nexus.last_chunk_ns
