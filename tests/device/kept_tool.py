"""A supervisor and all that it has told, for tests."""

from __future__ import annotations

from random import Random
from typing import Any

from reachable import GUARD_S, until

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.supervisor import Supervisor
from nexuslink.device.verdict import Verdict


class Kept:
    """A supervisor, and all that it has told."""

    def __init__(self, target: str, discovery: Discovery | None = None, **options: Any) -> None:
        options = {"streaming": True, "cache": None, "rng": Random(1), **options}
        self.supervisor = Supervisor(target, discovery or Discovery([]), **options)
        self.told: list[Progress] = []
        self.tools: list[Nexus] = []
        self.supervisor.subscribe(self.told.append)
        self.supervisor.add_tool_watch(self.tools.append)

    @property
    def verdicts(self) -> set[Verdict | None]:
        return {progress.verdict for progress in self.told}

    async def data(self, more_than: int = 0) -> Nexus:
        """Until it streams, and samples really come."""
        nexus = await self.supervisor.up(GUARD_S, State.STREAMING)
        await until(lambda: nexus.decoder.link.received > more_than)
        return nexus

    async def until(self, state: State) -> None:
        await until(lambda: self.supervisor.state is state)

    async def streams_at(self, url: str) -> None:
        await until(lambda: self.supervisor.progress.url == url and self.supervisor.state is State.STREAMING)
