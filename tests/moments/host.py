"""A host in a process of its own, made to be killed: ``python -m moments.host RADIO SERIAL``.

Says ``ready``, waits for a line, keeps the tool connected, and says each phase when it begins and ``data`` when samples
come. The end of its input is the end of it.
"""

from __future__ import annotations

import asyncio
import sys
from random import Random

from nexuslink.device.course import State
from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import RadioFinder
from nexuslink.device.progress import Progress
from nexuslink.device.supervisor import Supervisor

from .plan import FRESH, Phase

PHASES = {
    State.SCANNING: Phase.SCAN, State.CONNECTING: Phase.CONNECT, State.PAIRING: Phase.CONNECT,
    State.HANDSHAKING: Phase.HANDSHAKE, State.STREAMING: Phase.STREAM,
}  # fmt: skip


async def keep(radio: str, serial_number: str) -> None:
    supervisor = Supervisor(serial_number, Discovery([RadioFinder(radio)]), streaming=True, rng=Random(1), cache=None)
    said: list[str] = []

    def say(word: str) -> None:
        if said[-1:] != [word]:
            said.append(word)
            print(word, flush=True)

    def look(progress: Progress) -> None:
        if progress.state in PHASES:
            say(PHASES[progress.state])

    supervisor.subscribe(look)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    supervisor.connect()
    while not ended.done():
        nexus = supervisor.nexus
        if said[-1:] == [Phase.STREAM] and nexus is not None and nexus.decoder.link.received > FRESH // 4:
            say("data")
        await asyncio.sleep(0.003)
    say(Phase.DISCONNECT)
    await supervisor.disconnect()


if __name__ == "__main__":
    import bleak  # noqa: F401  (what is imported late would count as time to get through)
    import bumble.device  # noqa: F401

    print("ready", flush=True)
    if sys.stdin.readline():
        asyncio.run(keep(*sys.argv[1:3]))
