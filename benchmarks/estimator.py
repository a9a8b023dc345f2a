"""The estimator against its own filter, live; and how long an hour of a tool takes to be worked out again.

Live: batches of 10 force and 10 IMU samples at 1 kHz each, of a still tool under load, as they come from a chunk: what
runs by the tool's time (checks each 0.1 s) weighs as it does at the rate of the replay. VQF alone gets the same raw
samples: counts to rad/s and m/s2, then `updateBatch`, and nothing else; beside it, what `updateBatch` costs when
somebody else has converted the counts. The tool has every coefficient (curve, cross-talk, creep, tips off centre), so
nothing is skipped. Replay: bytes of a tool at 1 kHz each, in chunks of 64 KiB, through decoder and estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from vqf import VQF

from benchmarks import reference
from benchmarks.harness import Measure, Work, ratio, take_turns, typical
from benchmarks.wire import FORCE, IMU, RATE_HZ, frames, tool
from nexuslink.calibration.convert import tool_calibration
from nexuslink.estimation.calibration import ImuScale, ToolCalibration
from nexuslink.estimation.estimator import Estimator
from nexuslink.live.pipeline import Sensing
from nexuslink.protocol.decoder import Decoder

ROWS = 10
BATCHES = 500
LIVE_HZ = 1000.0
GYRO, ACCEL = 3.05e-4, 1.196e-3
"""rad/s and m/s2 a count: ST LSM6DSO at +-500 deg/s and +-4 g."""
SECONDS = 30
PER_MESSAGE = 16


def measure() -> list[Measure]:
    """The keys ``estimator.*``."""
    live = take_turns(_live())
    replayed = take_turns([_replay()], rounds=5)
    return [
        Measure(
            "estimator.live_vs_vqf", ratio(live, "vqf", "estimator"),
            note=f"{1e6 / typical(live, 'estimator'):.1f} us a batch of {ROWS}; VQF from the same counts is 1",
        ),
        Measure(
            "estimator.live_vs_bare_vqf", ratio(live, "bare", "estimator"),
            note="updateBatch is 1, its counts converted beforehand",
        ),
        Measure(
            "estimator.replay_hour_s", 3600.0 / typical(replayed, "replay"), unit="s",
            note="CPU, 1 kHz each, from the bytes on",
        ),
    ]  # fmt: skip


def _complete(calibration: ToolCalibration) -> ToolCalibration:
    """Every coefficient that a record may lack."""
    return replace(
        calibration,
        quadratic_per_n=np.full(2, 1e-5), cubic_per_n2=np.full(2, 2e-8), cross_talk=np.full(2, 2e-3),
        creep_share=np.full((2, 3), 1e-3), creep_s=np.tile([2.0, 30.0, 150.0], (2, 1)),
        tip_centre_m=np.array([[0.0, 0.0, 0.06], [0.035, 0.0, 0.05]]),
    )  # fmt: skip


def _live() -> list[Work]:
    rng = np.random.default_rng(7)
    force = rng.normal(600_000, 90, (BATCHES, ROWS, 2)).astype("<i4")
    imu = rng.normal(0, 4, (BATCHES, ROWS, 6))
    imu[:, :, 5] += 9.81 / ACCEL
    imu = imu.astype("<i2")
    _, record = tool()
    scale = ImuScale(LIVE_HZ, GYRO, ACCEL, 8.7, 39.2)
    estimator = Estimator(_complete(tool_calibration(record)), scale, LIVE_HZ)
    estimator.set_temperature(0, 25.0)
    alone, bare = VQF(1.0 / LIVE_HZ), VQF(1.0 / LIVE_HZ)
    converted = [(batch[:, :3] * GYRO, batch[:, 3:] * ACCEL) for batch in imu]
    within = np.rint(np.arange(ROWS) * 1e6 / LIVE_HZ).astype(np.int64)
    period_us = round(ROWS * 1e6 / LIVE_HZ)
    runs = {"vqf": 0, "bare": 0, "estimator": 0}

    def times(who: str) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Of one run of batches, for both streams; a clock for each, or the others' turns would look like gaps."""
        force_t = (runs[who] * BATCHES + np.arange(BATCHES)[:, None]) * period_us + within
        runs[who] += 1
        return zip(force_t, force_t.copy(), strict=True)

    def estimate() -> object:
        update, rows = estimator.update, 0
        for (force_t, imu_t), counts, inertial in zip(times("estimator"), force, imu, strict=True):
            made = update((force_t, counts), (imu_t, inertial))
            rows += 0 if made is None else len(made.t_us)
        if rows != BATCHES * ROWS:
            raise AssertionError(f"only {rows} estimates")
        return rows

    def filtered(made: VQF) -> Callable[[], object]:
        def run() -> object:
            for _, inertial in zip(times("vqf"), imu, strict=True):
                gyro = inertial[:, :3].astype(np.float64)
                gyro *= GYRO
                accel = inertial[:, 3:].astype(np.float64)
                accel *= ACCEL
                made.updateBatch(gyro, accel)
            return made

        return run

    def bare_run() -> object:
        for _, pair in zip(times("bare"), converted, strict=True):
            bare.updateBatch(*pair)
        return bare

    return [
        Work("vqf", filtered(alone), BATCHES),
        Work("bare", bare_run, BATCHES),
        Work("estimator", estimate, BATCHES),
    ]


def _replay() -> Work:
    info, record = tool()
    whole = b"".join(b"".join(group) for group in frames((FORCE, IMU), PER_MESSAGE, int(SECONDS * RATE_HZ)))
    chunks = [whole[at : at + reference.CHUNK] for at in range(0, len(whole), reference.CHUNK)]

    def run() -> object:
        decoder, sensing, rows = Decoder(), Sensing(info, record), 0
        decoder.describe(info.streams)
        decoder.begin()
        for data in chunks:
            made = sensing.update(decoder.feed(data))
            rows += 0 if made is None else len(made.t_us)
        if rows < 0.99 * SECONDS * RATE_HZ:
            raise AssertionError(f"only {rows} estimates of {SECONDS} s")
        return rows

    return Work("replay", run, SECONDS)
