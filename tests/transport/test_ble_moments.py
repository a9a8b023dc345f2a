"""Whatever happens at whatever moment: one line, in bounded time, nothing left over, and the next attempt succeeds.

The real simulated tool with its protocol, on the virtual air; the moment and what happens are drawn from the seed, over
everything from the scan to a running stream and its end.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from links import AT_END, run, until

pytest.importorskip("bumble", reason="BLE moments: needs the package bumble, of the extra virtual-ble")

from ble_peer import OPEN, new_air
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.options import Options

from nexuslink.device.errors import DeviceError
from nexuslink.device.nexus import Nexus
from nexuslink.transport.errors import TransportError
from nexuslink.transport.url import make_transport

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.timeout(180)]

SEEDS = range(20)
SIDE_BY_SIDE = 10
"""Connections at once, each on an air of its own."""
UNTIL_S = 1.2
"""Moments are drawn up to here: an undisturbed connection streams for most of it."""
CALL_S = 30.0
"""Guard: more than the sum of the bounds that `open` keeps to with ``timeout=5&pairing=5``."""
BATCHES = 150
"""So long an undisturbed connection streams: longer than `UNTIL_S`."""

Tool = NexusPeripheral
HAPPENS: dict[str, tuple[Callable[[Tool], object], Callable[[Tool], object]]] = {
    "the tool crashes": (Tool.crash, Tool.restart),
    "the tool restarts": (Tool.restart, lambda _: None),
    "out of range": (Tool.leave, Tool.return_),
    "adapter off": (lambda tool: tool.air.adapter_off(), lambda tool: tool.air.adapter_on()),
    "everything is lost": (lambda tool: setattr(tool.air, "loss", 1.0), lambda tool: setattr(tool.air, "loss", 0.0)),
    "the tool hangs up": (
        lambda tool: tool.connection is not None and tool._spawn(tool._hang_up(tool.connection)),
        lambda _: None,
    ),
    "the program closes": (lambda _: None, lambda _: None),
    "the program gives up": (lambda _: None, lambda _: None),
}


@dataclass
class Outcome:
    """One connection's story."""

    seed: int
    happened: str
    stage: str = "scan"
    said: list[str] = field(default_factory=list)
    batches: int = 0


async def story(seed: int) -> Outcome:
    rng = random.Random(seed)
    happened = list(HAPPENS)[seed % len(HAPPENS)]
    moment_s = rng.uniform(0.0, UNTIL_S)
    outcome = Outcome(seed, happened)
    tool = NexusPeripheral(Options(seed=seed), new_air(), OPEN)
    AT_END.append(tool.close)
    await tool.start()
    url = f"ble://{tool.serial_number}?timeout=5&pairing=5&radio=bumble:air:{tool.air.name}"
    await stream(Nexus(make_transport(url)), Outcome(seed, "nothing"), 3)  # bonded, and everything loaded
    nexus = Nexus(make_transport(url))
    session = asyncio.create_task(stream(nexus, outcome, BATCHES))
    await asyncio.sleep(moment_s)
    begins, ends = HAPPENS[happened]
    begins(tool)
    if happened == "the program closes":
        await asyncio.wait_for(nexus.close(), CALL_S)
    elif happened == "the program gives up":
        session.cancel()
    done, _ = await asyncio.wait({session}, timeout=CALL_S)
    assert done, f"{outcome} hangs"
    if not session.cancelled():
        await session
    ends(tool)
    again = Outcome(seed, "nothing")
    for _ in range(4):  # a tool that starts anew needs its moment
        await stream(Nexus(make_transport(url)), again, 20)
        if again.batches >= 20:
            break
    assert again.batches >= 20, f"{outcome} is not followed by a stream: {again.said}"
    return outcome


async def stream(nexus: Nexus, outcome: Outcome, until_batches: int) -> None:
    try:
        async with asyncio.timeout(CALL_S):
            await nexus.open()
            outcome.stage = "stream"
            async for _ in nexus.stream():
                outcome.batches += 1
                if outcome.batches >= until_batches:
                    break
            await nexus.stop()
    except (TransportError, DeviceError) as error:
        outcome.said.append(str(error))
    finally:
        async with asyncio.timeout(CALL_S):
            await nexus.close()


@pytest.mark.parametrize("first", SEEDS[::SIDE_BY_SIDE])
def test_whatever_happens_ends_in_one_line_and_begins_anew(first: int) -> None:
    threads = set(threading.enumerate())

    async def scenario() -> list[Outcome]:
        return list(await asyncio.gather(*(story(seed) for seed in range(first, first + SIDE_BY_SIDE))))

    for outcome in run(scenario(), 150.0):
        assert len(outcome.said) <= 1, outcome
        for line in outcome.said:
            assert len(line.splitlines()) == 1 and line.startswith("ble://SIM-"), outcome
        assert outcome.said or outcome.batches == BATCHES or outcome.happened == "the program gives up", outcome
    assert set(threading.enumerate()) == threads


def test_the_moments_reach_every_stage() -> None:
    """Control: among the drawn moments are some in the scan and some in the stream, for most of what happens."""
    moments = [random.Random(seed).uniform(0.0, UNTIL_S) for seed in SEEDS]
    assert min(moments) < 0.2 and max(moments) > 1.0
    assert len({seed % len(HAPPENS) for seed in SEEDS}) == len(HAPPENS)


def test_a_tool_that_stays_silent_is_noticed() -> None:
    """A tool that has crashed says nothing; the radio's supervision time-out does."""

    async def scenario() -> str:
        tool = NexusPeripheral(Options(), new_air(), OPEN)
        AT_END.append(tool.close)
        await tool.start()
        nexus = Nexus(make_transport(f"ble:?radio=bumble:air:{tool.air.name}"))
        await nexus.open()
        reasons: list[str] = []
        nexus.add_closer(reasons.append)
        await nexus.start()
        tool.crash()
        await until(lambda: bool(reasons))
        await nexus.close()
        return reasons[0]

    assert run(scenario()).endswith(
        (
            "the Bluetooth connection has ended; is the tool on, and within reach?",
            "the tool took nothing for 1 s; is it within reach?",
        )
    )  # whichever bound is reached first
