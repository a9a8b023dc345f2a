"""What a tool says of itself reaches its estimates: the tare and the temperature."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

import nexuslink
from nexuslink.estimation.doubt import Doubt
from nexuslink.live.errors import SessionError
from nexuslink.live.pipeline import Sensing
from nexuslink.protocol.decoder import Batch, Decoded
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.envelope import Response
from nexuslink.protocol.messages import CalibrationRecord, Opcode, Status, StatusMessage, TareResponse


@pytest.fixture(scope="module")
def described() -> tuple[ToolDescription, CalibrationRecord]:
    async def ask() -> tuple[ToolDescription, CalibrationRecord]:
        async with nexuslink.connect("sim:?speed=max&seed=3") as nexus:
            return nexus.info, nexus.calibration

    return asyncio.run(asyncio.wait_for(ask(), 20))


def still(sensing: Sensing, from_us: int, counts: int = 5000) -> list[Batch]:
    """A tenth of a second of a still tool, both tips at about ``counts``."""
    rng = np.random.default_rng(from_us + 1)
    force = counts + rng.integers(-90, 90, (25, 2)).astype(np.int32)
    imu = rng.integers(-9, 9, (50, 6)).astype(np.int16)
    imu[:, 5] += 8197  # 1 g at +-4 g
    return [
        Batch(sensing.force_stream, 0, from_us + 4000 * np.arange(25), force),
        Batch(sensing.imu_stream, 0, from_us + 2000 * np.arange(50), imu),
    ]


def status(celsius: float) -> StatusMessage:
    return StatusMessage(1_000_000, 87, round(100 * celsius), 40, 0, 3, 244, 0, 0, 0)


def test_the_temperature_of_a_status_is_obeyed(described: tuple[ToolDescription, CalibrationRecord]) -> None:
    sensing = Sensing(*described)
    cold = sensing.update(Decoded(batches=still(sensing, 0)))
    told = sensing.update(Decoded(batches=still(sensing, 100_000), statuses=[status(20.0), status(35.0)]))
    hot = sensing.update(Decoded(batches=still(sensing, 200_000), statuses=[status(60.0)]))
    assert cold is not None
    assert told is not None
    assert hot is not None
    assert cold.doubt is Doubt.TEMPERATURE_UNKNOWN
    assert told.doubt is None
    assert hot.doubt is Doubt.TEMPERATURE_OUTSIDE
    slopes = np.array([tip.zero_n_per_k for tip in described[1].force])
    moved = told.force_n.mean(axis=0) - cold.force_n.mean(axis=0)
    assert moved == pytest.approx(-10.0 * slopes, abs=0.02)  # ten kelvin above the reference


def test_a_tare_is_obeyed_and_one_that_failed_is_not(described: tuple[ToolDescription, CalibrationRecord]) -> None:
    sensing = Sensing(*described)
    sensing.update(Decoded(batches=still(sensing, 0)))
    answer = TareResponse(100_000, 60, (5000, 5000)).pack()
    sensing.update(Decoded(responses=[Response(0, 1, Opcode.TARE, Status.BUSY, answer)]))
    assert not sensing.tared
    sensing.update(Decoded(responses=[Response(1, 2, Opcode.TARE, Status.OK, answer)]))
    assert sensing.tared
    rows = sensing.update(Decoded(batches=still(sensing, 100_000)))
    assert rows is not None
    assert np.abs(rows.force_n.mean(axis=0)).max() < 0.01


@pytest.mark.parametrize("rate_hz", [0.0, math.nan, math.inf])
def test_a_rate_of_nonsense_is_refused_in_one_line(
    described: tuple[ToolDescription, CalibrationRecord], rate_hz: float
) -> None:
    info, record = described
    for kind in range(2):
        streams = tuple(replace(s, rate_hz=rate_hz) if n == kind else s for n, s in enumerate(info.streams))
        with pytest.raises(SessionError) as caught:
            Sensing(replace(info, streams=streams), record)
        assert "\n" not in str(caught.value)
