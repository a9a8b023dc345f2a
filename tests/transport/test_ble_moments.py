"""Whatever happens at whatever moment: one line, in bounded time, nothing left over, and the next attempt succeeds.

The real simulated tool with its protocol, on the virtual air; here for a program that has a link and no supervisor.
"""

from __future__ import annotations

import asyncio

import pytest
from links import AT_END, run, until

pytest.importorskip("bumble", reason="BLE moments: needs the package bumble, of the extra virtual-ble")

from ble_peer import OPEN, new_air
from moments import air
from moments.alone import alone
from moments.plan import Phase, drawn, wrong
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.options import Options

from nexuslink.device.nexus import Nexus
from nexuslink.transport.url import make_transport

pytestmark = pytest.mark.filterwarnings("error")


def test_whatever_happens_ends_in_one_line_and_begins_anew() -> None:
    """Ten of the moments that `./run soak` tries by the hundred."""
    assert not wrong(air.linked(seed) for seed in range(20, 30))


def test_the_moments_reach_every_phase_by_every_cause() -> None:
    pairs = [drawn(seed, "", air.CAUSES)[:2] for seed in range(200)]
    assert len(set(pairs)) == len(air.CAUSES) * len(Phase)
    assert {drawn(seed, "", air.CAUSES)[0] for seed in range(20)} == set(air.CAUSES)


def test_what_comes_back_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a program that sleeps too long."""
    monkeypatch.setattr(air, "AGAIN_S", 30.0)
    assert "back only after" in str(air.linked(22))


def test_what_never_comes_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a tool that stays dead."""
    monkeypatch.setattr(NexusPeripheral, "restart", NexusPeripheral.crash)
    with pytest.raises(TimeoutError):
        air.linked(24)


def test_what_is_left_over_is_seen() -> None:
    """Control."""
    kept: list[asyncio.Task[None]] = []

    async def story() -> None:
        kept.append(asyncio.create_task(asyncio.sleep(5.0)))
        await asyncio.sleep(0.0)

    _, problems = alone(story())
    assert len(problems) == 2 and "a task is left over" in problems[0] and "a timer is left over" in problems[1]


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

    assert run(scenario()).endswith("the Bluetooth connection has ended; is the tool on, and within reach?")
