"""Change points of a series by repeated bisection: each cut where the means on both sides differ most, kept when a t test says so."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.segments import SHORTEST

Floats = NDArray[np.float64]


def divisive_changes(values: Sequence[float], *, alpha: float = 0.001, shortest: int = SHORTEST) -> list[int]:
    """Indices at which a new level starts, ascending, without 0.

    E-divisive means with Welch's t test in place of a permutation test, so that the same series always gives the same answer (Matteson
    and James, J. Am. Stat. Assoc. 109 (2014) 334; Fleming et al., arXiv 2301.03034). `alpha` is per cut, two-sided.
    """
    found: list[int] = []
    _divide(np.asarray(values, dtype=np.float64), 0, found, (alpha, shortest))
    return sorted(found)


def _divide(y: Floats, offset: int, found: list[int], rule: tuple[float, int]) -> None:
    alpha, shortest = rule
    n = len(y)
    if n < 2 * shortest:
        return
    sums = np.cumsum(y)
    sizes = np.arange(shortest, n - shortest + 1)
    left, right = sums[sizes - 1] / sizes, (sums[-1] - sums[sizes - 1]) / (n - sizes)
    cut = int(sizes[int(np.argmax(sizes * (n - sizes) * (left - right) ** 2))])
    if welch_p(y[:cut], y[cut:]) < alpha:
        _divide(y[:cut], offset, found, rule)
        found.append(offset + cut)
        _divide(y[cut:], offset + cut, found, rule)


def welch_p(a: Floats, b: Floats) -> float:
    """Two-sided p of Welch's t test (Biometrika 34 (1947) 28). Two constant samples give 0 when they differ, else 1."""
    first, second = float(np.var(a, ddof=1)) / len(a), float(np.var(b, ddof=1)) / len(b)
    gap = float(np.mean(a) - np.mean(b))
    if first + second == 0:
        return 0.0 if gap else 1.0
    freedom = (first + second) ** 2 / (first**2 / (len(a) - 1) + second**2 / (len(b) - 1))
    return float(2 * special.stdtr(freedom, -abs(gap) / sqrt(first + second)))
