"""Solving a symmetric block tridiagonal system: a chain of states of which only neighbours know each other.

It must never know what the states mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def solve_chain(diagonal: Array, upper: Array, right: Array) -> Array:
    """x of ``A x = right``, (n, k, m), for the symmetric A with blocks ``diagonal`` (n, k, k), ``upper`` (n-1, k, k).

    Every other block row is eliminated, all at once, until two are left (cyclic reduction: Buzbee, Golub, Nielson,
    1970), so that a chain of a thousand costs ten steps. Raises `numpy.linalg.LinAlgError` where A is singular.
    """
    count, size = diagonal.shape[:2]
    if count == 1:
        return np.asarray(np.linalg.solve(diagonal, right))
    if count == 2:
        both = np.block([[diagonal[0], upper[0]], [upper[0].T, diagonal[1]]])
        return np.asarray(np.linalg.solve(both, np.concatenate(list(right))).reshape(right.shape))
    if count % 2 == 0:  # one row more that concerns nobody, so that every odd row has two neighbours
        diagonal = np.concatenate([diagonal, np.eye(size)[None]])
        upper = np.concatenate([upper, np.zeros((1, size, size))])
        right = np.concatenate([right, np.zeros((1, *right.shape[1:]))])
    before, after = upper[0::2], upper[1::2]
    after_t = after.transpose(0, 2, 1)
    odd = np.concatenate([before.transpose(0, 2, 1), after, right[1::2]], axis=2)
    odd = np.linalg.solve(diagonal[1::2], odd)
    from_before, from_after, own = odd[:, :, :size], odd[:, :, size : 2 * size], odd[:, :, 2 * size :]
    left_diagonal, left_right = diagonal[0::2].copy(), right[0::2].copy()
    left_diagonal[:-1] -= before @ from_before
    left_diagonal[1:] -= after_t @ from_after
    left_right[:-1] -= before @ own
    left_right[1:] -= after_t @ own
    even = solve_chain(left_diagonal, -before @ from_after, left_right)
    solution = np.empty_like(right)
    solution[0::2] = even
    solution[1::2] = own - from_before @ even[:-1] - from_after @ even[1:]
    return solution[:count]
