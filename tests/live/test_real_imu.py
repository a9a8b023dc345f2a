"""A real IMU recording through simulated firmware, wire, decoder and estimator, against its optical truth."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from real_data import attitude_files

import nexuslink
from nexuslink.transport.errors import LinkLostError

SECONDS = 60.0


def errors_deg(path: Path, skew_us: int = 0) -> np.ndarray:
    """Tip angle minus truth, broad tip, where there is a truth, after the first 5 s of settling."""
    found: list[np.ndarray] = []

    async def work() -> None:
        async with nexuslink.connect(f"sim:?imu={path}&speed=max") as nexus:
            start = None
            try:
                async for rows in nexuslink.estimates(nexus):
                    start = int(rows.t_us[0]) if start is None else start
                    truth = nexus.transport.truth(rows.t_us + skew_us)  # type: ignore[attr-defined]
                    settled = rows.t_us - start > 5_000_000
                    found.append((rows.tip_angle_deg[:, 0] - truth.tip_angle_deg[:, 0])[settled])
                    if rows.t_us[-1] - start > SECONDS * 1e6:
                        break
            except LinkLostError:
                pass  # the recording has ended
            assert nexus.decoder.link.lost == nexus.decoder.link.overrun_samples == 0

    asyncio.run(asyncio.wait_for(work(), 110))
    errors = np.concatenate(found)
    return errors[np.isfinite(errors)]


def test_the_tip_angle_follows_the_optical_truth() -> None:
    """Uncalibrated VQF reaches 0.5 to 0.6 deg inclination RMSE on these recordings; the tip angle is one part of it."""
    rms = {}
    for path in attitude_files()[:3]:
        errors = errors_deg(path)
        assert len(errors) > 30 * 200
        rms[path.name] = float(np.sqrt(np.mean(errors**2)))
    assert all(value < 1.0 for value in rms.values()), rms


def test_a_truth_read_at_the_wrong_time_is_seen() -> None:
    """Negative control: 50 ms of clock error is far outside what the estimator is allowed."""
    path = next(p for p in attitude_files() if "fast_rotation" in p.name)
    errors = errors_deg(path, skew_us=50_000)
    assert float(np.sqrt(np.mean(errors**2))) > 1.5
