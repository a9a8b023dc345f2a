"""What is asked and answered: identity, round trip, clock, tare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nexuslink import Nexus
from nexuslink.device.errors import RefusedError
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.messages import (
    MAX_MESSAGE,
    MIN_LINK_MESSAGE,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    CalibrationReadRequest,
    CalibrationRecord,
    Capability,
    Opcode,
    Quantity,
    StreamKind,
    TareResponse,
)
from nexuslink.testing.observation import Exchanges, Observation, ask_often, pass_time
from nexuslink.testing.plugin import Bench, Measure

ROUND_TRIPS = 100
TARE_WINDOW_MS = 250
TARE_TRIES = 8
"""A window in which the host lost a message cannot be compared; at 2 % loss three of four windows are whole."""


async def _known(nexus: Nexus) -> tuple[ToolDescription, CalibrationRecord]:
    return nexus.info, nexus.calibration


def test_handshake_and_identity(nexus_bench: Bench) -> None:
    info, calibration = nexus_bench.run(_known)
    assert info.serial_number.strip(), "the tool has no serial number"
    assert "?" not in info.serial_number, "the serial number is not plain ASCII"
    assert info.boot_id != 0
    assert info.hello.protocol_major == PROTOCOL_MAJOR
    if info.hello.protocol_minor == PROTOCOL_MINOR:
        assert info.hello.schema_hash == SCHEMA_HASH, (
            "same version, another wire: was the tool built from another schema?"
        )
    assert MIN_LINK_MESSAGE <= info.max_message <= MAX_MESSAGE
    assert info.info.stream_count == len(info.streams) > 0
    assert len({s.stream for s in info.streams}) == len(info.streams), "two streams have one number"
    for stream in info.streams:
        assert 1 <= stream.rate_hz <= 1000
        for group in (g for g in stream.groups if g.quantity != Quantity.NONE):
            assert group.channels > 0
            assert group.scale > 0
            assert group.full_scale > 0
    for tip in calibration.force:
        assert np.isfinite(tip.gain_n_per_count)
        assert tip.gain_n_per_count != 0
        assert np.linalg.norm(tip.axis) == pytest.approx(1.0, abs=1e-3), "a tip's axis is not a unit vector"


def test_the_same_question_gets_the_same_answer(nexus_bench: Bench) -> None:
    async def ask(nexus: Nexus) -> list[bytes]:
        first_page = CalibrationReadRequest(0).pack()
        questions = ((Opcode.INFO, b""), (Opcode.DESCRIBE, b"\0"), (Opcode.CALIBRATION_READ, first_page))
        return [await nexus.request(opcode, payload) for opcode, payload in questions for _ in range(2)]

    answers = nexus_bench.run(ask)
    assert answers[0::2] == answers[1::2]


@pytest.mark.parametrize("streaming", [False, True], ids=["idle", "streaming"])
def test_command_round_trip(nexus_bench: Bench, nexus_measure: Measure, streaming: bool) -> None:
    async def ask(nexus: Nexus) -> tuple[Exchanges, float]:
        if streaming:
            await nexus.start()
            await pass_time(nexus, 0.2)
        return await ask_often(nexus, ROUND_TRIPS)

    exchanges, repeated = nexus_bench.run(ask)
    trips, of = exchanges.round_trip_ms, "streaming" if streaming else "idle"
    for p in (50, 99):
        nexus_measure(f"round_trip_p{p}_ms", np.percentile(trips, p) if trips.size else np.nan, of=of)
    nexus_measure("repeated_fraction", repeated, of=of)


def test_clock(observed: Callable[[], Observation], nexus_measure: Measure) -> None:
    seen = observed()
    fit = seen.clock_fit
    nexus_measure("clock_uncertainty_ms", fit.uncertainty_ns / 1e6 if fit else np.nan)
    nexus_measure("clock_skew_ppm", seen.exchanges.least_skew_ppm)
    nexus_measure("clock_contradiction_ms", seen.exchanges.contradiction_ms(fit) if fit else np.nan)


def test_tare_is_the_mean_of_the_window(nexus_bench: Bench, nexus_measure: Measure) -> None:
    async def ask(nexus: Nexus) -> tuple[TareResponse, np.ndarray] | None:
        force = nexus.stream_of(StreamKind.FORCE)
        assert force is not None, "the tool has no force stream"
        parts: list[tuple[np.ndarray, np.ndarray]] = []

        def look(_chunk: Chunk, decoded: Decoded) -> None:
            parts.extend((b.t_us, b.raw) for b in decoded.batches if b.stream == force.stream)

        nexus.add_listener(look)
        await nexus.start()
        for _ in range(TARE_TRIES):
            await pass_time(nexus, 2 * TARE_WINDOW_MS / 1000)
            tare = await nexus.tare(TARE_WINDOW_MS)
            await pass_time(nexus, 0.1)  # what the tool averaged is still on its way
            t_us, raw = (np.concatenate(column) for column in zip(*parts, strict=True))
            inside = (t_us >= tare.t_us - TARE_WINDOW_MS * 1000) & (t_us < tare.t_us)
            if abs(np.count_nonzero(inside) - tare.samples) <= 2:
                return tare, raw[inside].mean(axis=0)
        return None

    info, calibration = nexus_bench.run(_known)
    if not info.capabilities & Capability.TARE:
        with pytest.raises(RefusedError):
            nexus_bench.run(ask)
        return
    found = nexus_bench.run(ask)
    assert found is not None, f"the host never had the tool's whole window in {TARE_TRIES} tries"
    tare, mean_counts = found
    rate_hz = next(s.rate_hz for s in info.streams if s.kind == StreamKind.FORCE)
    gains = np.array([tip.gain_n_per_count for tip in calibration.force])
    nexus_measure("tare_window_error", abs(tare.samples - rate_hz * TARE_WINDOW_MS / 1000))
    difference_n = np.abs((np.array(tare.mean_counts) - mean_counts) * gains)
    for tip, value in zip(("psoas", "iliacus"), difference_n.tolist(), strict=True):
        nexus_measure("tare_difference_n", value, of=tip)
