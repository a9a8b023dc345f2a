"""The chain is solved as the whole matrix would be."""

from __future__ import annotations

import numpy as np
import pytest

from nexuslink.estimation.blocktridiagonal import solve_chain


@pytest.mark.parametrize("count", [*range(1, 18), 100])
def test_as_the_whole_matrix(count):
    rng = np.random.default_rng(count)
    size, columns = 4, 3
    root = np.zeros((count * size, count * size))
    for row in range(count):
        at = slice(row * size, (row + 1) * size)
        root[at, row * size : (row + 2) * size] = rng.standard_normal((size, min(2, count - row) * size))
    whole = root.T @ root + np.eye(count * size)
    blocks = whole.reshape(count, size, count, size).transpose(0, 2, 1, 3)
    right = rng.standard_normal((count, size, columns))
    before = right.copy()
    found = solve_chain(
        np.array([blocks[i, i] for i in range(count)]),
        np.array([blocks[i, i + 1] for i in range(count - 1)]).reshape(-1, size, size), right,
    )  # fmt: skip
    expected = np.linalg.solve(whole, right.reshape(-1, columns)).reshape(right.shape)
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max() * count
    assert np.array_equal(right, before)


def test_a_singular_one_is_said():
    with pytest.raises(np.linalg.LinAlgError):
        solve_chain(np.zeros((3, 2, 2)), np.zeros((2, 2, 2)), np.zeros((3, 2, 1)))
