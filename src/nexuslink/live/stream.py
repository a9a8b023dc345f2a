"""Estimates without a plan: what notebooks, rigs and small programs loop over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from nexuslink.device.blocking import BlockingNexus
from nexuslink.device.nexus import Nexus
from nexuslink.estimation.estimator import Estimates
from nexuslink.live.pipeline import Sensing
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded


class _Watched:
    """Sensing fed by batches, with tare answers and temperatures heard on the way."""

    def __init__(self, nexus: Nexus) -> None:
        self._sensing = Sensing(nexus.info, nexus.calibration)
        self._nexus = nexus
        nexus.add_listener(self._hear)

    def _hear(self, _chunk: Chunk, decoded: Decoded) -> None:
        if decoded.responses or decoded.statuses:
            self._sensing.update(Decoded(responses=decoded.responses, statuses=decoded.statuses))

    def update(self, decoded: Decoded) -> Estimates | None:
        """New estimates, or ``None``."""
        return self._sensing.update(decoded)

    def end(self) -> None:
        """Hear no more."""
        self._nexus.remove(self._hear)


async def estimates(nexus: Nexus) -> AsyncIterator[Estimates]:
    """Force, pressure and tip angle from now on; starts the stream if needed. ``await nexus.tare()`` zeroes it."""
    watched = _Watched(nexus)
    try:
        async for batch in nexus.stream():
            made = watched.update(Decoded(batches=[batch]))
            if made is not None:
                yield made
    finally:
        watched.end()


def blocking_estimates(nexus: BlockingNexus) -> Iterator[Estimates]:
    """The same for ``connect_blocking``: a plain loop."""
    watched = _Watched(nexus.nexus)
    try:
        for batch in nexus.stream():
            made = watched.update(Decoded(batches=[batch]))
            if made is not None:
                yield made
    finally:
        watched.end()
