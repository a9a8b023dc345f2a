"""The product's BLE transport on the virtual air: how soon, how much, and whether anything gets lost.

Arrival: from the moment at which the tool's controller hands a notification to the air to the call of the product's
sink, on the clock of the wall and in one process, with nothing in the air but software; and again with the air's
connection events. Loss: ten minutes of the tool's time on a clock that jumps, with the air's pacing.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nexus_simulator.ble.air_link import AirLink, DataPdu
from nexus_simulator.ble.controller import AirConnection
from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import air
from nexus_simulator.options import Options
from nexus_simulator.virtual_time import JumpingLoop

from benchmarks.harness import Measure, quantile
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.messages import MAX_MESSAGE
from nexuslink.transport.url import make_transport

RATE_HZ = 1000.0
DEVICE_S = 600.0
ARRIVAL_S = 4.0
PACED_S = 6.0
WARM_S = 0.5
"""The first samples of a simulated person take long to make."""
ROUNDS = 5
CONNECTIONS = 10
FLOOD = 20_000
ATT_AT = 7
"""Bytes of L2CAP's and ATT's headers before a notification's value."""
_numbers = itertools.count()
ANYBODY = Security(method=Method.NOTHING, always_open=True)


def measure() -> list[Measure]:
    """The keys ``ble.*``."""
    rounds = [asyncio.run(arrivals(ARRIVAL_S, None)) for _ in range(ROUNDS)]
    best, cpu = min(rounds, key=lambda found: quantile(found[0], 0.99))
    note = f"p50 {quantile(best, 0.5):.2f}, longest {max(best):.1f} of {len(best)}; best of {ROUNDS} rounds"
    results = [
        Measure("ble.arrival_p99_ms", quantile(best, 0.99), unit="ms", note=note),
        Measure("ble.arrival_cpu_p99_ms", quantile(cpu, 0.99), unit="ms", note="without what other programs took"),
    ]
    for interval_ms in (7.5, 15.0):
        found, _ = asyncio.run(arrivals(PACED_S, interval_ms))
        note = f"p50 {quantile(found, 0.5):.1f}, longest {max(found):.1f}; connection events every {interval_ms:g} ms"
        results.append(Measure(f"ble.paced_{interval_ms:g}_p99_ms", quantile(found, 0.99), unit="ms", note=note))
    results.append(
        Measure("ble.notifications_per_s", asyncio.run(flood()), unit="/s", note=f"{MAX_MESSAGE} bytes each")
    )
    times = asyncio.run(connections())
    note = f"connect, MTU, discovery, subscriptions; the wait for an advertisement is not in it; {len(times)} times"
    results.append(Measure("ble.connect_ms", statistics.median(times), unit="ms", note=note))
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        lost, messages, wall_s = runner.run(ten_minutes())
    note = f"of {messages} in {DEVICE_S / 60:g} min of two streams at 1 kHz"
    results += [
        Measure("ble.lost", lost, unit="messages", note=note),
        Measure("ble.times_real_time", DEVICE_S / wall_s, note=f"{wall_s:.0f} s"),
    ]
    return results


def now() -> tuple[int, int]:
    """Clock of the wall and CPU time of this thread, ns."""
    return time.perf_counter_ns(), time.thread_time_ns()


@contextmanager
def handed_over() -> Iterator[dict[bytes, tuple[int, int]]]:
    """Value of each notification that a controller hands to the air -> when: `now`."""
    when: dict[bytes, tuple[int, int]] = {}
    carry = AirLink.carry

    def noted(link: AirLink, sender: AirConnection, item: object) -> bool:
        if isinstance(item, DataPdu):
            when[bytes(item.data[ATT_AT:])] = now()
        return carry(link, sender, item)  # type: ignore[arg-type]

    AirLink.carry = noted  # type: ignore[method-assign,assignment]
    try:
        yield when
    finally:
        AirLink.carry = carry  # type: ignore[method-assign]


