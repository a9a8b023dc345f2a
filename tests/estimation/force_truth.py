"""The model of a tip the slow way, sample by sample: true contact force to counts."""

from __future__ import annotations

import numpy as np

from nexuslink.estimation.calibration import STANDARD_GRAVITY_M_S2, ToolCalibration

UPRIGHT = np.array([0.0, 0.0, STANDARD_GRAVITY_M_S2])


def counts(
    tool: ToolCalibration, t_s: np.ndarray, contact_n: np.ndarray, specific_force: np.ndarray,
    celsius: np.ndarray | float = 25.0, gyro: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """(n, 2) exact counts. ``specific_force`` (n, 3); before the first sample the tips bore their own weight only."""
    pull = np.array(specific_force)[:, None, :] + np.zeros((1, 2, 1))
    if gyro is not None:
        alpha = np.diff(gyro, axis=0, prepend=gyro[:1]) / np.diff(t_s, prepend=2 * t_s[0] - t_s[1])[:, None]
        for tip, centre in enumerate(tool.tip_centre_m):
            pull[:, tip] += np.cross(alpha, centre) + np.cross(gyro, np.cross(gyro, centre))
    weight = tool.tip_mass_kg * np.einsum("nij,ij->ni", pull, tool.axis)
    load = contact_n + weight
    lag, crept, before = np.repeat(weight[0][:, None], 3, axis=1), np.empty_like(load), 2 * t_s[0] - t_s[1]
    for row, t in enumerate(t_s):
        keep = np.exp(-(t - before) / np.where(tool.creep_s > 0, tool.creep_s, 1.0))
        lag = keep * lag + (1 - keep) * load[row][:, None]
        crept[row], before = load[row] + (tool.creep_share * lag).sum(axis=1), t
    felt = crept + tool.cross_talk * crept[:, ::-1]
    x = felt.copy()
    for _ in range(20):
        error = x + tool.quadratic_per_n * x**2 + tool.cubic_per_n2 * x**3 - felt
        x -= error / (1 + 2 * tool.quadratic_per_n * x + 3 * tool.cubic_per_n2 * x**2)
    warmth = (np.broadcast_to(np.asarray(celsius, float), len(t_s)) - tool.temperature_c)[:, None]
    measured = x * (1 + tool.gain_per_k * warmth) + tool.zero_n_per_k * warmth
    return measured / tool.gain_n_per_count + tool.zero_counts
