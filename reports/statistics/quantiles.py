"""Percentiles with distribution-free bounds from order statistics."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, inf, isfinite, isnan

import numpy as np
from scipy import special

from reports.records import Estimate

METHOD = "order statistics"
INFINITE = "lower bound infinite"
"""Ends the method of an estimate whose lower bound is an infinite sample: errors alone put the percentile beyond any limit."""


def quantile_estimate(values: Sequence[float], q: float, *, planned: int, confidence: float = 0.95) -> Estimate:
    """The `q` quantile of `values` (smallest sample with at least a share `q` at or below it).

    Values may be infinite: a turn that failed counts as infinitely slow. An infinite value or bound is null; a null value
    with `n > 0` is therefore an infinite percentile. `high` is null, too, when `n` is too small for an upper bound, `low`
    when it is too small for a lower one. `k` counts samples above the value.

    Bounds: the ranks l, u with P(Bin(n, q) >= l) and P(Bin(n, q) < u) at least `confidence` (David and Nagaraja, Order
    Statistics, 3rd ed., 7.1).
    """
    if not 0 < q < 1:
        raise ValueError(f"q must be within 0..1, got {q}")
    if any(isnan(value) for value in values):
        raise ValueError("values hold a NaN; leave out what was not measured and count it in planned")
    n = len(values)
    method = f"{METHOD} p{100 * q:g}"
    if n == 0:
        return Estimate(value=None, low=None, high=None, k=0, n=0, planned=planned, confidence=confidence, method=method)
    ranked = sorted(values)
    below = special.bdtr(np.arange(n), n, q)
    lower = int(np.searchsorted(below, 1 - confidence, side="right"))
    upper = int(np.searchsorted(below, confidence, side="left")) + 1
    value = ranked[min(n, max(1, ceil(round(q * n, 9)))) - 1]
    low = ranked[lower - 1] if lower else None
    high = ranked[upper - 1] if upper <= n else None
    return Estimate(
        value=_finite(value),
        low=_finite(low),
        high=_finite(high),
        k=n - bisect_right(ranked, value),
        n=n,
        planned=planned,
        confidence=confidence,
        method=f"{method}, {INFINITE}" if low == inf else method,
    )


def smallest_n(q: float, confidence: float = 0.95, over: int = 0) -> int:
    """Fewest samples that can certify "the `q` quantile is below the limit" with `over` samples above the limit."""
    n = over + 1
    while special.bdtr(over, n, 1 - q) > 1 - confidence:
        n += 1
    return n


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
