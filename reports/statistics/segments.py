"""Change points of a series by its best segmentation: every segment a level with memory of the value before."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHORTEST = 5
"""Points of the shortest segment: fewer do not show that a change lasts."""
_PARAMETERS = 4
"""Level, memory, variance and the place of the change."""


def best_segments(values: Sequence[float], *, shortest: int = SHORTEST) -> list[int]:
    """Indices at which a new segment starts, ascending, without 0.

    Within a segment x_t = a + b x_(t-1) + e, Gaussian; the segmentation minimises -2 log likelihood + 4 log n per change (the Bayesian
    information criterion; Yao, Stat. Probab. Lett. 6 (1988) 181), found exactly by dynamic programming (Auger and Lawrence, Bull. Math.
    Biol. 51 (1989) 39). The memory keeps autocorrelated noise from being cut into levels. A series that needs more than sqrt(n) changes
    has no level to change from and gives none.
    """
    y = np.asarray(values, dtype=np.float64)
    n = len(y)
    if n < 2 * shortest:
        return []
    y = (y - np.median(y)) / (np.std(y) or 1.0)
    changes = _optimal(_costs(y, shortest), _PARAMETERS * log(n), shortest)
    return changes if len(changes) <= n**0.5 else []


def _costs(y: Floats, shortest: int) -> Floats:
    """`[i, j]`: m log(residual sum of squares / m) of the m points from i to j - 1; infinite below the shortest segment."""
    n = len(y)
    lag = np.concatenate([y[:1], y[:-1]])
    products = np.stack([np.ones(n), lag, y, lag * lag, lag * y, y * y], axis=1)
    sums = np.concatenate([np.zeros((1, 6)), np.cumsum(products, axis=0)])
    moves = np.diff(y)
    least = max(1e-8, (0.05 * float(np.median(np.abs(moves - np.median(moves))))) ** 2)
    costs = np.full((n + 1, n + 1), np.inf)
    for start in range(n - shortest + 1):
        ends = np.arange(start + shortest, n + 1)
        m, x, z, xx, xz, zz = (sums[ends] - sums[start]).T
        spread = np.maximum(xx - x * x / m, 1e-12)
        covered = xz - x * z / m
        residual = zz - z * z / m - covered * covered / spread
        costs[start, ends] = m * np.log(np.maximum(residual / m, least))
    return costs


def _optimal(costs: Floats, penalty: float, shortest: int) -> list[int]:
    n = len(costs) - 1
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    before = np.zeros(n + 1, dtype=np.int64)
    for end in range(shortest, n + 1):
        totals = best[:end] + costs[:end, end] + penalty
        before[end] = int(np.argmin(totals))
        best[end] = totals[before[end]]
    changes: list[int] = []
    place = int(before[n])
    while place > 0:
        changes.append(place)
        place = int(before[place])
    return changes[::-1]
