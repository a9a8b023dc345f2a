"""The sum of squares, on the caller's own thread.

``v.dot(v)`` of more than 10 000 values goes to OpenBLAS's worker threads, which stay awake for some time after it and
take a whole core from whoever reads the link; for a sum so small they gain nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sum_of_squares(values: NDArray[np.float64]) -> float:
    """Of all ``values``, any shape."""
    flat = values.reshape(-1)
    return float(np.einsum("i,i", flat, flat))
