"""Bytes to estimates, as multiples of real time, for a tool that streams force and IMU at 1 kHz each.

Live: a chunk every 16 ms with one message of 16 samples of each stream, the way they arrive. Replay: the same bytes in
chunks of 64 KiB. Both go through the product's own decoder and estimator; the guided hold on top is shown beside it.
"""

from __future__ import annotations

import time

from benchmarks import reference
from benchmarks.harness import Measure, Work, take_turns, typical
from benchmarks.wire import FORCE, IMU, RATE_HZ, frames, tool
from nexuslink.live.pipeline import Pipeline, Sensing
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoder
from nexuslink.release.plans import load_plan

PER_MESSAGE = 16
SECONDS = 8


def measure() -> list[Measure]:
    """The keys ``pipeline.*``; the rates are tool seconds a CPU second."""
    info, calibration = tool()
    groups = frames((FORCE, IMU), PER_MESSAGE, int(SECONDS * RATE_HZ))
    live = [b"".join(group) for group in groups]
    whole = b"".join(live)
    replayed = [whole[at : at + reference.CHUNK] for at in range(0, len(whole), reference.CHUNK)]
    tool_seconds = len(groups) * PER_MESSAGE / RATE_HZ

    def decoder() -> Decoder:
        made = Decoder()
        made.describe(info.streams)
        made.begin()
        return made

    def sensing(chunks: list[bytes]) -> object:
        decode, estimate = decoder(), Sensing(info, calibration)
        rows = 0
        for data in chunks:
            made = estimate.update(decode.feed(data))
            rows += 0 if made is None else len(made.t_us)
        if rows < 0.99 * tool_seconds * RATE_HZ:
            raise AssertionError(f"only {rows} estimates of {tool_seconds} s")
        return rows

    def guided() -> object:
        decode = decoder()
        hold = Pipeline(info, calibration, decode, load_plan("psoas-left"))
        start = time.monotonic_ns()
        for number, data in enumerate(live):
            hold.process(Chunk(start + number * 16_000_000, data), decode.feed(data))
        return hold.snapshot()

    works = [
        reference.references()[0],
        Work("live", lambda: sensing(live), tool_seconds),
        Work("replay", lambda: sensing(replayed), tool_seconds),
        Work("guided", guided, tool_seconds),
    ]
    rates = take_turns(works)
    mb = typical(rates, "REF") / 1e6
    return [
        Measure("pipeline.live_x", typical(rates, "live"), note=f"16 samples a message; REF {mb:.0f} MB/s in this run"),
        Measure("pipeline.replay_x", typical(rates, "replay"), note="chunks of 64 KiB"),
        Measure("pipeline.guided_x", typical(rates, "guided"), note="live, with the hold, the coach and the snapshot"),
    ]