async def met(interval_ms: float | None) -> tuple[NexusPeripheral, Nexus]:
    """A tool and the product, connected on an air of their own; None: from here on, too, no connection events."""
    where = air(f"bench {next(_numbers)}")
    where.paced, where.interval_ms = False, interval_ms
    tool = NexusPeripheral(Options(), where, ANYBODY)
    await tool.start()
    nexus = Nexus(make_transport(f"ble://{tool.serial_number}?radio=bumble:air:{where.name}"))
    await nexus.open()
    for stream in nexus.info.streams:
        await nexus.configure(stream.stream, RATE_HZ)
    where.paced = interval_ms is not None
    return tool, nexus


async def arrivals(seconds: float, interval_ms: float | None) -> tuple[list[float], list[float]]:
    """Milliseconds from hand-over to sink, of every stream message: on the wall, and of CPU time."""
    tool, nexus = await met(interval_ms)
    found: list[float] = []
    spent: list[float] = []
    with handed_over() as when:

        def arrived(chunk: Chunk) -> None:
            wall, cpu = now()
            then = when.pop(chunk.data, None)
            if then is not None:
                found.append((wall - then[0]) * 1e-6)
                spent.append((cpu - then[1]) * 1e-6)

        await nexus.start()
        await asyncio.sleep(WARM_S)
        nexus.add_tap(arrived)
        await asyncio.sleep(seconds)
        nexus.remove(arrived)
    await end(tool, nexus)
    if len(found) < 50 * seconds:
        raise AssertionError(f"only {len(found)} messages in {seconds:g} s")
    return found, spent


async def flood() -> float:
    """Notifications a second, as fast as the air takes them."""
    tool, nexus = await met(None)
    radio, connection = tool._radio, tool.connection
    if radio is None or connection is None or connection.data_packet_queue is None:
        raise AssertionError("the link is gone")
    heard = 0
    all_heard = asyncio.Event()

    def arrived(chunk: Chunk) -> None:
        nonlocal heard
        heard += bool(chunk.data)
        if heard >= FLOOD:
            all_heard.set()

    nexus.add_tap(arrived)
    value = b"\xee" * MAX_MESSAGE  # of no known type: the decoder counts it and goes on
    queue = connection.data_packet_queue
    sent = 0

    def more() -> None:
        nonlocal sent
        while queue.pending < 8 and sent < FLOOD:
            radio.server.notify(connection, radio.stream, value)
            sent += 1

    queue.on("flow", more)
    start = time.perf_counter()
    more()
    async with asyncio.timeout(120.0):
        await all_heard.wait()
    rate = FLOOD / (time.perf_counter() - start)
    queue.remove_listener("flow", more)
    await end(tool, nexus)
    return rate


async def connections() -> list[float]:
    """Milliseconds of each connection, from the moment at which the tool's advertisement was answered."""
    tool, nexus = await met(None)  # bonded
    await nexus.close()
    times = []
    for _ in range(CONNECTIONS):
        await asyncio.sleep(0.2)  # it advertises again
        radio = tool._radio
        if radio is None:
            raise AssertionError("the tool is off")
        answered: list[float] = []
        radio.device.once(radio.device.EVENT_CONNECTION, lambda _, a=answered: a.append(time.perf_counter()))
        nexus = Nexus(make_transport(nexus.url))
        await nexus.open_link()
        times.append((time.perf_counter() - answered[0]) * 1e3)
        await nexus.close()
    await tool.close()
    return times


async def ten_minutes() -> tuple[int, int, float]:
    """Messages that were lost, wherever; messages that came; seconds on the clock of the wall."""
    tool, nexus = await met(7.5)
    began = time.perf_counter()
    await nexus.start()
    await asyncio.sleep(DEVICE_S)
    await nexus.stop()
    wall_s = time.perf_counter() - began
    link = nexus.decoder.link
    lost = tool.tool.firmware.totals.dropped + link.lost + link.overrun + nexus.transport.dropped  # type: ignore[attr-defined]
    if link.received != tool.tool.firmware.totals.sent:
        raise AssertionError(f"{link.received} of {tool.tool.firmware.totals.sent} messages came")
    await end(tool, nexus)
    return lost, link.received, wall_s


async def end(tool: NexusPeripheral, nexus: Nexus) -> None:
    """Let go of both."""
    await nexus.close()
    await tool.close()
